//! Questions about tasks.

use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension, Row};

use super::cell::{
    Ascending, Wrong, digest, file_name, form, located, number, older, role, some_digest,
    some_number,
};
use super::counts::{STATE_SQL, state_of};
use super::{Context, Error, Logs, Reader, StepId};
use crate::model::digest::Digest;
use crate::model::gather::Role;
use crate::model::list::Form;
use crate::model::name::{FileName, StepName};
use crate::model::task::{TaskId, TaskState};

/// A task as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TaskRow {
    /// Its row.
    pub id: TaskId,
    /// Its input; of a final output, the result.
    pub object: Digest,
    /// The step version that it runs; none for a final output.
    pub step: Option<TaskStep>,
    /// The task that left the object.
    pub parent: Option<TaskId>,
    /// Of a pair, the row that stands for all pairs of the input.
    pub pair_of: Option<TaskId>,
    /// How far it is.
    pub state: TaskState,
    /// How its last execution failed.
    pub error: Option<String>,
    /// The runset's name.
    pub runset: String,
    /// The file name under which the parent left the object.
    pub name: Option<FileName>,
    /// Whether nothing superseded it or a task above it.
    pub live: bool,
    /// Whether it is live, finished, and its step has another version now.
    pub tainted: bool,
    /// The task that it took the place of.
    pub supersedes: Option<TaskId>,
    /// Whether it executes even where an equal task did.
    pub forced: bool,
    /// The task whose outputs it took.
    pub reused_from: Option<TaskId>,
    /// When the execution had ended that gave it its outputs, in milliseconds since 1970, if that is
    /// recorded.
    pub executed: Option<i64>,
    /// When its last execution began, in milliseconds since 1970.
    pub started: Option<i64>,
    /// How long that took, in microseconds.
    pub elapsed: Option<i64>,
    /// The worker that did it, from 0.
    pub worker: Option<i64>,
    /// The machine that did, if it was not that of the run.
    pub node: Option<String>,
    /// Microseconds that CPUs worked for it, where that is known.
    pub cpu: Option<i64>,
    /// The most memory that it had at a time, in bytes, where that is known.
    pub peak: Option<i64>,
    /// What its object is.
    pub form: Form,
    /// The number of the version that made it, if that is another one than it was accepted for.
    pub made_by: Option<i64>,
    /// What it stands for.
    pub role: Role,
    /// What it got besides its input.
    pub context: Option<Digest>,
    /// What it is about, where that does not follow from its name.
    pub key: Option<String>,
}

impl TaskRow {
    /// The key of what it gathers, where a step gathers by key.
    pub(crate) fn group(&self) -> Option<&str> {
        let key = self.key.as_deref().filter(|key| !key.is_empty());
        key.filter(|_| self.role == Role::Gather)
    }

    /// The row that its input has.
    pub(crate) fn own_row(&self) -> TaskId {
        self.pair_of.unwrap_or(self.id)
    }

    /// Whether it is no task, but stands for the pairs of its input with each output of another step.
    pub(crate) fn stands_for_pairs(&self) -> bool {
        self.role == Role::Member && self.context.is_some()
    }
}

/// The step version that a task runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TaskStep {
    /// Its row.
    pub id: StepId,
    /// The step's name.
    pub name: StepName,
    /// The version's number.
    pub version: i64,
}

/// Which tasks are asked for; final outputs are none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter<'a> {
    /// Of this runset.
    pub runset: Option<&'a str>,
    /// Of this step, all versions.
    pub step: Option<&'a str>,
    /// In one of these states.
    pub which: Which,
    /// No more than these; the oldest.
    pub limit: Option<u32>,
}

/// The states that can be asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Which {
    /// Every live task.
    #[default]
    Live,
    /// Live tasks in one state.
    In(TaskState),
    /// Live finished tasks of a step that has another version now.
    Tainted,
    /// Tasks that a migration or a restart replaced, and those below them.
    Superseded,
}

/// No error of ours is so long as to be cut.
pub(super) fn columns() -> String {
    format!(
        "SELECT t.id, t.object_hash, t.step_id, s.name, s.version,
                iif({PAIR}, (SELECT own.input_task_id FROM task AS own WHERE own.id = t.output), t.input_task_id),
                {STATE_SQL}, substr(t.error, 1, 65536), coalesce(t.runset, ''), t.name, t.live, {TAINTED}, t.supersedes,
                t.forced, t.reused_from, t.started, t.elapsed, t.worker, t.executed, t.kind,
                {MADE_BY}, t.role, t.context, iif({PAIR}, t.output, NULL), t.key, t.cpu_time, t.peak_memory, {NODE}
         FROM task AS t LEFT JOIN step AS s ON s.id = t.step_id"
    )
}

/// Of the current version itself it is clear without a question.
const TAINTED: &str = "(t.live AND t.processed AND t.step_id IS NOT NULL AND t.role <> 1 AND NOT s.current
    AND s.fingerprint IS NOT (SELECT n.fingerprint FROM step AS n WHERE n.name = s.name AND n.current))";

/// Whether a row `t` is a task on an input with one output of another step.
pub(super) const PAIR: &str = "(t.role = 2 AND t.output = t.input_task_id)";

/// Where the last execution of a task `t` was, if not here.
pub(super) const NODE: &str =
    "(SELECT w.node FROM attempt AS o JOIN worker AS w ON w.id = o.worker_id
    WHERE o.task_id = t.id AND o.started = t.started AND o.lost IS NULL AND t.reused_from IS NULL)";

/// Of accepted tasks.
const MADE_BY: &str = "(SELECT m.version FROM accepted AS a JOIN step AS m ON m.id = a.from_step
    WHERE a.task_id = t.id)";

pub(super) fn task(row: &Row) -> rusqlite::Result<TaskRow> {
    located("task", row, task_row)
}

fn task_row(row: &Row) -> rusqlite::Result<TaskRow> {
    let own = TaskId(number(row, 0)?);
    let step = match row.get::<_, Option<i64>>(2)? {
        None => None,
        Some(id) if row.get_ref(3)? == ValueRef::Null => return Err(Wrong::NoStep(id).into_error()),
        Some(id) => Some(TaskStep {
            id: StepId(id),
            name: row.get(3)?,
            version: number(row, 4)?,
        }),
    };
    let id = |column: usize| -> rusqlite::Result<_> {
        Ok(row.get::<_, Option<i64>>(column)?.map(TaskId))
    };
    Ok(TaskRow {
        id: own,
        object: digest(row, 1)?,
        step,
        parent: older(row, 5, own)?,
        state: state_of(row.get(6)?),
        error: row.get(7)?,
        runset: row.get(8)?,
        name: file_name(row, 9)?,
        live: row.get(10)?,
        tainted: row.get(11)?,
        supersedes: id(12)?,
        forced: row.get(13)?,
        reused_from: id(14)?,
        started: some_number(row, 15)?,
        elapsed: some_number(row, 16)?,
        worker: some_number(row, 17)?,
        executed: some_number(row, 18)?,
        form: form(row, 19)?,
        made_by: some_number(row, 20)?,
        role: role(row, 21)?,
        context: some_digest(row, 22)?,
        pair_of: older(row, 23, own)?,
        key: row.get(24)?,
        cpu: some_number(row, 25)?,
        peak: some_number(row, 26)?,
        node: row.get(27)?,
    })
}

const DOING: &str = "read tasks";

impl Reader {
    /// Who has made the task's result, and where it was found, if it came from a shared cache.
    pub(crate) fn shared_by(&self, task: TaskId) -> Result<Option<String>, Error> {
        self.connection
            .prepare_cached("SELECT origin FROM shared WHERE task_id = ?1")
            .and_then(|mut query| query.query_row([task.0], |row| row.get(0)).optional())
            .during(&self.layout, DOING)
    }

    /// The task in that row.
    pub(crate) fn task(&self, id: TaskId) -> Result<Option<TaskRow>, Error> {
        self.connection
            .prepare_cached(&format!("{} WHERE t.id = ?1", columns()))
            .and_then(|mut query| query.query_row([id.0], task).optional())
            .during(&self.layout, DOING)
    }

    /// Calls `each` with every task that `filter` lets through, oldest first.
    pub(crate) fn each_task<E: From<Error>>(
        &self,
        filter: &Filter,
        mut each: impl FnMut(TaskRow) -> Result<(), E>,
    ) -> Result<(), E> {
        let which = match filter.which {
            Which::Live => "t.live = 1".to_owned(),
            Which::Superseded => "t.live = 0".to_owned(),
            Which::Tainted => TAINTED.to_owned(),
            // Said again for the index of unfinished tasks.
            Which::In(state) => format!(
                "t.live = 1 AND t.processed = {} AND {STATE_SQL} = {}",
                u8::from(state.is_finished()),
                number_of(state)
            ),
        };
        let sql = format!(
            "{} WHERE t.step_id IS NOT NULL AND t.role <> 1 AND {which}
                AND (?1 IS NULL OR t.runset = ?1) AND (?2 IS NULL OR s.name = ?2)
             ORDER BY t.id LIMIT ?3",
            columns()
        );
        let mut query = self
            .connection
            .prepare_cached(&sql)
            .during(&self.layout, DOING)?;
        let mut rows = query
            .query((
                filter.runset,
                filter.step,
                filter.limit.map_or(-1, i64::from),
            ))
            .during(&self.layout, DOING)?;
        let mut order = Ascending::new();
        while let Some(row) = rows.next().during(&self.layout, DOING)? {
            let next = located("task", row, |row| order.next(row)).and_then(|_| task(row));
            each(next.during(&self.layout, DOING)?)?;
        }
        Ok(())
    }

    /// The task that took the place of this one.
    pub(crate) fn superseded_by(&self, id: TaskId) -> Result<Option<TaskId>, Error> {
        self.connection
            .prepare_cached("SELECT id FROM task WHERE supersedes = ?1 ORDER BY id DESC LIMIT 1")
            .and_then(|mut query| query.query_row([id.0], |row| row.get(0)).optional())
            .map(|id| id.map(TaskId))
            .during(&self.layout, DOING)
    }

    /// What the task left: the tasks and final outputs that have it for their parent. With
    /// `superseded`, those too that stand for an output no more.
    pub(crate) fn children(&self, id: TaskId, superseded: bool) -> Result<Vec<TaskRow>, Error> {
        let sql = format!(
            "{} WHERE t.input_task_id = ?1 AND (?2 OR t.live = 1) ORDER BY t.id",
            columns()
        );
        self.connection
            .prepare_cached(&sql)
            .and_then(|mut query| {
                let mut order = Ascending::new();
                let child =
                    |row: &Row| located("task", row, |row| order.next(row)).and_then(|_| task(row));
                query.query_map((id.0, superseded), child)?.collect()
            })
            .during(&self.layout, DOING)
    }

    /// What the task wrote when it was last executed.
    pub(crate) fn logs(&self, id: TaskId) -> Result<Logs, Error> {
        let column = |row: &Row, at| match row.get_ref(at)? {
            ValueRef::Null => Ok(None),
            ValueRef::Integer(_) | ValueRef::Real(_) | ValueRef::Text(_) | ValueRef::Blob(_) => {
                digest(row, at).map(Some)
            }
        };
        self.connection
            .prepare_cached("SELECT task_id, stdout, stderr FROM log WHERE task_id = ?1")
            .and_then(|mut query| {
                query
                    .query_row([id.0], |row| {
                        located("log", row, |row| {
                            Ok(Logs {
                                stdout: column(row, 1)?,
                                stderr: column(row, 2)?,
                            })
                        })
                    })
                    .optional()
            })
            .map(Option::unwrap_or_default)
            .during(&self.layout, "read a task's log")
    }
}

/// What [`STATE_SQL`] gives for the state.
fn number_of(state: TaskState) -> u8 {
    match state {
        TaskState::Pending => 0,
        TaskState::Failed => 1,
        TaskState::Done => 2,
        TaskState::Reused => 3,
    }
}
