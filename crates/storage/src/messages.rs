//! Messages as stored, and how they are read.

use crate::Store;
use crate::dialect::{self, Query, query};
use crate::error::StorageError;
use crate::row::{Record, json_text};
use bytes::Bytes;
use flowcore_domain::clock::Millis;
use flowcore_domain::id::{InstanceId, MessageRowId};
use flowcore_domain::jid::Jid;
use flowcore_domain::message::{Addressing, DeliveryStatus};
use serde_json::Value;

pub(crate) const TABLE: &str = "messages";

/// The kind of our own edits and deletions: sent as messages are, and none that a list shows.
pub(crate) const CHANGE: &str = "protocolMessage";

/// A message of either direction.
#[derive(Clone, PartialEq)]
pub struct StoredMessage {
    /// Its row.
    pub row_id: MessageRowId,
    /// Whose it is.
    pub instance_id: InstanceId,
    /// WhatsApp's id.
    pub wa_id: String,
    /// The conversation, as the stanza named it.
    pub chat: Jid,
    /// The conversation's other address.
    pub chat_alt: Option<Jid>,
    /// Who wrote it.
    pub sender: Jid,
    /// The writer's other address.
    pub sender_alt: Option<Jid>,
    /// Written by the owner of the number.
    pub from_me: bool,
    /// How the stanza addressed people.
    pub addressing: Addressing,
    /// The writer's own name for themselves.
    pub push_name: Option<String>,
    /// Which kind it is.
    pub kind: String,
    /// The message in the shape of events.
    pub content: Value,
    /// What lists and search show.
    pub text: Option<String>,
    /// Quote and mentions.
    pub context: Option<Value>,
    /// WhatsApp's protobuf.
    pub proto: Bytes,
    /// How far it got.
    pub status: DeliveryStatus,
    /// When it was written, by WhatsApp's clock where it came from there.
    pub at: Millis,
    /// When it was written to the socket; `None` for others' messages and unsent ones.
    pub sent_at: Option<Millis>,
    /// When it was stored.
    pub created_at: Millis,
    /// When it got another wording, by WhatsApp's clock.
    pub edited_at: Option<Millis>,
    /// When it was taken back.
    pub revoked_at: Option<Millis>,
    /// Who sees it, for a status of ours.
    pub recipients: Vec<Jid>,
}

/// Never shows content or addresses.
impl std::fmt::Debug for StoredMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredMessage")
            .field("row_id", &self.row_id)
            .field("kind", &self.kind)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// Where a page of messages goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageCursor {
    /// [`StoredMessage::at`] of the last one shown.
    pub at: Millis,
    /// Its row.
    pub row_id: MessageRowId,
}

impl Store {
    /// A message by WhatsApp's id; the oldest when several conversations have one.
    pub async fn message(
        &self,
        instance: InstanceId,
        wa_id: &str,
    ) -> Result<Option<StoredMessage>, StorageError> {
        let row = query(
            "SELECT * FROM messages WHERE instance_id = $1 AND wa_id = $2 ORDER BY id LIMIT 1",
        )
        .bind(instance)
        .bind(wa_id)
        .fetch_optional(self.readers())
        .await?;
        row.map(|row| read_message(&Record::new(TABLE, &row))).transpose()
    }

    /// A message by its row.
    pub async fn message_by_row(
        &self,
        row_id: MessageRowId,
    ) -> Result<Option<StoredMessage>, StorageError> {
        let query = query("SELECT * FROM messages WHERE id = $1").bind(row_id.text());
        let row = query.fetch_optional(self.readers()).await?;
        row.map(|row| read_message(&Record::new(TABLE, &row))).transpose()
    }

    /// Messages of a conversation, newest first. Any address of the other side names it.
    pub async fn messages_of_chat(
        &self,
        instance: InstanceId,
        chat: &Jid,
        before: Option<MessageCursor>,
        limit: usize,
    ) -> Result<Vec<StoredMessage>, StorageError> {
        let Some(chat_key) = self.chat_key(instance, chat).await? else {
            return Ok(Vec::new());
        };
        let rows = query(
            "SELECT * FROM messages WHERE instance_id = $1 AND chat_key = $2 AND kind <> $6 \
             AND (at, id) < ($3, $4) ORDER BY at DESC, id DESC LIMIT $5",
        )
        .bind(instance)
        .bind(chat_key)
        .bind(before.map_or(i64::MAX, |cursor| cursor.at.0))
        .bind(before.map_or_else(String::new, |cursor| cursor.row_id.text()))
        .bind(dialect::limit(limit))
        .bind(CHANGE)
        .fetch_all(self.readers())
        .await?;
        rows.iter().map(|row| read_message(&Record::new(TABLE, row))).collect()
    }
}

/// Inserts a message that is not there yet.
pub(crate) fn insertion(message: &StoredMessage, chat_key: &str) -> Result<Query, StorageError> {
    Ok(query(
        "INSERT INTO messages (id, instance_id, wa_id, chat_key, chat, chat_alt, sender, \
         sender_alt, from_me, addressing, push_name, kind, content, text, context, proto, status, \
         at, sent_at, created_at, recipients) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, \
         $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)",
    )
    .bind(message.row_id.text())
    .bind(message.instance_id)
    .bind(&message.wa_id)
    .bind(chat_key)
    .bind(message.chat.to_string())
    .bind(message.chat_alt.as_ref().map(Jid::to_string))
    .bind(message.sender.to_string())
    .bind(message.sender_alt.as_ref().map(Jid::to_string))
    .bind(message.from_me)
    .bind(addressing_word(message.addressing))
    .bind(message.push_name.as_deref())
    .bind(&message.kind)
    .bind(json_text(&message.content)?)
    .bind(message.text.as_deref())
    .bind(message.context.as_ref().map(json_text).transpose()?)
    .bind(message.proto.as_ref())
    .bind(i64::from(message.status.rank()))
    .bind(message.at.0)
    .bind(message.sent_at.map(|at| at.0))
    .bind(message.created_at.0)
    .bind(recipients_text(&message.recipients)?))
}

fn recipients_text(recipients: &[Jid]) -> Result<Option<String>, StorageError> {
    if recipients.is_empty() {
        return Ok(None);
    }
    json_text(&serde_json::json!(recipients)).map(Some)
}

fn addressing_word(addressing: Addressing) -> &'static str {
    match addressing {
        Addressing::Pn => "pn",
        Addressing::Lid => "lid",
    }
}

fn read_addressing(word: &str) -> Option<Addressing> {
    [Addressing::Pn, Addressing::Lid].into_iter().find(|known| addressing_word(*known) == word)
}

pub(crate) fn read_status(record: &Record<'_>) -> Result<DeliveryStatus, StorageError> {
    let rank: i64 = record.get("status")?;
    u8::try_from(rank).ok().and_then(DeliveryStatus::from_rank).ok_or_else(|| record.corrupt())
}

pub(crate) fn read_message(record: &Record<'_>) -> Result<StoredMessage, StorageError> {
    Ok(StoredMessage {
        row_id: record.parsed("id")?,
        instance_id: record.parsed("instance_id")?,
        wa_id: record.get("wa_id")?,
        chat: record.parsed("chat")?,
        chat_alt: record.parsed_option("chat_alt")?,
        sender: record.parsed("sender")?,
        sender_alt: record.parsed_option("sender_alt")?,
        from_me: record.get("from_me")?,
        addressing: record.word("addressing", read_addressing)?,
        push_name: record.get("push_name")?,
        kind: record.get("kind")?,
        content: record.json("content")?,
        text: record.get("text")?,
        context: record.json_option("context")?,
        proto: Bytes::from(record.get::<Vec<u8>>("proto")?),
        status: read_status(record)?,
        at: Millis(record.get("at")?),
        sent_at: record.get::<Option<i64>>("sent_at")?.map(Millis),
        created_at: Millis(record.get("created_at")?),
        edited_at: record.get::<Option<i64>>("edited_at")?.map(Millis),
        revoked_at: record.get::<Option<i64>>("revoked_at")?.map(Millis),
        recipients: read_recipients(record)?,
    })
}

fn read_recipients(record: &Record<'_>) -> Result<Vec<Jid>, StorageError> {
    let list = record.json_option("recipients")?;
    Ok(list
        .map(serde_json::from_value)
        .transpose()
        .map_err(|_| record.corrupt())?
        .unwrap_or_default())
}
