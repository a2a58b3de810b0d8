//! What all parts of one network share.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::MovedClock;
use crate::codes::CodeSource;
use crate::model::Doubles;
use crate::people::People;
use crate::socket::mailbox::SocketId;
use crate::wire::certificate::ServerIdentity;
use crate::world::World;

/// When the codes of a linking client run out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RefTimes {
    pub(crate) first: Duration,
    pub(crate) next: Duration,
}

/// One network's shared parts.
pub(crate) struct Hub {
    pub(crate) identity: ServerIdentity,
    pub(crate) addr: SocketAddr,
    pub(crate) people: People,
    /// The vendors' doubles.
    pub(crate) doubles: Doubles,
    pub(crate) clock: MovedClock,
    /// Where the codes of the product are, once somebody has told.
    pub(crate) codes: OnceLock<Arc<dyn CodeSource>>,
    pub(crate) tracker: TaskTracker,
    pub(crate) cancel: CancellationToken,
    /// Told when the world changed in a way that should be kept.
    pub(crate) changed: Arc<Notify>,
    world: Mutex<World>,
    ref_times: RefTimes,
    sockets: AtomicU64,
}

impl Hub {
    pub(crate) fn new(world: World, addr: SocketAddr, ref_times: RefTimes, people: People) -> Self {
        Self {
            identity: ServerIdentity::derive(world.seed),
            addr,
            people,
            doubles: Doubles::default(),
            clock: MovedClock::default(),
            codes: OnceLock::new(),
            tracker: TaskTracker::new(),
            cancel: CancellationToken::new(),
            changed: world.change_signal(),
            world: Mutex::new(world),
            ref_times,
            sockets: AtomicU64::new(0),
        }
    }

    /// The world. Never held across an await.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn ref_times(&self) -> RefTimes {
        self.ref_times
    }

    pub(crate) fn next_socket_id(&self) -> SocketId {
        SocketId(self.sockets.fetch_add(1, Ordering::Relaxed))
    }
}
