//! Forgetting what has had its time: old messages where an instance limits them, events, idempotency
//! keys, sign-ins, the audit log. Once at the start and then every hour, at a moment of the server's own, so that many
//! servers on one database do not all come at once.

use crate::{Shared, trace};
use flowcore_domain::clock::Millis;
use flowcore_storage::StorageError;
use rand::RngExt;
use std::sync::Arc;
use std::time::Duration;

const EVERY: Duration = Duration::from_secs(3600);
/// How long it is known who changed what: two years, in milliseconds.
const AUDIT_KEPT: i64 = 2 * 365 * 24 * 3600 * 1000;
/// How long events of a deleted instance are tried at least: an hour, in milliseconds. The next round ends it.
const RETIRED_KEPT: i64 = 3600 * 1000;
/// Up to so much is added to each pause.
const SPREAD: Duration = Duration::from_secs(300);

/// Starts the task; it ends with the gateway.
pub(crate) fn start(shared: Arc<Shared>, events: Duration) {
    let stopping = shared.lifecycle.stopping().clone();
    let tracker = shared.lifecycle.tracker().clone();
    tracker.spawn(stopping.run_until_cancelled_owned(async move {
        loop {
            if let Err(error) = tidy(&shared, events).await {
                tracing::warn!(%error, "not everything that is old could be forgotten; the next round tries again");
            }
            let pause = EVERY + SPREAD.mul_f64(rand::rng().random());
            tokio::time::sleep(pause).await;
        }
    }));
}

async fn tidy(shared: &Shared, events: Duration) -> Result<(), StorageError> {
    let (store, now) = (&shared.store, shared.now());
    let age = i64::try_from(events.as_millis()).unwrap_or(i64::MAX);
    let messages = store.sweep_history(now).await?;
    let events = store.sweep_events(Millis(now.0.saturating_sub(age))).await?;
    let keys = store.sweep_idempotency_keys(now).await?;
    let sessions = store.sweep_login_sessions(now).await?;
    let kept = i64::try_from(trace::KEEP.as_millis()).unwrap_or(i64::MAX);
    let notes = store.sweep_notes(Millis(now.0.saturating_sub(kept))).await?;
    let audit = store.sweep_audit(Millis(now.0.saturating_sub(AUDIT_KEPT))).await?;
    let gone = store.bury_retired(Millis(now.0.saturating_sub(RETIRED_KEPT))).await?;
    if messages + gone + events + keys + sessions + notes + audit > 0 {
        tracing::info!(
            messages,
            gone,
            events,
            keys,
            sessions,
            notes,
            audit,
            "what is old was forgotten"
        );
    }
    Ok(())
}
