//! Protocol state of sessions: the [`SessionStore`] port over `session_entries`, values sealed.
//!
//! A batch is one job of the writer. Values are sealed in the caller's task, so the writer only writes.
//! The instance's row is the parent of all entries: a write after its deletion is refused as fenced.

use crate::Store;
use crate::database::Extent;
use crate::dialect::{self, Connection, Query, query};
use crate::error::StorageError;
use crate::row::Record;
use crate::vault::Sealer;
use async_trait::async_trait;
use bytes::Bytes;
use flowcore_domain::id::InstanceId;
use flowcore_domain::session_store::{Change, Namespace, SessionStore, SessionStoreError};
use sqlx::AssertSqlSafe;
use std::collections::BTreeMap;
use std::sync::Arc;

const TABLE: &str = "session_entries";

impl Store {
    /// The protocol state of an instance.
    #[must_use]
    pub fn session_store(&self, instance: InstanceId) -> Arc<dyn SessionStore> {
        let sealer = self.inner.vault.sealer(&scope_of(instance));
        Arc::new(Entries { store: self.clone(), instance, sealer })
    }
}

/// What the entries of an instance are sealed under.
pub(crate) fn scope_of(instance: InstanceId) -> String {
    format!("{TABLE}/{instance}")
}

/// What ties a sealed value to its row.
pub(crate) fn row_of(instance: InstanceId, namespace: &str, key: &str) -> String {
    format!("{TABLE}/{instance}/{namespace}/{key}")
}

/// The entries of one instance.
#[derive(Debug)]
struct Entries {
    store: Store,
    instance: InstanceId,
    sealer: Sealer,
}

/// An entry ready to be written.
struct Put {
    namespace: &'static str,
    key: String,
    value: Vec<u8>,
    expires_at: Option<i64>,
}

impl Entries {
    fn row(&self, namespace: Namespace, key: &str) -> String {
        row_of(self.instance, namespace.0, key)
    }

    fn open(&self, namespace: Namespace, key: &str, blob: &[u8]) -> Result<Bytes, StorageError> {
        let opened = self.sealer.open(TABLE, &self.row(namespace, key), blob);
        // The key may hold an address, which has no place in messages and logs.
        let opened = opened.map_err(|_| StorageError::Corrupt {
            table: TABLE,
            row: format!("{}/{namespace}", self.instance),
        });
        opened.map(Bytes::from)
    }

    fn read(
        &self,
        namespace: Namespace,
        record: &Record<'_>,
    ) -> Result<(String, Bytes), StorageError> {
        let key: String = record.get("key")?;
        let value = self.open(namespace, &key, record.get("value")?)?;
        Ok((key, value))
    }

    /// What a batch comes down to: the last change of each key, values sealed.
    fn digest(&self, changes: Vec<Change>) -> Result<(Vec<Put>, Deletions), StorageError> {
        let mut last = BTreeMap::new();
        for change in changes {
            last.insert((change.namespace.0, change.key), (change.value, change.expires_at));
        }
        let (mut puts, mut deletions) = (Vec::new(), Deletions::new());
        for ((namespace, key), (value, expires_at)) in last {
            match value {
                Some(value) => {
                    let value = self.sealer.seal(&self.row(Namespace(namespace), &key), &value)?;
                    puts.push(Put { namespace, key, value, expires_at });
                }
                None => deletions.entry(namespace).or_default().push(key),
            }
        }
        Ok((puts, deletions))
    }
}

/// Keys to delete, by namespace.
type Deletions = BTreeMap<&'static str, Vec<String>>;

#[async_trait]
impl SessionStore for Entries {
    async fn get(
        &self,
        namespace: Namespace,
        key: &str,
    ) -> Result<Option<Bytes>, SessionStoreError> {
        let blob: Option<Vec<u8>> = query(
            "SELECT value FROM session_entries \
             WHERE instance_id = $1 AND namespace = $2 AND key = $3",
        )
        .bind(self.instance)
        .bind(namespace.0)
        .bind(key)
        .scalar(self.store.point())
        .await?;
        Ok(blob.map(|blob| self.open(namespace, key, &blob)).transpose()?)
    }

    async fn get_many(
        &self,
        namespace: Namespace,
        keys: &[String],
    ) -> Result<Vec<(String, Bytes)>, SessionStoreError> {
        let mut found = Vec::with_capacity(keys.len());
        for batch in dialect::batches(keys) {
            let sql = format!(
                "SELECT key, value FROM session_entries \
                 WHERE instance_id = $1 AND namespace = $2 AND key IN ({})",
                dialect::parameters(2, batch.len())
            );
            let query = query(AssertSqlSafe(sql)).bind(self.instance);
            let query = batch.iter().fold(query.bind(namespace.0), Query::bind);
            let rows = query.fetch_all(self.store.point()).await?;
            for row in &rows {
                found.push(self.read(namespace, &Record::new(TABLE, row))?);
            }
        }
        Ok(found)
    }

    async fn scan(
        &self,
        namespace: Namespace,
        prefix: &str,
    ) -> Result<Vec<(String, Bytes)>, SessionStoreError> {
        let rows = query(
            "SELECT key, value FROM session_entries \
             WHERE instance_id = $1 AND namespace = $2 AND key >= $3 AND key < $4 ORDER BY key",
        )
        .bind(self.instance)
        .bind(namespace.0)
        .bind(prefix)
        .bind(end_of(prefix))
        .fetch_all(self.store.readers())
        .await?;
        let read = |row| Ok(self.read(namespace, &Record::new(TABLE, row))?);
        rows.iter().map(read).collect()
    }

    async fn apply(&self, changes: Vec<Change>) -> Result<(), SessionStoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        let (puts, deletions) = self.digest(changes)?;
        let instance = self.instance;
        let statements = dialect::batches(&puts).count()
            + deletions.values().map(|keys| dialect::batches(keys).count()).sum::<usize>();
        let extent = if statements == 1 { Extent::Statement } else { Extent::Transaction };
        let written = self.store.write_in(extent, move |connection| {
            Box::pin(async move {
                put(connection, instance, puts).await?;
                for (namespace, keys) in deletions {
                    delete(connection, instance, namespace, &keys).await?;
                }
                Ok(())
            })
        });
        Ok(written.await?)
    }

    async fn delete_prefix(
        &self,
        namespace: Namespace,
        prefix: &str,
    ) -> Result<u64, SessionStoreError> {
        let (instance, first, end) = (self.instance, prefix.to_owned(), end_of(prefix));
        let deleted = self.store.write(move |connection| {
            Box::pin(async move {
                let deletion = query(
                    "DELETE FROM session_entries \
                     WHERE instance_id = $1 AND namespace = $2 AND key >= $3 AND key < $4",
                );
                let deletion = deletion.bind(instance).bind(namespace.0).bind(first).bind(end);
                deletion.execute(connection).await
            })
        });
        Ok(deleted.await?)
    }

    async fn sweep(&self, namespace: Namespace, now: i64) -> Result<u64, SessionStoreError> {
        let instance = self.instance;
        let swept = self.store.write(move |connection| {
            Box::pin(async move {
                let sweep = query(
                    "DELETE FROM session_entries \
                     WHERE instance_id = $1 AND namespace = $2 AND expires_at <= $3",
                );
                let sweep = sweep.bind(instance).bind(namespace.0).bind(now);
                sweep.execute(connection).await
            })
        });
        Ok(swept.await?)
    }

    async fn clear(&self) -> Result<(), SessionStoreError> {
        let instance = self.instance;
        let cleared = self.store.write(move |connection| {
            Box::pin(async move {
                let deletion = query("DELETE FROM session_entries WHERE instance_id = $1");
                deletion.bind(instance).execute(connection).await?;
                Ok(())
            })
        });
        Ok(cleared.await?)
    }
}

/// The first text after all that begin with `prefix`: no key holds the last code point.
fn end_of(prefix: &str) -> String {
    format!("{prefix}\u{10FFFF}")
}

async fn put(
    connection: &mut Connection,
    instance: InstanceId,
    mut puts: Vec<Put>,
) -> Result<(), StorageError> {
    for size in dialect::batches(&puts).map(<[Put]>::len).collect::<Vec<_>>() {
        let sql = format!(
            "INSERT INTO session_entries (instance_id, namespace, key, value, expires_at) \
             VALUES {} ON CONFLICT (instance_id, namespace, key) DO UPDATE SET \
             value = excluded.value, expires_at = excluded.expires_at",
            dialect::rows("$1, ", 1, 4, size)
        );
        let query = query(AssertSqlSafe(sql)).bind(instance);
        let query = puts.drain(..size).fold(query, |query, entry| {
            query.bind(entry.namespace).bind(entry.key).bind(entry.value).bind(entry.expires_at)
        });
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

async fn delete(
    connection: &mut Connection,
    instance: InstanceId,
    namespace: &'static str,
    keys: &[String],
) -> Result<(), StorageError> {
    for batch in dialect::batches(keys) {
        let sql = format!(
            "DELETE FROM session_entries WHERE instance_id = $1 AND namespace = $2 AND key IN ({})",
            dialect::parameters(2, batch.len())
        );
        let query = query(AssertSqlSafe(sql)).bind(instance).bind(namespace);
        let query = batch.iter().fold(query, Query::bind);
        query.execute(&mut *connection).await?;
    }
    Ok(())
}
