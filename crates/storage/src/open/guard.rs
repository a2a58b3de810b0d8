//! Keeps two servers from running on the same data: both would answer for the same numbers, and WhatsApp
//! would throw each of them out in turn.
//!
//! A data directory is held by a lock on a file, which ends with the process. A PostgreSQL schema is held
//! by an advisory lock on a connection of its own, which ends with that connection: when PostgreSQL is
//! started again, the lock is taken again, and a server that finds it taken writes no more.

use crate::dialect::{Connection, Location, query};
use crate::error::{OpenError, StorageError};
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const LOCK_FILE: &str = "flowcore.lock";

/// How long to wait for another server's end: its connection may outlive it by a moment.
const PATIENCE: &str = "SET lock_timeout = '3s'";

/// PostgreSQL's code for a lock that was not had in that time.
const LOCK_TIMEOUT: &str = "55P03";

/// How often to look whether the lock still stands.
const LOOK: Duration = Duration::from_secs(2);

/// Holds the data while it lives.
#[derive(Debug)]
pub(crate) struct Guard {
    directory: Mutex<Option<File>>,
    schema: Arc<SchemaLock>,
}

/// The lock on a schema; holds nothing where the database is a file.
#[derive(Debug, Default)]
pub(crate) struct SchemaLock {
    held: Mutex<Option<Connection>>,
    lost: CancellationToken,
}

impl Guard {
    /// Takes the data directory.
    pub(crate) fn directory(path: &Path) -> Result<Self, OpenError> {
        let failed = |source| OpenError::DataDirectory { path: path.to_path_buf(), source };
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(path.join(LOCK_FILE)).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { directory: Mutex::new(Some(file)), schema: Arc::default() }),
            Err(TryLockError::WouldBlock) => {
                Err(OpenError::InUse { what: format!("the data directory {}", path.display()) })
            }
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    /// Holds nothing: for who works beside the server that holds the data.
    pub(super) fn nothing() -> Self {
        Self { directory: Mutex::new(None), schema: Arc::default() }
    }

    /// Takes the schema of a PostgreSQL server too; a file needs no more than its directory's lock.
    pub(super) async fn database(&self, location: &Location) -> Result<(), OpenError> {
        if let Location::Postgres(_) = location {
            self.schema.keep(lock(location).await?);
        }
        Ok(())
    }

    /// The lock on the schema, to be looked after.
    pub(super) fn schema(&self) -> &Arc<SchemaLock> {
        &self.schema
    }

    /// Gives both back; so does dropping this, with a moment's delay at the server.
    pub(crate) async fn release(&self) {
        drop(self.directory.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(connection) = self.schema.take() {
            connection.close().await;
        }
    }
}

impl SchemaLock {
    /// Fires when another server took the schema meanwhile.
    pub(super) fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    /// Looks after a lock until its holder is gone, or the lock is for good.
    pub(super) async fn watch(lock: Weak<Self>, location: Location) {
        let Location::Postgres(_) = location else { return };
        let mut looks = tokio::time::interval(LOOK);
        loop {
            looks.tick().await;
            let Some(lock) = lock.upgrade() else { return };
            lock.look(&location).await;
            if lock.lost.is_cancelled() {
                return;
            }
        }
    }

    async fn look(&self, location: &Location) {
        // Taken out while it is asked; a release meanwhile finds nothing and leaves it to the end of this.
        if let Some(mut connection) = self.take()
            && query("SELECT 1").execute(&mut connection).await.is_ok()
        {
            return self.keep(connection);
        }
        match lock(location).await {
            Ok(connection) => {
                tracing::info!("the lock on the schema was taken again");
                self.keep(connection);
            }
            Err(OpenError::InUse { .. }) => {
                tracing::error!(
                    "another Flowcore took this schema; nothing is written any more: stop one of them"
                );
                self.lost.cancel();
            }
            // Not there yet; neither is it for anybody else.
            Err(error) => tracing::debug!(%error, "the lock on the schema can't be taken yet"),
        }
    }

    fn keep(&self, connection: Connection) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
    }

    fn take(&self) -> Option<Connection> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

async fn lock(location: &Location) -> Result<Connection, OpenError> {
    let schema = match location {
        Location::Postgres(target) => target.schema(),
        Location::Sqlite(_) => "",
    };
    let mut connection = location.connect().await?;
    query(PATIENCE).execute(&mut connection).await?;
    let lock = query("SELECT pg_advisory_lock(hashtext('flowcore server'), hashtext($1))::text");
    match lock.bind(schema).execute(&mut connection).await {
        Ok(_) => Ok(connection),
        Err(StorageError::Unavailable(why)) if why.contains(LOCK_TIMEOUT) => {
            connection.close().await;
            Err(OpenError::InUse { what: format!("the schema {schema}") })
        }
        Err(error) => Err(error.into()),
    }
}
