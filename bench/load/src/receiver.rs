//! The user's app: takes webhooks and looks at how old each message is.

use crate::times::Times;
use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::Value;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

#[derive(Default)]
pub(crate) struct Taken {
    /// Messages, by the age that their text tells; each counts once.
    pub(crate) ages: Times,
    texts: HashSet<String>,
    pub(crate) twice: usize,
    /// Requests, of any event.
    pub(crate) events: usize,
}

pub(crate) struct Receiver {
    pub(crate) url: String,
    taken: Mutex<Taken>,
    messages: watch::Sender<usize>,
}

impl Receiver {
    pub(crate) async fn start(tasks: &TaskTracker) -> anyhow::Result<Arc<Self>> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/hook", listener.local_addr()?);
        let messages = watch::Sender::new(0);
        let receiver = Arc::new(Self { url, taken: Mutex::default(), messages });
        let routes = Router::new().route("/hook", post(take)).with_state(Arc::clone(&receiver));
        tasks.spawn(async move { axum::serve(listener, routes).await });
        Ok(receiver)
    }

    pub(crate) fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what came so far.
    pub(crate) fn reset(&self) {
        *self.taken() = Taken::default();
        self.messages.send_replace(0);
    }

    /// Waits until so many messages are there; how many came when that takes too long.
    pub(crate) async fn until(&self, count: usize, patience: Duration) -> usize {
        let mut messages = self.messages.subscribe();
        let enough = messages.wait_for(|seen| *seen >= count);
        let _all_or_patience_over = tokio::time::timeout(patience, enough).await;
        *self.messages.borrow()
    }
}

/// An app that hears and never answers.
pub(crate) async fn deaf(tasks: &TaskTracker) -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/hook", listener.local_addr()?);
    tasks.spawn(async move {
        let mut kept = Vec::new();
        while let Ok((socket, _)) = listener.accept().await {
            kept.push(socket);
        }
    });
    Ok(url)
}

async fn take(State(receiver): State<Arc<Receiver>>, body: Bytes) -> StatusCode {
    let now = now();
    let message = text(&body).and_then(|text| Some((age(&text, now)?, text)));
    let mut taken = receiver.taken();
    taken.events += 1;
    let Some((age, text)) = message else { return StatusCode::NO_CONTENT };
    if taken.texts.insert(text) {
        taken.ages.add(age);
        receiver.messages.send_replace(taken.ages.len());
    } else {
        taken.twice += 1;
    }
    StatusCode::NO_CONTENT
}

/// The text of a `messages.upsert`.
fn text(body: &Bytes) -> Option<String> {
    let event: Value = serde_json::from_slice(body).ok()?;
    (event["event"] == "messages.upsert").then_some(())?;
    Some(event["data"]["message"]["conversation"].as_str()?.to_owned())
}

/// How long ago a text was due, by its last word.
pub(crate) fn age(text: &str, now: Duration) -> Option<Duration> {
    let due: u64 = text.rsplit(' ').next()?.parse().ok()?;
    Some(now.saturating_sub(Duration::from_micros(due)))
}

#[expect(clippy::disallowed_methods, reason = "the writers are in another process: real time")]
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).context("before 1970").unwrap_or_default()
}
