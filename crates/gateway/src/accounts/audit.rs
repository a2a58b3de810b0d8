//! The record of who changed what, for administrators.

use super::{Accounts, Caller, Client};
use crate::error::ServiceError;
use crate::fresh_id;
use flowcore_storage::{AuditEntry, AuditFilter, Deed as UnderWay, StorageError};
use serde_json::Value;
use std::sync::Arc;

/// Something that was done.
#[derive(Debug, Clone)]
pub struct Deed {
    /// What, in a word.
    pub action: String,
    /// To what.
    pub target: Option<String>,
    /// The particulars, without secrets.
    pub data: Value,
}

impl Accounts {
    /// Notes what somebody did or tried, where nothing is written for it.
    pub async fn note(&self, caller: Option<&Caller>, client: &Client, deed: Deed) {
        let noted = self.shared.store.note_audit(self.entry(caller, client, deed)).await;
        tell(noted);
    }

    /// Something that somebody is about to do: what it writes takes its entry along in the same transaction.
    pub fn begin(&self, caller: Option<&Caller>, client: &Client, deed: Deed) -> Arc<UnderWay> {
        UnderWay::new(self.entry(caller, client, deed))
    }

    /// It is over. What is known of it now is added; one that was refused is noted only when it wrote
    /// something all the same.
    pub async fn finish(&self, under_way: &UnderWay, deed: Deed, succeeded: bool) {
        if succeeded || under_way.is_stored() {
            let Deed { action, target, data } = deed;
            let entry = AuditEntry { action, target, data, ..under_way.entry().clone() };
            tell(self.shared.store.complete_audit(entry).await);
            self.parts.changes.send_modify(|count| *count += 1);
        }
    }

    fn entry(&self, caller: Option<&Caller>, client: &Client, deed: Deed) -> AuditEntry {
        AuditEntry {
            id: fresh_id(),
            at: self.shared.now(),
            user_id: caller.map(|caller| caller.user_id),
            username: None,
            credential: caller.map_or_else(|| "none".to_owned(), |c| c.credential.to_string()),
            address: client.address.map(|address| address.to_string()),
            action: deed.action,
            target: deed.target,
            data: deed.data,
        }
    }

    /// What was done, newest first.
    pub async fn audit(
        &self,
        filter: &AuditFilter,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, ServiceError> {
        Ok(self.shared.store.audit(filter, limit).await?)
    }
}

/// What was done is not undone when its particulars can't be noted; the log says so.
fn tell(noted: Result<(), StorageError>) {
    if let Err(error) = noted {
        tracing::error!(%error, "something was done and could not be noted in the audit log");
    }
}
