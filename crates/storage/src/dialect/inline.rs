//! SQLite on the thread that asks.
//!
//! sqlx runs SQLite's statements on a thread of their own: each is a message there and one back, two changes of
//! thread that cost several times what a statement does. The writer has a thread for itself anyway, so its
//! statements run right there. A call blocks: it is for that thread, for the start, for the command line, and
//! for what finds a row or a few by their key ([`super::points`]).

use super::query::{Query, Value};
use crate::error::StorageError;
use rusqlite::types::{Value as Cell, ValueRef};
use rusqlite::{CachedStatement, Connection, Row};
use std::sync::Arc;

/// A row that was read, with the names of its columns.
pub(crate) struct InlineRow {
    names: Arc<[String]>,
    cells: Vec<Cell>,
}

impl InlineRow {
    /// The value of a column; of the last one where several have the name.
    pub(crate) fn cell(&self, column: &str) -> Option<&Cell> {
        let index = self.names.iter().rposition(|name| name == column)?;
        self.cells.get(index)
    }

    /// The value of the first column.
    pub(crate) fn first(&self) -> Option<&Cell> {
        self.cells.first()
    }
}

/// A type that a cell can be read as; nothing is converted.
pub(crate) trait FromCell<'r>: Sized {
    fn from_cell(cell: &'r Cell) -> Option<Self>;
}

impl<'r> FromCell<'r> for i64 {
    fn from_cell(cell: &'r Cell) -> Option<Self> {
        if let Cell::Integer(number) = cell { Some(*number) } else { None }
    }
}

impl<'r> FromCell<'r> for bool {
    fn from_cell(cell: &'r Cell) -> Option<Self> {
        i64::from_cell(cell).map(|number| number != 0)
    }
}

impl<'r> FromCell<'r> for &'r str {
    fn from_cell(cell: &'r Cell) -> Option<Self> {
        if let Cell::Text(text) = cell { Some(text) } else { None }
    }
}

impl<'r> FromCell<'r> for &'r [u8] {
    fn from_cell(cell: &'r Cell) -> Option<Self> {
        match cell {
            Cell::Blob(bytes) => Some(bytes),
            Cell::Text(text) => Some(text.as_bytes()),
            _ => None,
        }
    }
}

impl<'r> FromCell<'r> for String {
    fn from_cell(cell: &'r Cell) -> Option<Self> {
        <&str>::from_cell(cell).map(str::to_owned)
    }
}

impl<'r> FromCell<'r> for Vec<u8> {
    fn from_cell(cell: &'r Cell) -> Option<Self> {
        <&[u8]>::from_cell(cell).map(<[u8]>::to_vec)
    }
}

impl<'r, T: FromCell<'r>> FromCell<'r> for Option<T> {
    fn from_cell(cell: &'r Cell) -> Option<Self> {
        if *cell == Cell::Null { Some(None) } else { T::from_cell(cell).map(Some) }
    }
}

/// Runs a statement to its end; returns how many rows it changed.
pub(super) fn execute(connection: &Connection, query: &Query) -> Result<u64, StorageError> {
    let mut statement = prepare(connection, query)?;
    let mut rows = statement.raw_query();
    while rows.next()?.is_some() {}
    Ok(connection.changes())
}

/// All rows of a statement.
pub(super) fn fetch_all(
    connection: &Connection,
    query: &Query,
) -> Result<Vec<InlineRow>, StorageError> {
    fetch(connection, query, usize::MAX)
}

/// The first row of a statement.
pub(super) fn fetch_optional(
    connection: &Connection,
    query: &Query,
) -> Result<Option<InlineRow>, StorageError> {
    Ok(fetch(connection, query, 1)?.pop())
}

fn fetch(
    connection: &Connection,
    query: &Query,
    most: usize,
) -> Result<Vec<InlineRow>, StorageError> {
    let mut statement = prepare(connection, query)?;
    let names: Arc<[String]> = statement.column_names().into_iter().map(str::to_owned).collect();
    let (mut rows, mut found) = (statement.raw_query(), Vec::new());
    while found.len() < most
        && let Some(row) = rows.next()?
    {
        found.push(InlineRow { names: Arc::clone(&names), cells: cells(row, names.len())? });
    }
    Ok(found)
}

fn cells(row: &Row<'_>, count: usize) -> Result<Vec<Cell>, StorageError> {
    let cell = |index| Ok(row.get::<_, Cell>(index)?);
    (0..count).map(cell).collect()
}

/// The statement with its parameters. SQLite takes `$1` for a name and numbers names as it meets them.
fn prepare<'c>(
    connection: &'c Connection,
    query: &Query,
) -> Result<CachedStatement<'c>, StorageError> {
    let mut statement = connection.prepare_cached(query.sql())?;
    for index in 1..=statement.parameter_count() {
        let name = statement.parameter_name(index).unwrap_or_default();
        let number = name.strip_prefix('$').and_then(|number| number.parse::<usize>().ok());
        let value = number.and_then(|number| query.values().get(number.checked_sub(1)?));
        let value = value.ok_or_else(|| {
            StorageError::Unexpected(format!("a statement has no value for {name:?}"))
        })?;
        bind(&mut statement, index, value)?;
    }
    Ok(statement)
}

fn bind(
    statement: &mut CachedStatement<'_>,
    index: usize,
    value: &Value,
) -> Result<(), StorageError> {
    let (number, text);
    let value = match value {
        Value::Text(text) | Value::Json(text) => {
            text.as_ref().map(|it| ValueRef::Text(it.as_bytes()))
        }
        Value::Bytes(bytes) => bytes.as_deref().map(ValueRef::Blob),
        Value::Number(number) => number.map(ValueRef::Integer),
        Value::Flag(flag) => flag.map(|flag| ValueRef::Integer(flag.into())),
        Value::Instant(instant) => {
            number = instant.map(|instant| instant.0);
            number.map(ValueRef::Integer)
        }
        Value::Id(id) => {
            text = id.map(|id| id.to_string());
            text.as_ref().map(|it| ValueRef::Text(it.as_bytes()))
        }
    };
    statement.raw_bind_parameter(index, Bound(value.unwrap_or(ValueRef::Null)))?;
    Ok(())
}

/// A parameter that is not copied before SQLite copies it.
struct Bound<'v>(ValueRef<'v>);

impl rusqlite::ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        Ok(rusqlite::types::ToSqlOutput::Borrowed(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::query;

    fn first<T: for<'r> FromCell<'r>>(query: &Query) -> Option<T> {
        let connection = Connection::open_in_memory().expect("opens");
        let row = fetch_optional(&connection, query).expect("runs").expect("a row");
        T::from_cell(row.first().expect("a column"))
    }

    #[test]
    fn parameters_are_counted_by_their_numbers_and_not_by_their_places() {
        let backwards = query("SELECT $2 || '-' || $1 || '-' || $2").bind("one").bind("two");
        assert_eq!(first::<String>(&backwards).as_deref(), Some("two-one-two"));
    }

    #[test]
    fn a_parameter_without_a_value_is_refused() {
        let connection = Connection::open_in_memory().expect("opens");
        let refused = execute(&connection, &query("SELECT $1, $2").bind("one"));
        assert!(matches!(refused, Err(StorageError::Unexpected(_))), "{refused:?}");
    }

    #[test]
    fn nothing_is_taken_for_what_it_is_not() {
        assert_eq!(first::<i64>(&query("SELECT '7'")), None);
        assert_eq!(first::<i64>(&query("SELECT NULL")), None);
        assert_eq!(first::<Option<i64>>(&query("SELECT NULL")), Some(None));
        assert_eq!(first::<String>(&query("SELECT 7")), None);
        assert_eq!(first::<bool>(&query("SELECT $1").bind(true)), Some(true));
        assert_eq!(first::<Vec<u8>>(&query("SELECT $1").bind(vec![1_u8, 2])), Some(vec![1, 2]));
    }

    #[test]
    fn of_two_columns_of_a_name_the_last_is_meant() {
        let connection = Connection::open_in_memory().expect("opens");
        let row = fetch_optional(&connection, &query("SELECT 1 AS a, 2 AS b, 3 AS a"));
        let row = row.expect("runs").expect("a row");
        assert_eq!(row.cell("a"), Some(&Cell::Integer(3)));
        assert_eq!(row.cell("c"), None);
    }
}
