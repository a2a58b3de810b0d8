//! WhatsApp's media hosts, reached through the proxy of an instance: whoever hides where a number is must not
//! show it with the first picture.
//!
//! The client library asks for files with `ureq`, on threads that may block. What is between the two is made
//! here: each connection is opened by the proxy as the chat socket is, by name, and trusts whom that one trusts.

use super::proxy::{self, ProxyGuard};
use flowcore_domain::proxy::Proxy;
use std::fmt;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConnection, StreamOwned};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};
use whatsapp_rust_ureq_http_client::UreqHttpClient;

/// How long a host may be silent in the middle of a transfer.
const SILENT_FOR: Duration = Duration::from_secs(30);
/// Bytes of each buffer of a connection.
const BUFFER: usize = 16 << 10;

/// A client whose connections go through the proxy.
pub(super) fn through(
    proxy: Proxy,
    guard: ProxyGuard,
    tls: Option<TlsConnector>,
) -> UreqHttpClient {
    let config = Config::builder()
        .proxy(None)
        .input_buffer_size(BUFFER)
        .output_buffer_size(BUFFER)
        .max_idle_connections(2)
        .build();
    let way = Way { proxy, guard, tls };
    UreqHttpClient::with_agent(ureq::Agent::with_parts(config, way, ByTheProxy))
}

/// Names are resolved by the proxy: here nobody is asked.
#[derive(Debug)]
struct ByTheProxy;

impl Resolver for ByTheProxy {
    fn resolve(
        &self,
        _: &Uri,
        _: &Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut none = self.empty();
        none.push(([0, 0, 0, 0], 0).into());
        Ok(none)
    }
}

struct Way {
    proxy: Proxy,
    guard: ProxyGuard,
    tls: Option<TlsConnector>,
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Way(…)")
    }
}

impl Way {
    fn open(&self, uri: &Uri, secure: bool) -> Result<Line, std::io::Error> {
        let wrong = || std::io::Error::from(std::io::ErrorKind::InvalidInput);
        let host = uri.host().ok_or_else(wrong)?;
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        // Never on a thread of the runtime: the client library asks on threads that may block.
        let opening = proxy::connect(&self.proxy, &self.guard, (host, port));
        let stream = Handle::current().block_on(opening)?.into_std()?;
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(SILENT_FOR))?;
        stream.set_write_timeout(Some(SILENT_FOR))?;
        if !secure {
            return Ok(Line::Plain(stream));
        }
        let tls = self.tls.as_ref().ok_or_else(wrong)?;
        let name = ServerName::try_from(host.to_owned()).map_err(|_| wrong())?;
        let session = ClientConnection::new(Arc::clone(tls.config()), name);
        let session = session.map_err(std::io::Error::other)?;
        Ok(Line::Secure(Box::new(StreamOwned::new(session, stream))))
    }
}

impl Connector for Way {
    type Out = Connection;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<Connection>, ureq::Error> {
        let line = self.open(details.uri, details.needs_tls())?;
        Ok(Some(Connection { line, buffers: LazyBuffers::new(BUFFER, BUFFER), ended: false }))
    }
}

enum Line {
    Plain(TcpStream),
    Secure(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// A connection to a media host.
struct Connection {
    line: Line,
    buffers: LazyBuffers,
    ended: bool,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("ended", &self.ended).finish_non_exhaustive()
    }
}

impl Transport for Connection {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        let output = &self.buffers.output()[..amount];
        match &mut self.line {
            Line::Plain(stream) => stream.write_all(output)?,
            Line::Secure(stream) => {
                stream.write_all(output)?;
                stream.flush()?;
            }
        }
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        let room = self.buffers.input_append_buf();
        let read = match &mut self.line {
            Line::Plain(stream) => stream.read(room),
            Line::Secure(stream) => stream.read(room),
        };
        let read = match read {
            // A host that hangs up without a word of goodbye has ended its answer.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => 0,
            read => read?,
        };
        self.ended |= read == 0;
        self.buffers.input_appended(read);
        Ok(read > 0)
    }

    fn is_open(&mut self) -> bool {
        !self.ended
    }

    fn is_tls(&self) -> bool {
        matches!(self.line, Line::Secure(_))
    }
}
