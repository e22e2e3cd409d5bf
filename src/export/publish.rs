//! The final outputs of a runset as files in a folder that follows them from run to run.
//!
//! What is new comes, what has changed is replaced as a whole, what is no result any more goes. An index
//! ([`INDEX`]) says what the program has put there: all else is left alone, and so is what somebody has changed
//! since. Before anything is put in its place the index says what is about to come, so that a run that is killed
//! leaves nothing that the next one takes for somebody else's.

mod index;
mod stand;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use index::{Index, Put};
use rustix::fs::Access;
use stand::Found;

pub(crate) use index::INDEX;

use super::names::{self, Twice, Wanted};
use super::replace;
use crate::folder::Folder;
use crate::model::list::Form;
use crate::model::publish::Publish;
use crate::staged::{self, Own, Staged};
use crate::state::{self, Left};
use crate::store;
use crate::sys;
use crate::text::{Shown as _, quoted};

/// Why results are not where they should be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// What should be the folder is none.
    #[error("{} is not a folder", .0.shown())]
    NotAFolder(PathBuf),
    /// The index cannot be understood.
    #[error("{} is no list of results: {reason}", path.shown())]
    Index {
        /// Where it is.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The folder has the results of somebody else.
    #[error("{} has the results of another pipeline, {}", folder.shown(), manifest.shown())]
    Other {
        /// The folder.
        folder: PathBuf,
        /// Whose results there are.
        manifest: PathBuf,
    },
    /// Two outputs cannot be told apart by anything.
    #[error("two results would be called {}", quoted(.0))]
    Twice(String),
    /// A result is where another one has its folder.
    #[error("{} would be in {}, which is a result itself", quoted(.0), quoted(.1))]
    Within(String, String),
    /// It has a name that the program keeps for itself in the folder.
    #[error("a result would be called {}, and names that begin so are the program's own", quoted(.0))]
    Reserved(String),
    /// What the program keeps for itself is there.
    #[error("cannot write to {}: {what} is there, which the program keeps for itself", path.shown())]
    Own {
        /// The place.
        path: PathBuf,
        /// What is there.
        what: &'static str,
    },
    /// Somebody has asked for an end.
    #[error("interrupted")]
    Interrupted,
    /// The file system says no.
    #[error("cannot {doing} {}: {source}", path.shown())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] state::Error),
    /// An object cannot be read, or a file not written.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl From<Twice> for Error {
    fn from(Twice(path): Twice) -> Self {
        Self::Twice(path)
    }
}

fn io_error<'p>(doing: &'static str, path: &'p Path) -> impl FnOnce(io::Error) -> Error + 'p {
    move |source| Error::Io {
        doing,
        path: path.to_owned(),
        source,
    }
}

/// Where results go, and whose they are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    /// The folder; made where it is missing.
    pub folder: &'a Path,
    /// The manifest, from the root on.
    pub manifest: &'a Path,
    /// The db, from the root on.
    pub db: &'a Path,
    /// Their runset.
    pub runset: &'a str,
    /// What nothing takes the place of.
    pub own: &'a Own,
    /// Whether results that are no more go.
    pub removes: bool,
    /// Set when somebody asks for an end.
    pub stop: &'a AtomicBool,
}

/// What has become of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Published {
    /// How many results stand there.
    pub files: usize,
    /// Of these those that were not there before.
    pub new: usize,
    /// Of these those that were others before.
    pub changed: usize,
    /// How many went.
    pub removed: usize,
    /// How many are no results any more, and stay as nothing is to go.
    pub kept: usize,
    /// What was left as it is, though it is none of the results: paths, sorted.
    pub left: Vec<(String, Why)>,
}

/// Why something was left as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// Somebody has changed it, and the result is another one by now.
    Changed,
    /// It is in the place of a result, and did not come from here.
    Foreign,
    /// It is no result any more, but somebody has changed it.
    Gone,
}

/// Which paths the outputs get: `publish` says what a step wants, `key` what the key of a task is.
pub(crate) fn paths<E: From<Error> + From<Twice>>(
    outputs: &[Left],
    publish: impl Fn(&str) -> Publish,
    key: impl FnMut(&Left) -> Result<String, E>,
) -> Result<BTreeMap<String, Wanted>, E> {
    let wanted = names::resolve(outputs, publish, key)?;
    for path in wanted.keys() {
        if path.starts_with(staged::OWN) {
            return Err(Error::Reserved(path.clone()).into());
        }
        let above = path.match_indices('/').map(|(at, _)| &path[..at]);
        if let Some(above) = above.into_iter().find(|above| wanted.contains_key(*above)) {
            return Err(Error::Within(path.clone(), above.to_owned()).into());
        }
    }
    Ok(wanted)
}

/// Fails if no results can be put there, as far as that can be known before there are any.
pub(crate) fn check(target: &Target) -> Result<(), Error> {
    if !target.folder.is_dir() {
        if target.folder.symlink_metadata().is_ok() {
            return Err(Error::NotAFolder(target.folder.to_owned()));
        }
        return Ok(());
    }
    index(target).map(drop)
}

/// Fails if the folder cannot be made or nothing can be put into it, as far as its rights tell.
pub(crate) fn check_rights(folder: &Path) -> Result<(), Error> {
    let mut above = folder.ancestors();
    let there = above.find(|above| above.symlink_metadata().is_ok());
    let there = there.unwrap_or(folder);
    if !there.is_dir() {
        return Err(Error::NotAFolder(there.to_owned()));
    }
    rustix::fs::access(there, Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|error| io_error("write to", there)(error.into()))
}

/// Whether results of the same pipeline stand in that folder.
pub(crate) fn is_of(folder: &Path, target: &Target) -> bool {
    let index = Index::read(folder);
    index.is_ok_and(|index| index.is_of(target.manifest, target.db))
}

fn index(target: &Target) -> Result<Index, Error> {
    let index = Index::read(target.folder)?;
    if index.is_of_another(target.manifest, target.db) {
        return Err(Error::Other {
            folder: target.folder.to_owned(),
            manifest: index.manifest,
        });
    }
    Ok(index)
}

/// Brings the folder to what is `wanted`, path by path.
pub(crate) fn publish(
    store: &store::Reader,
    wanted: &BTreeMap<String, Wanted>,
    target: &Target,
) -> Result<Published, Error> {
    check(target)?;
    let made = !target.folder.exists();
    if made && wanted.is_empty() {
        return Ok(Published::default());
    }
    fs::create_dir_all(target.folder).map_err(io_error("make the folder", target.folder))?;
    let before = index(target)?;
    let mut plan = Plan {
        target,
        index: Index {
            manifest: target.manifest.to_owned(),
            db: target.db.to_owned(),
            runset: target.runset.to_owned(),
            ..before.clone()
        },
        coming: Vec::new(),
        going: Vec::new(),
        done: Published::default(),
    };
    for (path, wanted) in wanted {
        plan.look_at(path, wanted)?;
    }
    for path in before.files.keys() {
        if !wanted.contains_key(path) {
            plan.look_at_old(path)?;
        }
    }
    plan.fill(store, wanted)?;
    plan.remove()?;
    if plan.index != before {
        plan.index.write(target.folder)?;
    }
    plan.done.left.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    Ok(plan.done)
}

/// What is to be done, and what was.
struct Plan<'a> {
    target: &'a Target<'a>,
    index: Index,
    coming: Vec<String>,
    going: Vec<String>,
    done: Published,
}

impl Plan<'_> {
    fn place(&self, path: &str) -> PathBuf {
        self.target.folder.join(path)
    }

    fn found(&self, path: &str) -> Result<Found, Error> {
        stand::look(self.target.folder, path).map_err(io_error("look at", &self.place(path)))
    }

    fn go_on(&self) -> Result<(), Error> {
        if self.target.stop.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        staged::go_on().map_err(|_| Error::Interrupted)
    }

    /// What is at the path, by its hash, if it is what the program has put there or would put there. None
    /// if it is something else.
    fn ours(
        &self,
        path: &str,
        found: &Found,
        wanted: Option<&Wanted>,
    ) -> Result<Option<String>, Error> {
        let Found::There { folder, seen } = found else {
            return Ok(None);
        };
        let put = self.index.files.get(path);
        if let Some(put) = put
            && put.seen == *seen
            && put.folder == *folder
        {
            return Ok(Some(put.hash.clone()));
        }
        let is_like = |form: Form| *folder == (form == Form::Folder);
        let may_be = put.is_some_and(|put| put.folder == *folder || !put.next.is_empty())
            || wanted.is_some_and(|wanted| is_like(wanted.form));
        if !may_be {
            return Ok(None);
        }
        self.go_on()?;
        let place = self.place(path);
        let hash = stand::hash(&place, *folder, self.target.stop);
        let hash = hash.map_err(|error| match self.go_on() {
            Ok(()) => io_error("read", &place)(error),
            Err(interrupted) => interrupted,
        })?;
        let Some(hash) = hash.map(|hash| hash.hex().to_string()) else {
            return Ok(None);
        };
        let known = put.is_some_and(|put| put.hash == hash || put.next == hash);
        let equal = wanted.is_some_and(|wanted| *wanted.object.hex() == *hash);
        Ok((known || equal).then_some(hash))
    }

    /// Decides about a result.
    fn look_at(&mut self, path: &str, wanted: &Wanted) -> Result<(), Error> {
        self.go_on()?;
        let found = self.found(path)?;
        let hash = self.ours(path, &found, Some(wanted))?;
        match (&found, hash) {
            (Found::Nothing, _) => {
                self.done.new += 1;
                self.coming.push(path.to_owned());
            }
            (Found::There { folder, seen }, Some(hash)) => {
                if hash == *wanted.object.hex() {
                    // What somebody else has put there stays theirs, though it is the same.
                    if let Some(known) = self.index.files.get_mut(path) {
                        *known = put(wanted, seen.clone());
                    }
                } else {
                    self.index.files.insert(
                        path.to_owned(),
                        Put {
                            hash,
                            folder: *folder,
                            seen: seen.clone(),
                            ..self.index.files.get(path).cloned().unwrap_or_default()
                        },
                    );
                    self.done.changed += 1;
                    self.coming.push(path.to_owned());
                }
            }
            (Found::There { .. } | Found::Odd | Found::Blocked, _) => {
                let why = if self.index.files.contains_key(path) {
                    Why::Changed
                } else {
                    Why::Foreign
                };
                self.done.left.push((path.to_owned(), why));
                return Ok(());
            }
        }
        self.done.files += 1;
        Ok(())
    }

    /// Decides about what is no result any more.
    fn look_at_old(&mut self, path: &str) -> Result<(), Error> {
        self.go_on()?;
        let found = self.found(path)?;
        if found == Found::Nothing || found == Found::Blocked {
            self.index.files.remove(path);
        } else if self.ours(path, &found, None)?.is_none() {
            self.index.files.remove(path);
            self.done.left.push((path.to_owned(), Why::Gone));
        } else if self.target.removes {
            self.going.push(path.to_owned());
        } else {
            self.done.kept += 1;
        }
        Ok(())
    }

    /// Puts what is new or changed in its place.
    fn fill(
        &mut self,
        store: &store::Reader,
        wanted: &BTreeMap<String, Wanted>,
    ) -> Result<(), Error> {
        let folder = self.target.folder;
        if self.coming.is_empty() {
            return Ok(());
        }
        for path in &self.coming {
            let place = self.place(path);
            if let Some(what) = self.target.own.at_file(&place) {
                return Err(Error::Own { path: place, what });
            }
        }
        let making =
            Staged::folder(folder, "publish").map_err(io_error("make a folder in", folder))?;
        let new = Folder::open(making.path()).map_err(io_error("open", making.path()))?;
        let coming = std::mem::take(&mut self.coming);
        for (number, path) in coming.iter().enumerate() {
            self.go_on()?;
            let one = &wanted[path];
            let name = number.to_string();
            let written = match one.form {
                Form::Folder => store
                    .unfold(&one.object, &new, &name, &staged::go_on)
                    .map(drop),
                Form::File | Form::List => store.copy_new(&one.object, new.entry(&name)).map(drop),
            };
            match written {
                // Where it is made is nothing to the user.
                Err(store::Error::Io {
                    path: at, source, ..
                }) if at.starts_with(making.path()) => {
                    return Err(io_error("write", &self.place(path))(source));
                }
                other => other?,
            }
            let put = self.index.files.entry(path.clone()).or_default();
            put.next = one.object.hex().to_string();
            put.folder |= put.hash.is_empty() && one.form == Form::Folder;
        }
        // What is in place is whole, even if the power fails.
        File::open(making.path())
            .and_then(|made| sys::sync(&made))
            .map_err(io_error("write", folder))?;
        self.index.write(folder)?;
        for (number, path) in coming.iter().enumerate() {
            self.go_on()?;
            let (one, from, place) = (
                &wanted[path],
                making.path().join(number.to_string()),
                self.place(path),
            );
            if let Some(above) = place.parent() {
                fs::create_dir_all(above).map_err(io_error("make the folder", above))?;
            }
            let is_folder = |path: &Path| path.symlink_metadata().is_ok_and(|about| about.is_dir());
            let placed = if is_folder(&place) || one.form == Form::Folder {
                replace::folder(&making, &from, &place).map(drop)
            } else {
                making.release(&from, &place)
            };
            placed.map_err(io_error("write", &place))?;
            let seen = match self.found(path)? {
                Found::There { seen, .. } => seen,
                Found::Nothing | Found::Odd | Found::Blocked => String::new(),
            };
            self.index.files.insert(path.clone(), put(one, seen));
        }
        Ok(())
    }

    /// Takes away what is no result any more, and the folders that are empty by that.
    fn remove(&mut self) -> Result<(), Error> {
        for path in std::mem::take(&mut self.going) {
            self.go_on()?;
            let place = self.place(&path);
            let removed = match place.symlink_metadata() {
                Ok(about) if about.is_dir() => fs::remove_dir_all(&place),
                _ => fs::remove_file(&place),
            };
            removed.map_err(io_error("remove", &place))?;
            self.index.files.remove(&path);
            self.done.removed += 1;
            let above = place.ancestors().skip(1);
            for folder in above.take_while(|folder| *folder != self.target.folder) {
                if fs::remove_dir(folder).is_err() {
                    break;
                }
            }
        }
        Ok(())
    }
}

fn put(wanted: &Wanted, seen: String) -> Put {
    Put {
        hash: wanted.object.hex().to_string(),
        folder: wanted.form == Form::Folder,
        step: wanted.step.as_ref().map(ToString::to_string),
        version: wanted.version,
        seen,
        next: String::new(),
    }
}

#[cfg(test)]
mod tests;
