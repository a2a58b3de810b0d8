//! Who has the floor: a message of the assistant that is on its way to the socket, and a change of who answers,
//! wait for each other. What the assistant is about to send either is written before the change is made, or
//! finds the conversation changed and never is.
//!
//! The store alone decides who may speak. This closes the moment between its yes and the socket. Conversations
//! share a bounded number of locks; a change waits a while for them and no longer, as a socket may hang.

use flowcore_domain::id::ConversationId;
use std::array;
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// So many locks there are.
const LOCKS: usize = 512;
/// A change of who answers waits no longer for what is being written.
const PATIENCE: Duration = Duration::from_secs(5);

/// The locks.
pub(crate) struct Floors {
    locks: Box<[RwLock<()>; LOCKS]>,
    hash: RandomState,
}

impl std::fmt::Debug for Floors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Floors(…)")
    }
}

impl Default for Floors {
    fn default() -> Self {
        Self { locks: Box::new(array::from_fn(|_| RwLock::new(()))), hash: RandomState::new() }
    }
}

impl Floors {
    /// Held while something is stored and written for the assistant.
    pub(crate) async fn speak(&self, conversation: ConversationId) -> RwLockReadGuard<'_, ()> {
        self.of(conversation).read().await
    }

    /// Held while who answers changes; `None` when what is being written takes too long.
    pub(crate) async fn change(
        &self,
        conversation: ConversationId,
    ) -> Option<RwLockWriteGuard<'_, ()>> {
        let free = tokio::time::timeout(PATIENCE, self.of(conversation).write()).await;
        if free.is_err() {
            tracing::warn!(%conversation, "who answers changes while an answer is being written");
        }
        free.ok()
    }

    fn of(&self, conversation: ConversationId) -> &RwLock<()> {
        let hash = self.hash.hash_one(conversation);
        &self.locks[usize::try_from(hash % LOCKS as u64).expect("less than the number of locks")]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fresh_id;

    const MOMENT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn a_change_and_what_is_being_written_wait_for_each_other() {
        let (floors, one): (_, ConversationId) = (Floors::default(), fresh_id());
        let speaking = floors.speak(one).await;
        assert!(tokio::time::timeout(MOMENT, floors.change(one)).await.is_err());
        drop(speaking);
        let changing = floors.change(one).await;
        assert!(changing.is_some());
        assert!(tokio::time::timeout(MOMENT, floors.speak(one)).await.is_err());
        drop(changing);
        drop(floors.speak(one).await);
    }
}
