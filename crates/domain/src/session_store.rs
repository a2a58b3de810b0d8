//! The port through which an engine keeps protocol state: keys, Signal sessions, prekeys, sync
//! versions.
//!
//! The engine sees a small key-value space per instance, divided into namespaces. What is behind it
//! (sealing, group commits, the database) is the store's business. Promises of an implementation:
//! a write returns only when it is durable; a batch is written whole or not at all; reads see every
//! write that has returned.

use async_trait::async_trait;
use bytes::Bytes;
use std::fmt;

/// A part of a session's state; the first half of every key. Stored as its short name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Namespace(pub &'static str);

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// One change of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which part of the state.
    pub namespace: Namespace,
    /// The key in it.
    pub key: String,
    /// The new value, or `None` to delete.
    pub value: Option<Bytes>,
    /// When the entry may be swept, in Unix seconds; `None` keeps it.
    pub expires_at: Option<i64>,
}

impl Change {
    /// Sets a key for good.
    #[must_use]
    pub fn put(namespace: Namespace, key: impl Into<String>, value: impl Into<Bytes>) -> Self {
        Self { namespace, key: key.into(), value: Some(value.into()), expires_at: None }
    }

    /// Sets a key that may be swept after `expires_at` (Unix seconds).
    #[must_use]
    pub fn put_until(
        namespace: Namespace,
        key: impl Into<String>,
        value: impl Into<Bytes>,
        expires_at: i64,
    ) -> Self {
        Self { expires_at: Some(expires_at), ..Self::put(namespace, key, value) }
    }

    /// Deletes a key; deleting what is not there is fine.
    #[must_use]
    pub fn delete(namespace: Namespace, key: impl Into<String>) -> Self {
        Self { namespace, key: key.into(), value: None, expires_at: None }
    }
}

/// Why protocol state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SessionStoreError {
    /// The database can't be reached or is full; the same call may succeed later.
    #[error("the session store is unavailable: {0}")]
    Unavailable(String),
    /// A row is there but can't be opened or read. Trying again does not help.
    #[error("a row of the session store is damaged: {0}")]
    Damaged(String),
    /// The instance was deleted, or another node owns it now: stop the session.
    #[error("this session no longer owns its state")]
    Fenced,
}

/// Protocol state of one instance. One value per session; cheap to clone behind an `Arc`.
#[async_trait]
pub trait SessionStore: Send + Sync + fmt::Debug {
    /// The value of a key.
    async fn get(
        &self,
        namespace: Namespace,
        key: &str,
    ) -> Result<Option<Bytes>, SessionStoreError>;

    /// Values of several keys; keys that are not there are left out of the answer.
    async fn get_many(
        &self,
        namespace: Namespace,
        keys: &[String],
    ) -> Result<Vec<(String, Bytes)>, SessionStoreError>;

    /// All entries whose key begins with `prefix`, in order of their keys.
    async fn scan(
        &self,
        namespace: Namespace,
        prefix: &str,
    ) -> Result<Vec<(String, Bytes)>, SessionStoreError>;

    /// Writes a batch, all or nothing, durable when it returns.
    async fn apply(&self, changes: Vec<Change>) -> Result<(), SessionStoreError>;

    /// Deletes all entries of a namespace whose key begins with `prefix`; returns how many.
    async fn delete_prefix(
        &self,
        namespace: Namespace,
        prefix: &str,
    ) -> Result<u64, SessionStoreError>;

    /// Deletes entries of a namespace that expired at or before `now` (Unix seconds); returns how many.
    async fn sweep(&self, namespace: Namespace, now: i64) -> Result<u64, SessionStoreError>;

    /// Forgets everything of this instance (after a logout).
    async fn clear(&self) -> Result<(), SessionStoreError>;
}
