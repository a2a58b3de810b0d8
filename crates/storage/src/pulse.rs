//! How an instance is doing: what came and went lately, what waits, what happened to it. None of these reads more than
//! a day's messages or what it returns, however much is stored.

use crate::Store;
use crate::dialect::{self, query};
use crate::error::StorageError;
use crate::events::{self, StoredEvent, read_event};
use crate::messages;
use crate::row::Record;
use flowcore_domain::clock::Millis;
use flowcore_domain::id::InstanceId;
use sqlx::AssertSqlSafe;

/// The events that an owner looks for; the condition of the index `events_of_note`.
const OF_NOTE: &str = "kind IN ('connection.update', 'instance.create', 'webhook.update', \
     'conversation.escalated', 'conversation.resolved', 'assistant.failed')";

/// Where counting ends.
const MOST: i64 = 10_000;

/// The conversations that were active lead to their messages.
const TRAFFIC: &str = "SELECT messages.from_me AS from_me, messages.at / 3600000 AS hour, \
     COUNT(*) AS number, MAX(messages.at) AS last \
     FROM chats CROSS JOIN messages \
     WHERE chats.instance_id = $1 AND chats.last_message_at >= $2 \
     AND messages.instance_id = $1 AND messages.chat_key = chats.chat_key AND messages.at >= $2 \
     AND messages.kind <> $3 \
     GROUP BY messages.from_me, messages.at / 3600000";

/// The endpoints lead to what waits for them; most that is stored was delivered.
const TO_WEBHOOKS: &str = "SELECT COUNT(*) FROM (SELECT deliveries.id \
     FROM webhook_endpoints CROSS JOIN deliveries \
     WHERE (webhook_endpoints.instance_id = $1 OR webhook_endpoints.user_id = \
     (SELECT user_id FROM whatsapp_instances WHERE id = $1)) \
     AND deliveries.webhook_id = webhook_endpoints.id AND deliveries.instance_id = $1 \
     AND deliveries.state = 'waiting' LIMIT $2) AS counted";

const TO_WHATSAPP: &str = "SELECT COUNT(*) FROM (SELECT id FROM messages \
     WHERE instance_id = $1 AND status = 1 AND from_me LIMIT $2) AS counted";

/// Messages of one direction in one hour of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traffic {
    /// The owner's own, or those of others.
    pub from_me: bool,
    /// When the hour began.
    pub hour: Millis,
    /// How many.
    pub count: u64,
    /// When the last of them was written.
    pub last: Millis,
}

/// What is on its way; counting ends at ten thousand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Queue {
    /// Messages that WhatsApp has not acknowledged.
    pub to_whatsapp: u64,
    /// Events that a webhook of the instance or of its owner has not taken.
    pub to_webhooks: u64,
}

impl Store {
    /// The messages that were written since a time, by direction and hour, in no order; hours without any are left out.
    pub async fn traffic(
        &self,
        instance: InstanceId,
        since: Millis,
    ) -> Result<Vec<Traffic>, StorageError> {
        let rows = query(TRAFFIC)
            .bind(instance)
            .bind(since.0)
            .bind(messages::CHANGE)
            .fetch_all(self.readers())
            .await?;
        let read = |row| {
            let record = Record::new(messages::TABLE, row);
            Ok(Traffic {
                from_me: record.get("from_me")?,
                hour: Millis(record.get::<i64>("hour")? * 3_600_000),
                count: record.get::<i64>("number")?.unsigned_abs(),
                last: Millis(record.get("last")?),
            })
        };
        rows.iter().map(read).collect()
    }

    /// What of an instance waits.
    pub async fn queue(&self, instance: InstanceId) -> Result<Queue, StorageError> {
        let count = async |sql| {
            let asked = query(sql).bind(instance).bind(MOST);
            let counted: Option<i64> = asked.scalar(self.readers()).await?;
            Ok::<_, StorageError>(counted.unwrap_or_default().unsigned_abs())
        };
        Ok(Queue { to_whatsapp: count(TO_WHATSAPP).await?, to_webhooks: count(TO_WEBHOOKS).await? })
    }

    /// The latest events of an instance that are not about single messages, the last one first: its connection, its
    /// webhooks, customers who wait, what the assistant failed at. With `since` only later ones.
    pub async fn events_of_note(
        &self,
        instance: InstanceId,
        since: Option<Millis>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StorageError> {
        let sql = format!(
            "SELECT * FROM events WHERE instance_id = $1 AND {OF_NOTE} AND at >= $2 \
             ORDER BY position DESC LIMIT $3"
        );
        let rows = query(AssertSqlSafe(sql))
            .bind(instance)
            .bind(since.map_or(i64::MIN, |since| since.0))
            .bind(dialect::limit(limit))
            .fetch_all(self.readers())
            .await?;
        rows.iter().map(|row| read_event(&Record::new(events::TABLE, row))).collect()
    }
}
