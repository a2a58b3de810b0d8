//! What a work measured: numbers with names. The name ends with the unit.

use crate::times::Times;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Numbers of one run.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Figures(pub(crate) BTreeMap<String, f64>);

impl Figures {
    pub(crate) fn set(&mut self, name: impl Into<String>, value: f64) {
        self.0.insert(name.into(), value);
    }

    /// `count` events in `took`.
    #[expect(clippy::cast_precision_loss, reason = "millions at most")]
    pub(crate) fn rate(&mut self, name: impl Into<String>, count: usize, took: Duration) {
        self.set(name, count as f64 / took.as_secs_f64());
    }

    /// A number that is counted.
    #[expect(clippy::cast_precision_loss, reason = "millions at most")]
    pub(crate) fn count(&mut self, name: impl Into<String>, count: usize) {
        self.set(name, count as f64);
    }

    /// Time spent on each of `count`, in microseconds.
    pub(crate) fn each(&mut self, name: impl Into<String>, spent: Duration, count: usize) {
        let count = u32::try_from(count.max(1)).unwrap_or(u32::MAX);
        self.set(name, (spent / count).as_secs_f64() * 1e6);
    }

    /// Half of the times, and all but a hundredth, in milliseconds.
    pub(crate) fn times(&mut self, name: &str, times: &Times) {
        for (share, time) in [50, 99].into_iter().zip(times.shares([50, 99])) {
            self.set(format!("{name}_p{share}_ms"), time.as_secs_f64() * 1e3);
        }
    }

    /// Adds those of another work, each behind `prefix`.
    pub(crate) fn extend(&mut self, prefix: &str, others: Self) {
        let named = others.0.into_iter().map(|(name, value)| (format!("{prefix}{name}"), value));
        self.0.extend(named);
    }
}
