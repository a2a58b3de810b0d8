//! Opening the socket to WhatsApp, and telling a dead network from a server that can't be trusted.
//!
//! The client library retries whatever goes wrong and says why only in its log. A user whose traffic
//! goes through a machine that is not WhatsApp must see that, so we dial ourselves: TLS failures come
//! with their type, and a refused Noise handshake shows by its outline: the server answered the
//! client's hello, and the client hung up without another word.

use super::departure::Departures;
use super::media_hosts;
use super::proxy::{self, ProxyGuard};
use async_trait::async_trait;
use bytes::Bytes;
use flowcore_domain::engine::EngineError;
use flowcore_domain::instance::Reason;
use flowcore_domain::proxy::Proxy;
use http::{HeaderValue, Uri, header};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_websockets::ClientBuilder;
use wacore::net::{
    Transport, TransportEvent, TransportFactory, WHATSAPP_WEB_ORIGIN, WHATSAPP_WEB_WS_URL,
};
use whatsapp_rust_tokio_transport::{Connector, default_tls_connector, from_websocket};
use whatsapp_rust_ureq_http_client::UreqHttpClient;

/// How long the first answer behind a proxy that is tried may take.
const PROXY_TLS_WITHIN: Duration = Duration::from_secs(10);

/// Knows where WhatsApp is and whom to trust. Shared by all sessions: the roots are parsed once.
pub(super) struct Dialer {
    target: Arc<Target>,
}

struct Target {
    uri: Uri,
    host: String,
    port: u16,
    tls: Option<TlsConnector>,
    guard: ProxyGuard,
}

impl Target {
    async fn reach(&self, through: Option<&Proxy>) -> Result<TcpStream, std::io::Error> {
        let target = (self.host.as_str(), self.port);
        match through {
            None => TcpStream::connect(target).await,
            Some(proxy) => proxy::connect(proxy, &self.guard, target).await,
        }
    }
}

impl Dialer {
    /// Whether the chat socket is reached through a proxy: a server that can be trusted answers.
    pub(super) async fn try_proxy(&self, proxy: &Proxy) -> Result<(), EngineError> {
        let failed = |what: String| EngineError::Failed(what);
        let target = &self.target;
        let tcp = target.reach(Some(proxy)).await.map_err(|error| failed(error.to_string()))?;
        let Some(tls) = &target.tls else { return Ok(()) };
        let name = ServerName::try_from(target.host.clone());
        let name = name.map_err(|_| failed("the address of WhatsApp is wrong".to_owned()))?;
        match tokio::time::timeout(PROXY_TLS_WITHIN, tls.connect(name, tcp)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(failed("who answers behind the proxy is not WhatsApp".to_owned())),
            Err(_) => Err(failed("nobody answers behind the proxy".to_owned())),
        }
    }

    /// A dialer for `url`, or for WhatsApp itself.
    pub(super) fn new(url: Option<&str>, guard: ProxyGuard) -> Result<Self, EngineError> {
        let wrong = |what: &str| EngineError::Failed(format!("the address of WhatsApp {what}"));
        let uri: Uri =
            url.unwrap_or(WHATSAPP_WEB_WS_URL).parse().map_err(|_| wrong("is not a URL"))?;
        let (tls, default_port) = match uri.scheme_str() {
            Some("wss") => (Some(tls_connector()?), 443),
            Some("ws") => (None, 80),
            _ => return Err(wrong("begins with neither ws:// nor wss://")),
        };
        let host = uri.host().ok_or_else(|| wrong("has no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = uri.port_u16().unwrap_or(default_port);
        Ok(Self { target: Arc::new(Target { uri, host, port, tls, guard }) })
    }

    /// What reaches the media hosts through a proxy, trusting whom the chat socket trusts.
    pub(super) fn media_hosts(&self, proxy: &Proxy) -> UreqHttpClient {
        let target = &self.target;
        media_hosts::through(proxy.clone(), target.guard.clone(), target.tls.clone())
    }

    /// The transport factory of one session, which also remembers why its last connection failed.
    pub(super) fn for_session(&self, proxy: Option<Proxy>) -> Arc<SessionDialer> {
        Arc::new(SessionDialer {
            target: Arc::clone(&self.target),
            proxy,
            verdict: Arc::default(),
            departures: Arc::default(),
        })
    }
}

fn tls_connector() -> Result<TlsConnector, EngineError> {
    match default_tls_connector() {
        Connector::Rustls(connector) => Ok(connector),
        Connector::Plain => {
            Err(EngineError::Failed("the WhatsApp client was built without TLS".into()))
        }
    }
}

/// What is known of the last connection.
#[derive(Debug, Default)]
struct Verdict(AtomicU8);

const UNKNOWN: u8 = 0;
const UNREACHABLE: u8 = 1;
const UNTRUSTED: u8 = 2;

/// Dials for one session.
pub(super) struct SessionDialer {
    target: Arc<Target>,
    proxy: Option<Proxy>,
    verdict: Arc<Verdict>,
    departures: Arc<Departures>,
}

impl SessionDialer {
    /// What holds a write back while a message leaves.
    pub(super) fn departures(&self) -> &Arc<Departures> {
        &self.departures
    }

    /// Why the last connection could not be used, when the dialer knows.
    pub(super) fn take_verdict(&self) -> Option<Reason> {
        match self.verdict.0.swap(UNKNOWN, Ordering::SeqCst) {
            UNREACHABLE => Some(Reason::Network),
            UNTRUSTED => Some(Reason::UntrustedServer),
            _ => None,
        }
    }

    async fn dial(
        &self,
    ) -> Result<(Arc<dyn Transport>, async_channel::Receiver<TransportEvent>), DialError> {
        let tcp = self.target.reach(self.proxy.as_ref()).await?;
        // Stanzas are small and answered at once: waiting to fill a packet only adds latency.
        tcp.set_nodelay(true)?;
        let builder = ClientBuilder::from_uri(self.target.uri.clone())
            .add_header(header::ORIGIN, HeaderValue::from_static(WHATSAPP_WEB_ORIGIN))?;
        match &self.target.tls {
            None => Ok(from_websocket(builder.connect_on(tcp).await?.0)),
            Some(tls) => {
                let name = ServerName::try_from(self.target.host.clone())
                    .map_err(|_| DialError::Untrusted)?;
                let stream = tls.connect(name, tcp).await.map_err(classify)?;
                Ok(from_websocket(builder.connect_on(stream).await?.0))
            }
        }
    }
}

/// Why a dial failed.
#[derive(Debug, thiserror::Error)]
enum DialError {
    #[error("the server's certificate is not to be trusted")]
    Untrusted,
    #[error("the network: {0}")]
    Network(#[from] std::io::Error),
    #[error("the WebSocket: {0}")]
    WebSocket(#[from] tokio_websockets::Error),
}

/// A certificate that was refused is a matter of trust; all else of TLS may be a broken line.
fn classify(error: std::io::Error) -> DialError {
    use tokio_rustls::rustls::Error as Tls;
    let refused =
        error.get_ref().and_then(|inner| inner.downcast_ref::<Tls>()).is_some_and(|tls| {
            matches!(tls, Tls::InvalidCertificate(_) | Tls::NoCertificatesPresented)
        });
    if refused { DialError::Untrusted } else { DialError::Network(error) }
}

#[async_trait]
impl TransportFactory for SessionDialer {
    async fn create_transport(
        &self,
    ) -> Result<(Arc<dyn Transport>, async_channel::Receiver<TransportEvent>), anyhow::Error> {
        self.verdict.0.store(UNREACHABLE, Ordering::SeqCst);
        match self.dial().await {
            Ok((transport, events)) => {
                let transport = WatchedTransport {
                    inner: transport,
                    events: events.clone(),
                    writes: AtomicU32::new(0),
                    opened: Instant::now(),
                    verdict: Arc::clone(&self.verdict),
                    departures: Arc::clone(&self.departures),
                };
                Ok((Arc::new(transport), events))
            }
            Err(error) => {
                if matches!(error, DialError::Untrusted) {
                    self.verdict.0.store(UNTRUSTED, Ordering::SeqCst);
                }
                Err(error.into())
            }
        }
    }
}

/// The client waits 20 s for the server's half of the handshake; a hang-up well before that was no
/// time-out.
const SHORT_OF_TIMEOUT: Duration = Duration::from_secs(18);

/// A transport that notices when the client hangs up on an answered hello, and that lets no message out
/// before what it builds on is durable.
struct WatchedTransport {
    inner: Arc<dyn Transport>,
    /// Only asked whether the socket is still there; the client reads from it.
    events: async_channel::Receiver<TransportEvent>,
    writes: AtomicU32,
    opened: Instant,
    verdict: Arc<Verdict>,
    departures: Arc<Departures>,
}

#[async_trait]
impl Transport for WatchedTransport {
    async fn send(&self, data: Bytes) -> Result<(), anyhow::Error> {
        if self.writes.fetch_add(1, Ordering::SeqCst) == 1 {
            // The second write follows a finished handshake: whatever ends the connection now is told
            // by the server or by the client's own events.
            self.verdict.0.store(UNKNOWN, Ordering::SeqCst);
        }
        self.departures.clear().await?;
        self.inner.send(data).await
    }

    async fn disconnect(&self) {
        // One write, a socket still open and no time-out: it refused what it was answered. (A login
        // refused by the server looks the same, but that one says so by an event, which counts more.)
        let hung_up = self.writes.load(Ordering::SeqCst) == 1 && !self.events.is_closed();
        if hung_up && self.opened.elapsed() < SHORT_OF_TIMEOUT {
            self.verdict.0.store(UNTRUSTED, Ordering::SeqCst);
        }
        self.inner.disconnect().await;
    }

    fn resource_report(&self) -> Option<wacore::stats::TransportResourceReport> {
        self.inner.resource_report()
    }
}

/// See [`super::verifies_certificates`]: a chain that is right in form and signed by nobody.
pub(super) fn refuses_forged_chain() -> bool {
    use buffa::{Message, MessageField};
    use waproto::whatsapp::CertChain;
    use waproto::whatsapp::cert_chain::NoiseCertificate;
    use waproto::whatsapp::cert_chain::noise_certificate::Details;

    let server_key = [7_u8; 32];
    let certificate = |serial: u32, issuer: u32| NoiseCertificate {
        details: Some(
            Details {
                serial: Some(serial),
                issuer_serial: Some(issuer),
                key: Some(server_key.to_vec()),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        signature: Some(vec![0; 64]),
    };
    let chain = CertChain {
        leaf: MessageField::some(certificate(2, 1)),
        intermediate: MessageField::some(certificate(1, 0)),
    };
    wacore::noise::HandshakeUtils::verify_server_cert(&chain.encode_to_vec(), &server_key).is_err()
}
