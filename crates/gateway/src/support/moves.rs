//! Changes of who answers a conversation, told as events once they are committed.

use crate::Shared;
use crate::outbox::render;
use flowcore_domain::conversation::Step;
use flowcore_domain::id::{ConversationId, EscalationId};
use flowcore_domain::instance::Instance;
use flowcore_storage::{Caused, Moved, Moving, NewEscalation, NewJob, Said, StorageError};

/// A change to be made.
#[derive(Debug)]
pub(crate) struct Move {
    pub(crate) conversation: ConversationId,
    pub(crate) step: Step,
    /// By what or whom.
    pub(crate) cause: String,
    /// Only while it has this version.
    pub(crate) expected: Option<i64>,
    /// What goes into the list of those who wait.
    pub(crate) escalation: Option<NewEscalation>,
    /// Which one begins again.
    pub(crate) reopened: Option<EscalationId>,
    pub(crate) note: Option<String>,
    /// Stored with it.
    pub(crate) jobs: Vec<NewJob>,
    /// Noted in the conversation with it.
    pub(crate) said: Vec<Said>,
}

impl Move {
    pub(crate) fn of(conversation: ConversationId, step: Step, cause: impl Into<String>) -> Self {
        Self {
            conversation,
            step,
            cause: cause.into(),
            expected: None,
            escalation: None,
            reopened: None,
            note: None,
            jobs: Vec::new(),
            said: Vec::new(),
        }
    }
}

/// Makes a change and tells of it.
///
/// # Errors
/// As [`flowcore_storage::Store::move_conversation`].
pub(crate) async fn make(
    shared: &Shared,
    instance: &Instance,
    change: Move,
) -> Result<Moved, StorageError> {
    let _alone = shared.floors.change(change.conversation).await;
    let now = shared.now();
    let Move { conversation, step, cause, expected, escalation, reopened, note, jobs, said } =
        change;
    let told = render::Why {
        step,
        cause: cause.clone(),
        reason: escalation.as_ref().map(|one| (one.reason, one.keyword.clone())),
        note: note.clone(),
    };
    let moving = Moving {
        conversation,
        expected,
        step,
        cause,
        escalation,
        reopened,
        note,
        causing: Box::new(move |after, before, escalation| Caused {
            events: render::moved_conversation(after, before, (escalation, &told), now),
            jobs,
            said,
        }),
        now,
    };
    let moved = shared.store.move_conversation(moving).await?;
    if let Moved::Done { events, .. } = &moved {
        shared.outbox.published(instance.user_id, &instance.name, events);
        shared.bell.ring();
    }
    Ok(moved)
}
