//! One linked device on `whatsapp-rust`, thousands of times in one process.
//!
//! What all sessions share lives here: TLS roots, the client for media hosts (of those without a proxy), the
//! runtime adapter, the memory for what they know of groups. A session of its own has a socket, two tasks and the
//! client's caches; see [`session`].

mod admission;
mod caches;
mod chats;
mod compose;
mod departure;
mod device;
mod dial;
mod error;
mod fence;
mod groups;
mod hook;
mod mail;
mod media_hosts;
mod orphans;
mod past;
mod people;
mod proxy;
mod reports;
mod runtime;
mod session;
mod session_store;
mod translate;
mod votes;
mod watch;

pub use proxy::ProxyGuard;
pub use watch::Watch;

use async_trait::async_trait;
use flowcore_domain::engine::{Engine, EngineError, Session, SessionSink, SessionSpec};
use flowcore_domain::proxy::Proxy;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::task::TaskTracker;
use whatsapp_rust_ureq_http_client::UreqHttpClient;

/// The version of WhatsApp Web that is announced to a network other than WhatsApp's own, which has no
/// page to ask for the current one.
const SANDBOX_CLIENT_VERSION: (u32, u32, u32) = (2, 3000, 1_023_223_821);

/// How the engine reaches WhatsApp.
#[derive(Debug, Clone, Default)]
pub struct WebEngineConfig {
    /// Address of the chat socket; `None` is WhatsApp's own.
    pub url: Option<String>,
    /// Which addresses the proxies of users may have.
    pub proxy_guard: ProxyGuard,
    /// When a connection on which nothing comes is doubted.
    pub watch: Watch,
    /// Bytes that all sessions together may keep of groups' members; `None` is 64 MiB.
    pub cache_memory: Option<u64>,
}

/// Runs linked devices. Cheap to share; one per process.
pub struct WebEngine {
    shared: Arc<Shared>,
}

/// What every session uses and none owns.
struct Shared {
    dialer: dial::Dialer,
    http: Arc<UreqHttpClient>,
    version: Option<(u32, u32, u32)>,
    /// As which version a number last logged in.
    announced: Mutex<Option<(u32, u32, u32)>>,
    admission: Arc<admission::Admission>,
    caches: Arc<caches::Caches>,
    watch: Watch,
    tracker: TaskTracker,
}

impl Shared {
    fn announced(&self) -> MutexGuard<'_, Option<(u32, u32, u32)>> {
        self.announced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for WebEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebEngine").finish_non_exhaustive()
    }
}

impl WebEngine {
    /// An engine whose tasks run on `tracker`, so that a stop of the process waits for them.
    ///
    /// # Errors
    /// When the configured address is no `ws://` or `wss://` URL.
    pub fn new(config: &WebEngineConfig, tracker: TaskTracker) -> Result<Self, EngineError> {
        let version = config.url.is_some().then_some(SANDBOX_CLIENT_VERSION);
        let dialer = dial::Dialer::new(config.url.as_deref(), config.proxy_guard.clone())?;
        let http = Arc::new(UreqHttpClient::new());
        let (admission, watch) = (admission::Admission::new(), config.watch);
        let shared = Shared {
            dialer,
            http,
            version,
            announced: Mutex::new(None),
            admission,
            caches: caches::Caches::new(config.cache_memory),
            watch,
            tracker,
        };
        Ok(Self { shared: Arc::new(shared) })
    }
}

#[async_trait]
impl Engine for WebEngine {
    async fn start(
        &self,
        spec: SessionSpec,
        sink: Arc<dyn SessionSink>,
    ) -> Result<Arc<dyn Session>, EngineError> {
        let session = session::WebSession::start(Arc::clone(&self.shared), spec, sink).await?;
        Ok(session)
    }

    async fn try_proxy(&self, proxy: &Proxy) -> Result<(), EngineError> {
        self.shared.dialer.try_proxy(proxy).await
    }

    fn client_version(&self) -> Option<String> {
        self.shared.announced().map(|(first, second, third)| format!("{first}.{second}.{third}"))
    }
}

/// Whether this build refuses a server that can't prove to be WhatsApp: hands the verifier of the
/// Noise certificate a made-up chain. `false` means that the binary was built with the features that
/// only the sandbox may have, and must not run real numbers.
#[must_use]
pub fn verifies_certificates() -> bool {
    dial::refuses_forged_chain()
}
