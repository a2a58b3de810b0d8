//! The line behind a message that is asked for again: what its chat brought after it waits.
//!
//! Waiting means that a message is not committed and not acknowledged. It stays in the client's buffer and
//! in WhatsApp's queue. The line ends with the connection: the next one brings what waited once more, in
//! the order in which it was written, and the client replays it from its buffer.

use super::Named;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How long a chat waits for a message that is asked for. A phone that is on answers within a second.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the connection stands once nobody has to wait: acknowledgements of what passed are leaving, and
/// the client tells nobody when they have.
const PARTING: Duration = Duration::from_millis(500);
/// So many messages can be missing; nobody waits for those that are more.
const MISSING: usize = 1024;

/// The lines of one client.
#[derive(Debug)]
pub(super) struct Lines {
    state: Mutex<State>,
    changed: Notify,
    patience: Duration,
}

#[derive(Debug, Default)]
struct State {
    /// When the wait for a message, by chat and id, ends. Also of those for which it is over.
    until: HashMap<(String, String), Instant>,
    chats: HashMap<String, Line>,
}

#[derive(Debug)]
struct Line {
    /// In the order in which they were written.
    missing: VecDeque<String>,
    until: Instant,
}

impl Line {
    fn is_over(&self) -> bool {
        self.missing.is_empty() || self.until <= Instant::now()
    }
}

impl Default for Lines {
    fn default() -> Self {
        Self { state: Mutex::default(), changed: Notify::new(), patience: PATIENCE }
    }
}

impl Lines {
    /// Whether others may wait for a message. Its time runs from the first call.
    pub(super) fn may_begin(&self, message: Named<'_>) -> bool {
        let key = (message.chat.to_owned(), message.id.to_owned());
        let mut state = self.state();
        if state.until.len() >= MISSING && !state.until.contains_key(&key) {
            return false;
        }
        let now = Instant::now();
        *state.until.entry(key).or_insert(now + self.patience) > now
    }

    /// The place of a missing message is reached: what its chat brings from now on waits for it.
    pub(super) fn begin(&self, chat: &str, id: &str) {
        let mut state = self.state();
        let key = (chat.to_owned(), id.to_owned());
        let until = state.until.get(&key).copied().unwrap_or_else(Instant::now);
        let line = state.chats.entry(key.0);
        let line = line.or_insert_with(|| Line { missing: VecDeque::new(), until });
        if !line.missing.contains(&key.1) {
            line.missing.push_back(key.1);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Whether nobody waits for anything, as nearly always.
    pub(super) fn is_empty(&self) -> bool {
        self.state().chats.is_empty()
    }

    /// Whether a message may be committed now. One that may and was missing is so no more.
    pub(super) fn may_pass(&self, chat: &str, id: &str) -> bool {
        let mut state = self.state();
        // Who has waited until the line is over comes with the next connection, and before this one.
        let Some(line) = state.chats.get_mut(chat) else { return true };
        let is_first = line.missing.front().is_some_and(|first| first == id);
        if is_first {
            line.missing.pop_front();
            state.until.remove(&(chat.to_owned(), id.to_owned()));
        }
        is_first
    }

    /// What was let pass is committed: whoever looks after the lines looks again.
    pub(super) fn moved(&self) {
        if !self.is_empty() {
            self.changed.notify_one();
        }
    }

    /// A connection begins: it brings everything that waits.
    pub(super) fn connecting(&self) {
        self.state().chats.clear();
    }

    /// Returns when a line is over, and what it held up should come again.
    pub(super) async fn over(&self) {
        loop {
            let changed = self.changed.notified();
            let (over, next) = {
                let state = self.state();
                let lines = || state.chats.values();
                (lines().any(Line::is_over), lines().map(|line| line.until).min())
            };
            if over {
                return tokio::time::sleep(PARTING).await;
            }
            match next {
                Some(next) => drop(tokio::time::timeout_at(next, changed).await),
                None => changed.await,
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(lines: &Lines, chat: &str, id: &str) -> bool {
        lines.may_begin(Named { chat, sender: chat, id })
    }

    #[tokio::test]
    async fn what_came_after_a_missing_message_waits_for_it() {
        let lines = Lines::default();
        assert!(ask(&lines, "ana", "1") && ask(&lines, "ana", "2"));
        assert!(lines.may_pass("ana", "0"), "it was written before");
        lines.begin("ana", "1");
        lines.begin("ana", "2");
        assert!(lines.may_pass("ben", "9"), "another chat");
        assert!(!lines.may_pass("ana", "3"));
        assert!(!lines.may_pass("ana", "2"), "not before the first");
        assert!(lines.may_pass("ana", "1"));
        assert!(lines.may_pass("ana", "2"));
        lines.over().await;
        assert!(!lines.may_pass("ana", "4"), "the third comes with the next connection");
        lines.connecting();
        assert!(lines.may_pass("ana", "3"));
    }

    #[tokio::test]
    async fn nobody_waits_for_ever_nor_twice_for_the_same_and_without_a_line_no_connection_ends() {
        let lines = Lines { patience: Duration::from_millis(200), ..Lines::default() };
        assert!(ask(&lines, "ana", "1"));
        lines.begin("ana", "1");
        assert!(!lines.may_pass("ana", "2"));
        lines.over().await;
        lines.connecting();
        assert!(!ask(&lines, "ana", "1"), "its time is over");
        assert!(lines.may_pass("ana", "2"));
        assert!(tokio::time::timeout(PARTING, lines.over()).await.is_err());
    }
}
