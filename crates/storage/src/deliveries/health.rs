//! How endpoints do, and what follows for what waits for them. Everything here runs inside a job of the
//! writer that holds the instance.
//!
//! An endpoint has a window: so many of its heads are due at once, and the others are [`PARKED`], so that
//! claims pass over them however many there are. Whatever is settled refills the window. While the
//! endpoint is paused one head is due, when the pause ends: the one with the fewest attempts, because an
//! event that its receiver never takes must not keep the others waiting. No head is parked unless another
//! is not; where that was broken (what was due went with its instance), [`Store::mend_endpoints`] sees it.
//!
//! [`Store::mend_endpoints`]: crate::Store::mend_endpoints

use super::{Settlement, pieces};
use crate::dialect::{self, Connection, Row, query};
use crate::error::StorageError;
use crate::events::{self, StoredEvent};
use crate::row::Record;
use flowcore_domain::clock::Millis;
use flowcore_domain::event::NewEvent;
use flowcore_domain::id::{InstanceId, WebhookId};
use flowcore_domain::webhook::{Attempt, Health, NextStep, OffBecause, Turn};

/// The due time of what is outside of its endpoint's window: never.
pub(crate) const PARKED: Millis = Millis(i64::MAX);

/// So many heads of an endpoint are due at once. More than a claim takes, so that the next one finds some.
pub(crate) const WINDOW: usize = 64;

/// An endpoint about to be judged. Attempts of several instances may be judged at once: one after the
/// other.
const ENDPOINT: [&str; 2] = [
    "SELECT * FROM webhook_endpoints WHERE id = $1",
    "SELECT * FROM webhook_endpoints WHERE id = $1 FOR NO KEY UPDATE",
];

/// Makes the event that tells of a turn.
pub type RenderTurn = fn(InstanceId, WebhookId, Turn, Millis) -> NewEvent;

pub(crate) fn read(record: &Record<'_>) -> Result<Health, StorageError> {
    let why = record.get::<Option<&str>>("off_because")?;
    let failures: i64 = record.get("failures")?;
    Ok(Health {
        failures: u32::try_from(failures).map_err(|_| record.corrupt())?,
        failing_since: record.get::<Option<i64>>("failing_since")?.map(Millis),
        paused_until: record.get::<Option<i64>>("paused_until")?.map(Millis),
        off_because: why
            .map(|word| OffBecause::parse(word).ok_or_else(|| record.corrupt()))
            .transpose()?,
    })
}

/// What an attempt did to its endpoint.
#[derive(Default)]
pub(super) struct Noted {
    /// What its owner is told.
    pub(super) told: Vec<StoredEvent>,
    /// It was switched off, and more waits than was ended at once.
    pub(super) switched_off: Option<WebhookId>,
}

/// The row of an endpoint, held until the commit.
pub(super) async fn held(
    connection: &mut Connection,
    webhook: &str,
) -> Result<Option<Row>, StorageError> {
    let [sqlite, postgres] = ENDPOINT;
    query(connection.pick(sqlite, postgres)).bind(webhook).fetch_optional(connection).await
}

/// Draws the conclusions of an attempt for its endpoint, of which `record` tells.
pub(super) async fn note(
    connection: &mut Connection,
    (instance, record): (InstanceId, &Record<'_>),
    settlement: &Settlement,
) -> Result<Noted, StorageError> {
    if !record.get::<bool>("enabled")? {
        return Ok(Noted::default());
    }
    let (before, webhook) = (read(record)?, record.get("webhook_id")?);
    let attempt = match settlement.step {
        NextStep::Delivered => Attempt::Answered(200),
        _ => settlement.status.map_or(Attempt::Unreachable, Attempt::Answered),
    };
    let wait = (settlement.dice, settlement.asked);
    let (after, turn) = before.after(attempt, settlement.at, wait);
    if after != before {
        write(connection, webhook, &after).await?;
    }
    let webhook_id: WebhookId = record.parsed("webhook_id")?;
    let mut noted = Noted::default();
    if let Some(Turn::SwitchedOff(_)) = turn {
        let off = query("UPDATE webhook_endpoints SET enabled = FALSE WHERE id = $1");
        off.bind(webhook).execute(&mut *connection).await?;
        let ended = pieces::abandon(connection, webhook, settlement.at).await?;
        noted.switched_off = (ended == pieces::PIECE).then_some(webhook_id);
    } else if before.paused_until.is_some() && after.paused_until.is_none() {
        release(connection, webhook, settlement.at).await?;
    } else if after.paused_until.is_some() || record.get("parked")? {
        align(connection, webhook, (after.paused_until, settlement.at)).await?;
    }
    if let Some(turn) = turn {
        let event = (settlement.render)(instance, webhook_id, turn, settlement.at);
        noted.told = events::append(connection, instance, settlement.at, vec![event]).await?;
    }
    Ok(noted)
}

/// Makes the heads of an endpoint due that may be, and no others. A piece at a time: what is left over is
/// seen by whoever settles next.
pub(crate) async fn align(
    connection: &mut Connection,
    webhook: &str,
    (paused_until, now): (Option<Millis>, Millis),
) -> Result<(), StorageError> {
    match paused_until {
        Some(until) => park(connection, webhook, until.max(now)).await,
        None => refill(connection, webhook, now).await,
    }
}

/// Leaves one head due at `until`, and no other.
async fn park(
    connection: &mut Connection,
    webhook: &str,
    until: Millis,
) -> Result<(), StorageError> {
    query(
        "UPDATE deliveries SET next_at = $2 WHERE id IN (SELECT id FROM deliveries \
         WHERE webhook_id = $1 AND head AND NOT leased AND next_at < $2 LIMIT $3)",
    )
    .bind(webhook)
    .bind(PARKED.0)
    .bind(dialect::limit(pieces::PIECE))
    .execute(&mut *connection)
    .await?;
    query(
        "UPDATE deliveries SET next_at = $2 WHERE id = (SELECT id FROM deliveries \
         WHERE webhook_id = $1 AND head AND NOT leased ORDER BY attempts, seq LIMIT 1)",
    )
    .bind(webhook)
    .bind(until.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// Ends a pause: fills the window with what waited, that which was to be tried soonest first.
pub(crate) async fn release(
    connection: &mut Connection,
    webhook: &str,
    now: Millis,
) -> Result<(), StorageError> {
    query(
        "UPDATE deliveries SET next_at = $2 WHERE id IN (SELECT id FROM deliveries \
         WHERE webhook_id = $1 AND head AND NOT leased AND next_at > $2 \
         ORDER BY next_at LIMIT $3)",
    )
    .bind(webhook)
    .bind(now.0)
    .bind(dialect::limit(WINDOW))
    .execute(connection)
    .await?;
    Ok(())
}

/// Makes parked heads due, so many that the window is full. Not before half of it is empty.
async fn refill(
    connection: &mut Connection,
    webhook: &str,
    now: Millis,
) -> Result<(), StorageError> {
    let parked =
        query("SELECT id FROM deliveries WHERE webhook_id = $1 AND head AND next_at = $2 LIMIT 1");
    let parked = parked.bind(webhook).bind(PARKED.0).fetch_optional(&mut *connection).await?;
    if parked.is_none() {
        return Ok(());
    }
    let due: Option<i64> = query(
        "SELECT COUNT(*) FROM (SELECT 1 FROM deliveries \
         WHERE webhook_id = $1 AND head AND next_at <= $2 LIMIT $3) due",
    )
    .bind(webhook)
    .bind(now.0)
    .bind(dialect::limit(WINDOW))
    .scalar(&mut *connection)
    .await?;
    let room = dialect::limit(WINDOW) - due.unwrap_or_default();
    if room * 2 < dialect::limit(WINDOW) {
        return Ok(());
    }
    query(
        "UPDATE deliveries SET next_at = $2 WHERE id IN (SELECT id FROM deliveries \
         WHERE webhook_id = $1 AND head AND next_at = $3 LIMIT $4)",
    )
    .bind(webhook)
    .bind(now.0)
    .bind(PARKED.0)
    .bind(room)
    .execute(connection)
    .await?;
    Ok(())
}

async fn write(
    connection: &mut Connection,
    webhook: &str,
    health: &Health,
) -> Result<(), StorageError> {
    query(
        "UPDATE webhook_endpoints SET failures = $2, failing_since = $3, paused_until = $4, \
         off_because = $5 WHERE id = $1",
    )
    .bind(webhook)
    .bind(i64::from(health.failures))
    .bind(health.failing_since.map(|at| at.0))
    .bind(health.paused_until.map(|at| at.0))
    .bind(health.off_because.map(OffBecause::as_str))
    .execute(connection)
    .await?;
    Ok(())
}
