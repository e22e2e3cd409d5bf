//! What is asked of a database by one who trusts nothing in it: whether `SQLite` finds its pages in
//! order, whether every row leads to rows that are there, and which objects all of them need.

mod objects;
mod repair;

use rusqlite::OptionalExtension as _;

use super::counts::miscounted;
use super::{Context, Error, Reader, StepId};
use crate::model::digest::Digest;
use crate::model::list::Form;
use crate::model::task::TaskId;

/// What an object is there for. Of several uses the first one says what it means if it is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Use {
    /// A live row has it for its input, or a live final output is it.
    Live,
    /// The same of a row that another one has superseded.
    Past,
    /// What a task got besides its input.
    Context,
    /// What a task wrote.
    Log,
    /// What a task kept for its next try.
    Checkpoint,
    /// The files of a step's version: the list of them.
    Files,
    /// One of these, of which large ones are not kept.
    File,
}

impl Use {
    const ALL: [Self; 7] = [
        Self::Live,
        Self::Past,
        Self::Context,
        Self::Log,
        Self::Checkpoint,
        Self::Files,
        Self::File,
    ];

    /// A number for it, by its rank.
    pub(crate) fn number(self) -> u8 {
        let at = Self::ALL.iter().position(|one| *one == self);
        u8::try_from(at.unwrap_or_default()).unwrap_or_default()
    }

    /// What [`Use::number`] gave.
    pub(crate) fn of(number: u8) -> Self {
        let found = Self::ALL.get(usize::from(number));
        found.copied().unwrap_or(Self::File)
    }
}

/// A row that leads to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reference {
    /// The object.
    pub object: Digest,
    /// What that is.
    pub form: Form,
    /// What it is there for.
    pub by: Use,
    /// The task, or final output; of the files of a step the number of its version.
    pub row: TaskId,
}

/// Something that is not as this program writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Misfit {
    /// What it is about.
    pub kind: MisfitKind,
    /// The row of a task.
    pub task: Option<TaskId>,
    /// What is wrong, in words.
    pub words: String,
}

/// What a misfit is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MisfitKind {
    /// Pages of the file.
    Pages,
    /// An index alone, which can be made anew.
    Index,
    /// A row, or where it leads.
    Row,
    /// A row that something is told by, and that no run needs.
    Note,
    /// The counts.
    Counts,
}

/// What one who looks at everything is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    /// An object is needed.
    Needs(Reference),
    /// Something is wrong.
    Wrong(Misfit),
}

impl Misfit {
    fn of_row(table: &str, number: i64, what: &str) -> Self {
        let (kind, is_task) = match table {
            "task" | "entry" => (MisfitKind::Row, true),
            "log" | "accepted" | "shared" | "flaky" | "checkpoint" | "attempt" => {
                (MisfitKind::Note, true)
            }
            "gathering" => (MisfitKind::Row, false),
            "runset" | "step" if what == NOT_OURS => (MisfitKind::Row, false),
            // A run that registers it writes it anew.
            _ => (MisfitKind::Note, false),
        };
        Self {
            kind,
            task: is_task.then_some(TaskId(number)),
            words: format!("{table} #{number}: {what}"),
        }
    }
}

/// What there is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rows {
    /// Tasks and outputs.
    pub tasks: u64,
    /// Environments of steps that are known.
    pub environments: u64,
    /// The store paths that the versions in use have.
    pub paths: Vec<String>,
}

/// Rows that do not lead where they should: the table, a question for their numbers, and what is wrong.
/// A row and one that it leads to are in one table where only live ones count.
const CHECKS: [(&str, &str, &str); 21] = [
    (
        "task",
        "SELECT id FROM task WHERE input_task_id >= id",
        "it comes from a task that is not older than itself: the rows go in a circle",
    ),
    (
        "task",
        "SELECT t.id FROM task AS t JOIN task AS p ON p.id = t.input_task_id
         WHERE t.live = 1 AND p.live = 0",
        "it counts, and the task that it comes from was superseded",
    ),
    (
        "task",
        "SELECT t.id FROM task AS t JOIN task AS p ON p.id = t.input_task_id
         WHERE t.live = 1 AND p.live = 1 AND p.processed = 0",
        "the task that it comes from has not ended",
    ),
    (
        "task",
        "SELECT t.id FROM task AS t JOIN task AS p ON p.id = t.input_task_id
         WHERE p.step_id IS NULL AND p.id < t.id",
        "it comes from a final output, which is no task",
    ),
    (
        "task",
        "SELECT t.id FROM task AS t JOIN task AS p ON p.id = t.input_task_id
         WHERE p.runset IS NOT t.runset",
        "it comes from a task of another runset",
    ),
    (
        "task",
        "SELECT t.id FROM task AS t LEFT JOIN runset AS r ON r.name = t.runset WHERE r.id IS NULL",
        "its runset is not recorded",
    ),
    (
        "task",
        "SELECT t.id FROM task AS t LEFT JOIN gathering AS g ON g.id = t.gathering
         WHERE t.gathering IS NOT NULL AND g.id IS NULL OR t.role = 3 AND t.gathering IS NULL",
        "the group that it belongs to is not there",
    ),
    (
        "task",
        "SELECT t.id FROM task AS t LEFT JOIN task AS o ON o.id = t.output
         WHERE t.output IS NOT NULL AND (o.id IS NULL OR t.live = 1 AND o.live = 0)",
        "the output that it reads has no row that counts",
    ),
    (
        "task",
        "SELECT id FROM task WHERE processed = 1 AND error IS NOT NULL AND live = 1",
        "it is said to have ended well, and with an error",
    ),
    (
        "task",
        "SELECT id FROM task WHERE step_id IS NULL AND processed = 0 AND live = 1",
        "it is a final output that is said to be to be done",
    ),
    (
        "accepted",
        "SELECT a.task_id FROM accepted AS a LEFT JOIN task AS t ON t.id = a.task_id
         LEFT JOIN step AS s ON s.id = a.from_step WHERE t.id IS NULL OR s.id IS NULL",
        "it is of a task, or of a step version, that is not there",
    ),
    (
        "shared",
        "SELECT s.task_id FROM shared AS s LEFT JOIN task AS t ON t.id = s.task_id WHERE t.id IS NULL",
        "it is of a task that is not there",
    ),
    (
        "attempt",
        "SELECT a.task_id FROM attempt AS a LEFT JOIN task AS t ON t.id = a.task_id
         LEFT JOIN worker AS w ON w.id = a.worker_id WHERE t.id IS NULL OR w.id IS NULL",
        "a try on another machine is of a task, or of a worker, that is not there",
    ),
    (
        "flaky",
        "SELECT f.task_id FROM flaky AS f LEFT JOIN task AS t ON t.id = f.task_id WHERE t.id IS NULL",
        "it is of a task that is not there",
    ),
    (
        "entry",
        "SELECT e.task_id FROM entry AS e LEFT JOIN task AS t ON t.id = e.task_id
         WHERE t.id IS NULL OR t.live = 0",
        "an input has no task that counts",
    ),
    (
        "task",
        "SELECT id FROM task WHERE input_task_id IS NULL AND role = 0 AND name IS NOT NULL
             AND step_id IS NOT NULL AND live = 1 AND id NOT IN (SELECT task_id FROM entry)",
        "nothing says where its input came from",
    ),
    (
        "step",
        "SELECT max(id) FROM step GROUP BY name HAVING sum(current) <> 1",
        "not one of the versions of that step is the current one, but several or none",
    ),
    (
        "gathering",
        "SELECT g.id FROM gathering AS g LEFT JOIN task AS t ON t.id = g.owner
         WHERE g.owner > 0 AND t.id IS NULL",
        "the task whose descendants are gathered is not there",
    ),
    (
        "task",
        "SELECT id FROM task WHERE id NOT BETWEEN 1 AND 1 << 53
             OR coalesce(executed, 0) NOT BETWEEN 0 AND 1 << 53 OR coalesce(started, 0) NOT BETWEEN 0 AND 1 << 53
             OR coalesce(elapsed, 0) NOT BETWEEN 0 AND 1 << 53 OR coalesce(reused_from, 1) NOT BETWEEN 1 AND 1 << 53",
        NOT_OURS,
    ),
    (
        "runset",
        "SELECT id FROM runset WHERE typeof(name) <> 'text' OR coalesce(ran, 0) NOT BETWEEN 0 AND 1 << 53
             OR coalesce(created, 0) NOT BETWEEN 0 AND 1 << 53",
        NOT_OURS,
    ),
    (
        "step",
        "SELECT id FROM step WHERE typeof(name) <> 'text' OR version NOT BETWEEN 1 AND 1 << 53
             OR coalesce(is_start, 0) NOT IN (0, 1) OR coalesce(parallel, 1) NOT BETWEEN 1 AND 1 << 32
             OR coalesce(created, 0) NOT BETWEEN 0 AND 1 << 53",
        NOT_OURS,
    ),
];

/// What is wrong with a row that is of some other kind or size than any that is written.
const NOT_OURS: &str = "a value in it is none that this program writes";

/// Who is told.
pub(crate) type Listener<'a> = dyn FnMut(Told) + 'a;

impl Reader {
    /// Looks at all that is in the database, as it is at one moment, and tells each object that it needs and
    /// each thing that is wrong.
    pub(crate) fn audit(&self, tell: &mut Listener) -> Result<Rows, Error> {
        const DOING: &str = "look at all rows";
        let _moment = self.connection.snapshot().during(&self.layout, DOING)?;
        let damaged = self.pages(tell).during(&self.layout, DOING)?;
        let rows = self
            .foreign(tell)
            .and_then(|()| self.checks(tell))
            .and_then(|()| self.counts(tell))
            .and_then(|()| self.needed(tell))
            .during(&self.layout, DOING);
        match rows {
            // It was told what is wrong with the pages, and so not all of it can be read.
            Err(Error::Corrupt { .. }) if damaged => Ok(Rows::default()),
            Err(Error::Corrupt { reason, .. }) => {
                tell(Told::Wrong(Misfit {
                    kind: MisfitKind::Pages,
                    task: None,
                    words: reason,
                }));
                Ok(Rows::default())
            }
            other => other,
        }
    }

    /// Tells each object that is needed now, later than when all was looked at.
    pub(crate) fn needed_by_now(&self, tell: &mut Listener) -> Result<Rows, Error> {
        const DOING: &str = "look at all rows once more";
        let _moment = self.connection.snapshot().during(&self.layout, DOING)?;
        match self.needed(tell).during(&self.layout, DOING) {
            // That was told.
            Err(Error::Corrupt { .. }) => Ok(Rows::default()),
            other => other,
        }
    }

    /// What `SQLite` finds wrong itself, a hundred things at most; whether it is more than indexes.
    fn pages(&self, tell: &mut Listener) -> rusqlite::Result<bool> {
        let mut query = self
            .connection
            .prepare("SELECT integrity_check FROM pragma_integrity_check")?;
        let mut rows = query.query([])?;
        let mut damaged = false;
        while let Some(row) = rows.next()? {
            let words: String = row.get(0)?;
            if words == "ok" {
                continue;
            }
            let of_index = ["missing from index", "wrong # of entries in index"];
            let is_index = of_index.iter().any(|known| words.contains(known));
            damaged |= !is_index;
            tell(Told::Wrong(Misfit {
                kind: if is_index {
                    MisfitKind::Index
                } else {
                    MisfitKind::Pages
                },
                task: None,
                words,
            }));
        }
        Ok(damaged)
    }

    /// Rows that lead to none, by what the tables declare.
    fn foreign(&self, tell: &mut Listener) -> rusqlite::Result<()> {
        let mut query = self
            .connection
            .prepare("SELECT \"table\", rowid, parent FROM pragma_foreign_key_check")?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let table: String = row.get(0)?;
            let number: Option<i64> = row.get(1)?;
            let what = match row.get_ref(2)?.as_str()? {
                "task" => "the task that it comes from is not there",
                "step" => "the step version that it is of is not there",
                _ => "a row that it leads to is not there",
            };
            let number = number.unwrap_or_default();
            tell(Told::Wrong(Misfit::of_row(&table, number, what)));
        }
        Ok(())
    }

    /// Rows that do not lead where they should, by what this program writes.
    fn checks(&self, tell: &mut Listener) -> rusqlite::Result<()> {
        for (table, sql, what) in CHECKS {
            let mut query = self.connection.prepare(sql)?;
            let mut rows = query.query([])?;
            while let Some(row) = rows.next()? {
                tell(Told::Wrong(Misfit::of_row(table, row.get(0)?, what)));
            }
        }
        Ok(())
    }

    /// Whether the counts are those of the rows.
    fn counts(&self, tell: &mut Listener) -> rusqlite::Result<()> {
        let name = |sql: &str, id: i64| {
            let mut query = self.connection.prepare(sql)?;
            query.query_row([id], |row| row.get(0)).optional()
        };
        for one in miscounted(&self.connection)? {
            let runset: Option<String> =
                name("SELECT name FROM runset WHERE id = ?1", one.runset.0)?;
            let step: Option<String> = name("SELECT name FROM step WHERE id = ?1", one.step.0)?;
            let what = match step {
                _ if one.step == StepId::FINAL => "final outputs".to_owned(),
                Some(step) => format!("tasks of step {step}"),
                None => format!("tasks of step version {}", one.step.0),
            };
            let words = format!(
                "runset {}: {} {what} are counted ({} done), and there are {} ({})",
                runset.unwrap_or_else(|| one.runset.0.to_string()),
                one.told.total(),
                one.told.finished(),
                one.right.total(),
                one.right.finished(),
            );
            tell(Told::Wrong(Misfit {
                kind: MisfitKind::Counts,
                task: None,
                words,
            }));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
