//! Putting the server together, and taking it down in order.
//!
//! [`serve`] binds the port first, so that a port in use is said before anything is opened, then starts
//! the gateway, then accepts. [`Running::stop`] goes the other way: no new requests, the running ones
//! end (those that wait or stream are told), then the gateway stops.

use crate::codes::ShownCodes;
use crate::config::ServerConfig;
use crate::dashboard::Cookies;
use crate::evolution::{self, EvolutionSettings};
use crate::replay::Replays;
use crate::surface::Route;
use crate::tls::{Tls, TlsError};
use crate::{limits, listener, metrics, router};
use flowcore_domain::network::Network;
use flowcore_gateway::{
    AccountsConfig, Gateway, GatewayConfig, Mark, NewAdmin, StartError, Started,
};
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long running requests may take to end once the server stops.
const DRAIN: Duration = Duration::from_secs(10);

/// How many requests with files are read at a time.
const UPLOADS: usize = 4;

/// What every handler can reach. One pointer: each layer around a handler clones what it holds for each request.
#[derive(Clone)]
pub(crate) struct AppState(Arc<Within>);

impl Deref for AppState {
    type Target = Within;

    fn deref(&self) -> &Within {
        &self.0
    }
}

/// What is in an [`AppState`].
pub(crate) struct Within {
    pub(crate) gateway: Gateway,
    pub(crate) cookies: Cookies,
    pub(crate) settings: Arc<Settings>,
    pub(crate) replays: Arc<Replays>,
    /// The public address, without a slash at the end.
    pub(crate) url: Arc<str>,
    /// Room for requests that carry files: so many of them are in memory at a time.
    pub(crate) uploads: Arc<Semaphore>,
    pub(crate) evolution: Arc<EvolutionSettings>,
    /// Cancelled when the server begins to stop: whoever waits or streams ends then.
    pub(crate) stopping: CancellationToken,
    /// Tasks that outlive their request; a stop waits for them.
    pub(crate) tasks: TaskTracker,
}

/// What handlers need to know of the configuration.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Proxies whose X-Forwarded headers count.
    pub(crate) trusted_proxies: Vec<Network>,
    /// Browsers may sign in over plain HTTP from everywhere.
    pub(crate) insecure_cookies: bool,
    /// Sites whose pages may call this server.
    pub(crate) cors_origins: Vec<String>,
    /// The address under which browsers should come, without a slash at the end.
    pub(crate) public_url: String,
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address can't be listened on.
    #[error("can't listen on {address}: {cause}")]
    Listen {
        /// Host and port.
        address: String,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The certificate or its key can't be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// It does not know its own program, which it starts again to read documents.
    #[error("can't find this program's own file: {0}")]
    Reader(std::io::Error),
    /// The services behind it did not start.
    #[error(transparent)]
    Gateway(#[from] StartError),
}

/// A server that runs. Dropping it does not stop it; [`Running::stop`] does.
pub struct Running {
    addr: SocketAddr,
    url: String,
    new_admin: NewAdmin,
    routes: Arc<[Route]>,
    gateway: Gateway,
    stopping: CancellationToken,
    cut: CancellationToken,
    tasks: TaskTracker,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("addr", &self.addr).finish_non_exhaustive()
    }
}

/// Starts a server. `mark` is what its store is made or expected to be.
///
/// # Errors
/// [`ServeError`] when the port or the data directory can't be used.
pub async fn serve(config: ServerConfig, mark: Mark) -> Result<Running, ServeError> {
    metrics::begin();
    limits::raise_open_files();
    let (listener, addr) = bind(&config.host, config.port).await?;
    let access = config.access;
    let tls = access.tls.as_ref().map(Tls::open).transpose()?;
    let url = config.public_url.unwrap_or_else(|| local_url(addr, tls.is_some()));
    let Started { gateway, new_admin } = Gateway::start(GatewayConfig {
        data_dir: config.data_dir,
        database: config.database,
        mark,
        master_key: config.master_key,
        accounts: AccountsConfig {
            admin_key: config.admin_key,
            foreign: access.foreign,
            foreign_quotas: access.foreign_quotas,
            rate: access.rate,
        },
        whatsapp_url: config.whatsapp_url,
        public_url: url.clone(),
        keep_events: config.keep_events,
        watch: flowcore_gateway::Watch::default(),
        cache_memory: config.cache_memory,
        room: config.room,
        allow_private: config.allow_private,
        linking: config.evolution.linking.clone(),
        reader: config.reader.map_or_else(std::env::current_exe, Ok).map_err(ServeError::Reader)?,
        models: config.models,
        clock: config.clock,
    })
    .await?;
    if let Err(error) = evolution::begin(&gateway, &config.evolution).await {
        tracing::error!(%error, "the global webhook can't be set");
    }
    let (stopping, cut) = (CancellationToken::new(), CancellationToken::new());
    let tasks = TaskTracker::new();
    let state = AppState(Arc::new(Within {
        gateway: gateway.clone(),
        cookies: Cookies::for_url(&url),
        settings: Arc::new(Settings {
            trusted_proxies: access.trusted_proxies,
            insecure_cookies: access.insecure_cookies,
            cors_origins: access.cors_origins,
            public_url: url.clone(),
        }),
        replays: Arc::default(),
        url: url.as_str().into(),
        uploads: Arc::new(Semaphore::new(UPLOADS)),
        evolution: Arc::new(config.evolution),
        stopping: stopping.clone(),
        tasks: tasks.clone(),
    }));
    if let Some(tls) = tls.clone() {
        tasks.spawn(tls.watch(stopping.clone()));
    }
    let (service, routes) = router::routes(state);
    tasks.spawn(listener::accept(
        listener,
        listener::Service { routes: service, tls },
        listener::Stop { soft: stopping.clone(), hard: cut.clone() },
        tasks.clone(),
    ));
    tracing::info!(%addr, "listening");
    Ok(Running { addr, url, new_admin, routes, gateway, stopping, cut, tasks })
}

impl Running {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its public address, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Every route that it answers, with who may use it.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// The admin key, when it was made by this start.
    pub fn new_admin_key(&self) -> Option<&str> {
        self.new_admin.key.as_deref()
    }

    /// The password of the user `admin`, when it was made by this start.
    pub fn new_admin_password(&self) -> Option<&str> {
        self.new_admin.password.as_deref()
    }

    /// The codes that its instances show, as long as it runs.
    pub fn codes(&self) -> ShownCodes {
        ShownCodes::new(self.gateway.clone())
    }

    /// Stops: no new requests, the running ones end, then the gateway. Returns when nothing is left, and
    /// whether the gateway could finish all that was in flight.
    pub async fn stop(self) -> bool {
        self.stopping.cancel();
        self.tasks.close();
        if tokio::time::timeout(DRAIN, self.tasks.wait()).await.is_err() {
            tracing::warn!("some requests did not end in time and were cut off");
            self.cut.cancel();
            self.tasks.wait().await;
        }
        self.gateway.stop().await
    }
}

async fn bind(host: &str, port: u16) -> Result<(TcpListener, SocketAddr), ServeError> {
    let failed = |cause| ServeError::Listen { address: format!("{host}:{port}"), cause };
    let listener = TcpListener::bind((host, port)).await.map_err(failed)?;
    let addr = listener.local_addr().map_err(failed)?;
    Ok((listener, addr))
}

/// A browser on this machine can't open `0.0.0.0`.
fn local_url(addr: SocketAddr, tls: bool) -> String {
    let scheme = if tls { "https" } else { "http" };
    match addr {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => {
            format!("{scheme}://127.0.0.1:{}", v4.port())
        }
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => format!("{scheme}://[::1]:{}", v6.port()),
        other => format!("{scheme}://{other}"),
    }
}
