//! `flowcore healthcheck`: whether the server of these settings answers, for container engines whose
//! images have no HTTP client.

use crate::config::ServerConfig;
use anyhow::{Context as _, ensure};
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(4);

/// Asks `/healthz` on this machine. Where TLS ends here, that the port takes connections is all that is
/// looked at.
///
/// # Errors
/// When nobody answers well in time.
pub fn ask(config: &ServerConfig) -> anyhow::Result<()> {
    let host = match config.host.parse() {
        Ok(IpAddr::V4(Ipv4Addr::UNSPECIFIED)) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Ok(IpAddr::V6(Ipv6Addr::UNSPECIFIED)) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        Ok(address) => address,
        Err(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    let address = SocketAddr::new(host, config.port);
    let mut socket = TcpStream::connect_timeout(&address, PATIENCE)
        .with_context(|| format!("nobody listens on {address}"))?;
    if config.access.tls.is_some() {
        return Ok(());
    }
    socket.set_read_timeout(Some(PATIENCE))?;
    write!(socket, "GET /healthz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut answer = [0; 12];
    socket.read_exact(&mut answer).context("no answer")?;
    ensure!(answer.ends_with(b" 200"), "the answer is {}", String::from_utf8_lossy(&answer));
    Ok(())
}
