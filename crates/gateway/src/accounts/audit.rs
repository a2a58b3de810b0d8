//! The record of who changed what, for administrators.

use super::{Accounts, Caller, Client};
use crate::error::ServiceError;
use crate::fresh_id;
use flowcore_storage::{AuditEntry, AuditFilter};
use serde_json::Value;

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
    /// Notes what somebody did. That it was done is not undone when it can't be noted; the log says so.
    pub async fn note(&self, caller: Option<&Caller>, client: &Client, deed: Deed) {
        let entry = AuditEntry {
            id: fresh_id(),
            at: self.shared.now(),
            user_id: caller.map(|caller| caller.user_id),
            username: None,
            credential: caller.map_or_else(|| "none".to_owned(), |c| c.credential.to_string()),
            address: client.address.map(|address| address.to_string()),
            action: deed.action,
            target: deed.target,
            data: deed.data,
        };
        if let Err(error) = self.shared.store.note_audit(entry).await {
            tracing::error!(%error, "something was done and could not be noted in the audit log");
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
