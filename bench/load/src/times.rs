//! Durations of many events, and the shares below which they stay.

use std::fmt;
use std::time::Duration;

#[derive(Debug, Default)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    pub(crate) fn extend(&mut self, times: impl IntoIterator<Item = Duration>) {
        self.0.extend(times);
    }

    pub(crate) fn into_inner(self) -> Vec<Duration> {
        self.0
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The durations that these percents of them do not exceed.
    pub(crate) fn shares<const N: usize>(&self, percents: [usize; N]) -> [Duration; N] {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        percents.map(|percent| Self::share(&sorted, percent))
    }

    /// The duration that `percent` of them do not exceed.
    fn share(sorted: &[Duration], percent: usize) -> Duration {
        let last = sorted.len().saturating_sub(1);
        sorted.get((sorted.len() * percent / 100).min(last)).copied().unwrap_or_default()
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p90, p99, slowest] = self.shares([50, 90, 99, 100]);
        write!(f, "p50 {p50:.1?}, p90 {p90:.1?}, p99 {p99:.1?}, slowest {slowest:.1?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_the_sorted_times() {
        let mut times = Times::default();
        times.extend((1..=100).rev().map(Duration::from_millis));
        assert_eq!(times.to_string(), "p50 51.0ms, p90 91.0ms, p99 100.0ms, slowest 100.0ms");
    }
}
