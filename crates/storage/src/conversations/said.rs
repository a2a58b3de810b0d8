//! What was said in a conversation, by whom, each message once.

use super::Conversation;
use crate::Store;
use crate::dialect::{self, Connection, Instant, Json, query};
use crate::error::StorageError;
use crate::row::{Record, json_text};
use flowcore_domain::clock::Millis;
use flowcore_domain::conversation::Role;
use flowcore_domain::id::{ConversationId, InstanceId, MessageRowId, SaidId};
use serde_json::Value;

const TABLE: &str = "whatsapp_conversation_messages";

/// In the metadata of what the owner's systems sent by themselves: no person answered with it.
pub const AUTOMATIC: &str = "automatic";

/// Something that was said.
#[derive(Clone, PartialEq)]
pub struct Said {
    /// Its id; sorts by the time of noting.
    pub id: SaidId,
    /// Its message on WhatsApp, where there is one.
    pub message: Option<MessageRowId>,
    /// Who said it.
    pub role: Role,
    /// What.
    pub content: String,
    /// What else is known of it: a voice note's language, passages, tokens, who wrote.
    pub metadata: Value,
    /// When.
    pub at: Millis,
}

impl Said {
    /// Whether the owner's systems sent it by themselves.
    #[must_use]
    pub fn is_automatic(&self) -> bool {
        self.metadata[AUTOMATIC] == true
    }
}

/// Never shows what was said.
impl std::fmt::Debug for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Said").field("role", &self.role).finish_non_exhaustive()
    }
}

impl Store {
    /// Notes what was said; false when its message is noted already.
    ///
    /// # Errors
    /// `NotFound` when the conversation was deleted.
    pub async fn append_said(
        &self,
        conversation: &Conversation,
        said: Said,
    ) -> Result<bool, StorageError> {
        let (id, instance) = (conversation.id, conversation.instance_id);
        self.write(move |connection| {
            Box::pin(async move {
                dialect::lock_instance(connection, instance).await?;
                note(connection, id, &said).await
            })
        })
        .await
    }

    /// What was said, newest first; before `before`, when it is given.
    pub async fn said(
        &self,
        conversation: ConversationId,
        before: Option<SaidId>,
        limit: usize,
    ) -> Result<Vec<Said>, StorageError> {
        // The largest id there can be: nothing is after it.
        let before = before.unwrap_or(SaidId(uuid::Uuid::max()));
        let rows = query(
            "SELECT * FROM whatsapp_conversation_messages \
             WHERE conversation_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
        )
        .bind(conversation)
        .bind(before)
        .bind(dialect::limit(limit))
        .fetch_all(self.readers())
        .await?;
        rows.iter().map(|row| read_said(&Record::new(TABLE, row))).collect()
    }

    /// Where a message was noted: in which conversation, and as what.
    pub async fn noted(
        &self,
        instance: InstanceId,
        message: MessageRowId,
    ) -> Result<Option<(ConversationId, Said)>, StorageError> {
        let row = query(
            "SELECT said.* FROM whatsapp_conversations conversations \
             CROSS JOIN whatsapp_conversation_messages said \
             WHERE conversations.instance_id = $1 AND conversations.chat_key = \
             (SELECT chat_key FROM messages WHERE messages.id = $2) \
             AND said.conversation_id = conversations.id AND said.message_id = $2 \
             ORDER BY said.id DESC LIMIT 1",
        )
        .bind(instance)
        .bind(message.text())
        .fetch_optional(self.readers())
        .await?;
        let read = |row| {
            let record = Record::new(TABLE, row);
            Ok((record.parsed("conversation_id")?, read_said(&record)?))
        };
        row.as_ref().map(read).transpose()
    }

    /// What was said after something, in order.
    pub async fn said_after(
        &self,
        conversation: ConversationId,
        after: SaidId,
        limit: usize,
    ) -> Result<Vec<Said>, StorageError> {
        let rows = query(
            "SELECT * FROM whatsapp_conversation_messages \
             WHERE conversation_id = $1 AND id > $2 ORDER BY id LIMIT $3",
        )
        .bind(conversation)
        .bind(after)
        .bind(dialect::limit(limit))
        .fetch_all(self.readers())
        .await?;
        rows.iter().map(|row| read_said(&Record::new(TABLE, row))).collect()
    }
}

/// Notes it in the transaction of its cause. The instance is held by the caller.
pub(crate) async fn note(
    connection: &mut Connection,
    conversation: ConversationId,
    said: &Said,
) -> Result<bool, StorageError> {
    let touched = query(
        "UPDATE whatsapp_conversations SET last_message_at = \
         CASE WHEN last_message_at < $2 THEN $2 ELSE last_message_at END WHERE id = $1",
    );
    let touched = touched.bind(conversation).bind(Instant(said.at));
    if touched.execute(&mut *connection).await? == 0 {
        return Err(StorageError::NotFound("the conversation"));
    }
    let added = query(
        "INSERT INTO whatsapp_conversation_messages \
         (id, conversation_id, role, content, metadata, created_at, message_id) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
    )
    .bind(said.id)
    .bind(conversation)
    .bind(said.role.as_str())
    .bind(&said.content)
    .bind(Json(json_text(&said.metadata)?))
    .bind(Instant(said.at))
    .bind(said.message.map(|row| row.text()))
    .execute(&mut *connection)
    .await?;
    if added > 0 && said.role == Role::Human && !said.is_automatic() {
        answered(connection, conversation, said.at).await?;
    }
    Ok(added > 0)
}

/// A person answers a customer who waits, for the first time.
async fn answered(
    connection: &mut Connection,
    conversation: ConversationId,
    at: Millis,
) -> Result<(), StorageError> {
    let first = query(
        "UPDATE whatsapp_escalated_conversations SET first_answer_at = $2 \
         WHERE conversation_id = $1 AND resolved_at IS NULL AND first_answer_at IS NULL",
    );
    first.bind(conversation).bind(Instant(at)).execute(connection).await?;
    Ok(())
}

fn read_said(record: &Record<'_>) -> Result<Said, StorageError> {
    Ok(Said {
        id: record.parsed("id")?,
        message: record.parsed_option("message_id")?,
        role: record.word("role", Role::parse)?,
        content: record.get("content")?,
        metadata: record.json("metadata")?,
        at: record.millis("created_at")?,
    })
}
