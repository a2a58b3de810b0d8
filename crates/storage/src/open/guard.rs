//! Keeps two servers from running on the same data: both would answer for the same numbers, and WhatsApp
//! would throw each of them out in turn.
//!
//! A data directory is held by a lock on a file, which ends with the process. A PostgreSQL schema is held
//! by an advisory lock on a connection of its own, which ends with that connection.

use crate::dialect::{Connection, Location, query};
use crate::error::OpenError;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

const LOCK_FILE: &str = "flowcore.lock";

/// How long to wait for another server's end: its connection may outlive it by a moment.
const PATIENCE: &str = "SET lock_timeout = '3s'";

/// Holds the data while it lives.
#[derive(Debug)]
pub(crate) struct Guard {
    held: Mutex<(Option<File>, Option<Connection>)>,
}

impl Guard {
    /// Takes the data directory.
    pub(crate) fn directory(path: &Path) -> Result<Self, OpenError> {
        let failed = |source| OpenError::DataDirectory { path: path.to_path_buf(), source };
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(path.join(LOCK_FILE)).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { held: Mutex::new((Some(file), None)) }),
            Err(TryLockError::WouldBlock) => {
                Err(OpenError::InUse { what: format!("the data directory {}", path.display()) })
            }
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    /// Takes the schema of a PostgreSQL server too; a file needs no more than its directory's lock.
    pub(super) async fn database(&self, location: &Location) -> Result<(), OpenError> {
        let Location::Postgres(target) = location else { return Ok(()) };
        let mut connection = location.connect().await?;
        query(PATIENCE).execute(&mut connection).await?;
        let lock =
            query("SELECT pg_advisory_lock(hashtext('flowcore server'), hashtext($1))::text");
        if lock.bind(target.schema()).execute(&mut connection).await.is_err() {
            connection.close().await;
            return Err(OpenError::InUse { what: format!("the schema {}", target.schema()) });
        }
        self.held.lock().unwrap_or_else(PoisonError::into_inner).1 = Some(connection);
        Ok(())
    }

    /// Gives both back; so does dropping this, with a moment's delay at the server.
    pub(crate) async fn release(&self) {
        let held = std::mem::take(&mut *self.held.lock().unwrap_or_else(PoisonError::into_inner));
        if let (_, Some(connection)) = held {
            connection.close().await;
        }
    }
}
