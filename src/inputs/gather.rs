//! Entries as they are found.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::Ordering;

use super::lines::{self, BadLines, Place};
use super::{Entry, Error, Outside, Source};
use crate::files::{self, Keep, Known, Root};
use crate::manifest::diagnostic::Diagnostic;
use crate::manifest::{Input, InputKind, Placed};
use crate::model::digest::Digest;
use crate::model::entry::{EntryName, key_of_file};
use crate::model::file::{Lent, Stat};
use crate::model::glob::Glob;
use crate::model::name::StepName;
use crate::store::Store;
use crate::text::quoted;

pub(super) fn line_bytes(text: &str) -> Vec<u8> {
    format!("{text}\n").into_bytes()
}

/// Where to point for the input as a whole: at what it names.
pub(super) fn place(input: &Input) -> Range<usize> {
    match input.kind() {
        Some(InputKind::Files(globs)) => globs[0].at.clone(),
        Some(InputKind::Rows(named) | InputKind::Lines(named)) => named.at.clone(),
        None => input.at.at.clone(),
    }
}

pub(super) fn of_file(error: &files::Error, at: Range<usize>) -> Diagnostic {
    Diagnostic::at(at, error.to_string()).hint(error.hint())
}

/// Finds entries, and what is wrong with them.
pub(super) struct Gatherer<'a> {
    pub outside: &'a Outside<'a>,
    pub root: &'a Root,
    /// Where a command has its temporary files, if anything is to change.
    pub temporary: Option<&'a Path>,
    pub entries: Vec<Entry>,
    pub errors: Vec<Diagnostic>,
    pub bare: Vec<(String, Range<usize>)>,
    /// What commands that ended well said on standard error, with their places.
    pub said: Vec<(Range<usize>, String)>,
    /// Files that are objects where they lie.
    pub lent: Vec<(Digest, Lent)>,
    /// What is wrong for no other reason than that something is not there: it may come.
    pub absent: Vec<Diagnostic>,
    /// Whether nothing is read but sheets: entries have no bytes then.
    pub only_looks: bool,
    /// The files that were looked at only.
    pub seen: Vec<(Box<str>, Stat)>,
}

impl<'a> Gatherer<'a> {
    /// Nothing is found yet.
    pub(super) fn new(
        outside: &'a Outside<'a>,
        root: &'a Root,
        temporary: Option<&'a Path>,
    ) -> Self {
        Self {
            outside,
            root,
            temporary,
            entries: Vec::new(),
            errors: Vec::new(),
            bare: Vec::new(),
            said: Vec::new(),
            lent: Vec::new(),
            absent: Vec::new(),
            only_looks: false,
            seen: Vec::new(),
        }
    }

    /// Finds what can be found without running anything.
    pub(super) fn without_commands(
        &mut self,
        known: &mut Known,
        store: Option<&Store>,
    ) -> Result<(), Error> {
        let kept = store.map_or(Keep::Nothing, Keep::All);
        for (number, input) in self.outside.manifest.inputs.iter().enumerate() {
            let keep = if input.copy { kept } else { Keep::Nothing };
            match input.kind() {
                Some(InputKind::Files(globs)) => self.files(number, input, globs, known, keep),
                Some(InputKind::Rows(sheet)) => self.rows(number, input, sheet, known, keep),
                Some(InputKind::Lines(_)) | None => {}
            }
        }
        if self.outside.stop.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        Ok(())
    }

    /// For a run, what is not there is an error as any other.
    pub(super) fn nothing_is_absent(&mut self) {
        self.errors.append(&mut self.absent);
        let place = |one: &Diagnostic| one.span.as_ref().map(|span| span.start);
        self.errors.sort_by_key(place);
    }

    /// By their identities, and then by the steps' names.
    pub(super) fn sort(&mut self) {
        self.entries.sort_by(|a, b| {
            let by_step = || a.step.as_str().cmp(b.step.as_str());
            a.identity.cmp(&b.identity).then_with(by_step)
        });
    }
}

impl Gatherer<'_> {
    pub(super) fn files(
        &mut self,
        number: usize,
        input: &Input,
        globs: &[Placed<String>],
        known: &mut Known,
        keep: Keep,
    ) {
        let mut wanted: Vec<(&Placed<String>, Glob)> = globs
            .iter()
            .filter_map(|glob| Some((glob, Glob::parse(&glob.value).ok()?)))
            .collect();
        let looked = loop {
            match files::find(self.root, wanted.iter().map(|(_, glob)| glob)) {
                Ok(looked) => break looked,
                Err(errors) => {
                    let nothing = |error: &files::Error| {
                        use files::Error::{Folders, Nothing, TakenOut};
                        matches!(error, Nothing(_) | Folders { .. } | TakenOut { .. })
                    };
                    if input.empty && errors.iter().all(|(_, error)| nothing(error)) {
                        let without: Vec<usize> = errors.iter().map(|(at, _)| *at).collect();
                        let mut at = 0..;
                        wanted.retain(|_| at.next().is_none_or(|at| !without.contains(&at)));
                        continue;
                    }
                    for (at, error) in errors {
                        let is_absent = nothing(&error);
                        let error = of_file(&error, wanted[at].0.at.clone());
                        if is_absent {
                            self.absent.push(error);
                        } else {
                            self.errors.push(error);
                        }
                    }
                    return;
                }
            }
        };
        let mut wrong = Wrong::default();
        for found in looked.files {
            let (object, size) = match self.content(input, &found.path, found.stat, known, keep) {
                Ok(content) => content,
                Err(error) => {
                    wrong.note(|| of_file(&error, place(input)));
                    continue;
                }
            };
            let name = found.path.rsplit('/').next().unwrap_or_default();
            let Some((step, others)) = self.steps(input, name) else {
                wrong.note(|| nowhere(input, &found.path, name));
                continue;
            };
            let globs = globs.iter().map(|glob| &*glob.value);
            let globs = globs.filter(|glob| !glob.starts_with('!'));
            let entry = Entry {
                identity: EntryName::File(found.path.to_string()).to_text().into(),
                key: Some(key_of_file(globs, &found.path).into()),
                name: name.into(),
                step,
                object,
                size,
                input: number,
                source: Source::File(found.path),
            };
            self.add(entry, others);
        }
        self.errors.extend(wrong.finish());
    }

    pub(super) fn lines(
        &mut self,
        number: usize,
        input: &Input,
        command: &Placed<String>,
    ) -> Result<(), Error> {
        let Some(Some(programs)) = self.outside.programs.get(number) else {
            let words = "the packages of this input are not resolved yet";
            let error = Diagnostic::at(command.at.clone(), words);
            let hint = "-run resolves them; -host-env takes the host's programs in place of them";
            self.errors.push(error.hint(hint));
            return Ok(());
        };
        let told = match lines::of(
            &command.value,
            &Place {
                folder: self.outside.folder,
                temporary: self.temporary,
                programs,
                params: self.outside.params,
            },
            self.outside.stop,
        ) {
            Ok(told) => told,
            Err(BadLines::Interrupted) => return Err(Error::Interrupted),
            Err(bad) => {
                let error = Diagnostic::at(command.at.clone(), bad.to_string());
                self.errors.push(error.hint(bad.hint()));
                return Ok(());
            }
        };
        if !told.words.is_empty() {
            self.said.push((command.at.clone(), told.words));
        }
        let lines = told.lines;
        // Those of one command are told apart from those of another, which may have nothing now.
        let before = self.outside.manifest.inputs[..number].iter();
        let before = before.filter(|one| matches!(one.kind(), Some(InputKind::Lines(_))));
        let begin = EntryName::of_lines(before.count());
        let mut wrong = Wrong::default();
        if lines.is_empty() && !input.empty {
            self.bare.push((begin.clone(), command.at.clone()));
        }
        for line in lines {
            let Some((step, others)) = self.steps(input, &line.name) else {
                wrong.note(|| {
                    nowhere(
                        input,
                        &format!("the line {}", quoted(&line.text)),
                        &line.name,
                    )
                });
                continue;
            };
            let bytes = line_bytes(&line.text);
            let entry = Entry {
                identity: format!("{begin}{}", line.text).into(),
                key: None,
                name: line.name.into(),
                step,
                object: Digest::of(&bytes),
                size: bytes.len() as u64,
                input: number,
                source: Source::Line(line.text.into()),
            };
            self.add(entry, others);
        }
        self.errors.extend(wrong.finish());
        Ok(())
    }

    /// What is in a file that looks like this: digest and size in bytes.
    pub(super) fn content(
        &mut self,
        input: &Input,
        path: &str,
        stat: Stat,
        known: &mut Known,
        keep: Keep,
    ) -> Result<(Digest, u64), files::Error> {
        if self.only_looks {
            self.seen.push((path.into(), stat));
            return Ok((Digest::EMPTY, stat.size));
        }
        let (stat, digest) = if let Some(content) = known.get(&stat) {
            (stat, content.digest)
        } else {
            let (stat, content) = files::read(self.root, path, known, keep)?;
            (stat, content.digest)
        };
        if !input.copy {
            let settled = known.is_settled(&stat);
            let path = self.outside.folder.join(path);
            let path = std::path::absolute(&path).unwrap_or(path);
            let lent = Lent {
                path,
                stat,
                settled,
            };
            self.lent.push((digest, lent));
        }
        Ok((digest, stat.size))
    }

    /// The first step that takes an entry of this name, and the others.
    pub(super) fn steps<'i>(
        &self,
        input: &'i Input,
        name: &str,
    ) -> Option<(StepName, &'i [StepName])> {
        match input.steps.split_first() {
            Some((first, others)) => Some((first.clone(), others)),
            None => Some((self.outside.router.route(name)?.clone(), &[])),
        }
    }

    /// Adds an entry, for its own step and for others.
    pub(super) fn add(&mut self, entry: Entry, others: &[StepName]) {
        for step in others {
            let step = step.clone();
            self.entries.push(Entry {
                step,
                ..entry.clone()
            });
        }
        self.entries.push(entry);
    }

    /// No entry comes to a step by two inputs.
    pub(super) fn check_identities(&mut self) {
        let mut wrong: HashMap<usize, Wrong> = HashMap::new();
        let inputs = &self.outside.manifest.inputs;
        for pair in self.entries.windows(2) {
            let [one, other] = pair else {
                continue;
            };
            if one.identity != other.identity || one.step != other.step {
                continue;
            }
            let line = self
                .outside
                .texts
                .line_words(place(&inputs[one.input]).start);
            wrong.entry(other.input).or_default().note(|| {
                let name = EntryName::parse(&other.identity);
                let message = format!(
                    "{} comes to {} by the input {line} as well",
                    name.map_or_else(String::new, |name| name.to_string()),
                    other.step
                );
                Diagnostic::at(place(&inputs[other.input]), message).hint(
                    "a step has one task for each file, row or line; to give it to another step, name that: step = \"…\"",
                )
            });
        }
        let wrong = wrong.into_values().filter_map(Wrong::finish);
        self.errors.extend(wrong);
    }
}

/// The first of many mistakes of one input, and how many there are.
#[derive(Default)]
pub(super) struct Wrong {
    first: Option<Diagnostic>,
    more: usize,
}

impl Wrong {
    pub(super) fn note(&mut self, what: impl FnOnce() -> Diagnostic) {
        if self.first.is_some() {
            self.more += 1;
        } else {
            self.first = Some(what());
        }
    }

    pub(super) fn finish(self) -> Option<Diagnostic> {
        let mut first = self.first?;
        if self.more > 0 {
            first.message = format!("{} (and {} more like it)", first.message, self.more);
        }
        Some(first)
    }
}

pub(super) fn nowhere(input: &Input, what: &str, name: &str) -> Diagnostic {
    let message = format!(
        "{what} goes to no step: {} ends in the name of none",
        quoted(name)
    );
    Diagnostic::at(place(input), message).hint("say which one takes it: step = \"…\"")
}
