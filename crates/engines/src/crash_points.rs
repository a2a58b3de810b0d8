//! Named points at which a test can let the process die as if by `kill -9`.
//!
//! The promise "nothing acknowledged is lost" is about what happens between two steps, so the kill
//! test has to hit exactly between them. Only `flowcore-sandbox` arms a point; unarmed, a point costs
//! one relaxed load.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// Where the process can be told to die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum CrashPoint {
    /// A message is decrypted and nothing of it is in the database but the client's own buffer.
    AfterDecrypt = 1,
    /// The message is committed, WhatsApp is not told yet.
    AfterCommit = 2,
    /// The acknowledgement is on its way.
    AfterAck = 3,
    /// An outgoing message is stored, nothing is written to the socket.
    BeforeSendWrite = 4,
    /// An outgoing message is written to the socket, the store does not know.
    AfterSendWrite = 5,
}

impl CrashPoint {
    /// Every point with the name under which it is armed.
    pub const ALL: [(&'static str, Self); 5] = [
        ("after_decrypt", Self::AfterDecrypt),
        ("after_commit", Self::AfterCommit),
        ("after_ack", Self::AfterAck),
        ("before_send_write", Self::BeforeSendWrite),
        ("after_send_write", Self::AfterSendWrite),
    ];

    /// Reads a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, point)| point)
    }
}

static ARMED: AtomicU8 = AtomicU8::new(0);
static PASSES_LEFT: AtomicU64 = AtomicU64::new(0);

/// Lets the process die when `point` is passed for the `nth` time (1 is the first).
pub fn arm(point: CrashPoint, nth: u64) {
    PASSES_LEFT.store(nth.max(1), Ordering::SeqCst);
    ARMED.store(point as u8, Ordering::SeqCst);
}

/// Passes a point; the process ends here without any clean-up when it is armed and its time has come.
pub fn pass(point: CrashPoint) {
    if ARMED.load(Ordering::Relaxed) == point as u8
        && PASSES_LEFT.fetch_sub(1, Ordering::SeqCst) == 1
    {
        std::process::abort();
    }
}
