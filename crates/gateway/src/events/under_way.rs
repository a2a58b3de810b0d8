//! The requests that are under way: bounded over all, and bounded for each endpoint, so that one that
//! hangs can't take the room of the others.

use flowcore_domain::id::WebhookId;
use std::collections::HashMap;
use tokio::task::{Id, JoinSet};

/// How many requests are under way at once.
const AT_ONCE: usize = 512;
/// How many one claim takes for an endpoint. One that has as many under way is busy; so it never has
/// twice as many.
pub(super) const EACH: usize = 16;

/// Requests under way.
#[derive(Debug, Default)]
pub(super) struct UnderWay {
    posts: JoinSet<()>,
    to: HashMap<Id, WebhookId>,
    counts: HashMap<WebhookId, usize>,
}

impl UnderWay {
    /// How many more may be started.
    pub(super) fn room(&self) -> usize {
        AT_ONCE.saturating_sub(self.posts.len())
    }

    /// The endpoints that have enough under way.
    pub(super) fn busy(&self) -> Vec<WebhookId> {
        let busy = self.counts.iter().filter(|(_, count)| **count >= EACH);
        busy.map(|(webhook, _)| *webhook).collect()
    }

    pub(super) fn start(
        &mut self,
        webhook: WebhookId,
        post: impl Future<Output = ()> + Send + 'static,
    ) {
        let id = self.posts.spawn(post).id();
        self.to.insert(id, webhook);
        *self.counts.entry(webhook).or_default() += 1;
    }

    /// Waits until one has ended; false when none is under way. Safe to give up and call again.
    pub(super) async fn one_ends(&mut self) -> bool {
        let id = match self.posts.join_next_with_id().await {
            None => return false,
            Some(Ok((id, ()))) => id,
            Some(Err(error)) => error.id(),
        };
        if let Some(webhook) = self.to.remove(&id)
            && let Some(count) = self.counts.get_mut(&webhook)
        {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&webhook);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[tokio::test]
    async fn an_endpoint_is_busy_until_one_of_its_requests_ends_however_it_ends() {
        let mut posts = UnderWay::default();
        let (full, other) = (WebhookId(Uuid::from_u128(1)), WebhookId(Uuid::from_u128(2)));
        posts.start(full, async { panic!("on purpose") });
        for _ in 1..EACH {
            posts.start(full, std::future::pending());
        }
        posts.start(other, std::future::pending());
        assert_eq!((posts.busy(), posts.room()), (vec![full], AT_ONCE - EACH - 1));
        assert!(posts.one_ends().await);
        assert_eq!((posts.busy(), posts.room()), (vec![], AT_ONCE - EACH));
    }
}
