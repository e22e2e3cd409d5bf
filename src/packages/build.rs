//! Builds packages that no earlier run resolved: one call for all of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::model::name::StepName;

use super::command::{CallError, Inputs, Nix};
use super::diagnose;
use super::failure::Kind;
use super::key::Key;
use super::pins::{self, Generated};
use super::roots::Roots;
use super::wanted::{All, Source, Wanted};
use super::{BadPackage, Error, Progress};

/// One building of packages.
pub(super) struct Builder<'a> {
    /// The packages of all steps.
    pub all: &'a All,
    /// What relative references are relative to.
    pub base: &'a Path,
    /// The programs of Nix.
    pub nix: &'a Nix<'a>,
    /// The steps that it is for.
    pub steps: &'a [StepName],
    /// The pins as inputs, where there are any.
    pub flake: Option<Generated>,
}

impl Builder<'_> {
    /// Builds the packages at `places`, with GC roots: the store paths of each.
    pub(super) fn outputs(
        &self,
        places: &[usize],
        roots: &mut Roots,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<BTreeMap<usize, Vec<String>>, Error> {
        let mut arguments = BTreeMap::new();
        let mut in_store = Vec::new();
        for place in places {
            match self.argument(&self.all.wanted[*place]) {
                Some(argument) => {
                    arguments.insert(*place, argument);
                }
                None => in_store.push(*place),
            }
        }
        let mut bad = self.check_outputs(&mut arguments);
        let mut outputs = BTreeMap::new();
        for place in in_store {
            let name = call_name("store", [self.all.wanted[place].text.as_str()]);
            let root = roots.place(&name, "path")?;
            match self.realise(place, &root, progress) {
                Ok(paths) => {
                    outputs.insert(place, paths);
                }
                Err(CallError::Failed(failure)) => {
                    bad.push(diagnose::one(self.all, place, failure));
                }
                Err(call) => return Err(self.error(call)),
            }
        }
        match self.build(&arguments, roots, progress) {
            Ok(built) => outputs.extend(built),
            Err(Error::Packages(mut others)) => {
                for other in &mut others {
                    if let Some(flake) = &self.flake {
                        other.failure.words = flake.in_words(&other.failure.words);
                    }
                }
                bad.extend(others);
            }
            Err(error) => return Err(error),
        }
        if bad.is_empty() {
            roots.note(outputs.values().flatten());
            return Ok(outputs);
        }
        bad.sort_by_key(|bad| {
            places
                .iter()
                .position(|place| bad.packages.first() == Some(&self.all.wanted[*place].text))
        });
        Err(Error::Packages(bad))
    }

    /// What `nix build` is given for a package; none for a path in the store.
    fn argument(&self, wanted: &Wanted) -> Option<String> {
        match &wanted.source {
            Source::Pinned {
                reference,
                selector,
            } => {
                let input = self.flake.as_ref().and_then(|flake| flake.input(reference));
                let reference = match input {
                    Some(input) => input.to_owned(),
                    None => pins::absolute(reference, self.base),
                };
                Some(format!("{reference}{selector}"))
            }
            Source::Fixed(text) | Source::Folder { text, .. } => Some(text.clone()),
            Source::Store { .. } => None,
        }
    }

    /// Takes out what chooses outputs, if this Nix cannot.
    fn check_outputs(&self, arguments: &mut BTreeMap<usize, String>) -> Vec<BadPackage> {
        let Err(failure) = self.nix.check_outputs() else {
            return Vec::new();
        };
        let mut bad = Vec::new();
        arguments.retain(|place, argument| {
            let keep = !argument.contains('^');
            if !keep {
                bad.push(diagnose::one(self.all, *place, failure.clone()));
            }
            keep
        });
        bad
    }

    /// All in one call, then each by itself, for which outputs are whose: the answer to several is
    /// not in their order on every version.
    fn build(
        &self,
        arguments: &BTreeMap<usize, String>,
        roots: &Roots,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<BTreeMap<usize, Vec<String>>, Error> {
        if arguments.is_empty() {
            return Ok(BTreeMap::new());
        }
        let texts = arguments
            .keys()
            .map(|at| self.all.wanted[*at].text.as_str());
        let place: PathBuf = roots.place(&call_name("build", texts), "env")?;
        let list: Vec<String> = arguments.values().cloned().collect();
        let registry = self.flake.as_ref().map(Generated::registry);
        let mut inputs = Inputs {
            flake: self.flake.as_ref().map(Generated::reference),
            registry: registry.as_deref(),
        };
        let mut built = self.nix.build(&list, inputs, &place, progress);
        // A flake without a lock file of its own looks its inputs up in the registry.
        if matches!(&built, Err(CallError::Failed(failure)) if failure.kind == Kind::UnknownFlake) {
            inputs.registry = None;
            built = self.nix.build(&list, inputs, &place, progress);
        }
        let built = match built {
            Ok(built) => built,
            Err(CallError::Failed(failure)) => {
                return Err(diagnose::several(
                    self.all, self.nix, arguments, inputs, failure,
                ));
            }
            Err(call) => return Err(self.error(call)),
        };
        let mut outputs = BTreeMap::new();
        if let [place] = arguments.keys().copied().collect::<Vec<_>>()[..] {
            outputs.insert(place, built.concat());
            return Ok(outputs);
        }
        for (place, argument) in arguments {
            let paths = self
                .nix
                .outputs_of(argument, inputs)
                .map_err(|call| self.error(call))?;
            outputs.insert(*place, paths);
        }
        Ok(outputs)
    }

    /// A path in the store, downloaded or built where it is not there.
    fn realise(
        &self,
        place: usize,
        root: &Path,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<String>, CallError> {
        let wanted = &self.all.wanted[place];
        let Source::Store { path, outputs } = &wanted.source else {
            return Ok(Vec::new());
        };
        let paths: Vec<String> = if path.is_derivation() && !outputs.is_empty() {
            let output = |name| format!("{}!{name}", path.as_str());
            outputs.iter().map(output).collect()
        } else {
            vec![path.as_str().to_owned()]
        };
        self.nix.realise(&paths, Some(root), progress)
    }

    fn error(&self, call: CallError) -> Error {
        Error::of_call(call, self.steps)
    }
}

/// A name for a folder of roots: the same for the same texts.
pub(super) fn call_name<'t>(kind: &str, texts: impl IntoIterator<Item = &'t str>) -> String {
    let mut key = Key::new(kind);
    for text in texts {
        key.text(b'i', text);
    }
    format!("{kind}-{}", &key.finish().hex()[..16])
}
