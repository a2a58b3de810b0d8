//! How long to wait before trying again: one rule for sockets and webhooks, pure, with the jitter
//! handed in.

use std::time::Duration;

/// Exponential back-off with a cap and proportional jitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Wait after the first failure.
    pub first: Duration,
    /// No wait is longer than this, jitter included.
    pub cap: Duration,
    /// Each wait is moved by at most this share, in percent, up or down.
    pub jitter_percent: u32,
}

impl Backoff {
    /// Reconnecting a session: 1 s, 2 s, 4 s … 60 s. A minute is the longest a shop owner whose
    /// network came back should wait.
    pub const RECONNECT: Self =
        Self { first: Duration::from_secs(1), cap: Duration::from_secs(60), jitter_percent: 30 };

    /// Coming back after a write that failed: 1 s, 2 s … 10 s. The store is our own, nobody is
    /// bothered by being asked, and messages wait for it.
    pub const STORAGE: Self =
        Self { first: Duration::from_secs(1), cap: Duration::from_secs(10), jitter_percent: 30 };

    /// Webhook retries: 2 s, 4 s … 1 h.
    pub const WEBHOOK: Self =
        Self { first: Duration::from_secs(2), cap: Duration::from_secs(3600), jitter_percent: 20 };

    /// Trying an endpoint that is paused: 30 s, 1 min … 1 h.
    pub const PROBE: Self =
        Self { first: Duration::from_secs(30), cap: Duration::from_secs(3600), jitter_percent: 20 };

    /// Work that failed: 1 s, 2 s … 30 s. A customer waits for it.
    pub const JOB: Self =
        Self { first: Duration::from_secs(1), cap: Duration::from_secs(30), jitter_percent: 30 };

    /// The wait after `failures` failures in a row (1 is the first). `dice` is a random number in
    /// `0.0..=1.0`; 0.5 gives the wait without jitter.
    #[must_use]
    pub fn delay(&self, failures: u32, dice: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(32);
        let plain = self.first.saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX));
        let plain = plain.min(self.cap).as_secs_f64();
        let share = f64::from(self.jitter_percent) / 100.0;
        let moved = plain * (1.0 + share * (dice.clamp(0.0, 1.0) * 2.0 - 1.0));
        Duration::from_secs_f64(moved).min(self.cap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn doubles_from_the_first_wait() {
        let waits: Vec<u64> = (1..=8).map(|n| Backoff::RECONNECT.delay(n, 0.5).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    proptest! {
        #[test]
        fn never_longer_than_the_cap_and_never_zero(failures: u32, dice in 0.0_f64..=1.0) {
            let delay = Backoff::WEBHOOK.delay(failures, dice);
            prop_assert!(delay <= Backoff::WEBHOOK.cap);
            prop_assert!(delay >= Duration::from_secs(1));
        }
    }
}
