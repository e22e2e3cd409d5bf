//! Values of rows, checked as they are read.
//!
//! The file may come from anybody: a folder out of a cache, out of a mail. What is not as this
//! program writes it is told with the row that it is in, and nothing is done with it.

use std::fmt;

use rusqlite::Row;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, Type, ValueRef};

use crate::model::digest::Digest;
use crate::model::gather::Role;
use crate::model::list::Form;
use crate::model::name::{FileName, StepName};
use crate::model::task::TaskId;

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Wrong {
    /// A task does not come after the one that it comes from, as all do.
    #[error("it comes from task #{0}, which is not older: the rows go in a circle")]
    Circle(TaskId),
    /// Rows are not where an index has them.
    #[error("it is found where another row should be: an index is damaged")]
    Order,
    /// The name of a runset cannot be the value of a variable.
    #[error("there is a NUL in its name")]
    Variable,
    /// A row lacks what each has, or two have what only one may.
    #[error("{0}")]
    Misfit(String),
    /// A task is of a step version that is not recorded.
    #[error("it is of step version {0}, which is not there")]
    NoStep(i64),
}

impl Wrong {
    /// As the failure of a question.
    pub(super) fn into_error(self) -> rusqlite::Error {
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
            None => write!(f, "{} without a number: {}", self.table, self.reason),
        }
    }
}

impl std::error::Error for Located {}

/// Reads a row of `table`, whose number is in the first column. What is wrong is told with it.
pub(super) fn located<T>(
    table: &'static str,
    row: &Row,
    read: impl FnOnce(&Row) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    read(row).map_err(|error| match reason(&error, Some(row)) {
        None => error,
        // Whoever reads a part of the row has told it already.
        Some(_) if is_located(&error) => error,
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

fn is_located(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::FromSqlConversionFailure;
    matches!(error, FromSqlConversionFailure(_, _, source) if source.is::<Located>())
}

/// What is wrong with a value, if the failure is about one.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "of the failures of SQLite those about values are meant"
)]
pub(super) fn reason(error: &rusqlite::Error, row: Option<&Row>) -> Option<String> {
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
        Type::Integer => "a number",
        Type::Real => "a fraction",
        Type::Text => "text",
        Type::Blob => "bytes",
    }
}

impl FromSql for FileName {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Self::new(value.as_str()?).map_err(FromSqlError::other)
    }
}

/// Beyond this no time, version or row number of this program is: sums of them are.
const LARGEST: i64 = 1 << 53;
/// Nor are there so many tasks.
const MOST: i64 = 1 << 40;

fn at_most(most: i64, number: i64, column: usize) -> rusqlite::Result<i64> {
    if (-most..=most).contains(&number) {
        Ok(number)
    } else {
        Err(rusqlite::Error::IntegralValueOutOfRange(column, number))
    }
}

/// A time, a version, the number of a row or of a worker.
pub(super) fn number(row: &Row, column: usize) -> rusqlite::Result<i64> {
    at_most(LARGEST, row.get(column)?, column)
}

/// The same where there may be none.
pub(super) fn some_number(row: &Row, column: usize) -> rusqlite::Result<Option<i64>> {
    let number: Option<i64> = row.get(column)?;
    number
        .map(|number| at_most(LARGEST, number, column))
        .transpose()
}

/// How many tasks. Fewer than none in the counts of one who did not come to an end.
pub(super) fn count(row: &Row, column: usize) -> rusqlite::Result<i64> {
    at_most(MOST, row.get(column)?, column)
}

/// Rows in the order of their numbers, each once, as they were asked for. In a damaged index they
/// are not, and whoever asks for those behind the last one comes to no end.
#[derive(Debug)]
pub(super) struct Ascending(Option<i64>);

impl Ascending {
    /// From the first one on.
    pub(super) fn new() -> Self {
        Self(None)
    }

    /// Those behind this one.
    pub(super) fn after(row: TaskId) -> Self {
        Self(Some(row.0))
    }

    /// The number of the next row, which is in the first column.
    pub(super) fn next(&mut self, row: &Row) -> rusqlite::Result<TaskId> {
        let id = number(row, 0)?;
        if self.0.is_some_and(|last| last >= id) {
            return Err(Wrong::Order.into_error());
        }
        self.0 = Some(id);
        Ok(TaskId(id))
    }
}

/// The name under which a task left the object, if it is recorded: the first implementation
/// did not.
pub(super) fn file_name(row: &Row, column: usize) -> rusqlite::Result<Option<FileName>> {
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
pub(super) fn older(row: &Row, column: usize, id: TaskId) -> rusqlite::Result<Option<TaskId>> {
    match row.get::<_, Option<i64>>(column)?.map(TaskId) {
        Some(above) if above >= id => Err(Wrong::Circle(above).into_error()),
        above => Ok(above),
    }
}

/// A column that says what an object is.
pub(super) fn form(row: &Row, column: usize) -> rusqlite::Result<Form> {
    let number: i64 = row.get(column)?;
    Form::of(number).ok_or(rusqlite::Error::IntegralValueOutOfRange(column, number))
}

/// A column that holds a digest.
pub(super) fn digest(row: &Row, column: usize) -> rusqlite::Result<Digest> {
    row.get(column)
}

/// The same, or nothing.
pub(super) fn some_digest(row: &Row, column: usize) -> rusqlite::Result<Option<Digest>> {
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

/// A column that says what a row stands for.
pub(super) fn role(row: &Row, column: usize) -> rusqlite::Result<Role> {
    let number: i64 = row.get(column)?;
    Role::of(number).ok_or(rusqlite::Error::IntegralValueOutOfRange(column, number))
}
