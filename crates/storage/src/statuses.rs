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
use flowcore_domain::id::InstanceId;
use flowcore_domain::jid::Jid;
use flowcore_domain::message::DeliveryStatus;
use sqlx::AssertSqlSafe;
use std::collections::HashMap;

/// What a receipt or an acknowledgement tells.
#[derive(Debug, Clone)]
pub struct StatusNews {
    /// The conversation, when it is told.
    pub chat: Option<Jid>,
    /// WhatsApp's ids of the messages.
    pub ids: Vec<String>,
    /// How far they got.
    pub status: DeliveryStatus,
    /// When.
    pub at: Millis,
}

/// Makes the event for a message, as it is after the change, and its new status.
pub type Render = Box<dyn Fn(&StoredMessage, DeliveryStatus) -> NewEvent + Send>;

impl Store {
    /// Moves messages of ours on to the told status where that is further than they are. Returns those
    /// that moved, with their events.
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
        self.write(move |connection| {
            Box::pin(async move {
                dialect::lock_instance(connection, instance).await?;
                let found = own_messages(connection, instance, &told.ids).await?;
                let moved = advanced(found, told.chat.as_ref(), told.status);
                for message in &moved {
                    query("UPDATE messages SET status = $2 WHERE id = $1")
                        .bind(message.row_id.text())
                        .bind(i64::from(message.status.rank()))
                        .execute(&mut *connection)
                        .await?;
                }
                let news = moved.iter().map(|message| render(message, message.status)).collect();
                let stored = events::append(connection, instance, told.at, news).await?;
                Ok(moved.into_iter().zip(stored).collect())
            })
        })
        .await
    }
}

async fn own_messages(
    connection: &mut Connection,
    instance: InstanceId,
    ids: &[String],
) -> Result<Vec<StoredMessage>, StorageError> {
    let mut found = Vec::with_capacity(ids.len());
    for batch in dialect::batches(ids) {
        let sql = format!(
            "SELECT * FROM messages WHERE instance_id = $1 AND from_me AND wa_id IN ({}) \
             ORDER BY id",
            dialect::parameters(1, batch.len())
        );
        let query = query(AssertSqlSafe(sql)).bind(instance);
        let query = batch.iter().fold(query, Query::bind);
        for row in query.fetch_all(&mut *connection).await? {
            found.push(read_message(&Record::new(messages::TABLE, &row))?);
        }
    }
    // An id that the receipt names twice is one message.
    found.sort_by_key(|message| message.row_id);
    found.dedup_by_key(|message| message.row_id);
    Ok(found)
}

/// The messages that move, with their new status.
fn advanced(
    found: Vec<StoredMessage>,
    chat: Option<&Jid>,
    status: DeliveryStatus,
) -> Vec<StoredMessage> {
    let mut namesakes: HashMap<String, usize> = HashMap::new();
    for message in &found {
        *namesakes.entry(message.wa_id.clone()).or_default() += 1;
    }
    let meant = |message: &StoredMessage| {
        namesakes[&message.wa_id] == 1
            || chat
                .is_none_or(|chat| *chat == message.chat || Some(chat) == message.chat_alt.as_ref())
    };
    let step = |mut message: StoredMessage| {
        let next = message.status.merge(status);
        let moves = next != message.status;
        message.status = next;
        moves.then_some(message)
    };
    found.into_iter().filter(|message| meant(message)).filter_map(step).collect()
}
