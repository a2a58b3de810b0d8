//! What a claim took, read with everything that it needs. What can't be read or has nowhere to go is
//! buried: it must not hold up the others.

use super::queue::{self, Made};
use super::{ClaimedDelivery, TABLE, waiting};
use crate::Store;
use crate::dialect::{self, Batch, Query, query};
use crate::error::StorageError;
use crate::events;
use crate::row::Record;
use flowcore_domain::clock::Millis;
use flowcore_domain::id::{InstanceId, WebhookId};
use flowcore_domain::webhook::Webhook;
use sqlx::AssertSqlSafe;
use std::collections::HashMap;

/// What is wrong with a claimed delivery.
type Spoiled = (String, &'static str);

impl Store {
    pub(super) async fn load_claimed(
        &self,
        ids: &[String],
        now: Millis,
    ) -> Result<Vec<ClaimedDelivery>, StorageError> {
        let mut claimed = Vec::with_capacity(ids.len());
        let mut spoiled: Vec<Spoiled> = vec![];
        let mut webhooks = HashMap::new();
        for batch in dialect::batches(ids) {
            let sql = format!(
                "SELECT {}, deliveries.id AS delivery_id, deliveries.webhook_id AS webhook_id, \
                 deliveries.attempts AS attempts, deliveries.attempts_before AS attempts_before, \
                 deliveries.since AS since, whatsapp_instances.instance_name AS \
                 instance_name, whatsapp_instances.jid AS jid, \
                 whatsapp_instances.user_id AS user_id \
                 FROM deliveries JOIN events ON events.id = deliveries.event_id \
                 JOIN whatsapp_instances ON whatsapp_instances.id = deliveries.instance_id \
                 WHERE deliveries.id IN ({}) ORDER BY events.position",
                events::COLUMNS,
                dialect::parameters(0, batch.len())
            );
            let query = batch.iter().fold(query(AssertSqlSafe(sql)), Query::bind);
            for row in query.fetch_all(self.readers()).await? {
                let record = Record::new(TABLE, &row);
                let id: &str = record.get("delivery_id")?;
                let webhook_id: WebhookId = record.parsed("webhook_id")?;
                let Some(webhook) = self.webhook_once(&mut webhooks, webhook_id).await? else {
                    continue;
                };
                if !webhook.enabled {
                    spoiled.push((id.to_owned(), "the webhook is switched off"));
                    continue;
                }
                match read_claimed(&record, webhook) {
                    Ok(one) => claimed.push(one),
                    Err(error) => {
                        tracing::error!(%error, delivery = id, "what can't be read is not posted");
                        spoiled.push((id.to_owned(), "the stored event can't be read"));
                    }
                }
            }
        }
        if !spoiled.is_empty()
            && let Err(error) = self.bury_deliveries(spoiled, now).await
        {
            // They are claimed again when their leases end.
            tracing::warn!(%error, "deliveries could not be buried");
        }
        Ok(claimed)
    }

    /// Gives deliveries up, and lets those behind them go on.
    async fn bury_deliveries(
        &self,
        spoiled: Vec<Spoiled>,
        now: Millis,
    ) -> Result<(), StorageError> {
        for (id, why) in spoiled {
            let burial = self.write(move |connection| {
                Box::pin(async move {
                    let Some(row) = waiting(connection, &id).await? else { return Ok(()) };
                    let record = Record::new(TABLE, &row);
                    let made = Made { error: Some(why), ..Made::nothing(now) };
                    let mut batch = Batch::new();
                    batch.add(queue::noting(&id, record.get("attempts")?, made));
                    batch.add(queue::finishing(&id, "dead", now));
                    let (webhook, chain) = (record.get("webhook_id")?, record.get("ordering_key")?);
                    let instance: InstanceId = record.parsed("instance_id")?;
                    batch.add(queue::promoting((instance, webhook, chain), &id, now));
                    batch.execute(connection).await
                })
            });
            burial.await?;
        }
        Ok(())
    }

    /// The endpoint of a delivery, read once a claim. A damaged one must not hold up the others.
    async fn webhook_once(
        &self,
        known: &mut HashMap<WebhookId, Option<Webhook>>,
        id: WebhookId,
    ) -> Result<Option<Webhook>, StorageError> {
        if let Some(webhook) = known.get(&id) {
            return Ok(webhook.clone());
        }
        let webhook = match self.webhook(id).await {
            Err(error @ StorageError::Corrupt { .. }) => {
                tracing::error!(%error, "deliveries to a webhook wait");
                None
            }
            other => other?,
        };
        known.insert(id, webhook.clone());
        Ok(webhook)
    }
}

fn read_claimed(record: &Record<'_>, webhook: Webhook) -> Result<ClaimedDelivery, StorageError> {
    let tried = record.get::<i64>("attempts")? - record.get::<i64>("attempts_before")?;
    Ok(ClaimedDelivery {
        delivery_id: record.parsed("delivery_id")?,
        webhook,
        user_id: record.parsed("user_id")?,
        instance_name: record.parsed("instance_name")?,
        sender: record.parsed_option("jid")?,
        event: events::read_event(record)?,
        attempts: u32::try_from(tried).map_err(|_| record.corrupt())?,
        since: Millis(record.get("since")?),
    })
}
