//! Deliveries as their owner looks at them: how far each got, with every attempt.

use super::TABLE;
use super::health::PARKED;
use crate::Store;
use crate::dialect::{self, Row, query};
use crate::error::StorageError;
use crate::events;
use crate::row::Record;
use flowcore_domain::clock::Millis;
use flowcore_domain::event::EventKind;
use flowcore_domain::id::{DeliveryId, EventId, InstanceId, WebhookId};

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
    /// When it is tried next, while it is not finished and its endpoint is not paused.
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
    /// The beginning of what the receiver answered.
    pub answer: Option<String>,
}

impl Store {
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
        let rows = query(
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
        .bind(instance)
        .bind(filter.before_seq.unwrap_or(i64::MAX))
        .bind(filter.webhook_id.map(|id| id.text()))
        .bind(state)
        .bind(tried)
        .bind(dialect::limit(limit))
        .fetch_all(self.readers())
        .await?;
        self.with_attempts(&rows).await
    }

    /// One delivery of an instance.
    pub async fn delivery(
        &self,
        instance: InstanceId,
        id: DeliveryId,
    ) -> Result<Option<Delivery>, StorageError> {
        let rows = query(
            "SELECT deliveries.*, events.kind AS kind FROM deliveries \
             JOIN events ON events.id = deliveries.event_id \
             WHERE deliveries.id = $1 AND deliveries.instance_id = $2",
        )
        .bind(id.text())
        .bind(instance)
        .fetch_all(self.readers())
        .await?;
        Ok(self.with_attempts(&rows).await?.pop())
    }

    /// Where an event went, and how each receiver took it.
    pub async fn deliveries_of(&self, event: EventId) -> Result<Vec<Delivery>, StorageError> {
        let rows = query(
            "SELECT deliveries.*, events.kind AS kind FROM deliveries \
             JOIN events ON events.id = deliveries.event_id \
             WHERE deliveries.event_id = $1 ORDER BY deliveries.id",
        )
        .bind(event.text())
        .fetch_all(self.readers())
        .await?;
        self.with_attempts(&rows).await
    }

    async fn with_attempts(&self, rows: &[Row]) -> Result<Vec<Delivery>, StorageError> {
        let mut deliveries = Vec::with_capacity(rows.len());
        for row in rows {
            let mut delivery = read_delivery(&Record::new(TABLE, row))?;
            delivery.attempts = self.attempts(delivery.id).await?;
            deliveries.push(delivery);
        }
        Ok(deliveries)
    }

    async fn attempts(&self, id: DeliveryId) -> Result<Vec<DeliveryAttempt>, StorageError> {
        let rows = query(
            "SELECT delivery_id AS id, at, status, duration_ms, error, answer FROM delivery_attempts \
             WHERE delivery_id = $1 ORDER BY number",
        )
        .bind(id.text())
        .fetch_all(self.readers())
        .await?;
        rows.iter().map(|row| read_attempt(&Record::new("delivery_attempts", row))).collect()
    }
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
        next_at: waits.then_some(Millis(record.get("next_at")?)).filter(|at| *at != PARKED),
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
        answer: record.get("answer")?,
    })
}
