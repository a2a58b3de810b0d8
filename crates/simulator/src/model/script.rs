//! What the doubles were told to do next, and what they were asked.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::response::Json;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::hub::Hub;

/// Requests remembered; the oldest go first.
const REMEMBERED: usize = 1000;

/// One of the three vendors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Double {
    Chat,
    Embeddings,
    Transcriptions,
}

/// What happens to one request. Empty: the double answers by itself.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Outcome {
    pub(super) text: Option<String>,
    pub(super) delay_ms: Option<u64>,
    pub(super) status: Option<u16>,
    pub(super) retry_after: Option<u32>,
    /// The body is no JSON; a stream ends in the middle of an event.
    pub(super) broken: bool,
    /// The connection closes before the answer ends.
    pub(super) drop: bool,
}

impl Outcome {
    pub(super) fn delay(&self) -> Option<Duration> {
        self.delay_ms.map(Duration::from_millis)
    }
}

#[derive(Clone, Serialize)]
struct Request {
    double: Double,
    body: Value,
}

#[derive(Default)]
struct Scripts {
    next: BTreeMap<Double, VecDeque<Outcome>>,
    requests: VecDeque<Request>,
}

/// The scripts and the record of one network.
#[derive(Default)]
pub(crate) struct Doubles {
    scripts: Mutex<Scripts>,
}

impl Doubles {
    fn scripts(&self) -> MutexGuard<'_, Scripts> {
        self.scripts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets scripts and requests.
    pub(crate) fn clear(&self) {
        *self.scripts() = Scripts::default();
    }

    /// Notes a request and gives what was planned for it.
    pub(super) fn ask(&self, double: Double, body: Value) -> Outcome {
        let mut scripts = self.scripts();
        if scripts.requests.len() == REMEMBERED {
            scripts.requests.pop_front();
        }
        scripts.requests.push_back(Request { double, body });
        scripts.next.get_mut(&double).and_then(VecDeque::pop_front).unwrap_or_default()
    }
}

#[derive(Deserialize)]
pub(super) struct NewScript {
    double: Double,
    next: VecDeque<Outcome>,
}

/// Replaces what is queued for one double.
pub(super) async fn set(State(hub): State<Arc<Hub>>, Json(script): Json<NewScript>) -> Json<Value> {
    let queued = script.next.len();
    hub.doubles.scripts().next.insert(script.double, script.next);
    Json(json!({ "queued": queued }))
}

/// What the doubles were asked, oldest first.
pub(super) async fn requests(State(hub): State<Arc<Hub>>) -> Json<Value> {
    Json(json!({ "requests": hub.doubles.scripts().requests }))
}
