//! Outputs as files and folders in a folder, or in one tar.
//!
//! A file has the name under which the task left it. Where outputs of one name differ in their
//! bytes, the first eight digits of each one's hash stand before the extension
//! (`result-1a2b3c4d.txt`), whatever order they came in; equal ones are one file.

pub(crate) mod publish;
mod replace;

use std::collections::HashSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::folder::Folder;
use crate::model::digest::Digest;
use crate::model::list::Form;
use crate::model::tree::Kind;
use crate::staged::{self, Own, Staged};
use crate::state::{self, Final, Reader, Selection};
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
    /// What tells two outputs apart makes a name that a third one has.
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

/// Writes the selected outputs into the folder `to`, which is made if it is not there. A folder that is not there yet appears when it is complete. In one that is,
/// files appear one after the other, each complete, once all have been written beside them; with
/// `force` they take the place of files of the same name, without it nothing is written if there
/// is one.
pub(crate) fn export(
    state: &Reader,
    store: &store::Reader,
    selection: &Selection,
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
        state.each_final(selection, |output| {
            let form = output.form;
            room(to, &file_name(output), form, force, own)
        })?;
    }
    fs::create_dir_all(beside).map_err(io_error("make the folder", beside))?;
    let making = Staged::folder(beside, "export").map_err(io_error("make a folder in", beside))?;
    // Not that folder itself, which only its owner may enter.
    let complete = making.path().join("files");
    let folder = Folder::open(making.path())
        .and_then(|folder| folder.make("files"))
        .map_err(io_error("make the folder", &complete))?;
    let (mut names, mut folders) = (Vec::new(), 0);
    state.each_final(selection, |output| {
        staged::go_on().map_err(io_error("write to", to))?;
        let (object, form) = (output.object, output.form);
        let name = file_name(output);
        let written = match form {
            Form::Folder if folder.entry(&name).look().is_ok() => return Err(Error::Twice(name)),
            Form::Folder => store.unfold(&object, &folder, &name, &staged::go_on),
            Form::File | Form::List => store.copy_new(&object, folder.entry(&name)),
        };
        match written {
            Err(error) if error.is_taken() => return Err(Error::Twice(name)),
            // Where it is made is nothing to the user.
            Err(store::Error::Io { path, source, .. }) if path.starts_with(making.path()) => {
                return Err(io_error("write", &to.join(name))(source));
            }
            other => other?,
        };
        folders += usize::from(form == Form::Folder);
        names.push((name, form));
        Ok::<(), Error>(())
    })?;
    let (mut others, mut gone) = (Vec::new(), Vec::new());
    if exists {
        for (name, form) in &names {
            let place = to.join(name);
            room(to, name, *form, force, own)?;
            let new = complete.join(name);
            let replaced = match form {
                Form::Folder => replace::folder(&making, &new, &place),
                Form::File | Form::List => making.release(&new, &place).map(|()| Vec::new()),
            };
            gone.extend(replaced.map_err(io_error("write", &place))?);
        }
        others = files_beside(to, &names);
    } else {
        making
            .release(&complete, to)
            .map_err(io_error("rename the finished folder to", to))?;
    }
    Ok(Exported {
        count: names.len() - folders,
        folders,
        gone,
        others,
    })
}

/// Files in the folder of other names, sorted; hidden ones and what cannot be read count for nothing.
fn files_beside(folder: &Path, names: &[(String, Form)]) -> Vec<String> {
    let known: HashSet<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    let mut others: Vec<String> = files
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.') && !known.contains(name.as_str()))
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

/// Writes the selected outputs as a tar; gives the number of files and folders. The same outputs give the same
/// bytes: no times, no owners.
pub(crate) fn archive(
    state: &Reader,
    store: &store::Reader,
    selection: &Selection,
    out: &mut dyn Write,
) -> Result<usize, Error> {
    // What was written cannot be taken back: all objects must be there before it begins.
    state.each_final(selection, |output| {
        if output.form == Form::Folder {
            store.find_all_in(&output.object)?;
        }
        Ok::<(), Error>(store.find(&output.object)?)
    })?;
    let mut archive = tar::Builder::new(out);
    let mut count = 0;
    state.each_final(selection, |output| {
        let (object, form) = (output.object, output.form);
        let name = file_name(output);
        count += 1;
        if form != Form::Folder {
            return append(&mut archive, store, &object, &name, 0o644);
        }
        append_folder(&mut archive, &name)?;
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
        Ok::<(), Error>(())
    })?;
    let out = archive.into_inner().map_err(Error::Archive)?;
    out.flush().map_err(Error::Archive)?;
    Ok(count)
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

/// The name that an output gets.
pub(crate) fn file_name(output: Final) -> String {
    if output.clashes {
        apart(&output.name, &output.object.hex()[..8])
    } else {
        output.name.into()
    }
}

/// The longest name of a file, in bytes.
const LONGEST: usize = 255;

/// `result.txt` → `result-MARK.txt`.
fn apart(name: &str, mark: &str) -> String {
    let (stem, extension) = match name.rfind('.') {
        Some(dot) if dot > 0 => name.split_at(dot),
        _ => (name, ""),
    };
    // A file system has no room for a longer name.
    let mark = &mark[..mark.floor_char_boundary(LONGEST / 2)];
    let room = LONGEST.saturating_sub(mark.len() + 1);
    let extension = &extension[..extension.floor_char_boundary(room)];
    let stem = &stem[..stem.floor_char_boundary(room - extension.len())];
    format!("{stem}-{mark}{extension}")
}

#[cfg(test)]
mod tests;
