//! One task for each live instance: the only place where its state changes.
//!
//! Happy path: a command or a report comes in → [`State::next`] says what becomes of it → the effects
//! are carried out in order → the row and the event are written in one transaction → watchers are told.
//! A caller that waits for a change watches the snapshots.
//!
//! What can go wrong: the database does not take the row (the state goes on in memory, the next change
//! writes it); the engine can't start (the instance stops with the reason `storage`). While a session is
//! being stopped its last reports still come in; they are kept and handled after.

use super::linking::ShownCodes;
use super::owed::{self, Debts, Owed};
use super::{Snapshot, manners, noted};
use crate::Shared;
use crate::inbox::Inbox;
use crate::outbox::render;
use flowcore_domain::clock::Millis;
use flowcore_domain::engine::{DeviceProfile, Engine, Report, Session, SessionSink, SessionSpec};
use flowcore_domain::event::NewEvent;
use flowcore_domain::happening::Happening;
use flowcore_domain::id::{InstanceId, UserId};
use flowcore_domain::instance::state::{Effect, Input, State};
use flowcore_domain::instance::{Instance, InstanceName, Reason, Status};
use flowcore_storage::InstanceChange;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot, watch};

/// What an actor can be told.
#[derive(Debug)]
pub(crate) enum Command {
    /// Run.
    Start(oneshot::Sender<()>),
    /// Stop and start again, link kept.
    Restart(oneshot::Sender<()>),
    /// Unlink on WhatsApp and forget the keys.
    LogOut(oneshot::Sender<()>),
    /// End for good: the row is about to be deleted.
    Delete(oneshot::Sender<()>),
    /// There is a code to type as well, while codes to scan are on show.
    Typed(String, oneshot::Sender<()>),
    /// News of the session.
    Report(Report),
}

/// The session of an instance, where senders find it. Written by the actor only.
pub(crate) type SessionSlot = Arc<Mutex<Option<Arc<dyn Session>>>>;

/// How others reach an actor.
#[derive(Debug, Clone)]
pub(crate) struct Handle {
    commands: mpsc::Sender<Command>,
    snapshots: watch::Receiver<Snapshot>,
    session: SessionSlot,
}

impl Handle {
    pub(crate) fn new(
        commands: mpsc::Sender<Command>,
        snapshots: watch::Receiver<Snapshot>,
    ) -> Self {
        Self { commands, snapshots, session: SessionSlot::default() }
    }

    pub(crate) fn is_alive(&self) -> bool {
        !self.commands.is_closed()
    }

    pub(crate) fn session_slot(&self) -> SessionSlot {
        Arc::clone(&self.session)
    }

    /// The running session, if there is one.
    pub(crate) fn session(&self) -> Option<Arc<dyn Session>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the instance is doing now.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.snapshots.borrow().clone()
    }

    /// A view of every change from now on.
    pub(crate) fn watch(&self) -> watch::Receiver<Snapshot> {
        self.snapshots.clone()
    }

    /// Tells the actor something and waits until it is done. False when the actor is gone.
    pub(crate) async fn ask(&self, command: impl FnOnce(oneshot::Sender<()>) -> Command) -> bool {
        let (done, wait) = oneshot::channel();
        self.commands.send(command(done)).await.is_ok() && wait.await.is_ok()
    }
}

/// The owner of one instance's state.
pub(crate) struct Actor {
    shared: Arc<Shared>,
    engine: Arc<dyn Engine>,
    id: InstanceId,
    user_id: UserId,
    name: InstanceName,
    me: mpsc::WeakSender<Command>,
    snapshots: watch::Sender<Snapshot>,
    session: SessionSlot,
    /// `None` only while a transition is computed.
    state: Option<State>,
    /// The codes of this try to link.
    codes: ShownCodes,
    /// The code to type.
    typed: Option<String>,
    /// Commands that came while a session was being stopped.
    backlog: VecDeque<Command>,
    /// What the store has not taken yet.
    debts: Debts,
}

impl Actor {
    pub(crate) fn new(
        world: (Arc<Shared>, Arc<dyn Engine>),
        instance: &Instance,
        me: mpsc::WeakSender<Command>,
        snapshots: watch::Sender<Snapshot>,
        session: SessionSlot,
    ) -> Self {
        let (shared, engine) = world;
        Self {
            shared,
            engine,
            id: instance.id,
            user_id: instance.user_id,
            name: instance.name.clone(),
            me,
            snapshots,
            session,
            state: Some(stored_state(instance)),
            codes: ShownCodes::default(),
            typed: None,
            backlog: VecDeque::new(),
            debts: Debts::default(),
        }
    }

    /// Runs until the instance is deleted or the process stops.
    pub(crate) async fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        let stopping = self.shared.lifecycle.stopping().clone();
        loop {
            let kept = self.backlog.pop_front();
            let command = if kept.is_some() {
                kept
            } else {
                tokio::select! {
                    biased;
                    () = stopping.cancelled() => None,
                    command = inbox.recv() => command,
                    () = tokio::time::sleep(owed::EVERY), if !self.debts.is_empty() => {
                        self.settle().await;
                        continue;
                    }
                }
            };
            let Some(command) = command else { break };
            match command {
                Command::Report(report) => self.report(report, &mut inbox).await,
                Command::Start(done) => {
                    self.start(&mut inbox).await;
                    let _ = done.send(());
                }
                Command::Restart(done) => {
                    self.input(Input::Stop, &mut inbox).await;
                    self.start(&mut inbox).await;
                    let _ = done.send(());
                }
                Command::Typed(code, done) => {
                    self.typed(code).await;
                    let _ = done.send(());
                }
                Command::LogOut(done) => {
                    self.log_out(&mut inbox).await;
                    let _ = done.send(());
                }
                Command::Delete(done) => {
                    self.stop_session(&mut inbox).await;
                    let _ = done.send(());
                    return;
                }
            }
        }
        // The process stops: the link and the wish to run stay as they are stored.
        self.stop_session(&mut inbox).await;
        self.settle().await;
    }

    async fn start(&mut self, inbox: &mut mpsc::Receiver<Command>) {
        if !self.state().is_running() {
            self.codes = ShownCodes::default();
        }
        self.input(Input::Start, inbox).await;
    }

    /// Shows a code to type beside the one to scan; when none is on show any more, it is good for nothing.
    async fn typed(&mut self, code: String) {
        let State::Pairing(shown) = self.state() else { return };
        let now = self.shared.now();
        let event = render::qr((self.id, &self.name), (shown, Some(&code)), now);
        self.typed = Some(code);
        // First what is looked up: who is told of the code may look at once.
        self.snapshots.send_replace(Snapshot::live(self.state(), self.typed.as_deref(), now));
        self.publish(vec![event]).await;
    }

    fn state(&self) -> &State {
        self.state.as_ref().expect("a state between two transitions")
    }

    async fn exhausted(&mut self, now: Millis, inbox: &mut mpsc::Receiver<Command>) {
        self.input(Input::QrExhausted, inbox).await;
        self.publish(vec![render::qr_exhausted(self.id, now)]).await;
    }

    async fn settle(&mut self) {
        let whose = (self.id, self.user_id, &self.name);
        self.debts.settle(&self.shared, whose).await;
    }

    async fn report(&mut self, report: Report, inbox: &mut mpsc::Receiver<Command>) {
        let now = self.shared.now();
        match report {
            Report::Qr { text, valid_for } => {
                if self.codes.next(&text, self.shared.linking.codes) {
                    self.input(Input::QrShown { text, now, valid_for }, inbox).await;
                } else {
                    self.exhausted(now, inbox).await;
                }
            }
            Report::QrExhausted if self.codes.go_on(self.shared.linking.codes) => {
                self.input(Input::NextRound, inbox).await;
            }
            Report::QrExhausted => self.exhausted(now, inbox).await,
            Report::Paired(identity) => self.input(Input::Paired(identity), inbox).await,
            Report::Opened(identity) => {
                self.input(Input::Opened(identity), inbox).await;
                self.resend();
                manners::opened(&self.shared, self.id);
            }
            Report::Lost(reason) => self.input(Input::Lost(reason), inbox).await,
            Report::Ended(reason) => self.input(Input::Ended(reason), inbox).await,
            Report::Happened(happening) => {
                self.happened(&happening, now).await;
            }
            Report::Status { chat, ids, status, participant, at } => {
                let news = crate::messages::News { chat, ids, status, participant, at };
                let whose = (self.id, self.user_id, &self.name);
                self.debts.write(&self.shared, whose, Owed::News(news)).await;
            }
        }
    }

    async fn happened(&mut self, happening: &Happening, now: Millis) {
        self.shared.groups.happened(self.id, happening);
        if !manners::takes(&self.shared, self.id, happening).await {
            return;
        }
        noted::note(&self.shared, self.id, happening).await;
        if let Happening::ChatChanged { chat, read: Some(read) } = happening {
            let whose = (self.id, self.user_id, &self.name);
            let owed = Owed::Read(chat.clone(), *read);
            self.debts.write(&self.shared, whose, owed).await;
        }
        let event = render::happened((self.id, &self.name), happening, now);
        if let Happening::GroupMade { group, .. } = happening
            && self.current_session().is_some()
        {
            let whose = (self.id, self.user_id, &self.name);
            return manners::tell_of_group(&self.shared, whose, (group.clone(), event));
        }
        self.publish(vec![event]).await;
    }

    /// Sends what was accepted and never acknowledged, beside the actor: it may take a while, and the
    /// actor has receipts to handle meanwhile.
    fn resend(&self) {
        let Some(session) = self.current_session() else { return };
        let whose = (self.id, self.user_id, self.name.clone());
        let shared = Arc::clone(&self.shared);
        let stopping = shared.lifecycle.stopping().clone();
        let work = async move { crate::messages::resend_pending(&shared, whose, session).await };
        self.shared.lifecycle.tracker().spawn(stopping.run_until_cancelled_owned(work));
    }

    fn current_session(&self) -> Option<Arc<dyn Session>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn input(&mut self, input: Input, inbox: &mut mpsc::Receiver<Command>) {
        let before = self.state.take().expect("a state between two transitions");
        let was = (before.status(), before.reason());
        let started = matches!(input, Input::Start);
        let (after, effects) = before.next(input);
        self.state = Some(after);
        let mut start_failed = false;
        for effect in effects {
            match effect {
                Effect::StartSession => start_failed = !self.start_session().await,
                Effect::StopSession => self.stop_session(inbox).await,
                Effect::ForgetSession => self.forget_session().await,
                Effect::Announce => self.announce(was, started).await,
            }
        }
        if start_failed {
            Box::pin(self.input(Input::Ended(Reason::Storage), inbox)).await;
        }
    }

    async fn start_session(&self) -> bool {
        let sink: Arc<dyn SessionSink> = Arc::new(Inbox {
            shared: Arc::clone(&self.shared),
            instance_id: self.id,
            user_id: self.user_id,
            name: self.name.clone(),
            actor: self.me.clone(),
        });
        let proxy = match self.shared.store.proxy(self.id).await {
            Ok(proxy) => proxy,
            // Never around a proxy that is there and can't be read.
            Err(error) => {
                tracing::error!(instance = %self.id, %error, "the proxy can't be read");
                return false;
            }
        };
        let linking = &self.shared.linking;
        let settings = self.shared.switches.of(&self.shared.store, self.id).await;
        let device = DeviceProfile {
            name: linking.device_name.clone(),
            browser: linking.browser,
            full_history: settings.is_ok_and(|settings| settings.sync_full_history),
        };
        let spec = SessionSpec {
            instance_id: self.id,
            device,
            store: self.shared.store.session_store(self.id),
            proxy: proxy.or_else(|| linking.proxy.clone()),
        };
        match self.engine.start(spec, sink).await {
            Ok(session) => {
                *self.session.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
                true
            }
            Err(error) => {
                tracing::error!(instance = %self.id, %error, "the session can't be started");
                false
            }
        }
    }

    /// Stops the session and keeps taking commands meanwhile: its last reports have to find room.
    async fn stop_session(&mut self, inbox: &mut mpsc::Receiver<Command>) {
        if let Some(session) = self.take_session() {
            self.while_taking(inbox, async move { session.stop().await }).await;
        }
    }

    async fn log_out(&mut self, inbox: &mut mpsc::Receiver<Command>) {
        if let Some(session) = self.take_session() {
            self.while_taking(inbox, async move { session.log_out().await }).await;
        }
        self.input(Input::Ended(Reason::LoggedOut), inbox).await;
    }

    fn take_session(&self) -> Option<Arc<dyn Session>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    async fn while_taking(
        &mut self,
        inbox: &mut mpsc::Receiver<Command>,
        work: impl Future<Output = ()>,
    ) {
        tokio::pin!(work);
        loop {
            tokio::select! {
                () = &mut work => return,
                Some(command) = inbox.recv() => self.backlog.push_back(command),
            }
        }
    }

    async fn forget_session(&self) {
        if let Err(error) = self.shared.store.session_store(self.id).clear().await {
            tracing::error!(instance = %self.id, %error, "keys of an ended link could not be removed");
        }
    }

    /// Writes the new state with its events, then tells who watches.
    async fn announce(&mut self, was: (Status, Option<Reason>), started: bool) {
        let now = self.shared.now();
        if !matches!(self.state(), State::Pairing(_)) {
            self.typed = None;
        }
        let state = self.state();
        let change = InstanceChange {
            status: state.status(),
            reason: state.reason(),
            identity: Some(state.identity().cloned()),
            wanted: wanted(state, started),
            last_connected: matches!(state, State::Online(_)).then_some(now),
            now,
        };
        let picture = self.own_picture(state).await;
        let events = self.events_of(was, picture.as_deref(), now);
        let live = Snapshot::live(state, self.typed.as_deref(), now);
        let whose = (self.id, self.user_id, &self.name);
        let (world, owed) = ((&*self.shared, whose), Owed::State(change, events));
        let snapshots = &self.snapshots;
        // Who looks sees what is, also while nothing can be stored.
        let show = || drop(snapshots.send_replace(live));
        self.debts.write_showing(world, owed, show).await;
    }

    /// The picture of who just came online, as far as it is known.
    async fn own_picture(&self, state: &State) -> Option<String> {
        let State::Online(identity) = state else { return None };
        let own = std::slice::from_ref(&identity.jid);
        let found = self.shared.store.pictures(self.id, own).await;
        found.ok()?.into_values().next()
    }

    fn events_of(
        &self,
        was: (Status, Option<Reason>),
        picture: Option<&str>,
        now: Millis,
    ) -> Vec<NewEvent> {
        let state = self.state();
        let mut events = Vec::new();
        if let State::Pairing(code) = state {
            events.push(render::qr((self.id, &self.name), (code, self.typed.as_deref()), now));
        }
        if was != (state.status(), state.reason()) {
            let news = render::Connection {
                status: state.status(),
                reason: state.reason(),
                identity: state.identity(),
                picture,
            };
            events.push(render::connection(self.id, &self.name, &news, now));
            count(state.status(), state.reason());
        }
        let stopped = matches!(state, State::Stopped { .. });
        // A stop that was asked for is none that needs to be told: it may be half of a restart.
        let ended = state.reason().filter(|reason| *reason != Reason::Stopped);
        if let (true, Some(reason)) = (stopped && was.0 != state.status(), ended) {
            events.push(render::ended(self.id, &self.name, reason, now));
        }
        if stopped && state.reason() == Some(Reason::LoggedOut) {
            events.push(render::logged_out(self.id, now));
        }
        events
    }

    async fn publish(&mut self, events: Vec<NewEvent>) {
        let whose = (self.id, self.user_id, &self.name);
        self.debts.write(&self.shared, whose, Owed::Events(events)).await;
    }
}

/// Whether a restart of the server should bring the instance back: from its start until it ends by a
/// final word. An instance that somebody else took over does not fight for its session.
fn wanted(state: &State, started: bool) -> Option<bool> {
    match state {
        State::Stopped { .. } => Some(false),
        _ if started => Some(true),
        _ => None,
    }
}

fn stored_state(instance: &Instance) -> State {
    let ever_started = instance.status != Status::Created;
    State::stored(instance.identity.clone(), instance.reason, ever_started)
}

fn count(status: Status, reason: Option<Reason>) {
    let labels = [("status", status.as_str()), ("reason", reason.map_or("none", Reason::as_str))];
    metrics::counter!("flowcore_connection_changes_total", &labels).increment(1);
}
