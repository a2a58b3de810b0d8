//! How endpoints do, and what follows for what waits for them. Everything here runs inside a job of the
//! writer that holds the instance.
//!
//! While an endpoint is paused one of its heads is due when the pause ends; all others are [`PARKED`], so
//! that claims pass over them however many there are. The one that is tried is the one with the fewest
//! attempts: an event that its receiver never takes must not keep the others waiting.

use super::{Settlement, queue};
use crate::dialect::{Connection, query};
use crate::error::StorageError;
use crate::events::{self, StoredEvent};
use crate::row::Record;
use flowcore_domain::clock::Millis;
use flowcore_domain::event::NewEvent;
use flowcore_domain::id::{InstanceId, WebhookId};
use flowcore_domain::webhook::{Attempt, Health, NextStep, OffBecause, Turn};

/// The due time of what waits for a paused endpoint: never.
pub(crate) const PARKED: Millis = Millis(i64::MAX);

/// An endpoint about to be judged.
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

/// Draws the conclusions of an attempt for its endpoint; returns what its owner is told.
pub(super) async fn note(
    connection: &mut Connection,
    (instance, webhook): (InstanceId, &str),
    settlement: &Settlement,
) -> Result<Vec<StoredEvent>, StorageError> {
    // Attempts of several instances may be judged at once: one after the other.
    let [sqlite, postgres] = ENDPOINT;
    let ask = query(connection.pick(sqlite, postgres)).bind(webhook);
    let Some(row) = ask.fetch_optional(&mut *connection).await? else { return Ok(vec![]) };
    let record = Record::new("webhook_endpoints", &row);
    if !record.get::<bool>("enabled")? {
        return Ok(vec![]);
    }
    let before = read(&record)?;
    let attempt = match settlement.step {
        NextStep::Delivered => Attempt::Answered(200),
        _ => settlement.status.map_or(Attempt::Unreachable, Attempt::Answered),
    };
    let (after, turn) = before.after(attempt, settlement.at, settlement.dice);
    if after != before {
        write(connection, webhook, &after).await?;
    }
    let webhook_id: WebhookId = record.parsed("id")?;
    match (turn, after.paused_until) {
        (Some(Turn::SwitchedOff(_)), _) => {
            switch_off(connection, webhook_id, settlement.at).await?;
        }
        (Some(Turn::Resumed), _) => release(connection, webhook, settlement.at).await?,
        (_, Some(until)) => park(connection, webhook, until.max(settlement.at)).await?,
        _ => {}
    }
    let Some(turn) = turn else { return Ok(vec![]) };
    let event = (settlement.render)(instance, webhook_id, turn, settlement.at);
    events::append(connection, instance, settlement.at, vec![event]).await
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

async fn switch_off(
    connection: &mut Connection,
    webhook: WebhookId,
    now: Millis,
) -> Result<(), StorageError> {
    query("UPDATE webhook_endpoints SET enabled = FALSE WHERE id = $1")
        .bind(webhook.text())
        .execute(&mut *connection)
        .await?;
    queue::abandon(connection, webhook, now).await
}

/// Leaves one head due at `until`, and no other.
async fn park(
    connection: &mut Connection,
    webhook: &str,
    until: Millis,
) -> Result<(), StorageError> {
    query(
        "UPDATE deliveries SET next_at = $2 WHERE webhook_id = $1 AND head AND NOT leased \
         AND next_at < $2",
    )
    .bind(webhook)
    .bind(PARKED.0)
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

/// Makes everything due that waits.
pub(crate) async fn release(
    connection: &mut Connection,
    webhook: &str,
    now: Millis,
) -> Result<(), StorageError> {
    query(
        "UPDATE deliveries SET next_at = $2 WHERE webhook_id = $1 AND head AND NOT leased \
         AND next_at > $2",
    )
    .bind(webhook)
    .bind(now.0)
    .execute(connection)
    .await?;
    Ok(())
}
