//! Starting and stopping a network.

mod listener;
mod state_file;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::codes::CodeSource;
use crate::hub::{Hub, RefTimes};
use crate::people::People;
use crate::wire::certificate::{self, TlsError};
use crate::world::World;
pub(crate) use listener::PeerAddr;
pub use state_file::StateError;
use state_file::StateFile;

/// Prekeys of a contact's client: enough for its peers, quick to make.
const CONTACT_PREKEYS: usize = 30;
/// How long a client shows the first QR code, and each of the five after it.
const FIRST_QR: Duration = Duration::from_secs(60);
const NEXT_QR: Duration = Duration::from_secs(20);

/// Clients ping every 30 s at the latest.
const SILENCE: Duration = Duration::from_secs(120);

/// What a network is started with.
#[derive(Debug, Clone)]
pub struct NetworkConfig {
    /// Address to listen on; loopback unless somebody means otherwise.
    pub host: IpAddr,
    /// 0 takes a free port.
    pub port: u16,
    /// Where accounts are kept; without it they end with the process.
    pub state_dir: Option<PathBuf>,
    /// The same seed gives the same accounts, LIDs, keys and ids of the network's own.
    pub seed: u64,
    /// How long the first QR reference of a linking client can be scanned.
    pub first_qr: Duration,
    /// How long each later reference can be scanned after the one before it.
    pub next_qr: Duration,
    /// How long a client may say nothing; after half of it the network asks whether it is there.
    pub silence: Duration,
    /// How far the network's clock is ahead of the system's.
    pub clock_ahead: Duration,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
            state_dir: None,
            seed: 1,
            first_qr: FIRST_QR,
            next_qr: NEXT_QR,
            silence: SILENCE,
            clock_ahead: Duration::ZERO,
        }
    }
}

/// Why a network does not start.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The port is taken or the address is not ours.
    #[error("listening on {address} failed: {source}")]
    Listen {
        /// Where it should have listened.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The TLS side could not be made.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The kept state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
}

/// A running network. Dropping it without [`Network::stop`] cuts everything off.
pub struct Network {
    hub: Arc<Hub>,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network").field("addr", &self.hub.addr).finish_non_exhaustive()
    }
}

impl Network {
    /// Starts a network; it accepts connections when this returns.
    ///
    /// # Errors
    /// When the address cannot be listened on, or kept state cannot be read.
    pub async fn start(config: NetworkConfig) -> Result<Self, NetworkError> {
        let address = SocketAddr::new(config.host, config.port);
        let listen = |source| NetworkError::Listen { address, source };
        let tls = certificate::tls_config()?;
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let addr = listener.local_addr().map_err(listen)?;
        let mut world = World::new(config.seed, Arc::new(Notify::new()));
        // Nobody can dial the address that means all of them.
        let dialled =
            if addr.ip().is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { addr.ip() };
        world.media_host = SocketAddr::new(dialled, addr.port()).to_string();
        let file = config.state_dir.as_deref().map(StateFile::new);
        if let Some(file) = &file {
            file.load(&mut world).await?;
        }
        let ref_times = RefTimes { first: config.first_qr, next: config.next_qr };
        let times = (ref_times, config.silence);
        let hub = Arc::new(Hub::new(world, addr, times, People::new(CONTACT_PREKEYS)));
        hub.clock.advance(config.clock_ahead);
        hub.tracker.spawn(listener::accept(Arc::clone(&hub), listener, tls));
        if let Some(file) = file {
            hub.tracker.spawn(file.keep(Arc::clone(&hub)));
        }
        hub.clock.scope(hub.people.relink(&hub)).await;
        tracing::info!(%addr, "simulated network is up");
        Ok(Self { hub })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.hub.addr
    }

    /// The base of its HTTP routes, without a slash at the end.
    #[must_use]
    pub fn base_url(&self, tls: bool) -> String {
        let scheme = if tls { "https" } else { "http" };
        format!("{scheme}://{}", self.hub.addr)
    }

    /// The chat socket that clients dial.
    #[must_use]
    pub fn socket_url(&self, tls: bool) -> String {
        let scheme = if tls { "wss" } else { "ws" };
        format!("{scheme}://{}/ws/chat", self.hub.addr)
    }

    /// Tells the page with the phones where the product's codes are. The first source stays.
    pub fn offer_codes(&self, source: Arc<dyn CodeSource>) {
        let _kept_first = self.hub.codes.set(source);
    }

    /// Ends every connection, contact and task, and writes the kept state a last time.
    pub async fn stop(self) {
        self.hub.people.stop().await;
        self.hub.cancel.cancel();
        self.hub.tracker.close();
        self.hub.tracker.wait().await;
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.hub.people.abort();
        self.hub.cancel.cancel();
    }
}
