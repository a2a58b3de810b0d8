//! The network's clock: unix seconds as stanzas carry them, and the instants at which codes and
//! chat states run out. It can be moved ahead.
//!
//! Each network has its own. The tasks of a network run inside [`MovedClock::scope`], and what they
//! call asks this module without being handed a clock; outside of any network time is the system's.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::task::futures::TaskLocalFuture;
use tokio::time::Instant;

/// A century; instants of the system can still be reckoned with it.
const FURTHEST_MS: u64 = 100 * 366 * 86_400 * 1000;

tokio::task_local! {
    static CLOCK: MovedClock;
}

/// How far one network's clock is ahead of the system's.
#[derive(Debug, Clone, Default)]
pub(crate) struct MovedClock {
    ahead_ms: Arc<AtomicU64>,
}

impl MovedClock {
    /// Moves the clock further ahead; time does not run backwards.
    pub(crate) fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        let add = |ahead: u64| Some(ahead.saturating_add(by).min(FURTHEST_MS));
        // The closure never gives `None`, so this cannot fail.
        let _before = self.ahead_ms.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    pub(crate) fn ahead(&self) -> Duration {
        Duration::from_millis(self.ahead_ms.load(Ordering::Relaxed))
    }

    /// Runs a task by this clock.
    pub(crate) fn scope<F: Future>(&self, task: F) -> TaskLocalFuture<MovedClock, F> {
        CLOCK.scope(self.clone(), task)
    }
}

fn ahead() -> Duration {
    CLOCK.try_with(MovedClock::ahead).unwrap_or_default()
}

/// Seconds since 1970; what `t` attributes hold.
#[expect(clippy::disallowed_methods, reason = "this is the network's one look at the clock")]
pub(crate) fn unix_seconds() -> u64 {
    let now = SystemTime::now() + ahead();
    now.duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

/// Microseconds since 1970 by the machine's own clock, for who measures across processes.
#[expect(clippy::disallowed_methods, reason = "what is measured is real time")]
pub(crate) fn real_unix_micros() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_micros())
}

/// Now, for what expires by the network's clock. Not for sleeping: a moved clock is no timer.
pub(crate) fn instant() -> Instant {
    Instant::now() + ahead()
}
