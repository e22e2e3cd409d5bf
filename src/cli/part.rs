//! A run of a part: which steps, and which of what comes in.

mod until;

use std::collections::HashMap;

use super::call::{Call, Found};
use super::counts;
use super::error::Failure;
use super::options::PartOptions;
use super::select::some_of;
use crate::engine::Selection;
use crate::model::entry::EntryName;
use crate::model::event::LeftOut;
use crate::model::glob::Glob;
use crate::prepare::Source;
use crate::state::Runset;
use crate::text::{amount, quoted, suggest};

impl PartOptions {
    /// Those that are given.
    pub(super) fn given(&self) -> Vec<&'static str> {
        [
            (!self.only.is_empty(), "-only"),
            (self.until.is_some(), "-until"),
            (!self.input.is_empty(), "-input"),
            (self.partition.is_some(), "-partition"),
        ]
        .into_iter()
        .filter_map(|(given, option)| given.then_some(option))
        .collect()
    }

    /// The steps that are named.
    pub(super) fn steps(&self) -> impl Iterator<Item = &String> {
        self.only.iter().chain(&self.until)
    }

    fn are_about_inputs(&self) -> bool {
        !self.input.is_empty() || self.partition.is_some()
    }

    /// Fails where there are no inputs to choose from.
    pub(super) fn check(&self, source: &Source) -> Result<(), Failure> {
        if !self.are_about_inputs() || !source.manifest.inputs.is_empty() {
            return Ok(());
        }
        let option = match self.partition {
            Some(_) => "-partition",
            None => "-input",
        };
        Err(Failure::usage(format!(
            "{option} chooses among what comes in, and the manifest has no [[input]]"
        ))
        .hint("-only and -until choose steps"))
    }

    fn wanted(&self) -> Vec<Wanted> {
        self.input.iter().map(|word| Wanted::new(word)).collect()
    }

    /// Fails if a word names none of these entries, which are given by their identities.
    fn check_inputs<'i>(
        &self,
        identities: impl Iterator<Item = &'i str> + Clone,
    ) -> Result<(), Failure> {
        for wanted in self.wanted() {
            let mut names = identities.clone().filter_map(EntryName::parse);
            if !names.any(|name| wanted.is(&name)) {
                return Err(unknown_input(&wanted.word, identities));
            }
        }
        Ok(())
    }
}

fn unknown_input<'i>(word: &str, identities: impl Iterator<Item = &'i str>) -> Failure {
    let names: Vec<String> = identities
        .filter_map(EntryName::parse)
        .map(|name| name_of(&name).to_owned())
        .collect();
    let failure = Failure::usage(format!("there is no input {}", quoted(word)));
    if let Some(near) = suggest::closest(word, names.iter().map(String::as_str)) {
        return failure.hint(format!("did you mean {}?", quoted(near)));
    }
    let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
    failure.hint(match some_of(names.iter().map(String::as_str)) {
        Some(names) => format!("the inputs are {names}"),
        None => "nothing comes in".to_owned(),
    })
}

/// What one calls an entry.
pub(super) fn name_of(name: &EntryName) -> &str {
    match name {
        EntryName::File(path) => path,
        EntryName::Row { name, .. } => name,
        EntryName::Line { text, .. } => text,
    }
}

/// What a word stands for.
struct Wanted {
    word: String,
    /// None of what can only be a name.
    glob: Option<Glob>,
}

impl Wanted {
    fn new(word: &str) -> Self {
        let plain = word.strip_prefix("./").unwrap_or(word);
        Self {
            word: plain.to_owned(),
            glob: Glob::parse(plain).ok(),
        }
    }

    fn is(&self, name: &EntryName) -> bool {
        let text = name_of(name);
        if text == self.word {
            return true;
        }
        let matches = |text: &str| self.glob.as_ref().is_some_and(|glob| glob.matches(text));
        let file = match name {
            // As where a file is ignored by its name alone, wherever it is.
            EntryName::File(path) if !self.word.contains('/') => path.rsplit('/').next(),
            EntryName::File(_) | EntryName::Row { .. } | EntryName::Line { .. } => None,
        };
        matches(text) || file.is_some_and(matches)
    }
}

impl Call<'_> {
    /// Fails if an input is wanted that does not come in, before anything changes.
    pub(super) fn check_part(&self, found: &Found) -> Result<(), Failure> {
        let part = &self.actions.part;
        part.check_inputs(found.inputs.identities())
    }

    /// What of each runset is to run; none of one of which all is.
    pub(super) fn selections(&self, runsets: &[Runset]) -> Result<Vec<Option<Selection>>, Failure> {
        let part = &self.actions.part;
        let options = part.given();
        if options.is_empty() {
            return Ok(runsets.iter().map(|_| None).collect());
        }
        let mut all = Vec::new();
        let steps = self.left_out_steps()?;
        let mut identities = Vec::new();
        for runset in runsets {
            let mut selection = Selection {
                steps: steps.clone(),
                entries: None,
                options: options.clone(),
            };
            if part.are_about_inputs() {
                let wanted = part.wanted();
                let mut entries = HashMap::new();
                self.state.each_entry(runset, |entry| {
                    let named = || {
                        let name = EntryName::parse(&entry.identity);
                        name.is_some_and(|name| wanted.iter().any(|one| one.is(&name)))
                    };
                    let starts = part.partition.is_none_or(|part| part.has(&entry.identity))
                        && (wanted.is_empty() || named());
                    entries.insert(entry.task, starts);
                    if !wanted.is_empty() {
                        identities.push(entry.identity);
                    }
                })?;
                selection.entries = Some(entries);
            }
            all.push(Some(selection));
        }
        part.check_inputs(identities.iter().map(String::as_str))?;
        Ok(all)
    }

    /// The places of the steps of which nothing is to start.
    fn left_out_steps(&self) -> Result<Vec<usize>, Failure> {
        let part = &self.actions.part;
        let starts: Vec<bool> = if let Some(step) = &part.until {
            until::leading_to(self.source, &self.state, step)?
        } else {
            let is_named =
                |name: &str| part.only.is_empty() || part.only.iter().any(|one| one == name);
            let steps = self.source.manifest.steps.iter();
            steps.map(|step| is_named(&step.name)).collect()
        };
        let places = starts.into_iter().enumerate();
        Ok(places
            .filter_map(|(place, starts)| (!starts).then_some(place))
            .collect())
    }

    /// Whether tasks of the manifest's steps are left to be done, though nothing failed and nobody asked for an
    /// end: that is no success.
    pub(super) fn tell_held(
        &mut self,
        runset: &Runset,
        left_out: Option<&LeftOut>,
    ) -> Result<bool, Failure> {
        let counts = counts::by_step(&self.source.manifest, &self.state, runset)?;
        let left: i64 = counts
            .iter()
            .map(|(_, tally)| tally.pending + tally.failed)
            .sum();
        let left_out = left_out.map_or(0, |left_out| left_out.tasks);
        let left = left - i64::try_from(left_out).unwrap_or(i64::MAX);
        if left > 0 && left_out > 0 {
            let wait = if left == 1 { "waits" } else { "wait" };
            let left = amount::count(left, "more task");
            self.warn(Some(format!("{left} {wait} for what was left out")));
            return Ok(false);
        }
        if left > 0 {
            self.warn(Some(format!(
                "{} to be done could not start, as what {} from may still change: a step above gathers, and did \
                 not when it worked\nhint: -migrate-tainted -run has it done again, and what follows",
                amount::count(left, "task"),
                if left == 1 { "it comes" } else { "they come" },
            )));
        }
        Ok(left > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_by_name_and_pattern() {
        let file = |path: &str| EntryName::File(path.into());
        let row = |name: &str| EntryName::Row {
            sheet: "s.csv".into(),
            name: name.into(),
        };
        for (word, name, is) in [
            ("in/a.txt", file("in/a.txt"), true),
            ("./in/a.txt", file("in/a.txt"), true),
            ("a.txt", file("in/a.txt"), true),
            ("*.txt", file("in/deep/a.txt"), true),
            ("in/*.txt", file("in/deep/a.txt"), false),
            ("in/**/*.txt", file("in/deep/a.txt"), true),
            ("in", file("in/a.txt"), true),
            ("b.txt", file("in/a.txt"), false),
            ("s1", row("s1"), true),
            ("s?", row("s1"), true),
            ("s", row("s1"), false),
            ("[", row("["), true),
            ("a {b}", row("a {b}"), true),
        ] {
            assert_eq!(Wanted::new(word).is(&name), is, "{word}, {name}");
        }
    }
}
