//! Packages of steps on this machine: what its store lacks of them is asked of the run, once, whoever needs it, and is
//! held as long as the worker is there.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rustix::fs::{FlockOperation, flock};

use super::line::Line;
use crate::model::environment::Environment;
use crate::packages::copy;
use crate::wire::message::ToOwner;

/// See the module.
pub(super) struct Packages<'a> {
    line: Line<'a>,
    /// From where they come rather than from the run.
    cache: Option<String>,
    /// The worker's own.
    place: &'a Path,
    /// By the number of the step.
    asked: Mutex<HashMap<u32, Asked>>,
    came: Condvar,
    /// One at a time, of this worker.
    copies: Mutex<()>,
    over: Mutex<bool>,
}

/// What came of a question.
enum Asked {
    Nothing,
    /// All that the packages need.
    Needs(Vec<String>),
    /// A part of the bytes.
    Part(File),
    /// All of them.
    All(File),
    Failed(String),
}

impl<'a> Packages<'a> {
    pub(super) fn new(line: Line<'a>, place: &'a Path, cache: Option<String>) -> Self {
        Self {
            line,
            cache,
            place,
            asked: Mutex::default(),
            came: Condvar::new(),
            copies: Mutex::default(),
            over: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u32, Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the packages of a step here, and held; or says why that cannot be.
    pub(super) fn have(&self, step: u32, environment: &Environment) -> Result<(), String> {
        let packages = environment.packages.iter();
        let mut paths: Vec<String> = packages
            .flat_map(|package| package.store_paths.iter().cloned())
            .collect();
        paths.sort();
        paths.dedup();
        let _one = self.copies.lock().unwrap_or_else(PoisonError::into_inner);
        let link = self.place.join(format!("packages-{step}"));
        if missing(environment).is_none() {
            // Where that cannot be, somebody else has to keep them: they are there without this worker.
            if copy::has_nix() {
                let _ = copy::hold(&paths, &link);
            }
            if missing(environment).is_none() {
                return Ok(());
            }
        }
        if let (Some(path), false) = (missing(environment), copy::has_nix()) {
            return Err(format!(
                "{path}, in which are packages of the step, is not on this machine, and there is no Nix here to copy \
                 it to; install Nix there, or have the step run elsewhere (`executor`)"
            ));
        }
        // Other workers of this machine copy the same.
        let _lock = self.of_machine();
        self.copy(step, &paths)?;
        copy::hold(&paths, &link).map_err(|error| error.to_string())?;
        match missing(environment) {
            None => Ok(()),
            Some(path) => Err(format!(
                "{path} is not there after all that the step's packages need was copied: has this machine another \
                 store than /nix/store?"
            )),
        }
    }

    /// Copies what is missing.
    fn copy(&self, step: u32, paths: &[String]) -> Result<(), String> {
        let told = |error: copy::CopyError| error.to_string();
        if copy::missing(paths).map_err(told)?.is_empty() {
            return Ok(());
        }
        // What is not in there, or cannot be had from there, comes through the connection.
        let cached = self.cache.as_ref().map(|url| copy::fetch(url, paths));
        match cached {
            Some(Ok(())) => Ok(()),
            None => self.copy_here(step),
            Some(Err(why)) => self
                .copy_here(step)
                .map_err(|error| format!("{error}; and not from the cache, either: {why}")),
        }
    }

    /// Copies what is missing through the connection.
    fn copy_here(&self, step: u32) -> Result<(), String> {
        let told = |error: copy::CopyError| error.to_string();
        let Asked::Needs(all) = self.ask(step, &ToOwner::Lacks(step))? else {
            return Err("the run said something else than what packages need".to_owned());
        };
        let lacking = copy::missing(&all).map_err(told)?;
        if lacking.is_empty() {
            return Ok(());
        }
        let Asked::All(mut file) = self.ask(step, &ToOwner::NeedPackages(step, lacking))? else {
            return Err("the run sent something else than packages".to_owned());
        };
        file.rewind()
            .map_err(|error| format!("cannot read what came of packages: {error}"))?;
        copy::import(file).map_err(|error| {
            format!(
                "the packages of the step cannot be taken into this machine's store: {error}; its Nix takes them \
                 from users that are in its `trusted-users`"
            )
        })
    }

    /// Asks the run, and waits for its answer.
    fn ask(&self, step: u32, question: &ToOwner) -> Result<Asked, String> {
        self.lock().insert(step, Asked::Nothing);
        self.line.say(question);
        let mut asked = self.lock();
        loop {
            match asked.remove(&step) {
                Some(waits @ (Asked::Nothing | Asked::Part(_))) => {
                    if *self.over.lock().unwrap_or_else(PoisonError::into_inner) {
                        return Err("the run is over".to_owned());
                    }
                    asked.insert(step, waits);
                    let waited = self.came.wait(asked);
                    asked = waited.unwrap_or_else(PoisonError::into_inner);
                }
                Some(Asked::Failed(why)) => {
                    return Err(format!("the packages of the step cannot be had: {why}"));
                }
                Some(answer) => return Ok(answer),
                None => return Err("the run did not answer".to_owned()),
            }
        }
    }

    fn answered(&self, step: u32, answer: Asked) {
        if let Some(asked) = self.lock().get_mut(&step) {
            *asked = answer;
        }
        self.came.notify_all();
    }

    /// The run says what packages need.
    pub(super) fn needs(&self, step: u32, all: Vec<String>) {
        self.answered(step, Asked::Needs(all));
    }

    /// A piece of packages came.
    pub(super) fn piece(&self, step: u32, bytes: &[u8], last: bool) {
        let mut asked = self.lock();
        let file = match asked.remove(&step) {
            Some(Asked::Part(file)) => Ok(file),
            Some(Asked::Nothing) => tempfile::tempfile_in(self.place),
            // It goes on after it has failed.
            Some(other) => {
                asked.insert(step, other);
                return;
            }
            None => return,
        };
        let written = file.and_then(|mut file| file.write_all(bytes).map(|()| file));
        let answer = match written {
            Ok(file) if last => Asked::All(file),
            Ok(file) => Asked::Part(file),
            Err(error) => Asked::Failed(format!("cannot write what comes of them: {error}")),
        };
        asked.insert(step, answer);
        drop(asked);
        self.came.notify_all();
    }

    /// They cannot be had.
    pub(super) fn absent(&self, step: u32, why: String) {
        self.answered(step, Asked::Failed(why));
    }

    /// Nobody waits any more.
    pub(super) fn end(&self) {
        let asked = self.lock();
        *self.over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        drop(asked);
        self.came.notify_all();
    }

    /// Held while packages are copied to this machine. Where nobody can have it, Nix sees to it that all goes well.
    fn of_machine(&self) -> Option<File> {
        let user = rustix::process::getuid().as_raw();
        let name = format!("task-pipeline-packages-{user}");
        let path: PathBuf = self.place.parent()?.join(name);
        let mut open = OpenOptions::new();
        open.write(true).create(true).truncate(false).mode(0o600);
        let nofollow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0);
        let file = open.custom_flags(nofollow).open(path).ok()?;
        flock(&file, FlockOperation::LockExclusive).ok()?;
        Some(file)
    }
}

/// A folder with programs that is not on this machine.
fn missing(environment: &Environment) -> Option<&str> {
    let mut paths = environment.path.iter();
    let missing = paths.find(|path| !Path::new(path).exists());
    missing.map(String::as_str)
}
