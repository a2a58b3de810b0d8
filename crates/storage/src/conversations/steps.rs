//! Changes of who answers: compared, written down, and stored with all that they cause.
//!
//! One transaction has the conversation's new standing, the audit row, what becomes of the escalation, the
//! events and the jobs. A message of the assistant that was stored and not yet sent when a person takes
//! over never is: it is marked as failed in that same transaction.

use super::{Conversation, TABLE, read_conversation, said, selecting};
use crate::Store;
use crate::dialect::{self, Connection, Instant, Row, query};
use crate::error::StorageError;
use crate::events::{self, StoredEvent};
use crate::jobs::{self, NewJob};
use crate::row::Record;
use flowcore_domain::clock::Millis;
use flowcore_domain::conversation::{ConversationStatus, Owner, Standing, Step};
use flowcore_domain::event::NewEvent;
use flowcore_domain::id::{ConversationId, EscalationId};

/// A customer who needs a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEscalation {
    /// The id it gets.
    pub id: EscalationId,
    /// Why.
    pub reason: &'static str,
    /// The keyword that was said.
    pub keyword: Option<String>,
    /// What it is about.
    pub summary: String,
}

/// What a change causes, stored with it.
#[derive(Debug, Default)]
pub struct Caused {
    /// What is told.
    pub events: Vec<NewEvent>,
    /// What is to be done.
    pub jobs: Vec<NewJob>,
    /// What is noted in the conversation.
    pub said: Vec<said::Said>,
}

/// Makes it from the conversation as it is after the change (without the customer's addresses), its standing
/// before, and the escalation that began, ended or went on.
pub type Causing =
    Box<dyn FnOnce(&Conversation, Standing, Option<EscalationId>) -> Caused + Send + Sync>;

/// A change to be made.
pub struct Moving {
    /// Of which conversation.
    pub conversation: ConversationId,
    /// Only while it has this version.
    pub expected: Option<i64>,
    /// What happens.
    pub step: Step,
    /// By what or whom, for the audit row.
    pub cause: String,
    /// What goes into the list of those who wait, when it escalates.
    pub escalation: Option<NewEscalation>,
    /// Which one begins again, when it is reopened; else the latest.
    pub reopened: Option<EscalationId>,
    /// What the person noted, when it is resolved.
    pub note: Option<String>,
    /// What it causes.
    pub causing: Causing,
    /// When.
    pub now: Millis,
}

impl std::fmt::Debug for Moving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Moving")
            .field("conversation", &self.conversation)
            .field("step", &self.step)
            .finish_non_exhaustive()
    }
}

/// What became of it.
#[derive(Debug)]
pub enum Moved {
    /// It is done.
    Done {
        /// As it is now, without the customer's addresses.
        conversation: Box<Conversation>,
        /// The events, to be told.
        events: Vec<StoredEvent>,
        /// The escalation that began or ended.
        escalation: Option<EscalationId>,
    },
    /// It stands so already.
    Unchanged(Standing),
    /// Somebody else was quicker, or this can't follow.
    Refused(Standing),
}

/// An audit row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// How it stood after.
    pub version: i64,
    /// What happened.
    pub step: String,
    /// Who answered before, and after.
    pub owners: (Owner, Owner),
    /// How it stood before, and after.
    pub statuses: (ConversationStatus, ConversationStatus),
    /// By what or whom.
    pub cause: String,
    /// When.
    pub at: Millis,
}

impl Store {
    /// Makes a change, or says why not.
    ///
    /// # Errors
    /// `NotFound` when there is no such conversation; `Conflict` when it is over and its chat has another.
    pub async fn move_conversation(&self, moving: Moving) -> Result<Moved, StorageError> {
        self.write(move |connection| Box::pin(make(connection, moving))).await
    }

    /// Every change of a conversation, in order.
    pub async fn transitions(
        &self,
        conversation: ConversationId,
        limit: usize,
    ) -> Result<Vec<Transition>, StorageError> {
        let rows = query(
            "SELECT * FROM whatsapp_conversation_transitions WHERE conversation_id = $1 \
             ORDER BY version LIMIT $2",
        )
        .bind(conversation)
        .bind(dialect::limit(limit))
        .fetch_all(self.readers())
        .await?;
        rows.iter()
            .map(|row| read(&Record::new("whatsapp_conversation_transitions", row)))
            .collect()
    }
}

async fn make(connection: &mut Connection, moving: Moving) -> Result<Moved, StorageError> {
    let before = held(connection, moving.conversation).await?;
    let standing = before.standing;
    if moving.expected.is_some_and(|expected| expected != standing.version) {
        return Ok(Moved::Refused(standing));
    }
    let next = match standing.after(moving.step) {
        Ok(Some(next)) => next,
        Ok(None) => return Ok(Moved::Unchanged(standing)),
        Err(_) => return Ok(Moved::Refused(standing)),
    };
    let after = Conversation { standing: next, updated_at: moving.now, ..before };
    write_standing(connection, &after, standing, &moving).await?;
    let escalation = settle_escalation(connection, &after, &moving).await?;
    if standing.owner == Owner::Ai {
        silence(connection, &after).await?;
    }
    let caused = (moving.causing)(&after, standing, escalation);
    let events = events::append(connection, after.instance_id, moving.now, caused.events).await?;
    for job in &caused.jobs {
        jobs::enqueuing(job, moving.now)?.execute(&mut *connection).await?;
    }
    for one in &caused.said {
        said::note(connection, after.id, one).await?;
    }
    Ok(Moved::Done { conversation: Box::new(after), events, escalation })
}

/// The conversation, with its instance held.
pub(crate) async fn held(
    connection: &mut Connection,
    id: ConversationId,
) -> Result<Conversation, StorageError> {
    let found = |row| read_conversation(&Record::new(TABLE, &row));
    let gone = StorageError::NotFound("the conversation");
    let ask = || selecting("WHERE conversations.id = $1").bind(id);
    let row = ask().fetch_optional(&mut *connection).await?;
    let Some(seen) = row.map(found).transpose()? else { return Err(gone) };
    if let Connection::Sqlite(_) = connection {
        return Ok(seen);
    }
    dialect::lock_instance(connection, seen.instance_id).await?;
    let row = ask().fetch_optional(connection).await?;
    row.map(found).transpose()?.ok_or(gone)
}

/// Ends a conversation whose chat turned out to be another's; its customer goes on there.
pub(crate) async fn supersede(
    connection: &mut Connection,
    row: &Row,
    now: Millis,
) -> Result<(), StorageError> {
    let id: ConversationId = Record::new(TABLE, row).parsed("id")?;
    let before = held(connection, id).await?;
    let over = Standing {
        owner: Owner::Closed,
        status: ConversationStatus::Expired,
        version: before.standing.version + 1,
    };
    let moving = Moving {
        conversation: id,
        expected: None,
        step: Step::Expire,
        cause: "merged".to_owned(),
        escalation: None,
        reopened: None,
        note: None,
        causing: Box::new(|_, _, _| Caused::default()),
        now,
    };
    let after = Conversation { standing: over, ..before.clone() };
    write_standing(connection, &after, before.standing, &moving).await?;
    settle_escalation(connection, &after, &moving).await?;
    Ok(())
}

async fn write_standing(
    connection: &mut Connection,
    after: &Conversation,
    before: Standing,
    moving: &Moving,
) -> Result<(), StorageError> {
    let next = after.standing;
    query(
        "UPDATE whatsapp_conversations SET owner = $2, status = $3, version = $4, updated_at = $5 \
         WHERE id = $1",
    )
    .bind(after.id)
    .bind(next.owner.as_str())
    .bind(next.status.as_str())
    .bind(next.version)
    .bind(Instant(moving.now))
    .execute(&mut *connection)
    .await?;
    query(
        "INSERT INTO whatsapp_conversation_transitions (conversation_id, version, step, from_owner, \
         to_owner, from_status, to_status, cause, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(after.id)
    .bind(next.version)
    .bind(moving.step.as_str())
    .bind(before.owner.as_str())
    .bind(next.owner.as_str())
    .bind(before.status.as_str())
    .bind(next.status.as_str())
    .bind(&moving.cause)
    .bind(moving.now.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// The row in the list of those who wait: made, ended or opened again.
async fn settle_escalation(
    connection: &mut Connection,
    after: &Conversation,
    moving: &Moving,
) -> Result<Option<EscalationId>, StorageError> {
    let waits = after.standing.status == ConversationStatus::Escalated;
    if let Some(new) = moving.escalation.as_ref().filter(|_| waits) {
        query(
            "INSERT INTO whatsapp_escalated_conversations (id, whatsapp_instance_id, \
             conversation_id, reason, keyword, summary, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(new.id)
        .bind(after.instance_id)
        .bind(after.id)
        .bind(new.reason)
        .bind(new.keyword.as_deref())
        .bind(&new.summary)
        .bind(Instant(moving.now))
        .execute(connection)
        .await?;
        return Ok(Some(new.id));
    }
    let sql = if waits {
        "UPDATE whatsapp_escalated_conversations SET resolved_at = NULL, resolved_by = NULL \
         WHERE id = (SELECT id FROM whatsapp_escalated_conversations WHERE conversation_id = $1 \
         ORDER BY CASE WHEN id = $2 THEN 0 ELSE 1 END, created_at DESC, id DESC LIMIT 1) \
         RETURNING id"
    } else {
        "UPDATE whatsapp_escalated_conversations SET resolved_at = $2, resolved_by = $3, \
         note = COALESCE($4, note) WHERE conversation_id = $1 AND resolved_at IS NULL RETURNING id"
    };
    let change = query(sql).bind(after.id);
    let change = if waits {
        change.bind(moving.reopened)
    } else {
        change.bind(Instant(moving.now)).bind(&moving.cause).bind(moving.note.as_deref())
    };
    let row = change.fetch_optional(connection).await?;
    row.map(|row| Record::new("whatsapp_escalated_conversations", &row).parsed("id")).transpose()
}

/// What the assistant said and WhatsApp has not been given yet is not said.
async fn silence(connection: &mut Connection, of: &Conversation) -> Result<(), StorageError> {
    query(
        "UPDATE messages SET status = 0 WHERE instance_id = $1 AND from_me AND status = 1 \
         AND sent_at IS NULL AND id IN (SELECT message_id FROM whatsapp_conversation_messages \
         WHERE conversation_id = $2 AND role = 'assistant' AND message_id IS NOT NULL)",
    )
    .bind(of.instance_id)
    .bind(of.id)
    .execute(connection)
    .await?;
    Ok(())
}

fn read(record: &Record<'_>) -> Result<Transition, StorageError> {
    Ok(Transition {
        version: record.get("version")?,
        step: record.get("step")?,
        owners: (record.parsed("from_owner")?, record.parsed("to_owner")?),
        statuses: (record.parsed("from_status")?, record.parsed("to_status")?),
        cause: record.get("cause")?,
        at: Millis(record.get("at")?),
    })
}
