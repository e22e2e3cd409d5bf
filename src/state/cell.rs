//! Values of rows, checked as they are read.
//!
//! The file may come from anybody: a folder out of a cache, out of a mail. What is not as this
//! program writes it is told with the row that it is in, and nothing is done with it.

use std::fmt;

use rusqlite::Row;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, Type, ValueRef};

use crate::core::digest::Digest;
use crate::core::name::{FileName, StepName};
use crate::core::task::TaskId;

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// A task does not come after the one that it comes from, as all do.
    #[error("it comes from task #{0}, which is not older: the rows go in a circle")]
    Circle(TaskId),
    /// The name of a runset cannot be the value of a variable.
    #[error("there is a NUL in its name")]
    Variable,
    /// A task is of a step version that is not recorded.
    #[error("it is of step version {0}, which is not there")]
    NoStep(i64),
}

impl Wrong {
    /// As the failure of a question.
    pub fn into_error(self) -> rusqlite::Error {
        rusqlite::Error::FromSqlConversionFailure(0, Type::Null, Box::new(self))
    }
}

/// A failure with the row that it is about.
#[derive(Debug)]
struct Located {
    table: &'static str,
    row: Option<i64>,
    reason: String,
}

impl fmt::Display for Located {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.row {
            Some(row) => write!(f, "{} #{row}: {}", self.table, self.reason),
            None => write!(f, "a {} has no number: {}", self.table, self.reason),
        }
    }
}

impl std::error::Error for Located {}

/// Reads a row of `table`, whose number is in the first column. What is wrong is told with it.
pub fn located<T>(
    table: &'static str,
    row: &Row,
    read: impl FnOnce(&Row) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    read(row).map_err(|error| match reason(&error, Some(row)) {
        None => error,
        Some(reason) => {
            let located = Located {
                table,
                row: row.get(0).ok(),
                reason,
            };
            rusqlite::Error::FromSqlConversionFailure(0, Type::Null, Box::new(located))
        }
    })
}

/// What is wrong with a value, if the failure is about one.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "of the failures of SQLite those about values are meant"
)]
pub fn reason(error: &rusqlite::Error, row: Option<&Row>) -> Option<String> {
    use rusqlite::Error;
    let name = |column: usize| {
        let name = row.and_then(|row| row.as_ref().column_name(column).ok());
        name.map_or_else(|| format!("column {column}"), str::to_owned)
    };
    match error {
        Error::FromSqlConversionFailure(column, _, source) => {
            // Those that speak for themselves.
            if source.is::<Located>() || source.is::<Wrong>() {
                return Some(source.to_string());
            }
            Some(format!("{}: {source}", name(*column)))
        }
        Error::InvalidColumnType(_, name, kind) => {
            Some(format!("{name}: {} stands there", of_kind(*kind)))
        }
        Error::IntegralValueOutOfRange(column, number) => {
            Some(format!("{}: {number} is out of range", name(*column)))
        }
        Error::Utf8Error(column, _) => Some(format!("{}: it is no UTF-8", name(*column))),
        _ => None,
    }
}

fn of_kind(kind: Type) -> &'static str {
    match kind {
        Type::Null => "nothing",
        Type::Integer | Type::Real => "a number",
        Type::Text => "text",
        Type::Blob => "bytes",
    }
}

impl FromSql for FileName {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Self::new(value.as_str()?).map_err(FromSqlError::other)
    }
}

/// The name under which a task left the object, if it is recorded: the first implementation
/// did not.
pub fn file_name(row: &Row, column: usize) -> rusqlite::Result<Option<FileName>> {
    // For a time, outputs without a name were recorded with an empty one when they were reused.
    match row.get_ref(column)? {
        ValueRef::Null | ValueRef::Text(b"") => Ok(None),
        ValueRef::Integer(_) | ValueRef::Real(_) | ValueRef::Text(_) | ValueRef::Blob(_) => {
            row.get(column).map(Some)
        }
    }
}

/// The task that the one in the row `id` comes from. That has a lower row: whoever goes from one to
/// the next comes to an end.
pub fn older(row: &Row, column: usize, id: TaskId) -> rusqlite::Result<Option<TaskId>> {
    match row.get::<_, Option<i64>>(column)?.map(TaskId) {
        Some(above) if above >= id => Err(Wrong::Circle(above).into_error()),
        above => Ok(above),
    }
}

/// A column that holds a digest.
pub fn digest(row: &Row, column: usize) -> rusqlite::Result<Digest> {
    row.get(column)
}

impl FromSql for StepName {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Self::new(value.as_str()?).map_err(FromSqlError::other)
    }
}

impl FromSql for Digest {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map_err(FromSqlError::other)
    }
}
