//! How SQLite is opened.

use sqlx::ConnectOptions as _;
use sqlx::SqliteConnection;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use std::path::Path;
use std::time::Duration;

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
        // Pages that change again and again reach the main file once for many changes: 16 MB of log, four
        // times the default. Reading it back after a crash takes some tens of milliseconds.
        .pragma("wal_autocheckpoint", "4000")
        .pragma("temp_store", "memory")
        .pragma("journal_size_limit", "67108864")
        .statement_cache_capacity(256)
        .disable_statement_logging()
}

/// The one connection that writes.
pub(super) async fn connect(file: &Path) -> Result<SqliteConnection, sqlx::Error> {
    options(file).pragma("cache_size", "-16000").connect().await
}

/// A connection to a file that nobody writes.
pub(super) async fn connect_read_only(file: &Path) -> Result<SqliteConnection, sqlx::Error> {
    let options = SqliteConnectOptions::new().filename(file).read_only(true).immutable(true);
    options.disable_statement_logging().connect().await
}

/// The connections that read.
pub(super) fn readers(file: &Path) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(READER_COUNT)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(Duration::from_secs(10))
        .connect_lazy_with(options(file).pragma("query_only", "true"))
}
