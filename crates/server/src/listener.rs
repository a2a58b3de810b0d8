//! The accept loop: every connection is a task of the server's tracker, so that a stop can wait for it,
//! and no client can hold one open by sending its request drop by drop.

use crate::client::Peer;
use crate::tls::Tls;
use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// More connections than this wait in the system's queue.
const MAX_CONNECTIONS: usize = 4096;
/// A request's head has to be there within this time.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);
/// How long to wait when the system has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// The two ways to end: soft lets requests finish, hard drops the connections.
#[derive(Debug, Clone)]
pub(crate) struct Stop {
    pub(crate) soft: CancellationToken,
    pub(crate) hard: CancellationToken,
}

/// What answers on a port.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) routes: Router,
    /// With it TLS ends here.
    pub(crate) tls: Option<Tls>,
}

/// Accepts until the soft stop.
pub(crate) async fn accept(
    listener: TcpListener,
    service: Service,
    stop: Stop,
    tasks: TaskTracker,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let next = async {
            let place =
                places.clone().acquire_owned().await.expect("the semaphore is never closed");
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            () = stop.soft.cancelled() => return,
            next = next => next,
        };
        match accepted {
            Ok((stream, address)) => {
                let (service, stop) = (service.clone(), stop.clone());
                tasks.spawn(async move {
                    connection((stream, address), service, stop).await;
                    drop(place);
                });
            }
            // Out of descriptors, or the peer left while it queued: neither ends the server.
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(
    (stream, address): (TcpStream, SocketAddr),
    Service { routes, tls }: Service,
    stop: Stop,
) {
    // Small answers and live fragments must not wait for Nagle.
    let _ = stream.set_nodelay(true);
    let peer = Peer { address, tls: tls.is_some() };
    let Some(tls) = tls else { return serve(stream, peer, routes, stop).await };
    let greeting = tokio::time::timeout(HEAD_TIMEOUT, tls.greet(stream));
    let greeted = tokio::select! {
        () = stop.soft.cancelled() => return,
        greeted = greeting => greeted,
    };
    match greeted {
        Ok(Ok(stream)) => serve(stream, peer, routes, stop).await,
        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake took too long"),
    }
}

async fn serve<S>(stream: S, peer: Peer, routes: Router, stop: Stop)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let routes = TowerToHyperService::new(routes);
    let answer = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(peer);
        routes.call(request)
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), answer)
        .with_upgrades();
    let mut served = pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = stop.hard.cancelled() => return,
        () = stop.soft.cancelled() => {
            served.as_mut().graceful_shutdown();
            tokio::select! {
                ended = served.as_mut() => ended,
                () = stop.hard.cancelled() => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
