//! Reading rows: typed columns, and a damaged one is an error that names the row, not its content.

use crate::dialect::{self, FromCell, Row};
use crate::error::StorageError;
use flowcore_domain::clock::Millis;
use serde::de::DeserializeOwned;
use sqlx::postgres::Postgres;
use sqlx::sqlite::Sqlite;
use sqlx::{Decode, Row as _, Type, ValueRef as _};
use std::borrow::Cow;
use std::str::FromStr;

/// A type that a column of either database can be.
pub(crate) trait Column<'r>:
    FromCell<'r> + Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, Postgres> + Type<Postgres>
{
}

impl<'r, T> Column<'r> for T where
    T: FromCell<'r> + Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, Postgres> + Type<Postgres>
{
}

/// A row of a known table.
pub(crate) struct Record<'r> {
    row: &'r Row,
    table: &'static str,
}

impl<'r> Record<'r> {
    pub(crate) fn new(table: &'static str, row: &'r Row) -> Self {
        Self { row, table }
    }

    /// This row as damaged.
    pub(crate) fn corrupt(&self) -> StorageError {
        let id = self.text("id").ok().flatten();
        let row = id.map_or_else(|| "(no id)".to_owned(), Cow::into_owned);
        StorageError::Corrupt { table: self.table, row }
    }

    /// A column of a plain type.
    pub(crate) fn get<T: Column<'r>>(&self, column: &str) -> Result<T, StorageError> {
        let value = match self.row {
            Row::Inline(row) => row.cell(column).and_then(T::from_cell),
            Row::Sqlite(row) => row.try_get(column).ok(),
            Row::Postgres(row) => row.try_get(column).ok(),
        };
        value.ok_or_else(|| self.corrupt())
    }

    /// The first column, for statements that ask for one value.
    pub(crate) fn first<T: Column<'r>>(&self) -> Result<T, StorageError> {
        let value = match self.row {
            Row::Inline(row) => row.first().and_then(T::from_cell),
            Row::Sqlite(row) => row.try_get(0).ok(),
            Row::Postgres(row) => row.try_get(0).ok(),
        };
        value.ok_or_else(|| self.corrupt())
    }

    /// A time.
    pub(crate) fn millis(&self, column: &str) -> Result<Millis, StorageError> {
        self.millis_option(column)?.ok_or_else(|| self.corrupt())
    }

    /// A time that may be null.
    pub(crate) fn millis_option(&self, column: &str) -> Result<Option<Millis>, StorageError> {
        if let Row::Postgres(row) = self.row
            && let Ok(value) = row.try_get_raw(column)
            && let Some(instant) = (!value.is_null()).then(|| dialect::instant(&value)).flatten()
        {
            return Ok(Some(Millis(instant)));
        }
        self.null_or(column, |record| Ok(Millis(record.get::<i64>(column)?)))
    }

    /// A column whose text is one of our types.
    pub(crate) fn parsed<T: FromStr>(&self, column: &str) -> Result<T, StorageError> {
        self.parsed_option(column)?.ok_or_else(|| self.corrupt())
    }

    /// Such a column, where it may be null.
    pub(crate) fn parsed_option<T: FromStr>(
        &self,
        column: &str,
    ) -> Result<Option<T>, StorageError> {
        let text = self.text(column).map_err(|()| self.corrupt())?;
        text.map(|text| text.parse().map_err(|_| self.corrupt())).transpose()
    }

    /// A column whose text is one of our words.
    pub(crate) fn word<T>(
        &self,
        column: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, StorageError> {
        read(self.get::<&str>(column)?).ok_or_else(|| self.corrupt())
    }

    /// A column of JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T, StorageError> {
        self.json_option(column)?.ok_or_else(|| self.corrupt())
    }

    /// A column of JSON that may be null.
    pub(crate) fn json_option<T: DeserializeOwned>(
        &self,
        column: &str,
    ) -> Result<Option<T>, StorageError> {
        let text = self.text(column).map_err(|()| self.corrupt())?;
        text.map(|text| serde_json::from_str(&text).map_err(|_| self.corrupt())).transpose()
    }

    fn text(&self, column: &str) -> Result<Option<Cow<'r, str>>, ()> {
        let text: Option<&'r str> = match self.row {
            Row::Inline(row) => row.cell(column).and_then(Option::from_cell).ok_or(())?,
            Row::Sqlite(row) => row.try_get(column).map_err(drop)?,
            Row::Postgres(row) => {
                let value = row.try_get_raw(column).map_err(drop)?;
                if let Some(id) = (!value.is_null()).then(|| dialect::uuid_text(&value)).flatten() {
                    return Ok(Some(Cow::Owned(id)));
                }
                if let Some(json) = (!value.is_null()).then(|| dialect::json_text(&value)).flatten()
                {
                    return Ok(Some(Cow::Owned(json)));
                }
                // A null of type `uuid` or `jsonb` does not decode as text.
                if value.is_null() { None } else { row.try_get(column).map_err(drop)? }
            }
        };
        Ok(text.map(Cow::Borrowed))
    }

    fn null_or<T>(
        &self,
        column: &str,
        read: impl FnOnce(&Self) -> Result<T, StorageError>,
    ) -> Result<Option<T>, StorageError> {
        let null = match self.row {
            Row::Inline(row) => row.cell(column).map(|cell| *cell == rusqlite::types::Value::Null),
            Row::Sqlite(row) => row.try_get_raw(column).ok().map(|value| value.is_null()),
            Row::Postgres(row) => row.try_get_raw(column).ok().map(|value| value.is_null()),
        };
        let null = null.ok_or_else(|| self.corrupt())?;
        if null { Ok(None) } else { read(self).map(Some) }
    }
}

/// JSON as it is stored.
pub(crate) fn json_text<T: serde::Serialize>(value: &T) -> Result<String, StorageError> {
    serde_json::to_string(value).map_err(|error| StorageError::Unexpected(error.to_string()))
}
