//! Several statements in one trip to PostgreSQL.
//!
//! Each is a plain INSERT, UPDATE or DELETE with its own parameters from `$1`. SQLite runs them one after
//! the other, PostgreSQL as one statement with all of them as its parts; so none may count on seeing what
//! another of the batch did. Foreign keys are checked after all of them.

use super::{Connection, Query, query};
use crate::error::StorageError;
use sqlx::AssertSqlSafe;
use std::fmt::Write as _;

/// Statements that go together.
pub(crate) struct Batch(Vec<Query>);

impl Batch {
    pub(crate) fn new() -> Self {
        Self(Vec::with_capacity(4))
    }

    pub(crate) fn add(&mut self, statement: Query) {
        self.0.push(statement);
    }

    /// Runs them, to the first that fails; the job that they are part of undoes those before.
    pub(crate) async fn execute(self, connection: &mut Connection) -> Result<(), StorageError> {
        if let Connection::Sqlite(_) = connection {
            for statement in self.0 {
                statement.execute(&mut *connection).await?;
            }
            return Ok(());
        }
        let Some(whole) = self.into_one() else { return Ok(()) };
        whole.execute(connection).await?;
        Ok(())
    }

    /// All of them as one statement.
    fn into_one(self) -> Option<Query> {
        let mut text = String::with_capacity(2048);
        let mut values = Vec::with_capacity(48);
        let last = self.0.len().checked_sub(1)?;
        for (index, statement) in self.0.into_iter().enumerate() {
            let (before, after) = match index {
                _ if index == last => (" ", ""),
                0 => ("WITH s0 AS (", ")"),
                _ => (", s", ")"),
            };
            text.push_str(before);
            if before == ", s" {
                let _ = write!(text, "{index} AS (");
            }
            let (sql, bound) = statement.into_parts();
            renumber(&mut text, sql.as_str(), values.len());
            text.push_str(after);
            values.extend(bound);
        }
        Some(values.into_iter().fold(query(AssertSqlSafe(text)), Query::bind))
    }
}

/// Writes a statement with its parameters counted on from `used`.
fn renumber(text: &mut String, sql: &str, used: usize) {
    let mut parts = sql.split('$');
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = part.split_at(digits);
        let number = number.parse::<usize>().unwrap_or_default();
        let _ = write!(text, "${}{rest}", number + used);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_count_on() {
        let mut text = String::new();
        renumber(&mut text, "INSERT INTO a VALUES ($1, $2, $1)", 10);
        assert_eq!(text, "INSERT INTO a VALUES ($11, $12, $11)");
    }
}
