//! Events as they happen, for dashboards and streams.

use super::follower::Follower;
use crate::accounts::Caller;
use crate::error::ServiceError;
use crate::{Instances, Shared};
use flowcore_domain::event::EventKind;
use flowcore_domain::id::{EventId, InstanceId, UserId};
use flowcore_domain::instance::InstanceName;
use flowcore_storage::Followed;
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::{Semaphore, broadcast};

/// How many streams of events may be open at once.
const MAX_FOLLOWERS: usize = 1000;

/// Which events a stream has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FollowFilter {
    /// Only those of this instance.
    pub instance: Option<InstanceName>,
    /// Only these kinds; empty means all.
    pub kinds: Vec<EventKind>,
    /// Those after this one; `None` begins now.
    pub after: Option<EventId>,
}

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

/// A webhook's receiver answered, or did not: a delivery has another state.
#[derive(Debug, Clone)]
pub struct Settled {
    /// Who may see it.
    pub user_id: UserId,
    /// Of which instance the event is.
    pub instance_id: InstanceId,
    /// Its name.
    pub instance: InstanceName,
}

/// The stream of events.
#[derive(Debug, Clone)]
pub struct Live {
    shared: Arc<Shared>,
    instances: Instances,
    server_url: Arc<str>,
    open: Arc<Semaphore>,
}

impl Live {
    pub(crate) fn new(shared: Arc<Shared>, server_url: &str) -> Self {
        let instances = Instances::new(Arc::clone(&shared));
        let open = Arc::new(Semaphore::new(MAX_FOLLOWERS));
        Self { shared, instances, server_url: server_url.into(), open }
    }

    /// Follows the caller's events.
    ///
    /// # Errors
    /// [`ServiceError::InstanceNotFound`] also for those of others; [`ServiceError::LimitReached`].
    pub async fn follow(
        &self,
        caller: &Caller,
        filter: FollowFilter,
    ) -> Result<Follower, ServiceError> {
        let limit = ServiceError::LimitReached { what: "streams", limit: MAX_FOLLOWERS };
        let permit = Arc::clone(&self.open).try_acquire_owned().map_err(|_| limit)?;
        let instance = match &filter.instance {
            Some(name) => Some(self.instances.find(caller, name).await?.id),
            None => None,
        };
        let user_id = caller.user_of_lists();
        let whose = Followed { user_id, instance, kinds: filter.kinds };
        let (shared, url) = (Arc::clone(&self.shared), Arc::clone(&self.server_url));
        Follower::start(shared, url, (whose, caller.only.clone()), filter.after, permit).await
    }

    /// Everything from now on. A receiver that falls behind is told so by `Lagged` and has to look at
    /// the state anew.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<LiveEvent>> {
        self.shared.outbox.live.subscribe()
    }

    /// What becomes of deliveries from now on; a receiver that falls behind is told so.
    #[must_use]
    pub fn settled(&self) -> broadcast::Receiver<Settled> {
        self.shared.outbox.settled.subscribe()
    }
}
