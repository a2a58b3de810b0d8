//! How SQLite is opened.

use crate::error::{OpenError, StorageError};
use rusqlite::{Connection, OpenFlags};
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use sqlx::{ConnectOptions as _, Connection as _};
use std::path::Path;
use std::time::Duration;

/// Reads run beside the writer; more connections than this only cost threads.
const READER_COUNT: u32 = 4;
/// Statements that a connection keeps prepared.
const STATEMENTS: usize = 256;
/// How long another process may hold the file.
const PATIENCE: Duration = Duration::from_secs(5);

/// How every connection is set up. What was acknowledged to WhatsApp must survive a power cut, so every commit is
/// synced; the groups of the writer make that affordable. Pages that change again and again reach the main file
/// once for many changes: 16 MB of log, four times the default. Reading it back after a crash takes some tens of
/// milliseconds.
const SETTINGS: [(&str, &str); 6] = [
    ("journal_mode", "WAL"),
    ("synchronous", "FULL"),
    ("foreign_keys", "ON"),
    ("wal_autocheckpoint", "4000"),
    ("temp_store", "MEMORY"),
    ("journal_size_limit", "67108864"),
];

/// A connection that writes, in a file that is there.
pub(super) fn connect(file: &Path) -> Result<Connection, StorageError> {
    let connection = open(file)?;
    connection.pragma_update(None, "cache_size", -16_000)?;
    Ok(connection)
}

/// A connection that reads single rows.
pub(super) fn connect_for_points(file: &Path) -> Result<Connection, StorageError> {
    let connection = open(file)?;
    connection.pragma_update(None, "query_only", "ON")?;
    Ok(connection)
}

fn open(file: &Path) -> Result<Connection, StorageError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(PATIENCE)?;
    for (name, value) in SETTINGS {
        connection.pragma_update(None, name, value)?;
    }
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// A connection to a file that nobody writes.
pub(super) fn connect_read_only(file: &Path) -> Result<Connection, StorageError> {
    let unusable = || StorageError::Unavailable("this is no path of a file".to_owned());
    let file = std::path::absolute(file).map_err(|_| unusable())?;
    let mut uri = url::Url::from_file_path(file).map_err(|()| unusable())?;
    uri.set_query(Some("immutable=1"));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    Ok(Connection::open_with_flags(uri.as_str(), flags)?)
}

/// Runs the migrations that are new.
pub(super) async fn migrate(file: &Path, migrations: &Migrator) -> Result<(), OpenError> {
    let mut connection = options(file).connect().await?;
    migrations.run(&mut connection).await?;
    connection.close().await?;
    Ok(())
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

fn options(file: &Path) -> SqliteConnectOptions {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .busy_timeout(PATIENCE)
        .statement_cache_capacity(STATEMENTS)
        .disable_statement_logging();
    SETTINGS.into_iter().fold(options, |options, (name, value)| options.pragma(name, value))
}
