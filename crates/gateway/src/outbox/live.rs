//! Events as they happen, for dashboards and streams.

use crate::Shared;
use flowcore_domain::event::EventKind;
use flowcore_domain::id::{EventId, InstanceId, UserId};
use flowcore_domain::instance::InstanceName;
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::broadcast;

/// Something that happened, after it was committed.
#[derive(Debug, Clone)]
pub struct LiveEvent {
    /// Whose event.
    pub instance_id: InstanceId,
    /// Who may see it.
    pub user_id: UserId,
    /// Name of the instance.
    pub instance: InstanceName,
    /// What happened.
    pub kind: EventKind,
    /// Its id in the outbox, where it has one.
    pub event_id: Option<EventId>,
    /// The particulars.
    pub data: Value,
}

/// The stream of events.
#[derive(Debug, Clone)]
pub struct Live {
    shared: Arc<Shared>,
}

impl Live {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Everything from now on. A receiver that falls behind is told so by `Lagged` and has to look at
    /// the state anew.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<LiveEvent>> {
        self.shared.outbox.live.subscribe()
    }
}
