//! Which instances have an actor: id → handle.
//!
//! An actor is made at the first use of an instance and lives until the instance is deleted or the
//! process ends; an idle one is a task that waits. The map is only locked to look up and to insert.

use super::actor::{Actor, Command, Handle};
use crate::Shared;
use crate::instances::Snapshot;
use flowcore_domain::engine::Engine;
use flowcore_domain::id::InstanceId;
use flowcore_domain::instance::Instance;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, watch};

/// How many commands and reports of one instance may wait.
const INBOX: usize = 256;

/// Every actor of the process.
#[derive(Debug)]
pub(crate) struct Registry {
    engine: Arc<dyn Engine>,
    handles: Mutex<HashMap<InstanceId, Handle>>,
}

impl Registry {
    pub(crate) fn new(engine: Arc<dyn Engine>) -> Self {
        Self { engine, handles: Mutex::default() }
    }

    /// What runs the sessions.
    pub(crate) fn engine(&self) -> &dyn Engine {
        &*self.engine
    }

    /// The actor of an instance, if it has one.
    pub(crate) fn get(&self, id: InstanceId) -> Option<Handle> {
        self.lock().get(&id).filter(|handle| handle.is_alive()).cloned()
    }

    /// The actor of an instance, made when there is none.
    pub(crate) fn get_or_start(&self, shared: &Arc<Shared>, instance: &Instance) -> Handle {
        let mut handles = self.lock();
        if let Some(handle) = handles.get(&instance.id).filter(|handle| handle.is_alive()) {
            return handle.clone();
        }
        let (tx, rx) = mpsc::channel::<Command>(INBOX);
        let (snapshots, watching) = watch::channel(Snapshot::of(instance));
        let handle = Handle::new(tx.clone(), watching);
        let actor = Actor::new(
            (Arc::clone(shared), Arc::clone(&self.engine)),
            instance,
            tx.downgrade(),
            snapshots,
            handle.session_slot(),
        );
        shared.lifecycle.tracker().spawn(actor.run(rx));
        handles.insert(instance.id, handle.clone());
        handle
    }

    /// Forgets the actor of a deleted instance; it ends when its last handle is dropped.
    pub(crate) fn remove(&self, id: InstanceId) {
        self.lock().remove(&id);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<InstanceId, Handle>> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
