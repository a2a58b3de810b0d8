//! The requests that are under way: bounded over all, for each endpoint and for each owner, so that one that
//! hangs can't take the room of the others. An endpoint that answers slowly has few until it is quick again.

use flowcore_domain::id::{UserId, WebhookId};
use flowcore_storage::{Claim, PassedOver};
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};
use tokio::task::{Id, JoinError, JoinSet};

/// How many requests are under way at once.
const AT_ONCE: usize = 512;
/// How many one claim takes for an endpoint. One that has as many under way is busy; so it never has
/// twice as many.
pub(super) const EACH: usize = 16;
/// The same for one that answers slowly.
const EACH_SLOW: usize = 2;
/// An endpoint is slow while its last answer took longer than this, or one is awaited for longer.
const SLOW: Duration = Duration::from_secs(5);
/// The most that one claim takes.
const CLAIM: usize = 64;
/// An owner with so many under way gets no more: with those of one claim, never more than half.
const OF_OWNER: usize = AT_ONCE / 2 - CLAIM;
/// So many slow endpoints are told to a claim. With more of them, every endpoint gets few.
const TOLD: usize = 64;

/// One request.
#[derive(Debug)]
struct Post {
    webhook: WebhookId,
    owner: UserId,
    since: Instant,
}

/// So many slow endpoints are remembered; with more, all are found out anew.
const REMEMBERED: usize = 10_000;

/// Requests under way.
#[derive(Debug, Default)]
pub(super) struct UnderWay {
    /// Each returns how long its receiver took.
    posts: JoinSet<Duration>,
    to: HashMap<Id, Post>,
    counts: HashMap<WebhookId, usize>,
    owners: HashMap<UserId, usize>,
    slow: HashSet<WebhookId>,
}

/// What the next claim may take; see [`flowcore_storage::Claim`].
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) limit: usize,
    pub(super) each: usize,
    pub(super) slow: Vec<WebhookId>,
    pub(super) busy: Vec<WebhookId>,
    pub(super) crowded: Vec<UserId>,
}

impl Room {
    pub(super) fn claim(&self) -> Claim<'_> {
        let Self { limit, each, ref slow, .. } = *self;
        Claim { limit, each, slow, passed_over: self.passed_over() }
    }

    pub(super) fn passed_over(&self) -> PassedOver<'_> {
        PassedOver { busy: &self.busy, crowded: &self.crowded }
    }
}

impl UnderWay {
    /// Whether no more can be started.
    pub(super) fn full(&self) -> bool {
        self.posts.len() >= AT_ONCE
    }

    /// How much more may be started, and for whom not.
    pub(super) fn room(&mut self, now: Instant) -> Room {
        let hang = self.to.values().filter(|post| now.saturating_duration_since(post.since) > SLOW);
        let hang: Vec<_> = hang.map(|post| post.webhook).collect();
        for webhook in hang {
            self.note_slow(webhook);
        }
        let (mut slow, mut busy) = (vec![], vec![]);
        for (webhook, count) in &self.counts {
            let each = if self.slow.contains(webhook) { EACH_SLOW } else { EACH };
            if *count >= each {
                busy.push(*webhook);
            }
        }
        for webhook in &self.slow {
            if self.counts.get(webhook).is_none_or(|count| *count < EACH_SLOW) {
                slow.push(*webhook);
            }
        }
        let each = if slow.len() > TOLD { EACH_SLOW } else { EACH };
        slow.truncate(TOLD);
        let crowded = self.owners.iter().filter(|(_, count)| **count > OF_OWNER);
        Room {
            limit: AT_ONCE.saturating_sub(self.posts.len()).min(CLAIM),
            each,
            slow,
            busy,
            crowded: crowded.map(|(owner, _)| *owner).collect(),
        }
    }

    /// Those that were deleted while they were slow never come back to be quick.
    fn note_slow(&mut self, webhook: WebhookId) {
        if self.slow.len() >= REMEMBERED {
            self.slow.clear();
        }
        self.slow.insert(webhook);
    }

    pub(super) fn start(
        &mut self,
        (webhook, owner): (WebhookId, UserId),
        post: impl Future<Output = Duration> + Send + 'static,
    ) {
        let id = self.posts.spawn(post).id();
        self.to.insert(id, Post { webhook, owner, since: Instant::now() });
        *self.counts.entry(webhook).or_default() += 1;
        *self.owners.entry(owner).or_default() += 1;
    }

    /// Waits until one has ended; false when none is under way. Safe to give up and call again.
    pub(super) async fn one_ends(&mut self) -> bool {
        let Some(ended) = self.posts.join_next_with_id().await else { return false };
        self.note_end(ended);
        true
    }

    /// Takes note of all that have ended by now: one claim then follows them all.
    pub(super) fn reap(&mut self) {
        while let Some(ended) = self.posts.try_join_next_with_id() {
            self.note_end(ended);
        }
    }

    fn note_end(&mut self, ended: Result<(Id, Duration), JoinError>) {
        let (id, took) = match ended {
            Ok((id, took)) => (id, Some(took)),
            Err(error) => (error.id(), None),
        };
        if let Some(Post { webhook, owner, .. }) = self.to.remove(&id) {
            one_less(&mut self.counts, &webhook);
            one_less(&mut self.owners, &owner);
            match took {
                Some(took) if took > SLOW => self.note_slow(webhook),
                Some(_) => drop(self.slow.remove(&webhook)),
                None => {}
            }
        }
    }
}

fn one_less<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};
    use uuid::Uuid;

    const OWNER: UserId = UserId(Uuid::from_u128(9));

    fn id(number: u128) -> WebhookId {
        WebhookId(Uuid::from_u128(number))
    }

    #[tokio::test]
    async fn an_endpoint_is_busy_until_one_of_its_requests_ends_however_it_ends() {
        let mut posts = UnderWay::default();
        posts.start((id(1), OWNER), async { panic!("on purpose") });
        for _ in 1..EACH {
            posts.start((id(1), OWNER), pending());
        }
        posts.start((id(2), OWNER), pending());
        let room = posts.room(Instant::now());
        assert_eq!((room.busy, room.limit, room.each), (vec![id(1)], CLAIM, EACH));
        assert!(posts.one_ends().await);
        assert_eq!(posts.room(Instant::now()).busy, []);
    }

    #[tokio::test]
    async fn an_endpoint_that_answers_slowly_has_few_until_it_is_quick_again() {
        let mut posts = UnderWay::default();
        posts.start((id(1), OWNER), ready(SLOW * 2));
        assert!(posts.one_ends().await);
        let room = posts.room(Instant::now());
        assert_eq!((room.slow, room.busy), (vec![id(1)], vec![]));
        for _ in 0..EACH_SLOW {
            posts.start((id(1), OWNER), ready(SLOW / 10));
        }
        let room = posts.room(Instant::now());
        assert_eq!((room.slow, room.busy), (vec![], vec![id(1)]));
        assert!(posts.one_ends().await);
        let room = posts.room(Instant::now());
        assert_eq!((room.slow, room.busy), (vec![], vec![]));
    }

    #[tokio::test]
    async fn one_that_hangs_is_slow_before_it_has_answered() {
        let mut posts = UnderWay::default();
        for _ in 0..EACH_SLOW {
            posts.start((id(1), OWNER), pending());
        }
        assert_eq!(posts.room(Instant::now()).busy, []);
        assert_eq!(posts.room(Instant::now() + SLOW * 2).busy, [id(1)]);
    }

    #[tokio::test]
    async fn hanging_endpoints_of_one_owner_leave_half_of_the_room() {
        let mut posts = UnderWay::default();
        let mut webhook = 0;
        while posts.room(Instant::now()).crowded.is_empty() {
            let room = posts.room(Instant::now());
            for _ in 0..room.limit {
                posts.start((id(webhook / 16), OWNER), pending());
                webhook += 1;
            }
        }
        assert!(posts.to.len() <= AT_ONCE / 2, "{}", posts.to.len());
        let room = posts.room(Instant::now());
        assert_eq!((room.crowded, room.limit, posts.full()), (vec![OWNER], CLAIM, false));
    }
}
