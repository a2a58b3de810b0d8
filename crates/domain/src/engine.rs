//! The ports to WhatsApp: what an engine does for the gateway ([`Engine`], [`Session`]) and what the
//! gateway does for an engine ([`SessionSink`]).
//!
//! What a session can do is split by idea: [`Mail`], [`Groups`], [`People`], [`Chats`].
//!
//! An engine runs the session of one number. It reports what it sees, in order, to the sink; inbound
//! messages go through [`SessionSink::commit`], which returns only when they are durable, and only
//! then does the engine acknowledge them to WhatsApp.

mod chats;
mod device;
mod groups;
mod mail;
mod people;

pub use chats::{Channel, Chats, LastMessage, Typing};
pub use device::{Browser, DeviceProfile};
pub use groups::{
    CommunityPart, Group, GroupMember, GroupSwitch, Groups, MemberChange, MemberOutcome, MemberRank,
};
pub use mail::{Mail, StoredMedia};
pub use people::{Account, BusinessProfile, People, PrivacyKind, PrivacyValue, Profile};

use crate::clock::Millis;
use crate::happening::Happening;
use crate::id::InstanceId;
use crate::instance::{Identity, Reason};
use crate::jid::Jid;
use crate::message::{DeliveryStatus, Inbound, Past};
use crate::proxy::Proxy;
use crate::session_store::SessionStore;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

/// What an engine needs to run a session.
#[derive(Debug, Clone)]
pub struct SessionSpec {
    /// Whose session it is.
    pub instance_id: InstanceId,
    /// How this linked device is announced to WhatsApp.
    pub device: DeviceProfile,
    /// Where its protocol state is kept.
    pub store: Arc<dyn SessionStore>,
    /// What the chat socket and the media hosts are reached through.
    pub proxy: Option<Proxy>,
}

/// Runs sessions.
#[async_trait]
pub trait Engine: Send + Sync + std::fmt::Debug {
    /// Starts the session of an instance; it dials, reports to `sink` and comes back by itself until
    /// it is stopped or ends. Whether it asks for QR codes or logs in is up to the stored state.
    ///
    /// # Errors
    /// When the stored state can't be read.
    async fn start(
        &self,
        spec: SessionSpec,
        sink: Arc<dyn SessionSink>,
    ) -> Result<Arc<dyn Session>, EngineError>;

    /// Whether WhatsApp's chat socket can be reached through a proxy.
    ///
    /// # Errors
    /// [`EngineError::Failed`] says at which step it ended.
    async fn try_proxy(&self, proxy: &Proxy) -> Result<(), EngineError>;

    /// The version of WhatsApp Web as which a number last logged in; `None` before the first.
    fn client_version(&self) -> Option<String>;
}

/// A running session.
#[async_trait]
pub trait Session: Mail + Groups + People + Chats + std::fmt::Debug {
    /// Asks for a code that the owner of `phone` (digits) types on it, instead of scanning. Only while
    /// codes are on show; an earlier one is no longer good.
    ///
    /// # Errors
    /// [`EngineError::NotConnected`] when no codes are on show, [`EngineError::Rejected`] when WhatsApp
    /// gives none: the number is none of its own, or it was asked for too many.
    async fn pairing_code(&self, phone: &str) -> Result<String, EngineError>;

    /// Unlinks this device on WhatsApp as far as it can be reached, and stops.
    async fn log_out(&self);

    /// Stops and waits until nothing of the session runs; the link stays.
    async fn stop(&self);

    /// Drops the connection without writing anything back and dials again from the stored state. For
    /// when a message could not be stored: its ratchet step must not survive either.
    async fn abandon(&self);
}

/// What a session tells, in the order in which it saw it.
#[derive(Debug, Clone, PartialEq)]
pub enum Report {
    /// A code to show; a refreshed one has the same reference.
    Qr {
        /// The text of the QR image.
        text: String,
        /// How long a code with a new reference is good for.
        valid_for: Duration,
    },
    /// All codes were shown, nobody scanned.
    QrExhausted,
    /// A phone scanned and WhatsApp confirmed.
    Paired(Identity),
    /// Logged in.
    Opened(Identity),
    /// No connection; trying again by itself.
    Lost(Reason),
    /// Over, not trying again.
    Ended(Reason),
    /// Something happened around the number.
    Happened(Happening),
    /// News of messages that we sent.
    Status {
        /// The conversation, when the stanza tells.
        chat: Option<Jid>,
        /// Ids of the messages.
        ids: Vec<String>,
        /// How far they got.
        status: DeliveryStatus,
        /// Who received or read it, in groups.
        participant: Option<Jid>,
        /// When.
        at: Millis,
    },
}

/// Why a batch could not be committed. The session then reconnects from the stored state.
#[derive(Debug, thiserror::Error)]
#[error("the messages could not be stored: {0}")]
pub struct CommitError(pub String);

/// Where a session's news go.
#[async_trait]
pub trait SessionSink: Send + Sync {
    /// Stores messages, and what became of earlier ones, durably and in order. Called again with the same messages after a crash or
    /// a failure; what is stored already is not stored twice.
    ///
    /// # Errors
    /// [`CommitError`] when not all was stored; WhatsApp then keeps the messages.
    async fn commit(&self, messages: Vec<Inbound>) -> Result<(), CommitError>;

    /// Stores a part of what was before the link, and tells of it as such. What is stored already is not stored
    /// twice.
    ///
    /// # Errors
    /// [`CommitError`] when it was not stored.
    async fn recall(&self, past: Past) -> Result<(), CommitError>;

    /// Whether a message of that WhatsApp id is stored.
    ///
    /// # Errors
    /// [`CommitError`] when that can't be told; WhatsApp then keeps the message.
    async fn holds(&self, id: &str) -> Result<bool, CommitError>;

    /// The protobuf of a stored message of that WhatsApp id: what a vote or another addition builds on.
    ///
    /// # Errors
    /// [`CommitError`] when that can't be told.
    async fn stored(&self, id: &str) -> Result<Option<bytes::Bytes>, CommitError>;

    /// Takes a report. Waits while the gateway is behind, so a session can't outrun it.
    async fn report(&self, report: Report);
}

/// Why an engine could not do something.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// There is no connection to WhatsApp at the moment. Nothing was written.
    #[error("not connected to WhatsApp")]
    NotConnected,
    /// WhatsApp did not answer in time, or the connection broke. What was written is unknown;
    /// repeating with the same message id is safe.
    #[error("WhatsApp did not answer in time")]
    Interrupted,
    /// WhatsApp refused it.
    #[error("WhatsApp refused the request (code {code})")]
    Rejected {
        /// WhatsApp's code.
        code: u16,
    },
    /// WhatsApp has no such thing: what was asked for has to change.
    #[error("{0}")]
    Invalid(String),
    /// It was there and is no more.
    #[error("WhatsApp has it no more")]
    Gone,
    /// The stored state of the session can't be used.
    #[error("the session's stored state can't be used: {0}")]
    Store(String),
    /// Anything else; does not get better by repeating.
    #[error("the WhatsApp client failed: {0}")]
    Failed(String),
}

impl EngineError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::NotConnected | Self::Interrupted | Self::Store(_))
    }
}
