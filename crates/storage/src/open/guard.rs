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
use std::sync::{Mutex, PoisonError};
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
    held: Mutex<(Option<File>, Option<Connection>)>,
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
            Ok(()) => {
                let held = Mutex::new((Some(file), None));
                Ok(Self { held, lost: CancellationToken::new() })
            }
            Err(TryLockError::WouldBlock) => {
                Err(OpenError::InUse { what: format!("the data directory {}", path.display()) })
            }
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    /// Takes the schema of a PostgreSQL server too; a file needs no more than its directory's lock.
    pub(super) async fn database(&self, location: &Location) -> Result<(), OpenError> {
        if let Location::Postgres(_) = location {
            let connection = lock(location).await?;
            self.held.lock().unwrap_or_else(PoisonError::into_inner).1 = Some(connection);
        }
        Ok(())
    }

    /// Fires when another server took the data meanwhile.
    pub(crate) fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    /// Looks after the lock until it is lost for good.
    pub(crate) async fn watch(&self, location: &Location) {
        let Location::Postgres(_) = location else { return };
        let mut looks = tokio::time::interval(LOOK);
        loop {
            looks.tick().await;
            // Out of the mutex while it is asked; a release meanwhile finds nothing and drops it.
            let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).1.take();
            let standing = match held {
                Some(mut connection) => {
                    let asked = query("SELECT 1").execute(&mut connection).await;
                    asked.is_ok().then_some(connection)
                }
                None => None,
            };
            let connection = match standing {
                Some(connection) => connection,
                None => match lock(location).await {
                    Ok(connection) => {
                        tracing::info!("the lock on the schema was taken again");
                        connection
                    }
                    Err(OpenError::InUse { .. }) => {
                        tracing::error!(
                            "another Flowcore took this schema; nothing is written any more: stop one of them"
                        );
                        return self.lost.cancel();
                    }
                    // Not there yet; neither is it for anybody else.
                    Err(_) => continue,
                },
            };
            self.held.lock().unwrap_or_else(PoisonError::into_inner).1 = Some(connection);
        }
    }

    /// Gives both back; so does dropping this, with a moment's delay at the server.
    pub(crate) async fn release(&self) {
        let held = std::mem::take(&mut *self.held.lock().unwrap_or_else(PoisonError::into_inner));
        if let (_, Some(connection)) = held {
            connection.close().await;
        }
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
