//! What is done when the runner is short of something: the task that met it waits as it was.

use super::Scheduler;
use super::job::Short;
use crate::model::event::{Event, Shortage};
use crate::model::name::StepName;
use crate::model::plan::Relief;
use crate::model::task::TaskId;

impl Scheduler<'_> {
    /// Less is done at a time; or, where that does not help, the run ends.
    pub(super) fn relieve(&mut self, task: TaskId, step: &StepName, Short { of, error }: Short) {
        if self.stopping {
            return;
        }
        let relief = if of.passes() {
            self.plan.short(self.millis())
        } else {
            Relief::None
        };
        let error = format!("task {task} of {step}: {}", error.replace('\n', "\n  "));
        match relief {
            Relief::Rest => {}
            Relief::Fewer(_) if std::mem::replace(&mut self.scarce, true) => {}
            Relief::Fewer(_) => self.tell(&Event::Warning(&format!(
                "{error}: it waits, and fewer tasks run at once\nhint: {}",
                of.hint()
            ))),
            Relief::None => {
                self.stopping = true;
                self.summary.shortage = Some(Shortage {
                    error,
                    hint: of.hint().to_owned(),
                });
            }
        }
    }
}
