//! Edits and deletions, applied to the message that they are about in the transaction of their event.
//!
//! A change only counts for a message of the same writer: whoever knows an id can't rewrite what others
//! said. (A group's admin who takes a message back names its writer; the engine hands that in.)

use crate::Store;
use crate::dialect::{self, Connection, query};
use crate::error::StorageError;
use crate::events::{self, StoredEvent};
use crate::row::json_text;
use flowcore_domain::clock::Millis;
use flowcore_domain::event::NewEvent;
use flowcore_domain::id::InstanceId;
use flowcore_domain::jid::Jid;
use flowcore_domain::message::{MessageChange, MessageKey, Outcome};
use serde_json::Value;

impl Store {
    /// Appends the event of a change and applies it, unless that event is known.
    ///
    /// # Errors
    /// `NotFound` when the instance was deleted.
    pub async fn commit_change(
        &self,
        event: NewEvent,
        change: MessageChange,
    ) -> Result<Vec<StoredEvent>, StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                let (instance, at) = (event.instance_id, event.at);
                dialect::lock_instance(connection, instance).await?;
                let known = query("SELECT id FROM events WHERE id = $1").bind(event.id.text());
                if known.fetch_optional(&mut *connection).await?.is_some() {
                    return Ok(vec![]);
                }
                let at_whatsapp = Millis(change.timestamp.saturating_mul(1000));
                let writers = [Some(&change.writer), change.writer_alt.as_ref()];
                let target = Target {
                    id: &change.target,
                    from_me: change.from_me,
                    writers: writers.into_iter().flatten().map(Jid::to_string).collect(),
                };
                apply(connection, instance, &target, (&change.outcome, at_whatsapp)).await?;
                events::append(connection, instance, at, vec![event]).await
            })
        })
        .await
    }

    /// Applies a change that the owner made here.
    ///
    /// # Errors
    /// When it could not be stored.
    pub async fn apply_own_change(
        &self,
        instance: InstanceId,
        key: MessageKey,
        outcome: Outcome,
        at: Millis,
    ) -> Result<(), StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                dialect::lock_instance(connection, instance).await?;
                let writers = key.participant.iter().map(Jid::to_string).collect();
                let target = Target { id: &key.id, from_me: key.from_me, writers };
                apply(connection, instance, &target, (&outcome, at)).await
            })
        })
        .await
    }
}

/// Which message.
struct Target<'a> {
    id: &'a str,
    from_me: bool,
    /// The addresses of its writer; ours needs none.
    writers: Vec<String>,
}

/// A later change wins, whichever comes first; nothing changes what was taken back.
async fn apply(
    connection: &mut Connection,
    instance: InstanceId,
    target: &Target<'_>,
    (outcome, at): (&Outcome, Millis),
) -> Result<(), StorageError> {
    let first = target.writers.first().map_or("", String::as_str);
    let second = target.writers.get(1).map_or(first, String::as_str);
    let change = match outcome {
        Outcome::Edited(content) => query(
            "UPDATE messages SET content = $6, text = COALESCE($7, text), edited_at = $8 \
             WHERE instance_id = $1 AND wa_id = $2 AND from_me = $3 \
             AND (from_me OR sender IN ($4, $5) OR sender_alt IN ($4, $5)) \
             AND revoked_at IS NULL AND (edited_at IS NULL OR edited_at <= $8)",
        )
        .bind(instance)
        .bind(target.id)
        .bind(target.from_me)
        .bind(first)
        .bind(second)
        .bind(json_text(content)?)
        .bind(text_of(content))
        .bind(at.0),
        Outcome::Revoked => query(
            "UPDATE messages SET revoked_at = $6 \
             WHERE instance_id = $1 AND wa_id = $2 AND from_me = $3 \
             AND (from_me OR sender IN ($4, $5) OR sender_alt IN ($4, $5)) \
             AND revoked_at IS NULL",
        )
        .bind(instance)
        .bind(target.id)
        .bind(target.from_me)
        .bind(first)
        .bind(second)
        .bind(at.0),
    };
    change.execute(connection).await?;
    Ok(())
}

/// What lists and search show of a content: its text or caption.
fn text_of(content: &Value) -> Option<String> {
    let text = content
        .get("conversation")
        .or_else(|| content.as_object()?.values().find_map(|kind| kind.get("caption")))?;
    text.as_str().map(str::to_owned)
}
