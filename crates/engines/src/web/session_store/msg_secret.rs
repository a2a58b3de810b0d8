//! Secrets of messages, needed later to open reactions, votes and edits that refer to them.
//!
//! Writing a secret again never shortens its life and never forgets when its message was sent, so a
//! write reads first. The deadline is in the value too, because the port does not give it back.

use std::collections::HashMap;

use async_trait::async_trait;
use flowcore_domain::session_store::Change;
use wacore::store::error::Result;
use wacore::store::traits::{
    MsgSecretEntry, MsgSecretStore, merge_msg_secret_expiry, merge_msg_secret_message_ts,
};

use super::PortBackend;
use super::keys::{self, MSG_SECRET};
use super::values::{self, MsgSecret};

#[async_trait]
impl MsgSecretStore for PortBackend {
    async fn put_msg_secrets(&self, entries: Vec<MsgSecretEntry>) -> Result<usize> {
        let wanted: Vec<String> = entries
            .iter()
            .map(|entry| keys::join([&entry.chat, &entry.sender, &entry.msg_id]))
            .collect();
        let _turn = self.turns.msg_secrets.lock().await;
        let mut merged = HashMap::with_capacity(wanted.len());
        for (key, value) in self.get_many(MSG_SECRET, &wanted).await? {
            merged.insert(key, values::decode_msg_secret(&value)?);
        }
        for (key, entry) in wanted.iter().zip(&entries) {
            let secret = merge(merged.get(key), entry);
            merged.insert(key.clone(), secret);
        }
        self.write(merged.into_iter().map(|(key, secret)| change(key, &secret)).collect()).await?;
        Ok(entries.len())
    }

    async fn get_msg_secret(
        &self,
        chat: &str,
        sender: &str,
        msg_id: &str,
    ) -> Result<Option<Vec<u8>>> {
        let found = self.get_msg_secret_with_ts(chat, sender, msg_id).await?;
        Ok(found.map(|(secret, _)| secret))
    }

    async fn get_msg_secret_with_ts(
        &self,
        chat: &str,
        sender: &str,
        msg_id: &str,
    ) -> Result<Option<(Vec<u8>, i64)>> {
        let Some(value) = self.get(MSG_SECRET, &keys::join([chat, sender, msg_id])).await? else {
            return Ok(None);
        };
        let found = values::decode_msg_secret(&value)?;
        Ok(Some((found.secret.to_vec(), found.message_ts)))
    }

    async fn delete_expired_msg_secrets(&self, cutoff_timestamp: i64) -> Result<u32> {
        let _turn = self.turns.msg_secrets.lock().await;
        self.sweep(MSG_SECRET, cutoff_timestamp).await
    }
}

fn merge(stored: Option<&MsgSecret>, entry: &MsgSecretEntry) -> MsgSecret {
    let (expires_at, message_ts) = match stored {
        Some(stored) => (
            merge_msg_secret_expiry(stored.expires_at, entry.expires_at),
            merge_msg_secret_message_ts(stored.message_ts, entry.message_ts),
        ),
        None => (entry.expires_at, entry.message_ts),
    };
    MsgSecret { secret: entry.secret, expires_at, message_ts }
}

fn change(key: String, secret: &MsgSecret) -> Change {
    let value = values::encode_msg_secret(secret);
    match secret.expires_at {
        0 => Change::put(MSG_SECRET, key, value),
        expires_at => Change::put_until(MSG_SECRET, key, value, expires_at),
    }
}
