//! What a power cut can take, by choice, and which tasks may be recorded afterwards without their
//! objects being whole.
//!
//! Unless [`Sync::Commit`] is chosen, neither objects nor commits are synced one by one. What the kernel had not written when the
//! power went is lost, and the database may have been written before an object was. So the
//! database keeps two things: the boot of the machine in which it was last written to, and the
//! last row up to which everything is known to be on the disk. In another boot the rows behind
//! that are looked at.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rusqlite::{OptionalExtension, Row};

use super::cell::{Ascending, digest, form, located, number, older};
use super::{Context, Error, Reader, Runset, State};
use crate::model::digest::Digest;
use crate::model::list::Form;
use crate::model::task::TaskId;
use crate::sys;

/// When what was done is brought to the disk. SIGKILL loses nothing with any of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Sync {
    /// When the kernel gets round to it. A power cut takes the last seconds.
    #[default]
    Lazy,
    /// When a run is over, too.
    End,
    /// Before a group of writes is committed: what is recorded is on the disk.
    Commit,
}

/// A row whose object may not be whole.
#[derive(Debug, Clone)]
pub(crate) struct Doubtful {
    /// The row.
    pub task: TaskId,
    /// The task that made the object; none for a start task.
    pub maker: Option<TaskId>,
    /// The object.
    pub object: Digest,
    /// What that is.
    pub form: Form,
}

impl Reader {
    pub(super) fn set_synchronous(&self, level: &str) -> Result<(), Error> {
        self.connection
            .set("synchronous", level)
            .during(&self.layout, "set up the database")
    }

    /// Waits until all objects are on the disk.
    pub(crate) fn sync_objects(&self) -> Result<(), Error> {
        let sync = |path: &Path| {
            let io = |source| Error::Io {
                action: "sync",
                path: path.to_owned(),
                source,
            };
            let folder = File::open(path).map_err(io)?;
            sys::sync(&folder).map_err(io)?;
            folder.metadata().map(|data| data.dev()).map_err(io)
        };
        let device = sync(self.layout.root())?;
        let objects = self.layout.objects();
        // The store may be a mount or a link to another place.
        match objects.metadata() {
            Ok(data) if data.dev() != device => sync(&objects).map(drop),
            _ => Ok(()),
        }
    }

    /// The boot in which the database was last written to.
    pub(crate) fn last_boot(&self) -> Result<Option<String>, Error> {
        self.meta("boot")
    }

    /// Rows up to here are on the disk, and their objects too.
    pub(crate) fn durable(&self) -> Result<TaskId, Error> {
        let row = self.meta("durable")?.and_then(|text| text.parse().ok());
        Ok(TaskId(row.unwrap_or(0)))
    }

    /// The newest row. There is room for many behind it: at the end of all numbers `SQLite` would
    /// take any.
    pub(crate) fn newest_task(&self) -> Result<TaskId, Error> {
        self.connection
            .prepare_cached("SELECT coalesce(max(id), 0) FROM task")
            .and_then(|mut query| query.query_row([], |row| number(row, 0).map(TaskId)))
            .during(&self.layout, "read the newest task")
    }

    /// At most `count` rows behind `after`, ascending.
    pub(crate) fn doubtful(&self, after: TaskId, count: i64) -> Result<Vec<Doubtful>, Error> {
        self.connection
            .prepare_cached(
                "SELECT id, input_task_id, object_hash, kind FROM task WHERE id > ?1
                 ORDER BY id LIMIT ?2",
            )
            .and_then(|mut query| {
                let mut order = Ascending::after(after);
                let doubtful = |row: &Row| {
                    located("task", row, |row| {
                        order.next(row).and_then(|task| doubtful(row, task))
                    })
                };
                query.query_map((after.0, count), doubtful)?.collect()
            })
            .during(&self.layout, "read the newest tasks")
    }

    pub(super) fn meta(&self, key: &str) -> Result<Option<String>, Error> {
        self.connection
            .prepare_cached("SELECT value FROM meta WHERE key = ?1")
            .and_then(|mut query| query.query_row([key], |row| row.get(0)).optional())
            .during(&self.layout, "read what is durable")
    }
}

impl State {
    /// Sets when to sync, from the next group on.
    pub(crate) fn set_sync(&mut self, sync: Sync) -> Result<(), Error> {
        if sync == self.sync {
            return Ok(());
        }
        let level = match sync {
            Sync::Commit => "FULL",
            Sync::Lazy | Sync::End => "NORMAL",
        };
        self.set_synchronous(level)?;
        self.sync = sync;
        Ok(())
    }

    /// Objects first, so that no row is on the disk without its object. Of the open group.
    pub(super) fn sync_group(&mut self) -> Result<(), Error> {
        if self.sync != Sync::Commit || !self.reader.connection.has_written() {
            return Ok(());
        }
        self.sync_objects()?;
        let newest = self.newest_task()?;
        self.put_durable(newest)
    }

    /// A run is over: brings all to the disk, unless that is left to the kernel.
    pub(crate) fn end_of_run(&mut self) -> Result<(), Error> {
        if self.sync != Sync::End {
            return self.end();
        }
        self.commit()?;
        self.sync_objects()?;
        let newest = self.newest_task()?;
        self.set_synchronous("FULL")?;
        self.put_durable(newest)?;
        self.end()?;
        self.set_synchronous("NORMAL")
    }

    fn put_durable(&mut self, row: TaskId) -> Result<(), Error> {
        self.reader
            .connection
            .write(
                "write what is durable",
                "INSERT OR REPLACE INTO meta VALUES ('durable', ?1)",
                [row.0.to_string()],
            )
            .map(drop)
    }

    /// Notes the present boot, and up to which row everything is on the disk.
    pub(crate) fn set_durable(&mut self, boot: &str, row: TaskId) -> Result<(), Error> {
        self.reader
            .connection
            .write(
                "write what is durable",
                "INSERT OR REPLACE INTO meta VALUES ('boot', ?1), ('durable', ?2)",
                (boot, row.0.to_string()),
            )
            .map(drop)
    }

    /// Has the task executed again in whatever runset it is live; what it made does not count.
    pub(crate) fn redo(&mut self, task: TaskId) -> Result<(), Error> {
        let place: Option<(i64, String, i64)> = self
            .connection
            .prepare_cached(
                "SELECT runset.id, runset.name, task.step_id FROM task
                 JOIN runset ON runset.name = task.runset
                 WHERE task.id = ?1 AND task.processed = 1 AND task.live = 1
                   AND task.step_id IS NOT NULL",
            )
            .and_then(|mut query| {
                query
                    .query_row([task.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                    .optional()
            })
            .during(&self.reader.layout, "read a task")?;
        let Some((id, name, step)) = place else {
            return Ok(());
        };
        let runset = Runset {
            id: super::RunsetId(id),
            name,
        };
        // A pair comes of the row that stands for all of its input.
        let which = format!(
            "t.id = (SELECT iif(role = 2 AND output = input_task_id, output, id)
                 FROM task WHERE id = {})",
            task.0
        );
        self.supersede(&runset, &[super::StepId(step)], &which, true)
            .map(drop)
    }
}

fn doubtful(row: &Row, task: TaskId) -> rusqlite::Result<Doubtful> {
    Ok(Doubtful {
        task,
        maker: older(row, 1, task)?,
        object: digest(row, 2)?,
        form: form(row, 3)?,
    })
}
