//! What groups are, remembered for a while: asking is slow, and asking often is refused.

use flowcore_domain::clock::Millis;
use flowcore_domain::engine::Group;
use flowcore_domain::happening::Happening;
use flowcore_domain::id::InstanceId;
use flowcore_domain::jid::Jid;
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How many groups are remembered by the whole process.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(2_000).expect("not zero");
/// How long a group is believed to be as it was. Changes that we see end this at once.
const FOR: Duration = Duration::from_secs(10 * 60);

/// The memory.
pub(crate) struct KnownGroups(Mutex<LruCache<(InstanceId, Jid), (Group, Millis)>>);

impl std::fmt::Debug for KnownGroups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KnownGroups(…)")
    }
}

impl Default for KnownGroups {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(REMEMBERED)))
    }
}

impl KnownGroups {
    /// A group, while it is believed.
    pub(crate) fn get(&self, instance: InstanceId, id: &Jid, now: Millis) -> Option<Group> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (group, until) = known.get(&(instance, id.clone()))?;
        (*until > now).then(|| group.clone())
    }

    /// Remembers one.
    pub(crate) fn remember(&self, instance: InstanceId, group: Group, now: Millis) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.put((instance, group.id.clone()), (group, now.plus(FOR)));
    }

    /// Forgets one that changes.
    pub(crate) fn forget(&self, instance: InstanceId, id: &Jid) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop(&(instance, id.clone()));
    }

    /// Forgets what a happening is about.
    pub(crate) fn happened(&self, instance: InstanceId, happening: &Happening) {
        if let Some(group) = happening.group() {
            self.forget(instance, group);
        }
    }
}
