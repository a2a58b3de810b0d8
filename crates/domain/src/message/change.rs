//! A message that was changed or taken back after it was sent.

use super::{Addressing, InboundMessage};
use crate::jid::Jid;
use serde_json::Value;

/// What a session hands in to be kept before WhatsApp is told that it arrived.
#[derive(Debug, Clone, PartialEq)]
pub enum Inbound {
    /// A message.
    Message(InboundMessage),
    /// News of one.
    Change(MessageChange),
}

impl Inbound {
    /// The conversation.
    #[must_use]
    pub fn chat(&self) -> &Jid {
        match self {
            Self::Message(message) => &message.chat,
            Self::Change(change) => &change.chat,
        }
    }
}

/// A message that its writer (or a group's admin) changed or took back.
#[derive(Clone, PartialEq)]
pub struct MessageChange {
    /// WhatsApp's id of the change itself.
    pub id: String,
    /// The id of the message that it is about.
    pub target: String,
    /// The conversation.
    pub chat: Jid,
    /// The other address of the conversation, when known.
    pub chat_alt: Option<Jid>,
    /// Who wrote the message.
    pub writer: Jid,
    /// The writer's other address, when known.
    pub writer_alt: Option<Jid>,
    /// Whether the owner of the number wrote it.
    pub from_me: bool,
    /// How the stanza addressed people.
    pub addressing: Addressing,
    /// When it was changed, by WhatsApp's clock, in seconds.
    pub timestamp: i64,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It says this now, in the shape of events.
    Edited(Value),
    /// It was taken back.
    Revoked,
}

/// Never shows content or addresses.
impl std::fmt::Debug for MessageChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let revoked = self.outcome == Outcome::Revoked;
        f.debug_struct("MessageChange")
            .field("id", &self.id)
            .field("revoked", &revoked)
            .finish_non_exhaustive()
    }
}
