//! A device's queue: what it shall receive, in the order in which the network accepted it.
//!
//! 1. Accepted: an entry is appended with the network's next sequence number.
//! 2. The device's socket, once active, pulls entries past its cursor and writes them.
//! 3. The device acks (or sends a receipt for a message): the entry leaves.
//!
//! A socket that dies between 2 and 3 leaves its entries; the next one starts over. Presence and
//! chat states need no ack and leave when written; of presence only the latest of a peer is kept.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::device::{Drain, Link};
use super::encoding::base64_stanza;
use crate::clock;
use crate::stanza::{has_attr, text_attr};

/// Sent of the offline queue before the client asks for a batch.
const PRIMER: usize = 5;
/// A device that stays away longer than this many stanzas loses the oldest, as WhatsApp's own
/// servers drop what waits for a month.
const LONGEST_QUEUE: usize = 100_000;
/// A chat state that waits longer than this is stale.
const CHAT_STATE_LIFETIME: Duration = Duration::from_secs(10);

/// Kinds of queued stanzas, as `<ack class=…>` names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Class {
    Message,
    Receipt,
    Notification,
    Call,
    Presence,
    ChatState,
}

impl Class {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            "message" => Some(Self::Message),
            "receipt" => Some(Self::Receipt),
            "notification" => Some(Self::Notification),
            "call" => Some(Self::Call),
            _ => None,
        }
    }

    fn wants_ack(self) -> bool {
        matches!(self, Self::Message | Self::Receipt | Self::Notification | Self::Call)
    }
}

/// One waiting stanza.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Queued {
    seq: u64,
    pub(crate) class: Class,
    #[serde(with = "base64_stanza")]
    pub(crate) stanza: Node,
    /// Not kept over a restart: only chat states look at it, and they are stale by then.
    #[serde(skip, default = "clock::instant")]
    since: Instant,
    /// The receiver could not read it: its ack says nothing of the message.
    #[serde(default)]
    unread: bool,
}

impl Queued {
    pub(crate) fn new(seq: u64, class: Class, stanza: Node) -> Self {
        Self { seq, class, stanza, since: clock::instant(), unread: false }
    }

    /// Whether the receiver understood it, as far as it said.
    pub(crate) fn may_be_read(&self) -> bool {
        !self.unread
    }

    fn is_stale(&self) -> bool {
        let age = clock::instant().saturating_duration_since(self.since);
        self.class == Class::ChatState && age > CHAT_STATE_LIFETIME
    }
}

/// What one device has not acked yet.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Queue {
    entries: VecDeque<Queued>,
}

impl Queue {
    pub(crate) fn push(&mut self, entry: Queued) {
        if entry.class == Class::Presence {
            let from = text_attr(&entry.stanza, "from");
            self.entries.retain(|known| {
                known.class != Class::Presence || text_attr(&known.stanza, "from") != from
            });
        }
        if self.entries.len() == LONGEST_QUEUE {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    /// What waits, oldest first.
    pub(crate) fn stanzas(&self) -> impl Iterator<Item = &Node> {
        self.entries.iter().map(|entry| &entry.stanza)
    }

    /// Where the last message after the cursor is.
    pub(crate) fn last_message(&self, cursor: u64) -> Option<usize> {
        let waits = |entry: &Queued| entry.class == Class::Message && entry.seq > cursor;
        self.entries.iter().rposition(waits)
    }

    /// Puts an entry in, in the place of another, which comes last then.
    pub(crate) fn push_overtaking(&mut self, mut entry: Queued, place: usize) {
        if let Some(other) = self.entries.get_mut(place) {
            std::mem::swap(&mut other.seq, &mut entry.seq);
            std::mem::swap(other, &mut entry);
        }
        self.entries.push_back(entry);
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many written entries wait for their ack.
    pub(crate) fn unacked(&self, cursor: u64) -> usize {
        self.entries.iter().filter(|entry| entry.seq <= cursor).count()
    }

    /// Begins the hand-over on a link that asked for it.
    pub(crate) fn begin(&mut self, link: &mut Link) {
        link.active = true;
        link.cursor = 0;
        // Who types is told at the end: clients look at no chat state before they are up to date.
        link.afterwards = self
            .entries
            .iter()
            .filter(|entry| entry.class == Class::ChatState && !entry.is_stale())
            .map(|entry| entry.stanza.clone())
            .collect();
        self.entries.retain(|entry| entry.class != Class::ChatState);
        let total = self.entries.len();
        let Some(last) = self.entries.back() else {
            link.preface = Some(offline(0));
            return;
        };
        link.drain = Some(Drain { end: last.seq, total, budget: PRIMER });
        let count = |class| self.entries.iter().filter(|entry| entry.class == class).count();
        let preview = NodeBuilder::new("offline_preview")
            .attr("count", total)
            .attr("message", count(Class::Message))
            .attr("receipt", count(Class::Receipt))
            .attr("notification", count(Class::Notification))
            .attr("appdata", 0)
            .attr("call", count(Class::Call))
            .attr("status", 0)
            .build();
        link.preface = Some(info(preview));
    }

    /// The next stanzas to write, at most `limit` of them.
    pub(crate) fn pull(&mut self, link: &mut Link, limit: usize) -> Vec<Node> {
        if !link.active {
            return Vec::new();
        }
        let mut stanzas: Vec<Node> = link.preface.take().into_iter().collect();
        if link.drain.is_none() {
            stanzas.append(&mut link.afterwards);
        }
        let start = self.entries.partition_point(|entry| entry.seq <= link.cursor);
        let mut index = start;
        while stanzas.len() < limit && index < self.entries.len() {
            let entry = &self.entries[index];
            if let Some(drain) = &mut link.drain {
                if entry.seq > drain.end {
                    stanzas.push(offline(drain.total));
                    stanzas.append(&mut link.afterwards);
                    link.drain = None;
                    continue;
                }
                if drain.budget == 0 {
                    break;
                }
                drain.budget -= 1;
            }
            link.cursor = entry.seq;
            let mut stanza = entry.stanza.clone();
            if link.drain.is_some() {
                stanza.attrs.insert("offline", "0");
            }
            stanzas.push(stanza);
            if entry.class.wants_ack() {
                index += 1;
            } else {
                self.entries.remove(index);
            }
        }
        if let Some(drain) = link.drain
            && link.cursor >= drain.end
        {
            stanzas.push(offline(drain.total));
            stanzas.append(&mut link.afterwards);
            link.drain = None;
        }
        stanzas
    }

    /// Removes what a device acked, of what was written to it. A message that was encrypted again comes
    /// under its old id: of two, the ack means the earlier.
    pub(crate) fn acknowledge(&mut self, ack: &Ack, cursor: u64) -> Option<Queued> {
        let index = self.find(ack, cursor, |_| true)?;
        self.entries.remove(index)
    }

    /// Notes that a device could not read a message.
    pub(crate) fn not_understood(&mut self, ack: &Ack, cursor: u64) {
        if let Some(index) = self.find(ack, cursor, Queued::may_be_read) {
            self.entries[index].unread = true;
        }
    }

    /// The earliest written entry of that id, rather one that agrees in everything.
    fn find(&self, ack: &Ack, cursor: u64, wanted: fn(&Queued) -> bool) -> Option<usize> {
        let means = |entry: &Queued| {
            entry.seq <= cursor
                && entry.class == ack.class
                && wanted(entry)
                && has_attr(&entry.stanza, "id", &ack.id)
        };
        self.entries
            .iter()
            .position(|entry| means(entry) && ack.agrees(&entry.stanza))
            .or_else(|| self.entries.iter().position(means))
    }
}

/// What a device says that it has.
pub(crate) struct Ack {
    pub(crate) class: Class,
    pub(crate) id: String,
    /// Where it came from, as far as the device says.
    pub(crate) from: Option<String>,
    pub(crate) participant: Option<String>,
    /// Several receipts have the id of one message: they differ by type.
    pub(crate) kind: Option<String>,
}

impl Ack {
    /// Whether it fits in more than class and id.
    fn agrees(&self, stanza: &Node) -> bool {
        let same = |key, value: &Option<String>| {
            value.as_deref().is_none_or(|value| has_attr(stanza, key, value))
        };
        let kind = self.class != Class::Receipt
            || text_attr(stanza, "type") == self.kind.as_deref().unwrap_or_default();
        same("from", &self.from) && same("participant", &self.participant) && kind
    }
}

fn offline(count: usize) -> Node {
    info(NodeBuilder::new("offline").attr("count", count).build())
}

fn info(child: Node) -> Node {
    NodeBuilder::new("ib").attr("from", crate::stanza::SERVER).children([child]).build()
}
