//! What can be had again is: at once, where it follows from what is recorded or lies outside as it was; else by
//! the next run, for which the tasks that make it are to be executed again.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use super::finding::{Finding, Severity, Sum, What};
use super::judge::{Judge, Start, start};
use super::needs::Need;
use super::{Db, Error, How, Manifest, look};
use crate::engine;
use crate::folder::Entry;
use crate::model::digest::Digest;
use crate::model::list;
use crate::model::name::StepName;
use crate::model::task::TaskId;
use crate::state::{self, Mended, State, StepId, TaskRow, Use};
use crate::store::{self, Depth, Found, Store};
use crate::text::Shown as _;

/// What was done.
#[derive(Debug, Default)]
pub(crate) struct Repaired {
    /// Damaged objects that were put aside.
    pub aside: u64,
    /// Other things that were.
    pub strays: u64,
    /// Objects that have the mode of all now.
    pub modes: u64,
    /// Lists that were written again.
    pub lists: u64,
    /// Tasks of which it is forgotten what they wrote, as that is gone.
    pub logs: u64,
    /// Tasks that begin with nothing in their next try, as what they had kept is gone.
    pub checkpoints: u64,
    /// Objects that only superseded tasks and older versions of steps had, and that are gone for good.
    pub gone: u64,
    /// Inputs that were taken in again.
    pub inputs: u64,
    /// What became of rows, if anything was wrong with them.
    pub mended: Option<Mended>,
    /// Whether indexes were made anew.
    pub indexes: bool,
    /// Tasks that the next run executes again.
    pub tasks: u64,
    /// Runsets besides the newest that these are in.
    pub runsets: BTreeSet<String>,
    /// What is not mended by this, nor by the next run, in words: some of it.
    pub left: Vec<String>,
    /// How much that is.
    pub left_count: u64,
}

/// Things that are left that are told.
const TOLD: usize = 10;

impl Repaired {
    fn leave(&mut self, words: impl FnOnce() -> String) {
        self.left_count += 1;
        if self.left.len() < TOLD {
            self.left.push(words());
        }
    }

    fn done(&mut self, done: Result<impl Sized, store::Error>) -> u64 {
        match done {
            Ok(_) => 1,
            Err(error) => {
                self.leave(|| error.to_string());
                0
            }
        }
    }
}

/// Looks at all, tells what is wrong, and does what can be done about it.
pub(crate) fn repair(
    state: &mut State,
    store: &Store,
    manifest: Option<&Manifest>,
    how: How,
    tell: &mut dyn FnMut(&Finding),
) -> Result<(Sum, Repaired), Error> {
    let mut wanted = Wanted::default();
    let db = Db {
        state,
        store,
        manifest,
    };
    let sum = look(db, how, &mut |finding| {
        tell(&finding);
        wanted.add(&finding);
    })?;
    let mut repaired = Repaired::default();
    for words in std::mem::take(&mut wanted.hopeless) {
        repaired.leave(|| words);
    }
    repaired.left_count += wanted.more_hopeless;
    let makers = wanted.mend(state, &mut repaired)?;
    wanted.clean(store, &mut repaired);
    wanted.look_again(store, how, &mut repaired);
    wanted.logs.retain(|object| !store.contains(object));
    repaired.logs = state.forget_logs(&wanted.logs)?;
    for task in &wanted.kept {
        state.drop_checkpoint(*task)?;
        repaired.checkpoints += 1;
    }
    let (again, shared) = wanted.make(state, store, manifest, &mut repaired, makers)?;
    wanted.past.retain(|object| !store.contains(object));
    state.give_up(&wanted.past)?;
    repaired.gone = wanted.past.len() as u64;
    redo(state, manifest, again, &shared, &mut repaired)?;
    if repaired.mended.is_some() {
        state.forget_stripped()?;
    }
    state.end()?;
    Ok((sum, repaired))
}

/// What is to be done.
#[derive(Debug, Default)]
struct Wanted {
    damaged: Vec<Digest>,
    modes: Vec<Digest>,
    strays: Vec<PathBuf>,
    rows: bool,
    indexes: bool,
    logs: Vec<Digest>,
    /// Of superseded tasks.
    past: Vec<Digest>,
    /// Tasks that kept it.
    kept: Vec<TaskId>,
    needs: Vec<Need>,
    /// Objects that could not be read, and what is told of them.
    unreadable: Vec<(Digest, String)>,
    hopeless: Vec<String>,
    more_hopeless: u64,
}

impl Wanted {
    fn add(&mut self, finding: &Finding) {
        match finding.what {
            What::Missing | What::Damaged => {
                if finding.what == What::Damaged {
                    self.damaged.extend(finding.object);
                }
                let is_list = |need: &Need| need.by == Use::Context;
                if let Some(need) = finding.need
                    && need.by == Use::Log
                {
                    self.logs.push(need.object);
                }
                if let Some(need) = finding.need
                    && need.by == Use::Checkpoint
                {
                    self.kept.push(need.row);
                }
                if let Some(need) = finding.need
                    && matches!(need.by, Use::Past | Use::Context | Use::Files)
                {
                    self.past.push(need.object);
                }
                self.needs.extend(
                    finding
                        .need
                        .filter(|need| finding.severity == Severity::Again || is_list(need)),
                );
            }
            What::Mode => self.modes.extend(finding.object),
            What::Stray => self.strays.extend(finding.path.clone()),
            What::Row | What::Counts => self.rows = true,
            What::Index => self.indexes = true,
            // The next run is about to.
            What::Awaited
            | What::Unreadable
            | What::Input
            | What::Database
            | What::Record
            | What::Root => {}
        }
        if let (What::Unreadable, Some(object)) = (finding.what, finding.object) {
            // Perhaps because of its mode.
            self.unreadable.push((object, finding.words.clone()));
            return;
        }
        let is_hopeless = finding.severity == Severity::Lost || finding.what == What::Unreadable;
        if is_hopeless && self.hopeless.len() < TOLD {
            self.hopeless.push(finding.words.clone());
        } else if is_hopeless {
            self.more_hopeless += 1;
        }
    }

    fn mend(&self, state: &mut State, repaired: &mut Repaired) -> Result<Vec<TaskId>, Error> {
        if self.indexes {
            state.repair_indexes()?;
            repaired.indexes = true;
        }
        if !self.rows && !self.indexes {
            return Ok(Vec::new());
        }
        let (mended, makers) = state.repair_rows()?;
        repaired.mended = Some(mended);
        Ok(makers)
    }

    /// Puts aside what is damaged, and what is none of the store's.
    fn clean(&self, store: &Store, repaired: &mut Repaired) {
        for object in &self.damaged {
            repaired.aside += repaired.done(store.put_object_aside(object));
        }
        for stray in &self.strays {
            repaired.strays += repaired.done(store.put_stray_aside(stray));
        }
        for object in &self.modes {
            // Of one that was put aside there is none to be changed.
            if store.contains(object) {
                repaired.modes += repaired.done(store.give_mode(object));
            }
        }
    }

    /// Whether what could not be read can be, now that it has the mode of all.
    fn look_again(&mut self, store: &Store, how: How, repaired: &mut Repaired) {
        let depth = Depth {
            quick: how.quick,
            read: &how.progress.read,
            stop: how.stop,
        };
        for (object, words) in self.unreadable.drain(..) {
            if store.audit(&object, &depth).found != Found::Whole {
                repaired.leave(|| words);
            }
        }
    }

    /// Makes what can be made at once; the tasks that are to be executed again for the rest, and those of them that make what
    /// others make in other runsets.
    fn make(
        &self,
        state: &State,
        store: &Store,
        manifest: Option<&Manifest>,
        repaired: &mut Repaired,
        makers: Vec<TaskId>,
    ) -> Result<(BTreeSet<TaskId>, BTreeSet<TaskId>), Error> {
        let mut again = BTreeSet::new();
        let mut judge = Judge::new(state, store, manifest)?;
        let newest = state.newest_runset()?.map(|runset| runset.name);
        let is_live = |task| Ok::<_, state::Error>(state.task(task)?.filter(|row| row.live));
        for maker in makers {
            judge.begin(maker, &mut again)?;
        }
        for need in &self.needs {
            let Some(row) = is_live(need.row)? else {
                continue;
            };
            if store.contains(&need.object) {
                continue;
            }
            match start(need, &row) {
                Start::List => {
                    if write_list(state, store, manifest, need, &row)? {
                        repaired.lists += 1;
                    } else if need.by == Use::Live {
                        again.insert(row.id);
                    }
                }
                Start::Outside => {
                    let file =
                        manifest.map(|manifest| judge.file_of(manifest, row.id, &need.object));
                    if let Some(Some(path)) = file.transpose()?
                        && keep(store, &path, &need.object)
                    {
                        repaired.inputs += 1;
                    } else if newest.as_ref() == Some(&row.runset) {
                        again.insert(row.id);
                    } else {
                        repaired.leave(|| {
                            format!("an input of runset {}, which is not the newest", row.runset)
                        });
                    }
                }
                Start::Task(maker) => {
                    let (severity, why) = judge.by_running(maker)?;
                    if severity == Severity::Lost {
                        repaired.leave(|| why.unwrap_or_default());
                    } else {
                        judge.begin(maker, &mut again)?;
                    }
                }
            }
        }
        let mut shared = BTreeSet::new();
        for (need, row) in self.in_other_runsets(state)? {
            // Who cannot make it has it from those who can.
            if let Start::Task(maker) = start(&need, &row)
                && !store.contains(&need.object)
                && judge.by_running(maker)?.0 != Severity::Lost
            {
                judge.begin(maker, &mut shared)?;
                if let Some(told) = is_live(need.row)?
                    && let Start::Task(maker) = start(&need, &told)
                {
                    judge.begin(maker, &mut shared)?;
                }
            }
        }
        again.extend(&shared);
        Ok((again, shared))
    }

    /// What is told of one row, the newest, is needed by others: with one of each other runset.
    fn in_other_runsets(&self, state: &State) -> Result<Vec<(Need, TaskRow)>, Error> {
        // By what the row has: the object, or the list that it is in.
        let mut wanted: HashMap<Digest, Vec<(Need, String)>> = HashMap::new();
        for need in &self.needs {
            if let Some(row) = state.task(need.row)?
                && row.live
                && need.by == Use::Live
            {
                let has = if need.within { row.object } else { need.object };
                wanted.entry(has).or_default().push((*need, row.runset));
            }
        }
        let objects: HashSet<Digest> = wanted.keys().copied().collect();
        if objects.is_empty() {
            return Ok(Vec::new());
        }
        let mut others = Vec::new();
        for (object, row) in state.in_each_runset(&objects)? {
            let Some(row) = state.task(row)? else {
                continue;
            };
            for (need, runset) in wanted.get(&object).into_iter().flatten() {
                if *runset != row.runset {
                    others.push((*need, row.clone()));
                }
            }
        }
        Ok(others)
    }
}

/// Writes a list again that follows from what is recorded; whether it is there now.
fn write_list(
    state: &State,
    store: &Store,
    manifest: Option<&Manifest>,
    need: &Need,
    row: &TaskRow,
) -> Result<bool, Error> {
    if row.context != Some(need.object) {
        if let Some(group) = state.group_of_task(row.id)? {
            // That it is another one by now is no reason to stop.
            let _ = engine::list_of(state, Some(store), group);
        }
        return Ok(store.contains(&need.object));
    }
    let (Some(manifest), Some(step)) = (manifest, &row.step) else {
        return Ok(false);
    };
    let versions = state.versions(&step.name)?;
    let version = versions.into_iter().find(|version| version.id == step.id);
    let identity = version
        .and_then(|version| version.identity)
        .unwrap_or_default();
    let names = identity.with.iter();
    let with: Vec<StepName> = names.filter_map(|name| StepName::new(name).ok()).collect();
    let Some(runset) = state.runset(&row.runset)? else {
        return Ok(false);
    };
    let whole = engine::context(state, &manifest.router, &runset, &with)?;
    let alone = list::each_alone(&whole).into_iter().map(|(_, list)| list);
    for text in std::iter::once(whole.clone()).chain(alone) {
        if Digest::of(text.as_bytes()) == need.object {
            return Ok(store.insert_bytes(text.as_bytes()).is_ok());
        }
    }
    Ok(false)
}

/// Takes a file into the store; whether that is the object.
fn keep(store: &Store, path: &std::path::Path, object: &Digest) -> bool {
    let never = AtomicBool::new(false);
    File::open(path).is_ok_and(|mut file| {
        let kept = store.keep_copy(Entry::from(path), &mut file, &never, |_| ());
        kept.is_ok_and(|kept| kept.digest == *object)
    })
}

/// Has the tasks executed again, each in its runset; of those that are `shared` the first one that has its turn: the others
/// take over what it left. What a start task leaves is its runset's own.
fn redo(
    state: &mut State,
    manifest: Option<&Manifest>,
    again: BTreeSet<TaskId>,
    shared: &BTreeSet<TaskId>,
    repaired: &mut Repaired,
) -> Result<(), Error> {
    let mut by_runset: BTreeMap<(String, bool), Vec<TaskId>> = BTreeMap::new();
    for task in again {
        if let Some(row) = state.task(task)?
            && row.live
            && row.state.is_finished()
        {
            let is_start = row.parent.is_none() && state.entry_of(task)?.is_none();
            let forced = is_start || !shared.contains(&task);
            by_runset
                .entry((row.runset, forced))
                .or_default()
                .push(task);
        }
    }
    let mut current: Vec<StepId> = Vec::new();
    for name in state.step_names()? {
        if manifest.is_none_or(|manifest| manifest.steps.contains(&name)) {
            current.extend(state.current_version(&name)?.map(|version| version.id));
        }
    }
    let newest = state.newest_runset()?.map(|runset| runset.name);
    for ((name, forced), tasks) in by_runset {
        let Some(runset) = state.runset(&name)? else {
            continue;
        };
        let (count, left) = state.redo_all(&runset, &current, &tasks, forced)?;
        repaired.tasks += count;
        for task in left {
            repaired.leave(|| {
                format!("task #{task} cannot run again: its step is in the manifest no more")
            });
        }
        if count > 0 && newest.as_ref() != Some(&name) {
            repaired.runsets.insert(name.shown().to_string());
        }
    }
    Ok(())
}
