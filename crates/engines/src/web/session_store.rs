//! The protocol client's storage (`wacore`'s `Backend`) on top of our own [`SessionStore`] port.
//!
//! The client thinks in tables: identities, sessions, prekeys, sync versions, tokens. The port knows
//! namespaces of keys and values. This module is the translation and owns nothing else: no copy of
//! what is in the store is kept here, the client has caches of its own.
//!
//! Promises:
//! - every batched method is one batch of the port, so it is written whole or not at all;
//! - what must be merged (tokens, message secrets, LID mappings, sender key devices) is read, merged
//!   and written in one turn per session, so that two writers never lose each other's half;
//! - a failed write is an error to the client, never retried here: whether the client may live on is
//!   the engine's to say, which watches the store it handed in.
//!
//! A damaged row is treated as absent where the protocol repairs it by itself (a session is built
//! anew, a sync key is asked for again); it is an error where it can't (the device itself).

mod app_sync;
mod device;
mod in_flight;
pub(super) mod keys;
mod lid_mapping;
mod msg_secret;
mod protocol;
mod sender_key_device;
mod signal;
mod tc_token;
#[cfg(test)]
mod tests;
mod values;

use std::sync::Arc;

use bytes::Bytes;
use flowcore_domain::session_store::{Change, Namespace, SessionStore, SessionStoreError};
use tokio::sync::Mutex;
use wacore::store::error::{Result, StoreError};

use super::orphans::Orphans;

/// `wacore`'s `Backend` for one session.
#[derive(Debug)]
pub(crate) struct PortBackend {
    store: Arc<dyn SessionStore>,
    /// Asked before a message without a buffered copy counts as received.
    orphans: Option<Arc<Orphans>>,
    turns: Turns,
}

/// One lock for each kind of entry that is read, changed and written back. The port has no
/// conditional write, and one session has one writer, so a turn within the session is enough.
#[derive(Debug, Default)]
struct Turns {
    lid_mappings: Mutex<()>,
    msg_secrets: Mutex<()>,
    sender_key_devices: Mutex<()>,
    sent_messages: Mutex<()>,
    tc_tokens: Mutex<()>,
}

impl PortBackend {
    /// A backend over the state of one session.
    pub(crate) fn new(store: Arc<dyn SessionStore>) -> Self {
        Self { store, orphans: None, turns: Turns::default() }
    }

    /// The same, with someone to ask about messages that come again.
    pub(super) fn with_orphans(self, orphans: Arc<Orphans>) -> Self {
        Self { orphans: Some(orphans), ..self }
    }

    async fn get(&self, namespace: Namespace, key: &str) -> Result<Option<Bytes>> {
        self.store.get(namespace, key).await.map_err(store_error)
    }

    /// Like [`Self::get`], for entries that the protocol replaces by itself: a damaged one must not
    /// stand in the way of its replacement.
    async fn get_repairable(&self, namespace: Namespace, key: &str) -> Result<Option<Bytes>> {
        match self.store.get(namespace, key).await {
            Err(SessionStoreError::Damaged(_)) => {
                tracing::warn!(%namespace, "damaged entry of the session store taken as absent");
                Ok(None)
            }
            answer => answer.map_err(store_error),
        }
    }

    async fn get_many(
        &self,
        namespace: Namespace,
        keys: &[String],
    ) -> Result<Vec<(String, Bytes)>> {
        self.store.get_many(namespace, keys).await.map_err(store_error)
    }

    async fn scan(&self, namespace: Namespace, prefix: &str) -> Result<Vec<(String, Bytes)>> {
        self.store.scan(namespace, prefix).await.map_err(store_error)
    }

    async fn write(&self, changes: Vec<Change>) -> Result<()> {
        self.store.apply(changes).await.map_err(store_error)
    }

    async fn delete_prefix(&self, namespace: Namespace, prefix: &str) -> Result<()> {
        self.store.delete_prefix(namespace, prefix).await.map(|_| ()).map_err(store_error)
    }

    async fn sweep(&self, namespace: Namespace, now: i64) -> Result<u32> {
        let swept = self.store.sweep(namespace, now).await.map_err(store_error)?;
        Ok(u32::try_from(swept).unwrap_or(u32::MAX))
    }
}

fn store_error(error: SessionStoreError) -> StoreError {
    match error {
        SessionStoreError::Damaged(_) => StoreError::Serialization(Box::new(error)),
        SessionStoreError::Unavailable(_) | SessionStoreError::Fenced => {
            StoreError::Database(Box::new(error))
        }
    }
}
