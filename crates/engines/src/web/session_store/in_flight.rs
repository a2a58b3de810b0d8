//! Messages in flight: decrypted ones that are not committed yet, and sent ones that a recipient may
//! ask for again.
//!
//! The client prunes by age and brings its own cutoff. An entry's sweep time is its age plus
//! [`KEPT_AT_MOST`], and the cutoff is moved by the same amount; so a sweep by the clock alone never
//! takes an entry that the client still wants.

use bytes::Bytes;
use flowcore_domain::session_store::Change;
use wacore::store::error::{Result, StoreError};
use wacore::store::traits::{PendingInboundKey, PendingInboundRow};

use super::keys::{self, PENDING_INBOUND, SENT_MESSAGE};
use super::{PortBackend, store_error};
use crate::web::orphans::{Again, Named};

/// Longer than the client keeps either kind (hours for sent messages, a week for pending ones).
const KEPT_AT_MOST: i64 = 90 * 24 * 60 * 60;

impl PortBackend {
    pub(super) async fn buffer_inbound(&self, rows: &[PendingInboundRow<'_>]) -> Result<()> {
        let expires_at = wacore::time::now_secs().saturating_add(KEPT_AT_MOST);
        // What only keeps a place is not kept.
        let stands_in = |row: &&PendingInboundRow<'_>| {
            self.orphans.as_ref().is_some_and(|orphans| orphans.is_stand_in(row.message))
        };
        let changes = rows.iter().filter(|row| !stands_in(row)).map(|row| {
            let key = keys::join([row.chat, row.sender, row.id]);
            let value = Bytes::copy_from_slice(row.message);
            Change::put_until(PENDING_INBOUND, key, value, expires_at)
        });
        self.write(changes.collect()).await
    }

    pub(super) async fn buffered_inbound(
        &self,
        key: PendingInboundKey<'_>,
    ) -> Result<Option<Vec<u8>>> {
        let row = keys::join([key.chat, key.sender, key.id]);
        let buffered = self.get(PENDING_INBOUND, &row).await?.map(Vec::from);
        let (None, Some(orphans)) = (&buffered, &self.orphans) else { return Ok(buffered) };
        let message = Named { chat: key.chat, sender: key.sender, id: key.id };
        match orphans.again(message).await.map_err(store_error)? {
            Again::Known => Ok(None),
            Again::AskedWithStandIn(message) => Ok(Some(message)),
            // The client acknowledges what has no copy, and withholds it on an error.
            Again::Asked => Err(StoreError::Database("asked for again".into())),
        }
    }

    pub(super) async fn release_inbound(&self, committed: &[PendingInboundKey<'_>]) -> Result<()> {
        let changes = committed
            .iter()
            .map(|key| Change::delete(PENDING_INBOUND, keys::join([key.chat, key.sender, key.id])));
        self.write(changes.collect()).await
    }

    pub(super) async fn prune_inbound(&self, cutoff: i64) -> Result<u32> {
        self.sweep(PENDING_INBOUND, last_sweep_time_before(cutoff)).await
    }

    pub(super) async fn keep_sent(&self, chat: &str, id: &str, payload: &[u8]) -> Result<()> {
        let expires_at = wacore::time::now_secs().saturating_add(KEPT_AT_MOST);
        let value = Bytes::copy_from_slice(payload);
        let key = keys::join([chat, id]);
        self.write(vec![Change::put_until(SENT_MESSAGE, key, value, expires_at)]).await
    }

    /// Gives a sent message to one asker only.
    pub(super) async fn take_sent(&self, chat: &str, id: &str) -> Result<Option<Vec<u8>>> {
        let key = keys::join([chat, id]);
        let _turn = self.turns.sent_messages.lock().await;
        let Some(payload) = self.get(SENT_MESSAGE, &key).await? else {
            return Ok(None);
        };
        self.write(vec![Change::delete(SENT_MESSAGE, key)]).await?;
        Ok(Some(payload.into()))
    }

    pub(super) async fn prune_sent(&self, cutoff: i64) -> Result<u32> {
        self.sweep(SENT_MESSAGE, last_sweep_time_before(cutoff)).await
    }
}

/// The port sweeps what expired at or before a time; the client means strictly older.
fn last_sweep_time_before(cutoff: i64) -> i64 {
    cutoff.saturating_add(KEPT_AT_MOST).saturating_sub(1)
}
