//! Reads of single rows by their key, on the thread that asks.
//!
//! They take some ten microseconds, the way to another thread and back several times that; every message asks for
//! four. A reader never waits for the writer (WAL). What looks through many rows is not for here: it goes to the
//! pool, whose threads may be busy as long as they like.

use crate::error::StorageError;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// So many can read at once; whoever finds both busy waits a few microseconds.
const CONNECTIONS: usize = 2;

/// Connections that are opened when they are needed.
#[derive(Debug)]
pub(crate) struct Points {
    file: PathBuf,
    connections: [Mutex<Slot>; CONNECTIONS],
}

#[derive(Debug, Default)]
enum Slot {
    #[default]
    Unopened,
    Open(Connection),
    Closed,
}

impl Points {
    pub(super) fn new(file: &Path) -> Self {
        Self { file: file.to_owned(), connections: Default::default() }
    }

    /// Runs a read.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let mut slot = self.free();
        if let Slot::Unopened = *slot {
            *slot = Slot::Open(super::sqlite::connect_for_points(&self.file)?);
        }
        match &*slot {
            Slot::Open(connection) => read(connection),
            Slot::Unopened | Slot::Closed => {
                Err(StorageError::Unavailable("the store is closed".to_owned()))
            }
        }
    }

    /// Closes them for good.
    pub(super) fn close(&self) {
        for connection in &self.connections {
            *connection.lock().unwrap_or_else(PoisonError::into_inner) = Slot::Closed;
        }
    }

    /// One that nobody uses, or the first.
    fn free(&self) -> MutexGuard<'_, Slot> {
        let free = self.connections.iter().find_map(|connection| connection.try_lock().ok());
        free.unwrap_or_else(|| self.connections[0].lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::{Location, Point, query};

    #[tokio::test]
    async fn what_was_written_is_read_at_once_and_nothing_after_the_end() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("test.db");
        std::fs::write(&file, "").expect("a file");
        let location = Location::Sqlite(file);
        let mut connection = location.connect().await.expect("connects");
        let readers = location.readers();
        let count = || query("SELECT COUNT(*) FROM notes").scalar::<i64>(Point(&readers));
        query("CREATE TABLE notes (text TEXT)").execute(&mut connection).await.expect("a table");
        for written in 1..4 {
            let insert = query("INSERT INTO notes VALUES ($1)").bind("one");
            insert.execute(&mut connection).await.expect("written");
            assert_eq!(count().await.expect("read"), Some(written));
        }
        let write = query("DELETE FROM notes").execute(Point(&readers)).await;
        assert!(write.is_err(), "they only read");
        readers.close().await;
        let closed = count().await;
        assert!(matches!(closed, Err(StorageError::Unavailable(_))), "{closed:?}");
    }
}
