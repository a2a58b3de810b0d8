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
    /// How long a client may say nothing.
    pub(crate) silence: Duration,
    world: Mutex<World>,
    ref_times: RefTimes,
    sockets: AtomicU64,
    seed: u64,
    /// What the server proves it is, and how often it changed.
    identity: Mutex<(Arc<ServerIdentity>, u32)>,
}

impl Hub {
    pub(crate) fn new(
        world: World,
        addr: SocketAddr,
        (ref_times, silence): (RefTimes, Duration),
        people: People,
    ) -> Self {
        Self {
            addr,
            people,
            doubles: Doubles::default(),
            clock: MovedClock::default(),
            codes: OnceLock::new(),
            tracker: TaskTracker::new(),
            cancel: CancellationToken::new(),
            changed: world.change_signal(),
            seed: world.seed,
            identity: Mutex::new((Arc::new(ServerIdentity::derive(world.seed, 0)), 0)),
            silence,
            world: Mutex::new(world),
            ref_times,
            sockets: AtomicU64::new(0),
        }
    }

    /// The world. Never held across an await.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn identity_now(&self) -> MutexGuard<'_, (Arc<ServerIdentity>, u32)> {
        self.identity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the server proves it is in a handshake.
    pub(crate) fn identity(&self) -> Arc<ServerIdentity> {
        Arc::clone(&self.identity_now().0)
    }

    /// The same with a certificate that has ended.
    pub(crate) fn expired_identity(&self) -> Arc<ServerIdentity> {
        Arc::new(ServerIdentity::expired(self.seed, self.identity_now().1))
    }

    /// The server has another key from now on: no client can resume by the one it knows.
    pub(crate) fn change_key(&self) {
        let mut now = self.identity_now();
        now.1 += 1;
        now.0 = Arc::new(ServerIdentity::derive(self.seed, now.1));
    }

    pub(crate) fn ref_times(&self) -> RefTimes {
        self.ref_times
    }

    pub(crate) fn next_socket_id(&self) -> SocketId {
        SocketId(self.sockets.fetch_add(1, Ordering::Relaxed))
    }
}
