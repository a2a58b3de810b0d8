//! What is particular to SQLite: types, connection settings, error codes, and the text of statements
//! with many rows. Every other file says plain SQL that PostgreSQL understands too.

use crate::error::StorageError;
use sqlx::error::{DatabaseError, ErrorKind};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use std::path::Path;
use std::time::Duration;

/// One connection.
pub(crate) type Connection = sqlx::SqliteConnection;
/// The connections for reading.
pub(crate) type Readers = SqlitePool;
/// A row of an answer.
pub(crate) type Row = sqlx::sqlite::SqliteRow;

/// Starts a transaction that may write. IMMEDIATE: a transaction that only turns into a writer later
/// could fail with "locked" half-way.
pub(crate) const BEGIN: &str = "BEGIN IMMEDIATE";

/// Ends the job before and begins the next, in one trip to the connection's thread.
pub(crate) const NEXT_JOB: &str = "RELEASE job; SAVEPOINT job";

/// Undoes the running job and begins the next.
pub(crate) const UNDO_JOB: &str = "ROLLBACK TO job; RELEASE job; SAVEPOINT job";

/// Begins the first job of a transaction.
pub(crate) const FIRST_JOB: &str = "SAVEPOINT job";

/// Empties the write-ahead log into the database file.
pub(crate) const CHECKPOINT: &str = "PRAGMA wal_checkpoint(TRUNCATE)";

/// Whether a table exists.
pub(crate) const TABLE_EXISTS: &str =
    "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = $1";

/// Reads run beside the writer; more connections than this only cost threads.
const READER_COUNT: u32 = 4;

fn options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .journal_mode(SqliteJournalMode::Wal)
        // What was acknowledged to WhatsApp must survive a power cut, so every commit is synced; the
        // groups of the writer make that affordable.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5))
        .pragma("temp_store", "memory")
        .pragma("journal_size_limit", "67108864")
        .statement_cache_capacity(256)
}

/// Options of the one connection that writes.
pub(crate) fn writer_options(file: &Path) -> SqliteConnectOptions {
    options(file).pragma("cache_size", "-16000")
}

/// The connections that read. They are made when needed.
pub(crate) fn readers(file: &Path) -> Readers {
    SqlitePoolOptions::new()
        .max_connections(READER_COUNT)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(Duration::from_secs(10))
        .connect_lazy_with(options(file).pragma("query_only", "true"))
}

impl From<sqlx::Error> for StorageError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(database) => from_database(&*database),
            sqlx::Error::RowNotFound => Self::NotFound("the row"),
            sqlx::Error::Io(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(error.to_string()),
            other => Self::Unexpected(other.to_string()),
        }
    }
}

/// SQLite's messages name tables and columns, never values.
fn from_database(error: &dyn DatabaseError) -> StorageError {
    match error.kind() {
        ErrorKind::UniqueViolation => return StorageError::Conflict("a row with this key"),
        ErrorKind::ForeignKeyViolation => return StorageError::NotFound("the row it belongs to"),
        _ => {}
    }
    let code = error.code().and_then(|code| code.parse::<i32>().ok()).unwrap_or_default();
    // BUSY, LOCKED, NOMEM, READONLY, IOERR, FULL, CANTOPEN; the upper bits only refine.
    match code & 0xff {
        5 | 6 | 7 | 8 | 10 | 13 | 14 => StorageError::Unavailable(error.to_string()),
        _ => StorageError::Unexpected(error.to_string()),
    }
}

/// A limit as a parameter.
pub(crate) fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// How many rows go into one statement. Few sizes, so that their statements stay prepared.
const SIZES: [usize; 3] = [64, 8, 1];

/// Cuts rows into pieces of the prepared sizes, in order.
pub(crate) fn batches<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = SIZES.into_iter().find(|size| *size <= rows.len())?;
        let (piece, rest) = rows.split_at(size);
        rows = rest;
        Some(piece)
    })
}

/// `$4, $5, $6`: `count` parameters after the first `used`.
pub(crate) fn parameters(used: usize, count: usize) -> String {
    let mut text = String::with_capacity(count * 6);
    for number in used + 1..=used + count {
        if number > used + 1 {
            text.push_str(", ");
        }
        text.push('$');
        text.push_str(&number.to_string());
    }
    text
}

/// `(row), (row), …` with `columns` parameters each, after the first `used`; `$1` can be repeated in
/// every row by naming it in `shared`.
pub(crate) fn rows(shared: &str, used: usize, columns: usize, count: usize) -> String {
    let row = |index: usize| format!("({shared}{})", parameters(used + index * columns, columns));
    (0..count).map(row).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_of_few_sizes_and_lose_nothing() {
        let rows: Vec<u32> = (0..812).collect();
        let sizes: Vec<usize> = batches(&rows).map(<[u32]>::len).collect();
        assert_eq!(sizes.iter().sum::<usize>(), 812);
        assert!(sizes.iter().all(|size| SIZES.contains(size)));
        assert_eq!(batches(&rows).flatten().copied().collect::<Vec<_>>(), rows);
        assert_eq!(batches::<u32>(&[]).count(), 0);
    }

    #[test]
    fn statements_with_many_rows_are_numbered_through() {
        assert_eq!(parameters(2, 3), "$3, $4, $5");
        assert_eq!(rows("$1, ", 1, 2, 2), "($1, $2, $3), ($1, $4, $5)");
    }
}
