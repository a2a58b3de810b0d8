//! Events on their way out: rendered once, committed with their cause, then told to who watches.
//!
//! [`render`] makes the particulars, [`live`] tells who watches, [`follower`] reads for who comes back, and the worker of `events` is woken
//! when something waits for a webhook. Nothing is told before its cause is committed.

pub(crate) mod follower;
pub(crate) mod live;
pub(crate) mod render;

use flowcore_domain::id::UserId;
use flowcore_domain::instance::InstanceName;
use flowcore_storage::StoredEvent;
use live::{LiveEvent, Settled};
use std::sync::Arc;
use tokio::sync::{Notify, broadcast};

/// How many events a slow watcher may be behind before it has to look at the state anew.
const LIVE_BACKLOG: usize = 1024;

/// Tells watchers and the webhook worker about committed events.
#[derive(Debug)]
pub(crate) struct Outbox {
    live: broadcast::Sender<Arc<LiveEvent>>,
    settled: broadcast::Sender<Settled>,
    /// Wakes the webhook worker.
    pub(crate) work: Notify,
}

impl Outbox {
    pub(crate) fn new() -> Self {
        let (live, _) = broadcast::channel(LIVE_BACKLOG);
        let (settled, _) = broadcast::channel(LIVE_BACKLOG);
        Self { live, settled, work: Notify::new() }
    }

    /// Tells about events that are committed.
    pub(crate) fn published(&self, user_id: UserId, name: &InstanceName, stored: &[StoredEvent]) {
        if stored.iter().any(|event| event.deliveries > 0) {
            self.work.notify_one();
        }
        for event in stored {
            self.tell(LiveEvent {
                instance_id: event.event.instance_id,
                user_id,
                instance: name.clone(),
                kind: event.event.kind,
                event_id: Some(event.event.id),
                data: event.event.data.clone(),
            });
        }
    }

    /// Tells watchers of what was stored without their knowing.
    pub(crate) fn tell(&self, event: LiveEvent) {
        // Nobody watches: nothing to tell.
        let _ = self.live.send(Arc::new(event));
    }

    /// Tells watchers what became of a delivery.
    pub(crate) fn settled(&self, settled: Settled) {
        let _ = self.settled.send(settled);
    }
}
