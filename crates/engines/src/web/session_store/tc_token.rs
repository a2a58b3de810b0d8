//! Trusted contact tokens: what a contact gave us, and when we last gave it ours.
//!
//! Two writers own one half each: the notification of a contact's token, and our own sending. Both
//! halves only move forward, so it does not matter which of them comes first.

use flowcore_domain::session_store::Change;
use wacore::store::error::Result;
use wacore::store::traits::TcTokenEntry;

use super::keys::{self, TC_TOKEN};
use super::{PortBackend, values};

impl PortBackend {
    pub(super) async fn tc_token(&self, jid: &str) -> Result<Option<TcTokenEntry>> {
        let value = self.get(TC_TOKEN, &keys::part(jid)).await?;
        value.map(|value| values::decode_tc_token(&value)).transpose()
    }

    pub(super) async fn set_tc_token(&self, jid: &str, entry: &TcTokenEntry) -> Result<()> {
        let _turn = self.turns.tc_tokens.lock().await;
        self.write_tc_token(jid, entry).await
    }

    pub(super) async fn forget_tc_token(&self, jid: &str) -> Result<()> {
        let _turn = self.turns.tc_tokens.lock().await;
        self.write(vec![Change::delete(TC_TOKEN, keys::part(jid))]).await
    }

    pub(super) async fn contacts_with_tc_token(&self) -> Result<Vec<String>> {
        let all = self.scan(TC_TOKEN, "").await?;
        all.iter().map(|(key, _)| keys::unescape(key)).collect()
    }

    pub(super) async fn prune_tc_tokens(
        &self,
        token_cutoff: i64,
        sender_cutoff: i64,
    ) -> Result<u32> {
        let _turn = self.turns.tc_tokens.lock().await;
        let mut stale = Vec::new();
        for (key, value) in self.scan(TC_TOKEN, "").await? {
            let entry = values::decode_tc_token(&value)?;
            let token_lives = !entry.token.is_empty() && entry.token_timestamp >= token_cutoff;
            let sender_lives = entry.sender_timestamp.is_some_and(|at| at >= sender_cutoff);
            if !token_lives && !sender_lives {
                stale.push(Change::delete(TC_TOKEN, key));
            }
        }
        let count = u32::try_from(stale.len()).unwrap_or(u32::MAX);
        self.write(stale).await?;
        Ok(count)
    }

    pub(super) async fn advance_tc_token_sender(&self, jid: &str, at: i64) -> Result<()> {
        let _turn = self.turns.tc_tokens.lock().await;
        let entry = match self.tc_token(jid).await? {
            Some(entry) if entry.sender_timestamp.is_some_and(|known| known >= at) => return Ok(()),
            Some(entry) => TcTokenEntry { sender_timestamp: Some(at), ..entry },
            None => {
                TcTokenEntry { token: Vec::new(), token_timestamp: at, sender_timestamp: Some(at) }
            }
        };
        self.write_tc_token(jid, &entry).await
    }

    pub(super) async fn receive_tc_token(&self, jid: &str, token: &[u8], at: i64) -> Result<()> {
        let _turn = self.turns.tc_tokens.lock().await;
        let stored = self.tc_token(jid).await?;
        // An entry without a token only says when we sent ours; its time is no rival.
        let newer = |stored: &TcTokenEntry| !stored.token.is_empty() && stored.token_timestamp > at;
        if stored.as_ref().is_some_and(newer) {
            return Ok(());
        }
        let entry = TcTokenEntry {
            token: token.to_vec(),
            token_timestamp: at,
            sender_timestamp: stored.and_then(|stored| stored.sender_timestamp),
        };
        self.write_tc_token(jid, &entry).await
    }

    async fn write_tc_token(&self, jid: &str, entry: &TcTokenEntry) -> Result<()> {
        let value = values::encode_tc_token(entry);
        self.write(vec![Change::put(TC_TOKEN, keys::part(jid), value)]).await
    }
}
