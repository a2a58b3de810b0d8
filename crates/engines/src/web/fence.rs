//! A fence around the session store: after the first write that fails, no write of that client
//! succeeds any more.
//!
//! A decrypted message and the step of its ratchet must become durable together or not at all. When
//! the buffered message can't be written but a later flush of the ratchet could, WhatsApp would deliver
//! the message again to a client that can no longer decrypt it: lost. So the first failure fences the
//! client off, the session drops it with its caches and dials again from the stored ratchet.

use async_trait::async_trait;
use bytes::Bytes;
use flowcore_domain::session_store::{Change, Namespace, SessionStore, SessionStoreError};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The store of one client's life. See the module.
#[derive(Debug)]
pub(super) struct FencedStore {
    inner: Arc<dyn SessionStore>,
    broken: CancellationToken,
}

impl FencedStore {
    pub(super) fn new(inner: Arc<dyn SessionStore>) -> Self {
        Self { inner, broken: CancellationToken::new() }
    }

    /// Fires at the first failed write, or when [`FencedStore::close`] is called.
    pub(super) fn broken(&self) -> &CancellationToken {
        &self.broken
    }

    /// Refuses all further writes, for a client that is dropped without a flush.
    pub(super) fn close(&self) {
        self.broken.cancel();
    }

    fn check(&self) -> Result<(), SessionStoreError> {
        if self.broken.is_cancelled() { Err(SessionStoreError::Fenced) } else { Ok(()) }
    }

    fn note<T>(&self, result: Result<T, SessionStoreError>) -> Result<T, SessionStoreError> {
        if let Err(error) = &result {
            tracing::warn!(%error, "session state could not be written; abandoning the client");
            self.broken.cancel();
        }
        result
    }
}

#[async_trait]
impl SessionStore for FencedStore {
    async fn get(
        &self,
        namespace: Namespace,
        key: &str,
    ) -> Result<Option<Bytes>, SessionStoreError> {
        self.inner.get(namespace, key).await
    }

    async fn get_many(
        &self,
        namespace: Namespace,
        keys: &[String],
    ) -> Result<Vec<(String, Bytes)>, SessionStoreError> {
        self.inner.get_many(namespace, keys).await
    }

    async fn scan(
        &self,
        namespace: Namespace,
        prefix: &str,
    ) -> Result<Vec<(String, Bytes)>, SessionStoreError> {
        self.inner.scan(namespace, prefix).await
    }

    async fn apply(&self, changes: Vec<Change>) -> Result<(), SessionStoreError> {
        self.check()?;
        self.note(self.inner.apply(changes).await)
    }

    async fn delete_prefix(
        &self,
        namespace: Namespace,
        prefix: &str,
    ) -> Result<u64, SessionStoreError> {
        self.check()?;
        self.note(self.inner.delete_prefix(namespace, prefix).await)
    }

    async fn sweep(&self, namespace: Namespace, now: i64) -> Result<u64, SessionStoreError> {
        self.check()?;
        self.note(self.inner.sweep(namespace, now).await)
    }

    async fn clear(&self) -> Result<(), SessionStoreError> {
        self.check()?;
        self.note(self.inner.clear().await)
    }
}
