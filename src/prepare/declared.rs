//! The files that steps declare, as they are when the steps are registered.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Error, Source, SourceError};
use crate::files::{self, Keep, Known, Root, Snapshot, Texts, Watch};
use crate::manifest::diagnostic::Diagnostic;
use crate::manifest::{Placed, Step};
use crate::model::digest::Digest;
use crate::model::glob::Glob;
use crate::model::identity::Files;
use crate::state::State;
use crate::store::{self, AMONG, Store, name_of_run};
use crate::text::Shown as _;

/// What was found, for each step that declares files.
#[derive(Debug)]
pub(super) struct Declared {
    /// By the step's place in the manifest.
    steps: HashMap<usize, Arc<Taken>>,
    /// What is known of all files that were looked at.
    pub known: Option<Known>,
    /// To tell what changed in them.
    pub texts: Texts,
}

/// Whether the step declares files, and does not only say which are none.
fn has_files(step: &Step) -> bool {
    step.files.iter().any(|glob| !glob.value.takes_out())
}

/// The files of a step, or of several with the same patterns.
#[derive(Debug)]
pub(super) struct Taken {
    pub files: Files,
    pub watch: Arc<Watch>,
}

impl Declared {
    /// Finds and reads the files. Of one who writes to the state their bytes become objects.
    pub(super) fn take(source: &Source, state: &mut State) -> Result<Self, Error> {
        let texts = Texts::new(store::Reader::new(&state.layout().objects()));
        let mut declared = Self {
            steps: HashMap::new(),
            known: None,
            texts,
        };
        let steps = &source.manifest.steps;
        if !steps.iter().any(has_files) {
            return Ok(declared);
        }
        let root = Arc::new(source.root(state.layout().root())?);
        let shelf = if state.is_writer() {
            Some(Shelf::open(state)?)
        } else {
            None
        };
        let keep = shelf
            .as_ref()
            .map_or(Keep::Nothing, |shelf| Keep::Small(&shelf.store));
        let mut known = Known::default();
        let mut recorded = None;
        // Many have none but those of `[defaults]`.
        let mut taken: HashMap<Vec<&str>, Arc<Taken>> = HashMap::new();
        let mut wrong = Wrong::default();
        for (place, step) in steps.iter().enumerate() {
            if !has_files(step) {
                continue;
            }
            let patterns: Vec<&str> = step.files.iter().map(|glob| glob.value.text()).collect();
            if let Some(same) = taken.get(&patterns) {
                declared.steps.insert(place, Arc::clone(same));
                continue;
            }
            let mut learn = |known: &mut Known| {
                let first = recorded.is_none();
                let contents = recorded.get_or_insert_with(|| state.contents());
                if first && let Ok(contents) = contents {
                    *known = Known::new(std::mem::take(contents));
                }
            };
            let take = |globs: Vec<Glob>| {
                let globs = globs.into();
                Snapshot::take_while(&root, &globs, &mut known, keep, &mut learn)
            };
            let Some(snapshot) = wrong.or_found(source, step, take) else {
                continue;
            };
            let tree = snapshot.tree();
            let files = Files {
                tree: Digest::of(tree.as_bytes()),
                mentions: snapshot.mentions().map(str::to_owned).collect(),
            };
            if let Some(shelf) = &shelf
                && !shelf.store.contains(&files.tree)
            {
                shelf
                    .store
                    .insert_bytes(tree.as_bytes())
                    .map_err(files::Error::from)?;
            }
            declared.texts.add(&root, files.tree, tree);
            let watch = Arc::new(Watch::new(snapshot));
            let one = Arc::new(Taken { files, watch });
            taken.insert(patterns, Arc::clone(&one));
            declared.steps.insert(place, one);
        }
        if let Some(contents) = recorded {
            contents?;
        }
        declared.known = Some(known);
        Ok(wrong.or(source, declared)?)
    }

    /// Those of the step at this place.
    pub(super) fn of(&self, place: usize) -> Option<&Arc<Taken>> {
        self.steps.get(&place)
    }

    /// Records what was read. With inputs, these record it, too, and know what nobody needs any more.
    pub(super) fn record(&mut self, source: &Source, state: &mut State) -> Result<(), Error> {
        let Some(known) = &mut self.known else {
            return Ok(());
        };
        let (found, anew) = known.to_record();
        let anew = anew && source.manifest.inputs.is_empty();
        if !found.is_empty() || anew {
            state.put_contents(found, anew)?;
        }
        Ok(())
    }
}

/// Whether a step does without what all steps have: a pattern of its own takes out all that one of
/// `[defaults]` finds.
fn gives_up(steps: &[Step], globs: &[Placed<Glob>], (at, error): &(usize, files::Error)) -> bool {
    let files::Error::TakenOut { by, .. } = error else {
        return false;
    };
    let has = |step: &&Step, glob: &Placed<Glob>| step.files.iter().any(|one| one.at == glob.at);
    let is_of_all = |glob: &Placed<Glob>| steps.iter().filter(|step| has(step, glob)).count() > 1;
    let by = globs.iter().find(|glob| glob.value.text() == by);
    is_of_all(&globs[*at]) && by.is_some_and(|by| !is_of_all(by))
}

/// What is wrong, by the place in the manifest: of a pattern that several steps have, once.
#[derive(Default)]
struct Wrong(BTreeMap<(usize, usize), Diagnostic>);

impl Wrong {
    /// What is found by the step's patterns, without those that it gives up.
    fn or_found<T>(
        &mut self,
        source: &Source,
        step: &Step,
        mut find: impl FnMut(Vec<Glob>) -> Result<T, Vec<(usize, files::Error)>>,
    ) -> Option<T> {
        let steps = &source.manifest.steps;
        let mut wanted = step.files.clone();
        loop {
            match find(wanted.iter().map(|glob| glob.value.clone()).collect()) {
                Ok(found) => return Some(found),
                Err(errors) if errors.iter().all(|one| gives_up(steps, &wanted, one)) => {
                    let mut at = 0..;
                    let is_in = |at: usize| errors.iter().any(|(given_up, _)| *given_up == at);
                    wanted.retain(|_| at.next().is_none_or(|at| !is_in(at)));
                }
                Err(errors) => {
                    self.add(&wanted, &errors, source);
                    return None;
                }
            }
        }
    }

    fn add(&mut self, globs: &[Placed<Glob>], errors: &[(usize, files::Error)], source: &Source) {
        for (glob, error) in errors {
            let at = globs[*glob].at.clone();
            let told = self.0.entry((at.start, at.end));
            told.or_insert_with(|| {
                let mut message = error.to_string();
                if matches!(error, files::Error::Nothing(_)) {
                    message.push_str(" in ");
                    message.push_str(&source.folder.shown().to_string());
                }
                Diagnostic::at(at, message).hint(error.hint())
            });
        }
    }

    /// The value, if nothing was wrong.
    fn or<T>(self, source: &Source, value: T) -> Result<T, SourceError> {
        if self.0.is_empty() {
            return Ok(value);
        }
        let wrong: Vec<Diagnostic> = self.0.into_values().collect();
        Err(source.diagnose(&wrong))
    }
}

/// The store, with a folder of its own to make objects in.
struct Shelf {
    store: Store,
    folder: PathBuf,
}

impl Shelf {
    /// The folder lies among the objects, where a run removes it should this process be killed.
    fn open(state: &State) -> Result<Self, Error> {
        let objects = state.layout().objects();
        let open = || {
            store::make(&objects)?;
            let name = name_of_run(RandomState::new().build_hasher().finish());
            let folder = objects.join(AMONG).join(name);
            fs::create_dir_all(&folder).map_err(store::io_error("make the folder", &folder))?;
            let store = Store::open(&objects, &folder)?;
            Ok(Self { store, folder })
        };
        open().map_err(|error: store::Error| files::Error::from(error).into())
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
        if let Some(among) = self.folder.parent() {
            // Unless something else is there.
            let _ = fs::remove_dir(among);
        }
    }
}

impl Source {
    /// The paths of the files that each step declares, which are not read. In `own`, the program's
    /// folder, none is found.
    pub(crate) fn declared_files(&self, own: &Path) -> Result<Vec<Vec<Box<str>>>, SourceError> {
        let steps = &self.manifest.steps;
        if !steps.iter().any(has_files) {
            return Ok(steps.iter().map(|_| Vec::new()).collect());
        }
        let root = self.root(own)?;
        let mut wrong = Wrong::default();
        let mut all = Vec::new();
        for step in steps {
            let find = |globs: Vec<Glob>| files::find(&root, &globs);
            if let Some(looked) = wrong.or_found(self, step, find) {
                all.push(looked.files.into_iter().map(|file| file.path).collect());
            }
        }
        wrong.or(self, all)
    }

    fn root(&self, own: &Path) -> Result<Root, SourceError> {
        let stop = Arc::clone(&self.stop);
        let root = Root::open_until(&self.folder, Some(own), stop);
        let root = root.map_err(|source| SourceError::Read {
            path: self.folder.clone(),
            source,
        })?;
        Ok(root.telling(self.tell))
    }

    /// The errors with the lines of the manifest that they are about.
    pub(crate) fn diagnose(&self, errors: &[Diagnostic]) -> SourceError {
        SourceError::Bad {
            path: self.path.clone(),
            rendered: self.texts.render(errors),
            count: errors.len(),
        }
    }
}
