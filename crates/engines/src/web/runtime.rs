//! The client's tasks, on our tracker: a stop waits for all of them, and nothing is left running after
//! a session is deleted.

use async_trait::async_trait;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wacore::runtime::{AbortHandle, Runtime};

/// Spawns for one client. When `stop` fires, what the client left running is dropped.
pub(super) struct TrackedRuntime {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl TrackedRuntime {
    pub(super) fn new(tracker: TaskTracker, stop: CancellationToken) -> Self {
        Self { tracker, stop }
    }
}

#[async_trait]
impl Runtime for TrackedRuntime {
    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send + 'static>>) -> AbortHandle {
        let task = self.tracker.spawn(self.stop.clone().run_until_cancelled_owned(future));
        let abort = task.abort_handle();
        AbortHandle::new(move || abort.abort())
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(duration))
    }

    fn spawn_blocking(
        &self,
        work: Box<dyn FnOnce() + Send + 'static>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let task = self.tracker.spawn_blocking(work);
        Box::pin(async move {
            // A panic in there is the client's to notice: it reads the result through a channel.
            drop(task.await);
        })
    }

    fn yield_now(&self) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
        None
    }
}
