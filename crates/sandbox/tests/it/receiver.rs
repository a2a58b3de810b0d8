//! A user's app that takes every event, remembers it, and checks its signature.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// One event as it came.
#[derive(Debug, Clone)]
pub(crate) struct Hook {
    /// `webhook-id`, the same on every retry.
    pub(crate) id: String,
    pub(crate) headers: HeaderMap,
    pub(crate) raw: Bytes,
    pub(crate) body: Value,
}

type Record = (Mutex<Vec<Hook>>, watch::Sender<usize>);

/// The app.
pub(crate) struct Receiver {
    pub(crate) url: String,
    record: Arc<Record>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let record: Arc<Record> = Arc::new((Mutex::default(), watch::Sender::new(0)));
        let app = Router::new().route("/hook", post(take)).with_state(Arc::clone(&record));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        tokio_util::task::TaskTracker::new().spawn(async move { axum::serve(listener, app).await });
        Self { url, record }
    }

    pub(crate) fn all(&self) -> Vec<Hook> {
        self.record.0.lock().expect("the record").clone()
    }

    /// Messages that came in, in the order in which their events did: WhatsApp's id and text.
    pub(crate) fn messages(&self) -> Vec<(String, String)> {
        let text = |body: &Value, path: &str| {
            body.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        self.all()
            .iter()
            .filter(|hook| hook.body["event"] == "messages.upsert")
            .map(|hook| {
                (text(&hook.body, "/data/key/id"), text(&hook.body, "/data/message/conversation"))
            })
            .collect()
    }

    /// Waits until what came satisfies a condition; false at the deadline.
    pub(crate) async fn until(&self, deadline: Duration, holds: impl Fn(&Self) -> bool) -> bool {
        let mut count = self.record.1.subscribe();
        let wait = async {
            loop {
                count.borrow_and_update();
                if holds(self) {
                    return;
                }
                count.changed().await.expect("the receiver");
            }
        };
        timeout(deadline, wait).await.is_ok()
    }
}

async fn take(State(record): State<Arc<Record>>, headers: HeaderMap, raw: Bytes) -> StatusCode {
    let Ok(body) = serde_json::from_slice(&raw) else { return StatusCode::BAD_REQUEST };
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
    let hook = Hook { id: id.to_owned(), headers: headers.clone(), raw, body };
    record.0.lock().expect("the record").push(hook);
    record.1.send_modify(|count| *count += 1);
    StatusCode::OK
}
