//! What the databases' errors mean.
//!
//! SQLite's messages name tables and columns, never values. PostgreSQL's may repeat a value, so only
//! those classes are quoted that speak of the server and of names.

use crate::error::StorageError;
use rusqlite::ffi::{
    SQLITE_CONSTRAINT_FOREIGNKEY, SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE,
};
use sqlx::error::{DatabaseError, ErrorKind};
use sqlx::postgres::PgDatabaseError;

impl From<sqlx::Error> for StorageError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(database) => from_database(&*database),
            sqlx::Error::RowNotFound => Self::NotFound("the row"),
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(error.to_string()),
            other => Self::Unexpected(other.to_string()),
        }
    }
}

impl From<rusqlite::Error> for StorageError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error().map(|error| error.extended_code) {
            Some(SQLITE_CONSTRAINT_UNIQUE | SQLITE_CONSTRAINT_PRIMARYKEY) => {
                Self::Conflict("a row with this key")
            }
            Some(SQLITE_CONSTRAINT_FOREIGNKEY) => Self::NotFound("the row it belongs to"),
            Some(code) => from_sqlite(code, error.to_string()),
            None => Self::Unexpected(error.to_string()),
        }
    }
}

fn from_database(error: &(dyn DatabaseError + 'static)) -> StorageError {
    match error.kind() {
        ErrorKind::UniqueViolation => return StorageError::Conflict("a row with this key"),
        ErrorKind::ForeignKeyViolation => return StorageError::NotFound("the row it belongs to"),
        _ => {}
    }
    if let Some(error) = error.try_downcast_ref::<PgDatabaseError>() {
        return from_postgres(error);
    }
    let code = error.code().and_then(|code| code.parse().ok()).unwrap_or_default();
    from_sqlite(code, error.to_string())
}

fn from_sqlite(code: i32, message: String) -> StorageError {
    // BUSY, LOCKED, NOMEM, READONLY, IOERR, FULL, CANTOPEN; the upper bits only refine.
    match code & 0xff {
        5 | 6 | 7 | 8 | 10 | 13 | 14 => StorageError::Unavailable(message),
        _ => StorageError::Unexpected(message),
    }
}

fn from_postgres(error: &PgDatabaseError) -> StorageError {
    let (code, message) = (error.code(), error.message());
    match (code, code.get(..2).unwrap_or_default()) {
        // Connection, refused sign-in, no such database, out of something, shut down or cancelled,
        // system error; a lock that was not had, a deadlock or a conflict that another attempt settles;
        // a standby.
        (_, "08" | "28" | "3D" | "53" | "57" | "58")
        | ("55P03" | "40P01" | "40001" | "25006" | "25P03", _) => {
            StorageError::Unavailable(format!("{message} ({code})"))
        }
        (_, "25" | "42" | "XX") => StorageError::Unexpected(format!("{message} ({code})")),
        _ => {
            let place = error.column().or(error.constraint()).or(error.table()).unwrap_or("?");
            StorageError::Unexpected(format!("SQLSTATE {code} at {place}"))
        }
    }
}
