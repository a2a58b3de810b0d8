//! Deliveries that somebody asks for again: one of them, or all of a time; and those that nobody asks for
//! any more.

use super::queue;
use crate::Store;
use crate::dialect::{self, Connection, query};
use crate::error::StorageError;
use crate::events::{self, StoredEvent};
use crate::row::Record;
use flowcore_domain::clock::Millis;
use flowcore_domain::id::{DeliveryId, InstanceId, WebhookId};
use flowcore_domain::webhook::Webhook;

/// How many events one job of a replay looks at, so that other writes come in between.
const REPLAY_BATCH: usize = 200;
/// How many deliveries one job of a purge forgets, for the same reason.
const PURGE_BATCH: usize = 500;

const FINISHED: &str = "DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries \
     WHERE instance_id = $1 AND state <> 'waiting' AND finished_at < $2 \
     AND ($3 = '' OR webhook_id = $3) LIMIT $4)";

const RETRY_FINISHED: &str = "UPDATE deliveries SET state = 'waiting', finished_at = NULL, \
     next_at = $3, since = $3, attempts_before = attempts, \
     head = NOT EXISTS (SELECT 1 FROM deliveries other \
     WHERE other.webhook_id = deliveries.webhook_id \
     AND other.instance_id = deliveries.instance_id \
     AND other.ordering_key = deliveries.ordering_key AND other.state = 'waiting') \
     WHERE id = $1 AND instance_id = $2 AND state <> 'waiting'";

const RETRY_WAITING: &str = "UPDATE deliveries SET next_at = $3, since = $3, \
     attempts_before = attempts \
     WHERE id = $1 AND instance_id = $2 AND state = 'waiting' AND NOT leased";

/// What became of asking for a delivery again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// It is due, or under way at the moment.
    Due,
    /// Its endpoint is switched off; nothing was changed.
    SwitchedOff,
    /// The instance has no such delivery.
    Unknown,
}

impl Store {
    /// Makes a delivery due now, also one that was finished. Its place in its chain is that of its event.
    pub async fn retry_delivery(
        &self,
        instance: InstanceId,
        id: DeliveryId,
        now: Millis,
    ) -> Result<Again, StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                dialect::lock_instance(connection, instance).await?;
                let known = query(
                    "SELECT webhook_endpoints.enabled AS enabled FROM deliveries \
                     JOIN webhook_endpoints ON webhook_endpoints.id = deliveries.webhook_id \
                     WHERE deliveries.id = $1 AND deliveries.instance_id = $2",
                );
                let known = known.bind(id.text()).bind(instance);
                let Some(row) = known.fetch_optional(&mut *connection).await? else {
                    return Ok(Again::Unknown);
                };
                if !Record::new("webhook_endpoints", &row).get::<bool>("enabled")? {
                    return Ok(Again::SwitchedOff);
                }
                for sql in [RETRY_FINISHED, RETRY_WAITING] {
                    let retry = query(sql).bind(id.text()).bind(instance).bind(now.0);
                    if retry.execute(&mut *connection).await? > 0 {
                        break;
                    }
                }
                Ok(Again::Due)
            })
        })
        .await
    }

    /// Forgets the deliveries of an instance that were finished before `before`, with their attempts; only
    /// those to `webhook` where one is given. What waits stays. Returns how many.
    pub async fn purge_deliveries(
        &self,
        instance: InstanceId,
        webhook: Option<WebhookId>,
        before: Millis,
    ) -> Result<u64, StorageError> {
        let webhook = webhook.map_or_else(String::new, |id| id.text());
        let mut purged = 0;
        loop {
            let webhook = webhook.clone();
            let piece = self.write(move |connection| {
                Box::pin(async move {
                    dialect::lock_instance(connection, instance).await?;
                    let old = query(FINISHED).bind(instance).bind(before.0).bind(webhook);
                    old.bind(dialect::limit(PURGE_BATCH)).execute(connection).await
                })
            });
            let piece = piece.await?;
            purged += piece;
            if piece < PURGE_BATCH as u64 {
                return Ok(purged);
            }
        }
    }

    /// Puts the events of a time, in their order, on their way again to the endpoints that want them,
    /// except where one is on its way already; returns how many deliveries were made, at most `limit`.
    pub async fn replay(
        &self,
        instance: InstanceId,
        (from, to): (Millis, Millis),
        targets: Vec<Webhook>,
        limit: usize,
        now: Millis,
    ) -> Result<usize, StorageError> {
        let (mut made, mut after) = (0, 0_i64);
        while made < limit {
            let rows = query(
                "SELECT * FROM events WHERE instance_id = $1 AND position > $2 AND at >= $3 AND at <= $4 \
                 ORDER BY position LIMIT $5",
            )
            .bind(instance)
            .bind(after)
            .bind(from.0)
            .bind(to.0)
            .bind(dialect::limit(REPLAY_BATCH))
            .fetch_all(self.readers())
            .await?;
            let Some(last) = rows.last() else { break };
            after = Record::new("events", last).get::<i64>("position")?;
            let events: Vec<StoredEvent> = rows
                .iter()
                .map(|row| events::read_event(&Record::new("events", row)))
                .collect::<Result<_, _>>()?;
            let (room, targets) = (limit - made, targets.clone());
            made += self
                .write(move |connection| {
                    Box::pin(async move {
                        dialect::lock_instance(connection, instance).await?;
                        hold_pauses(connection, &targets).await?;
                        enqueue_again(connection, &events, &targets, (room, now)).await
                    })
                })
                .await?;
        }
        Ok(made)
    }
}

/// Keeps the pauses of endpoints from ending before the commit; see [`dialect::TAKE_EVENT_NUMBERS`].
async fn hold_pauses(connection: &mut Connection, targets: &[Webhook]) -> Result<(), StorageError> {
    if let Connection::Sqlite(_) = connection {
        return Ok(());
    }
    for target in targets {
        query(
            "SELECT id FROM webhook_endpoints WHERE id = $1 AND paused_until IS NOT NULL FOR SHARE",
        )
        .bind(target.id.text())
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

async fn enqueue_again(
    connection: &mut Connection,
    events: &[StoredEvent],
    targets: &[Webhook],
    (room, now): (usize, Millis),
) -> Result<usize, StorageError> {
    let mut made = 0;
    for stored in events {
        for target in targets.iter().filter(|target| target.wants(&stored.event)) {
            if made == room {
                return Ok(made);
            }
            let id = target.id.text();
            let on_its_way = query(
                "SELECT id FROM deliveries WHERE event_id = $1 AND webhook_id = $2 \
                 AND state = 'waiting'",
            )
            .bind(stored.event.id.text())
            .bind(&id);
            if on_its_way.fetch_optional(&mut *connection).await?.is_none() {
                queue::enqueuing(&id, stored, now).execute(&mut *connection).await?;
                made += 1;
            }
        }
    }
    Ok(made)
}
