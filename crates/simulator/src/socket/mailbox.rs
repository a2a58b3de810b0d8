//! How the rest of the network speaks to a socket.
//!
//! Bounded: who talks to another's socket never waits; a socket whose mailbox is full is not
//! reading and is closed. What must not be lost goes through the device's queue instead, the
//! mailbox only wakes the writer for it.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, mpsc};
use tokio::time::{Duration, Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use wacore_binary::Node;

const CAPACITY: usize = 256;

/// Names one connection of one network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SocketId(pub(crate) u64);

/// What the writer is told.
#[derive(Debug)]
pub(crate) enum Outgoing {
    Stanza(Node),
    /// Close once everything before is written, after a moment in which the client may close.
    Finish,
    /// Write nothing until then.
    Stall(Instant),
}

/// A handle on a socket.
#[derive(Debug, Clone)]
pub(crate) struct Mailbox {
    sender: mpsc::Sender<Outgoing>,
    pub(crate) wake: Arc<Notify>,
    pub(crate) cancel: CancellationToken,
    freeze: Freeze,
}

/// The writer's end.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) receiver: mpsc::Receiver<Outgoing>,
    pub(crate) wake: Arc<Notify>,
    pub(crate) cancel: CancellationToken,
}

impl Mailbox {
    pub(crate) fn new(cancel: CancellationToken, freeze: Freeze) -> (Self, Incoming) {
        let (sender, receiver) = mpsc::channel(CAPACITY);
        let wake = Arc::new(Notify::new());
        let incoming = Incoming { receiver, wake: Arc::clone(&wake), cancel: cancel.clone() };
        (Self { sender, wake, cancel, freeze }, incoming)
    }

    /// Replies on one's own socket: waits for room, so a client cannot outrun its own answers.
    pub(crate) async fn send(&self, stanza: Node) {
        self.forward(Outgoing::Stanza(stanza)).await;
    }

    /// Ends one's own socket after what was said.
    pub(crate) async fn finish(&self) {
        self.forward(Outgoing::Finish).await;
    }

    async fn forward(&self, outgoing: Outgoing) {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => {}
            // An error means that the writer has ended; the reader will notice by itself.
            _ = self.sender.send(outgoing) => {}
        }
    }

    /// Says something on another's socket.
    pub(crate) fn post(&self, outgoing: Outgoing) {
        if self.sender.try_send(outgoing).is_err() {
            self.cancel.cancel();
        }
    }

    /// Says a last word on another's socket.
    pub(crate) fn post_last(&self, stanza: Node) {
        self.post(Outgoing::Stanza(stanza));
        self.post(Outgoing::Finish);
    }

    /// The device's queue has something new.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Cuts the connection without a word.
    pub(crate) fn cut(&self) {
        self.cancel.cancel();
    }

    /// Writes nothing for a while; with `reads` reads nothing either.
    pub(crate) fn stall(&self, time: Duration, reads: bool) {
        let end = Instant::now() + time;
        self.post(Outgoing::Stall(end));
        if reads {
            self.freeze.until(end);
        }
    }
}

/// Until when a socket does not read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Freeze(Arc<Mutex<Option<Instant>>>);

impl Freeze {
    fn until(&self, end: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
    }

    /// Returns once reading is allowed.
    pub(crate) async fn thawed(&self) {
        let end = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(end) = end {
            sleep_until(end).await;
        }
    }
}
