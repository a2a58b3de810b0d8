//! The port: TLS and plain alike, told apart by the first byte.
//!
//! One task a connection. A connection that does not speak TLS or HTTP ends alone.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Extension, State};
use axum::response::Response;
use axum::routing::get;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::hub::Hub;
use crate::socket;
use crate::{admin, media};

/// A TLS record that opens a connection begins with this byte.
const TLS_HANDSHAKE: u8 = 0x16;
/// A peer that connects says something within this time.
const GREETING_DEADLINE: Duration = Duration::from_secs(20);
/// Breath after a failed accept, which means that the process has no file left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// An idle socket should weigh little; the library's own buffer is 128 KiB.
const SOCKET_BUFFER: usize = 8 * 1024;
/// Larger than any frame, which is under 16 MiB.
const LARGEST_MESSAGE: usize = 17 * 1024 * 1024;

/// Who is at the other end; the admin routes are for this machine only.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PeerAddr(pub(crate) SocketAddr);

/// Accepts connections until the network stops.
pub(super) async fn accept(hub: Arc<Hub>, listener: TcpListener, tls: Arc<ServerConfig>) {
    let acceptor = TlsAcceptor::from(tls);
    let router = router(&hub);
    loop {
        let accepted = tokio::select! {
            biased;
            () = hub.cancel.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let router = router.clone().layer(Extension(PeerAddr(peer)));
                let connection = hub.clock.scope(serve(stream, acceptor.clone(), router));
                let cancel = hub.cancel.clone();
                hub.tracker.spawn(async move {
                    tokio::select! {
                        () = cancel.cancelled() => {}
                        () = connection => {}
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn router(hub: &Arc<Hub>) -> Router {
    Router::new()
        .route("/ws/chat", get(chat))
        .merge(admin::router())
        .merge(media::router())
        .with_state(Arc::clone(hub))
}

async fn chat(State(hub): State<Arc<Hub>>, upgrade: WebSocketUpgrade) -> Response {
    // The upgraded socket runs in a task of axum's; the token makes the tracker wait for it.
    let token = hub.tracker.token();
    let upgrade = upgrade
        .max_message_size(LARGEST_MESSAGE)
        .max_frame_size(LARGEST_MESSAGE)
        .read_buffer_size(SOCKET_BUFFER)
        .write_buffer_size(0);
    upgrade.on_upgrade(move |socket| async move {
        let clock = hub.clock.clone();
        clock.scope(socket::serve(hub, socket)).await;
        drop(token);
    })
}

async fn serve(stream: TcpStream, acceptor: TlsAcceptor, router: Router) {
    let mut first = [0; 1];
    let peeked = timeout(GREETING_DEADLINE, stream.peek(&mut first)).await;
    if !matches!(peeked, Ok(Ok(1))) {
        return;
    }
    // Stanzas are small and wait for nothing.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    if first[0] != TLS_HANDSHAKE {
        return speak_http(stream, router).await;
    }
    match timeout(GREETING_DEADLINE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => speak_http(stream, router).await,
        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake took too long"),
    }
}

async fn speak_http<S>(stream: S, router: Router)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = TowerToHyperService::new(router);
    let connection = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let outcome: Result<(), hyper::Error> = connection.await;
    if let Err(error) = outcome {
        tracing::debug!(%error, "an HTTP connection ended");
    }
}
