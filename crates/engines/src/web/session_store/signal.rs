//! Signal state: identities, sessions, one-time and signed prekeys, sender keys.
//!
//! The client has already moved on in memory when it writes here, so a write that fails must reach it
//! as an error: a message encrypted with a key that the store does not know could be encrypted with
//! it again after a restart.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use flowcore_domain::session_store::{Change, Namespace, SessionStoreError};
use wacore::store::error::Result;
use wacore::store::traits::SignalStore;

use super::keys::{self, IDENTITY, PREKEY, SENDER_KEY, SESSION, SIGNED_PREKEY};
use super::{PortBackend, store_error, values};

#[async_trait]
impl SignalStore for PortBackend {
    async fn put_identity(&self, address: &str, key: [u8; 32]) -> Result<()> {
        self.write(vec![put(IDENTITY, address, &key)]).await
    }

    async fn put_identities_batch(&self, identities: &[(Arc<str>, [u8; 32])]) -> Result<()> {
        let changes = identities.iter().map(|(address, key)| put(IDENTITY, address, key));
        self.write(changes.collect()).await
    }

    async fn load_identity(&self, address: &str) -> Result<Option<[u8; 32]>> {
        let key = self.get_repairable(IDENTITY, &keys::part(address)).await?;
        key.map(|key| values::exactly(&key)).transpose()
    }

    async fn delete_identity(&self, address: &str) -> Result<()> {
        self.write(vec![Change::delete(IDENTITY, keys::part(address))]).await
    }

    async fn get_session(&self, address: &str) -> Result<Option<Bytes>> {
        self.get_repairable(SESSION, &keys::part(address)).await
    }

    async fn put_session(&self, address: &str, session: &[u8]) -> Result<()> {
        self.write(vec![put(SESSION, address, session)]).await
    }

    async fn put_sessions_batch(&self, sessions: &[(Arc<str>, Bytes)]) -> Result<()> {
        self.write(put_shared(SESSION, sessions)).await
    }

    async fn delete_session(&self, address: &str) -> Result<()> {
        self.write(vec![Change::delete(SESSION, keys::part(address))]).await
    }

    async fn has_signal_state_for_user(&self, user: &str) -> Result<bool> {
        // An address is `user@server` for the first device and `user:device@server` for others.
        for end in ["@", ":"] {
            let prefix = format!("{}{end}", keys::part(user));
            for namespace in [SESSION, IDENTITY] {
                match self.store.scan(namespace, &prefix).await {
                    Ok(entries) if entries.is_empty() => {}
                    Ok(_) | Err(SessionStoreError::Damaged(_)) => return Ok(true),
                    Err(error) => return Err(store_error(error)),
                }
            }
        }
        Ok(false)
    }

    // The `uploaded` flag is not kept: no method reads it, the device's own watermark says which
    // prekeys the server has.
    async fn store_prekey(&self, id: u32, record: &[u8], _uploaded: bool) -> Result<()> {
        self.write(vec![put(PREKEY, &keys::number(id), record)]).await
    }

    async fn store_prekeys_batch(&self, prekeys: &[(u32, Bytes)], _uploaded: bool) -> Result<()> {
        let changes = prekeys
            .iter()
            .map(|(id, record)| Change::put(PREKEY, keys::number(*id), record.clone()));
        self.write(changes.collect()).await
    }

    async fn load_prekey(&self, id: u32) -> Result<Option<Bytes>> {
        self.get_repairable(PREKEY, &keys::number(id)).await
    }

    async fn load_prekeys_batch(&self, ids: &[u32]) -> Result<Vec<(u32, Bytes)>> {
        let wanted: Vec<String> = ids.iter().map(|id| keys::number(*id)).collect();
        numbered(self.get_many(PREKEY, &wanted).await?)
    }

    /// Nothing to write, and so nothing that could bring back a prekey consumed in the meantime.
    async fn mark_prekeys_uploaded(&self, _ids: &[u32]) -> Result<()> {
        Ok(())
    }

    async fn remove_prekey(&self, id: u32) -> Result<()> {
        self.write(vec![Change::delete(PREKEY, keys::number(id))]).await
    }

    async fn get_max_prekey_id(&self) -> Result<u32> {
        match self.scan(PREKEY, "").await?.last() {
            Some((key, _)) => keys::parse_number(key),
            None => Ok(0),
        }
    }

    async fn store_signed_prekey(&self, id: u32, record: &[u8]) -> Result<()> {
        self.write(vec![put(SIGNED_PREKEY, &keys::number(id), record)]).await
    }

    async fn load_signed_prekey(&self, id: u32) -> Result<Option<Vec<u8>>> {
        Ok(self.get(SIGNED_PREKEY, &keys::number(id)).await?.map(Vec::from))
    }

    async fn load_all_signed_prekeys(&self) -> Result<Vec<(u32, Vec<u8>)>> {
        let all = numbered(self.scan(SIGNED_PREKEY, "").await?)?;
        Ok(all.into_iter().map(|(id, record)| (id, record.into())).collect())
    }

    async fn remove_signed_prekey(&self, id: u32) -> Result<()> {
        self.write(vec![Change::delete(SIGNED_PREKEY, keys::number(id))]).await
    }

    async fn put_sender_key(&self, address: &str, record: &[u8]) -> Result<()> {
        self.write(vec![put(SENDER_KEY, address, record)]).await
    }

    async fn put_sender_keys_batch(&self, sender_keys: &[(Arc<str>, Bytes)]) -> Result<()> {
        self.write(put_shared(SENDER_KEY, sender_keys)).await
    }

    async fn get_sender_key(&self, address: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.get_repairable(SENDER_KEY, &keys::part(address)).await?.map(Vec::from))
    }

    async fn delete_sender_key(&self, address: &str) -> Result<()> {
        self.write(vec![Change::delete(SENDER_KEY, keys::part(address))]).await
    }
}

fn put(namespace: Namespace, key: &str, value: &[u8]) -> Change {
    Change::put(namespace, keys::part(key), Bytes::copy_from_slice(value))
}

fn put_shared(namespace: Namespace, entries: &[(Arc<str>, Bytes)]) -> Vec<Change> {
    entries
        .iter()
        .map(|(key, value)| Change::put(namespace, keys::part(key), value.clone()))
        .collect()
}

fn numbered(entries: Vec<(String, Bytes)>) -> Result<Vec<(u32, Bytes)>> {
    entries.into_iter().map(|(key, value)| Ok((keys::parse_number(&key)?, value))).collect()
}
