//! Stopping in order: first the sign to finish, then the wait until everything has.

use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a stop waits for work in flight. Sessions need at most eight seconds to say goodbye.
const PATIENCE: Duration = Duration::from_secs(10);

/// The owner of every task of the gateway.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    stopping: CancellationToken,
    tracker: TaskTracker,
}

impl Lifecycle {
    pub(crate) fn new() -> Self {
        Self { stopping: CancellationToken::new(), tracker: TaskTracker::new() }
    }

    /// Fires when work has to be finished.
    pub(crate) fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    /// Where tasks are spawned.
    pub(crate) fn tracker(&self) -> &TaskTracker {
        &self.tracker
    }

    /// Asks everything to stop and waits, bounded; whether everything was finished.
    pub(crate) async fn stop(&self) -> bool {
        self.stopping.cancel();
        self.tracker.close();
        let finished = tokio::time::timeout(PATIENCE, self.tracker.wait()).await.is_ok();
        if !finished {
            tracing::warn!(tasks = self.tracker.len(), "stopped before all work was finished");
        }
        finished
    }
}
