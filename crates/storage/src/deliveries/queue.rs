//! The chains of deliveries: what is put at their ends, what happens to their heads. Everything here runs
//! inside a job of the writer.

use super::Settlement;
use super::health::{PARKED, WINDOW};
use crate::dialect::{Query, query};
use crate::events::StoredEvent;
use crate::new_id;
use flowcore_domain::clock::Millis;
use flowcore_domain::event::NewEvent;
use flowcore_domain::id::InstanceId;
use flowcore_domain::webhook::ChatFilter;

/// A webhook of an instance as the outbox sees it.
#[derive(Debug)]
pub(crate) struct Target {
    id: String,
    events: Vec<String>,
}

impl Target {
    /// Reads `id events`, as the statement that takes event numbers gives it.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (id, events) = text.split_once(' ')?;
        Some(Self { id: id.to_owned(), events: serde_json::from_str(events).ok()? })
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn wants(&self, event: &NewEvent) -> bool {
        let (kinds, chats) = split_selection(&self.events);
        let kind = event.kind.as_str();
        (kinds.is_empty() || kinds.contains(&kind)) && chats.passes(event)
    }
}

/// What of the column `events` names kinds, and which chats its words with `!` leave out.
pub(crate) fn split_selection(words: &[String]) -> (Vec<&str>, ChatFilter) {
    let (out, kinds): (Vec<&str>, Vec<&str>) =
        words.iter().map(String::as_str).partition(|word| word.starts_with('!'));
    let chats = ChatFilter {
        groups: !out.contains(&"!groups"),
        own: !out.contains(&"!own"),
        status: !out.contains(&"!status"),
    };
    (kinds, chats)
}

/// The window is part of the text: SQLite compiles a statement anew each time a limit is bound.
const _: () = assert!(WINDOW == 64, "the statement below says so");

/// Puts an event at the end of its chain. A head is due now, unless its endpoint's window is full. While
/// the endpoint is paused it is due at the end of the pause, unless another one is.
pub(crate) fn enqueuing(webhook_id: &str, stored: &StoredEvent, now: Millis) -> Query {
    query(
        "INSERT INTO deliveries (id, instance_id, webhook_id, event_id, seq, ordering_key, state, \
         head, leased, attempts, since, next_at) SELECT $1, $2, $3, $4, $5, $6, 'waiting', \
         NOT chain.busy, FALSE, 0, $7, CASE WHEN chain.busy THEN $7 \
         WHEN endpoint.paused_until IS NOT NULL THEN CASE WHEN EXISTS (SELECT 1 FROM deliveries \
         WHERE webhook_id = $3 AND head AND next_at < $8) THEN $8 ELSE endpoint.paused_until END \
         WHEN (SELECT COUNT(*) FROM (SELECT 1 FROM deliveries WHERE webhook_id = $3 AND head \
         AND next_at <= $7 LIMIT 64) due) < 64 THEN $7 ELSE $8 END \
         FROM (SELECT EXISTS (SELECT 1 FROM deliveries WHERE webhook_id = $3 AND instance_id = $2 \
         AND ordering_key = $6 AND state = 'waiting') AS busy) chain \
         JOIN webhook_endpoints endpoint ON endpoint.id = $3",
    )
    .bind(new_id(now).to_string())
    .bind(stored.event.instance_id)
    .bind(webhook_id)
    .bind(stored.event.id.text())
    .bind(stored.seq)
    .bind(&stored.event.ordering_key)
    .bind(now.0)
    .bind(PARKED.0)
}

/// How an attempt went, for the log of the delivery.
#[derive(Clone, Copy)]
pub(super) struct Made<'a> {
    pub(super) at: Millis,
    pub(super) status: Option<u16>,
    pub(super) duration_ms: u64,
    pub(super) error: Option<&'a str>,
    pub(super) answer: Option<&'a str>,
}

impl<'a> Made<'a> {
    /// Nothing was sent.
    pub(super) fn nothing(at: Millis) -> Self {
        Self { at, status: None, duration_ms: 0, error: None, answer: None }
    }

    pub(super) fn of(settlement: &'a Settlement) -> Self {
        Self {
            at: settlement.at,
            status: settlement.status,
            duration_ms: settlement.duration_ms,
            error: settlement.error.as_deref(),
            answer: settlement.answer.as_deref(),
        }
    }
}

/// A line in the log of a delivery.
pub(super) fn noting(id: &str, attempts_before: i64, made: Made<'_>) -> Query {
    query(
        "INSERT INTO delivery_attempts (delivery_id, number, at, status, duration_ms, error, answer) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(id)
    .bind(attempts_before + 1)
    .bind(made.at.0)
    .bind(made.status.map(i64::from))
    .bind(i64::try_from(made.duration_ms).unwrap_or(i64::MAX))
    .bind(made.error)
    .bind(made.answer)
}

/// Tries a delivery again at a time.
pub(super) fn retrying(id: &str, at: Millis) -> Query {
    query(
        "UPDATE deliveries SET leased = FALSE, attempts = attempts + 1, next_at = $2 WHERE id = $1",
    )
    .bind(id)
    .bind(at.0)
}

/// Ends a delivery.
pub(super) fn finishing(id: &str, state: &str, at: Millis) -> Query {
    query(
        "UPDATE deliveries SET state = $2, head = FALSE, leased = FALSE, attempts = attempts + 1, \
         finished_at = $3 WHERE id = $1",
    )
    .bind(id)
    .bind(state)
    .bind(at.0)
}

/// Makes the oldest unfinished delivery of a chain its head, due now at the latest: a pause that it was
/// made in may be over. `finished` is the one that is ended in the same batch.
pub(super) fn promoting(
    (instance, webhook_id, ordering_key): (InstanceId, &str, &str),
    finished: &str,
    now: Millis,
) -> Query {
    query(
        "UPDATE deliveries SET head = TRUE, \
         next_at = CASE WHEN next_at > $3 THEN $3 ELSE next_at END WHERE id = (SELECT id FROM deliveries \
         WHERE webhook_id = $1 AND instance_id = $4 AND ordering_key = $2 AND state = 'waiting' \
         AND id <> $5 ORDER BY seq LIMIT 1)",
    )
    .bind(webhook_id)
    .bind(ordering_key)
    .bind(now.0)
    .bind(instance)
    .bind(finished)
}
