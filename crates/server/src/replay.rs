//! `Idempotency-Key` of the requests that make something and are not kept in the database: the first
//! answer for 24 hours, in memory and bounded. (Sending keeps its keys with the message itself, so
//! that they outlive a restart.)

use crate::problem::{Problem, idempotency_conflict};
use axum::http::HeaderMap;
use flowcore_domain::id::UserId;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const KEPT_FOR: Duration = Duration::from_secs(24 * 3600);
/// Beyond this many the oldest go first.
const CAPACITY: usize = 10_000;
/// As Stripe has it.
const MAX_KEY: usize = 255;

/// One request that carries a key.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct ReplayKey {
    user: UserId,
    route: String,
    key: String,
}

struct Entry {
    at: Instant,
    hash: [u8; 32],
    answer: Option<Value>,
}

/// The keys that were seen.
#[derive(Default)]
pub(crate) struct Replays {
    entries: Mutex<HashMap<ReplayKey, Entry>>,
}

/// The header's value, when there is one.
pub(crate) fn key_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    match value.to_str().map(str::trim) {
        Ok(key) if (1..=MAX_KEY).contains(&key.len()) => Ok(Some(key.to_owned())),
        _ => Err(Problem::field(
            "invalid_idempotency_key",
            "Not an idempotency key",
            "Idempotency-Key",
            "an idempotency key has 1 to 255 visible ASCII characters",
        )),
    }
}

impl ReplayKey {
    /// `None` when the request has no key.
    pub(crate) fn of(
        headers: &HeaderMap,
        user: UserId,
        route: impl Into<String>,
    ) -> Result<Option<Self>, Problem> {
        Ok(key_of(headers)?.map(|key| Self { user, route: route.into(), key }))
    }
}

impl Replays {
    /// The first answer to this key, if there was one; a conflict when the body is another.
    pub(crate) fn seen(&self, key: &ReplayKey, hash: [u8; 32]) -> Result<Option<Value>, Problem> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        match entries.get(key).filter(|entry| entry.at.elapsed() < KEPT_FOR) {
            Some(entry) if entry.hash != hash => Err(idempotency_conflict()),
            Some(entry) => Ok(entry.answer.clone()),
            None => Ok(None),
        }
    }

    /// Keeps the answer. Without one, only the body is compared and the request is carried out again.
    pub(crate) fn keep(&self, key: ReplayKey, hash: [u8; 32], answer: Option<Value>) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= CAPACITY {
            entries.retain(|_, entry| entry.at.elapsed() < KEPT_FOR);
        }
        if entries.len() >= CAPACITY {
            let oldest =
                entries.iter().min_by_key(|(_, entry)| entry.at).map(|(key, _)| key.clone());
            oldest.map(|key| entries.remove(&key));
        }
        entries.entry(key).or_insert(Entry { at: Instant::now(), hash, answer });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> ReplayKey {
        let user = "0192d3a0-0000-7000-8000-000000000000".parse().expect("an id");
        ReplayKey { user, route: "webhooks".to_owned(), key: text.to_owned() }
    }

    #[test]
    fn the_first_answer_comes_again_and_another_body_conflicts() {
        let replays = Replays::default();
        assert!(matches!(replays.seen(&key("a"), [1; 32]), Ok(None)));
        replays.keep(key("a"), [1; 32], Some(1.into()));
        replays.keep(key("a"), [1; 32], Some(2.into()));
        assert_eq!(replays.seen(&key("a"), [1; 32]).ok().flatten(), Some(1.into()));
        let conflict = replays.seen(&key("a"), [2; 32]).expect_err("another body");
        assert_eq!(conflict.code, "idempotency_conflict");
    }

    #[test]
    fn it_does_not_grow_without_end() {
        let replays = Replays::default();
        for n in 0..CAPACITY + 5 {
            replays.keep(key(&n.to_string()), [0; 32], None);
        }
        assert_eq!(replays.entries.lock().expect("not poisoned").len(), CAPACITY);
    }
}
