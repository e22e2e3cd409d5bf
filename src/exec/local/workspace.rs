//! A worker's folder: the private input, the output folder and the temporary one of its task, and
//! the one with the files of its input, where it has such.
//!
//! They serve one task after the other, for making and removing folders costs as much as a
//! quarter of starting a shell. That is only done while it is certain that no process of an
//! earlier task is alive, that they are the ones that were made and empty, and that their modes
//! are as they were made. Otherwise the next task gets new ones under a name that no earlier
//! script has heard of.

mod end;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::given::{Filler, Given, Leads, Standing};
use super::state_dir::{Basis, StateDir};
use crate::folder::{Entry, Folder, is_self, remove_all, shown};
use crate::model::digest::Digest;
use crate::model::list::Form;
use crate::model::name::StepName;
use crate::model::tree;
use crate::store::{self, GoOn, SharedOutput, Store, TO_THE_END};
use crate::sys::Look;
use crate::text::Shown as _;

#[derive(Debug)]
pub(super) struct Workspace {
    scratch: Arc<Folder>,
    worker: usize,
    generation: u32,
    made: Option<Made>,
    /// The output folder as the present task left it.
    left: Option<Look>,
    /// When the present task began, since 1970.
    began: Duration,
    /// Whether its input was removed.
    released: bool,
    /// What its input is.
    input_kind: InputKind,
    /// The folders that it has besides: with the files of its input, and with what other steps left.
    more: Vec<&'static str>,
    /// What other steps left, as it stays for a task that is to get the same.
    standing: Option<Standing>,
    /// Whether the present task is in a sandbox.
    sandboxed: bool,
    /// What links lead to that the present task is given.
    leads: Leads,
    /// What the present task keeps from try to try, if it does.
    state: StateDir,
    input: PathBuf,
    files: PathBuf,
    given: PathBuf,
    /// Of what is in there, the only one.
    given_file: PathBuf,
    output: PathBuf,
    temporary: PathBuf,
}

/// What is at `INPUT_FILE`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum InputKind {
    /// A file, over which the next one can be written.
    #[default]
    File,
    /// A link to what is lent.
    Link,
    /// A folder.
    Folder,
}

/// The folders, as they were made.
#[derive(Debug)]
struct Made {
    /// The one that the others are in.
    folder: Arc<Folder>,
    /// Its rights, as it was made.
    mode: u32,
    output: Arc<Folder>,
    output_look: Look,
    temporary_look: Look,
}

const INPUT: &str = "input";
const FILES: &str = "files";
const GIVEN: &str = "with";
const OUTPUT: &str = "out";
const TEMPORARY: &str = "tmp";

impl Made {
    fn new(scratch: &Folder, name: &str) -> Result<Self, store::Error> {
        let make = |parent: &Folder, name: &str| {
            let entry = parent.entry(name);
            let made = parent.make(name);
            let made = made.map_err(store::io_error("make the folder", entry))?;
            let look = made.look().map_err(store::io_error("look at", entry))?;
            Ok::<_, store::Error>((made, look))
        };
        let (folder, look) = make(scratch, name)?;
        let (output, output_look) = make(&folder, OUTPUT)?;
        let (_, temporary_look) = make(&folder, TEMPORARY)?;
        Ok(Self {
            folder: Arc::new(folder.keep()),
            mode: look.mode,
            output: Arc::new(output.keep()),
            output_look,
            temporary_look,
        })
    }
}

impl Workspace {
    /// Of this worker, in the folder of the run.
    pub(super) fn new(scratch: Arc<Folder>, worker: usize) -> Self {
        let mut own = Self {
            scratch,
            worker,
            generation: 0,
            made: None,
            left: None,
            began: Duration::ZERO,
            released: false,
            input_kind: InputKind::File,
            more: Vec::new(),
            standing: None,
            sandboxed: false,
            leads: Leads::default(),
            state: StateDir::default(),
            input: PathBuf::new(),
            files: PathBuf::new(),
            given: PathBuf::new(),
            given_file: PathBuf::new(),
            output: PathBuf::new(),
            temporary: PathBuf::new(),
        };
        own.rename();
        own
    }

    /// The folder that all of these are in.
    pub(super) fn folder(&self) -> &Path {
        self.input.parent().unwrap_or(&self.input)
    }

    /// What links lead to that the present task is given: files outside its folder.
    pub(super) fn leads(&self) -> &Leads {
        &self.leads
    }

    /// Whether nothing is in there but what was made for tasks.
    fn is_tidy(&self, made: &Made) -> bool {
        let always = [INPUT, OUTPUT, TEMPORARY];
        let stands = self.standing.is_some();
        let state = self.state.name();
        let known = |name: &str| {
            always.contains(&name)
                || self.more.contains(&name)
                || name == GIVEN && stands
                || state == Some(name)
        };
        let has_rights = made.folder.look().is_ok_and(|look| look.mode == made.mode);
        has_rights
            && made.folder.names().is_ok_and(|mut names| {
                names.all(|name| {
                    name.is_ok_and(|name| {
                        is_self(name.file_name())
                            || shown(name.file_name()).to_str().is_some_and(known)
                    })
                })
            })
    }

    /// `INPUT_FILE`.
    pub(super) fn input(&self) -> &Path {
        &self.input
    }

    /// `INPUT_DIR`, where there is one.
    pub(super) fn input_dir(&self) -> &Path {
        &self.files
    }

    /// `WITH_FILE`, where there is one.
    pub(super) fn with_file(&self) -> &Path {
        &self.given_file
    }

    /// `WITH_DIR`, where there is one.
    pub(super) fn with_dir(&self) -> &Path {
        &self.given
    }

    /// `OUTPUT_DIR`.
    pub(super) fn output(&self) -> &Path {
        &self.output
    }

    /// `TMPDIR`.
    pub(super) fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// A place for a file of the worker's own, on the store's file system.
    pub(super) fn own_file(&self, name: &str) -> PathBuf {
        let name = format!("w{}-{name}", self.worker);
        self.scratch.path().join(name)
    }

    /// Makes all ready for a task that works on `input`; `dir`: whether it has `INPUT_DIR`. What is
    /// there once that failed goes with the next task, or with the workspace.
    pub(super) fn begin(
        &mut self,
        store: &Store,
        (input, form): (&Digest, Form),
        dir: bool,
        go_on: GoOn,
    ) -> Result<(), store::Error> {
        let given = Given::without_files(store, input, form)?;
        let loan = store.borrow(&given.main)?;
        let entry = self.prepare()?.folder.entry(INPUT);
        if given.folder {
            self.unfold(store, &given.main, go_on)?;
        } else if given.main == Digest::EMPTY {
            let _ = entry.remove();
            entry.create().map_err(store::io_error("make", entry))?;
        } else if let Some(loan) = loan {
            let _ = entry.remove();
            let led = entry.lead_to(loan.path());
            led.map_err(store::io_error("make the link", entry))?;
            self.input_kind = InputKind::Link;
            self.leads.loans.push(loan);
        } else {
            store.copy_out(&given.main, entry)?;
        }
        match form {
            _ if !dir => Ok(()),
            Form::File | Form::Folder => self.fill(store, [], go_on),
            Form::List => self.fill(store, store.list(input)?, go_on),
        }
    }

    /// The same for a task whose input is lent to it; whether that is still to be had.
    pub(super) fn begin_early(
        &mut self,
        store: &Store,
        shared: &SharedOutput,
        dir: bool,
    ) -> Result<bool, store::Error> {
        let lent = shared.lend(self.prepare()?.folder.entry(INPUT))?;
        if lent && dir {
            self.fill(store, [], TO_THE_END)?;
        }
        Ok(lent)
    }

    fn unfold(&mut self, store: &Store, tree: &Digest, go_on: GoOn) -> Result<(), store::Error> {
        self.input_kind = InputKind::Folder;
        match &self.made {
            Some(made) => {
                let _ = made.folder.entry(INPUT).remove();
                store.unfold(tree, &made.folder, INPUT, go_on).map(drop)
            }
            None => Ok(()),
        }
    }

    fn fill(
        &mut self,
        store: &Store,
        files: impl IntoIterator<Item = Result<tree::Entry, store::Error>>,
        go_on: GoOn,
    ) -> Result<(), store::Error> {
        self.more.push(FILES);
        if let Some(made) = &self.made {
            let filler = Filler::for_task(store, self.sandboxed, go_on);
            self.leads.append(filler.fill(&made.folder, FILES, files)?);
        }
        Ok(())
    }

    /// What was done to a file outside that was lent to the present task, in words that end before
    /// "while"; none if nothing was. Fails if it has other bytes now.
    pub(super) fn touched(&self, store: &Store) -> Result<Option<String>, store::Error> {
        let touched = store.touched(&self.leads.loans)?;
        Ok(touched.map(|path| format!("{} was written or replaced", path.shown())))
    }

    /// Before a task begins that is to get what these steps left by that list, if anything: removes what one
    /// before it was given, if that is something else. One in a `sandbox` finds nothing that an earlier task left
    /// beside its own folders, and of one in a sandbox nobody does.
    pub(super) fn expect(&mut self, with: Option<(&Digest, &[StepName])>, sandbox: bool) {
        let before = std::mem::replace(&mut self.sandboxed, sandbox);
        let Some(made) = &self.made else {
            return;
        };
        // Programs look for their settings in the folders above, too.
        if (sandbox || before) && !self.is_tidy(made) {
            return self.discard();
        }
        let Some(standing) = &self.standing else {
            return;
        };
        let place = made.folder.entry(GIVEN);
        let stays = match with {
            // Of links: a sandbox shows only those that it is told of.
            Some((list, steps)) => {
                !sandbox && standing.has(list, steps) && standing.is_as_it_was(place)
            }
            None => !sandbox,
        };
        if !stays {
            let is_gone = remove_all(place);
            self.standing = None;
            if !is_gone {
                self.discard();
            }
        }
    }

    /// Makes ready what these steps left by that list, for a task that has begun as [expected](Self::expect).
    pub(super) fn give(
        &mut self,
        store: &Store,
        list: &Digest,
        steps: &[StepName],
        go_on: GoOn,
    ) -> Result<(), store::Error> {
        self.more.push(GIVEN);
        if let Some(made) = &self.made {
            let filler = Filler::for_task(store, self.sandboxed, go_on);
            let files = store.list(list)?;
            if self.standing.is_some() {
                return filler.check(files);
            }
            let left = filler.fill_by_steps(&made.folder, GIVEN, files, steps)?;
            self.standing = left.standing(list, steps);
            self.leads.append(left.leads);
            if let Some(only) = left.only {
                self.given_file = self.given.join(&*only);
            }
        }
        Ok(())
    }

    /// Makes the folder that the task keeps from try to try ready: [`StateDir::begin`].
    pub(super) fn begin_state(
        &mut self,
        store: &Store,
        basis: Basis,
        kept: Option<&Digest>,
        go_on: GoOn,
    ) -> Result<(), store::Error> {
        let name = self.name();
        match &self.made {
            Some(made) => {
                let place = (&self.scratch, &*name, &made.folder);
                self.state.begin(store, place, basis, kept, go_on)
            }
            None => Ok(()),
        }
    }

    /// That folder.
    pub(super) fn state(&self) -> &StateDir {
        &self.state
    }

    /// That folder, for one who takes it over.
    pub(super) fn state_mut(&mut self) -> &mut StateDir {
        &mut self.state
    }

    /// Removes what was made for an input besides a file; whether it is gone.
    fn remove_input(&mut self) -> bool {
        self.leads = Leads::default();
        let input = std::mem::take(&mut self.input_kind);
        let more = std::mem::take(&mut self.more);
        let has_no_state = self.state.remove();
        let Some(made) = &self.made else {
            return true;
        };
        if !has_no_state {
            return false;
        }
        let entry = made.folder.entry(INPUT);
        match input {
            InputKind::File => {}
            InputKind::Link => self.released = entry.remove().is_ok(),
            InputKind::Folder => self.released = remove_all(entry),
        }
        let is_gone = input == InputKind::File || self.released;
        if let Some(standing) = &self.standing
            && more.contains(&GIVEN)
            && !standing.is_as_it_was(made.folder.entry(GIVEN))
        {
            self.standing = None;
        }
        let stays = self.standing.is_some();
        let mut gone = more.iter().filter(|name| **name != GIVEN || !stays);
        is_gone && gone.all(|name| remove_all(made.folder.entry(name)))
    }

    fn prepare(&mut self) -> Result<&Made, store::Error> {
        self.began = since_1970(SystemTime::now());
        self.left = None;
        // That of one that could not be made ready.
        if !self.remove_input() {
            self.discard();
        }
        self.released = false;
        // What the attempt before this one may have left, if there was one.
        if self.made.is_none() && !remove_all(self.scratch.entry(&self.name())) {
            self.generation += 1;
            self.rename();
        }
        let name = self.name();
        match &mut self.made {
            Some(made) => Ok(made),
            none => Ok(none.insert(Made::new(&self.scratch, &name)?)),
        }
    }

    fn input_entry(&self) -> Option<Entry<'_>> {
        self.made.as_ref().map(|made| made.folder.entry(INPUT))
    }

    /// Removes everything and goes on under a new name.
    fn discard(&mut self) {
        self.made = None;
        self.standing = None;
        self.more.clear();
        self.leads = Leads::default();
        self.input_kind = InputKind::File;
        remove_all(self.scratch.entry(&self.name()));
        self.generation += 1;
        self.rename();
    }

    /// Of the folder that the others are in.
    fn name(&self) -> String {
        format!("w{}-{}", self.worker, self.generation)
    }

    fn rename(&mut self) {
        let folder = self.scratch.path().join(self.name());
        self.input = folder.join(INPUT);
        self.files = folder.join(FILES);
        self.given = folder.join(GIVEN);
        self.output = folder.join(OUTPUT);
        self.temporary = folder.join(TEMPORARY);
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        remove_all(self.scratch.entry(&self.name()));
    }
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
