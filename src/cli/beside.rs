//! The db folder, for one who removes: alone, or beside a run that holds still.

use std::path::Path;
use std::time::{Duration, Instant};

use super::error::Failure;
use crate::state::{self, Answer, Heard, Layout, Lock, LockError, Question, Room, State};
use crate::store;

/// How long a run that is not at its tasks yet, or no run at all, is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks.
const GLANCE: Duration = Duration::from_millis(10);
/// Looks between two signals to the run, and between two at its lock.
const SOME: u32 = 10;
/// How often a question may be lost, as when the run has no room for its answer.
const LOSSES: u32 = 5;

/// What keeps others from the folder.
pub(super) enum Hold {
    /// Nothing: it is a copy.
    Copy,
    /// Its lock.
    Alone {
        _lock: Lock,
        _tells: Option<Question>,
    },
    /// Whoever has the lock holds still.
    Beside { _question: Question, answer: Answer },
}

/// Opens the db folder. A run that is at its tasks is asked to hold still; anything else is waited for, a while.
pub(super) fn open(root: &Path, space: Room) -> Result<(State, Hold), Failure> {
    let layout = Layout::new(root);
    // What goes is to be needed by nobody else, either.
    store::claim(&layout.objects())?;
    let mut question: Option<Question> = None;
    let mut since = Instant::now();
    let (mut looks, mut losses) = (0, 0);
    loop {
        let heard = match &question {
            Some(question) => question.look()?,
            None => None,
        };
        match (heard, &question) {
            (Some(Heard::Answered(answer)), _) => {
                let state = State::open_beside(&layout, space)?;
                if let Some(question) = question.take() {
                    let hold = Hold::Beside {
                        _question: question,
                        answer,
                    };
                    return Ok((state, hold));
                }
            }
            // It takes as long as what tasks have left takes to be stored.
            (Some(Heard::Yes), _) => since = Instant::now(),
            (Some(Heard::No), Some(question)) if looks % SOME == 0 => question.ring(),
            (Some(Heard::No), _) | (None, None) => {}
            (None, Some(asked)) => {
                // Where several ask, each comes to it in the end.
                losses += u32::from(!asked.has_others());
                question = None;
            }
        }
        if looks % SOME == 0 || question.is_none() {
            match State::open_to_remove(root, space) {
                Ok((state, lock, tells)) => {
                    // A question that nobody heard.
                    drop(question);
                    let hold = Hold::Alone {
                        _lock: lock,
                        _tells: tells,
                    };
                    return Ok((state, hold));
                }
                Err(state::Error::Locked(LockError::Held { .. }))
                    if since.elapsed() < PATIENCE && losses < LOSSES => {}
                Err(error) => return Err(error.into()),
            }
            if question.is_none() {
                question = Some(Question::ask(&layout)?);
            }
        }
        looks += 1;
        std::thread::sleep(GLANCE);
    }
}
