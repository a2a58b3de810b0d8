//! What the audit log is told about a request that changes something.
//!
//! The guard notes every one that succeeded: who, from where, which route with which names in its path. A
//! handler that knows more (what it was before, what the body named) says so in the [`Ledger`] of its request.

use crate::app::AppState;
use crate::client::Arrival;
use crate::request::RequestId;
use crate::surface::Route;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use flowcore_gateway::{Caller, Deed};
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

    /// Writes it down.
    pub(crate) async fn close(
        &self,
        state: &AppState,
        (caller, arrival): (&Caller, &Arrival),
        route: Route,
        (uri, status, id): (&Uri, StatusCode, Option<&RequestId>),
    ) {
        let (target, mut data) = {
            let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            (notes.target.take(), std::mem::take(&mut notes.particulars))
        };
        let named = names_in(route.path, uri.path());
        let target = target.or_else(|| named.first().map(|(_, value)| value.clone()));
        for (name, value) in named {
            data.entry(name).or_insert(Value::from(value));
        }
        data.insert("status".to_owned(), status.as_u16().into());
        if let Some(id) = id {
            data.insert("requestId".to_owned(), json!(id.0.as_ref()));
        }
        let action = format!("{} {}", route.method, route.path);
        let deed = Deed { action, target, data: Value::Object(data) };
        state.gateway.accounts().note(Some(caller), &arrival.client, deed).await;
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
