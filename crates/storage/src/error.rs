//! What can go wrong with the store, small enough to act on.
//!
//! Messages name tables and rows, never their content.

use flowcore_domain::quota::OverQuota;
use flowcore_domain::session_store::SessionStoreError;
use std::path::PathBuf;

/// Why a call failed. Nothing of a failed call was stored.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StorageError {
    /// The database can't be reached, is locked or full. The same call may succeed later.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// It exists already.
    #[error("{0} exists already")]
    Conflict(&'static str),
    /// It is not there.
    #[error("{0} does not exist")]
    NotFound(&'static str),
    /// The user has as much as they may.
    #[error(transparent)]
    OverQuota(#[from] OverQuota),
    /// A row can't be read or opened; repeating does not help.
    #[error("a row of {table} is damaged: {row}")]
    Corrupt {
        /// Its table.
        table: &'static str,
        /// Its id.
        row: String,
    },
    /// Anything else; a bug of ours or a damaged database.
    #[error("the database failed: {0}")]
    Unexpected(String),
}

impl From<StorageError> for SessionStoreError {
    fn from(error: StorageError) -> Self {
        match error {
            // The only parent of a session's row is its instance.
            StorageError::NotFound(_) => Self::Fenced,
            StorageError::Corrupt { .. } => Self::Damaged(error.to_string()),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

/// Why the store could not be opened. Nothing was changed, each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data directory can't be made or used.
    #[error("the data directory {path} can't be used: {source}")]
    DataDirectory {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The master key file can't be read or written.
    #[error("the master key file {path} can't be used: {source}")]
    KeyFile {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Others than the owner can read the key.
    #[error(
        "the master key file {path} can be read by other users of this machine; run `chmod 600` on it"
    )]
    KeyFileExposed {
        /// Where.
        path: PathBuf,
    },
    /// What is in the key file is no key.
    #[error("the master key file {path} does not hold a key (base64 of 32 bytes); restore it")]
    KeyFileDamaged {
        /// Where.
        path: PathBuf,
    },
    /// There is sealed data and no key for it.
    #[error(
        "this database is sealed and its master key is missing: restore {path}, or set \
         FLOWCORE_MASTER_KEY to the key it was made with"
    )]
    KeyMissing {
        /// Where the key was looked for.
        path: PathBuf,
    },
    /// The key is not the one that the data was sealed with.
    #[error(
        "the master key does not fit this database; start with the key it was made with (nothing was \
         changed)"
    )]
    WrongKey,
    /// Another server runs on it.
    #[error("{what} is used by another Flowcore that is running; stop that one first")]
    InUse {
        /// What both want.
        what: String,
    },
    /// The URL of the database is not one that is understood.
    #[error(
        "the database URL can't be read: it is postgres://user:password@host:port/database, or sqlite"
    )]
    DatabaseUrl,
    /// Connections do not keep their session.
    #[error(
        "the database is behind a transaction pooler, which mixes up connections; use the address of the \
         session pooler or of the database itself (Supabase: port 5432 in place of 6543)"
    )]
    TransactionPooler,
    /// A schema needs a plain name.
    #[error(
        "{name:?} can't be the name of a schema: it has 1 to 63 small letters, digits and underscores"
    )]
    Schema {
        /// What was given.
        name: String,
    },
    /// The server is too old, or can't hold every text.
    #[error("this PostgreSQL can't be used: {why}")]
    Server {
        /// What is wrong.
        why: String,
    },
    /// Real numbers never meet a simulated network.
    #[error(
        "this data directory belongs to {found}, not to {wanted}: a simulated network must not get real \
         numbers, nor the reverse; use another data directory"
    )]
    WrongMark {
        /// Whose it is.
        found: String,
        /// Who wanted to open it.
        wanted: &'static str,
    },
    /// A newer version of Flowcore wrote it.
    #[error(
        "this database has schema {found}, this version of Flowcore knows schemas up to {known}; start a \
         newer version"
    )]
    NewerSchema {
        /// The schema of the database.
        found: i64,
        /// The newest schema of this program.
        known: i64,
    },
    /// A migration failed; the database is as it was before.
    #[error("the database could not be migrated: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The database itself does not open.
    #[error("the database could not be opened: {0}")]
    Database(#[from] StorageError),
}

impl From<sqlx::Error> for OpenError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}
