//! What a phone tells a new link of the time before it.

use super::InboundMessage;
use crate::jid::Jid;

/// A part of it: some messages of one conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Past {
    /// The conversation.
    pub chat: Jid,
    /// What it is called.
    pub name: Option<String>,
    /// Its messages, oldest first.
    pub messages: Vec<InboundMessage>,
}
