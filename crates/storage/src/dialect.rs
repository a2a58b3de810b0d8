//! What differs between SQLite and PostgreSQL, and nowhere else: connections, parameters, rows, error
//! codes, and the few statements that one of them says in its own way. Every other file says plain SQL
//! that both understand.

mod batch;
mod errors;
mod inline;
mod points;
mod postgres;
mod query;
mod sqlite;

pub(crate) use batch::Batch;
pub(crate) use inline::FromCell;
pub(crate) use points::Points;
pub(crate) use postgres::{PgTarget, instant, json_text, uuid_text};
pub(crate) use query::{Id, Instant, Json, Point, Query, Value, query};

use crate::error::{OpenError, StorageError};
use flowcore_domain::id::{InstanceId, UserId};
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgPool, PgRow};
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Connection as _, PgConnection};
use std::path::PathBuf;

/// Where a database is.
#[derive(Debug, Clone)]
pub(crate) enum Location {
    /// A file.
    Sqlite(PathBuf),
    /// A schema of a server.
    Postgres(Box<PgTarget>),
}

/// One connection. Calls to SQLite block; see `inline`.
#[derive(Debug)]
pub(crate) enum Connection {
    Sqlite(rusqlite::Connection),
    Postgres(PgConnection),
}

/// The connections for reading.
#[derive(Debug)]
pub(crate) enum Readers {
    Sqlite(SqlitePool, Box<Points>),
    Postgres(PgPool),
}

/// A row of an answer.
pub(crate) enum Row {
    Inline(inline::InlineRow),
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Location {
    /// A connection that may write.
    pub(crate) async fn connect(&self) -> Result<Connection, StorageError> {
        match self {
            Self::Sqlite(file) => Ok(Connection::Sqlite(sqlite::connect(file)?)),
            Self::Postgres(target) => Ok(Connection::Postgres(target.connect().await?)),
        }
    }

    /// A connection to a file that is not to be changed.
    pub(crate) async fn connect_read_only(&self) -> Result<Connection, StorageError> {
        match self {
            Self::Sqlite(file) => Ok(Connection::Sqlite(sqlite::connect_read_only(file)?)),
            Self::Postgres(_) => self.connect().await,
        }
    }

    /// Runs the migrations that are new, on a connection of their own: they are sqlx's.
    pub(crate) async fn migrate(&self, migrations: &Migrator) -> Result<(), OpenError> {
        match self {
            Self::Sqlite(file) => sqlite::migrate(file, migrations).await?,
            Self::Postgres(target) => {
                let mut connection = target.connect().await?;
                migrations.run(&mut connection).await?;
                connection.close().await?;
            }
        }
        Ok(())
    }

    /// The connections that read. They are made when needed.
    pub(crate) fn readers(&self) -> Readers {
        match self {
            Self::Sqlite(file) => {
                Readers::Sqlite(sqlite::readers(file), Box::new(Points::new(file)))
            }
            Self::Postgres(target) => Readers::Postgres(target.readers()),
        }
    }

    /// How many connections write at the same time. SQLite knows one writer only.
    pub(crate) fn writers(&self) -> usize {
        match self {
            Self::Sqlite(_) => 1,
            Self::Postgres(_) => postgres::WRITER_COUNT,
        }
    }
}

impl Connection {
    /// The text for this database.
    pub(crate) fn pick<T>(&self, sqlite: T, postgres: T) -> T {
        match self {
            Self::Sqlite(_) => sqlite,
            Self::Postgres(_) => postgres,
        }
    }

    /// Says goodbye to the server; errors no longer matter.
    pub(crate) async fn close(self) {
        match self {
            Self::Sqlite(connection) => drop(connection.close()),
            Self::Postgres(connection) => drop(connection.close().await),
        }
    }
}

impl Readers {
    /// Closes all of them.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(pool, points) => {
                points.close();
                pool.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

/// Whether a table exists.
pub(crate) const TABLE_EXISTS: [&str; 2] = [
    "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = $1",
    "SELECT COUNT(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename = $1",
];

/// Takes `$2` numbers for the events of an instance; returns the last, and the enabled webhooks with the
/// kinds of events that each wants: those of the instance, of its owner, and of admins. On PostgreSQL this holds the row of the instance until the commit, so
/// its numbers are in the order of commits, tells [`EVENTS_SETTLED`] that events are on their way, and keeps
/// the pauses of these webhooks from ending before the commit: what is parked now would not be seen then.
pub(crate) const TAKE_EVENT_NUMBERS: [&str; 2] = [
    "UPDATE whatsapp_instances SET event_seq = event_seq + $2 \
     WHERE id = $1 AND retired_at IS NULL RETURNING event_seq, \
     (SELECT string_agg(webhook_endpoints.id || ' ' || events, '|') FROM webhook_endpoints \
     WHERE enabled AND (instance_id = $1 OR (user_id > '' AND (user_id = \
     (SELECT owned.user_id FROM whatsapp_instances owned WHERE owned.id = $1) \
     OR (SELECT role FROM profiles WHERE id = user_id) = 'admin')))) AS targets",
    "UPDATE whatsapp_instances SET event_seq = event_seq + $2 \
     WHERE id = $1 AND retired_at IS NULL RETURNING event_seq, \
     (SELECT string_agg(webhook_endpoints.id || ' ' || events, '|') FROM webhook_endpoints \
     WHERE enabled AND (instance_id = $1 OR (user_id IS NOT NULL AND (user_id = \
     (SELECT owned.user_id FROM whatsapp_instances owned WHERE owned.id = $1) \
     OR (SELECT role FROM profiles WHERE id = user_id) = 'admin')))) AS targets, \
     (SELECT COUNT(*) FROM (SELECT 1 FROM webhook_endpoints \
     WHERE enabled AND paused_until IS NOT NULL AND (instance_id = $1 OR (user_id IS NOT NULL \
     AND (user_id = (SELECT owned.user_id FROM whatsapp_instances owned WHERE owned.id = $1) \
     OR (SELECT role FROM profiles WHERE id = user_id) = 'admin'))) FOR SHARE) held) AS held, \
     pg_advisory_xact_lock_shared(hashtext('flowcore events'), hashtext(current_schema()))",
];

/// Waits until no transaction has events on their way, and keeps others from starting until the end of
/// this one: positions read now have no gap that is filled later.
pub(crate) const EVENTS_SETTLED: &str =
    "SELECT pg_advisory_xact_lock(hashtext('flowcore events'), hashtext(current_schema()))";

/// Makes jobs about one instance wait for each other. SQLite's jobs always do.
pub(crate) async fn lock_instance(
    connection: &mut Connection,
    instance: InstanceId,
) -> Result<(), StorageError> {
    if matches!(connection, Connection::Postgres(_)) {
        query("SELECT 1 FROM whatsapp_instances WHERE id = $1 FOR NO KEY UPDATE")
            .bind(instance)
            .execute(connection)
            .await?;
    }
    Ok(())
}

/// Makes jobs about all instances of a user wait for each other. SQLite's jobs always do.
pub(crate) async fn lock_user(
    connection: &mut Connection,
    user: UserId,
) -> Result<(), StorageError> {
    if matches!(connection, Connection::Postgres(_)) {
        query("SELECT 1 FROM profiles WHERE id = $1 FOR NO KEY UPDATE")
            .bind(user)
            .execute(connection)
            .await?;
    }
    Ok(())
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
