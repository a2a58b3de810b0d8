//! The way out: a message is stored before it is sent, so that a crash in between neither loses it nor
//! sends it twice under two ids.

use crate::Store;
use crate::contacts::{self, Arrival, Sighting};
use crate::conversations::{self, Said};
use crate::dialect::{self, Batch, Connection, Query, query};
use crate::error::StorageError;
use crate::events::{self, StoredEvent};
use crate::media;
use crate::messages::{self, StoredMessage, read_message};
use crate::quotas;
use crate::row::Record;
use crate::support;
use bytes::Bytes;
use flowcore_domain::clock::Millis;
use flowcore_domain::conversation::Role;
use flowcore_domain::event::NewEvent;
use flowcore_domain::id::{ConversationId, InstanceId, MessageRowId, SaidId};
use flowcore_domain::jid::{Jid, Server};
use flowcore_domain::message::{Addressing, DeliveryStatus};
use flowcore_domain::quota::Quota;
use serde_json::Value;
use std::time::Duration;

/// How long an idempotency key is remembered.
pub const IDEMPOTENCY_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// A message on its way out.
#[derive(Clone)]
pub struct OutgoingRow {
    /// The row it gets.
    pub row_id: MessageRowId,
    /// Who sends it.
    pub instance_id: InstanceId,
    /// The id it will have on WhatsApp.
    pub wa_id: String,
    /// Whom it goes to.
    pub chat: Jid,
    /// Their other address, when known.
    pub chat_alt: Option<Jid>,
    /// The instance's own address.
    pub sender: Jid,
    /// Which kind it is.
    pub kind: String,
    /// The message in the shape of events.
    pub content: Value,
    /// What lists and search show.
    pub text: Option<String>,
    /// Quote and mentions.
    pub context: Option<Value>,
    /// WhatsApp's protobuf, from which it is sent.
    pub proto: Bytes,
    /// Who sees it, for a status.
    pub recipients: Vec<Jid>,
    /// The caller's idempotency key and the hash of its request.
    pub idempotency: Option<(String, [u8; 32])>,
    /// The conversation that it belongs to, when it is noted there.
    pub turn: Option<Turn>,
    /// The support phone that it tells, and of whose conversation; a reply is about that one.
    pub tells: Option<(String, ConversationId)>,
    /// When.
    pub now: Millis,
}

/// A message's part in a conversation, noted with it.
#[derive(Debug, Clone)]
pub struct Turn {
    /// Which conversation.
    pub conversation: ConversationId,
    /// Only while the assistant has it and it has this version; a person may always speak.
    pub only_at: Option<i64>,
    /// The id of the note.
    pub id: SaidId,
    /// Who speaks.
    pub role: Role,
    /// What else is known.
    pub metadata: Value,
}

/// Never shows content or addresses.
impl std::fmt::Debug for OutgoingRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutgoingRow")
            .field("row_id", &self.row_id)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// What became of a message that was to be stored.
#[derive(Debug, Clone, PartialEq)]
pub enum OutgoingInsert {
    /// It is stored as pending.
    Inserted,
    /// The same request came before; this is its message, nothing was stored.
    Replayed(Box<StoredMessage>),
    /// The key was used for another request; nothing was stored.
    IdempotencyConflict,
    /// Somebody else has the conversation by now; nothing was stored.
    NotYourTurn,
}

impl Store {
    /// Stores a message as pending and not yet sent.
    ///
    /// # Errors
    /// `Conflict` when a message with that id is stored for this chat, `NotFound` when the instance was
    /// deleted, `OverQuota` when its owner has sent enough today.
    pub async fn insert_outgoing(&self, row: OutgoingRow) -> Result<OutgoingInsert, StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                dialect::lock_instance(connection, row.instance_id).await?;
                if let Some(earlier) = earlier_request(connection, &row).await? {
                    return Ok(earlier);
                }
                if !may_speak(connection, row.turn.as_ref()).await? {
                    return Ok(OutgoingInsert::NotYourTurn);
                }
                let one = (Quota::MessagesPerDay, 1);
                quotas::spend_by_owner(connection, row.instance_id, one, row.now).await?;
                let idempotency = row.idempotency.clone();
                let (turn, tells) = (row.turn.clone(), row.tells.clone());
                let message = stored(row);
                let chat = Sighting {
                    address: &message.chat,
                    alt: message.chat_alt.as_ref(),
                    push_name: None,
                };
                let now = message.created_at;
                let (chat_key, _) = contacts::chat_key_of_new(connection, &message, chat, now)
                    .await?
                    .ok_or(StorageError::Conflict("a message with this id"))?;
                let mut batch = Batch::new();
                batch.add(messages::insertion(&message, &chat_key)?);
                if let Some(media) = media::insertion(&message) {
                    batch.add(media);
                }
                if message.kind != messages::CHANGE {
                    batch.add(contacts::touching(&Arrival {
                        instance: message.instance_id,
                        chat_key: &chat_key,
                        address: &message.chat,
                        unread: false,
                        at: message.at,
                    }));
                }
                if let Some(key) = idempotency {
                    batch.add(remembering(&message, key));
                }
                if let Some((phone, about)) = &tells {
                    let id = (message.instance_id, message.wa_id.as_str());
                    batch.add(support::telling(id, (phone, *about), now));
                }
                batch.execute(connection).await?;
                if let Some(turn) = turn {
                    note_turn(connection, &message, turn).await?;
                }
                Ok(OutgoingInsert::Inserted)
            })
        })
        .await
    }

    /// Messages of ours that WhatsApp has neither acknowledged nor refused, oldest first: written to a
    /// socket or not, they have to be sent (again, under the same id) after the next login.
    pub async fn unacknowledged(
        &self,
        instance: InstanceId,
        limit: usize,
    ) -> Result<Vec<StoredMessage>, StorageError> {
        let rows = query(
            "SELECT * FROM messages WHERE instance_id = $1 AND status = 1 AND from_me \
             ORDER BY id LIMIT $2",
        )
        .bind(instance)
        .bind(dialect::limit(limit))
        .fetch_all(self.readers())
        .await?;
        rows.iter().map(|row| read_message(&Record::new(messages::TABLE, row))).collect()
    }

    /// Notes that a message was written to the socket and appends `events`. A second time changes
    /// nothing and appends nothing.
    ///
    /// # Errors
    /// `NotFound` when the message was deleted.
    pub async fn record_sent(
        &self,
        row_id: MessageRowId,
        at: Millis,
        events: Vec<NewEvent>,
    ) -> Result<Vec<StoredEvent>, StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                let row = query("SELECT id, instance_id FROM messages WHERE id = $1")
                    .bind(row_id.text())
                    .fetch_optional(&mut *connection)
                    .await?
                    .ok_or(StorageError::NotFound("the message"))?;
                let instance = Record::new(messages::TABLE, &row).parsed("instance_id")?;
                dialect::lock_instance(connection, instance).await?;
                let first =
                    query("UPDATE messages SET sent_at = $2 WHERE id = $1 AND sent_at IS NULL");
                let first = first.bind(row_id.text()).bind(at.0).execute(&mut *connection).await?;
                if first == 0 {
                    return Ok(Vec::new());
                }
                events::append(connection, instance, at, events).await
            })
        })
        .await
    }

    /// Forgets idempotency keys that are no longer valid; returns how many.
    pub async fn sweep_idempotency_keys(&self, now: Millis) -> Result<u64, StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                let sweep = query("DELETE FROM idempotency_keys WHERE expires_at <= $1");
                sweep.bind(now.0).execute(connection).await
            })
        })
        .await
    }
}

/// Whether the conversation is still whose turn it was.
async fn may_speak(connection: &mut Connection, turn: Option<&Turn>) -> Result<bool, StorageError> {
    let Some((turn, version)) = turn.and_then(|turn| Some((turn, turn.only_at?))) else {
        return Ok(true);
    };
    let now = conversations::held(connection, turn.conversation).await?;
    Ok(now.standing.lets_assistant_speak(version))
}

async fn note_turn(
    connection: &mut Connection,
    message: &StoredMessage,
    turn: Turn,
) -> Result<(), StorageError> {
    let said = Said {
        id: turn.id,
        message: Some(message.row_id),
        role: turn.role,
        content: message.text.clone().unwrap_or_default(),
        metadata: turn.metadata,
        at: message.created_at,
    };
    conversations::note(connection, turn.conversation, &said).await?;
    Ok(())
}

/// What the request's idempotency key says, when it was used before and is still valid.
async fn earlier_request(
    connection: &mut Connection,
    row: &OutgoingRow,
) -> Result<Option<OutgoingInsert>, StorageError> {
    let Some((key, body_hash)) = &row.idempotency else { return Ok(None) };
    let found = query(
        "SELECT messages.*, idempotency_keys.body_hash AS body_hash FROM idempotency_keys \
         JOIN messages ON messages.id = idempotency_keys.message_id \
         WHERE idempotency_keys.instance_id = $1 AND idempotency_keys.key = $2 \
         AND idempotency_keys.expires_at > $3",
    )
    .bind(row.instance_id)
    .bind(key)
    .bind(row.now.0)
    .fetch_optional(connection)
    .await?;
    let Some(found) = found else { return Ok(None) };
    let record = Record::new(messages::TABLE, &found);
    if record.get::<&[u8]>("body_hash")? != body_hash {
        return Ok(Some(OutgoingInsert::IdempotencyConflict));
    }
    Ok(Some(OutgoingInsert::Replayed(Box::new(read_message(&record)?))))
}

fn remembering(message: &StoredMessage, (key, body_hash): (String, [u8; 32])) -> Query {
    query(
        "INSERT INTO idempotency_keys (instance_id, key, body_hash, message_id, expires_at) \
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (instance_id, key) DO UPDATE SET \
         body_hash = excluded.body_hash, message_id = excluded.message_id, \
         expires_at = excluded.expires_at",
    )
    .bind(message.instance_id)
    .bind(key)
    .bind(body_hash.as_slice())
    .bind(message.row_id.text())
    .bind(message.created_at.plus(IDEMPOTENCY_LIFETIME).0)
}

fn stored(row: OutgoingRow) -> StoredMessage {
    let by_lid = row.chat.server() == Server::Lid;
    StoredMessage {
        row_id: row.row_id,
        instance_id: row.instance_id,
        wa_id: row.wa_id,
        chat: row.chat,
        chat_alt: row.chat_alt,
        sender: row.sender,
        sender_alt: None,
        from_me: true,
        addressing: if by_lid { Addressing::Lid } else { Addressing::Pn },
        push_name: None,
        kind: row.kind,
        content: row.content,
        text: row.text,
        context: row.context,
        proto: row.proto,
        status: DeliveryStatus::Pending,
        at: row.now,
        sent_at: None,
        created_at: row.now,
        edited_at: None,
        revoked_at: None,
        recipients: row.recipients,
    }
}
