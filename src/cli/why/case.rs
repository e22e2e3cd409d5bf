//! What there is to say of one task, state by state.

use std::fmt::Write as _;
use std::time::Duration;

use super::super::error::Failure;
use super::super::options::Places;
use super::super::select;
use super::changes;
use crate::engine::ReuseScope;
use crate::exec::local::Given;
use crate::files::Texts;
use crate::manifest::Cache;
use crate::model::identity::FileChanges;
use crate::model::list::Form;
use crate::model::task::TaskId;
use crate::prepare::Source;
use crate::state::{Acceptance, Equal, Reader, StepId, StepVersion, TaskRow, TaskStep};
use crate::sys::now;
use crate::text::amount;
use crate::text::time::{exact, point, short};
use crate::text::visible;

/// A task and the versions of its step.
pub(super) struct Case<'a> {
    pub(super) state: &'a Reader,
    pub(super) texts: &'a Texts,
    pub(super) row: &'a TaskRow,
    pub(super) step: &'a TaskStep,
    pub(super) versions: &'a [StepVersion],
    /// What the manifest says of the step, if there is one at hand.
    pub(super) cache: Option<Cache>,
    /// Why it counts for a version that did not make it.
    pub(super) acceptance: Option<Acceptance>,
}

/// What the manifest at hand says of the step's cache, if there is one.
pub(super) fn cache(places: &Places, step: &str) -> Option<Cache> {
    let source = Source::load(&places.manifest().ok()?).ok()?;
    Some(source.manifest.step(step)?.cache)
}

/// Why a result that was made at `executed` is not used again by a run at `now`, in a runset of its own
/// or not; none if that is not what `cache` says.
fn refused(cache: Cache, executed: Option<i64>, now: i64, elsewhere: bool) -> Option<String> {
    match cache {
        Cache::Always | Cache::Never => None,
        Cache::Runset => elsewhere
            .then(|| "is of another runset, and the step has `cache = \"runset\"`".to_owned()),
        Cache::Within(age) => {
            let limit = exact(age);
            let Some(executed) = executed else {
                return Some(format!(
                    "is of unknown age, and the step has `cache = \"{limit}\"`"
                ));
            };
            let old = Duration::from_millis(u64::try_from(now - executed).unwrap_or(0));
            (old > age).then(|| {
                format!(
                    "was {} old, and the step has `cache = \"{limit}\"`",
                    short(old)
                )
            })
        }
    }
}

impl Case<'_> {
    /// What it got besides its input, in words.
    pub(super) fn with(&self) -> Option<String> {
        let steps = &self.version(self.step.id)?.identity.as_ref()?.with;
        let steps: Vec<String> = steps.iter().map(|step| visible(step)).collect();
        let list = self.row.context.as_ref().and_then(|context| {
            let store = select::store(self.state).ok()?;
            Given::of(&store, context, Form::List).ok()
        });
        let list = list.map(|list| list.files);
        if let (Some(_), Some([only])) = (self.row.pair_of, list.as_deref()) {
            return Some(visible(&only.name));
        }
        let files = list.map(|files| u64::try_from(files.len()).unwrap_or(u64::MAX));
        let files = files.map(|files| format!(", {}", amount::count(files, "file")));
        (!steps.is_empty()).then(|| format!("{}{}", steps.join(", "), files.unwrap_or_default()))
    }

    fn version(&self, id: StepId) -> Option<&StepVersion> {
        self.versions.iter().find(|version| version.id == id)
    }

    /// The version that made it, or is to.
    fn made_by(&self) -> StepId {
        let accepted = self.acceptance.as_ref();
        accepted.map_or(self.step.id, |acceptance| acceptance.made_by)
    }

    /// The version that the step has now.
    fn current(&self) -> Option<&StepVersion> {
        let current = self.versions.iter().find(|version| version.current);
        current.or(self.versions.last())
    }

    /// `origin`: who has made it, and where it was found.
    pub(super) fn shared(&self, origin: &str, text: &mut String) {
        let _ = writeln!(
            text,
            "  not executed here: its result was made by {}, on the same input, with the same script, variables and \
             packages",
            visible(origin)
        );
        if let Some(executed) = self.row.executed {
            let _ = writeln!(text, "  it was made until {}", point(executed));
        }
    }

    pub(super) fn reused(&self, text: &mut String) {
        if let Some(source) = self.row.reused_from {
            let _ = writeln!(
                text,
                "  reused: task #{source} ran {} on the same input, with the same script, variables \
                 and packages; its outputs stand for those of this one",
                visible(&self.step.name)
            );
            if let Some(executed) = self.row.executed {
                let _ = writeln!(text, "  they were made until {}", point(executed));
            }
        }
    }

    pub(super) fn ran(&self, text: &mut String) -> Result<(), Failure> {
        text.push_str("  ran because ");
        match (self.row.supersedes, self.row.forced, self.row.parent) {
            (_, true, None) if self.row.supersedes.is_none() => {
                text.push_str("a start task always runs\n");
            }
            (_, true, _) => {
                let _ = writeln!(
                    text,
                    "it was asked for: -start {}",
                    visible(&self.step.name)
                );
            }
            (Some(old), false, _) => self.migrated(old, text)?,
            (None, false, _) => self.first(text)?,
        }
        Ok(())
    }

    fn migrated(&self, old: TaskId, text: &mut String) -> Result<(), Failure> {
        let before = self.state.task(old)?;
        if let Some(before) = &before
            && before.object != self.row.object
        {
            let _ = writeln!(text, "its input changed: it took the place of task #{old}");
            if before.form == self.row.form && before.form != Form::File {
                let mut changes = FileChanges {
                    new: Some(self.row.object),
                    old: Some(before.object),
                    names: Vec::new(),
                };
                for line in self.texts.lines(&mut changes) {
                    let _ = writeln!(text, "    {}", visible(&line));
                }
            }
            return Ok(());
        }
        if let Some(before) = &before
            && before.context.is_some()
            && before.context != self.row.context
            && before.step.as_ref().map(|step| step.id) == Some(self.step.id)
        {
            let _ = writeln!(
                text,
                "what it gets besides its input changed: it took the place of task #{old}"
            );
            return Ok(());
        }
        let before = before.and_then(|before| before.step);
        if let Some(before) = &before
            && before.name != self.step.name
        {
            let _ = writeln!(
                text,
                "its input went to another step before: it took the place of task #{old}, which ran {}",
                visible(&before.name)
            );
            return Ok(());
        }
        let versions = before
            .and_then(|before| Some((self.version(self.made_by())?, self.version(before.id)?)));
        if let Some((new, old_version)) = versions {
            let _ = writeln!(
                text,
                "it took the place of task #{old}, which ran v{}; v{} differs from it:",
                old_version.version, new.version
            );
            text.push_str(&changes(new, old_version, self.texts, "    "));
            return Ok(());
        }
        let _ = writeln!(
            text,
            "its input goes here by its name; it was a final output before, #{old}"
        );
        Ok(())
    }

    /// Not asked for and in no other task's place.
    fn first(&self, text: &mut String) -> Result<(), Failure> {
        let (row, step) = (self.row, self.step);
        let equal = self.state.equal_versions(self.made_by())?;
        if let Some(earlier) = self
            .state
            .finished_before(&equal, &row.object, row.form, row.id)?
        {
            if let Some(acceptance) = self.state.acceptance(earlier)? {
                let _ = writeln!(
                    text,
                    "task #{earlier}, on the same input, was {}: such a result stands for that task \
                     alone",
                    acceptance.in_words(step.version)
                );
                return Ok(());
            }
            let other = self.state.task(earlier)?;
            if let Some(other) = &other
                && other.context != row.context
            {
                let _ = writeln!(
                    text,
                    "task #{earlier}, on the same input, got something else besides"
                );
                return Ok(());
            }
            let refused = other.zip(self.cache).and_then(|(other, cache)| {
                let now = row.started.unwrap_or_else(|| now().as_millisecond());
                refused(cache, other.executed, now, other.runset != row.runset)
            });
            if let Some(why) = refused {
                let _ = writeln!(
                    text,
                    "the result of task #{earlier}, the same on the same input, {why}"
                );
                return Ok(());
            }
            let _ = writeln!(
                text,
                "what task #{earlier}, the same on the same input, left could not be used: its \
                 outputs were gone, or the step is not to be reused (`cache = false`, or its script \
                 reads the task's, the runset's or the input's name)"
            );
            return Ok(());
        }
        let others: Vec<StepId> = self.versions.iter().map(|version| version.id).collect();
        match self
            .state
            .finished_before(&others, &row.object, row.form, row.id)?
        {
            Some(other) => {
                let before = self.state.task(other)?.and_then(|other| other.step);
                let _ = writeln!(
                    text,
                    "on this input only another version ran before (task #{other}); what differs:"
                );
                if let Some(before) = before
                    && let (Some(new), Some(old)) =
                        (self.version(self.made_by()), self.version(before.id))
                {
                    text.push_str(&changes(new, old, self.texts, "    "));
                }
            }
            None => {
                let _ = writeln!(
                    text,
                    "{} never ran on this input before",
                    visible(&step.name)
                );
            }
        }
        Ok(())
    }

    pub(super) fn failed(&self, text: &mut String) {
        let error = self.row.error.as_deref().unwrap_or_default();
        let _ = writeln!(
            text,
            "  failed: {}; `log {}` shows what it wrote; the next -run tries again",
            visible(error.lines().next().unwrap_or_default()),
            self.row.id
        );
    }

    pub(super) fn pending(&self, text: &mut String) -> Result<(), Failure> {
        if self.with().is_some() && self.row.context.is_none() {
            text.push_str(
                "  will run once all of that is there, unless an equal task had the same\n",
            );
            return Ok(());
        }
        let equal = match self.current() {
            Some(current) if !self.row.forced => self.state.equal_versions(current.id)?,
            _ => Vec::new(),
        };
        let now = now().as_millisecond();
        let scope = self
            .cache
            .map_or(ReuseScope::Any, |cache| ReuseScope::of(cache, now));
        let find = |scope: ReuseScope| {
            let usable = scope.look(&self.row.runset);
            self.state.finished_equal(
                &equal,
                (&self.row.object, self.row.form, self.row.context.as_ref()),
                None,
                None,
                usable,
            )
        };
        match find(scope)? {
            Some(Equal {
                made_by: source, ..
            }) => {
                let _ = writeln!(
                    text,
                    "  at the next -run it takes the outputs of task #{source}, an equal one, unless \
                     the step is not to be reused"
                );
            }
            None if self.row.supersedes.is_some() => {
                text.push_str("  will run, ");
                let mut because = String::new();
                self.ran(&mut because)?;
                text.push_str(because.trim_start().trim_start_matches("ran "));
            }
            None => {
                let why = match (find(ReuseScope::Any)?, self.cache) {
                    (Some(other), Some(cache)) => {
                        refused(cache, other.executed, now, true).map(|why| (other.made_by, why))
                    }
                    _ => None,
                };
                let _ = match why {
                    Some((other, why)) => writeln!(
                        text,
                        "  will run at the next -run: the result of task #{other}, an equal one, {why}"
                    ),
                    None => writeln!(text, "  will run at the next -run: it was not executed yet"),
                };
            }
        }
        Ok(())
    }

    /// What it means for it that the step has another version now.
    pub(super) fn newer(&self, text: &mut String) {
        let (Some(current), Some(own)) = (self.current(), self.version(self.step.id)) else {
            return;
        };
        if current.fingerprint == own.fingerprint {
            return;
        }
        let then = if self.row.tainted {
            "-migrate-tainted -run does it again, -migrate-tainted -sample 20 tries some first"
        } else {
            "it runs as that version"
        };
        let _ = writeln!(
            text,
            "  the step now has v{}; {then}; what differs:",
            current.version
        );
        text.push_str(&changes(current, own, self.texts, "    "));
    }
}
