//! `-watch`: runs again whenever something changes that the pipeline is made of.
//!
//! Files are looked at now and then, those that the manifest names and no others. That holds on every file system and
//! system, those over a network too, where nobody would tell of changes; and what is not named wakes nobody up.
//!
//! Each run is a process of its own, in a group of its own: a signal reaches it once, from here.

use std::cell::RefCell;
use std::ffi::OsString;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::arguments::Arguments;
use super::error::{Failure, signal_status};
use crate::files::{self, Root};
use crate::inputs::{Inputs, Outside};
use crate::manifest::Texts;
use crate::model::file::Stat;
use crate::model::glob::Glob;
use crate::model::installable::Kind;
use crate::out;
use crate::prepare::Source;
use crate::text::{amount, visible};

/// How long nothing must change until a change is over: an editor that saves writes, renames, removes.
const SETTLED: Duration = Duration::from_millis(300);
/// How often it is looked whether a run is over.
const TICK: Duration = Duration::from_millis(50);
/// Looking takes no more than this part of the time.
const PART: u32 = 20;
/// Between two times that commands of inputs are asked, at least.
const ASKED: Duration = Duration::from_secs(10);
/// Files that are named when they change.
const NAMED: usize = 3;

/// Runs, and runs again, until a signal ends it. `words`: the command line, with two dashes.
pub(super) fn main(arguments: &Arguments, words: &[OsString]) -> Result<ExitCode, Failure> {
    let manifest = arguments.places.manifest()?;
    let program =
        std::env::current_exe().map_err(|error| Failure::cannot("find this program", &error))?;
    let place = Place {
        manifest,
        db: arguments.places.db.clone(),
        workdir: arguments.places.workdir.clone(),
        said: RefCell::default(),
    };
    let ear = Ear::new()?;
    let mut words = words.iter().skip(1).filter(|word| *word != "--watch");
    let words: Vec<&OsString> = words.by_ref().collect();
    loop {
        let mut seen = place.look();
        let mut command = Command::new(&program);
        command.args(&words).process_group(0);
        let child = command
            .spawn()
            .map_err(|error| Failure::cannot("start a run", &error))?;
        let status = ear.wait(child)?;
        if let Some(signal) = ear.ended() {
            return Ok(ExitCode::from(signal_status(signal)));
        }
        if let Some(signal) = status.signal() {
            return Err(Failure::usage(format!(
                "the run was ended by {}",
                crate::sys::signal_name(signal)
            )));
        }
        // The run may have written it.
        seen.lock = place.lock();
        out::tell(&match seen.texts {
            None => "waiting for a change of the manifest (Ctrl-C ends)\n".to_owned(),
            Some(_) => seen.watched(),
        });
        let Some(changed) = ear.until_change(&place, &seen) else {
            let signal = ear.ended().unwrap_or(SIGINT);
            return Ok(ExitCode::from(signal_status(signal)));
        };
        out::tell(&format!("changed: {changed}; running again\n"));
    }
}

/// What is looked at.
struct Place {
    manifest: PathBuf,
    db: PathBuf,
    workdir: Option<PathBuf>,
    /// What commands of inputs said when they were asked last.
    said: RefCell<Said>,
}

/// What commands of inputs said.
#[derive(Default)]
struct Said {
    texts: Option<Texts>,
    /// When they are asked again.
    due: Option<Instant>,
    words: Vec<String>,
}

/// What there was to see.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    /// None where the manifest cannot be read as one; the bytes then.
    texts: Option<Texts>,
    bytes: Option<Vec<u8>>,
    lock: Option<Vec<u8>>,
    /// Sorted by path.
    files: Vec<(Box<str>, Stat)>,
    /// What the commands of inputs say.
    said: Vec<String>,
}

impl Place {
    fn lock(&self) -> Option<Vec<u8>> {
        std::fs::read(self.manifest.with_extension("lock")).ok()
    }

    fn look(&self) -> Seen {
        let mut seen = Seen {
            lock: self.lock(),
            ..Seen::default()
        };
        match Source::load(&self.manifest) {
            Ok(mut source) => {
                if let Some(folder) = &self.workdir {
                    source.folder.clone_from(folder);
                }
                let outside = outside(&source, &self.db);
                seen.files = files(&source, &outside);
                seen.said = self.said(&source, &outside);
                seen.texts = Some(source.texts);
            }
            Err(_) => seen.bytes = std::fs::read(&self.manifest).ok(),
        }
        seen
    }

    /// What commands of inputs say: as they were asked last, if that is not long ago.
    fn said(&self, source: &Source, outside: &Outside) -> Vec<String> {
        let mut said = self.said.borrow_mut();
        let is_same = said.texts.as_ref() == Some(&source.texts);
        if is_same && said.due.is_some_and(|due| Instant::now() < due) {
            return said.words.clone();
        }
        let began = Instant::now();
        let words = Inputs::said_now(outside);
        let pause = ASKED.max(began.elapsed() * PART);
        *said = Said {
            texts: Some(source.texts.clone()),
            due: Some(Instant::now() + pause),
            words,
        };
        said.words.clone()
    }
}

fn outside<'a>(source: &'a Source, db: &'a Path) -> Outside<'a> {
    Outside {
        manifest: &source.manifest,
        texts: &source.texts,
        router: &source.router,
        folder: &source.folder,
        db,
        programs: &[],
        params: &[],
        stop: &source.stop,
        tell: None,
    }
}

/// The patterns of files that packages are made of which are folders below the manifest's.
fn of_packages(source: &Source) -> Vec<Glob> {
    let all = source.manifest.steps.iter().flat_map(|step| &step.packages);
    let folders = all.filter(|package| package.kind() == Kind::Folder);
    let mut texts: Vec<String> = Vec::new();
    for package in folders {
        let folder = package.reference().trim_start_matches("./");
        match folder.trim_end_matches('/') {
            "" | "." => texts.extend(["flake.lock", "**/*.nix"].map(str::to_owned)),
            folder => texts.push(folder.to_owned()),
        }
    }
    texts.sort_unstable();
    texts.dedup();
    // What lies elsewhere is no pattern.
    texts
        .iter()
        .filter_map(|text| Glob::parse(text).ok())
        .collect()
}

/// The files that steps use and that inputs name. Of patterns with which something is wrong nothing is known until that
/// changes: the run says what it is.
fn files(source: &Source, outside: &Outside) -> Vec<(Box<str>, Stat)> {
    let Ok(root) = Root::open_until(&source.folder, Some(outside.db), Arc::default()) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut add = |globs: &[&Glob]| {
        if let Ok(looked) = files::find(&root, globs.iter().copied()) {
            found.extend(looked.files.into_iter().map(|file| (file.path, file.stat)));
        }
    };
    for step in &source.manifest.steps {
        let globs: Vec<&Glob> = step.files.iter().map(|glob| &glob.value).collect();
        add(&globs);
    }
    for input in &source.manifest.inputs {
        let named = input.files.iter().chain(&input.rows);
        let globs: Vec<Glob> = named
            .filter_map(|glob| Glob::parse(&glob.value).ok())
            .collect();
        add(&globs.iter().collect::<Vec<_>>());
    }
    for glob in of_packages(source) {
        add(&[&glob]);
    }
    if source
        .manifest
        .inputs
        .iter()
        .any(|input| !input.paths.is_empty())
    {
        found.extend(Inputs::files(outside));
    }
    found.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    found.dedup_by(|a, b| a.0 == b.0);
    found
}

impl Seen {
    /// What is watched, in words.
    fn watched(&self) -> String {
        let mut more = Vec::new();
        if !self.said.is_empty() {
            more.push("what commands of inputs say".to_owned());
        }
        if !self.files.is_empty() {
            more.push(amount::count(self.files.len() as u64, "file"));
        }
        let Some(last) = more.pop() else {
            return "watching the manifest: runs again when it changes (Ctrl-C ends)\n".to_owned();
        };
        more.insert(0, "the manifest".to_owned());
        let more = more.join(", ");
        format!("watching {more} and {last}: runs again when one changes (Ctrl-C ends)\n")
    }

    /// What is other than it was, in words.
    fn changes(&self, now: &Self) -> String {
        let mut words = Vec::new();
        if (&self.texts, &self.bytes) != (&now.texts, &now.bytes) {
            words.push("the manifest".to_owned());
        }
        if self.lock != now.lock {
            words.push("the lock file".to_owned());
        }
        if self.texts.is_none() || now.texts.is_none() {
            // Which files there are nobody knows.
            return words.join(", ");
        }
        let is_in = |all: &[(Box<str>, Stat)], one: &(Box<str>, Stat)| {
            let at = all.binary_search_by(|other| other.0.cmp(&one.0));
            at.is_ok_and(|at| all[at] == *one)
        };
        let new = now.files.iter().filter(|one| !is_in(&self.files, one));
        let gone = self.files.iter().filter(|one| {
            let at = now.files.binary_search_by(|other| other.0.cmp(&one.0));
            at.is_err()
        });
        if self.said != now.said {
            words.push("what a command of an [[input]] says".to_owned());
        }
        words.extend(new.chain(gone).map(|(path, _)| visible(path)));
        let more = words.len().saturating_sub(NAMED);
        words.truncate(NAMED);
        if more > 0 {
            words.push(format!("{more} more"));
        }
        words.join(", ")
    }
}

/// Hears signals, and passes them on to a run.
struct Ear {
    signal: Arc<AtomicUsize>,
    ended: AtomicUsize,
}

impl Ear {
    fn new() -> Result<Self, Failure> {
        let signal = Arc::new(AtomicUsize::new(0));
        for number in [SIGINT, SIGTERM, SIGHUP] {
            let value = usize::try_from(number).unwrap_or_default();
            signal_hook::flag::register_usize(number, Arc::clone(&signal), value)
                .map_err(|error| Failure::cannot("listen to signals", &error))?;
        }
        Ok(Self {
            signal,
            ended: AtomicUsize::new(0),
        })
    }

    /// The signal that came since this was asked last.
    fn new_signal(&self) -> Option<i32> {
        let signal = self.signal.swap(0, Ordering::Relaxed);
        if signal == 0 {
            return None;
        }
        self.ended.store(signal, Ordering::Relaxed);
        i32::try_from(signal).ok()
    }

    /// The signal that is to end all.
    fn ended(&self) -> Option<i32> {
        self.new_signal();
        let signal = self.ended.load(Ordering::Relaxed);
        i32::try_from(signal).ok().filter(|signal| *signal != 0)
    }

    fn wait(&self, mut child: Child) -> Result<ExitStatus, Failure> {
        let cannot = |error| Failure::cannot("wait for the run", &error);
        loop {
            if let Some(status) = child.try_wait().map_err(cannot)? {
                return Ok(status);
            }
            let signal = self.new_signal().and_then(Signal::from_named_raw);
            let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
            if let (Some(signal), Some(pid)) = (signal, pid) {
                let _ = kill_process(pid, signal);
            }
            std::thread::sleep(TICK);
        }
    }

    /// Waits until something is other than it was `seen`, and stays so for a while; none if a signal came first.
    fn until_change(&self, place: &Place, seen: &Seen) -> Option<String> {
        let mut last: Option<Seen> = None;
        loop {
            let began = Instant::now();
            let now = place.look();
            let pause = SETTLED.max(began.elapsed() * PART);
            let has_changed = now != *seen;
            if has_changed && last.as_ref() == Some(&now) {
                return Some(seen.changes(&now));
            }
            last = Some(now);
            let until = Instant::now() + pause;
            while Instant::now() < until {
                if self.ended().is_some() {
                    return None;
                }
                std::thread::sleep(TICK);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let write = |name: &str, text: &str| std::fs::write(at(name), text).unwrap();
        let manifest = "[[input]]\nfiles = '*.csv'\nstep = 'a'\n\
                        [[step]]\nname = 'a'\nfiles = ['tool.sh']\nscript = 'cat tool.sh'\n";
        write("workflow.toml", manifest);
        write("tool.sh", "1");
        write("a.csv", "1");
        write("else", "1");
        let place = Place {
            manifest: at("workflow.toml"),
            db: at("db"),
            workdir: None,
            said: RefCell::default(),
        };
        let first = place.look();
        assert_eq!(first.files.len(), 2);
        write("else", "22");
        assert_eq!(place.look(), first);
        write("tool.sh", "22");
        write("b.csv", "1");
        std::fs::remove_file(at("a.csv")).unwrap();
        let second = place.look();
        assert_eq!(first.changes(&second), "b.csv, tool.sh, a.csv");
        write("workflow.toml", "[[step]\n");
        let broken = place.look();
        assert_eq!(second.changes(&broken), "the manifest");
        write("workflow.toml", "[[step]]\n");
        assert_eq!(broken.changes(&place.look()), "the manifest");
        write("workflow.toml", manifest);
        assert_eq!(place.look(), second);
        write("workflow.lock", "{}");
        assert_eq!(second.changes(&place.look()), "the lock file");
    }

    #[test]
    fn what_sheets_commands_and_packages_lead_to_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let write = |name: &str, text: &str| std::fs::write(at(name), text).unwrap();
        std::fs::create_dir_all(at("there/tools")).unwrap();
        write(
            "workflow.toml",
            "[[input]]\nrows = 's.csv'\nname = '{n}'\npaths = ['f']\nstep = 'a'\n\
             [[input]]\nlines = 'cat list'\nstep = 'a'\n\
             [[step]]\nname = 'a'\npackages = ['./tools#x']\nscript = ':'\n",
        );
        write("there/s.csv", "n,f\n1,x.bin\n");
        write("there/x.bin", "1");
        write("there/list", "one\n");
        write("there/tools/flake.nix", "{ }");
        let place = Place {
            manifest: at("workflow.toml"),
            db: at("db"),
            workdir: Some(at("there")),
            said: RefCell::default(),
        };
        let first = place.look();
        assert_eq!(first.files.len(), 3, "{first:?}");
        write("there/x.bin", "22");
        write("there/tools/more.nix", "1");
        assert_eq!(first.changes(&place.look()), "tools/more.nix, x.bin");
        // Commands are asked now and then.
        write("there/list", "two\n");
        assert_eq!(place.look().said, first.said);
        place.said.borrow_mut().due = None;
        let now = place.look();
        assert_eq!(now.said, ["two"]);
        assert!(
            first
                .changes(&now)
                .starts_with("what a command of an [[input]] says")
        );
    }
}
