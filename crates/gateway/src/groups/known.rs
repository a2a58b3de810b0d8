//! What groups are, remembered for a while: asking is slow, and asking often is refused. What they are called is
//! remembered until they are called otherwise, which WhatsApp tells.

use flowcore_domain::clock::Millis;
use flowcore_domain::engine::Group;
use flowcore_domain::happening::{GroupChange, Happening};
use flowcore_domain::id::InstanceId;
use flowcore_domain::jid::Jid;
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How many groups are remembered by the whole process.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(2_000).expect("not zero");
/// How many names.
const NAMES: NonZeroUsize = NonZeroUsize::new(10_000).expect("not zero");
/// How many numbers whose groups were asked for by name.
const NUMBERS: NonZeroUsize = NonZeroUsize::new(5_000).expect("not zero");
/// How long a group is believed to be as it was. Changes that we see end this at once.
const FOR: Duration = Duration::from_secs(10 * 60);
/// How long nobody asks again what a number's groups are called, whatever was not in the answer.
const NOT_AGAIN: Duration = Duration::from_secs(60);

/// How long a list waits for the names of groups.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

type Which = (InstanceId, Jid);

/// The memory.
pub(crate) struct KnownGroups(Mutex<Memory>);

struct Memory {
    groups: LruCache<Which, (Group, Millis)>,
    names: LruCache<Which, String>,
    /// From when on the names of a number's groups may be asked for.
    asked: LruCache<InstanceId, Millis>,
}

impl std::fmt::Debug for KnownGroups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KnownGroups(…)")
    }
}

impl Default for KnownGroups {
    fn default() -> Self {
        Self(Mutex::new(Memory {
            groups: LruCache::new(REMEMBERED),
            names: LruCache::new(NAMES),
            asked: LruCache::new(NUMBERS),
        }))
    }
}

impl KnownGroups {
    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A group, while it is believed.
    pub(crate) fn get(&self, instance: InstanceId, id: &Jid, now: Millis) -> Option<Group> {
        let mut known = self.lock();
        let (group, until) = known.groups.get(&(instance, id.clone()))?;
        (*until > now).then(|| group.clone())
    }

    /// What a group is called.
    pub(crate) fn name(&self, instance: InstanceId, id: &Jid) -> Option<String> {
        self.lock().names.get(&(instance, id.clone())).cloned()
    }

    /// Whether all groups of a number may be asked for, to know their names. Who may asks now, and nobody else
    /// for as long as that may take.
    pub(crate) fn may_ask(&self, instance: InstanceId, now: Millis) -> bool {
        let asked = &mut self.lock().asked;
        let may = asked.get(&instance).is_none_or(|again| *again <= now);
        if may {
            asked.put(instance, now.plus(PATIENCE));
        }
        may
    }

    /// They could not be asked for.
    pub(crate) fn not_asked(&self, instance: InstanceId) {
        self.lock().asked.pop(&instance);
    }

    /// They were asked for, and answered.
    pub(crate) fn asked(&self, instance: InstanceId, now: Millis) {
        self.lock().asked.put(instance, now.plus(NOT_AGAIN));
    }

    /// Remembers one.
    pub(crate) fn remember(&self, instance: InstanceId, group: Group, now: Millis) {
        let mut known = self.lock();
        known.names.put((instance, group.id.clone()), group.subject.clone());
        known.groups.put((instance, group.id.clone()), (group, now.plus(FOR)));
    }

    /// Forgets one that changes; its name stays until another is known.
    pub(crate) fn forget(&self, instance: InstanceId, id: &Jid) {
        self.lock().groups.pop(&(instance, id.clone()));
    }

    /// Forgets what a happening is about, and remembers what it says.
    pub(crate) fn happened(&self, instance: InstanceId, happening: &Happening) {
        let Some(group) = happening.group() else { return };
        self.forget(instance, group);
        let name = match happening {
            Happening::GroupMade { subject, .. } => subject.as_ref(),
            Happening::GroupChanged { change: GroupChange::Subject(subject), .. } => Some(subject),
            _ => None,
        };
        if let Some(name) = name {
            self.lock().names.put((instance, group.clone()), name.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_lasts_until_another_is_told_and_is_asked_for_once_a_minute() {
        let known = KnownGroups::default();
        let (instance, now) = (InstanceId(uuid::Uuid::nil()), Millis(0));
        let group: Jid = "120363000000000001@g.us".parse().expect("an address");
        let called = |name: &str| Happening::GroupChanged {
            group: group.clone(),
            by: None,
            change: GroupChange::Subject(name.to_owned()),
        };
        assert_eq!(known.name(instance, &group), None);
        assert!(known.may_ask(instance, now));
        assert!(!known.may_ask(instance, now), "somebody asks");
        known.not_asked(instance);
        assert!(known.may_ask(instance, now));
        assert!(known.may_ask(instance, now.plus(PATIENCE)), "it was given up");
        known.asked(instance, now);
        assert!(!known.may_ask(instance, now));
        known.happened(instance, &called("Orders"));
        known.forget(instance, &group);
        assert_eq!(known.name(instance, &group).as_deref(), Some("Orders"));
        known.happened(instance, &called("Old orders"));
        assert_eq!(known.name(instance, &group).as_deref(), Some("Old orders"));
        assert!(known.may_ask(instance, now.plus(NOT_AGAIN)));
    }
}
