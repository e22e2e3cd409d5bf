//! Objects that a worker lacks, asked of the run.

use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::line::Line;
use super::shelf::Use;
use crate::exec::local::Runnable;
use crate::exec::transfer::{Incoming, each_within};
use crate::folder::{Entry, Folder};
use crate::model::digest::Digest;
use crate::model::list::Form;
use crate::model::tree::Kind;
use crate::store::{self, Store};
use crate::sys::Shortage;
use crate::wire::message::{TaskSpec, ToOwner};

/// See the module.
pub(super) struct Fetch<'a> {
    store: &'a Store,
    line: Line<'a>,
    state: Mutex<State<'a>>,
    changed: Condvar,
}

struct State<'a> {
    /// What was asked for and is not there.
    asked: HashMap<Digest, Asked>,
    incoming: Incoming<'a, Digest>,
    over: bool,
}

/// What is known of something that was asked for.
enum Asked {
    /// It is to come.
    Comes,
    /// It lies there, for whoever waits for it.
    There(PathBuf),
    /// It cannot be had: why.
    Absent(Unready),
}

/// Why something of a task is not ready here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unready {
    /// There is no room for it.
    Room(String),
    /// All else.
    Other(String),
}

impl Unready {
    /// Of an error in these words.
    pub(super) fn of(shortage: Option<Shortage>, why: String) -> Self {
        match shortage {
            Some(of) if of.is_of_disk() => Self::Room(why),
            _ => Self::Other(why),
        }
    }
}

impl From<String> for Unready {
    fn from(why: String) -> Self {
        Self::Other(why)
    }
}

impl From<&str> for Unready {
    fn from(why: &str) -> Self {
        Self::Other(why.to_owned())
    }
}

impl From<store::Error> for Unready {
    fn from(error: store::Error) -> Self {
        Self::of(error.shortage(), error.to_string())
    }
}

/// Objects that are asked for at once.
const STRETCH: usize = 512;

impl<'a> Fetch<'a> {
    pub(super) fn new(store: &'a Store, folder: &'a Arc<Folder>, line: Line<'a>) -> Self {
        Self {
            store,
            line,
            state: Mutex::new(State {
                asked: HashMap::new(),
                incoming: Incoming::new(store, folder, "owner".to_owned()),
                over: false,
            }),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<'a>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has(&self, digest: &Digest) -> bool {
        self.store.contains(digest)
    }

    /// Asks for it, without waiting for it.
    pub(super) fn begin(&self, digest: &Digest) {
        self.ask(&[*digest]);
    }

    /// Asks for those that are not here, and were not asked for; those that are still to come.
    fn ask(&self, digests: &[Digest]) -> Vec<Digest> {
        let missing = digests.iter().filter(|digest| !self.has(digest));
        let missing: Vec<Digest> = missing.copied().collect();
        if missing.is_empty() {
            return missing;
        }
        let mut state = self.lock();
        let mut new = Vec::new();
        for digest in &missing {
            // What was told to be absent may be there by now.
            if !matches!(
                state.asked.get(digest),
                Some(Asked::Comes | Asked::There(_))
            ) {
                state.asked.insert(*digest, Asked::Comes);
                new.push(*digest);
            }
        }
        drop(state);
        if !new.is_empty() {
            self.line.say(&ToOwner::Need(new));
        }
        missing
    }

    /// Has all of these here; or says why that cannot be.
    fn all(&self, digests: &[Digest], used: &Use) -> Result<(), Unready> {
        // Before anybody looks whether it is there.
        used.hold(digests);
        let missing = self.ask(digests);
        let mut state = self.lock();
        for digest in missing {
            loop {
                let over = state.over;
                match state.asked.get_mut(&digest) {
                    None => break,
                    Some(Asked::Absent(why)) => return Err(why.clone()),
                    Some(_) if over => return Err("the run is over".into()),
                    Some(asked @ Asked::There(_)) => {
                        // Nobody else is to copy it.
                        let there = std::mem::replace(asked, Asked::Comes);
                        drop(state);
                        self.copy(&digest, there);
                        state = self.lock();
                    }
                    Some(Asked::Comes) => {
                        let waited = self.changed.wait(state);
                        state = waited.unwrap_or_else(PoisonError::into_inner);
                    }
                }
            }
        }
        drop(state);
        used.came(digests);
        Ok(())
    }

    /// A piece of an object came.
    pub(super) fn piece(&self, digest: Digest, bytes: &[u8], last: bool) {
        let mut state = self.lock();
        let why = match state.incoming.add(digest, bytes, last) {
            Ok(None) => return,
            Ok(Some(found)) if found == digest => None,
            Ok(Some(found)) => Some(Unready::Other(format!(
                "object {digest} came with bytes that hash to {found}"
            ))),
            Err(error) => Some(Unready::of(error.shortage(), error.to_string())),
        };
        match why {
            None => state.asked.remove(&digest),
            Some(why) => state.asked.insert(digest, Asked::Absent(why)),
        };
        drop(state);
        self.changed.notify_all();
    }

    /// An object lies where this machine can read it.
    pub(super) fn there(&self, digest: Digest, path: PathBuf) {
        self.lock().asked.insert(digest, Asked::There(path));
        self.changed.notify_all();
    }

    /// Takes an object from where it lies, or asks for its bytes.
    fn copy(&self, digest: &Digest, there: Asked) {
        let Asked::There(path) = there else {
            return;
        };
        let never = AtomicBool::new(false);
        let copied = File::open(&path).is_ok_and(|mut file| {
            let entry = Entry::from(&path);
            let kept = self.store.keep_copy(entry, &mut file, &never, |_| ());
            kept.is_ok_and(|kept| kept.digest == *digest)
        });
        if copied {
            self.lock().asked.remove(digest);
            self.changed.notify_all();
        } else {
            self.line.say(&ToOwner::NeedBytes(vec![*digest]));
        }
    }

    /// An object cannot be had.
    pub(super) fn absent(&self, digest: Digest, why: String) {
        self.lock()
            .asked
            .insert(digest, Asked::Absent(Unready::Other(why)));
        self.changed.notify_all();
    }

    /// Waits until all that was asked for so far has come: it takes room, whoever asked may want it no more.
    pub(super) fn settle(&self) {
        let mut state = self.lock();
        while !state.over && state.asked.values().any(|of| matches!(of, Asked::Comes)) {
            let waited = self.changed.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Nobody waits any more.
    pub(super) fn end(&self) {
        self.lock().over = true;
        self.changed.notify_all();
    }

    /// Has all here that a task works on; or says why that cannot be.
    pub(super) fn all_of(
        &self,
        task: &TaskSpec,
        step: &Runnable,
        used: &Use,
    ) -> Result<(), Unready> {
        self.all(&[task.input], used)?;
        let form = Form::of(task.form).ok_or("what the input is makes no sense")?;
        match form {
            Form::File => {}
            Form::Folder => self.within(&task.input, form, used)?,
            Form::List => {
                let given = crate::exec::local::Given::without_files(self.store, &task.input, form);
                let main = given?.main;
                self.all(&[main], used)?;
                if step.input_dir {
                    self.listed(&task.input, used)?;
                }
            }
        }
        if let Some(tree) = &task.checkpoint {
            self.all(&[*tree], used)?;
            self.within(tree, Form::Folder, used)?;
        }
        if let Some(context) = &task.context {
            self.all(&[*context], used)?;
            self.listed(context, used)?;
        }
        Ok(())
    }

    /// Has the list of a folder here, and all that is in it.
    pub(super) fn folder(&self, tree: &Digest, used: &Use) -> Result<(), Unready> {
        self.all(&[*tree], used)?;
        self.within(tree, Form::Folder, used)
    }

    /// Files and folders of a list.
    fn listed(&self, list: &Digest, used: &Use) -> Result<(), Unready> {
        self.within(list, Form::List, used)?;
        for entry in self.store.list(list)? {
            let entry = entry?;
            if entry.kind == Kind::Folder {
                self.within(&entry.digest, Form::Folder, used)?;
            }
        }
        Ok(())
    }

    fn within(&self, digest: &Digest, form: Form, used: &Use) -> Result<(), Unready> {
        let mut stretch = Vec::new();
        let mut wrong = None;
        let mut fetch = |stretch: &mut Vec<Digest>| {
            if wrong.is_none() {
                wrong = self.all(stretch, used).err();
            }
            stretch.clear();
        };
        let mut each = |digest: &Digest| {
            stretch.push(*digest);
            if stretch.len() >= STRETCH {
                fetch(&mut stretch);
            }
            Ok(())
        };
        let read = each_within(self.store, digest, form, &mut each);
        fetch(&mut stretch);
        match (read, wrong) {
            (_, Some(why)) => Err(why),
            (Err(error), None) => Err(error.into()),
            (Ok(()), None) => Ok(()),
        }
    }
}
