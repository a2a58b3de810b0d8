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
pub(crate) struct Switches(Mutex<Known>);

struct Known {
    settings: LruCache<InstanceId, Arc<Settings>>,
    /// How often something was forgotten: what was read before that may be out of date.
    forgotten: u64,
}

impl std::fmt::Debug for Switches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Switches(…)")
    }
}

impl Default for Switches {
    fn default() -> Self {
        Self(Mutex::new(Known { settings: LruCache::new(AT_HAND), forgotten: 0 }))
    }
}

impl Switches {
    /// Those of an instance; of one that is deleted, the first ones.
    pub(crate) async fn of(
        &self,
        store: &Store,
        id: InstanceId,
    ) -> Result<Arc<Settings>, StorageError> {
        let before = {
            let mut known = self.lock();
            if let Some(settings) = known.settings.get(&id) {
                return Ok(Arc::clone(settings));
            }
            known.forgotten
        };
        let Some(found) = store.instance(id).await? else { return Ok(Arc::default()) };
        let settings = Arc::new(found.settings);
        let mut known = self.lock();
        if known.forgotten == before {
            known.settings.put(id, Arc::clone(&settings));
        }
        Ok(settings)
    }

    /// They have changed.
    pub(crate) fn forget(&self, id: InstanceId) {
        let mut known = self.lock();
        known.settings.pop(&id);
        known.forgotten += 1;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
