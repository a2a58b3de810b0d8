//! What concerns every delivery of an endpoint or an instance, however many there are: done in small jobs,
//! between which others write. The flag that says what is being done comes first, so that a server which
//! is killed in between goes on at its next start.

use super::health;
use crate::Store;
use crate::dialect::{self, Connection, query};
use crate::error::StorageError;
use crate::row::Record;
use flowcore_domain::clock::Millis;
use flowcore_domain::id::{InstanceId, WebhookId};

/// Most rows that one job touches.
pub(crate) const PIECE: usize = 500;

/// What goes before its instance does, in this order.
const OF_INSTANCE: [&str; 3] = [
    "DELETE FROM deliveries WHERE id IN \
     (SELECT id FROM deliveries WHERE instance_id = $1 LIMIT $2)",
    "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE instance_id = $1 LIMIT $2)",
    "DELETE FROM messages WHERE id IN (SELECT id FROM messages WHERE instance_id = $1 LIMIT $2)",
];

/// Endpoints whose heads are all parked, so that nothing would ever be tried.
const STUCK: &str = "SELECT id FROM webhook_endpoints WHERE enabled \
     AND EXISTS (SELECT 1 FROM deliveries WHERE webhook_id = webhook_endpoints.id AND head \
     AND next_at = $1) \
     AND NOT EXISTS (SELECT 1 FROM deliveries WHERE webhook_id = webhook_endpoints.id AND head \
     AND next_at < $1)";

/// Endpoints that were switched off and for which something waits. The order is that of the index over what
/// waits; without it all that was ever delivered may be looked through.
const LEFT_OVER: &str = "SELECT id FROM webhook_endpoints WHERE NOT enabled \
     AND (SELECT id FROM deliveries WHERE webhook_id = webhook_endpoints.id \
     AND state = 'waiting' ORDER BY instance_id, ordering_key, seq LIMIT 1) IS NOT NULL";

/// Ends some of what waits for a webhook which is switched off: switched on again, it does not get what is
/// stale. Returns how many, [`PIECE`] where more may wait.
pub(crate) async fn abandon(
    connection: &mut Connection,
    webhook: &str,
    now: Millis,
) -> Result<usize, StorageError> {
    // What is being settled finds out by itself. The order is that of the index over what waits.
    let [sqlite, postgres] = [
        "UPDATE deliveries SET state = 'dead', head = FALSE, leased = FALSE, finished_at = $2 \
         WHERE id IN (SELECT id FROM deliveries WHERE webhook_id = $1 AND state = 'waiting' \
         ORDER BY instance_id, ordering_key, seq LIMIT $3)",
        "UPDATE deliveries SET state = 'dead', head = FALSE, leased = FALSE, finished_at = $2 \
         WHERE id IN (SELECT id FROM deliveries WHERE webhook_id = $1 AND state = 'waiting' \
         ORDER BY instance_id, ordering_key, seq LIMIT $3 \
         FOR UPDATE SKIP LOCKED)",
    ];
    let ended = query(connection.pick(sqlite, postgres))
        .bind(webhook)
        .bind(now.0)
        .bind(dialect::limit(PIECE))
        .execute(connection)
        .await?;
    Ok(usize::try_from(ended).unwrap_or(PIECE))
}

impl Store {
    /// Ends all that waits for a webhook, for as long as it is switched off; returns how many.
    pub(crate) async fn abandon_all(
        &self,
        webhook: WebhookId,
        now: Millis,
    ) -> Result<usize, StorageError> {
        let mut ended = 0;
        loop {
            let piece = self.write(move |connection| {
                Box::pin(async move {
                    let id = webhook.text();
                    let Some(row) = health::held(connection, &id).await? else { return Ok(0) };
                    if Record::new("webhook_endpoints", &row).get::<bool>("enabled")? {
                        return Ok(0);
                    }
                    abandon(connection, &id, now).await
                })
            });
            let piece = piece.await?;
            ended += piece;
            if piece < PIECE {
                return Ok(ended);
            }
        }
    }

    /// The same, without waiting for it.
    pub(crate) fn abandon_later(&self, webhook: WebhookId, now: Millis) {
        let store = self.clone();
        self.inner.database.tasks().spawn(async move {
            if let Err(error) = store.abandon_all(webhook, now).await {
                tracing::warn!(%error, "what waits for a webhook that is off is ended later");
            }
        });
    }

    /// Sees to endpoints whose window was left empty, and to what waits for those that are switched off;
    /// returns how many were set right.
    pub async fn mend_endpoints(&self, now: Millis) -> Result<usize, StorageError> {
        let stuck = query(STUCK).bind(health::PARKED.0).fetch_all(self.readers()).await?;
        for row in &stuck {
            let id: WebhookId = Record::new("webhook_endpoints", row).parsed("id")?;
            let mending = self.write(move |connection| {
                Box::pin(async move {
                    let id = id.text();
                    let Some(row) = health::held(connection, &id).await? else { return Ok(()) };
                    let paused =
                        health::read(&Record::new("webhook_endpoints", &row))?.paused_until;
                    health::align(connection, &id, (paused, now)).await
                })
            });
            mending.await?;
        }
        let left_over = query(LEFT_OVER).fetch_all(self.readers()).await?;
        for row in &left_over {
            let id: WebhookId = Record::new("webhook_endpoints", row).parsed("id")?;
            self.abandon_all(id, now).await?;
        }
        Ok(stuck.len() + left_over.len())
    }

    /// Deletes the deliveries of a webhook that is switched off.
    pub(crate) async fn empty_webhook(&self, webhook: WebhookId) -> Result<(), StorageError> {
        let some = "DELETE FROM deliveries WHERE id IN \
                    (SELECT id FROM deliveries WHERE webhook_id = $1 LIMIT $2)";
        self.in_pieces(some, Of::Webhook(webhook)).await
    }

    /// Deletes what an instance has much of.
    pub(crate) async fn empty_instance(&self, instance: InstanceId) -> Result<(), StorageError> {
        for some in OF_INSTANCE {
            self.in_pieces(some, Of::Instance(instance)).await?;
        }
        Ok(())
    }

    async fn in_pieces(&self, some: &'static str, of: Of) -> Result<(), StorageError> {
        loop {
            let piece = self.write(move |connection| {
                Box::pin(async move {
                    let deletion = match of {
                        Of::Webhook(id) => query(some).bind(id.text()),
                        Of::Instance(id) => query(some).bind(id),
                    };
                    deletion.bind(dialect::limit(PIECE)).execute(connection).await
                })
            });
            if piece.await? < PIECE as u64 {
                return Ok(());
            }
        }
    }
}

/// Whose rows are deleted.
#[derive(Clone, Copy)]
enum Of {
    Webhook(WebhookId),
    Instance(InstanceId),
}
