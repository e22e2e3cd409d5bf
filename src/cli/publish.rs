//! `[publish]` and `-publish`: the final outputs as files in a folder, at the end of a run.

use std::path::Path;
use std::process::ExitCode;

use super::call::Call;
use super::covered::Covered;
use super::error::Failure;
use super::results::Place;
use super::select;
use crate::engine::key_of;
use crate::export::publish::{self, Error, Published, Why};
use crate::model::event::Event;
use crate::model::publish::Publish;
use crate::state::{Left, Runset, Selection};
use crate::text::amount::doing;
use crate::text::{Shown as _, visible};

impl Call<'_> {
    /// Puts the results where they are wanted, after a run that ended so, and tells where they are.
    pub(super) fn publish(&mut self, ended: ExitCode) -> Result<(), Failure> {
        let is_over = ended == ExitCode::SUCCESS || ended == ExitCode::FAILURE;
        let Some(runset) = self.state.newest_runset()?.filter(|_| is_over) else {
            return Ok(());
        };
        let Some(place) = self.leaves.results.clone() else {
            return Ok(());
        };
        if let Some(why) = self.keeps_from(&runset) {
            let words = format!(
                "the results in {} are as they were: {why}",
                place.named.shown()
            );
            self.warn(Some(words));
            return Ok(());
        }
        let removes = ended == ExitCode::SUCCESS;
        let (done, equal) = self.bring(&runset, &place, removes)?;
        for words in told(&done, &place) {
            self.warn(Some(words));
        }
        self.reporter.event(&Event::Results {
            folder: &place.named.to_string_lossy(),
            files: done.files as u64,
            new: done.new as u64,
            changed: done.changed as u64,
            removed: done.removed as u64,
            kept: done.kept as u64,
            equal: equal as u64,
        });
        self.tell_left_behind(&place)
    }

    /// Why this run publishes nothing: what it did is not all that the newest runset has.
    fn keeps_from(&self, newest: &Runset) -> Option<String> {
        let given = self.actions.part.given();
        if let Some(option) = given.first() {
            return Some(format!("{option} chose what ran"));
        }
        let named = self.actions.runset.as_deref();
        let other = named.filter(|name| *name != select::ALL && *name != newest.name)?;
        Some(format!(
            "runset {} is not the newest one, which is {}",
            visible(other),
            visible(&newest.name)
        ))
    }

    fn bring(
        &mut self,
        runset: &Runset,
        place: &Place,
        removes: bool,
    ) -> Result<(Published, usize), Failure> {
        let store = select::store(&self.state)?;
        let outputs = self.state.outputs(&Selection {
            runset: Some(runset.clone()),
            ..Selection::default()
        })?;
        let source = self.source;
        let rule = |step: &str| {
            let steps = &mut source.manifest.steps.iter();
            steps
                .find(|known| known.name.as_str() == step)
                .map_or(Publish::Named, |step| step.publish.clone())
        };
        let key = |output: &Left| match &output.maker {
            Some((task, ..)) => Ok(key_of(&self.state, &source.router, *task)?),
            None => Ok::<String, Error>(String::new()),
        };
        let is_wanted = |output: &&Left| {
            let step = output.maker.as_ref().map_or("", |(_, step, _)| step);
            rule(step) != Publish::Never
        };
        let all = outputs.iter().filter(is_wanted).count();
        let wanted = publish::paths(&outputs, rule, key).map_err(|error| place.failure(error))?;
        let covered = Covered::of(source, &place.folder);
        if !covered.is_nothing()
            && let Some((path, whose)) = wanted.keys().find_map(|path| covered.whose(path))
        {
            return Err(Place::is_covered(&covered, &path, whose));
        }
        let target = place.target(&runset.name, removes, &self.inbox.stop);
        let done = publish::publish(&store, &wanted, &target)
            .map_err(|error| place.failure(error).or_signal(self.inbox.signal()))?;
        Ok((done, all.saturating_sub(wanted.len())))
    }

    /// Tells once where the results of earlier runs are, if these went to another folder.
    fn tell_left_behind(&mut self, place: &Place) -> Result<(), Failure> {
        let Some(before) = self.state.set_results(&place.folder.to_string_lossy())? else {
            return Ok(());
        };
        if publish::is_of(
            Path::new(&before),
            &place.target("", false, &self.inbox.stop),
        ) {
            let before = visible(&before);
            self.warn(Some(format!(
                "results of earlier runs stay in {before}, as they go to {} now\n\
                 hint: no run touches that folder any more: remove it where nobody needs it",
                place.named.shown()
            )));
        }
        Ok(())
    }
}

/// What was left alone, in words.
fn told(done: &Published, place: &Place) -> Vec<String> {
    let folder = place.named.shown();
    let mut told = Vec::new();
    for why in [Why::Changed, Why::Foreign, Why::Gone] {
        let mut paths = done.left.iter().filter(|(_, is)| *is == why);
        let files = paths.clone().count();
        let Some((first, _)) = paths.next() else {
            continue;
        };
        let (one, several, hint) = match why {
            Why::Changed => (
                "was changed by hand, and stays",
                "were changed by hand, and stay",
                "moved away, it makes room for the result of the next run",
            ),
            Why::Foreign => (
                "is in the way of a result, and stays, as no run put it there",
                "are in the way of results, and stay, as no run put them there",
                "moved away, it makes room for the result of the next run",
            ),
            Why::Gone => (
                "is no result any more, and stays, as it was changed by hand",
                "are no results any more, and stay, as they were changed by hand",
                "no run will touch it: keep it or remove it",
            ),
        };
        let more = if files > 1 { ", …" } else { "" };
        told.push(format!(
            "{folder}: {}: {}{more}\nhint: {hint}",
            doing(files, "file", (one, several)),
            visible(first)
        ));
    }
    told
}
