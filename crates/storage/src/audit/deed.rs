//! A deed and its entry are one transaction: what is written while a deed is under way takes the entry along.
//!
//! The entry is there as soon as anything of the deed is; the particulars that are known only afterwards are
//! added then ([`Store::complete_audit`]). A deed that wrote nothing leaves no entry behind by itself.

use super::{AuditEntry, insert};
use crate::Store;
use crate::dialect::{Connection, query};
use crate::error::StorageError;
use crate::row::json_text;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

tokio::task_local! {
    static UNDER_WAY: Arc<Deed>;
}

/// Something that is being done, and its entry.
#[derive(Debug)]
pub struct Deed {
    entry: AuditEntry,
    stored: AtomicBool,
}

impl Deed {
    /// Something that is about to be done.
    pub fn new(entry: AuditEntry) -> Arc<Self> {
        Arc::new(Self { entry, stored: AtomicBool::new(false) })
    }

    /// Does it: whatever the task writes meanwhile takes the entry along.
    pub async fn during<F: Future>(self: &Arc<Self>, work: F) -> F::Output {
        UNDER_WAY.scope(Arc::clone(self), work).await
    }

    /// Whether its entry is stored.
    pub fn is_stored(&self) -> bool {
        self.stored.load(Ordering::Acquire)
    }

    /// The entry as it was when it began.
    pub fn entry(&self) -> &AuditEntry {
        &self.entry
    }

    /// What the running task is doing.
    pub(crate) fn under_way() -> Option<Arc<Self>> {
        UNDER_WAY.try_with(Arc::clone).ok()
    }

    /// In the transaction of a write; the first one leaves the entry behind.
    pub(crate) async fn enter(&self, connection: &mut Connection) -> Result<(), StorageError> {
        insert(connection, self.entry.clone()).await
    }

    /// Such a transaction is durable.
    pub(crate) fn is_durable(&self) {
        self.stored.store(true, Ordering::Release);
    }
}

impl Store {
    /// Adds what is known of a deed now that it is over; its entry is stored in any case.
    pub async fn complete_audit(&self, entry: AuditEntry) -> Result<(), StorageError> {
        let (id, target, data) = (entry.id, entry.target.clone(), json_text(&entry.data)?);
        self.write(move |connection| {
            Box::pin(async move {
                insert(&mut *connection, entry).await?;
                let change = query("UPDATE audit_log SET target = $2, data = $3 WHERE id = $1");
                change.bind(id.text()).bind(target).bind(data).execute(connection).await?;
                Ok(())
            })
        })
        .await
    }
}
