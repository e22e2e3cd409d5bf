//! The one way to the file: questions here, changes there.
//!
//! Whoever reads gets statements that can only ask. Whatever changes something goes through
//! [`Database::write`], which works inside an open group alone, and after the first failure not at
//! all. `SQLite` may have taken the whole group back by then, also where it was a question that
//! failed: what would be written afterwards would stand by itself, about rows that do not exist,
//! and what is in memory tells of things that never were. So the run ends, and the next one begins
//! from what the file says.

use std::sync::Arc;

use rusqlite::config::DbConfig;
use rusqlite::{CachedStatement, Connection, Params, Statement, Transaction};

use super::counts::{Asked, Deltas};
use super::guard::Effort;
use super::{Context, Error, Layout};

#[derive(Debug)]
pub(super) struct Database {
    connection: Connection,
    layout: Layout,
    effort: Effort,
    writing: Writing,
    #[cfg(test)]
    fault: super::fault::Fault,
}

#[derive(Debug)]
enum Writing {
    /// No group is open.
    Closed,
    /// One is.
    Open(Group),
    /// Something went wrong, this at first: nothing is written any more.
    Over(Arc<Error>),
}

/// What is known of an open group.
#[derive(Debug, Default)]
struct Group {
    /// The counts that it changes.
    deltas: Deltas,
    /// Whether it changes anything.
    written: bool,
}

impl Database {
    pub(super) fn new(connection: Connection, layout: Layout, effort: Effort) -> Self {
        Self {
            connection,
            layout,
            effort,
            writing: Writing::Closed,
            #[cfg(test)]
            fault: super::fault::Fault::default(),
        }
    }

    /// Each statement is broken off that takes more steps of `SQLite` than these.
    pub(super) fn limit(&mut self, steps: u64) -> rusqlite::Result<()> {
        self.effort = Effort::of_statement(&mut self.connection, steps)?;
        Ok(())
    }

    /// Where tests have calls fail.
    #[cfg(test)]
    pub(super) fn fault(&self) -> &super::fault::Fault {
        &self.fault
    }

    /// Past all that this is for.
    #[cfg(test)]
    pub(super) fn alter(&self, how: impl FnOnce(&Connection)) {
        how(&self.connection);
    }

    /// A question, compiled once.
    pub(super) fn prepare_cached(&self, sql: &str) -> rusqlite::Result<CachedStatement<'_>> {
        #[cfg(test)]
        self.fault.call(&self.connection)?;
        self.effort.begin();
        let statement = self.connection.prepare_cached(sql)?;
        only_asks(&statement)?;
        Ok(statement)
    }

    /// A question.
    pub(super) fn prepare(&self, sql: &str) -> rusqlite::Result<Statement<'_>> {
        #[cfg(test)]
        self.fault.call(&self.connection)?;
        self.effort.begin();
        let statement = self.connection.prepare(sql)?;
        only_asks(&statement)?;
        Ok(statement)
    }

    /// While it lives, all answers are of one moment.
    pub(super) fn snapshot(&self) -> rusqlite::Result<Transaction<'_>> {
        self.connection.unchecked_transaction()
    }

    /// The row that was written last.
    pub(super) fn last_insert_rowid(&self) -> i64 {
        self.connection.last_insert_rowid()
    }

    /// Opens a group unless one is open.
    pub(super) fn begin(&mut self) -> Result<(), Error> {
        if !self.is_grouped()? {
            self.execute("begin a transaction", "BEGIN IMMEDIATE", [])?;
            self.writing = Writing::Open(Group::default());
        }
        Ok(())
    }

    /// Whether a group is open; the failure that ended all writing, if there was one.
    pub(super) fn is_grouped(&mut self) -> Result<bool, Error> {
        match &self.writing {
            Writing::Closed => Ok(false),
            Writing::Open(_) if !self.connection.is_autocommit() => Ok(true),
            Writing::Open(_) => Err(self.stop(Error::Abandoned(self.layout.database()))),
            Writing::Over(first) => Err(Error::Failed(Arc::clone(first))),
        }
    }

    /// Whether the open group changes anything.
    pub(super) fn has_written(&self) -> bool {
        matches!(&self.writing, Writing::Open(group) if group.written)
    }

    fn begin_writing(&mut self) -> Result<(), Error> {
        self.begin()?;
        if let Writing::Open(group) = &mut self.writing {
            group.written = true;
        }
        Ok(())
    }

    /// Changes something, in the open group or in a new one. How many rows.
    pub(super) fn write(
        &mut self,
        action: &'static str,
        sql: &str,
        params: impl Params,
    ) -> Result<usize, Error> {
        self.begin_writing()?;
        self.effort.wrote();
        self.execute(action, sql, params)
    }

    /// The same for several statements without parameters.
    pub(super) fn write_all(
        &mut self,
        action: &'static str,
        statements: &str,
    ) -> Result<(), Error> {
        self.begin_writing()?;
        let done = self.run_all(statements).during(&self.layout, action);
        self.or_stop(done)
    }

    /// Changes much at once, in a transaction of its own. No group is open.
    pub(super) fn change<T>(
        &mut self,
        action: &'static str,
        change: impl FnOnce(&Transaction) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        self.effort.begin();
        let changed = || {
            let transaction = self.connection.unchecked_transaction()?;
            let done = change(&transaction)?;
            transaction.commit()?;
            Ok(done)
        };
        let done = changed().during(&self.layout, action);
        self.or_stop(done)
    }

    /// Brings the open group to the file.
    pub(super) fn commit(&mut self) -> Result<(), Error> {
        if self.is_grouped()? {
            self.execute("commit", "COMMIT", [])?;
            self.writing = Writing::Closed;
        }
        Ok(())
    }

    /// The counts that the open group changes.
    pub(super) fn deltas(&self) -> Option<&Deltas> {
        match &self.writing {
            Writing::Open(group) => Some(&group.deltas),
            Writing::Closed | Writing::Over(_) => None,
        }
    }

    /// The same, to change them: whoever counts has written to the group.
    pub(super) fn deltas_mut(&mut self) -> Option<&mut Deltas> {
        match &mut self.writing {
            Writing::Open(group) => Some(&mut group.deltas),
            Writing::Closed | Writing::Over(_) => None,
        }
    }

    /// Brings what is committed from the log to the file, as far as nobody reads from it.
    pub(super) fn checkpoint(&self) -> rusqlite::Result<()> {
        let done = |row: &rusqlite::Row| row.get::<_, i64>(0);
        self.connection
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], done)
            .map(drop)
    }

    /// Changes a setting of this connection.
    pub(super) fn set(&self, pragma: &str, value: &str) -> rusqlite::Result<()> {
        self.connection.pragma_update(None, pragma, value)
    }

    /// Lets a failure of something that belongs to the open group end all writing.
    pub(super) fn or_stop<T>(&mut self, done: Result<T, Error>) -> Result<T, Error> {
        done.map_err(|error| self.stop(error))
    }

    /// Takes the open group back, and lets no other one begin; the failure that was the first.
    pub(super) fn stop(&mut self, error: Error) -> Error {
        if let Writing::Over(first) = &self.writing {
            return Error::Failed(Arc::clone(first));
        }
        if !self.connection.is_autocommit() {
            // Should this fail too, the transaction ends with the connection.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        // Not even what is committed is brought from the log to the file when this is closed: a
        // disk that fails is no place for it. The next one to open the file does that.
        let _ = self
            .connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        let first = Arc::new(error);
        self.writing = Writing::Over(Arc::clone(&first));
        Error::Failed(first)
    }

    fn execute(
        &mut self,
        action: &'static str,
        sql: &str,
        params: impl Params,
    ) -> Result<usize, Error> {
        let done = self.run(sql, params).during(&self.layout, action);
        self.or_stop(done)
    }

    fn run(&self, sql: &str, params: impl Params) -> rusqlite::Result<usize> {
        #[cfg(test)]
        self.fault.call(&self.connection)?;
        self.effort.begin();
        self.connection.prepare_cached(sql)?.execute(params)
    }

    fn run_all(&self, statements: &str) -> rusqlite::Result<()> {
        #[cfg(test)]
        self.fault.call(&self.connection)?;
        self.effort.begin();
        self.connection.execute_batch(statements)
    }
}

impl Asked for Database {
    fn question(&self, sql: &str) -> rusqlite::Result<Statement<'_>> {
        self.prepare(sql)
    }
}

/// Refuses a statement that changes something, be it only whether a transaction is open.
fn only_asks(statement: &Statement) -> rusqlite::Result<()> {
    if statement.readonly() && statement.column_count() > 0 {
        Ok(())
    } else {
        Err(rusqlite::Error::InvalidQuery)
    }
}
