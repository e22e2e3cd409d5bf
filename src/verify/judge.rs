//! What it means that an object is not as it should be.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use super::finding::{Finding, Severity, What};
use super::needs::Need;
use crate::engine::Tops;
use crate::model::digest::Digest;
use crate::model::entry::EntryName;
use crate::model::gather::Role;
use crate::model::list::Form;
use crate::model::name::StepName;
use crate::model::route::Router;
use crate::model::task::{TaskId, TaskState};
use crate::state::{self, Reader, TaskRow, Use};
use crate::store::{self, Found, hash_until};
use crate::text::quoted;

/// An object that is not as it should be.
#[derive(Debug)]
pub(super) struct Trouble {
    /// The object.
    pub object: Digest,
    /// Who needs it, and what for; none if nobody does.
    pub need: Option<Need>,
    /// How it was found.
    pub found: Found,
    /// Of a file outside that is to be the object: what is wrong with it.
    pub outside: Option<String>,
}

impl Trouble {
    /// Whether nothing is in the object's place.
    pub(super) fn is_gone(&self) -> bool {
        self.found == Found::Missing
    }
}

/// Where one begins who makes an object again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// It is a list of what is recorded.
    List,
    /// It came in from outside.
    Outside,
    /// This task, or one above it, makes it.
    Task(TaskId),
}

/// What is at hand to make it again with, beside the db.
#[derive(Debug, Clone)]
pub(crate) struct Manifest {
    /// Where outputs go by their names.
    pub router: Router,
    /// The steps that there are.
    pub steps: HashSet<StepName>,
    /// The folder that inputs are found from.
    pub folder: PathBuf,
}

/// Whether, and how, something can be had again.
type Verdict = (Severity, Option<String>);

/// One who tells.
pub(super) struct Judge<'a> {
    state: &'a Reader,
    manifest: Option<&'a Manifest>,
    tops: Tops<'a>,
    /// By the task that made it.
    known: HashMap<TaskId, Verdict>,
    newest: Option<String>,
    /// What a repair has found to be gone for good, and nothing but questions miss.
    given_up: HashSet<Digest>,
    /// What is made again by tasks that are to be done, once that was asked for.
    to_come: Option<HashMap<Digest, TaskId>>,
}

/// What a context is.
const CONTEXT: &str = "the list of what a task got besides its input,";
/// Verdicts that are remembered.
const MOST: usize = 4096;

impl<'a> Judge<'a> {
    pub(super) fn new(
        state: &'a Reader,
        store: &'a store::Reader,
        manifest: Option<&'a Manifest>,
    ) -> Result<Self, state::Error> {
        Ok(Self {
            state,
            manifest,
            tops: Tops::new(state, store),
            known: HashMap::new(),
            newest: state.newest_runset()?.map(|runset| runset.name),
            given_up: state.given_up()?,
            to_come: None,
        })
    }

    /// What is to be told of it; none if that is as it should be, after all.
    pub(super) fn of(&mut self, trouble: &Trouble) -> Result<Option<Finding>, state::Error> {
        let what = match &trouble.found {
            _ if trouble.outside.is_some() => What::Input,
            Found::Whole | Found::Missing => What::Missing,
            Found::Other(_) | Found::Empty | Found::Altered(_) => What::Damaged,
            Found::Unreadable(_) => What::Unreadable,
        };
        let mut finding = Finding::new(what, Severity::Leftover, String::new());
        finding.object = Some(trouble.object);
        finding.need = trouble.need;
        let how = match &trouble.found {
            Found::Whole | Found::Missing => "is missing".to_owned(),
            Found::Other(what) => format!("is damaged: {what} is in its place, not a file"),
            Found::Empty => "is damaged: its file has no byte".to_owned(),
            Found::Altered(found) => format!("is damaged: its bytes now hash to {found}"),
            Found::Unreadable(why) => format!("cannot be read: {why}"),
        };
        let how = trouble.outside.clone().unwrap_or(how);
        let (role, why) = match &trouble.need {
            None => ("an object that nothing refers to".to_owned(), None),
            Some(need) => match self.needed(need, &mut finding)? {
                Some(told) => told,
                None => return Ok(None),
            },
        };
        finding.words = match why {
            Some(why) => format!("{role} {how}; {why}"),
            None => format!("{role} {how}"),
        };
        Ok(Some(finding))
    }

    /// What it is, and what more there is to say.
    fn needed(
        &mut self,
        need: &Need,
        finding: &mut Finding,
    ) -> Result<Option<(String, Option<String>)>, state::Error> {
        let of_step = match need.by {
            Use::Files => Some("the list of files of a step's version"),
            Use::File => Some("a file of a step, kept for `why`,"),
            Use::Live | Use::Past | Use::Context | Use::Log | Use::Checkpoint => None,
        };
        let is_gone = finding.what == What::Missing && self.given_up.contains(&need.object);
        if is_gone && need.by != Use::Live {
            return Ok(None);
        }
        if let Some(role) = of_step {
            return Ok(Some((role.to_owned(), None)));
        }
        finding.task = Some(need.row);
        // A row that cannot be read is told of elsewhere.
        let Ok(Some(row)) = self.state.task(need.row) else {
            return Ok(Some((format!("what row #{} needs", need.row), None)));
        };
        if finding.what == What::Input && (need.by != Use::Live || self.is_history(&row)) {
            // It has changed since, as files do.
            return Ok(None);
        }
        finding.runset = Some(row.runset.clone());
        finding.name = row.name.clone().map(String::from);
        finding.step = row.step.as_ref().map(|step| step.name.clone());
        let of = |what: &str| format!("{what} #{}", row.id);
        let is_context = !need.within && row.context == Some(need.object);
        let role = match need.by {
            Use::Log => of("what a task wrote,"),
            Use::Checkpoint => of("what a task kept for its next try,"),
            Use::Context => of(CONTEXT),
            Use::Live if is_context => of(CONTEXT),
            Use::Live | Use::Past | Use::Files | Use::File if need.within => match row.form {
                Form::Folder => of("what is in the folder"),
                Form::List | Form::File => of("what is in the list of"),
            },
            Use::Live | Use::Past | Use::Files | Use::File => match row.step {
                None => of("final output"),
                Some(_) => of("input of task"),
            },
        };
        let role = match (&row.step, &row.name) {
            (Some(step), Some(name)) => format!("{role} {} of {}", quoted(name), step.name),
            (None, Some(name)) => format!("{role} {}", quoted(name)),
            (Some(step), None) => format!("{role} of {}", step.name),
            (None, None) => role,
        };
        if need.by == Use::Past
            && finding.what == What::Missing
            && let Some(maker) = self.state.maker_to_come(row.id)?
            && self.can_come(maker)?
        {
            let why = self.await_from(maker, &row.runset, finding);
            return Ok(Some((role, Some(why))));
        }
        if need.by != Use::Live {
            let why = (need.by == Use::Past).then(|| "it was superseded".to_owned());
            return Ok(Some((role, why)));
        }
        let (severity, why) = if finding.what == What::Input {
            (Severity::Again, None)
        } else {
            self.verdict(need, &row)?
        };
        if finding.what == What::Missing
            && let Some(maker) = self.others_make(&need.object)?
            && let Some(other) = self.state.task(maker)?
            && self.can_come(maker)?
        {
            let why = self.await_from(maker, &other.runset, finding);
            return Ok(Some((role, Some(why))));
        }
        // What came in from outside comes in again for a task that is to be done, without anything else.
        let comes_in = row.parent.is_none() && row.state == TaskState::Pending;
        if finding.what == What::Missing && severity == Severity::Again && comes_in {
            finding.what = What::Awaited;
        }
        finding.severity = severity;
        Ok(Some((role, why)))
    }

    /// Says that the next run of the runset makes it again, by that task.
    fn await_from(&self, maker: TaskId, runset: &String, finding: &mut Finding) -> String {
        finding.what = What::Awaited;
        finding.severity = Severity::Again;
        let which = if self.newest.as_ref() == Some(runset) {
            String::new()
        } else {
            format!(" -runset {runset}")
        };
        format!("task #{maker} makes it again with the next -run{which}")
    }

    /// The task that is to be done once more, for whomever, and leaves that again.
    fn others_make(&mut self, object: &Digest) -> Result<Option<TaskId>, state::Error> {
        if self.to_come.is_none() {
            self.to_come = Some(self.state.to_come_again()?);
        }
        Ok(self
            .to_come
            .as_ref()
            .and_then(|known| known.get(object))
            .copied())
    }

    /// Whether a run has the step of that task, as far as the manifest is at hand.
    fn can_come(&self, task: TaskId) -> Result<bool, state::Error> {
        let Some(manifest) = self.manifest else {
            return Ok(true);
        };
        let row = self.state.task(task)?;
        let step = row.and_then(|row| row.step);
        Ok(step.is_some_and(|step| manifest.steps.contains(&step.name)))
    }

    fn is_history(&self, row: &TaskRow) -> bool {
        !row.live || self.newest.as_ref() != Some(&row.runset)
    }

    fn verdict(&mut self, need: &Need, row: &TaskRow) -> Result<Verdict, state::Error> {
        let from = match start(need, row) {
            Start::List => {
                let why = "it follows from what is recorded".to_owned();
                return Ok((Severity::Again, Some(why)));
            }
            Start::Outside => return self.come_in_again(row.id, &need.object),
            Start::Task(from) => from,
        };
        if let Some(known) = self.known.get(&from) {
            return Ok(known.clone());
        }
        let verdict = self.by_running(from)?;
        if self.known.len() >= MOST {
            self.known.clear();
        }
        self.known.insert(from, verdict.clone());
        Ok(verdict)
    }

    /// Adds the tasks that are to run for what that one left.
    pub(super) fn begin(
        &mut self,
        maker: TaskId,
        found: &mut BTreeSet<TaskId>,
    ) -> Result<(), state::Error> {
        self.tops.of(maker, found)
    }

    /// Whether the tasks can run again that lead to what the task left.
    pub(super) fn by_running(&mut self, maker: TaskId) -> Result<Verdict, state::Error> {
        let mut tops = BTreeSet::new();
        self.tops.of(maker, &mut tops)?;
        for top in &tops {
            let Some(row) = self.state.task(*top)? else {
                continue;
            };
            if let (Some(step), Some(manifest)) = (&row.step, self.manifest)
                && !manifest.steps.contains(&step.name)
            {
                let why = format!(
                    "step {}, which made it, is in the manifest no more",
                    step.name
                );
                return Ok((Severity::Lost, Some(why)));
            }
            if row.parent.is_none()
                && row.role != Role::Gather
                && !self.tops.is_there(row.object, row.form)
            {
                return self.come_in_again(*top, &row.object);
            }
        }
        let first = tops.iter().map(ToString::to_string).next();
        let why = match (first, tops.len()) {
            (Some(task), 1) if task == maker.to_string() => format!("task #{task} makes it"),
            (Some(task), 1) => format!("it can be made from task #{task} on"),
            (_, count) => format!("{count} tasks make what it needs"),
        };
        Ok((Severity::Again, Some(why)))
    }

    /// Whether what came in for the task can come in again.
    fn come_in_again(&self, task: TaskId, object: &Digest) -> Result<Verdict, state::Error> {
        let lost = |why: String| Ok((Severity::Lost, Some(why)));
        let Some(entry) = self.state.entry_of(task)? else {
            return lost("nothing says where it came from".to_owned());
        };
        let again = Ok((
            Severity::Again,
            Some(format!(
                "{entry} came in from outside: -run takes it in again if it is as it was"
            )),
        ));
        let (EntryName::File(path), Some(manifest)) = (&entry, self.manifest) else {
            return again;
        };
        match hash(&manifest.folder.join(path)) {
            Ok(found) if found == *object => Ok((
                Severity::Again,
                Some(format!("{entry} is as it was: -run takes it in again")),
            )),
            Ok(_) => lost(format!(
                "{entry} has other bytes by now, and -run goes on with these"
            )),
            Err(error) => lost(format!("{entry} cannot be read: {error}")),
        }
    }

    /// The file outside that is that object, if one is.
    pub(super) fn file_of(
        &self,
        manifest: &Manifest,
        task: TaskId,
        object: &Digest,
    ) -> Result<Option<PathBuf>, state::Error> {
        let Some(EntryName::File(path)) = self.state.entry_of(task)? else {
            return Ok(None);
        };
        let path = manifest.folder.join(path);
        let is_it = hash(&path).is_ok_and(|found| found == *object);
        Ok(is_it.then_some(path))
    }
}

/// Where one begins who makes again what the row needs.
pub(super) fn start(need: &Need, row: &TaskRow) -> Start {
    if !need.within && row.context == Some(need.object) && row.object != need.object {
        return Start::List;
    }
    match (row.role, row.parent) {
        (Role::Gather, _) if !need.within => Start::List,
        // What of it is gone is found from there.
        (Role::Gather, _) => Start::Task(row.id),
        (Role::Task | Role::Member | Role::Reader, Some(maker)) => Start::Task(maker),
        (Role::Task | Role::Member | Role::Reader, None) => Start::Outside,
    }
}

fn hash(path: &Path) -> io::Result<Digest> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let never = AtomicBool::new(false);
    Ok(hash_until(&file, size, &never, |_| ())?.digest)
}
