//! The port for messages and their files.

use super::EngineError;
use crate::message::{Composed, Draft, MediaKind, MessageKey, Outgoing, Sent, UploadedFile};
use async_trait::async_trait;
use bytes::Bytes;

/// Writes messages and moves files.
#[async_trait]
pub trait Mail: Send + Sync {
    /// Makes WhatsApp's protobuf of a draft. Random parts are drawn here, once: what is composed is stored
    /// and sent, again if need be, as it is.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] when WhatsApp has no such message.
    async fn compose(&self, draft: &Draft) -> Result<Composed, EngineError>;

    /// Encrypts a file and hands it to WhatsApp's media hosts.
    ///
    /// # Errors
    /// When no host takes it.
    async fn upload(&self, kind: MediaKind, file: Bytes) -> Result<UploadedFile, EngineError>;

    /// Encrypts a message and writes it to the socket. `Ok` means written; WhatsApp's acknowledgement
    /// follows as [`super::Report::Status`].
    ///
    /// # Errors
    /// [`EngineError::NotConnected`] before anything was written; others say whether to retry.
    async fn send(&self, message: &Outgoing) -> Result<Sent, EngineError>;

    /// Fetches the file of a message and opens it; at most `limit` bytes. When WhatsApp has it no more,
    /// the phone that sent it is asked to bring it again.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] when the message has no file or it is longer, [`EngineError::Gone`] when
    /// nobody has it any more.
    async fn download(&self, media: &StoredMedia, limit: u64) -> Result<Bytes, EngineError>;
}

/// A stored message with a file.
#[derive(Debug, Clone)]
pub struct StoredMedia {
    /// Which message.
    pub key: MessageKey,
    /// Its protobuf.
    pub proto: Bytes,
}
