//! Many people writing at once, at a rate: load for whoever measures.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Json;
use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use wacore_binary::Jid;

use super::{AdminError, contacts, parse_phone};
use crate::clock::real_unix_micros;
use crate::hub::Hub;
use crate::people::{Draft, Person};

/// A machine for tests does no more.
const HIGHEST_RATE: f64 = 50_000.0;
const LONGEST: f64 = 7_200.0;

/// Who writes to whom, how fast and how long.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Traffic {
    from: Vec<String>,
    to: Vec<String>,
    /// Messages a second, of all together.
    rate: f64,
    seconds: f64,
}

#[derive(Default)]
struct Count {
    sent: AtomicU64,
    failed: AtomicU64,
}

/// Each contact of `from` writes to the numbers of `to` in turn. A text ends with the microsecond, since
/// 1970, at which it was due: who reads it knows how long it took. Answers when all is written.
pub(super) async fn write(
    State(hub): State<Arc<Hub>>,
    Json(traffic): Json<Traffic>,
) -> Result<Json<Value>, AdminError> {
    let refused = |reason| AdminError::new(StatusCode::UNPROCESSABLE_ENTITY, reason);
    if traffic.from.is_empty() || traffic.to.is_empty() {
        return Err(refused("`from` and `to` name at least one number each"));
    }
    let bounded = |number: f64, most: f64| number > 0.0 && number <= most;
    if !bounded(traffic.rate, HIGHEST_RATE) || !bounded(traffic.seconds, LONGEST) {
        return Err(refused("`rate` is above 0 and up to 50,000 a second, `seconds` up to 7,200"));
    }
    let people: Result<Vec<_>, _> =
        traffic.from.iter().map(|phone| contacts::find(&hub, phone)).collect();
    let numbers: Result<Vec<_>, _> =
        traffic.to.iter().map(|phone| parse_phone(phone).map(Jid::pn)).collect();
    let (people, numbers) = (people?, numbers?);
    let count = Count::default();
    let writers = u32::try_from(people.len()).map_err(|_| refused("`from` is too long"))?;
    let pause = Duration::from_secs_f64(f64::from(writers) / traffic.rate);
    let start = Instant::now();
    let end = start + Duration::from_secs_f64(traffic.seconds);
    let writing = people.iter().zip(0..).map(|(person, index): (_, u32)| {
        // People begin one after the other, as evenly as they go on.
        let first = start + pause * index / writers;
        let numbers = numbers.iter().cycle().skip(index as usize * numbers.len() / people.len());
        write_on(&hub, person, numbers, (first, pause, end), &count)
    });
    join_all(writing).await;
    Ok(Json(json!({
        "sent": count.sent.load(Ordering::Relaxed),
        "failed": count.failed.load(Ordering::Relaxed),
        "seconds": start.elapsed().as_secs_f64(),
    })))
}

/// One person writes. What can't keep the pace is late, and its lateness counts.
async fn write_on(
    hub: &Arc<Hub>,
    person: &Person,
    numbers: impl Iterator<Item = &Jid>,
    (first, pause, end): (Instant, Duration, Instant),
    count: &Count,
) {
    let mut pace = interval_at(first, pause);
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for (number, to) in numbers.enumerate() {
        let due = tokio::select! {
            () = hub.cancel.cancelled() => return,
            due = pace.tick() => due,
        };
        if due >= end {
            return;
        }
        let at = real_unix_micros().saturating_sub(due.elapsed().as_micros());
        let text = Draft::Text(format!("{} {number} {at}", person.phone));
        let written = person.write(hub, to, text, None).await;
        let counted = if written.is_ok() { &count.sent } else { &count.failed };
        counted.fetch_add(1, Ordering::Relaxed);
    }
}
