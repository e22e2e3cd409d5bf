//! Whether files are as they were: asked by many at once, looked at once for all of them.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Error;
use super::snapshot::{Different, Snapshot};
use crate::model::digest::Digest;
use crate::model::file::Lent;
use crate::model::tree::Difference;
use crate::sys::Shortage;
use crate::text::quoted;

/// The files that some steps declare.
#[derive(Debug)]
pub(crate) struct Watch {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug)]
struct State {
    /// None while somebody looks.
    snapshot: Option<Box<Snapshot>>,
    /// Looks that were begun.
    begun: u64,
    /// The last one that found all as it was.
    passed: u64,
    /// When that ended.
    last: Instant,
    /// Looks that found the same, written or replaced since the look before.
    touches: u64,
    /// What the last of those found.
    touched: Arc<str>,
    /// Once they were not, they stay so.
    changed: Option<Arc<str>>,
}

/// How long a look serves those who only want to begin.
const FRESH: Duration = Duration::from_secs(1);

/// Why a task that read the files cannot count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// They are not as they were: which, in words that end before "while".
    Changed(Arc<str>),
    /// They are as they were, and may have been otherwise meanwhile: which, in such words.
    Touched(Arc<str>),
    /// The machine is short of what a look takes.
    Short(Shortage, String),
    /// The run is to end.
    Stopped,
}

/// When a task began to read: what was found by then.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begun(u64);

impl Watch {
    /// Of files as they are in the snapshot.
    pub(crate) fn new(snapshot: Snapshot) -> Self {
        Self {
            state: Mutex::new(State {
                snapshot: Some(Box::new(snapshot)),
                begun: 0,
                passed: 0,
                last: Instant::now(),
                touches: 0,
                touched: "".into(),
                changed: None,
            }),
            ended: Condvar::new(),
        }
    }

    /// Whether the files were as they are in the snapshot, from the beginning that is named to a
    /// moment after this call. A look that begins after it, whoever is looking, answers.
    pub(crate) fn verify(&self, begun: Begun) -> Result<(), Trouble> {
        let state = self.look()?;
        if state.touches == begun.0 {
            Ok(())
        } else {
            Err(Trouble::Touched(Arc::clone(&state.touched)))
        }
    }

    /// The paths of the files, below the root.
    pub(crate) fn paths(&self) -> Vec<Box<str>> {
        let state = self.lock();
        let snapshot = state.snapshot.as_ref();
        snapshot.map_or_else(Vec::new, |snapshot| snapshot.paths())
    }

    /// The files with their hashes, as they can be lent by who finds their root at that path.
    pub(crate) fn lent(&self, root: &Path) -> Vec<(Digest, Lent)> {
        let state = self.lock();
        let snapshot = state.snapshot.as_ref();
        snapshot.map_or_else(Vec::new, |snapshot| snapshot.lent(root))
    }

    /// A task begins now.
    #[cfg(test)]
    pub(crate) fn begin(&self) -> Begun {
        Begun(self.lock().touches)
    }

    fn look(&self) -> Result<MutexGuard<'_, State>, Trouble> {
        let mut state = self.lock();
        let next = state.begun + 1;
        loop {
            if let Some(words) = &state.changed {
                return Err(Trouble::Changed(Arc::clone(words)));
            }
            if state.passed >= next {
                return Ok(state);
            }
            let Some(mut snapshot) = state.snapshot.take() else {
                let waited = self.ended.wait(state);
                state = waited.unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            state.begun += 1;
            let number = state.begun;
            drop(state);
            let guard = Guard(self);
            let found = snapshot.check();
            std::mem::forget(guard);
            state = self.lock();
            state.snapshot = Some(snapshot);
            // Of those who wait, one looks, if they still want a look.
            self.ended.notify_all();
            match found {
                Ok(touched) => {
                    (state.passed, state.last) = (number, Instant::now());
                    if !touched.is_empty() {
                        state.touches += 1;
                        state.touched = touched_in_words(&touched).into();
                    }
                }
                Err(Different::Changed(changes)) => {
                    let words = changes.iter().map(|change| (&*change.path, change.how));
                    state.changed = Some(in_words(words).into());
                }
                Err(Different::Failed(Error::Stopped)) => return Err(Trouble::Stopped),
                Err(Different::Failed(error)) => match error.shortage() {
                    Some(short) => return Err(Trouble::Short(short, error.to_string())),
                    None => state.changed = Some(gone(&error).into()),
                },
            }
        }
    }

    /// Whether a task can begin that reads the files: they are looked at only if nobody did lately.
    /// What was missed is found by [`Watch::verify`], when the task has run for nothing.
    pub(crate) fn verify_now_and_then(&self) -> Result<Begun, Trouble> {
        let state = self.lock();
        match &state.changed {
            Some(words) => Err(Trouble::Changed(Arc::clone(words))),
            None if state.last.elapsed() < FRESH => Ok(Begun(state.touches)),
            None => {
                drop(state);
                Ok(Begun(self.look()?.touches))
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Dropped where a look does not come to its end: whoever waits for it learns that.
struct Guard<'a>(&'a Watch);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        let words = "something changed (a look at the files failed)";
        self.0.lock().changed.get_or_insert_with(|| words.into());
        self.0.ended.notify_all();
    }
}

/// What happened to files that cannot be had any more, in words.
fn gone(error: &Error) -> String {
    match error {
        Error::Nothing(gone)
        | Error::Folders { glob: gone, .. }
        | Error::TakenOut { glob: gone, .. }
        | Error::Absent(gone) => {
            format!("{} was removed", quoted(gone))
        }
        Error::Own(_)
        | Error::BrokenLink { .. }
        | Error::Circle(_)
        | Error::NotUtf8(_)
        | Error::Special { .. }
        | Error::TooMany { .. }
        | Error::Changing(_)
        | Error::Stopped
        | Error::Io { .. }
        | Error::Store(_) => format!("something changed ({error})"),
    }
}

/// That files were written by what they had in them already, in words.
fn touched_in_words(paths: &[String]) -> String {
    let first = quoted(&paths[0]);
    match paths.len() {
        1 => format!("{first} was written or replaced"),
        more => format!("{first} and {} more were written or replaced", more - 1),
    }
}

/// What happened to files, in words.
fn in_words<'a>(changes: impl ExactSizeIterator<Item = (&'a str, Difference)>) -> String {
    const NAMED: usize = 3;
    let more = changes.len().saturating_sub(NAMED);
    let mut words: Vec<String> = changes
        .take(NAMED)
        .map(|(path, how)| {
            let how = match how {
                Difference::Added => "was added",
                Difference::Removed => "was removed",
                Difference::Changed => "changed",
                Difference::Mode => "had its mode changed",
            };
            format!("{} {how}", quoted(path))
        })
        .collect();
    if more > 0 {
        words.push(format!("{more} more changed"));
    }
    words.join(", ")
}
