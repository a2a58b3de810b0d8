//! How many linked sessions may be on their way in at the same time.
//!
//! A restart of thousands of numbers, or the end of an outage, must not open thousands of sockets in one
//! second. Whoever dials takes a turn. Outcome sets the width: each arrival widens it by one, a failure
//! halves it. A turn that takes too long gives its place to the next: one bad number never holds up the
//! others. Sessions that show codes don't queue: a person waits in front of each, and their number is
//! held down at the door of the API.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// The width after a start.
const FIRST: usize = 32;
/// No outage makes it narrower.
const NARROWEST: usize = 4;
/// More at once would only slow each other down.
const WIDEST: usize = 128;
/// A turn is over after this, whatever became of it.
const PATIENCE: Duration = Duration::from_secs(10);
/// Failures within this time have one cause, and count once.
const ONE_CAUSE: Duration = Duration::from_secs(1);
/// Who had to wait starts within this time, so that those who were freed together don't dial together.
const JITTER: Duration = Duration::from_millis(100);

/// The gate. One for all sessions.
pub(super) struct Admission {
    places: Arc<Semaphore>,
    width: Mutex<Width>,
    patience: Duration,
}

struct Width {
    now: usize,
    /// Places that are to vanish when they come back.
    owed: usize,
    narrowed: Option<Instant>,
}

impl Admission {
    pub(super) fn new() -> Arc<Self> {
        Self::with_patience(PATIENCE)
    }

    fn with_patience(patience: Duration) -> Arc<Self> {
        let width = Mutex::new(Width { now: FIRST, owed: 0, narrowed: None });
        Arc::new(Self { places: Arc::new(Semaphore::new(FIRST)), width, patience })
    }

    /// Waits for a place.
    pub(super) async fn enter(self: &Arc<Self>) -> Turn {
        let places = &self.places;
        let place = if let Ok(place) = Arc::clone(places).try_acquire_owned() {
            place
        } else {
            let place = Arc::clone(places).acquire_owned().await;
            tokio::time::sleep(JITTER.mul_f64(rand::random())).await;
            place.expect("the gate is never closed")
        };
        Turn { gate: Arc::clone(self), place: Some(place) }
    }

    /// The network, or WhatsApp, could not be reached.
    pub(super) fn failed(&self) {
        self.narrow(Instant::now());
    }

    fn widen(&self) {
        let mut width = self.width();
        if width.now == WIDEST {
            return;
        }
        width.now += 1;
        if width.owed > 0 {
            width.owed -= 1;
        } else {
            self.places.add_permits(1);
        }
    }

    fn narrow(&self, now: Instant) {
        let mut width = self.width();
        if width.narrowed.is_some_and(|at| now.duration_since(at) < ONE_CAUSE) {
            return;
        }
        width.narrowed = Some(now);
        let narrower = (width.now / 2).max(NARROWEST);
        let fewer = width.now - narrower;
        width.now = narrower;
        let gone = self.places.forget_permits(fewer);
        width.owed += fewer - gone;
    }

    /// Takes a place back, or lets it vanish.
    fn settle(&self, place: OwnedSemaphorePermit) {
        let mut width = self.width();
        if width.owed > 0 {
            width.owed -= 1;
            place.forget();
        }
    }

    fn width(&self) -> std::sync::MutexGuard<'_, Width> {
        self.width.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place at the gate. Dropped before the number arrived, it says nothing about the network: the
/// session was stopped, or WhatsApp answered with a final word.
pub(super) struct Turn {
    gate: Arc<Admission>,
    place: Option<OwnedSemaphorePermit>,
}

impl Turn {
    /// Gives the place back once the number arrived, or the turn took too long.
    pub(super) async fn until(self, arrived: impl Future<Output = ()>) {
        if tokio::time::timeout(self.gate.patience, arrived).await.is_ok() {
            self.gate.widen();
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            self.gate.settle(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all_places(gate: &Arc<Admission>) -> Vec<Turn> {
        let mut turns = Vec::new();
        while gate.places.available_permits() > 0 {
            turns.push(gate.enter().await);
        }
        turns
    }

    #[tokio::test]
    async fn no_more_dial_at_once_than_the_gate_is_wide() {
        let gate = Admission::new();
        let turns = all_places(&gate).await;
        assert_eq!(turns.len(), FIRST);
        let waiting = tokio::time::timeout(Duration::from_millis(50), gate.enter()).await;
        assert!(waiting.is_err(), "nobody gave a place back");
        drop(turns);
        assert_eq!(all_places(&gate).await.len(), FIRST);
    }

    #[tokio::test]
    async fn arrivals_widen_it_and_an_outage_narrows_it_once() {
        let gate = Admission::new();
        for _ in 0..1000 {
            gate.enter().await.until(std::future::ready(())).await;
        }
        assert_eq!(gate.places.available_permits(), WIDEST);
        // Half of the dials are under way when the network goes.
        let mut turns = all_places(&gate).await;
        turns.truncate(WIDEST / 2);
        let now = Instant::now();
        for _ in 0..50 {
            gate.narrow(now);
        }
        drop(turns);
        assert_eq!(gate.places.available_permits(), WIDEST / 2);
        for outage in 1..20 {
            gate.narrow(now + ONE_CAUSE * outage);
        }
        assert_eq!(all_places(&gate).await.len(), NARROWEST);
    }

    #[tokio::test]
    async fn a_number_that_never_arrives_gives_its_place_to_the_next() {
        let gate = Admission::with_patience(Duration::from_millis(20));
        let mut turns = all_places(&gate).await;
        let stuck = turns.pop().expect("a turn").until(std::future::pending());
        let (next, ()) = tokio::join!(gate.enter(), stuck);
        drop(next);
    }
}
