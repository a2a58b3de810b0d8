//! Time as the rules see it: a value that is handed in, never asked for.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::future::Future;
use std::pin::Pin;

/// Milliseconds since the Unix epoch, UTC. The form in which times are stored and compared.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
pub struct Millis(pub i64);

impl Millis {
    /// This time moved forward; saturates at the end of time.
    #[must_use]
    pub fn plus(self, duration: std::time::Duration) -> Self {
        let ms = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(ms))
    }

    /// Whole seconds since the epoch, as WhatsApp's stanzas and Evolution's events count time.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Reads RFC 3339 with any offset.
    #[must_use]
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        text.parse::<Timestamp>().ok().map(|at| Self(at.as_millisecond()))
    }

    /// RFC 3339 in UTC with milliseconds (`2026-01-05T09:00:00.000Z`). A time outside the calendar
    /// (year 9999 and later) is shown as the epoch.
    #[must_use]
    pub fn rfc3339(self) -> String {
        let timestamp = Timestamp::from_millisecond(self.0).unwrap_or(Timestamp::UNIX_EPOCH);
        format!("{timestamp:.3}")
    }
}

/// Where the running system gets its time from; tests hand in their own.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The current time.
    fn now(&self) -> Millis;

    /// Ends when the time leaps after this call, so that who sleeps until some time looks again. A clock that
    /// only goes on never does.
    fn leaps(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::pending())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_true_utc_with_milliseconds() {
        assert_eq!(Millis(1_767_603_600_000).rfc3339(), "2026-01-05T09:00:00.000Z");
        let offset = Millis::parse_rfc3339("2026-01-05T06:00:00-03:00");
        assert_eq!(offset, Some(Millis(1_767_603_600_000)));
        assert_eq!(Millis::parse_rfc3339("yesterday"), None);
        assert_eq!(Millis(1_500).seconds(), 1);
        assert_eq!(Millis(i64::MAX).plus(std::time::Duration::from_secs(1)), Millis(i64::MAX));
    }
}
