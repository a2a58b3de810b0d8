//! What the audit log is told about a request that changes something.
//!
//! The guard begins a deed before such a request: who, from where, which route with which names in its path;
//! its entry is stored with the first thing that the request writes. A handler that knows more (what it was
//! before, what the body named) says so in the [`Ledger`] of its request, which is added when it is over.

use crate::app::AppState;
use crate::request::RequestId;
use crate::surface::Route;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use flowcore_gateway::Deed;
use serde_json::{Map, Value, json};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Debug, Default)]
struct Notes {
    target: Option<String>,
    particulars: Map<String, Value>,
}

/// What a handler adds. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger(Arc<Mutex<Notes>>);

impl FromRequestParts<AppState> for Ledger {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

impl Ledger {
    /// What it was done to, where the path does not say.
    pub(crate) fn about(&self, target: impl Into<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).target = Some(target.into());
    }

    /// A particular; never a secret.
    pub(crate) fn add(&self, name: &str, value: Value) {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        notes.particulars.insert(name.to_owned(), value);
    }

    /// What it was before, and what it is now.
    pub(crate) fn change(&self, before: Value, after: Value) {
        self.add("before", before);
        self.add("after", after);
    }

    /// What is known of a request before it is answered.
    pub(crate) fn begun(route: Route, uri: &Uri, id: Option<&RequestId>) -> Deed {
        let named = names_in(route.path, uri.path());
        let target = named.first().map(|(_, value)| value.clone());
        let mut data: Map<String, Value> =
            named.into_iter().map(|(name, value)| (name, value.into())).collect();
        if let Some(id) = id {
            data.insert("requestId".to_owned(), json!(id.0.as_ref()));
        }
        let action = format!("{} {}", route.method, route.path);
        Deed { action, target, data: Value::Object(data) }
    }

    /// The same with what is known now.
    pub(crate) fn over(&self, begun: Deed, status: StatusCode) -> Deed {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Deed { action, target, data } = begun;
        let mut all = std::mem::take(&mut notes.particulars);
        for (name, value) in data.as_object().into_iter().flatten() {
            all.entry(name).or_insert_with(|| value.clone());
        }
        all.insert("status".to_owned(), status.as_u16().into());
        Deed { action, target: notes.target.take().or(target), data: Value::Object(all) }
    }
}

/// What the braces of a route stand for in a path.
fn names_in(route: &str, path: &str) -> Vec<(String, String)> {
    let pairs = route.split('/').zip(path.split('/'));
    let named = pairs.filter_map(|(segment, value)| {
        let name = segment.strip_prefix('{')?.strip_suffix('}')?;
        Some((name.trim_start_matches('*').to_owned(), value.chars().take(100).collect()))
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_the_path() {
        let named = names_in("/api/instances/{name}/webhooks/{id}", "/api/instances/a/webhooks/b");
        let named: Vec<_> = named.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(named, ["name=a", "id=b"]);
    }
}
