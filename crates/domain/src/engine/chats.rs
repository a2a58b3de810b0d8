//! The port for what is around messages: presence, read marks, the state of conversations, calls.

use super::EngineError;
use crate::jid::Jid;
use crate::message::MessageKey;
use async_trait::async_trait;

/// What the other side sees while a message is being made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Typing {
    /// Writing.
    Composing,
    /// Speaking.
    Recording,
    /// Neither.
    Paused,
}

/// The last message of a conversation: a phone only takes a change of state that knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastMessage {
    /// Which.
    pub key: MessageKey,
    /// When it was written, in seconds.
    pub timestamp: i64,
}

/// A channel that the owner follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// Its address.
    pub id: Jid,
    /// What it is called.
    pub name: String,
    /// What it is about.
    pub description: Option<String>,
    /// How many follow it.
    pub followers: u64,
    /// WhatsApp has verified whose it is.
    pub verified: bool,
    /// Where its picture is.
    pub picture: Option<String>,
    /// What lets others find it.
    pub invite: Option<String>,
    /// When it was made, in seconds.
    pub created: Option<u64>,
}

/// Changes conversations.
#[async_trait]
pub trait Chats: Send + Sync {
    /// Shows the owner as there or not.
    async fn set_available(&self, available: bool) -> Result<(), EngineError>;

    /// Shows someone that a message is being made.
    async fn show_typing(&self, to: &Jid, typing: Typing) -> Result<(), EngineError>;

    /// Asks to be told when someone is there.
    async fn watch_presence(&self, of: &Jid) -> Result<(), EngineError>;

    /// Tells the writers that their messages were read. All of one conversation and one writer.
    async fn mark_read(&self, messages: &[MessageKey]) -> Result<(), EngineError>;

    /// Tells the writers that their voice messages and films were played. All of one conversation and one
    /// writer.
    async fn mark_played(&self, messages: &[MessageKey]) -> Result<(), EngineError>;

    /// The channels that the owner follows.
    async fn channels(&self) -> Result<Vec<Channel>, EngineError>;

    /// Marks a conversation as read or unread on the owner's devices.
    async fn mark_chat(&self, last: &LastMessage, read: bool) -> Result<(), EngineError>;

    /// Puts a conversation into the archive or takes it out.
    async fn archive(&self, last: &LastMessage, archived: bool) -> Result<(), EngineError>;

    /// Puts a label on a conversation or takes it off.
    async fn label_chat(&self, chat: &Jid, label: &str, labeled: bool) -> Result<(), EngineError>;

    /// Hangs up on someone who calls.
    async fn reject_call(&self, call: &str, from: &Jid) -> Result<(), EngineError>;
}
