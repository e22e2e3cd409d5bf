//! What passes between the scheduler and those who have results of others.

use std::sync::Arc;

use super::outputs::Output;
use crate::model::shared::ResultKey;
use crate::model::task::TaskId;
use crate::store;

/// Results that others have. None of its functions waits.
pub(crate) trait Elsewhere {
    /// Asks for a result. False where nobody is asked: then there is no answer.
    fn ask(&mut self, question: Question) -> bool;
    /// At most so much of what has come in since.
    fn news(&mut self, most: usize) -> Vec<News>;
    /// Whether more has come in.
    fn has_news(&self) -> bool;
    /// Whether others are given results.
    fn gives(&self) -> bool;
    /// Has others have a result, sooner or later.
    fn give(&mut self, success: Success);
}

/// What somebody else is asked for.
#[derive(Debug)]
pub(crate) struct Question {
    /// The task whose result it is.
    pub task: TaskId,
    /// What the result depends on.
    pub key: ResultKey,
    /// Between which times its execution has to have ended, both included: milliseconds since 1970.
    pub within: (i64, i64),
}

/// What has come in.
#[derive(Debug)]
pub(crate) enum News {
    /// To a question; none where nobody has the result.
    Answer(TaskId, Option<Box<Found>>),
    /// Something that the user should know.
    Warning(String),
}

/// A result that somebody else has left. All of it is in the store.
#[derive(Debug)]
pub(crate) struct Found {
    /// Its outputs, in order.
    pub outputs: Vec<Output>,
    /// When its execution ended: milliseconds since 1970.
    pub executed: i64,
    /// Who vouches for it, and where it was found, in words.
    pub origin: Arc<str>,
    /// In which its objects came to be in the store.
    pub _session: store::Session,
}

/// A result that others can have.
#[derive(Debug)]
pub(crate) struct Success {
    /// What it depends on.
    pub key: ResultKey,
    /// Its outputs, in order; all are in the store.
    pub outputs: Vec<Output>,
    /// When its execution ended: milliseconds since 1970.
    pub executed: i64,
}
