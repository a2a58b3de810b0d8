//! The owners' switches, at hand: every message asks for them.

use flowcore_domain::id::InstanceId;
use flowcore_domain::instance::settings::Settings;
use flowcore_storage::{StorageError, Store};
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

/// How many instances' switches are at hand.
const AT_HAND: NonZeroUsize = NonZeroUsize::new(10_000).expect("not zero");

/// The switches, as they are stored.
pub(crate) struct Switches(Mutex<LruCache<InstanceId, Arc<Settings>>>);

impl std::fmt::Debug for Switches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Switches(…)")
    }
}

impl Default for Switches {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(AT_HAND)))
    }
}

impl Switches {
    /// Those of an instance; of one that is deleted, the first ones.
    pub(crate) async fn of(
        &self,
        store: &Store,
        id: InstanceId,
    ) -> Result<Arc<Settings>, StorageError> {
        if let Some(known) = self.lock().get(&id) {
            return Ok(Arc::clone(known));
        }
        let Some(found) = store.instance(id).await? else { return Ok(Arc::default()) };
        let settings = Arc::new(found.settings);
        self.lock().put(id, Arc::clone(&settings));
        Ok(settings)
    }

    /// They have changed.
    pub(crate) fn forget(&self, id: InstanceId) {
        self.lock().pop(&id);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, LruCache<InstanceId, Arc<Settings>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
