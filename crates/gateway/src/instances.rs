//! The numbers: create, link, restart, log out, delete.
//!
//! [`registry`] knows who is live, [`actor`] owns the state of one. This page is what callers see; it
//! checks whose instance it is, tells the actor, and waits where a caller waits for an outcome.

pub(crate) mod actor;
mod history;
pub(crate) mod linking;
pub(crate) mod manners;
mod noted;
pub(crate) mod options;
mod owed;
pub(crate) mod registry;
pub(crate) mod switches;

use crate::accounts::Caller;
use crate::error::ServiceError;
use crate::outbox::live::LiveEvent;
use crate::outbox::render;
use crate::{Shared, StartError, fresh_id};
use actor::{Command, Handle};
use flowcore_domain::clock::Millis;
use flowcore_domain::engine::{EngineError, Session};
use flowcore_domain::event::EventKind;
use flowcore_domain::id::InstanceId;
use flowcore_domain::instance::pairing::QrCode;
use flowcore_domain::instance::state::State;
use flowcore_domain::instance::{Identity, Instance, InstanceName, Reason, Status};
use flowcore_domain::jid::Jid;
use flowcore_storage::{InstanceChange, InstanceOptions, NewInstance, StorageError};
use futures_util::StreamExt;
use std::sync::Arc;
use std::time::Duration;

/// Most instances that a page of a list has.
const MAX_PAGE: usize = 10_000;
/// How long a logout waits for a stopped instance to come online, so that the phone is told.
const LOGOUT_DIAL: Duration = Duration::from_secs(10);
/// How many sessions are started at once when the server starts.
const STARTS_AT_ONCE: usize = 16;

/// What callers see of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceView {
    /// Its id.
    pub id: InstanceId,
    /// Its name.
    pub name: InstanceName,
    /// What it is doing.
    pub status: Status,
    /// Why it is not connected.
    pub reason: Option<Reason>,
    /// Its phone number in digits, once linked.
    pub number: Option<String>,
    /// Its private id.
    pub lid: Option<String>,
    /// The name that its contacts see.
    pub profile_name: Option<String>,
    /// When it was last connected.
    pub last_connected: Option<Millis>,
    /// Since when it is not connected, when it was before.
    pub disconnected_at: Option<Millis>,
    /// When it was made.
    pub created_at: Millis,
    /// When it changed last.
    pub updated_at: Millis,
    /// The code to scan now.
    pub qr: Option<QrCode>,
    /// The code to type instead, when one was asked for.
    pub typed: Option<String>,
}

/// What of an instance moves while it lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) status: Status,
    pub(crate) reason: Option<Reason>,
    pub(crate) identity: Option<Identity>,
    pub(crate) qr: Option<QrCode>,
    pub(crate) typed: Option<String>,
    /// When this became so; `None` while it is only what was stored.
    at: Option<Millis>,
}

impl Snapshot {
    /// What is stored, for an instance that nothing runs.
    pub(crate) fn of(instance: &Instance) -> Self {
        Self {
            status: instance.status,
            reason: instance.reason,
            identity: instance.identity.clone(),
            qr: None,
            typed: None,
            at: None,
        }
    }

    /// What a state shows.
    pub(crate) fn live(state: &State, typed: Option<&str>, at: Millis) -> Self {
        let qr = match state {
            State::Pairing(code) => Some(code.clone()),
            _ => None,
        };
        Self {
            status: state.status(),
            reason: state.reason(),
            identity: state.identity().cloned(),
            qr,
            typed: typed.map(str::to_owned),
            at: Some(at),
        }
    }

    fn is_running(&self) -> bool {
        matches!(self.status, Status::Connecting | Status::Connected)
    }
}

/// An instance that is connected, for a service that does something with it.
pub(crate) struct Online {
    pub(crate) instance: Instance,
    pub(crate) session: Arc<dyn Session>,
    /// The number's own address.
    pub(crate) own: Jid,
}

/// Which instances a list shows, in order of their names.
#[derive(Debug, Clone, Default)]
pub struct InstanceFilter {
    /// Only those that do this.
    pub status: Option<Status>,
    /// Only those whose name or number contains this.
    pub search: Option<String>,
    /// Only those behind this name.
    pub after: Option<InstanceName>,
    /// At most so many; 0 means as many as a page may have.
    pub limit: usize,
}

/// The numbers.
#[derive(Debug, Clone)]
pub struct Instances {
    shared: Arc<Shared>,
}

impl Instances {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Makes the instance if it is new, starts it if it is stopped, and waits until there is a code to
    /// scan, the session is open, or it ended; at most `wait`.
    ///
    /// # Errors
    /// [`ServiceError::NameTaken`] when another user has the name; [`ServiceError::Forbidden`] when it is
    /// new and the caller's key is limited to others.
    pub async fn connect(
        &self,
        caller: &Caller,
        name: &InstanceName,
        wait: Duration,
    ) -> Result<InstanceView, ServiceError> {
        let instance = self.find_or_create(caller, name).await?;
        let handle = self.shared.registry.get_or_start(&self.shared, &instance);
        if !handle.snapshot().is_running() || handle.session().is_none() {
            self.shared.room.for_session()?;
            self.ask(&handle, Command::Start).await?;
        }
        let mut watch = handle.watch();
        let settled = watch.wait_for(|now| {
            now.qr.is_some() || !matches!(now.status, Status::Connecting | Status::Created)
        });
        // Nothing yet after `wait` is an answer too.
        let _ = tokio::time::timeout(wait, settled).await;
        Ok(view(&instance, &handle.snapshot()))
    }

    /// A code to type on the phone with that number (digits) while a QR code is on show; `None` when
    /// none is. An earlier code is no longer good.
    ///
    /// # Errors
    /// [`ServiceError::Rejected`] when WhatsApp gives none for this number.
    pub async fn pairing_code(
        &self,
        caller: &Caller,
        name: &InstanceName,
        phone: &str,
    ) -> Result<Option<String>, ServiceError> {
        let instance = self.find(caller, name).await?;
        let handle = self.shared.registry.get_or_start(&self.shared, &instance);
        let Some(session) = handle.session().filter(|_| handle.snapshot().qr.is_some()) else {
            return Ok(None);
        };
        match session.pairing_code(phone).await {
            Ok(code) => {
                handle.ask(|done| Command::Typed(code.clone(), done)).await;
                Ok(Some(code))
            }
            // The round ended in this instant; the instance says so.
            Err(EngineError::NotConnected) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The caller's instances, in order of their names.
    ///
    /// # Errors
    /// When the store can't be asked.
    pub async fn list(
        &self,
        caller: &Caller,
        filter: &InstanceFilter,
    ) -> Result<Vec<InstanceView>, ServiceError> {
        let stored = flowcore_storage::InstanceFilter {
            user_id: caller.user_of_lists(),
            search: filter.search.clone(),
            ..Default::default()
        };
        let mut found: Vec<_> = self
            .shared
            .store
            .instances(&stored)
            .await?
            .iter()
            .filter(|instance| caller.sees(instance))
            .map(|instance| self.current(instance))
            .filter(|view| filter.status.is_none_or(|status| view.status == status))
            .collect();
        found.sort_by_key(|view| view.name.folded());
        if let Some(after) = &filter.after {
            found.retain(|view| view.name.folded() > after.folded());
        }
        // One more than a page tells whether there is another.
        found.truncate(if filter.limit == 0 { MAX_PAGE } else { filter.limit.min(MAX_PAGE + 1) });
        Ok(found)
    }

    /// One instance.
    ///
    /// # Errors
    /// [`ServiceError::InstanceNotFound`] also for those of others.
    pub async fn get(
        &self,
        caller: &Caller,
        name: &InstanceName,
    ) -> Result<InstanceView, ServiceError> {
        let instance = self.find(caller, name).await?;
        Ok(self.current(&instance))
    }

    /// Stops and starts the session, link kept.
    ///
    /// # Errors
    /// [`ServiceError::InstanceNotFound`] also for those of others.
    pub async fn restart(
        &self,
        caller: &Caller,
        name: &InstanceName,
    ) -> Result<InstanceView, ServiceError> {
        let instance = self.find(caller, name).await?;
        let handle = self.shared.registry.get_or_start(&self.shared, &instance);
        if !handle.snapshot().is_running() {
            self.shared.room.for_session()?;
        }
        self.ask(&handle, Command::Restart).await?;
        Ok(view(&instance, &handle.snapshot()))
    }

    /// Unlinks the device on WhatsApp and keeps the instance with its data. Nothing to do is fine.
    ///
    /// # Errors
    /// [`ServiceError::InstanceNotFound`] also for those of others.
    pub async fn log_out(
        &self,
        caller: &Caller,
        name: &InstanceName,
    ) -> Result<InstanceView, ServiceError> {
        let instance = self.find(caller, name).await?;
        let handle = self.shared.registry.get_or_start(&self.shared, &instance);
        self.unlink(&handle).await?;
        Ok(view(&instance, &handle.snapshot()))
    }

    /// Unlinks and removes everything of it.
    ///
    /// # Errors
    /// [`ServiceError::InstanceNotFound`] also for those of others, and the second time.
    pub async fn delete(&self, caller: &Caller, name: &InstanceName) -> Result<(), ServiceError> {
        let instance = self.find(caller, name).await?;
        let handle = self.shared.registry.get_or_start(&self.shared, &instance);
        self.unlink(&handle).await?;
        self.ask(&handle, Command::Delete).await?;
        self.shared.registry.remove(instance.id);
        let now = self.shared.now();
        let farewell = render::farewell(instance.id, &instance.name, now);
        let told = self.shared.store.retire_instance(instance.id, farewell, now).await?;
        let told = told.ok_or(ServiceError::InstanceNotFound)?;
        self.shared.outbox.published(instance.user_id, &instance.name, &told);
        Ok(())
    }

    /// Starts what should run after a start of the server, a few at a time, and sets right what a crash
    /// left behind.
    pub(crate) async fn bring_back(&self) -> Result<(), StartError> {
        self.shared.store.expect_back().await?;
        let all = self.shared.store.instances(&flowcore_storage::InstanceFilter::default()).await?;
        let (back, rest): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|one| one.wanted && one.identity.is_some());
        for instance in rest {
            self.settle(&instance).await?;
        }
        let starts = futures_util::stream::iter(back).for_each_concurrent(STARTS_AT_ONCE, {
            let shared = Arc::clone(&self.shared);
            move |instance| {
                let shared = Arc::clone(&shared);
                async move {
                    let handle = shared.registry.get_or_start(&shared, &instance);
                    handle.ask(Command::Start).await;
                }
            }
        });
        let stopping = self.shared.lifecycle.stopping().clone();
        self.shared.lifecycle.tracker().spawn(stopping.run_until_cancelled_owned(starts));
        Ok(())
    }

    /// An instance that was being linked when the server went away is stopped now, and says so.
    async fn settle(&self, instance: &Instance) -> Result<(), StorageError> {
        if !Snapshot::of(instance).is_running() {
            return Ok(());
        }
        let change = InstanceChange {
            status: Status::Disconnected,
            reason: Some(instance.reason.unwrap_or(Reason::Stopped)),
            identity: None,
            wanted: Some(false),
            last_connected: None,
            now: self.shared.now(),
        };
        self.shared.store.update_instance(instance.id, change, vec![]).await?;
        Ok(())
    }

    /// The caller's instance of that name with its actor, for the other services.
    pub(crate) async fn find(
        &self,
        caller: &Caller,
        name: &InstanceName,
    ) -> Result<Instance, ServiceError> {
        let found = self.shared.store.instance_by_name(name).await?;
        found.filter(|one| caller.sees(one)).ok_or(ServiceError::InstanceNotFound)
    }

    /// The caller's instance of that name with its session, when it is online.
    pub(crate) async fn online(
        &self,
        caller: &Caller,
        name: &InstanceName,
    ) -> Result<Online, ServiceError> {
        let instance = self.find(caller, name).await?;
        online_now(&self.shared, instance)
    }

    async fn find_or_create(
        &self,
        caller: &Caller,
        name: &InstanceName,
    ) -> Result<Instance, ServiceError> {
        // A second round for the case that somebody creates or deletes it in the same instant.
        for _ in 0..2 {
            if let Some(found) = self.shared.store.instance_by_name(name).await? {
                let seen = caller.sees(&found);
                return if seen { Ok(found) } else { Err(ServiceError::NameTaken) };
            }
            if caller.only.is_some() {
                return Err(ServiceError::Forbidden);
            }
            match self.make(caller, name, InstanceOptions::default()).await {
                Err(ServiceError::NameTaken) => {}
                made => return made,
            }
        }
        Err(ServiceError::NameTaken)
    }

    async fn make(
        &self,
        caller: &Caller,
        name: &InstanceName,
        options: InstanceOptions,
    ) -> Result<Instance, ServiceError> {
        self.shared.room.for_instance(&self.shared.store).await?;
        let (id, now) = (fresh_id(), self.shared.now());
        let new = NewInstance { id, user_id: caller.user_id, name: name.clone(), now };
        let events = vec![render::created(id, name, now)];
        let token = options.token.clone();
        match self.shared.store.create_instance_with(new, options, events).await {
            Ok(instance) => {
                self.tell_created(&instance);
                Ok(instance)
            }
            Err(StorageError::Conflict(_)) if token.is_some() && !self.is_taken(name).await? => {
                Err(ServiceError::TokenTaken)
            }
            Err(StorageError::Conflict(_)) => Err(ServiceError::NameTaken),
            Err(error) => Err(error.into()),
        }
    }

    async fn is_taken(&self, name: &InstanceName) -> Result<bool, ServiceError> {
        Ok(self.shared.store.instance_by_name(name).await?.is_some())
    }

    fn tell_created(&self, instance: &Instance) {
        self.shared.outbox.tell(LiveEvent {
            instance_id: instance.id,
            user_id: instance.user_id,
            instance: instance.name.clone(),
            kind: EventKind::InstanceCreate,
            event_id: None,
            data: serde_json::Value::Null,
        });
        // It waits for webhooks of all instances.
        self.shared.outbox.work.notify_one();
    }

    async fn unlink(&self, handle: &Handle) -> Result<(), ServiceError> {
        let now = handle.snapshot();
        if now.identity.is_some() && handle.session().is_none() {
            self.ask(handle, Command::Start).await?;
            let mut watch = handle.watch();
            let online = watch.wait_for(|now| now.status == Status::Connected || !now.is_running());
            // Unreachable within that time: the link then ends on our side alone.
            let _ = tokio::time::timeout(LOGOUT_DIAL, online).await;
        }
        self.ask(handle, Command::LogOut).await
    }

    async fn ask(
        &self,
        handle: &Handle,
        command: fn(tokio::sync::oneshot::Sender<()>) -> Command,
    ) -> Result<(), ServiceError> {
        if handle.ask(command).await {
            Ok(())
        } else {
            Err(ServiceError::Unavailable(
                "the instance is being removed or the server stops".into(),
            ))
        }
    }

    fn current(&self, instance: &Instance) -> InstanceView {
        match self.shared.registry.get(instance.id) {
            Some(handle) => view(instance, &handle.snapshot()),
            None => view(instance, &Snapshot::of(instance)),
        }
    }
}

/// An instance with its session, when it is online.
pub(crate) fn online_now(shared: &Shared, instance: Instance) -> Result<Online, ServiceError> {
    let offline = |status, reason| ServiceError::NotConnected { status, reason };
    let Some(handle) = shared.registry.get(instance.id) else {
        return Err(offline(instance.status, instance.reason));
    };
    let now = handle.snapshot();
    match (handle.session(), now.identity) {
        (Some(session), Some(who)) if now.status == Status::Connected => {
            Ok(Online { instance, session, own: who.jid })
        }
        _ => Err(offline(now.status, now.reason)),
    }
}

/// What is stored with what is so now.
fn view(instance: &Instance, now: &Snapshot) -> InstanceView {
    let identity = now.identity.as_ref();
    let connected_now = (now.status == Status::Connected).then_some(now.at).flatten();
    InstanceView {
        id: instance.id,
        name: instance.name.clone(),
        status: now.status,
        reason: now.reason,
        number: identity.and_then(|who| who.jid.phone()).map(str::to_owned),
        lid: identity.and_then(|who| who.lid.as_ref()).map(ToString::to_string),
        profile_name: identity.and_then(|who| who.profile_name.clone()),
        last_connected: connected_now.or(instance.last_connected),
        disconnected_at: match now.status {
            Status::Disconnected => now.at.or(instance.disconnected_at),
            _ => None,
        },
        created_at: instance.created_at,
        updated_at: now.at.map_or(instance.updated_at, |at| at.max(instance.updated_at)),
        qr: now.qr.clone(),
        typed: now.typed.clone(),
    }
}
