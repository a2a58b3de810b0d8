//! What clients keep at hand, and what of it all of them share: who is in which group, within one budget of memory.
//!
//! A client asks for the members of a group when it writes there and keeps the answer for an hour. By itself it
//! keeps 250 groups, a hundred bytes and more a member, which is its largest cache by far: a few thousand numbers
//! that write to large groups would take gigabytes. Here they share one budget; what nobody used for longest goes,
//! and is asked for again when it is needed.
//!
//! The client's other pluggable caches stay its own. With a list of devices elsewhere it does without what it works
//! out from it (`device_memos_enabled` of whatsapp-rust 0.7), and the pairs of hidden and shown numbers may not go
//! at all (`lid_pn_cache`).

use async_trait::async_trait;
use lru::LruCache;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use wacore::store::cache::CacheStore;
use whatsapp_rust::{CacheConfig, CacheStores};

/// So many chats keep the task that takes their messages one by one when there is nothing to do. It is the
/// client's largest, with its queue 11 KiB, and by default five thousand chats of each number keep theirs. A chat
/// without one gets it with its next message, and idle ones beyond these go then; one that is at work never does.
const LANES: u64 = 4;
/// What they may know of groups, all together, in bytes when nothing else is configured.
const BUDGET: u64 = 64 << 20;
/// What an entry takes beside its key and value: the list's links, the table's slot, two allocations.
const OVERHEAD: u64 = 160;

/// What is kept of groups, for every client. One per process.
pub(super) struct Caches {
    budget: u64,
    clients: AtomicU64,
    kept: Mutex<Kept>,
}

/// The part of one client, which is let go with it.
struct Part {
    all: Arc<Caches>,
    client: u64,
}

struct Kept {
    entries: LruCache<Key, Entry>,
    bytes: u64,
}

/// The client, and what it calls the group.
type Key = (u64, Box<str>);

struct Entry {
    value: Box<[u8]>,
    until: Option<Instant>,
}

impl Caches {
    /// With a budget in bytes.
    pub(super) fn new(budget: Option<u64>) -> Arc<Self> {
        let kept = Kept { entries: LruCache::unbounded(), bytes: 0 };
        let budget = budget.unwrap_or(BUDGET);
        Arc::new(Self { budget, clients: AtomicU64::new(0), kept: Mutex::new(kept) })
    }

    /// How a client that begins is set up.
    pub(super) fn of_a_client(self: &Arc<Self>) -> CacheConfig {
        let cache_stores = CacheStores { group_cache: Some(self.part()), ..CacheStores::default() };
        CacheConfig { chat_lanes_capacity: LANES, cache_stores, ..CacheConfig::default() }
    }

    /// The part of a client that begins. It begins empty: what an earlier one knew may have changed since.
    fn part(self: &Arc<Self>) -> Arc<dyn CacheStore> {
        let client = self.clients.fetch_add(1, Ordering::Relaxed);
        Arc::new(Part { all: Arc::clone(self), client })
    }

    fn change(&self, act: impl FnOnce(&mut Kept)) {
        let bytes = {
            let mut kept = self.kept();
            act(&mut kept);
            kept.bytes
        };
        #[expect(clippy::cast_precision_loss, reason = "far from 2^53 bytes")]
        metrics::gauge!("flowcore_group_cache_bytes").set(bytes as f64);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn get(&mut self, key: &Key, now: Instant) -> Option<Vec<u8>> {
        let entry = self.entries.get(key)?;
        if entry.until.is_some_and(|until| until <= now) {
            self.remove(key);
            return None;
        }
        Some(entry.value.to_vec())
    }

    /// What is larger than the budget is not kept at all, and makes nothing else go.
    fn set(&mut self, key: Key, entry: Entry, budget: u64) {
        self.remove(&key);
        let weight_of_it = weight(&key, &entry);
        if weight_of_it > budget {
            return;
        }
        self.bytes += weight_of_it;
        self.entries.put(key, entry);
        while self.bytes > budget
            && let Some((key, entry)) = self.entries.pop_lru()
        {
            self.bytes -= weight(&key, &entry);
        }
    }

    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.entries.pop(key) {
            self.bytes -= weight(key, &entry);
        }
    }

    fn remove_all(&mut self, which: impl Fn(&Key) -> bool) {
        let all = self.entries.iter().map(|(key, _)| key);
        let gone: Vec<Key> = all.filter(|key| which(key)).cloned().collect();
        for key in &gone {
            self.remove(key);
        }
    }
}

fn weight((_, name): &Key, entry: &Entry) -> u64 {
    OVERHEAD + (name.len() + entry.value.len()) as u64
}

/// Namespaces of the client are words; this is in none.
fn name_of(namespace: &str, key: &str) -> Box<str> {
    format!("{namespace}\n{key}").into()
}

#[async_trait]
impl CacheStore for Part {
    async fn get(&self, namespace: &str, key: &str) -> anyhow::Result<Option<Vec<u8>>> {
        let key = (self.client, name_of(namespace, key));
        Ok(self.all.kept().get(&key, Instant::now()))
    }

    async fn set(
        &self,
        namespace: &str,
        key: &str,
        value: &[u8],
        ttl: Option<Duration>,
    ) -> anyhow::Result<()> {
        let entry = Entry { value: value.into(), until: ttl.map(|ttl| Instant::now() + ttl) };
        let key = (self.client, name_of(namespace, key));
        self.all.change(|kept| kept.set(key, entry, self.all.budget));
        Ok(())
    }

    async fn delete(&self, namespace: &str, key: &str) -> anyhow::Result<()> {
        let key = (self.client, name_of(namespace, key));
        self.all.change(|kept| kept.remove(&key));
        Ok(())
    }

    async fn clear(&self, namespace: &str) -> anyhow::Result<()> {
        let beginning = name_of(namespace, "");
        self.all.change(|kept| {
            kept.remove_all(|(client, name)| {
                *client == self.client && name.starts_with(&*beginning)
            });
        });
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.all.change(|kept| kept.remove_all(|(client, _)| *client == self.client));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: Option<Duration> = Some(Duration::from_secs(3600));

    async fn read(part: &Arc<dyn CacheStore>, key: &str) -> Option<Vec<u8>> {
        part.get("group", key).await.expect("no error of its own")
    }

    async fn write(part: &Arc<dyn CacheStore>, key: &str, size: usize) {
        part.set("group", key, &vec![7; size], HOUR).await.expect("no error of its own");
    }

    #[tokio::test]
    async fn clients_see_their_own_and_leave_nothing_behind() {
        let all = Caches::new(None);
        let (one, other) = (all.part(), all.part());
        write(&one, "a", 10).await;
        write(&other, "a", 20).await;
        other.set("else", "a", &[1], None).await.expect("no error of its own");
        assert_eq!(read(&one, "a").await, Some(vec![7; 10]));
        assert_eq!(read(&other, "a").await, Some(vec![7; 20]));
        other.clear("group").await.expect("no error of its own");
        assert_eq!(read(&other, "a").await, None);
        assert_eq!(other.get("else", "a").await.expect("no error of its own"), Some(vec![1]));
        one.delete("group", "a").await.expect("no error of its own");
        assert_eq!(read(&one, "a").await, None);
        write(&one, "b", 10).await;
        drop((one, other));
        let kept = all.kept();
        assert_eq!((kept.bytes, kept.entries.len()), (0, 0));
    }

    #[tokio::test]
    async fn what_was_not_used_for_longest_goes_first() {
        let all = Caches::new(Some(3_000));
        let (one, other) = (all.part(), all.part());
        for key in ["a", "b"] {
            write(&one, key, 1_000).await;
        }
        assert!(read(&one, "a").await.is_some());
        write(&other, "c", 1_000).await;
        assert!(read(&one, "b").await.is_none());
        assert!(read(&one, "a").await.is_some() && read(&other, "c").await.is_some());
        write(&other, "d", 5_000).await;
        assert!(read(&other, "d").await.is_none());
        assert!(read(&one, "a").await.is_some() && read(&other, "c").await.is_some());
    }

    #[tokio::test]
    async fn nothing_is_known_for_longer_than_it_may_be() {
        let all = Caches::new(None);
        let (one, began) = (all.part(), Instant::now());
        write(&one, "a", 10).await;
        let key = (0, name_of("group", "a"));
        let before = began + Duration::from_secs(3599);
        assert!(all.kept().get(&key, before).is_some());
        let after = Instant::now() + Duration::from_secs(3600);
        assert!(all.kept().get(&key, after).is_none());
        assert_eq!(all.kept().bytes, 0);
    }

    proptest! {
        #[test]
        fn the_sum_is_that_of_the_entries_and_within_the_budget(
            steps in proptest::collection::vec((0_u64..3, 0_u8..6, 0_usize..900, any::<bool>()), 1..80)
        ) {
            let mut kept = Kept { entries: LruCache::unbounded(), bytes: 0 };
            for (client, key, size, away) in steps {
                let key = (client, key.to_string().into());
                if away {
                    kept.remove(&key);
                } else {
                    kept.set(key, Entry { value: vec![0; size].into(), until: None }, 2_000);
                }
                let sum: u64 = kept.entries.iter().map(|(key, entry)| weight(key, entry)).sum();
                prop_assert_eq!(kept.bytes, sum);
                prop_assert!(sum <= 2_000);
            }
        }
    }
}
