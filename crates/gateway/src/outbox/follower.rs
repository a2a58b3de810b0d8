//! Somebody who follows the events of a user, now or from where they were.
//!
//! A follower reads the outbox; what is told live only wakes it. So the order is that of the commits, a
//! slow one costs nobody anything and misses nothing that is still stored, and memory is one page
//! however far behind it is. Who comes back after what it saw was deleted is told that it missed
//! something.

use super::live::LiveEvent;
use crate::Shared;
use crate::error::ServiceError;
use flowcore_domain::event::{Envelope, EventKind};
use flowcore_domain::id::{EventId, InstanceId};
use flowcore_storage::{Followed, FollowedEvent};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{OwnedSemaphorePermit, broadcast};

/// How many events are read at once.
const PAGE: usize = 64;

/// What a follower sees.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// An event.
    Event {
        /// Its id, to go on from there; the same as at webhooks.
        id: EventId,
        /// What happened.
        kind: EventKind,
        /// The envelope that webhooks get, with `id` and `seq`.
        body: Value,
    },
    /// Some events before the next one are not stored any more: look at the state anew.
    Missed,
}

/// Follows events; see the module.
#[derive(Debug)]
pub struct Follower {
    shared: Arc<Shared>,
    server_url: Arc<str>,
    whose: Followed,
    /// The only instances to be seen, where the key is limited to some.
    only: Option<Arc<[InstanceId]>>,
    live: broadcast::Receiver<Arc<LiveEvent>>,
    position: i64,
    missed: bool,
    page: VecDeque<FollowedEvent>,
    _permit: OwnedSemaphorePermit,
}

impl Follower {
    pub(super) async fn start(
        shared: Arc<Shared>,
        server_url: Arc<str>,
        (whose, only): (Followed, Option<Arc<[InstanceId]>>),
        after: Option<EventId>,
        permit: OwnedSemaphorePermit,
    ) -> Result<Self, ServiceError> {
        // First, so that nothing falls between the place and the news.
        let live = shared.outbox.live.subscribe();
        let place = match after {
            Some(seen) => shared.store.place_after(seen).await?,
            None => shared.store.last_place().await?,
        };
        Ok(Self {
            shared,
            server_url,
            whose,
            only,
            live,
            position: place.position,
            missed: place.missed,
            page: VecDeque::new(),
            _permit: permit,
        })
    }

    /// The next thing to see; waits for it. Safe to give up and call again. `None` when the server stops.
    ///
    /// # Errors
    /// When the store can't be read; the follower can go on later.
    pub async fn next(&mut self) -> Result<Option<Seen>, ServiceError> {
        if std::mem::take(&mut self.missed) {
            return Ok(Some(Seen::Missed));
        }
        loop {
            if let Some(event) = self.page.pop_front() {
                if self.shows(event.stored.event.instance_id) {
                    return Ok(Some(self.seen(event)));
                }
                continue;
            }
            self.forget_news();
            let page = self.shared.store.follow(&self.whose, self.position, PAGE).await?;
            if let Some(last) = page.last() {
                self.position = last.position;
                self.page = page.into();
            } else if !self.news().await {
                return Ok(None);
            }
        }
    }

    /// What was told until now is found by the next read.
    fn forget_news(&mut self) {
        while !matches!(self.live.try_recv(), Err(TryRecvError::Empty | TryRecvError::Closed)) {}
    }

    /// Waits until something was told that concerns this follower; false when nothing will be.
    async fn news(&mut self) -> bool {
        loop {
            match self.live.recv().await {
                Ok(event) if !self.concerns(&event) => {}
                Ok(_) | Err(RecvError::Lagged(_)) => return true,
                Err(RecvError::Closed) => return false,
            }
        }
    }

    fn concerns(&self, event: &LiveEvent) -> bool {
        self.whose.user_id.is_none_or(|user| user == event.user_id)
            && self.shows(event.instance_id)
            && self.whose.instance.is_none_or(|only| only == event.instance_id)
            && (self.whose.kinds.is_empty() || self.whose.kinds.contains(&event.kind))
    }

    fn shows(&self, instance: InstanceId) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(&instance))
    }

    fn seen(&self, followed: FollowedEvent) -> Seen {
        let FollowedEvent { stored, instance_name, sender, .. } = followed;
        let event = stored.event;
        let envelope = Envelope {
            event: event.kind.as_str(),
            instance: instance_name.as_str(),
            data: event.data,
            destination: "live",
            date_time: event.at.rfc3339(),
            sender: sender.as_ref().map(ToString::to_string),
            server_url: &self.server_url,
            apikey: None,
            id: Some(event.id.text()),
            seq: Some(stored.seq),
        };
        Seen::Event { id: event.id, kind: event.kind, body: json!(envelope) }
    }
}
