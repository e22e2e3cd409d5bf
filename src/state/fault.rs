//! Has calls of `SQLite` fail, for tests.

use std::cell::Cell;

use rusqlite::{Connection, ErrorCode, ffi};

/// Counts calls, and has those in a range fail.
#[derive(Debug, Default)]
pub(crate) struct Fault {
    calls: Cell<u32>,
    planned: Cell<Option<Planned>>,
}

/// What is to go wrong.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Planned {
    /// The first call that fails, from 0.
    pub first: u32,
    /// How many do.
    pub count: u32,
    /// In which way.
    pub how: How,
}

/// The ways in which a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// What the call itself did is taken back.
    Alone,
    /// `SQLite` takes back the whole transaction, as it does where its memory and the file would
    /// differ.
    TakesAllBack,
    /// The thread panics.
    Panics,
}

impl Fault {
    /// Counts from 0 again, and has calls fail from now on.
    pub(crate) fn plan(&self, planned: Option<Planned>) {
        self.calls.set(0);
        self.planned.set(planned);
    }

    /// Calls since then.
    pub(crate) fn calls(&self) -> u32 {
        self.calls.get()
    }

    /// To be asked before each call.
    pub(crate) fn call(&self, connection: &Connection) -> rusqlite::Result<()> {
        let number = self.calls.get();
        self.calls.set(number + 1);
        let Some(planned) = self.planned.get() else {
            return Ok(());
        };
        if number < planned.first || number - planned.first >= planned.count {
            return Ok(());
        }
        match planned.how {
            How::Alone => {}
            How::TakesAllBack if connection.is_autocommit() => {}
            How::TakesAllBack => connection.execute_batch("ROLLBACK")?,
            How::Panics => panic!("planned"),
        }
        Err(rusqlite::Error::SqliteFailure(
            ffi::Error {
                code: ErrorCode::DiskFull,
                extended_code: ffi::SQLITE_FULL,
            },
            None,
        ))
    }
}
