//! The signals that end a server: the first asks it to stop, the second does not wait.

use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Ctrl-C and SIGTERM of this process.
#[derive(Debug)]
pub struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    /// Takes both signals over from the system's default, which would end the process at once.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Returns when the next signal arrives.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
