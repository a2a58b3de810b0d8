//! What happens to conversations in which nobody writes: those of the assistant end, so that the next message
//! begins anew; those of people go back to the assistant where the owner wants that.

use super::moves::{self, Move};
use crate::Shared;
use flowcore_domain::clock::Millis;
use flowcore_domain::conversation::Step;
use flowcore_domain::id::ConversationId;
use flowcore_storage::StorageError;
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(60);
/// A conversation of the assistant ends after so long, in milliseconds.
const EXPIRES: i64 = 24 * 3600 * 1000;
/// So many are seen to in one go.
const AT_ONCE: usize = 200;

/// Starts the task; it ends with the gateway.
pub(crate) fn start(shared: Arc<Shared>) {
    let stopping = shared.lifecycle.stopping().clone();
    let tracker = shared.lifecycle.tracker().clone();
    tracker.spawn(stopping.run_until_cancelled_owned(async move {
        loop {
            let leap = shared.clock.leaps();
            if let Err(error) = look(&shared).await {
                tracing::warn!(%error, "idle conversations are seen to later");
            }
            // Over when it leaps, or when it is time again.
            let _ = tokio::time::timeout(EVERY, leap).await;
        }
    }));
}

async fn look(shared: &Shared) -> Result<(), StorageError> {
    let now = shared.now();
    let store = &shared.store;
    for id in store.conversations_to_return(now, AT_ONCE).await? {
        step(shared, id, (Step::Release, "idle")).await?;
    }
    for id in store.idle_conversations(Millis(now.0 - EXPIRES), AT_ONCE).await? {
        step(shared, id, (Step::Expire, "idle")).await?;
    }
    Ok(())
}

async fn step(
    shared: &Shared,
    id: ConversationId,
    (step, cause): (Step, &str),
) -> Result<(), StorageError> {
    let store = &shared.store;
    let Some(conversation) = store.conversation(id).await? else { return Ok(()) };
    let Some(instance) = store.instance(conversation.instance_id).await? else { return Ok(()) };
    // Whoever moved it meanwhile knows better.
    let expected = Some(conversation.standing.version);
    let change = Move { expected, ..Move::of(id, step, cause) };
    moves::make(shared, &instance, change).await?;
    Ok(())
}
