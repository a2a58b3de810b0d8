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
use flowcore_storage::{InstanceChange, StorageError};
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
        if self.0.len() == MOST {
            tracing::error!(instance = %whose.0, "the store takes nothing for too long: news are lost");
            self.0.pop_front();
        }
        self.0.push_back(owed);
        self.settle(shared, whose).await;
    }

    /// Writes what is owed, as far as the store takes it.
    pub(super) async fn settle(&mut self, shared: &Shared, whose: Whose<'_>) {
        while let Some(owed) = self.0.front() {
            match owed.write(shared, whose).await {
                Ok(()) => {}
                Err(error @ StorageError::Unavailable(_)) => {
                    tracing::warn!(instance = %whose.0, %error, "news of a number wait for the store");
                    return;
                }
                Err(error) => {
                    tracing::error!(instance = %whose.0, %error, "news of a number can't be stored");
                }
            }
            self.0.pop_front();
        }
    }
}

impl Owed {
    pub(super) async fn write(
        &self,
        shared: &Shared,
        whose: Whose<'_>,
    ) -> Result<(), StorageError> {
        let (id, user_id, name) = whose;
        let stored = match self {
            Self::Events(events) => shared.store.append_events(events.clone()).await?,
            Self::News(news) => return advance(shared, whose, news).await,
            Self::State(change, events) => {
                shared.store.update_instance(id, change.clone(), events.clone()).await?
            }
            Self::Read(chat, read) => {
                shared.store.mark_chat(id, chat, *read).await?;
                return Ok(());
            }
        };
        shared.outbox.published(user_id, name, &stored);
        Ok(())
    }
}
