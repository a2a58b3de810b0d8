//! Events on their way to webhooks.
//!
//! Deliveries of one endpoint and one ordering key are a chain; only its head, the oldest unfinished
//! one, is ever tried, so a receiver gets the events of a chat in order. A claim takes due heads for the
//! time of a lease by moving their due time past it: a worker that dies gives its work back by doing
//! nothing. Finishing a head makes the next of its chain the head. So claiming looks only at heads that
//! are due, however many wait behind them.

use crate::Store;
use crate::dialect::{self, Connection};
use crate::error::StorageError;
use crate::events::{self, StoredEvent};
use crate::new_id;
use crate::row::Record;
use flowcore_domain::clock::Millis;
use flowcore_domain::event::EventKind;
use flowcore_domain::id::{DeliveryId, EventId, InstanceId, WebhookId};
use flowcore_domain::instance::InstanceName;
use flowcore_domain::jid::Jid;
use flowcore_domain::webhook::{NextStep, Webhook};
use sqlx::AssertSqlSafe;
use sqlx::query::Query;
use std::collections::HashMap;
use std::time::Duration;

const TABLE: &str = "deliveries";

/// Most deliveries of one claim.
const MAX_CLAIM: usize = 256;

/// A delivery to be made now, with everything that it needs.
#[derive(Debug, Clone)]
pub struct ClaimedDelivery {
    /// Its id.
    pub delivery_id: DeliveryId,
    /// Where it goes.
    pub webhook: Webhook,
    /// The name of the instance.
    pub instance_name: InstanceName,
    /// The instance's own address, once linked.
    pub sender: Option<Jid>,
    /// What is delivered.
    pub event: StoredEvent,
    /// How often it was tried before.
    pub attempts: u32,
}

/// How an attempt ended and what follows.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// What follows.
    pub step: NextStep,
    /// The receiver's answer.
    pub status: Option<u16>,
    /// How long it took.
    pub duration_ms: u64,
    /// What went wrong, in words.
    pub error: Option<String>,
    /// When.
    pub at: Millis,
}

/// How far a delivery got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// Not tried yet.
    Pending,
    /// Tried, and to be tried again.
    Failed,
    /// It arrived.
    Delivered,
    /// Given up.
    Dead,
}

impl DeliveryState {
    /// The API's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Failed => "failed",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }

    /// Reads the API's word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Pending, Self::Failed, Self::Delivered, Self::Dead]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

/// Which deliveries a list shows.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// Only those to this endpoint.
    pub webhook_id: Option<WebhookId>,
    /// Only those that got this far.
    pub state: Option<DeliveryState>,
    /// Only those of events before this one (by [`Delivery::seq`]); for paging.
    pub before_seq: Option<i64>,
}

/// A delivery in a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Its id.
    pub id: DeliveryId,
    /// Where it goes.
    pub webhook_id: WebhookId,
    /// What is delivered.
    pub event_id: EventId,
    /// The event's place among those of the instance.
    pub seq: i64,
    /// The event's kind.
    pub kind: EventKind,
    /// How far it got.
    pub state: DeliveryState,
    /// When it is tried next, while it is not finished.
    pub next_at: Option<Millis>,
    /// The attempts, oldest first.
    pub attempts: Vec<DeliveryAttempt>,
}

/// One attempt of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryAttempt {
    /// When.
    pub at: Millis,
    /// The receiver's answer.
    pub status: Option<u16>,
    /// How long it took.
    pub duration_ms: u64,
    /// What went wrong.
    pub error: Option<String>,
}

impl Store {
    /// Takes due deliveries, at most one of each chain, for the time of `lease`; who does not settle
    /// until then gives them back.
    pub async fn claim_deliveries(
        &self,
        limit: usize,
        now: Millis,
        lease: Duration,
    ) -> Result<Vec<ClaimedDelivery>, StorageError> {
        let limit = limit.min(MAX_CLAIM);
        let ids: Vec<String> = self
            .write(move |connection| {
                Box::pin(async move {
                    let claim = sqlx::query_scalar(
                        "UPDATE deliveries SET leased = TRUE, next_at = $3 WHERE id IN \
                         (SELECT id FROM deliveries WHERE head AND next_at <= $1 \
                         ORDER BY next_at LIMIT $2) RETURNING id",
                    );
                    let claim = claim.bind(now.0).bind(dialect::limit(limit));
                    Ok(claim.bind(now.plus(lease).0).fetch_all(connection).await?)
                })
            })
            .await?;
        self.load_claimed(&ids).await
    }

    async fn load_claimed(&self, ids: &[String]) -> Result<Vec<ClaimedDelivery>, StorageError> {
        let mut claimed = Vec::with_capacity(ids.len());
        let mut webhooks = HashMap::new();
        for batch in dialect::batches(ids) {
            let sql = format!(
                "SELECT {}, deliveries.id AS delivery_id, deliveries.webhook_id AS webhook_id, \
                 deliveries.attempts AS attempts, whatsapp_instances.instance_name AS \
                 instance_name, whatsapp_instances.jid AS jid \
                 FROM deliveries JOIN events ON events.id = deliveries.event_id \
                 JOIN whatsapp_instances ON whatsapp_instances.id = deliveries.instance_id \
                 WHERE deliveries.id IN ({}) ORDER BY events.position",
                events::COLUMNS,
                dialect::parameters(0, batch.len())
            );
            let query = batch.iter().fold(sqlx::query(AssertSqlSafe(sql)), Query::bind);
            for row in query.fetch_all(self.readers()).await? {
                let record = Record::new(TABLE, &row);
                let webhook_id: WebhookId = record.parsed("webhook_id")?;
                if let Some(webhook) = self.webhook_once(&mut webhooks, webhook_id).await? {
                    claimed.push(read_claimed(&record, webhook)?);
                }
            }
        }
        Ok(claimed)
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

    /// Notes how an attempt ended. What is finished or deleted meanwhile stays as it is.
    pub async fn settle_delivery(
        &self,
        id: DeliveryId,
        settlement: Settlement,
    ) -> Result<(), StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                let id = id.text();
                let found = sqlx::query(
                    "SELECT id, webhook_id, ordering_key, attempts FROM deliveries \
                     WHERE id = $1 AND state = 'waiting'",
                )
                .bind(&id)
                .fetch_optional(&mut *connection)
                .await?;
                let Some(row) = found else { return Ok(()) };
                let record = Record::new(TABLE, &row);
                note_attempt(connection, &id, record.get("attempts")?, &settlement).await?;
                let outcome = match settlement.step {
                    NextStep::RetryAt(at) => return retry(connection, &id, at).await,
                    NextStep::Delivered => "delivered",
                    NextStep::Dead => "dead",
                };
                finish(connection, &id, outcome, settlement.at).await?;
                promote(connection, record.get("webhook_id")?, record.get("ordering_key")?).await
            })
        })
        .await
    }

    /// When the next delivery can be claimed; not before `now`. `None` when none waits.
    pub async fn next_delivery_due(&self, now: Millis) -> Result<Option<Millis>, StorageError> {
        let due: Option<i64> = sqlx::query_scalar(
            "SELECT next_at FROM deliveries WHERE head ORDER BY next_at LIMIT 1",
        )
        .fetch_optional(self.readers())
        .await?;
        Ok(due.map(|due| Millis(due).max(now)))
    }

    /// Gives back everything that is claimed. For the start of a process that is alone on its database:
    /// who claimed before is gone.
    pub async fn release_leases(&self, now: Millis) -> Result<u64, StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                let release = sqlx::query(
                    "UPDATE deliveries SET leased = FALSE, next_at = $1 WHERE head AND leased",
                );
                Ok(release.bind(now.0).execute(connection).await?.rows_affected())
            })
        })
        .await
    }

    /// Deliveries of an instance, newest event first.
    pub async fn deliveries(
        &self,
        instance: InstanceId,
        filter: &DeliveryFilter,
        limit: usize,
    ) -> Result<Vec<Delivery>, StorageError> {
        let (state, tried) = match filter.state {
            None => (None, None),
            Some(DeliveryState::Pending) => (Some("waiting"), Some(false)),
            Some(DeliveryState::Failed) => (Some("waiting"), Some(true)),
            Some(DeliveryState::Delivered) => (Some("delivered"), None),
            Some(DeliveryState::Dead) => (Some("dead"), None),
        };
        let rows = sqlx::query(
            "SELECT deliveries.id AS id, deliveries.webhook_id AS webhook_id, \
             deliveries.event_id AS event_id, deliveries.seq AS seq, events.kind AS kind, \
             deliveries.state AS state, deliveries.attempts AS attempts, \
             deliveries.next_at AS next_at \
             FROM deliveries JOIN events ON events.id = deliveries.event_id \
             WHERE deliveries.instance_id = $1 AND deliveries.seq < $2 \
             AND ($3 IS NULL OR deliveries.webhook_id = $3) \
             AND ($4 IS NULL OR deliveries.state = $4) \
             AND ($5 IS NULL OR (deliveries.attempts > 0) = $5) \
             ORDER BY deliveries.seq DESC, deliveries.id DESC LIMIT $6",
        )
        .bind(instance.text())
        .bind(filter.before_seq.unwrap_or(i64::MAX))
        .bind(filter.webhook_id.map(|id| id.text()))
        .bind(state)
        .bind(tried)
        .bind(dialect::limit(limit))
        .fetch_all(self.readers())
        .await?;
        let mut deliveries = Vec::with_capacity(rows.len());
        for row in &rows {
            let mut delivery = read_delivery(&Record::new(TABLE, row))?;
            delivery.attempts = self.attempts(delivery.id).await?;
            deliveries.push(delivery);
        }
        Ok(deliveries)
    }

    async fn attempts(&self, id: DeliveryId) -> Result<Vec<DeliveryAttempt>, StorageError> {
        let rows = sqlx::query(
            "SELECT delivery_id AS id, at, status, duration_ms, error FROM delivery_attempts \
             WHERE delivery_id = $1 ORDER BY number",
        )
        .bind(id.text())
        .fetch_all(self.readers())
        .await?;
        rows.iter().map(|row| read_attempt(&Record::new("delivery_attempts", row))).collect()
    }
}

/// A webhook of an instance as the outbox sees it.
#[derive(Debug)]
pub(crate) struct Target {
    id: String,
    events: Vec<String>,
}

impl Target {
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn wants(&self, kind: EventKind) -> bool {
        self.events.is_empty() || self.events.iter().any(|wanted| wanted == kind.as_str())
    }
}

/// The enabled webhooks of an instance.
pub(crate) async fn targets(
    connection: &mut Connection,
    instance: InstanceId,
) -> Result<Vec<Target>, StorageError> {
    let rows =
        sqlx::query("SELECT id, events FROM webhook_endpoints WHERE instance_id = $1 AND enabled")
            .bind(instance.text())
            .fetch_all(connection)
            .await?;
    let target = |row| {
        let record = Record::new("webhook_endpoints", row);
        Ok(Target { id: record.get("id")?, events: record.json("events")? })
    };
    rows.iter().map(target).collect()
}

/// Puts an event at the end of its chain.
pub(crate) async fn enqueue(
    connection: &mut Connection,
    webhook_id: &str,
    stored: &StoredEvent,
    now: Millis,
) -> Result<(), StorageError> {
    sqlx::query(
        "INSERT INTO deliveries (id, instance_id, webhook_id, event_id, seq, ordering_key, state, \
         head, leased, attempts, next_at) VALUES ($1, $2, $3, $4, $5, $6, 'waiting', \
         NOT EXISTS (SELECT 1 FROM deliveries WHERE webhook_id = $3 AND ordering_key = $6 \
         AND state = 'waiting'), FALSE, 0, $7)",
    )
    .bind(new_id(now).to_string())
    .bind(stored.event.instance_id.text())
    .bind(webhook_id)
    .bind(stored.event.id.text())
    .bind(stored.seq)
    .bind(&stored.event.ordering_key)
    .bind(now.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// Ends everything that waits for a webhook which is switched off: switched on again, it does not get
/// what is stale.
pub(crate) async fn abandon(
    connection: &mut Connection,
    webhook_id: WebhookId,
    now: Millis,
) -> Result<(), StorageError> {
    sqlx::query(
        "UPDATE deliveries SET state = 'dead', head = FALSE, leased = FALSE, finished_at = $2 \
         WHERE webhook_id = $1 AND state = 'waiting'",
    )
    .bind(webhook_id.text())
    .bind(now.0)
    .execute(connection)
    .await?;
    Ok(())
}

async fn note_attempt(
    connection: &mut Connection,
    id: &str,
    attempts_before: i64,
    settlement: &Settlement,
) -> Result<(), StorageError> {
    sqlx::query(
        "INSERT INTO delivery_attempts (delivery_id, number, at, status, duration_ms, error) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(id)
    .bind(attempts_before + 1)
    .bind(settlement.at.0)
    .bind(settlement.status.map(i64::from))
    .bind(i64::try_from(settlement.duration_ms).unwrap_or(i64::MAX))
    .bind(settlement.error.as_deref())
    .execute(connection)
    .await?;
    Ok(())
}

async fn retry(connection: &mut Connection, id: &str, at: Millis) -> Result<(), StorageError> {
    sqlx::query(
        "UPDATE deliveries SET leased = FALSE, attempts = attempts + 1, next_at = $2 WHERE id = $1",
    )
    .bind(id)
    .bind(at.0)
    .execute(connection)
    .await?;
    Ok(())
}

async fn finish(
    connection: &mut Connection,
    id: &str,
    state: &str,
    at: Millis,
) -> Result<(), StorageError> {
    sqlx::query(
        "UPDATE deliveries SET state = $2, head = FALSE, leased = FALSE, attempts = attempts + 1, \
         finished_at = $3 WHERE id = $1",
    )
    .bind(id)
    .bind(state)
    .bind(at.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// Makes the oldest unfinished delivery of a chain its head.
async fn promote(
    connection: &mut Connection,
    webhook_id: &str,
    ordering_key: &str,
) -> Result<(), StorageError> {
    sqlx::query(
        "UPDATE deliveries SET head = TRUE WHERE id = (SELECT id FROM deliveries \
         WHERE webhook_id = $1 AND ordering_key = $2 AND state = 'waiting' \
         ORDER BY seq LIMIT 1)",
    )
    .bind(webhook_id)
    .bind(ordering_key)
    .execute(connection)
    .await?;
    Ok(())
}

fn read_claimed(record: &Record<'_>, webhook: Webhook) -> Result<ClaimedDelivery, StorageError> {
    Ok(ClaimedDelivery {
        delivery_id: record.parsed("delivery_id")?,
        webhook,
        instance_name: record.parsed("instance_name")?,
        sender: record.parsed_option("jid")?,
        event: events::read_event(record)?,
        attempts: u32::try_from(record.get::<i64>("attempts")?).map_err(|_| record.corrupt())?,
    })
}

fn read_delivery(record: &Record<'_>) -> Result<Delivery, StorageError> {
    let attempts: i64 = record.get("attempts")?;
    let state = record.word("state", |word| match (word, attempts) {
        ("waiting", 0) => Some(DeliveryState::Pending),
        ("waiting", _) => Some(DeliveryState::Failed),
        ("delivered", _) => Some(DeliveryState::Delivered),
        ("dead", _) => Some(DeliveryState::Dead),
        _ => None,
    })?;
    let waits = matches!(state, DeliveryState::Pending | DeliveryState::Failed);
    Ok(Delivery {
        id: record.parsed("id")?,
        webhook_id: record.parsed("webhook_id")?,
        event_id: record.parsed("event_id")?,
        seq: record.get("seq")?,
        kind: record.word("kind", events::read_kind)?,
        state,
        next_at: waits.then_some(Millis(record.get("next_at")?)),
        attempts: Vec::new(),
    })
}

fn read_attempt(record: &Record<'_>) -> Result<DeliveryAttempt, StorageError> {
    let status: Option<i64> = record.get("status")?;
    let status = status.map(|code| u16::try_from(code).map_err(|_| record.corrupt()));
    let duration: i64 = record.get("duration_ms")?;
    Ok(DeliveryAttempt {
        at: Millis(record.get("at")?),
        status: status.transpose()?,
        duration_ms: u64::try_from(duration).unwrap_or_default(),
        error: record.get("error")?,
    })
}
