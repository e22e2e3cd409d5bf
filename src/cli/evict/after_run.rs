//! `keep = "finals"` of the manifest: at the end of a run.

use super::super::call::Call;
use super::super::error::Failure;
use super::super::select;
use super::Told;
use crate::evict::{Wish, evict};
use crate::manifest::KeptBytes;
use crate::model::event::Event;

impl Call<'_> {
    /// Drops the bytes of what can be made again, if that is wanted. The run has ended with success, whatever comes of it.
    pub(in super::super) fn keep_finals(&mut self) {
        if self.source.manifest.store.keep != KeptBytes::Finals {
            return;
        }
        let told = match self.drop_bytes() {
            Ok(told) => told,
            Err(failure) => {
                let words = format!(
                    "keep = \"finals\": nothing was evicted: {}",
                    failure.message()
                );
                self.reporter.event(&Event::Warning(&words));
                return;
            }
        };
        if told.evicted.all.objects > 0 {
            let words = told.line();
            self.reporter.event(&Event::Evicted {
                objects: told.evicted.all.objects,
                bytes: told.evicted.all.bytes,
                words: &words,
            });
        }
        for warning in told.warnings() {
            self.reporter.event(&Event::Warning(&warning));
        }
    }

    fn drop_bytes(&mut self) -> Result<Told, Failure> {
        let store = select::store(&self.state)?;
        let steady = self.steps.steady(&[]);
        let evicted = evict(&mut self.state, &store, &steady, &Wish::default(), false)?;
        self.state.end()?;
        Ok(Told {
            evicted,
            all: self.state.evicted_amount()?,
            most: None,
        })
    }
}
