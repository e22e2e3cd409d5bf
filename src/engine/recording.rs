//! The end of a task that succeeded, recorded a slice of its outputs at a time.
//!
//! A task may leave so many outputs that others should not wait until all have their rows. So an
//! executor is handed what is not recorded yet, and hands it back when others had their turn. What
//! became of an output may start meanwhile. The rows of a task are in the file all or none: as long
//! as one is missing, the group that they are in is not committed, and with it what others record.
//! That the task is finished is written last, so that no equal one takes over a part.

use std::sync::Arc;

use super::Error;
use super::outputs::{Output, Outputs};
use super::sharing::Found;
use super::step::StepPlan;
use crate::model::event::{Routed, Span};
use crate::model::plan::{Key, Ready};
use crate::model::task::TaskId;
use crate::state::{self, Equal, Finished, Logs, State};
use crate::store::Session;

/// Outputs that are read or written in one go.
pub(super) const SLICE: usize = if cfg!(test) { 10 } else { 512 };

/// A task that has succeeded, with what is not recorded of it yet.
#[derive(Debug)]
pub(crate) struct Recording {
    pub(super) step: Arc<StepPlan>,
    pub(super) ready: Ready,
    /// What equal tasks have in common with it.
    pub(super) key: Option<Key>,
    pub(super) how: How,
    outputs: Outputs,
    /// Where `outputs` of a task that is reused go on.
    more: Option<TaskId>,
    pub(super) routed: Routed,
}

/// How a task came to its outputs.
#[derive(Debug)]
pub(super) enum How {
    /// It was executed.
    Executed {
        finished: Finished,
        logs: Logs,
        span: Span,
        /// Until all is recorded.
        _session: Session,
    },
    /// It takes over what this one left.
    Reused(Equal),
    /// Somebody else has left it.
    Shared(Box<Found>),
}

impl Recording {
    /// Of a task that left these outputs.
    pub(super) fn new(
        step: Arc<StepPlan>,
        ready: Ready,
        key: Option<Key>,
        how: How,
        outputs: impl Into<Outputs>,
    ) -> Box<Self> {
        Box::new(Self {
            step,
            ready,
            key,
            how,
            outputs: outputs.into(),
            more: None,
            routed: Routed::default(),
        })
    }

    /// Of a task that takes over whatever another one left, however much that is.
    pub(super) fn of_all(
        step: Arc<StepPlan>,
        ready: Ready,
        key: Option<Key>,
        source: Equal,
    ) -> Box<Self> {
        let mut recording = Self::new(step, ready, key, How::Reused(source), Vec::new());
        recording.more = Some(TaskId(0));
        recording
    }

    /// When it ran, if it did.
    pub(super) fn span(&self) -> Option<Span> {
        match &self.how {
            How::Executed { span, .. } => Some(*span),
            How::Reused(_) | How::Shared(_) => None,
        }
    }

    /// The next output to be recorded.
    pub(super) fn next(&mut self, state: &State) -> Result<Option<Output>, Error> {
        if let How::Reused(source) = self.how
            && self.outputs.is_read()
            && let Some(after) = self.more
        {
            // They were read before, when they were looked at.
            let source = source.task;
            let (outputs, more) = read(state, source, after)?.ok_or(state::Error::Lost(source))?;
            (self.outputs, self.more) = (outputs.into(), more);
        }
        self.outputs.next().transpose().map_err(Error::Spill)
    }
}

/// Some outputs of a task, and the row of the last one, if there may be more.
type Slice = (Vec<Output>, Option<TaskId>);

/// A slice of what the task left, behind that row. None if one has no name: it may have had any, and its route with it.
pub(super) fn read(
    state: &State,
    task: TaskId,
    after: TaskId,
) -> Result<Option<Slice>, state::Error> {
    let mut outputs = Vec::new();
    let mut nameless = false;
    let more = state.outputs_behind(task, after, SLICE, |name, digest, form| match name {
        Some(name) => outputs.push(Output {
            name: (**name).into(),
            digest,
            form,
        }),
        None => nameless = true,
    })?;
    Ok((!nameless).then_some((outputs, more)))
}
