//! Why a service could not do what it was asked. The dialects of the server turn these into their own
//! answers, one table each.

use crate::accounts::error::AccountError;
use crate::assistant::ModelError;
use flowcore_domain::assistant::ConfigFault;
use flowcore_domain::engine::EngineError;
use flowcore_domain::instance::{Reason, Status};
use flowcore_domain::jid::NumberError;
use flowcore_domain::quota::OverQuota;
use flowcore_domain::webhook::HeaderError;
use flowcore_storage::{OpenError, StorageError};
use std::path::PathBuf;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// No instance of that name that the caller may see.
    #[error("there is no such instance")]
    InstanceNotFound,
    /// Somebody has an instance of that name.
    #[error("this name is taken")]
    NameTaken,
    /// Another instance has this token.
    #[error("this token is taken")]
    TokenTaken,
    /// The proxy can't be used.
    #[error("the proxy can't be used: {0}")]
    ProxyFailed(String),
    /// The instance has no connection to WhatsApp.
    #[error("the instance is not connected")]
    NotConnected {
        /// What it is doing instead.
        status: Status,
        /// Why.
        reason: Option<Reason>,
    },
    /// Nobody has that number on WhatsApp.
    #[error("this number is not on WhatsApp")]
    NumberNotOnWhatsApp {
        /// As it was given.
        number: String,
    },
    /// Not a number at all.
    #[error(transparent)]
    InvalidNumber(#[from] NumberError),
    /// Nothing to send.
    #[error("the message is empty")]
    EmptyText,
    /// More than WhatsApp takes.
    #[error("the message is longer than {limit} characters")]
    TextTooLong {
        /// Most characters.
        limit: usize,
    },
    /// No message of that id.
    #[error("there is no such message")]
    MessageNotFound,
    /// Something else of the request can't be used.
    #[error("{0}")]
    Invalid(String),
    /// A file that can't be fetched.
    #[error("the file can't be fetched: {0}")]
    MediaUnreachable(String),
    /// More than is taken.
    #[error("the file is longer than {limit} bytes")]
    MediaTooLong {
        /// Most bytes.
        limit: usize,
    },
    /// WhatsApp has the file no more.
    #[error("WhatsApp has the file no more")]
    MediaGone,
    /// The idempotency key was used for another request.
    #[error("this idempotency key was used with another body")]
    IdempotencyConflict,
    /// A URL that must not be called.
    #[error("this URL is not allowed: {0}")]
    UrlNotAllowed(String),
    /// Headers that can't be sent with a webhook's requests.
    #[error(transparent)]
    InvalidHeader(#[from] HeaderError),
    /// No webhook of that id at this instance.
    #[error("there is no such webhook")]
    WebhookNotFound,
    /// No delivery of that id at this instance.
    #[error("there is no such delivery")]
    DeliveryNotFound,
    /// No conversation of that id that the caller may see.
    #[error("there is no such conversation")]
    ConversationNotFound,
    /// No escalation of that id that the caller may see.
    #[error("there is no such escalation")]
    EscalationNotFound,
    /// No keyword of that id at this instance.
    #[error("there is no such keyword")]
    KeywordNotFound,
    /// The conversation is over, or its chat has a newer one.
    #[error("the conversation is over")]
    ConversationOver,
    /// Somebody else has the conversation by now.
    #[error("somebody else has the conversation by now")]
    ConversationTaken,
    /// No document of that id that the caller may see.
    #[error("there is no such document")]
    DocumentNotFound,
    /// The webhook is switched off: nothing is posted to it.
    #[error("the webhook is switched off")]
    WebhookDisabled,
    /// There are enough of them.
    #[error("the limit of {limit} {what} is reached")]
    LimitReached {
        /// Of what.
        what: &'static str,
        /// How many are allowed.
        limit: usize,
    },
    /// The operator lets no more onto this server.
    #[error("the server has no room: {0}")]
    ServerFull(&'static str),
    /// The user has as much as they may.
    #[error(transparent)]
    OverQuota(#[from] OverQuota),
    /// Something about users, keys or sign-ins.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// A model that is needed gives no answer.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// An assistant can't be configured like that.
    #[error(transparent)]
    InvalidAssistant(#[from] ConfigFault),
    /// The prompt never had this wording.
    #[error("there is no such version")]
    VersionNotFound,
    /// No case of that id at this instance.
    #[error("there is no such case")]
    CaseNotFound,
    /// The caller may not do that.
    #[error("not allowed")]
    Forbidden,
    /// The database or the server can't at the moment.
    #[error("not available at the moment: {0}")]
    Unavailable(String),
    /// WhatsApp did not answer in time.
    #[error("WhatsApp did not answer in time")]
    TimedOut,
    /// WhatsApp refused.
    #[error("WhatsApp refused the request (code {code})")]
    Rejected {
        /// WhatsApp's code.
        code: u16,
    },
    /// A fault of ours.
    #[error("internal error: {0}")]
    Internal(String),
}

impl From<StorageError> for ServiceError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::OverQuota(over) => Self::OverQuota(over),
            StorageError::Unavailable(_) => Self::Unavailable(error.to_string()),
            other => Self::Internal(other.to_string()),
        }
    }
}

impl From<EngineError> for ServiceError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::NotConnected => {
                Self::NotConnected { status: Status::Connecting, reason: Some(Reason::Network) }
            }
            EngineError::Interrupted => Self::TimedOut,
            EngineError::Rejected { code } => Self::Rejected { code },
            EngineError::Invalid(why) => Self::Invalid(why),
            EngineError::Gone => Self::MediaGone,
            EngineError::Store(what) => Self::Unavailable(what),
            EngineError::Failed(what) => Self::Internal(what),
        }
    }
}

/// Why the gateway can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store can't be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store was opened and does not work.
    #[error("the store does not work: {0}")]
    Storage(#[from] StorageError),
    /// The engine can't be made.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The client for outgoing requests can't be made.
    #[error("the HTTP client can't be made: {0}")]
    Http(String),
    /// The operator's own model for vectors can't be loaded.
    #[error("the embedder in {} can't be used: {why}", folder.display())]
    Embedder {
        /// Where it was looked for.
        folder: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}
