//! Where the children of tasks count, of those that were asked for last.

use std::collections::HashMap;

use crate::model::task::TaskId;

/// Tasks of which it is kept where their children count, in each of two generations.
const KEPT: usize = if cfg!(test) { 4 } else { 65_536 };

/// Where children of tasks count, of those that were asked for last.
#[derive(Debug, Default)]
pub(super) struct Known {
    young: HashMap<TaskId, Option<TaskId>>,
    old: HashMap<TaskId, Option<TaskId>>,
}

impl Known {
    pub(super) fn get(&self, task: TaskId) -> Option<&Option<TaskId>> {
        self.young.get(&task).or_else(|| self.old.get(&task))
    }

    pub(super) fn keep(&mut self, task: TaskId, node: Option<TaskId>) {
        if self.young.len() >= KEPT {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(task, node);
    }
}
