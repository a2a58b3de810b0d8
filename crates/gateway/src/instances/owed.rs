//! What WhatsApp told and will not tell again, kept until the store takes it.
//!
//! A store that takes nothing for a while (a full disk, a database that restarts) must not cost a receipt or
//! an event, and must not hold up the number either: what can't be written waits here, in order, and is tried
//! again every other second.

use crate::Shared;
use crate::messages::{News, advance};
use flowcore_domain::event::NewEvent;
use flowcore_domain::id::{InstanceId, UserId};
use flowcore_domain::instance::InstanceName;
use flowcore_domain::jid::Jid;
use flowcore_storage::{InstanceChange, StorageError, StoredEvent};
use std::collections::VecDeque;
use std::time::Duration;

/// How often what is owed is tried again.
pub(crate) const EVERY: Duration = Duration::from_secs(2);

/// Most of it that one number keeps; at more the oldest is lost, and the log says so.
const MOST: usize = 4096;

/// A write that is owed.
pub(super) enum Owed {
    /// Events that have no other cause.
    Events(Vec<NewEvent>),
    /// What became of messages of ours.
    News(News),
    /// A change of the instance's state, with its events.
    State(InstanceChange, Vec<NewEvent>),
    /// The owner read a conversation, or marked it as unread.
    Read(Jid, bool),
}

/// What one number owes to the store.
#[derive(Default)]
pub(super) struct Debts(VecDeque<Owed>);

/// Whose writes they are.
pub(super) type Whose<'a> = (InstanceId, UserId, &'a InstanceName);

impl Debts {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes it, after all that is owed already; or it waits.
    pub(super) async fn write(&mut self, shared: &Shared, whose: Whose<'_>, owed: Owed) {
        self.write_showing((shared, whose), owed, || ()).await;
    }

    /// The same; `show` runs once, when it is stored and before anybody is told: who is told looks.
    pub(super) async fn write_showing(
        &mut self,
        (shared, whose): (&Shared, Whose<'_>),
        owed: Owed,
        show: impl FnOnce() + Send,
    ) {
        if self.0.len() == MOST {
            tracing::error!(instance = %whose.0, "the store takes nothing for too long: news are lost");
            self.0.pop_front();
        }
        self.0.push_back(owed);
        self.settle_showing((shared, whose), show).await;
    }

    /// Writes what is owed, as far as the store takes it.
    pub(super) async fn settle(&mut self, shared: &Shared, whose: Whose<'_>) {
        self.settle_showing((shared, whose), || ()).await;
    }

    async fn settle_showing(
        &mut self,
        (shared, whose): (&Shared, Whose<'_>),
        show: impl FnOnce() + Send,
    ) {
        let mut show = Some(show);
        while let Some(owed) = self.0.front() {
            match owed.store(shared, whose).await {
                Ok(stored) => {
                    if let Some(show) = show.take_if(|_| self.0.len() == 1) {
                        show();
                    }
                    shared.outbox.published(whose.1, whose.2, &stored);
                }
                Err(error @ StorageError::Unavailable(_)) => {
                    tracing::warn!(instance = %whose.0, %error, "news of a number wait for the store");
                    break;
                }
                Err(error) => {
                    tracing::error!(instance = %whose.0, %error, "news of a number can't be stored");
                }
            }
            self.0.pop_front();
        }
        if let Some(show) = show {
            show();
        }
    }
}

impl Owed {
    /// Stores it and tells of it, without a place in the order of a number's writes.
    pub(super) async fn write(
        &self,
        shared: &Shared,
        whose: Whose<'_>,
    ) -> Result<(), StorageError> {
        let stored = self.store(shared, whose).await?;
        shared.outbox.published(whose.1, whose.2, &stored);
        Ok(())
    }

    /// Stores it. Gives the events that nobody was told of yet.
    async fn store(
        &self,
        shared: &Shared,
        whose: Whose<'_>,
    ) -> Result<Vec<StoredEvent>, StorageError> {
        match self {
            Self::Events(events) => shared.store.append_events(events.clone()).await,
            Self::News(news) => advance(shared, whose, news).await.map(|()| vec![]),
            Self::State(change, events) => {
                shared.store.update_instance(whose.0, change.clone(), events.clone()).await
            }
            Self::Read(chat, read) => {
                shared.store.mark_chat(whose.0, chat, *read).await.map(|_| vec![])
            }
        }
    }
}
