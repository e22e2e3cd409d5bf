//! What can be seen of what comes in without taking it in: by `check`, and by one who watches.

use super::compare::Merge;
use super::gather::Gatherer;
use super::{Error, Inputs, Outside, lines};
use crate::files::{Known, Root};
use crate::manifest::InputKind;
use crate::manifest::diagnostic::Diagnostic;
use crate::model::entry::EntryName;
use crate::model::event::Compared;
use crate::model::file::Stat;
use crate::model::param;
use crate::state::{Reader, Runset};

impl Inputs {
    /// How what can be seen without running anything differs from what is recorded of the runset:
    /// lines of commands are passed over.
    pub(crate) fn seen(
        outside: &Outside,
        known: &mut Known,
        state: &Reader,
        runset: &Runset,
    ) -> Result<Compared, Error> {
        let seen = Self::gather_with(outside, known, None, false)?;
        let names = state.names_of_versions()?;
        let mut merge = Merge::new(&seen.entries);
        state.each_entry(runset, |recorded| {
            let name = EntryName::parse(&recorded.identity);
            if !matches!(name, Some(EntryName::Line { .. })) {
                let step = recorded.step.and_then(|step| names.get(&step));
                merge.recorded(recorded, step);
            }
        })?;
        Ok(merge.finish().counts())
    }

    /// What is wrong with what comes in, and what is not there, as far as that can be seen without reading files or
    /// running anything; each with its place.
    pub(crate) fn look(outside: &Outside) -> Result<(Vec<Diagnostic>, Vec<Diagnostic>), Error> {
        let root = Self::root(outside)?;
        let mut gatherer = Self::only_look(outside, &root)?;
        gatherer.sort();
        gatherer.check_identities();
        Ok((gatherer.errors, gatherer.absent))
    }

    /// The files that come in, also those that sheets name, as they look: of what is wrong nothing.
    pub(crate) fn files(outside: &Outside) -> Vec<(Box<str>, Stat)> {
        let Ok(root) = Self::root(outside) else {
            return Vec::new();
        };
        let gatherer = Self::only_look(outside, &root);
        gatherer.map_or_else(|_| Vec::new(), |gatherer| gatherer.seen)
    }

    /// What the commands of inputs say, each as a whole: of those that need no packages and no parameter. What goes wrong is
    /// nothing.
    pub(crate) fn said_now(outside: &Outside) -> Vec<String> {
        let inputs = outside.manifest.inputs.iter();
        let commands = inputs.filter_map(|input| match input.kind() {
            Some(InputKind::Lines(command)) if input.packages.is_empty() => Some(command),
            _ => None,
        });
        let place = lines::Place {
            folder: outside.folder,
            temporary: None,
            programs: &[],
            params: &[],
        };
        let names = || outside.manifest.params.keys();
        commands
            .filter(|command| !names().any(|name| param::is_mentioned(&command.value, name)))
            .map(|command| {
                let told = lines::of(&command.value, &place, outside.stop);
                let lines = told.map_or_else(|_| Vec::new(), |told| told.lines);
                let texts = lines.into_iter().map(|line| line.text);
                texts.collect::<Vec<_>>().join("\n")
            })
            .collect()
    }

    fn only_look<'a>(outside: &'a Outside<'a>, root: &'a Root) -> Result<Gatherer<'a>, Error> {
        let mut gatherer = Gatherer::new(outside, root, None);
        gatherer.only_looks = true;
        gatherer.without_commands(&mut Known::new([]), None)?;
        Ok(gatherer)
    }
}
