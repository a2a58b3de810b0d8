//! Slowing down who guesses passwords: by the address that they come from and by the name that they try.
//!
//! A try counts as wrong from its beginning, so that a thousand at the same moment are not one; one that was
//! right is taken back. A name is never shut for long: else strangers could shut its user out.

use flowcore_domain::clock::Millis;
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Wrong tries that cost nothing.
const FREE_BY_ADDRESS: u32 = 20;
const FREE_BY_NAME: u32 = 8;
/// The longest that an address or a name waits.
const LONGEST_BY_ADDRESS: Duration = Duration::from_secs(15 * 60);
const LONGEST_BY_NAME: Duration = Duration::from_secs(30);
/// After so long without a try everything is forgotten.
const FORGET: Duration = Duration::from_secs(3600);
/// Names and addresses that are remembered; the oldest are forgotten first.
const REMEMBERED: usize = 20_000;

#[derive(Debug, Clone, Copy, Default)]
struct Tries {
    wrong: u32,
    last: i64,
    until: i64,
}

/// Remembers wrong tries.
#[derive(Debug)]
pub(crate) struct Throttle(Mutex<LruCache<String, Tries>>);

impl Default for Throttle {
    fn default() -> Self {
        let remembered = NonZeroUsize::new(REMEMBERED).expect("not zero");
        Self(Mutex::new(LruCache::new(remembered)))
    }
}

impl Throttle {
    /// Begins a try; says how long to wait when it comes too soon.
    pub(crate) fn begin(&self, address: &str, name: &str, now: Millis) -> Result<(), Duration> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = keys(address, name);
        for (key, ..) in &keys {
            let until = all.get(key).map_or(0, |tries| tries.until);
            if let Some(wait) = u64::try_from(until - now.0).ok().filter(|wait| *wait > 0) {
                return Err(Duration::from_millis(wait));
            }
        }
        for (key, free, longest) in keys {
            let mut tries = all.get(&key).copied().unwrap_or_default();
            let forget = i64::try_from(FORGET.as_millis()).unwrap_or(i64::MAX);
            if now.0 - tries.last > forget {
                tries = Tries::default();
            }
            tries.wrong += 1;
            tries.last = now.0;
            let over = tries.wrong.saturating_sub(free);
            if over > 0 {
                let wait = Duration::from_secs(1 << over.min(16)).min(longest);
                tries.until = now.plus(wait).0;
            }
            all.put(key, tries);
        }
        Ok(())
    }

    /// It was right: the name's count is forgotten, the address has one wrong try less.
    pub(crate) fn was_right(&self, address: &str, name: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let [(by_address, ..), (by_name, ..)] = keys(address, name);
        all.pop(&by_name);
        if let Some(tries) = all.get_mut(&by_address) {
            tries.wrong = tries.wrong.saturating_sub(1);
            tries.until = 0;
        }
    }
}

fn keys(address: &str, name: &str) -> [(String, u32, Duration); 2] {
    [
        (format!("address {address}"), FREE_BY_ADDRESS, LONGEST_BY_ADDRESS),
        (format!("name {}", name.to_lowercase()), FREE_BY_NAME, LONGEST_BY_NAME),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guessing_is_slowed_down_and_a_right_try_is_free() {
        let throttle = Throttle::default();
        let now = Millis(1_000_000);
        for _ in 0..100 {
            throttle.begin("a", "anna", now).expect("free");
            throttle.was_right("a", "anna");
        }
        for _ in 0..=FREE_BY_NAME {
            throttle.begin("b", "Bob", now).expect("free");
        }
        let wait = throttle.begin("c", "bob", now).expect_err("another address, the same name");
        assert!(wait <= LONGEST_BY_NAME);
        throttle.begin("c", "bob", now.plus(wait)).expect("after the wait");
        for n in 0..=FREE_BY_ADDRESS {
            let _ = throttle.begin("d", &format!("name-{n}"), now);
        }
        assert!(throttle.begin("d", "yet another", now).is_err());
        assert!(throttle.begin("d", "yet another", now.plus(FORGET + FORGET)).is_ok());
    }
}
