//! How the rest of the network speaks to a socket.
//!
//! Bounded: who talks to another's socket never waits; a socket whose mailbox is full is not
//! reading and is closed. What must not be lost goes through the device's queue instead, the
//! mailbox only wakes the writer for it.

use std::sync::Arc;

use tokio::sync::{Notify, mpsc, watch};
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
    /// Look whether anything may be written, or is to be.
    Look,
}

/// A handle on a socket.
#[derive(Debug, Clone)]
pub(crate) struct Mailbox {
    sender: mpsc::Sender<Outgoing>,
    pub(crate) wake: Arc<Notify>,
    pub(crate) cancel: CancellationToken,
    freeze: Freeze,
    silence: Freeze,
}

/// The writer's end.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) receiver: mpsc::Receiver<Outgoing>,
    pub(crate) wake: Arc<Notify>,
    pub(crate) cancel: CancellationToken,
    /// While nothing may be written.
    pub(crate) silence: Freeze,
}

impl Mailbox {
    pub(crate) fn new(cancel: CancellationToken, freeze: Freeze) -> (Self, Incoming) {
        let (sender, receiver) = mpsc::channel(CAPACITY);
        let (wake, silence) = (Arc::new(Notify::new()), Freeze::default());
        let incoming = Incoming {
            receiver,
            wake: Arc::clone(&wake),
            cancel: cancel.clone(),
            silence: silence.clone(),
        };
        (Self { sender, wake, cancel, freeze, silence }, incoming)
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

    /// Writes nothing for a while; with `reads` reads nothing either. No time at all ends what was asked before.
    pub(crate) fn stall(&self, time: Duration, reads: bool) {
        let end = Instant::now() + time;
        self.silence.until(end);
        self.post(Outgoing::Look);
        if reads {
            self.freeze.until(end);
        }
    }
}

/// Until when a socket does not read, or does not write. The last word counts, also while somebody waits.
#[derive(Debug, Clone, Default)]
pub(crate) struct Freeze(watch::Sender<Option<Instant>>);

impl Freeze {
    fn until(&self, end: Instant) {
        self.0.send_replace(Some(end));
    }

    /// Returns once it is over.
    pub(crate) async fn thawed(&self) {
        let mut words = self.0.subscribe();
        loop {
            let Some(end) = *words.borrow_and_update() else { return };
            tokio::select! {
                () = sleep_until(end) => return,
                // The sender is `self`: it is there.
                _ = words.changed() => {}
            }
        }
    }
}
