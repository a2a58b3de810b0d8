//! The session of one number: a client, the connections that it makes one after the other, and their
//! end.
//!
//! The happy path:
//! 1. [`WebSession::start`] spawns the supervisor and the pump of reports (two tasks).
//! 2. The supervisor builds a client on the fenced session store and runs one connection of it.
//! 3. An unlinked client shows codes; after the scan WhatsApp ends the stream (515) and the supervisor
//!    runs the next connection at once: the first login.
//! 4. When a connection is lost, the supervisor reports it, waits by [`Backoff::RECONNECT`] and runs
//!    the next one.
//!
//! A linked session takes a turn at the gate of [`super::admission`] before it dials, and each connection
//! is watched by [`super::watch`].
//!
//! The other ends: WhatsApp's final word (logged out, replaced, banned …) is reported and the session
//! is over. A write to the store that fails, or a commit that the gateway refuses, drops the client
//! *without* flushing it; a new one starts from the stored ratchets. A stop lets the client say
//! goodbye and flush, then drops whatever is left of it.

use super::Shared;
use super::admission::Turn;
use super::departure::Departures;
use super::device;
use super::dial::SessionDialer;
use super::fence::FencedStore;
use super::hook::CommitHook;
use super::orphans::Orphans;
use super::reports::{self, Ending, Listener, News, NewsSender};
use super::runtime::TrackedRuntime;
use super::session_store::PortBackend;
use super::session_store::keys::{PROBE, PROBE_KEY};
use super::watch;
use async_trait::async_trait;
use flowcore_domain::backoff::Backoff;
use flowcore_domain::engine::{EngineError, Report, Session, SessionSink, SessionSpec};
use flowcore_domain::instance::Reason;
use flowcore_domain::session_store::{Change, SessionStore, SessionStoreError};
use rand::RngExt;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wacore::store::DeviceCommand;
use whatsapp_rust::Client;
use whatsapp_rust::pair_code::PairCodeOptions;
use whatsapp_rust::store::persistence_manager::PersistenceManager;
use whatsapp_rust_ureq_http_client::UreqHttpClient;

/// How long a client may take to say goodbye before it is dropped.
const GOODBYE: Duration = Duration::from_secs(8);
/// A connection that stood this long was a good one: the next failure is the first again.
const STABLE: Duration = Duration::from_secs(30);
/// WhatsApp restarts a stream once after a link; a server that does it again and again is treated as a
/// bad line, with waits in between.
const RESTARTS_IN_A_ROW: u32 = 3;
/// So many connections in a row that fell silent are the client's fault: a new one is made.
const STALLS_IN_A_ROW: u32 = 2;
/// How long a client may take to give up a silent connection.
const HANG_UP: Duration = Duration::from_secs(5);
/// How often the client writes its device record when nothing forces it.
const SAVE_INTERVAL: Duration = Duration::from_secs(30);

/// A running session. See the module.
pub(super) struct WebSession {
    /// The client of the moment; none between two.
    client: Mutex<Option<Arc<Client>>>,
    /// Ends the session, link kept.
    stop: CancellationToken,
    /// Asks the supervisor to unlink before it ends.
    unlink: CancellationToken,
    /// Replaces the client without a flush. A new token for each client.
    abandon: Mutex<CancellationToken>,
    /// Holds the socket back until what a message builds on is durable.
    departures: Arc<Departures>,
    /// Fires when the supervisor and everything of it is gone.
    gone: CancellationToken,
}

impl std::fmt::Debug for WebSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebSession").finish_non_exhaustive()
    }
}

impl WebSession {
    /// Starts the session's tasks.
    pub(super) async fn start(
        shared: Arc<Shared>,
        spec: SessionSpec,
        sink: Arc<dyn SessionSink>,
    ) -> Result<Arc<Self>, EngineError> {
        let dialer = shared.dialer.for_session(spec.proxy.clone());
        let session = Arc::new(Self {
            departures: Arc::clone(dialer.departures()),
            client: Mutex::new(None),
            stop: CancellationToken::new(),
            unlink: CancellationToken::new(),
            abandon: Mutex::new(CancellationToken::new()),
            gone: CancellationToken::new(),
        });
        let (news, waiting) = reports::queue();
        let pump =
            shared.tracker.spawn(reports::pump(waiting, Arc::clone(&sink), session.stop.clone()));
        let supervisor =
            Supervisor { session: Arc::clone(&session), shared, spec, sink, dialer, news };
        // Built once here, so that a stored state that can't be read is the caller's error.
        let first = supervisor.build().await?;
        let tracker = supervisor.shared.tracker.clone();
        tracker.spawn(async move {
            let session = Arc::clone(&supervisor.session);
            supervisor.supervise(first).await;
            // The supervisor held the last sender of news: the pump hands over what is queued, ends.
            drop(pump.await);
            session.gone.cancel();
        });
        Ok(session)
    }

    /// The client, while it is logged in.
    pub(super) fn client(&self) -> Result<Arc<Client>, EngineError> {
        let client = self.client.lock().unwrap_or_else(PoisonError::into_inner).clone();
        client.filter(|client| client.is_logged_in()).ok_or(EngineError::NotConnected)
    }

    /// What holds the socket back while a message leaves.
    pub(super) fn departures(&self) -> &Departures {
        &self.departures
    }

    fn set_client(&self, client: Option<Arc<Client>>) {
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = client;
    }
}

#[async_trait]
impl Session for WebSession {
    async fn pairing_code(&self, phone: &str) -> Result<String, EngineError> {
        let client = self.client.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let client = client.ok_or(EngineError::NotConnected)?;
        // The client gives one code at a time. Who asks again has lost it, or wants it for another phone.
        client.cancel_pair_code().await;
        let options = PairCodeOptions { phone_number: phone.to_owned(), ..Default::default() };
        client.pair_with_code(options).await.map_err(|error| super::error::of_pairing(&error))
    }

    async fn log_out(&self) {
        self.unlink.cancel();
        self.stop().await;
    }

    async fn stop(&self) {
        self.stop.cancel();
        self.gone.cancelled().await;
    }

    async fn abandon(&self) {
        self.abandon.lock().unwrap_or_else(PoisonError::into_inner).cancel();
    }
}

/// Makes clients and runs their connections. One task.
struct Supervisor {
    session: Arc<WebSession>,
    shared: Arc<Shared>,
    spec: SessionSpec,
    sink: Arc<dyn SessionSink>,
    dialer: Arc<SessionDialer>,
    news: NewsSender,
}

/// A client and what is needed to end it.
struct Life {
    client: Arc<Client>,
    listener: Arc<Listener>,
    store: Arc<FencedStore>,
    orphans: Arc<Orphans>,
    /// Fired when a batch could not be committed, or the gateway asks for a fresh client.
    abandoned: CancellationToken,
    /// Ends every task that the client spawned.
    end: CancellationToken,
}

/// How one connection ended.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    /// The session was asked to stop; the client said goodbye.
    Stopped,
    /// WhatsApp restarts the stream, or we do for messages that waited: dial at once.
    Restart,
    /// Dial again after a wait.
    Lost(Reason),
    /// The connection stood and nothing came any more.
    Stalled,
    /// The same, and the client did not even give it up.
    Stuck,
    /// Do not dial again.
    Final(Reason),
    /// The client must not live on: its memory is ahead of the store.
    Abandoned,
}

impl Supervisor {
    async fn supervise(self, first: Life) {
        let mut life = first;
        let mut failures = 0_u32;
        let mut restarts = 0_u32;
        let mut stalls = 0_u32;
        loop {
            let began = Instant::now();
            let outcome = self.run_connection(&life).await;
            life.listener.closed();
            if began.elapsed() >= STABLE {
                failures = 0;
                restarts = 0;
            }
            stalls = if matches!(outcome, Outcome::Stalled) { stalls + 1 } else { 0 };
            match outcome {
                Outcome::Restart if restarts < RESTARTS_IN_A_ROW => {
                    restarts += 1;
                    continue;
                }
                Outcome::Restart => self.lost(Reason::Network).await,
                Outcome::Stopped => return self.bury(life),
                Outcome::Final(reason) => {
                    self.goodbye(&life).await;
                    self.bury(life);
                    return self.tell_end(reason).await;
                }
                Outcome::Lost(reason) => self.lost(reason).await,
                Outcome::Stalled | Outcome::Stuck => self.stalled(outcome, stalls).await,
                Outcome::Abandoned => self.tell(Report::Lost(Reason::Storage)).await,
            }
            failures += 1;
            let stage_three = stalls >= STALLS_IN_A_ROW || matches!(outcome, Outcome::Stuck);
            if stage_three || matches!(outcome, Outcome::Abandoned) {
                if stalls >= STALLS_IN_A_ROW {
                    self.goodbye(&life).await;
                    stalls = 0;
                }
                self.bury(life);
                match self.rebuild(&mut failures).await {
                    Some(next) => life = next,
                    None => return,
                }
            } else if self.wait(Backoff::RECONNECT, failures).await {
                return self.bury(life);
            }
        }
    }

    /// A client on the stored state. Starts nothing yet.
    async fn build(&self) -> Result<Life, EngineError> {
        let store = Arc::new(FencedStore::new(Arc::clone(&self.spec.store)));
        let end = CancellationToken::new();
        let runtime = TrackedRuntime::new(self.shared.tracker.clone(), end.clone());
        let orphans = Arc::new(Orphans::new(
            Arc::clone(&store) as Arc<dyn SessionStore>,
            Arc::clone(&self.sink),
            self.shared.tracker.clone(),
            end.clone(),
        ));
        let backend = PortBackend::new(Arc::clone(&store) as Arc<dyn SessionStore>)
            .with_orphans(Arc::clone(&orphans));
        let persistence = PersistenceManager::new(Arc::new(backend))
            .await
            .map_err(|error| EngineError::Store(error.to_string()))?;
        let props = device::announced(&self.spec.device);
        persistence.process_command(DeviceCommand::SetDeviceProps(props)).await;
        let abandoned = CancellationToken::new();
        let hook = CommitHook {
            sink: Arc::clone(&self.sink),
            orphans: Arc::clone(&orphans),
            failed: abandoned.clone(),
        };
        let mut builder = Client::builder()
            .with_runtime(runtime)
            .with_persistence_manager(Arc::new(persistence))
            .with_transport_factory_arc(Arc::clone(&self.dialer) as _)
            .with_http_client_arc(self.media_hosts() as _)
            .with_cache_config(self.shared.caches.of_a_client())
            .with_inbound_durability_hook(hook)
            .with_skip_history_sync(!self.spec.device.full_history)
            .with_background_saver_interval(SAVE_INTERVAL);
        if let Some(version) = self.shared.version {
            builder = builder.with_version_override(version);
        }
        let build = builder.build().await.map_err(|error| EngineError::Store(error.to_string()))?;
        let client = build.into_client();
        // One connection per run: when and whether the next one is made is the supervisor's to say.
        client.enable_auto_reconnect.store(false, Ordering::Relaxed);
        let listener = Listener::new(self.news.clone());
        listener.attach(&client);
        orphans.attach(&client);
        client.subscribe_handler(Arc::clone(&listener) as _).detach();
        *self.session.abandon.lock().unwrap_or_else(PoisonError::into_inner) = abandoned.clone();
        self.session.departures.attach(&client);
        self.session.set_client(Some(Arc::clone(&client)));
        Ok(Life { client, listener, store, orphans, abandoned, end })
    }

    /// What fetches and brings files: through the instance's proxy where there is one.
    fn media_hosts(&self) -> Arc<UreqHttpClient> {
        match &self.spec.proxy {
            Some(proxy) => Arc::new(self.shared.dialer.media_hosts(proxy)),
            None => Arc::clone(&self.shared.http),
        }
    }

    /// Tries until a client can be built; `None` when the session is stopped meanwhile. WhatsApp is not
    /// dialled before the store takes writes: it would only deliver what can't be kept.
    async fn rebuild(&self, failures: &mut u32) -> Option<Life> {
        loop {
            if self.wait(Backoff::STORAGE, *failures).await {
                return None;
            }
            let restored = match self.try_store().await {
                Ok(()) => self.build().await,
                Err(error) => Err(EngineError::Store(error.to_string())),
            };
            match restored {
                Ok(life) => return Some(life),
                Err(error) => tracing::warn!(%error, "the session can't be restored yet"),
            }
            *failures += 1;
        }
    }

    async fn try_store(&self) -> Result<(), SessionStoreError> {
        let now = wacore::time::now_millis().to_string();
        self.spec.store.apply(vec![Change::put(PROBE, PROBE_KEY, now)]).await
    }

    /// Runs one connection of the client to its end.
    async fn run_connection(&self, life: &Life) -> Outcome {
        let stop = &self.session.stop;
        let Some(turn) = stop.run_until_cancelled(self.turn(life)).await else {
            return Outcome::Stopped;
        };
        let admitted = async {
            if let Some(turn) = turn {
                turn.until(self.arrived(life)).await;
            }
            std::future::pending::<Infallible>().await
        };
        life.orphans.connecting();
        let run = life.client.run();
        tokio::pin!(run);
        tokio::select! {
            biased;
            () = self.session.stop.cancelled() => {
                self.part(life, run).await;
                Outcome::Stopped
            }
            () = life.listener.gave_up() => {
                let outcome = self.judge(life);
                self.part(life, run).await;
                outcome
            }
            () = life.store.broken().cancelled() => Outcome::Abandoned,
            () = life.abandoned.cancelled() => Outcome::Abandoned,
            () = &mut run => self.judge(life),
            () = watch::stalled(&life.client, self.shared.watch) => {
                hang_up(life, run, Outcome::Stalled).await
            }
            () = life.orphans.over() => hang_up(life, run, Outcome::Restart).await,
            never = admitted => match never {},
        }
    }

    /// Says goodbye. The run loop has to be polled meanwhile: it owns the socket.
    async fn part(&self, life: &Life, mut run: Pin<&mut impl Future>) {
        let goodbye = self.goodbye(life);
        tokio::pin!(goodbye);
        tokio::select! {
            () = &mut goodbye => {}
            _ = &mut run => goodbye.await,
        }
    }

    /// A place at the gate, for a linked number. Nobody waits in front of it.
    async fn turn(&self, life: &Life) -> Option<Turn> {
        if is_linked(&life.client) { Some(self.shared.admission.enter().await) } else { None }
    }

    /// Waits for the login, and notes as which version it was.
    async fn arrived(&self, life: &Life) {
        life.listener.arrived().await;
        let device = life.client.persistence_manager().get_device_snapshot();
        let (major, minor) = (device.app_version_primary, device.app_version_secondary);
        *self.shared.announced() = Some((major, minor, device.app_version_tertiary));
    }

    /// The connection broke. Behind a proxy of its own that says nothing about the way of the others.
    async fn lost(&self, reason: Reason) {
        if reason == Reason::Network && self.spec.proxy.is_none() {
            self.shared.admission.failed();
        }
        self.tell(Report::Lost(reason)).await;
    }

    async fn stalled(&self, outcome: Outcome, in_a_row: u32) {
        metrics::counter!("flowcore_watchdog_stalls_total").increment(1);
        let stuck = matches!(outcome, Outcome::Stuck);
        tracing::warn!(in_a_row, stuck, "nothing came from WhatsApp and a ping was not answered");
        self.tell(Report::Lost(Reason::Stalled)).await;
    }

    /// Why a connection ended by itself.
    fn judge(&self, life: &Life) -> Outcome {
        let verdict = self.dialer.take_verdict();
        match life.listener.take_ending() {
            Some(Ending::Final(reason)) => Outcome::Final(reason),
            Some(Ending::Lost(reason)) => Outcome::Lost(reason),
            None => match verdict {
                Some(Reason::UntrustedServer) if !is_linked(&life.client) => {
                    Outcome::Final(Reason::UntrustedServer)
                }
                Some(reason) => Outcome::Lost(reason),
                // The client itself gave it up.
                None if watch::was_silent(&life.client) => Outcome::Stalled,
                // No event and nothing wrong with the socket: WhatsApp asked for a new stream.
                None => Outcome::Restart,
            },
        }
    }

    /// Lets the client flush and close; unlinks first when that was asked for. Bounded.
    async fn goodbye(&self, life: &Life) {
        let parting = async {
            if self.session.unlink.is_cancelled() {
                life.client.logout().await;
            } else {
                life.client.disconnect().await;
            }
        };
        if tokio::time::timeout(GOODBYE, parting).await.is_err() {
            tracing::warn!("a session was dropped before it could say goodbye");
        }
    }

    /// Ends every task of a client and lets nothing of it reach the store any more.
    #[expect(clippy::needless_pass_by_value, reason = "a buried life must not be used again")]
    fn bury(&self, life: Life) {
        self.session.set_client(None);
        life.store.close();
        life.client.signal_shutdown_sync();
        life.end.cancel();
    }

    /// Waits before the next dial; true when the session is stopped meanwhile.
    async fn wait(&self, backoff: Backoff, failures: u32) -> bool {
        let delay = backoff.delay(failures, rand::rng().random());
        tokio::select! {
            () = self.session.stop.cancelled() => true,
            () = tokio::time::sleep(delay) => false,
        }
    }

    async fn tell(&self, report: Report) {
        // Waits while the gateway is behind; fails only when nobody listens any more.
        if self.news.send(News::Report(report)).await.is_err() {
            tracing::debug!("a report came after the end of its session");
        }
    }

    async fn tell_end(&self, reason: Reason) {
        let report = match reason {
            Reason::QrExpired => Report::QrExhausted,
            reason => Report::Ended(reason),
        };
        self.tell(report).await;
    }
}

/// Gives up a connection whose client lives on.
async fn hang_up(life: &Life, run: impl Future, outcome: Outcome) -> Outcome {
    let both = async { tokio::join!(life.client.reconnect_immediately(), run) };
    match tokio::time::timeout(HANG_UP, both).await {
        Ok(_) => outcome,
        Err(_) => Outcome::Stuck,
    }
}

fn is_linked(client: &Client) -> bool {
    client.pn().is_some()
}
