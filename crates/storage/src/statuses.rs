//! News of our own messages: acknowledged, delivered, read, failed. A status never goes backwards, and
//! each real change has exactly one event, written with it.

use crate::Store;
use crate::dialect::{self, Connection, Query, query};
use crate::error::StorageError;
use crate::events::{self, StoredEvent};
use crate::messages::{self, StoredMessage, read_message};
use crate::row::Record;
use flowcore_domain::clock::Millis;
use flowcore_domain::event::NewEvent;
use flowcore_domain::id::{InstanceId, MessageRowId};
use flowcore_domain::jid::{Jid, Server};
use flowcore_domain::message::DeliveryStatus;
use sqlx::AssertSqlSafe;
use std::collections::{HashMap, HashSet};

/// What a receipt or an acknowledgement tells.
#[derive(Debug, Clone)]
pub struct StatusNews {
    /// The conversation, when it is told.
    pub chat: Option<Jid>,
    /// WhatsApp's ids of the messages.
    pub ids: Vec<String>,
    /// How far they got.
    pub status: DeliveryStatus,
    /// Whose receipt it is, in a group.
    pub participant: Option<Jid>,
    /// When.
    pub at: Millis,
}

/// How far a message got to one member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The member, as WhatsApp named them.
    pub participant: Jid,
    /// How far.
    pub status: DeliveryStatus,
    /// Since when.
    pub at: Millis,
}

/// A later receipt only counts where it tells of more.
const RECEIVED: &str = "INSERT INTO message_status (message_id, participant, status, at) \
     VALUES ($1, $2, $3, $4) ON CONFLICT (message_id, participant) DO UPDATE \
     SET status = excluded.status, at = excluded.at WHERE excluded.status > message_status.status";

/// Makes the events for a message, as it was before the change but for its status, in order. One that was
/// not known to be sent ([`StoredMessage::sent_at`]) is sent by now: WhatsApp or the other phone has it.
pub type Render = Box<dyn Fn(&StoredMessage) -> Vec<NewEvent> + Send>;

impl Store {
    /// Moves messages of ours on to the told status where that is further than they are. Returns the events
    /// with the messages that they are about.
    ///
    /// A receipt may name the conversation by another address than the message does; so the chat only
    /// decides where one id stands for several messages.
    ///
    /// # Errors
    /// When nothing could be stored.
    pub async fn advance_status(
        &self,
        instance: InstanceId,
        told: StatusNews,
        render: Render,
    ) -> Result<Vec<(StoredMessage, StoredEvent)>, StorageError> {
        if self.is_known(instance, &told).await? {
            return Ok(Vec::new());
        }
        self.write(move |connection| {
            Box::pin(async move {
                dialect::lock_instance(connection, instance).await?;
                let found = own_messages(connection, instance, &told.ids).await?;
                let found = meant(found, told.chat.as_ref());
                note_receipts(connection, &found, &told).await?;
                let moved = advanced(found, told.status);
                let (mut about, mut news) = (Vec::new(), Vec::new());
                for message in moved {
                    let sent = message.status > DeliveryStatus::Pending;
                    query(
                        "UPDATE messages SET status = $2, sent_at = COALESCE(sent_at, $3) \
                         WHERE id = $1",
                    )
                    .bind(message.row_id.text())
                    .bind(i64::from(message.status.rank()))
                    .bind(sent.then_some(told.at.0))
                    .execute(&mut *connection)
                    .await?;
                    for event in render(&message) {
                        about.push(message.clone());
                        news.push(event);
                    }
                }
                let stored = events::append(connection, instance, told.at, news).await?;
                Ok(about.into_iter().zip(stored).collect())
            })
        })
        .await
    }

    /// Whether all that is told was stored before: every device of a recipient tells that it has a message, and
    /// a status never goes back, so a look saves a turn of the writer.
    async fn is_known(
        &self,
        instance: InstanceId,
        told: &StatusNews,
    ) -> Result<bool, StorageError> {
        // A group's members are noted one by one.
        if told.participant.is_some() {
            return Ok(false);
        }
        let mut known = HashSet::with_capacity(told.ids.len());
        for batch in dialect::batches(&told.ids) {
            let query = of_own("wa_id, status, id", instance, batch);
            for row in query.fetch_all(self.point()).await? {
                let record = Record::new(messages::TABLE, &row);
                let status = messages::read_status(&record)?;
                if status.merge(told.status) != status {
                    return Ok(false);
                }
                known.insert(record.get::<String>("wa_id")?);
            }
        }
        Ok(told.ids.iter().all(|id| known.contains(id)))
    }

    /// How far a message got to each member of its group, as far as they told.
    pub async fn receipts(&self, message: MessageRowId) -> Result<Vec<Receipt>, StorageError> {
        let rows = query(
            "SELECT message_id AS id, participant, status, at FROM message_status \
             WHERE message_id = $1 ORDER BY participant",
        )
        .bind(message.text())
        .fetch_all(self.readers())
        .await?;
        rows.iter().map(|row| read_receipt(&Record::new("message_status", row))).collect()
    }
}

fn read_receipt(record: &Record<'_>) -> Result<Receipt, StorageError> {
    Ok(Receipt {
        participant: record.parsed("participant")?,
        status: messages::read_status(record)?,
        at: Millis(record.get("at")?),
    })
}

async fn own_messages(
    connection: &mut Connection,
    instance: InstanceId,
    ids: &[String],
) -> Result<Vec<StoredMessage>, StorageError> {
    let mut found = Vec::with_capacity(ids.len());
    for batch in dialect::batches(ids) {
        let query = of_own("*", instance, batch);
        for row in query.fetch_all(&mut *connection).await? {
            found.push(read_message(&Record::new(messages::TABLE, &row))?);
        }
    }
    // An id that the receipt names twice is one message.
    found.sort_by_key(|message| message.row_id);
    found.dedup_by_key(|message| message.row_id);
    Ok(found)
}

/// Asks for columns of messages of ours.
fn of_own(columns: &'static str, instance: InstanceId, ids: &[String]) -> Query {
    let sql = format!(
        "SELECT {columns} FROM messages WHERE instance_id = $1 AND from_me AND wa_id IN ({}) \
         ORDER BY id",
        dialect::parameters(1, ids.len())
    );
    ids.iter().fold(query(AssertSqlSafe(sql)).bind(instance), Query::bind)
}

/// Without the namesakes of other conversations.
fn meant(found: Vec<StoredMessage>, chat: Option<&Jid>) -> Vec<StoredMessage> {
    let mut namesakes: HashMap<String, usize> = HashMap::new();
    for message in &found {
        *namesakes.entry(message.wa_id.clone()).or_default() += 1;
    }
    let meant = |message: &StoredMessage| {
        namesakes[&message.wa_id] == 1
            || chat
                .is_none_or(|chat| *chat == message.chat || Some(chat) == message.chat_alt.as_ref())
    };
    found.into_iter().filter(meant).collect()
}

/// Notes how far messages of groups got to one member.
async fn note_receipts(
    connection: &mut Connection,
    messages: &[StoredMessage],
    told: &StatusNews,
) -> Result<(), StorageError> {
    let Some(participant) = told.participant.as_ref().map(Jid::to_string) else { return Ok(()) };
    for message in messages.iter().filter(|message| message.chat.server() == Server::Group) {
        query(RECEIVED)
            .bind(message.row_id.text())
            .bind(&participant)
            .bind(i64::from(told.status.rank()))
            .bind(told.at.0)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// The messages that move, with their new status.
fn advanced(found: Vec<StoredMessage>, status: DeliveryStatus) -> Vec<StoredMessage> {
    let step = |mut message: StoredMessage| {
        let next = message.status.merge(status);
        let moves = next != message.status;
        message.status = next;
        moves.then_some(message)
    };
    found.into_iter().filter_map(step).collect()
}
