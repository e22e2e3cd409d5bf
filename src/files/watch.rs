//! Whether files are as they were: asked by many at once, looked at once for all of them.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::snapshot::{Different, Snapshot};
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
    /// Once they were not, they stay so.
    changed: Option<Arc<str>>,
}

/// Why a task that read the files cannot count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// They are not as they were: which, in words that end before "while".
    Changed(Arc<str>),
    /// The machine is short of what a look takes.
    Short(Shortage, String),
}

impl Watch {
    /// Of files as they are in the snapshot.
    pub(crate) fn new(snapshot: Snapshot) -> Self {
        Self {
            state: Mutex::new(State {
                snapshot: Some(Box::new(snapshot)),
                begun: 0,
                passed: 0,
                changed: None,
            }),
            ended: Condvar::new(),
        }
    }

    /// Whether the files were as they are in the snapshot, at a moment after this call. A look that
    /// begins after it, whoever is looking, answers.
    pub(crate) fn verify(&self) -> Result<(), Trouble> {
        let mut state = self.lock();
        let wanted = state.begun + 1;
        loop {
            if let Some(words) = &state.changed {
                return Err(Trouble::Changed(Arc::clone(words)));
            }
            if state.passed >= wanted {
                return Ok(());
            }
            let Some(mut snapshot) = state.snapshot.take() else {
                let waited = self.ended.wait(state);
                state = waited.unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            state.begun += 1;
            let number = state.begun;
            drop(state);
            let found = snapshot.check();
            state = self.lock();
            state.snapshot = Some(snapshot);
            // Of those who wait, one looks, if they still want a look.
            self.ended.notify_all();
            match found {
                Ok(()) => state.passed = number,
                Err(Different::Changed(changes)) => {
                    let words = changes.iter().map(|change| (&*change.path, change.how));
                    state.changed = Some(in_words(words).into());
                }
                Err(Different::Failed(error)) => match error.shortage() {
                    Some(short) => return Err(Trouble::Short(short, error.to_string())),
                    None => state.changed = Some(format!("a change ({error}) happened").into()),
                },
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
