//! A statement with its parameters, run on either database.

use super::postgres::{PgInstant, PgJson, PgUuid};
use super::{Connection, Readers, Row, inline};
use crate::error::StorageError;
use crate::row::{Column, Record};
use flowcore_domain::clock::Millis;
use flowcore_domain::id::{ConversationId, EscalationId, InstanceId, SaidId, UserId};
use flowcore_domain::webhook::Scope;
use sqlx::postgres::{PgArguments, Postgres};
use sqlx::sqlite::{Sqlite, SqliteArguments};
use sqlx::{SqlSafeStr, SqlStr};
use uuid::Uuid;

/// A parameter. `Id`, `Instant` and `Json` are for the columns that have PostgreSQL's own types: text and
/// milliseconds in SQLite, `uuid`, `timestamptz` and `jsonb` there.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Text(Option<String>),
    Number(Option<i64>),
    Flag(Option<bool>),
    Bytes(Option<Vec<u8>>),
    Id(Option<Uuid>),
    Instant(Option<Millis>),
    Json(Option<String>),
}

/// A time for a `timestamptz` column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Instant(pub(crate) Millis);

/// An id for a `uuid` column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Id(pub(crate) Uuid);

/// A text for a `jsonb` column.
#[derive(Debug, Clone)]
pub(crate) struct Json(pub(crate) String);

macro_rules! values {
    ($($type:ty => $variant:ident, $value:ident => $convert:expr;)*) => {$(
        impl From<$type> for Value {
            fn from($value: $type) -> Self {
                Self::$variant(Some($convert))
            }
        }

        impl From<Option<$type>> for Value {
            fn from($value: Option<$type>) -> Self {
                Self::$variant($value.map(|$value| $convert))
            }
        }
    )*};
}

values! {
    String => Text, text => text;
    &str => Text, text => text.to_owned();
    &String => Text, text => text.clone();
    i64 => Number, number => number;
    bool => Flag, flag => flag;
    Vec<u8> => Bytes, bytes => bytes;
    &[u8] => Bytes, bytes => bytes.to_vec();
    InstanceId => Id, id => id.0;
    UserId => Id, id => id.0;
    Scope => Id, scope => match scope {
        Scope::Instance(id) => id.0,
        Scope::User(id) => id.0,
    };
    Instant => Instant, instant => instant.0;
    Json => Json, json => json.0;
    Id => Id, id => id.0;
    ConversationId => Id, id => id.0;
    EscalationId => Id, id => id.0;
    SaidId => Id, id => id.0;
}

/// Where a statement runs: in a job of the writer, or on a connection for reading.
pub(crate) enum Target<'c> {
    Connection(&'c mut Connection),
    Readers(&'c Readers),
    Point(&'c Readers),
}

/// Where a statement runs that finds a row or a few by their key: on SQLite without the way to another thread.
#[derive(Clone, Copy)]
pub(crate) struct Point<'c>(pub(crate) &'c Readers);

impl<'c> From<Point<'c>> for Target<'c> {
    fn from(Point(readers): Point<'c>) -> Self {
        Self::Point(readers)
    }
}

impl<'c> From<&'c mut Connection> for Target<'c> {
    fn from(connection: &'c mut Connection) -> Self {
        Self::Connection(connection)
    }
}

impl<'c> From<&'c Readers> for Target<'c> {
    fn from(readers: &'c Readers) -> Self {
        Self::Readers(readers)
    }
}

/// A statement with its parameters.
pub(crate) struct Query {
    sql: SqlStr,
    values: Vec<Value>,
}

/// A statement.
pub(crate) fn query(sql: impl SqlSafeStr) -> Query {
    Query { sql: sql.into_sql_str(), values: Vec::new() }
}

/// Runs the same method on whatever the target is.
macro_rules! run {
    ($query:expr, $target:expr, $method:ident) => {
        match $target.into() {
            Target::Connection(Connection::Sqlite(connection)) => {
                Answer::Inline(inline::$method(connection, &$query)?)
            }
            Target::Connection(Connection::Postgres(connection)) => {
                Answer::Postgres($query.postgres().$method(connection).await?)
            }
            Target::Point(Readers::Sqlite(_, points)) => {
                Answer::Inline(points.read(|connection| inline::$method(connection, &$query))?)
            }
            Target::Readers(Readers::Sqlite(pool, _)) => {
                Answer::Sqlite($query.sqlite().$method(pool).await?)
            }
            Target::Readers(Readers::Postgres(pool)) | Target::Point(Readers::Postgres(pool)) => {
                Answer::Postgres($query.postgres().$method(pool).await?)
            }
        }
    };
}

/// Whose answer it is.
enum Answer<I, S, P> {
    Inline(I),
    Sqlite(S),
    Postgres(P),
}

impl Query {
    /// Adds a parameter.
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Its text.
    pub(super) fn sql(&self) -> &str {
        self.sql.as_str()
    }

    /// Its parameters, `$1` first.
    pub(super) fn values(&self) -> &[Value] {
        &self.values
    }

    /// Its text and its parameters.
    pub(super) fn into_parts(self) -> (SqlStr, Vec<Value>) {
        (self.sql, self.values)
    }

    /// Runs it; returns how many rows it changed.
    pub(crate) async fn execute(self, target: impl Into<Target<'_>>) -> Result<u64, StorageError> {
        Ok(match run!(self, target, execute) {
            Answer::Inline(changed) => changed,
            Answer::Sqlite(done) => done.rows_affected(),
            Answer::Postgres(done) => done.rows_affected(),
        })
    }

    /// All rows.
    pub(crate) async fn fetch_all(
        self,
        target: impl Into<Target<'_>>,
    ) -> Result<Vec<Row>, StorageError> {
        Ok(match run!(self, target, fetch_all) {
            Answer::Inline(rows) => rows.into_iter().map(Row::Inline).collect(),
            Answer::Sqlite(rows) => rows.into_iter().map(Row::Sqlite).collect(),
            Answer::Postgres(rows) => rows.into_iter().map(Row::Postgres).collect(),
        })
    }

    /// The first row, if there is one.
    pub(crate) async fn fetch_optional(
        self,
        target: impl Into<Target<'_>>,
    ) -> Result<Option<Row>, StorageError> {
        Ok(match run!(self, target, fetch_optional) {
            Answer::Inline(row) => row.map(Row::Inline),
            Answer::Sqlite(row) => row.map(Row::Sqlite),
            Answer::Postgres(row) => row.map(Row::Postgres),
        })
    }

    /// The first row.
    pub(crate) async fn fetch_one(
        self,
        target: impl Into<Target<'_>>,
    ) -> Result<Row, StorageError> {
        self.fetch_optional(target).await?.ok_or(StorageError::NotFound("the row"))
    }

    /// The first column of the first row, if there is one.
    pub(crate) async fn scalar<T>(
        self,
        target: impl Into<Target<'_>>,
    ) -> Result<Option<T>, StorageError>
    where
        T: for<'r> Column<'r>,
    {
        let row = self.fetch_optional(target).await?;
        row.map(|row| Record::new("the answer", &row).first()).transpose()
    }

    fn sqlite(self) -> sqlx::query::Query<'static, Sqlite, SqliteArguments> {
        self.values.into_iter().fold(sqlx::query(self.sql), |query, value| match value {
            Value::Text(text) => query.bind(text),
            Value::Number(number) => query.bind(number),
            Value::Flag(flag) => query.bind(flag),
            Value::Bytes(bytes) => query.bind(bytes),
            Value::Id(id) => query.bind(id.map(|id| id.to_string())),
            Value::Instant(instant) => query.bind(instant.map(|instant| instant.0)),
            Value::Json(json) => query.bind(json),
        })
    }

    fn postgres(self) -> sqlx::query::Query<'static, Postgres, PgArguments> {
        self.values.into_iter().fold(sqlx::query(self.sql), |query, value| match value {
            Value::Text(text) => query.bind(text.map(without_nul)),
            Value::Number(number) => query.bind(number),
            Value::Flag(flag) => query.bind(flag),
            Value::Bytes(bytes) => query.bind(bytes),
            Value::Id(id) => query.bind(id.map(PgUuid)),
            Value::Instant(instant) => query.bind(instant.map(PgInstant)),
            Value::Json(json) => query.bind(json.map(PgJson)),
        })
    }
}

/// PostgreSQL takes every text but those with a NUL; a message with one must not be refused for ever.
fn without_nul(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{FFFD}") } else { text }
}
