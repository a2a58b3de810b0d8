//! Who changed what: rows of `audit_log`, each written in the transaction of its deed (`deed`).

mod deed;

pub use deed::Deed;

use crate::Store;
use crate::dialect::{self, Connection, query};
use crate::error::StorageError;
use crate::row::{Record, json_text};
use flowcore_domain::clock::Millis;
use flowcore_domain::id::{AuditId, UserId};
use serde_json::Value;

/// Something that was done.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// Its id; they sort by time.
    pub id: AuditId,
    /// When.
    pub at: Millis,
    /// By whom; `None` when the user is gone, or nobody was recognised.
    pub user_id: Option<UserId>,
    /// What they were called then.
    pub username: Option<String>,
    /// By which credential.
    pub credential: String,
    /// From where.
    pub address: Option<String>,
    /// What was done.
    pub action: String,
    /// To what.
    pub target: Option<String>,
    /// The particulars, without secrets.
    pub data: Value,
}

/// Which entries a list shows.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Only what this user did.
    pub user: Option<UserId>,
    /// Only this action.
    pub action: Option<String>,
    /// Only what was done to this.
    pub target: Option<String>,
    /// Not before.
    pub from: Option<Millis>,
    /// Before.
    pub to: Option<Millis>,
    /// Only older ones than this.
    pub before: Option<AuditId>,
}

impl Store {
    /// Notes what was done. The name is that of the user now.
    pub async fn note_audit(&self, entry: AuditEntry) -> Result<(), StorageError> {
        self.write(move |connection| Box::pin(insert(connection, entry))).await
    }

    /// What was done, newest first.
    pub async fn audit(
        &self,
        filter: &AuditFilter,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StorageError> {
        let rows = query(
            "SELECT * FROM audit_log WHERE ($1 IS NULL OR user_id = $1) \
             AND ($2 IS NULL OR action = $2) AND ($3 IS NULL OR target = $3) \
             AND ($4 IS NULL OR at >= $4) AND ($5 IS NULL OR at < $5) \
             AND ($6 IS NULL OR id < $6) ORDER BY id DESC LIMIT $7",
        )
        .bind(filter.user)
        .bind(filter.action.as_deref())
        .bind(filter.target.as_deref())
        .bind(filter.from.map(|at| at.0))
        .bind(filter.to.map(|at| at.0))
        .bind(filter.before.map(|id| id.text()))
        .bind(dialect::limit(limit))
        .fetch_all(self.readers())
        .await?;
        rows.iter().map(|row| read(&Record::new("audit_log", row))).collect()
    }

    /// Forgets what was done before; returns how much.
    pub async fn sweep_audit(&self, before: Millis) -> Result<u64, StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                let sweep = query("DELETE FROM audit_log WHERE at < $1").bind(before.0);
                sweep.execute(connection).await
            })
        })
        .await
    }
}

/// An entry is there once, however often it is written.
async fn insert(connection: &mut Connection, entry: AuditEntry) -> Result<(), StorageError> {
    query(
        "INSERT INTO audit_log (id, at, user_id, username, credential, address, action, \
         target, data) VALUES ($1, $2, (SELECT id FROM profiles WHERE id = $3), \
         COALESCE($4, (SELECT username FROM profiles WHERE id = $3)), $5, $6, $7, $8, $9) \
         ON CONFLICT (id) DO NOTHING",
    )
    .bind(entry.id.text())
    .bind(entry.at.0)
    .bind(entry.user_id)
    .bind(entry.username)
    .bind(entry.credential)
    .bind(entry.address)
    .bind(entry.action)
    .bind(entry.target)
    .bind(json_text(&entry.data)?)
    .execute(connection)
    .await?;
    Ok(())
}

fn read(record: &Record<'_>) -> Result<AuditEntry, StorageError> {
    Ok(AuditEntry {
        id: record.parsed("id")?,
        at: Millis(record.get("at")?),
        user_id: record.parsed_option("user_id")?,
        username: record.get("username")?,
        credential: record.get("credential")?,
        address: record.get("address")?,
        action: record.get("action")?,
        target: record.get("target")?,
        data: record.json("data")?,
    })
}
