//! Which numbers are on WhatsApp, remembered for a while: asking costs a round trip, and asking too
//! often looks like scanning to WhatsApp.

use flowcore_domain::clock::Millis;
use flowcore_domain::engine::Account;
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How many numbers are remembered by the whole process (about 200 bytes each).
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(20_000).expect("not zero");
/// How long a number that is on WhatsApp is believed to be.
const FOUND_FOR: Duration = Duration::from_secs(24 * 3600);
/// How long a number that is not is believed not to be: people join.
const MISSING_FOR: Duration = Duration::from_secs(60);

/// What is known of a number.
#[derive(Debug, Clone)]
pub(super) enum Known {
    /// It is this account.
    Account(Account),
    /// It is not on WhatsApp.
    Missing,
}

/// The memory.
#[derive(Debug)]
pub(super) struct KnownNumbers(Mutex<LruCache<String, (Known, Millis)>>);

impl Default for KnownNumbers {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(REMEMBERED)))
    }
}

impl KnownNumbers {
    /// What is known of a number, while it is believed.
    pub(super) fn get(&self, digits: &str, now: Millis) -> Option<Known> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (what, until) = known.get(digits)?;
        (*until > now).then(|| what.clone())
    }

    /// Remembers an answer.
    pub(super) fn remember(&self, digits: String, what: Known, now: Millis) {
        let lifetime = match what {
            Known::Account(_) => FOUND_FOR,
            Known::Missing => MISSING_FOR,
        };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.put(digits, (what, now.plus(lifetime)));
    }
}
