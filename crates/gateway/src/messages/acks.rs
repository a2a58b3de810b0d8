//! How quickly WhatsApp acknowledges what is sent: of each number the latest delays, in memory. They begin anew with the
//! process, and of many numbers those that sent last are remembered.

use flowcore_domain::id::InstanceId;
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Of so many numbers.
const NUMBERS: NonZeroUsize = NonZeroUsize::new(10_000).expect("not zero");
/// So many delays of each.
const EACH: usize = 32;

/// The latest delays of a number, together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AckDelay {
    /// As many took longer as took less.
    pub median: Duration,
    /// The longest of them.
    pub longest: Duration,
    /// How many there are.
    pub of: usize,
}

/// In milliseconds, the latest ones in a ring.
#[derive(Debug, Clone, Copy, Default)]
struct Recent {
    delays: [u32; EACH],
    noted: usize,
}

/// The delays of all numbers.
#[derive(Debug)]
pub(crate) struct Acks(Mutex<LruCache<InstanceId, Recent>>);

impl Default for Acks {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(NUMBERS)))
    }
}

impl Acks {
    /// A message was acknowledged so long after it was written.
    pub(crate) fn note(&self, id: InstanceId, delay: Duration) {
        metrics::histogram!("flowcore_ack_seconds").record(delay);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = known.get_or_insert_mut(id, Recent::default);
        recent.delays[recent.noted % EACH] = u32::try_from(delay.as_millis()).unwrap_or(u32::MAX);
        recent.noted += 1;
    }

    /// What is known of a number; nothing before it sent something.
    pub(crate) fn of(&self, id: InstanceId) -> Option<AckDelay> {
        let recent = *self.0.lock().unwrap_or_else(PoisonError::into_inner).peek(&id)?;
        let mut delays = recent.delays;
        let delays = &mut delays[..recent.noted.min(EACH)];
        delays.sort_unstable();
        let millis = |ms: u32| Duration::from_millis(ms.into());
        Some(AckDelay {
            median: millis(*delays.get(delays.len() / 2)?),
            longest: millis(*delays.last()?),
            of: delays.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_delays_of_a_number_are_told_together() {
        let acks = Acks::default();
        let (shop, other): (InstanceId, InstanceId) = (crate::fresh_id(), crate::fresh_id());
        assert_eq!(acks.of(shop), None);
        for ms in [9_000, 30, 10, 20] {
            acks.note(shop, Duration::from_millis(ms));
        }
        let millis = Duration::from_millis;
        let told = acks.of(shop).expect("known");
        assert_eq!((told.median, told.longest, told.of), (millis(30), millis(9_000), 4));
        for _ in 0..EACH {
            acks.note(shop, millis(5));
        }
        let told = acks.of(shop).expect("known");
        assert_eq!((told.longest, told.of), (millis(5), EACH), "the old ones are forgotten");
        assert_eq!(acks.of(other), None, "each number has its own");
    }
}
