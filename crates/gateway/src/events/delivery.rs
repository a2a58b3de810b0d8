//! Posts events to webhooks: at least once, in order per chat, never holding up anything else.
//!
//! One task claims what is due and posts a bounded number at a time. A claim is a lease in the store:
//! what a killed process had claimed comes back by itself. Only the oldest unfinished delivery of a
//! chat and endpoint can be claimed, which is what keeps the order; a receiver that fails holds up its
//! own chats and nobody else's.

use crate::Shared;
use crate::clients::{self, AllowPrivate};
use crate::error::StartError;
use flowcore_domain::clock::Millis;
use flowcore_domain::event::Envelope;
use flowcore_domain::webhook::{Attempt, NextStep, after_attempt};
use flowcore_storage::{ClaimedDelivery, Settlement, StorageError};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How many requests are under way at once.
const AT_ONCE: usize = 64;
/// How long a claim holds; longer than any request may take.
const LEASE: Duration = Duration::from_secs(60);
/// How long the worker sleeps at most before it looks again.
const IDLE: Duration = Duration::from_secs(30);
/// How long the worker waits after the store failed.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// How much of an error is kept for the log.
const ERROR_LENGTH: usize = 200;

/// What every post needs to know.
#[derive(Debug, Clone)]
pub(crate) struct Posting {
    /// The address of this server, for the body.
    pub(crate) server_url: String,
    /// Private addresses that may be posted to.
    pub(crate) allow: AllowPrivate,
}

/// Starts the worker.
pub(crate) fn start(shared: Arc<Shared>, posting: Posting) -> Result<(), StartError> {
    let client =
        clients::guarded(&posting.allow).map_err(|error| StartError::Http(error.to_string()))?;
    let tracker = shared.lifecycle.tracker().clone();
    tracker.spawn(Worker { shared, client, posting: Arc::new(posting) }.run());
    Ok(())
}

#[derive(Clone)]
struct Worker {
    shared: Arc<Shared>,
    client: reqwest::Client,
    posting: Arc<Posting>,
}

impl Worker {
    async fn run(self) {
        let stopping = self.shared.lifecycle.stopping().clone();
        // Nobody else works on this store: what is still leased belonged to a process that is gone.
        if let Err(error) = self.shared.store.release_leases(self.shared.now()).await {
            tracing::error!(%error, "leases of an earlier run could not be released");
        }
        let mut posts = JoinSet::new();
        loop {
            let wait = if posts.len() < AT_ONCE { self.claim_into(&mut posts).await } else { IDLE };
            tokio::select! {
                biased;
                () = stopping.cancelled() => break,
                Some(_) = posts.join_next() => {}
                () = self.shared.outbox.work.notified(), if posts.len() < AT_ONCE => {}
                () = tokio::time::sleep(wait), if posts.len() < AT_ONCE => {}
            }
        }
        // What is under way is finished: its receiver has it already.
        while posts.join_next().await.is_some() {}
    }

    /// Claims and starts what is due; how long to wait when there is nothing more to do.
    async fn claim_into(&self, posts: &mut JoinSet<()>) -> Duration {
        let now = self.shared.now();
        let room = AT_ONCE - posts.len();
        let due = async {
            let claimed = self.shared.store.claim_deliveries(room, now, LEASE).await?;
            for delivery in claimed {
                posts.spawn(self.clone().deliver(delivery));
            }
            self.shared.store.next_delivery_due(now).await
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

    async fn deliver(self, delivery: ClaimedDelivery) {
        let began = Instant::now();
        let outcome = self.post(&delivery).await;
        let now = self.shared.now();
        let (attempt, wait, error) = match outcome {
            Ok((status, wait)) => (Attempt::Answered(status), wait, None),
            Err(error) => (Attempt::Unreachable, None, Some(error)),
        };
        let event_at = delivery.event.event.at;
        let dice = (rand::random(), wait);
        let step = after_attempt(attempt, delivery.attempts + 1, event_at, now, dice);
        let settlement = Settlement {
            step,
            status: match attempt {
                Attempt::Answered(status) => Some(status),
                Attempt::Unreachable => None,
            },
            duration_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            error,
            at: now,
        };
        self.settle(&delivery, settlement).await;
    }

    async fn settle(&self, delivery: &ClaimedDelivery, settlement: Settlement) {
        let dead = matches!(settlement.step, NextStep::Dead);
        match self.shared.store.settle_delivery(delivery.delivery_id, settlement).await {
            Ok(()) => self.shared.outbox.work.notify_one(),
            // Deleted meanwhile with its endpoint.
            Err(StorageError::NotFound(_)) => {}
            Err(error) => {
                tracing::error!(%error, "a delivery could not be settled; it will be repeated");
            }
        }
        if dead {
            tracing::warn!(webhook = %delivery.webhook.id, "a delivery was given up after a day");
        }
    }

    /// One request; the receiver's status and the wait it asked for.
    async fn post(&self, delivery: &ClaimedDelivery) -> Result<(u16, Option<Duration>), String> {
        let event = &delivery.event.event;
        let destination = delivery.webhook.destination(event.kind);
        let url = clients::check_url(&destination, &self.posting.allow)?;
        let body = self.body(delivery, &destination)?;
        let id = event.id.text();
        let timestamp = self.shared.now().seconds();
        let signature = delivery.webhook.secret.sign(&id, timestamp, &body);
        let request = self
            .client
            .post(url)
            .headers(own_headers(delivery))
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp.to_string())
            .header("webhook-signature", signature)
            .body(body);
        let answer = request.send().await.map_err(|error| describe(&error))?;
        Ok((answer.status().as_u16(), retry_after(answer.headers(), self.shared.now())))
    }

    fn body(&self, delivery: &ClaimedDelivery, destination: &str) -> Result<Vec<u8>, String> {
        let event = &delivery.event.event;
        let envelope = Envelope {
            event: event.kind.as_str(),
            instance: delivery.instance_name.as_str(),
            data: event.data.clone(),
            destination,
            date_time: event.at.rfc3339(),
            sender: delivery.sender.as_ref().map(ToString::to_string),
            server_url: &self.posting.server_url,
            apikey: None,
        };
        serde_json::to_vec(&envelope).map_err(|error| error.to_string())
    }
}

/// The user's headers; those that can't be sent were refused when they were set.
fn own_headers(delivery: &ClaimedDelivery) -> HeaderMap {
    delivery
        .webhook
        .headers
        .iter()
        .filter_map(|(name, value)| {
            Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?))
        })
        .collect()
}

/// `Retry-After` in seconds or as a date.
fn retry_after(headers: &HeaderMap, now: Millis) -> Option<Duration> {
    let value = headers.get("retry-after")?.to_str().ok()?;
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(value).ok()?.timestamp().as_millisecond();
    Some(Duration::from_millis(u64::try_from(at - now.0).unwrap_or(0)))
}

/// What went wrong, without the URL: it may carry a secret.
fn describe(error: &reqwest::Error) -> String {
    let what = if error.is_timeout() {
        "no answer in time".to_owned()
    } else {
        let source = std::error::Error::source(error);
        source.map_or_else(|| "the request failed".to_owned(), innermost)
    };
    what.chars().take(ERROR_LENGTH).collect()
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
