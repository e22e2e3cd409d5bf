//! Outputs as files and folders in a folder, or in one tar.
//!
//! A file has the name under which the task left it, in whatever order they came; [`names`] has how those of one
//! name are told apart.

mod names;
pub(crate) mod publish;
mod replace;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use names::Twice;
pub(crate) use names::Wanted;

use crate::folder::Folder;
use crate::model::digest::Digest;
use crate::model::list::Form;
use crate::model::publish::Publish;
use crate::model::tree::Kind;
use crate::staged::{self, Own, Staged};
use crate::state::{self, Left};
use crate::store;
use crate::sys::Identity;
use crate::text::{Shown as _, quoted};

/// Why nothing was exported.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The destination is there and is no folder.
    #[error("{} is not a folder", .0.shown())]
    NotAFolder(PathBuf),
    /// A file of that name is there already.
    #[error("{} exists already", .0.shown())]
    Taken(PathBuf),
    /// What the program keeps for itself is there.
    #[error("cannot write to {}: {what} is there, which the program keeps for itself", path.shown())]
    Own {
        /// The place.
        path: PathBuf,
        /// What is there.
        what: &'static str,
    },
    /// A folder stands where a file is to be.
    #[error("{} is a folder, and an output has that name", .0.shown())]
    Folder(PathBuf),
    /// Two outputs cannot be told apart by anything.
    #[error("two outputs would be called {}", quoted(.0))]
    Twice(String),
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
    /// The archive could not be written.
    #[error("cannot write the archive: {0}")]
    Archive(io::Error),
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] state::Error),
    /// An object cannot be read, or a file not written.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl From<Twice> for Error {
    fn from(Twice(name): Twice) -> Self {
        Self::Twice(name)
    }
}

fn io_error<'p>(doing: &'static str, path: &'p Path) -> impl FnOnce(io::Error) -> Error + 'p {
    move |source| Error::Io {
        doing,
        path: path.to_owned(),
        source,
    }
}

/// What was written into a folder.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Exported {
    /// How many files.
    pub count: usize,
    /// How many folders.
    pub folders: usize,
    /// What was in folders that were replaced, and is in none of these: paths, sorted.
    pub gone: Vec<String>,
    /// Other files that were there and stay, by name: an earlier export may have left them.
    pub others: Vec<String>,
}

/// The name of each of these outputs: its own, where those of one name differ with the `key` of the task that left it,
/// as in a folder of results. What is equal in name and bytes is one.
pub(crate) fn named(
    outputs: &[Left],
    key: impl FnMut(&Left) -> Result<String, Error>,
) -> Result<BTreeMap<String, Wanted>, Error> {
    names::resolve(outputs, |_| Publish::Named, key)
}

/// Writes outputs by their [names](named) into the folder `to`, which is made if it is not there. A folder that is not there yet appears when it is complete. In one that is,
/// files appear one after the other, each complete, once all have been written beside them; with
/// `force` they take the place of files of the same name, without it nothing is written if there
/// is one.
pub(crate) fn export(
    store: &store::Reader,
    outputs: &BTreeMap<String, Wanted>,
    to: &Path,
    force: bool,
    own: &Own,
) -> Result<Exported, Error> {
    let exists = to.is_dir();
    if !exists && to.symlink_metadata().is_ok() {
        return Err(Error::NotAFolder(to.to_owned()));
    }
    let beside = match to.parent() {
        _ if exists => to,
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if exists {
        for (name, output) in outputs {
            room(to, name, output.form, force, own)?;
        }
    }
    fs::create_dir_all(beside).map_err(io_error("make the folder", beside))?;
    let making = Staged::folder(beside, "export").map_err(io_error("make a folder in", beside))?;
    // Not that folder itself, which only its owner may enter.
    let complete = making.path().join("files");
    let folder = Folder::open(making.path())
        .and_then(|folder| folder.make("files"))
        .map_err(io_error("make the folder", &complete))?;
    let mut folders = 0;
    for (name, output) in outputs {
        staged::go_on().map_err(io_error("write to", to))?;
        let (object, form) = (output.object, output.form);
        let written = match form {
            Form::Folder => store.unfold(&object, &folder, name, &staged::go_on),
            Form::File | Form::List => store.copy_new(&object, folder.entry(name)),
        };
        match written {
            // The file system takes two names for one.
            Err(error) if error.is_taken() => return Err(Error::Twice(name.clone())),
            // Where it is made is nothing to the user.
            Err(store::Error::Io { path, source, .. }) if path.starts_with(making.path()) => {
                return Err(io_error("write", &to.join(name))(source));
            }
            other => other?,
        };
        folders += usize::from(form == Form::Folder);
    }
    let (mut others, mut gone) = (Vec::new(), Vec::new());
    if exists {
        for (name, output) in outputs {
            let place = to.join(name);
            room(to, name, output.form, force, own)?;
            let new = complete.join(name);
            let replaced = match output.form {
                Form::Folder => replace::folder(&making, &new, &place),
                Form::File | Form::List => making.release(&new, &place).map(|()| Vec::new()),
            };
            gone.extend(replaced.map_err(io_error("write", &place))?);
        }
        others = files_beside(to, outputs);
    } else {
        making
            .release(&complete, to)
            .map_err(io_error("rename the finished folder to", to))?;
    }
    Ok(Exported {
        count: outputs.len() - folders,
        folders,
        gone,
        others,
    })
}

/// Files in the folder of other names, sorted; hidden ones and what cannot be read count for nothing.
fn files_beside(folder: &Path, outputs: &BTreeMap<String, Wanted>) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    let mut others: Vec<String> = files
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.') && !outputs.contains_key(name))
        .collect();
    others.sort_unstable();
    others
}

/// Whether a file or folder may be put there.
fn room(to: &Path, name: &str, form: Form, force: bool, own: &Own) -> Result<(), Error> {
    let path = &to.join(name);
    let found = path.symlink_metadata();
    let identity = found.as_ref().ok().map(Identity::of);
    if let Some(what) = own.in_folder(to, name.as_ref(), identity, form == Form::Folder) {
        let path = path.to_owned();
        return Err(Error::Own { path, what });
    }
    match found {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io_error("look at", path)(error)),
        Ok(metadata) if metadata.is_dir() && form == Form::Folder && force => Ok(()),
        Ok(metadata) if metadata.is_dir() && form == Form::Folder => {
            Err(Error::Taken(path.to_owned()))
        }
        Ok(metadata) if metadata.is_dir() => Err(Error::Folder(path.to_owned())),
        Ok(_) if force => Ok(()),
        Ok(_) => Err(Error::Taken(path.to_owned())),
    }
}

/// Writes outputs by their [names](named) as a tar; gives the number of files and folders. The same outputs give the same
/// bytes: no times, no owners.
pub(crate) fn archive(
    store: &store::Reader,
    outputs: &BTreeMap<String, Wanted>,
    out: &mut dyn Write,
) -> Result<usize, Error> {
    // What was written cannot be taken back: all objects must be there before it begins.
    for output in outputs.values() {
        if output.form == Form::Folder {
            store.find_all_in(&output.object)?;
        }
        store.find(&output.object)?;
    }
    let mut archive = tar::Builder::new(out);
    for (name, output) in outputs {
        let (object, form) = (output.object, output.form);
        if form != Form::Folder {
            append(&mut archive, store, &object, name, 0o644)?;
            continue;
        }
        append_folder(&mut archive, name)?;
        for entry in store.tree(&object)? {
            let entry = entry?;
            let path = format!("{name}/{}", entry.name);
            match entry.kind {
                Kind::File => append(&mut archive, store, &entry.digest, &path, 0o644)?,
                Kind::Executable => append(&mut archive, store, &entry.digest, &path, 0o755)?,
                Kind::Folder => append_folder(&mut archive, &path)?,
                Kind::Link => {
                    let mut header = header(0, 0o777);
                    header.set_entry_type(tar::EntryType::Symlink);
                    let target = store.target(&entry)?;
                    archive
                        .append_link(&mut header, path, target)
                        .map_err(Error::Archive)?;
                }
            }
        }
    }
    let out = archive.into_inner().map_err(Error::Archive)?;
    out.flush().map_err(Error::Archive)?;
    Ok(outputs.len())
}

fn header(size: u64, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(mode);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

type Archive<'a> = tar::Builder<&'a mut dyn Write>;

fn append(
    archive: &mut Archive,
    store: &store::Reader,
    object: &Digest,
    name: &str,
    mode: u32,
) -> Result<(), Error> {
    let file = store.open_verified(object)?;
    let path = store.path(object);
    let metadata = file.metadata().map_err(io_error("look at", &path))?;
    let mut header = header(metadata.len(), mode);
    let appended = archive.append_data(&mut header, name, file);
    appended.map_err(Error::Archive)
}

fn append_folder(archive: &mut Archive, name: &str) -> Result<(), Error> {
    let mut header = header(0, 0o755);
    header.set_entry_type(tar::EntryType::Directory);
    let appended = archive.append_data(&mut header, format!("{name}/"), io::empty());
    appended.map_err(Error::Archive)
}

#[cfg(test)]
mod tests;
