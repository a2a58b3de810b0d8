//! Posts events to webhooks: at least once, in order per chat, never holding up anything else.
//!
//! One task claims what is due and posts a bounded number at a time. A claim is a lease in the store:
//! what a killed process had claimed comes back by itself. Only the oldest unfinished delivery of a
//! chat and endpoint can be claimed, which is what keeps the order; a receiver that fails or hangs holds
//! up its own chats and nobody else's, because an endpoint has a bounded number under way (`under_way`),
//! and one that fails again and again is paused by the store.

use super::body::Bodies;
use super::post::{Posted, Poster};
use super::under_way::UnderWay;
use crate::Shared;
use crate::outbox::live::Settled;
use crate::outbox::render;
use flowcore_domain::backoff::Backoff;
use flowcore_domain::clock::Millis;
use flowcore_domain::webhook::{Attempt, after_attempt};
use flowcore_storage::{ClaimedDelivery, Settlement, StorageError, StoredEvent};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a claim holds; longer than any request may take.
const LEASE: Duration = Duration::from_secs(60);
/// How long the worker sleeps at most before it looks again.
const IDLE: Duration = Duration::from_secs(30);
/// How often endpoints are looked at that nothing is tried at.
const MEND: Duration = Duration::from_secs(60);
/// After a claim, what is left is looked at within this time.
const SOON: Duration = Duration::from_millis(100);
/// How long a stop waits for receivers that were asked and have not answered: less than the whole stop has. The
/// next start gives back the claims on what they did not answer, and posts it again under the same id.
const PARTING: Duration = Duration::from_secs(5);
/// How long the worker waits after the store failed.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// How often a settlement that the store does not take is tried again: less than half a minute in all, and
/// with the request before it less than the lease.
const SETTLE_AGAIN: u32 = 4;

/// Starts the worker.
pub(crate) fn start(shared: Arc<Shared>, poster: Poster) {
    let tracker = shared.lifecycle.tracker().clone();
    let stopping = shared.lifecycle.stopping().clone();
    tracker.spawn(stopping.run_until_cancelled_owned(mend(Arc::clone(&shared))));
    tracker.spawn(Worker { shared, poster: Arc::new(poster), bodies: Bodies::default() }.run());
}

/// Sees to endpoints that nothing would be tried at, and to what a killed process left half done.
async fn mend(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(MEND);
    loop {
        ticks.tick().await;
        match shared.store.mend_endpoints(shared.now()).await {
            Ok(0) => {}
            Ok(webhooks) => {
                tracing::info!(webhooks, "webhooks were mended");
                shared.outbox.work.notify_one();
            }
            Err(error) => tracing::warn!(%error, "webhooks are mended later"),
        }
    }
}

#[derive(Clone)]
struct Worker {
    shared: Arc<Shared>,
    poster: Arc<Poster>,
    bodies: Bodies,
}

impl Worker {
    async fn run(self) {
        let stopping = self.shared.lifecycle.stopping().clone();
        // Nobody else works on this store: what is still leased belonged to a process that is gone.
        if let Err(error) = self.shared.store.release_leases(self.shared.now()).await {
            tracing::error!(%error, "leases of an earlier run could not be released");
        }
        let mut posts = UnderWay::default();
        loop {
            let wait = if posts.full() { IDLE } else { self.claim_into(&mut posts).await };
            tokio::select! {
                biased;
                () = stopping.cancelled() => break,
                true = posts.one_ends() => posts.reap(),
                () = self.shared.outbox.work.notified(), if !posts.full() => {}
                () = tokio::time::sleep(wait), if !posts.full() => {}
            }
        }
        // What is under way is finished: its receiver may have it already.
        let answered = async { while posts.one_ends().await {} };
        let _ = tokio::time::timeout(PARTING, answered).await;
    }

    /// Claims and starts what is due; how long to wait when there is nothing more to do.
    async fn claim_into(&self, posts: &mut UnderWay) -> Duration {
        let now = self.shared.now();
        let room = posts.room(Instant::now());
        let due = async {
            let due = self.shared.store.next_delivery_due(now, room.passed_over()).await?;
            // A claim is a commit: not without need.
            if due.is_none_or(|at| at > now) {
                return Ok::<_, StorageError>(due);
            }
            let claimed = self.shared.store.claim_deliveries(room.claim(), now, LEASE).await?;
            if !claimed.is_empty() {
                let more = claimed.len() >= room.limit;
                for delivery in claimed {
                    let whose = (delivery.webhook.id, delivery.user_id);
                    posts.start(whose, self.clone().deliver(delivery));
                }
                // The rest is looked at when one of these ends or something comes; what is due later, soon.
                return Ok(Some(if more { now } else { now.plus(SOON) }));
            }
            let room = posts.room(Instant::now());
            self.shared.store.next_delivery_due(now, room.passed_over()).await
        };
        match due.await {
            Ok(Some(at)) => {
                Duration::from_millis(u64::try_from(at.0 - now.0).unwrap_or(0)).min(IDLE)
            }
            Ok(None) => IDLE,
            Err(error) => {
                tracing::error!(%error, "deliveries can't be claimed");
                STORE_PAUSE
            }
        }
    }

    /// Posts and settles; how long the receiver took.
    async fn deliver(self, delivery: ClaimedDelivery) -> Duration {
        let posted = self.post(&delivery).await;
        let now = self.shared.now();
        let Posted { status, wait, answer, duration_ms } = posted;
        let attempt = status.as_ref().map_or(Attempt::Unreachable, |code| Attempt::Answered(*code));
        count(&delivery, attempt, (now, duration_ms));
        let dice = (rand::random(), wait);
        let settlement = Settlement {
            step: after_attempt(attempt, delivery.attempts + 1, delivery.since, now, dice),
            status: status.as_ref().ok().copied(),
            duration_ms,
            error: status.err(),
            answer,
            asked: wait,
            dice: rand::random(),
            render: render::webhook_turn,
            at: now,
        };
        self.settle(&delivery, settlement).await;
        Duration::from_millis(duration_ms)
    }

    /// Notes what became of a delivery. A store that takes nothing for a moment is asked again while the
    /// lease holds: the receiver has the event, and the chat's next one waits for this note.
    async fn settle(&self, delivery: &ClaimedDelivery, settlement: Settlement) {
        for failures in 1.. {
            let settled =
                self.shared.store.settle_delivery(delivery.delivery_id, settlement.clone()).await;
            match settled {
                Ok(told) => return self.tell(delivery, &told),
                // Deleted meanwhile with its endpoint.
                Err(StorageError::NotFound(_)) => return,
                Err(StorageError::Unavailable(_)) if failures <= SETTLE_AGAIN => {
                    let delay = Backoff::STORAGE.delay(failures, rand::random());
                    tokio::time::sleep(delay).await;
                }
                Err(error) => {
                    tracing::error!(%error, "a delivery could not be settled; it will be repeated");
                    return;
                }
            }
        }
    }

    fn tell(&self, delivery: &ClaimedDelivery, told: &[StoredEvent]) {
        let webhook = delivery.webhook.id;
        for event in told {
            tracing::warn!(%webhook, turn = %event.event.data["state"], "a webhook turned");
        }
        self.shared.outbox.published(delivery.user_id, &delivery.instance_name, told);
        self.shared.outbox.settled(Settled {
            user_id: delivery.user_id,
            instance_id: delivery.event.event.instance_id,
            instance: delivery.instance_name.clone(),
        });
        self.shared.outbox.work.notify_one();
    }

    async fn post(&self, delivery: &ClaimedDelivery) -> Posted {
        let (webhook, event) = (&delivery.webhook, &delivery.event.event);
        let destination = webhook.destination(event.kind);
        let now = self.shared.now();
        let made = self.bodies.make((&self.shared, &self.poster), delivery, &destination).await;
        let body = match made {
            Ok(body) => body,
            Err(error) => {
                let status = Err(error.to_string());
                return Posted { status, wait: None, answer: None, duration_ms: 0 };
            }
        };
        let signed = Poster::sign(webhook, &event.id.text(), now, &body.bytes);
        self.poster.post(webhook, &destination, &signed, (body.bytes, now)).await
    }
}

/// An attempt is over: how it went, how long it took, and how old the event was when it arrived.
fn count(delivery: &ClaimedDelivery, attempt: Attempt, (now, duration_ms): (Millis, u64)) {
    let word = match attempt {
        Attempt::Answered(200..=299) => "delivered",
        Attempt::Answered(_) => "refused",
        Attempt::Unreachable => "unreachable",
    };
    metrics::counter!("flowcore_webhook_attempts_total", "outcome" => word).increment(1);
    let took = Duration::from_millis(duration_ms);
    metrics::histogram!("flowcore_webhook_attempt_seconds").record(took);
    if word == "delivered" {
        let age = u64::try_from(now.0 - delivery.event.event.at.0).unwrap_or(0);
        metrics::histogram!("flowcore_webhook_lag_seconds").record(Duration::from_millis(age));
    }
}
