//! A way out through somebody else's machine: `CONNECT` of HTTP, or SOCKS 5.
//!
//! The proxy resolves WhatsApp's name; its own name is resolved here, and only addresses that the guard lets
//! through are dialed: proxies are named by users.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flowcore_domain::proxy::{Proxy, ProxyProtocol};
use std::fmt::Write as _;
use std::io::{Error, ErrorKind};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a proxy may take until the way is open.
const OPEN_WITHIN: Duration = Duration::from_secs(15);
/// Longest answer to a `CONNECT`.
const MAX_ANSWER: usize = 8 << 10;

/// Which addresses a proxy of a user may have: its host, its port, the address that was resolved.
#[derive(Clone)]
pub struct ProxyGuard(Arc<Allows>);

type Allows = dyn Fn(&str, u16, IpAddr) -> bool + Send + Sync;

impl ProxyGuard {
    /// A guard that asks `allows`.
    pub fn new(allows: impl Fn(&str, u16, IpAddr) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(allows))
    }
}

/// Lets nothing through.
impl Default for ProxyGuard {
    fn default() -> Self {
        Self::new(|_, _, _| false)
    }
}

impl std::fmt::Debug for ProxyGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProxyGuard(…)")
    }
}

/// A connection to `host` through the proxy.
pub(super) async fn connect(
    proxy: &Proxy,
    guard: &ProxyGuard,
    (host, port): (&str, u16),
) -> Result<TcpStream, Error> {
    let opening = async {
        let mut stream = dial(proxy, guard).await?;
        stream.set_nodelay(true)?;
        match proxy.protocol {
            ProxyProtocol::Http => open_http(&mut stream, proxy, (host, port)).await?,
            ProxyProtocol::Socks5 => open_socks(&mut stream, proxy, (host, port)).await?,
        }
        Ok(stream)
    };
    match timeout(OPEN_WITHIN, opening).await {
        Ok(opened) => opened,
        Err(_) => Err(Error::new(ErrorKind::TimedOut, "the proxy did not answer in time")),
    }
}

async fn dial(proxy: &Proxy, guard: &ProxyGuard) -> Result<TcpStream, Error> {
    let found = tokio::net::lookup_host((proxy.host.as_str(), proxy.port)).await?;
    let allowed = found.filter(|at| (guard.0)(&proxy.host, proxy.port, at.ip()));
    let allowed: Vec<_> = allowed.collect();
    if allowed.is_empty() {
        return Err(refused("the proxy has a private address"));
    }
    TcpStream::connect(allowed.as_slice()).await
}

fn refused(what: &'static str) -> Error {
    Error::new(ErrorKind::ConnectionRefused, what)
}

async fn open_http(
    stream: &mut TcpStream,
    proxy: &Proxy,
    (host, port): (&str, u16),
) -> Result<(), Error> {
    let mut request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n");
    if let Some(user) = &proxy.username {
        let password = proxy.password.as_deref().unwrap_or_default();
        let word = STANDARD.encode(format!("{user}:{password}"));
        let _ = write!(request, "Proxy-Authorization: Basic {word}\r\n");
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await?;
    // A byte at a time: what follows the answer belongs to WhatsApp.
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() >= MAX_ANSWER {
            return Err(refused("the proxy does not speak HTTP"));
        }
        answer.push(stream.read_u8().await?);
    }
    let status = answer.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    match status {
        [b'2', _, _] => Ok(()),
        b"407" => Err(refused("the proxy wants another name or password")),
        _ => Err(refused("the proxy refused to connect to WhatsApp")),
    }
}

async fn open_socks(
    stream: &mut TcpStream,
    proxy: &Proxy,
    (host, port): (&str, u16),
) -> Result<(), Error> {
    const BY_PASSWORD: u8 = 2;
    let methods: &[u8] = if proxy.username.is_some() { &[0, BY_PASSWORD] } else { &[0] };
    let mut hello = vec![5, u8::try_from(methods.len()).unwrap_or(1)];
    hello.extend_from_slice(methods);
    stream.write_all(&hello).await?;
    let mut chosen = [0; 2];
    stream.read_exact(&mut chosen).await?;
    match chosen {
        [5, 0] => {}
        [5, BY_PASSWORD] => log_in(stream, proxy).await?,
        [5, _] => return Err(refused("the proxy wants another name or password")),
        _ => return Err(refused("the proxy does not speak SOCKS 5")),
    }
    let mut request = vec![5, 1, 0];
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(v4)) => request.extend([&[1][..], &v4.octets()].concat()),
        Ok(IpAddr::V6(v6)) => request.extend([&[4][..], &v6.octets()].concat()),
        Err(_) => {
            request.push(3);
            request.extend(prefixed(host)?);
        }
    }
    request.extend(port.to_be_bytes());
    stream.write_all(&request).await?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await?;
    if answer[1] != 0 {
        return Err(refused("the proxy refused to connect to WhatsApp"));
    }
    let address = match answer[3] {
        1 => 4,
        4 => 16,
        3 => usize::from(stream.read_u8().await?),
        _ => return Err(refused("the proxy does not speak SOCKS 5")),
    };
    let mut bound = vec![0; address + 2];
    stream.read_exact(&mut bound).await?;
    Ok(())
}

async fn log_in(stream: &mut TcpStream, proxy: &Proxy) -> Result<(), Error> {
    let mut words = vec![1];
    words.extend(prefixed(proxy.username.as_deref().unwrap_or_default())?);
    words.extend(prefixed(proxy.password.as_deref().unwrap_or_default())?);
    stream.write_all(&words).await?;
    let mut verdict = [0; 2];
    stream.read_exact(&mut verdict).await?;
    if verdict[1] == 0 { Ok(()) } else { Err(refused("the proxy wants another name or password")) }
}

/// A text behind its length.
fn prefixed(text: &str) -> Result<Vec<u8>, Error> {
    let length = u8::try_from(text.len())
        .map_err(|_| Error::new(ErrorKind::InvalidInput, "longer than SOCKS 5 takes"))?;
    Ok([&[length][..], text.as_bytes()].concat())
}
