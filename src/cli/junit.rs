//! `-junit`: what a run came to, as CI reads it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Seek as _, Write};

use super::call::Call;
use super::error::Failure;
use super::results::not_written;
use super::{own, select};
use crate::model::digest::Digest;
use crate::model::event::Cause;
use crate::model::task::{TaskId, TaskState};
use crate::out;
use crate::staged::Staged;
use crate::state::{Filter, Flaky, Runset, TaskRow, Which};
use crate::store;
use crate::text::plain;
use crate::view::junit::{self, Case, Counts, End};

/// So much of the end of what a failed task wrote (bytes).
const TAIL: u64 = 64 << 10;

impl Call<'_> {
    /// Writes the file that is asked for: the tasks of the runset that the run was about.
    pub(super) fn write_junit(&mut self) -> Result<(), Failure> {
        let Some(to) = &self.leaves.junit else {
            return Ok(());
        };
        let name = self.last.as_ref().map(|last| &last.runset);
        let runset = match name {
            Some(name) => self.state.runset(name)?,
            None => self.selected()?.pop(),
        };
        if own::is_standard_output(to) {
            let mut out = BufWriter::new(out::Data::begin());
            self.suites(runset.as_ref(), &mut out, &|error| Failure::output(&error))?;
            let mut data = out
                .into_inner()
                .map_err(|error| Failure::output(error.error()))?;
            return data.end().map_err(|error| Failure::output(&error));
        }
        let file = Staged::file(to, "junit").map_err(|error| not_written(to, &error))?;
        let mut out = BufWriter::new(file.open());
        self.suites(runset.as_ref(), &mut out, &|error| {
            Failure::cannot("write the JUnit file", &error)
        })?;
        let written = out.flush().and_then(|()| file.open().sync_data());
        drop(out);
        written
            .and_then(|()| file.complete(to))
            .map_err(|error| not_written(to, &error))
    }

    fn suites(
        &self,
        runset: Option<&Runset>,
        out: &mut dyn Write,
        failed: &dyn Fn(io::Error) -> Failure,
    ) -> Result<(), Failure> {
        out.write_all(junit::BEGIN.as_bytes()).map_err(failed)?;
        if let Some(runset) = runset {
            let store = select::store(&self.state)?;
            let mut late = HashMap::new();
            self.state.each_flaky(Some(runset), |flaky| {
                late.insert(flaky.task, flaky);
            })?;
            let began = self.state.runset_created(runset)?.unwrap_or_default();
            let began = jiff::Timestamp::from_millisecond(began).unwrap_or_default();
            let began = began.strftime("%Y-%m-%dT%H:%M:%S").to_string();
            for step in &self.source.manifest.steps {
                let mut counts = Counts::default();
                // The counts stand before what is counted.
                let mut cases = tempfile::tempfile().map(BufWriter::new).map_err(failed)?;
                let filter = Filter {
                    runset: Some(&runset.name),
                    step: Some(&step.name),
                    which: Which::Live,
                    limit: None,
                };
                self.state.each_task(&filter, |row| {
                    self.case(&row, &late, &store, &mut |case| {
                        counts.add(case);
                        cases
                            .write_all(junit::case(case).as_bytes())
                            .map_err(failed)
                    })
                })?;
                let suite = junit::suite(&step.name, &counts, &began);
                out.write_all(suite.as_bytes()).map_err(failed)?;
                let mut cases: File = cases
                    .into_inner()
                    .map_err(|error| failed(error.into_error()))?;
                cases
                    .rewind()
                    .and_then(|()| io::copy(&mut cases, out))
                    .map_err(failed)?;
                out.write_all(junit::SUITE_END.as_bytes()).map_err(failed)?;
            }
        }
        out.write_all(junit::END.as_bytes()).map_err(failed)
    }

    /// Shows the case that a task is.
    fn case(
        &self,
        row: &TaskRow,
        late: &HashMap<TaskId, Flaky>,
        store: &store::Reader,
        show: &mut dyn FnMut(&Case) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let Some(step) = &row.step else {
            return Ok(());
        };
        let name = match (&row.name, &row.key) {
            (Some(name), _) => name.to_string(),
            (None, Some(key)) if !key.is_empty() => key.clone(),
            (None, _) => step.name.to_string(),
        };
        let last = self.last.as_ref();
        let not_remade = last.and_then(|last| last.not_remade.get(&row.id));
        let error = not_remade.or(row.error.as_ref());
        let error = error.cloned().unwrap_or_default();
        let mut logs = [String::new(), String::new()];
        let end = match row.state {
            // Its logs are those of the time when it succeeded.
            _ if not_remade.is_some() => End::Failed {
                cause: Cause::of(&error).word(),
                error: &error,
            },
            TaskState::Pending => End::Pending,
            TaskState::Reused => End::Reused(row.reused_from.map_or(0, |task| task.0)),
            TaskState::Done => match late.get(&row.id) {
                Some(flaky) => End::Late {
                    tries: flaky.tries,
                    cause: Cause::of(&flaky.error).word(),
                    error: &flaky.error,
                },
                None => End::Passed,
            },
            TaskState::Failed => {
                let written = self.state.logs(row.id)?;
                for (log, object) in logs.iter_mut().zip([written.stdout, written.stderr]) {
                    *log = object.map_or_else(String::new, |object| tail(store, &object));
                }
                End::Failed {
                    cause: Cause::of(&error).word(),
                    error: &error,
                }
            }
        };
        let is_run = matches!(row.state, TaskState::Done | TaskState::Failed);
        show(&Case {
            step: &step.name,
            name: &name,
            elapsed: row.elapsed.filter(|_| is_run).unwrap_or_default().max(0),
            end,
            logs: [&logs[0], &logs[1]],
        })
    }
}

/// The end of a log, as people read it; that of one that is gone is empty.
fn tail(store: &store::Reader, object: &Digest) -> String {
    match store.tail(object, TAIL) {
        Ok((bytes, _)) => plain(&String::from_utf8_lossy(&bytes)),
        Err(_) => String::new(),
    }
}
