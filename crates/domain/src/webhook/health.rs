//! How an endpoint is doing: a pure breaker.
//!
//! An endpoint that fails [`BREAK_AFTER`] times in a row is paused: what waits for it waits on, and one
//! delivery at growing intervals finds out whether it is back. After [`SWITCH_OFF_AFTER`] of failing, or
//! when it answers that it is gone, it is switched off. Any success sets everything right.
//!
//! One that asks for time (`Retry-After`) is paused until then too, which is no turn that anybody has to
//! be told of; a success of what was sent before it asked does not take that back.

use super::{Attempt, LONGEST_WAIT};
use crate::backoff::Backoff;
use crate::clock::Millis;
use std::time::Duration;

/// So many failures in a row pause an endpoint.
pub const BREAK_AFTER: u32 = 10;
/// An endpoint that fails for so long is switched off.
pub const SWITCH_OFF_AFTER: Duration = Duration::from_secs(24 * 3600);

/// What an endpoint's last attempts say about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// Failures in a row.
    pub failures: u32,
    /// When the first of them was.
    pub failing_since: Option<Millis>,
    /// While it is paused or asked for time, when it is tried next.
    pub paused_until: Option<Millis>,
    /// Why it was switched off, where its owner did not do it.
    pub off_because: Option<OffBecause>,
}

/// Why an endpoint was switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffBecause {
    /// It answered 410.
    Gone,
    /// It failed for too long.
    Failing,
}

impl OffBecause {
    /// The API's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }

    /// Reads the API's word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Gone, Self::Failing].into_iter().find(|why| why.as_str() == text)
    }
}

/// A change that an endpoint's owner is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It fails again and again; what goes to it waits.
    Paused,
    /// It is back.
    Resumed,
    /// It gets nothing any more.
    SwitchedOff(OffBecause),
}

impl Health {
    /// What an attempt makes of it. `wait` is a random number in `0.0..=1.0` and the time that the
    /// receiver asked for.
    #[must_use]
    pub fn after(
        &self,
        attempt: Attempt,
        now: Millis,
        (dice, asked): (f64, Option<Duration>),
    ) -> (Self, Option<Turn>) {
        let waits = self.paused_until.is_some_and(|until| now < until);
        let (mut next, turn) = match attempt {
            Attempt::Answered(200..=299) => return self.succeeded(waits),
            Attempt::Answered(410) => return self.switched_off(OffBecause::Gone),
            // Sent before the pause: it tells nothing new.
            _ if waits => (self.clone(), None),
            _ => self.failed(now, dice),
        };
        let asked = asked.filter(|asked| !asked.is_zero() && next.off_because.is_none());
        let until = asked.map(|asked| now.plus(asked.min(LONGEST_WAIT)));
        next.paused_until = next.paused_until.max(until);
        (next, turn)
    }

    fn broken(&self) -> bool {
        self.failures >= BREAK_AFTER
    }

    fn succeeded(&self, waits: bool) -> (Self, Option<Turn>) {
        match self.broken() {
            true => (Self::default(), Some(Turn::Resumed)),
            false if waits => (Self { paused_until: self.paused_until, ..Self::default() }, None),
            false => (Self::default(), None),
        }
    }

    fn failed(&self, now: Millis, dice: f64) -> (Self, Option<Turn>) {
        let since = self.failing_since.unwrap_or(now);
        let mut next = Self {
            failures: self.failures.saturating_add(1),
            failing_since: Some(since),
            paused_until: None,
            off_because: None,
        };
        if !next.broken() {
            return (next, None);
        }
        if now >= since.plus(SWITCH_OFF_AFTER) {
            return next.switched_off(OffBecause::Failing);
        }
        let probes = next.failures - BREAK_AFTER + 1;
        next.paused_until = Some(now.plus(Backoff::PROBE.delay(probes, dice)));
        let turn = (!self.broken()).then_some(Turn::Paused);
        (next, turn)
    }

    fn switched_off(&self, why: OffBecause) -> (Self, Option<Turn>) {
        let off = Self { paused_until: None, off_because: Some(why), ..self.clone() };
        (off, Some(Turn::SwitchedOff(why)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOWN: Attempt = Attempt::Answered(503);

    fn fail(mut health: Health, times: u32, now: Millis) -> (Health, Option<Turn>) {
        let mut turn = None;
        for _ in 0..times {
            (health, turn) = health.after(DOWN, now, (0.5, None));
        }
        (health, turn)
    }

    #[test]
    fn a_few_failures_change_nothing_and_a_success_forgets_them() {
        let (health, turn) = fail(Health::default(), BREAK_AFTER - 1, Millis(5));
        assert_eq!(
            (turn, health.paused_until, health.failing_since),
            (None, None, Some(Millis(5)))
        );
        let after = health.after(Attempt::Answered(204), Millis(6), (0.5, None));
        assert_eq!(after, (Health::default(), None));
    }

    #[test]
    fn who_asks_for_time_gets_it_without_a_turn_and_up_to_a_day() {
        let hour = Duration::from_secs(3600);
        let asked = |asked| (0.5, Some(asked));
        let (health, turn) = Health::default().after(DOWN, Millis(0), asked(hour));
        assert_eq!((health.paused_until, turn), (Some(Millis(0).plus(hour)), None));
        let (straggler, turn) = health.after(Attempt::Answered(200), Millis(1), (0.5, None));
        assert_eq!((straggler.paused_until, turn), (health.paused_until, None));
        let (longer, _) = health.after(DOWN, Millis(1), asked(hour * 2));
        assert_eq!(longer.paused_until, Some(Millis(1).plus(hour * 2)));
        let later = Millis(0).plus(hour);
        let back = health.after(Attempt::Answered(200), later, (0.5, None));
        assert_eq!(back, (Health::default(), None));
        let (failed, _) = health.after(DOWN, later, (0.5, None));
        assert_eq!((failed.paused_until, failed.failures), (None, 2));
        let (most, _) = health.after(DOWN, later, asked(hour * 1000));
        assert_eq!(most.paused_until, Some(later.plus(LONGEST_WAIT)));
        let (broken, _) = fail(Health::default(), BREAK_AFTER - 1, Millis(0));
        let (broken, turn) = broken.after(DOWN, Millis(0), asked(hour));
        assert_eq!((broken.paused_until, turn), (Some(later), Some(Turn::Paused)));
    }

    #[test]
    fn pauses_grow_and_stragglers_do_not_count() {
        let (mut health, turn) = fail(Health::default(), BREAK_AFTER, Millis(0));
        assert_eq!(turn, Some(Turn::Paused));
        let straggler = health.after(Attempt::Unreachable, Millis(1), (0.5, None));
        assert_eq!(straggler, (health.clone(), None));
        let mut pauses = vec![];
        let mut now = health.paused_until.expect("paused");
        for _ in 0..9 {
            let (next, turn) = health.after(DOWN, now, (0.5, None));
            assert_eq!(turn, None);
            let until = next.paused_until.expect("paused");
            pauses.push((until.0 - now.0) / 1000);
            (health, now) = (next, until);
        }
        assert_eq!(pauses, [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]);
        let (health, turn) = health.after(Attempt::Answered(200), now, (0.5, None));
        assert_eq!((health, turn), (Health::default(), Some(Turn::Resumed)));
    }

    #[test]
    fn a_day_of_failing_or_a_410_switches_it_off() {
        let (health, _) = fail(Health::default(), BREAK_AFTER, Millis(0));
        let day = Millis(0).plus(SWITCH_OFF_AFTER);
        let (health, turn) = health.after(DOWN, day, (0.5, None));
        assert_eq!(turn, Some(Turn::SwitchedOff(OffBecause::Failing)));
        assert_eq!((health.paused_until, health.off_because), (None, Some(OffBecause::Failing)));
        let gone = Attempt::Answered(410);
        let (_, turn) = Health::default().after(gone, Millis(0), (0.5, None));
        assert_eq!(turn, Some(Turn::SwitchedOff(OffBecause::Gone)));
    }
}
