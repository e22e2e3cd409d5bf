//! The state: steps, their versions, and every task, in `SQLite`.
//!
//! One process writes at a time and holds a lock on the folder; any number read meanwhile (WAL
//! mode). Writes come in groups: what belongs to one task's end is in one group, and a group
//! is in the file whole or not at all.

mod accept;
mod audit;
mod begun;
mod below;
mod beside;
mod cell;
mod checkpoint;
mod contents;
mod context;
mod counts;
mod database;
mod durable;
mod error;
mod evict;
#[cfg(test)]
pub(crate) mod fault;
mod files;
mod finals;
mod flaky;
mod gather;
mod gc;
mod guard;
mod inputs;
mod layout;
mod lent;
mod lineage;
mod lock;
mod lookup;
mod members;
mod mend;
mod missing;
mod needs;
mod offers;
mod open;
mod overview;
mod params;
mod published;
mod queue;
mod read;
mod reader;
mod readers;
mod reading;
mod record;
mod reroute;
mod reserve;
mod reshape;
mod reuse;
mod roots;
mod runset;
mod sample;
mod schema;
mod sound;
mod steps;
mod supersede;
mod taken;
mod usual;
mod workers;

use std::ops::Deref;

use database::Database;
use error::Context;

pub(crate) use accept::{Acceptance, Accepted};
pub(crate) use audit::{Misfit, MisfitKind, Reference, Rows, Told as Audited, Use};
pub(crate) use beside::{Answer, Asked, Heard, Question};
pub(crate) use checkpoint::Basis;
pub(crate) use context::{Buried, NewPair};
pub(crate) use durable::{Doubtful, Sync};
pub(crate) use error::Error;
pub(crate) use evict::Kept;
pub(crate) use files::check_head;
pub(crate) use finals::{Left, Selection};
pub(crate) use flaky::Flaky;
pub(crate) use gather::{Group, GroupId, NewGather, NewMember};
pub(crate) use gc::{Doomed, Weighed};
pub(crate) use inputs::{Entries, NewEntry, Recorded};
pub(crate) use layout::Layout;
pub(crate) use lineage::Origin;
pub(crate) use lock::{Holder, Lock, LockError};
pub(crate) use mend::Mended;
pub(crate) use missing::{Looked, Place, Wanted};
pub(crate) use overview::{Execution, RecordedStep, ShownTask};
pub(crate) use params::Awaited;
pub(crate) use read::{Filter, TaskRow, TaskStep, Which};
pub(crate) use readers::{NewReader, Told};
pub(crate) use reading::Reading;
pub(crate) use record::{Finished, Logs, NewTask};
pub(crate) use reroute::{Astray, Rerouted, sign};
pub(crate) use reserve::Room;
pub(crate) use reshape::{Groups, Home, Shape};
pub(crate) use reuse::{Equal, Usable};
pub(crate) use runset::{Runset, RunsetId};
pub(crate) use sample::{Drawn, Evidence};
pub(crate) use steps::{Registration, StepId, StepVersion};
pub(crate) use supersede::{Migrated, Taint};
pub(crate) use taken::Taken;
pub(crate) use workers::{Standing, Try};

/// A state database, for one who asks it.
#[derive(Debug)]
pub(crate) struct Reader {
    connection: Database,
    layout: Layout,
    /// Of one who reads beside others.
    _reading: Option<Reading>,
}

/// A state database, for one who also writes to it.
#[derive(Debug)]
pub(crate) struct State {
    reader: Reader,
    /// Of one who writes to the folder.
    lock: Option<Lock>,
    /// Whether it writes beside a run, which says of itself that it writes.
    beside: bool,
    room: Room,
    sync: Sync,
    /// Whether the file says that somebody writes to it.
    marked: bool,
    /// What was wrong when it was opened.
    mended: Mended,
    /// Who carries out tasks elsewhere.
    workers: Option<Box<workers::Workers>>,
}

impl Deref for State {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        &self.reader
    }
}

impl Reader {
    /// The files around the database.
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }
}

impl State {
    /// What was wrong in the database, and is not any more.
    pub(crate) fn mended(&self) -> Mended {
        self.mended
    }

    /// Opens a group of writes unless one is open. Each write does so for itself.
    pub(crate) fn group(&mut self) -> Result<(), Error> {
        self.reader.connection.begin()
    }

    /// Whether writes wait for [`State::commit`].
    pub(crate) fn is_grouped(&self) -> bool {
        self.reader.connection.deltas().is_some()
    }

    /// Writes the open group, if any, to the file.
    pub(crate) fn commit(&mut self) -> Result<(), Error> {
        self.close_group(false)
    }

    /// The same, and this writer is at its end, and that in order. It may begin again.
    pub(crate) fn end(&mut self) -> Result<(), Error> {
        self.close_group(true)
    }

    fn close_group(&mut self, last: bool) -> Result<(), Error> {
        if !(self.reader.connection.is_grouped()? || last && self.marked) {
            return Ok(());
        }
        let whole = self.complete_group(last);
        let marked = self.reader.connection.or_stop(whole)?;
        self.reader.connection.commit()?;
        self.marked = marked;
        Ok(())
    }

    /// Writes what belongs to the group but its tasks; whether the file then says that somebody
    /// writes to it.
    ///
    /// It does between the first group of a writer and the last one: counts of one who did not
    /// come to that are not relied on. One whose first group is the last does without.
    fn complete_group(&mut self, last: bool) -> Result<bool, Error> {
        self.flush_tallies()?;
        if self.beside {
            return Ok(false);
        }
        let mut marked = self.marked;
        if last && marked {
            marked = false;
            self.reader
                .connection
                .write("write counts", mend::UNMARK, [])?;
        } else if !last && !marked && self.reader.connection.has_written() {
            marked = true;
            self.reader
                .connection
                .write("write counts", mend::MARK, [])?;
        }
        self.sync_group()?;
        self.is_in_place()?;
        Ok(marked)
    }

    /// Whether this is the folder's own database, and no copy of it.
    pub(crate) fn is_writer(&self) -> bool {
        self.lock.is_some()
    }

    /// Fails where the file is no longer the one that others find, and would lock.
    fn is_in_place(&self) -> Result<(), Error> {
        let lock = self.lock.as_ref();
        Ok(lock.map_or(Ok(()), |lock| lock.check(&self.layout))?)
    }

    /// Changes rows, whatever comes of it.
    #[cfg(test)]
    pub(crate) fn alter(&mut self, sql: &str) {
        let done = self.reader.connection.write_all("alter rows", sql);
        done.and_then(|()| self.commit())
            .expect("SQL that is right");
    }

    /// Where tests have calls fail.
    #[cfg(test)]
    pub(crate) fn fault(&self) -> &fault::Fault {
        self.reader.connection.fault()
    }

    /// Takes the open group, if any, back, and lets no other one begin: whoever filled it does not
    /// know whether what belongs together is in it.
    pub(crate) fn abandon(&mut self) {
        self.reader
            .connection
            .stop(Error::Abandoned(self.layout.database()));
    }
}

#[cfg(test)]
mod tests;
