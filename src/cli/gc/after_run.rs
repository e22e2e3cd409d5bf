//! `keep_runsets` of the manifest: at the end of a run.

use std::time::Duration;

use super::super::call::Call;
use super::super::error::Failure;
use super::{Freed, free};
use crate::gc::Wish;
use crate::model::event::Event;

/// How long a run that is over waits for those who read what is to go.
const PATIENCE: Duration = Duration::from_secs(1);

impl Call<'_> {
    /// Removes runsets, if more are there than are to be kept. The run has ended with success, whatever comes of it.
    pub(in super::super) fn keep_few_runsets(&mut self) {
        let Some(keep) = self.source.manifest.store.keep_runsets else {
            return;
        };
        let keep = usize::try_from(keep).unwrap_or(usize::MAX);
        let mut removed = || -> Result<Option<Freed>, Failure> {
            if self.state.runsets()?.len() <= keep {
                return Ok(None);
            }
            let wish = Wish {
                keep: Some(keep),
                ..Wish::default()
            };
            free(&mut self.state, &wish, false, PATIENCE, None).map(Some)
        };
        let freed = match removed() {
            Ok(Some(freed)) => freed,
            Ok(None) => return,
            Err(failure) => {
                let words = format!(
                    "keep_runsets = {keep}: older runsets stay: {}",
                    failure.message()
                );
                self.reporter.event(&Event::Warning(&words));
                return;
            }
        };
        if let Some(words) = freed.line() {
            self.reporter.event(&freed.event(&words));
        }
        for warning in freed.warnings() {
            self.reporter.event(&Event::Warning(&warning));
        }
    }
}
