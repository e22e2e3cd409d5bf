//! Working on the db folder beside a run, which holds still meanwhile.
//!
//! A run has the folder's lock, and knows what is in no row: objects that were just made, rows that it has read. So
//! whoever wants to remove something asks, and the run answers when it is at a point where nothing but what it names is
//! in use beside the rows that are in the file. It does nothing with the folder until the other one has ended, however that
//! came; what it had running runs on.
//!
//! ```text
//! gc:   gc-wanted, locked ─ signal ─▶                    reads the answer ─ removes ─ unlocks
//! run:                              ▶ gc-running ─ answer ▶      waits for the lock      ▶ goes on
//! ```
//!
//! The question is a file that the one who asks has locked as long as it lives. The run renames it, by which it is
//! heard, and writes its answer into it, whose last line says that it is whole. The lock tells the run when that one
//! has ended, and tells whoever comes when the run was killed meanwhile that somebody still works on the folder: it is
//! the answer, and not the folder's lock, that counts then ([`at_work`]). A question without an answer is nobody's; the
//! one who asked it asks again, or takes the folder's lock, which is free by then.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process;
use std::time::Duration;

use rustix::fs::{FileType, FlockOperation};
use rustix::io::Errno;
use rustix::process::{Pid, Signal};

use super::{Error, Holder, Layout, Lock};
use crate::folder::Entry;
use crate::model::digest::Digest;
use crate::sys::Identity;

/// How often a place is looked at that another one has for a moment, and how long between two looks.
const TRIES: usize = 1000;
const PAUSE: Duration = Duration::from_millis(1);

/// The last line of an answer.
const END: &str = "ready\n";

/// Of one who asks.
#[derive(Debug)]
pub(crate) struct Question {
    layout: Layout,
    /// Locked.
    file: File,
    /// The same for reading.
    read: File,
    identity: Identity,
}

/// What a run does not have in its rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// On so many runsets it works, those that were the last to run.
    pub runsets: usize,
    /// Objects that it needs all the same.
    pub objects: Vec<Digest>,
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Nobody has heard it.
    No,
    /// The run is about to answer.
    Yes,
    /// The run holds still.
    Answered(Answer),
}

impl Question {
    /// Asks whoever holds the folder.
    pub(crate) fn ask(layout: &Layout) -> Result<Self, Error> {
        let question = Self::make(layout, &layout.wanted())?;
        question.ring();
        Ok(question)
    }

    fn make(layout: &Layout, at: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Io {
            action: "make",
            path: at.to_owned(),
            source,
        };
        let own = layout.new_question();
        let entry = Entry::from(&*own);
        for _ in 0..TRIES {
            let file = entry.open_to_write().map_err(failed)?;
            let identity = Identity::of(&file.metadata().map_err(failed)?);
            // What another one has made just now is renamed at once; what a killed one left is taken.
            if !flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(failed)?
                || !is_at(identity, &own)
            {
                std::thread::sleep(PAUSE);
                continue;
            }
            let question = Self {
                layout: layout.clone(),
                read: entry.open().map_err(failed)?,
                file,
                identity,
            };
            let mut file = &question.file;
            file.set_len(0)
                .and_then(|()| writeln!(file, "{}", process::id()))
                .and_then(|()| std::fs::rename(&own, at))
                .map_err(failed)?;
            return Ok(question);
        }
        Err(failed(io::ErrorKind::ResourceBusy.into()))
    }

    /// For one who has the folder's lock: whoever wants that is to wait.
    pub(crate) fn alone(layout: &Layout) -> Result<Self, Error> {
        let question = Self::make(layout, &layout.running())?;
        let failed = |source| Error::Io {
            action: "write",
            path: layout.running(),
            source,
        };
        let none = HashSet::new();
        write_answer(&question.file, 0, &none).map_err(failed)?;
        for path in [layout.new_question(), layout.wanted()] {
            remove_abandoned(&path);
        }
        Ok(question)
    }

    /// Has the run look: at one that does not hear it, nothing happens.
    pub(crate) fn ring(&self) {
        let Some(Holder { pid: Some(pid), .. }) = Lock::holder(&self.layout) else {
            return;
        };
        if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, Signal::URG);
        }
    }

    /// Whether there is another one in its place: somebody else asks, or removes already.
    pub(crate) fn has_others(&self) -> bool {
        let other = |path: &Path| path.exists() && !is_at(self.identity, path);
        other(&self.layout.wanted()) || at_work(&self.layout, false).is_some()
    }

    /// Whether it is still there, for somebody to hear, and what came of it.
    pub(crate) fn look(&self) -> Result<Option<Heard>, Error> {
        if is_at(self.identity, &self.layout.wanted()) {
            return Ok(Some(Heard::No));
        }
        if !is_at(self.identity, &self.layout.running()) {
            return Ok(None);
        }
        let answer = read_answer(&self.read).map_err(|source| Error::Io {
            action: "read",
            path: self.layout.running(),
            source,
        })?;
        Ok(Some(answer.map_or(Heard::Yes, Heard::Answered)))
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        // What is there of another one stays.
        for path in [
            self.layout.new_question(),
            self.layout.wanted(),
            self.layout.running(),
        ] {
            if is_at(self.identity, &path) {
                let _ = std::fs::remove_file(path);
            }
        }
    }
}

/// Of a run that was asked.
#[derive(Debug)]
pub(crate) struct Asked {
    path: std::path::PathBuf,
    file: File,
    identity: Identity,
}

impl Asked {
    /// Whether somebody has asked.
    pub(crate) fn look(layout: &Layout) -> Option<Self> {
        let (wanted, path) = (layout.wanted(), layout.running());
        std::fs::rename(&wanted, &path).ok()?;
        let entry = Entry::from(&*path);
        let look = entry.look().ok()?;
        if look.kind != FileType::RegularFile || look.links != 1 {
            return None;
        }
        let file = entry.open_to_write().ok()?;
        let identity = Identity::of(&file.metadata().ok()?);
        Some(Self {
            path,
            file,
            identity,
        })
    }

    /// Answers. From now on nothing may be done with the folder.
    pub(crate) fn answer(&mut self, runsets: usize, objects: &HashSet<Digest>) -> io::Result<()> {
        write_answer(&self.file, runsets, objects)
    }

    /// Whether the one who asked has ended.
    pub(crate) fn is_over(&self) -> bool {
        // Where there are no locks there was no question.
        !matches!(
            flock(&self.file, FlockOperation::NonBlockingLockShared),
            Ok(false)
        )
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if is_at(self.identity, &self.path) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Removes a question of one who was killed.
fn remove_abandoned(path: &Path) {
    let entry = Entry::from(path);
    if let Ok(look) = entry.look()
        && look.kind == FileType::RegularFile
        && let Ok(file) = entry.open()
        && matches!(
            flock(&file, FlockOperation::NonBlockingLockExclusive),
            Ok(true)
        )
    {
        // If another one has just put its own there, it asks again.
        let _ = entry.remove();
    }
}

/// Who works on the folder without being a run: alone, or beside one; it ends soon.
///
/// By one who has the folder's lock, `alone`, a question is removed that nobody will answer.
pub(super) fn at_work(layout: &Layout, alone: bool) -> Option<Holder> {
    let path = layout.running();
    let entry = Entry::from(&*path);
    let look = entry.look().ok()?;
    if look.kind == FileType::RegularFile
        && let Ok(file) = entry.open()
        && read_answer(&file).is_ok_and(|answer| answer.is_some())
        && matches!(
            flock(&file, FlockOperation::NonBlockingLockShared),
            Ok(false)
        )
    {
        let mut text = String::new();
        let mut file = &file;
        let _ = file
            .seek(SeekFrom::Start(0))
            .and_then(|_| file.take(20).read_to_string(&mut text));
        let pid = text.lines().next().and_then(|line| line.parse().ok());
        return Some(Holder { pid, removes: true });
    }
    if alone {
        let _ = entry.remove();
    }
    None
}

fn write_answer(mut file: &File, runsets: usize, objects: &HashSet<Digest>) -> io::Result<()> {
    let mut text = format!("\n{runsets}\n");
    for object in objects {
        text.push_str(&object.hex());
        text.push('\n');
    }
    text.push_str(END);
    file.seek(SeekFrom::End(0))?;
    file.write_all(text.as_bytes())
}

/// The answer, if all of it is there.
fn read_answer(mut file: &File) -> io::Result<Option<Answer>> {
    let end = file.seek(SeekFrom::End(0))?;
    let Some(before) = end.checked_sub(END.len() as u64) else {
        return Ok(None);
    };
    let mut text = String::new();
    file.seek(SeekFrom::Start(before))?;
    file.read_to_string(&mut text)?;
    if text != END {
        return Ok(None);
    }
    text.clear();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_string(&mut text)?;
    let wrong = || io::Error::from(io::ErrorKind::InvalidData);
    let mut lines = text.lines().skip(2);
    let runsets = lines.next().and_then(|line| line.parse().ok());
    let mut answer = Answer {
        runsets: runsets.ok_or_else(wrong)?,
        objects: Vec::new(),
    };
    for line in lines.filter(|line| *line != END.trim_end()) {
        answer.objects.push(line.parse().map_err(|_| wrong())?);
    }
    Ok(Some(answer))
}

fn is_at(identity: Identity, path: &Path) -> bool {
    std::fs::symlink_metadata(path)
        .is_ok_and(|data| data.nlink() > 0 && Identity::of(&data) == identity)
}

/// Whether it is locked now; false where another one has it locked.
fn flock(file: &File, how: FlockOperation) -> io::Result<bool> {
    match rustix::fs::flock(file, how) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture() -> (tempfile::TempDir, Layout) {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        (dir, layout)
    }

    fn left(layout: &Layout) -> usize {
        std::fs::read_dir(layout.root()).unwrap().count()
    }

    #[test]
    fn a_question_is_heard_answered_and_over() {
        let (_dir, layout) = fixture();
        assert!(Asked::look(&layout).is_none());
        let question = Question::ask(&layout).unwrap();
        assert_eq!(question.look().unwrap(), Some(Heard::No));
        let mut asked = Asked::look(&layout).unwrap();
        assert_eq!(question.look().unwrap(), Some(Heard::Yes));
        // Nobody has to mind it yet.
        assert!(Asked::look(&layout).is_none());
        let objects: HashSet<Digest> = [b"a", b"b"].map(|bytes| Digest::of(bytes)).into();
        asked.answer(2, &objects).unwrap();
        let Some(Heard::Answered(answer)) = question.look().unwrap() else {
            panic!("it was answered");
        };
        assert_eq!(answer.runsets, 2);
        assert_eq!(answer.objects.into_iter().collect::<HashSet<_>>(), objects);
        assert!(!asked.is_over());
        let own = Some(Holder {
            pid: Some(process::id()),
            removes: true,
        });
        assert_eq!(at_work(&layout, true), own);
        // The run is killed; who comes then waits for the other one.
        assert_eq!(at_work(&layout, true), own);
        drop(question);
        assert!(asked.is_over());
        assert_eq!(at_work(&layout, true), None);
        drop(asked);
        assert_eq!(left(&layout), 0);
    }

    #[test]
    fn what_nobody_answered_is_asked_again() {
        let (_dir, layout) = fixture();
        let question = Question::ask(&layout).unwrap();
        let asked = Asked::look(&layout).unwrap();
        std::mem::forget(asked);
        // The next run does not wait for one who waits for an answer.
        assert_eq!(at_work(&layout, true), None);
        assert_eq!(question.look().unwrap(), None);
        let other = Question::ask(&layout).unwrap();
        assert_eq!(question.look().unwrap(), None);
        drop(question);
        assert_eq!(other.look().unwrap(), Some(Heard::No));
        drop(other);
        assert_eq!(left(&layout), 0);
    }

    #[test]
    fn whoever_wants_to_write_waits_for_one_who_removes() {
        let (dir, layout) = fixture();
        let (state, lock, _) = super::super::State::open(dir.path()).unwrap();
        let question = Question::alone(&layout).unwrap();
        let thread = std::thread::spawn({
            let layout = layout.clone();
            move || Lock::take(&layout, true)
        });
        let refused = Lock::take(&layout, false).unwrap_err();
        assert!(refused.hint().unwrap().contains("that `gc` or `evict`"));
        drop(question);
        let refused = Lock::take(&layout, false).unwrap_err();
        assert!(refused.hint().unwrap().contains("that run"));
        drop((state, lock));
        thread.join().unwrap().unwrap();
    }

    #[test]
    fn whoever_removes_says_so_before_the_database_is_opened() {
        let (dir, layout) = fixture();
        let busy = rusqlite::Connection::open(layout.database()).unwrap();
        busy.execute_batch("BEGIN EXCLUSIVE").unwrap();
        std::thread::scope(|scope| {
            let opened = scope.spawn(|| {
                super::super::State::open_to_remove(dir.path(), super::super::Room::Plenty)
                    .map(drop)
            });
            while at_work(&layout, false).is_none() {
                assert!(!opened.is_finished());
                std::thread::sleep(PAUSE);
            }
            drop(busy);
            opened.join().unwrap().unwrap();
        });
    }

    #[test]
    fn one_who_asked_and_was_killed_is_not_waited_for() {
        let (_dir, layout) = fixture();
        let question = Question::ask(&layout).unwrap();
        let mut asked = Asked::look(&layout).unwrap();
        asked.answer(1, &HashSet::new()).unwrap();
        // As a killed one does: its file stays.
        flock(&question.file, FlockOperation::Unlock).unwrap();
        assert!(asked.is_over());
        drop(asked);
        std::mem::forget(question);
        assert_eq!(at_work(&layout, true), None);
        assert_eq!(left(&layout), 0);
    }
}
