//! Reading rows: typed columns, and a damaged one is an error that names the row, not its content.

use crate::dialect::Row;
use crate::error::StorageError;
use serde::de::DeserializeOwned;
use sqlx::{ColumnIndex, Decode, Row as _, Sqlite, Type};
use std::str::FromStr;

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
        let row = self.row.try_get::<String, _>("id").unwrap_or_else(|_| "(no id)".to_owned());
        StorageError::Corrupt { table: self.table, row }
    }

    /// A column of a plain type.
    pub(crate) fn get<T>(&self, column: &str) -> Result<T, StorageError>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite>,
        for<'a> &'a str: ColumnIndex<Row>,
    {
        self.row.try_get(column).map_err(|_| self.corrupt())
    }

    /// A column whose text is one of our types.
    pub(crate) fn parsed<T: FromStr>(&self, column: &str) -> Result<T, StorageError> {
        self.get::<&str>(column)?.parse().map_err(|_| self.corrupt())
    }

    /// Such a column, where it may be null.
    pub(crate) fn parsed_option<T: FromStr>(
        &self,
        column: &str,
    ) -> Result<Option<T>, StorageError> {
        let text = self.get::<Option<&str>>(column)?;
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
        serde_json::from_str(self.get::<&str>(column)?).map_err(|_| self.corrupt())
    }

    /// A column of JSON that may be null.
    pub(crate) fn json_option<T: DeserializeOwned>(
        &self,
        column: &str,
    ) -> Result<Option<T>, StorageError> {
        let text = self.get::<Option<&str>>(column)?;
        text.map(|text| serde_json::from_str(text).map_err(|_| self.corrupt())).transpose()
    }
}

/// JSON as it is stored.
pub(crate) fn json_text<T: serde::Serialize>(value: &T) -> Result<String, StorageError> {
    serde_json::to_string(value).map_err(|error| StorageError::Unexpected(error.to_string()))
}
