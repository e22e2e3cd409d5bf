//! From a folder in a task's output folder to an object: the list of what is in it.
//!
//! It is gone through twice: first to see that all in it can be a part of an object, then in the order of
//! the list, a stretch of files at a time. However much is in it, few folders are open, and what is in
//! memory are the names in those on the way.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::FileType;

use super::insert::{Adopted, adopt_in, copy_in};
use super::{Bad, NO_TEXT, OutputError, STRETCH, Source, kind};
use crate::folder::{self, Descent, Folder, remove_all};
use crate::model::digest::Digest;
use crate::model::tree::{self, Kind};
use crate::store::{self, InsertError, TreeWriter};

/// Folders whose files are made objects together.
const FOLDERS: usize = 64;
/// The rights that it takes to take everything out of a folder.
const RIGHTS: u32 = 0o700;

/// Looks at the kinds and names of all that is in the folder `name`.
pub(super) fn check(parent: &Arc<Folder>, name: &str, bad: &mut Bad) -> Result<(), OutputError> {
    let mut descent = Descent::new(Arc::clone(parent));
    let mut path = String::new();
    let mut open = vec![vec![Box::from(name)]];
    while let Some(names) = open.last_mut() {
        let Some(name) = names.pop() else {
            open.pop();
            descent.up();
            let end = path.rfind('/').unwrap_or(0);
            path.truncate(end);
            continue;
        };
        let here = descent.here().map_err(failed(&path))?;
        if !path.is_empty() {
            path.push('/');
        }
        path.push_str(&name);
        if let Some(problem) = open_up(&here, &name).map_err(failed(&path))? {
            bad.add(OsStr::new(&path), problem);
            let end = path.rfind('/').unwrap_or(0);
            path.truncate(end);
            continue;
        }
        descent.down(&*name);
        let folder = descent.here().map_err(failed(&path))?;
        open.push(check_one(&folder, &path, bad)?);
    }
    Ok(())
}

/// Looks at what is in one folder; the names of the folders in it.
fn check_one(folder: &Folder, path: &str, bad: &mut Bad) -> Result<Vec<Box<str>>, OutputError> {
    let mut folders = Vec::new();
    // The object does not know what the folder itself is called.
    let inner = path.find('/').map_or(path.len(), |at| at + 1);
    for entry in folder.names().map_err(failed(path))? {
        let entry = entry.map_err(|error| failed(path)(error.into()))?;
        if folder::is_self(entry.file_name()) {
            continue;
        }
        let own = folder::shown(entry.file_name());
        let at = Path::new(path).join(own);
        let Ok(name) = entry.file_name().to_str() else {
            bad.add(at.as_os_str(), NO_TEXT);
            continue;
        };
        if path.len() - inner + 1 + name.len() > tree::LONGEST {
            bad.add(
                at.as_os_str(),
                "lies too deep: its path has more than 4095 bytes",
            );
            continue;
        }
        match kind(folder, &entry)? {
            FileType::RegularFile => {}
            FileType::Directory => folders.push(name.into()),
            FileType::Symlink => {
                let target = folder.entry(name).target().map_err(failed(path))?;
                let target = target.as_os_str();
                let below = format!("{}/{name}", &path[inner..]);
                let below = below.trim_start_matches('/');
                if !tree::stays_inside(below, target.as_encoded_bytes()) {
                    bad.add(at.as_os_str(), &leads_outside(target));
                }
            }
            other @ (FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown) => bad.add(
                at.as_os_str(),
                &format!("is {}, which cannot be stored", folder::kind(other)),
            ),
        }
    }
    Ok(folders)
}

fn leads_outside(target: &OsStr) -> String {
    format!(
        "is a link to {target:?}, which may lie outside\nhint: `cp -L` copies what a link leads to, `ln -sr` \
         makes one that stays inside"
    )
}

/// Sees to it that the folder can be emptied; why it is not acceptable, if so.
fn open_up(parent: &Folder, name: &str) -> io::Result<Option<&'static str>> {
    let entry = parent.entry(name);
    let look = entry.look()?;
    if look.mounted {
        return Ok(Some("is a mount point"));
    }
    if look.kind == FileType::Directory && look.mode & RIGHTS != RIGHTS {
        entry.set_mode(look.mode | RIGHTS)?;
    }
    Ok(None)
}

/// Makes an object of the folder `name`, which is gone afterwards.
pub(super) fn fold(source: Source, name: &str) -> Result<Digest, OutputError> {
    let digest = Folding::new(source, name)?.all()?;
    let top = source.folder.entry(name);
    if remove_all(top) {
        return Ok(digest);
    }
    // Somebody went on putting things there.
    Err(OutputError::Unfit {
        name: name.to_owned(),
        source: InsertError::BeingWritten,
    })
}

/// Makes an object of what is in the folder `name`, which a task keeps for itself: as much of that as can be in an
/// object; what cannot, in words. `stays`: the folder is as it was afterwards, and may be written to meanwhile; that
/// may fail, and takes longer. Else it may be gone in part.
pub(super) fn fold_some(
    source: Source,
    name: &str,
    stays: bool,
) -> Result<(Digest, Option<String>), OutputError> {
    let mut bad = Bad {
        inner: true,
        ..Bad::default()
    };
    check(source.folder, name, &mut bad)?;
    let mut folding = Folding::new(source, name)?;
    (folding.stays, folding.lenient) = (stays, true);
    let digest = folding.all()?;
    Ok((digest, bad.words()))
}

struct Folding<'a> {
    source: Source<'a>,
    name: &'a str,
    /// Whether files are copied.
    stays: bool,
    /// Whether what can be in no object is passed over.
    lenient: bool,
    descent: Descent,
    /// That of the folder where the way ends.
    path: String,
    /// Entries that are not in the list yet, in order.
    waiting: Vec<Waiting>,
    /// Folders that these are in.
    folders: usize,
    list: TreeWriter<'a>,
}

/// A name, with a slash behind where that is of a folder with something in it.
type Named = (Box<str>, FileType);

struct Waiting {
    path: Box<str>,
    what: What,
}

enum What {
    File(Arc<Folder>),
    Link(Digest),
    Empty,
}

impl<'a> Folding<'a> {
    fn new(source: Source<'a>, name: &'a str) -> Result<Self, OutputError> {
        let folder = source.folder.entry(name).open_folder();
        let folder = folder.map_err(failed(name))?;
        Ok(Self {
            source,
            name,
            stays: false,
            lenient: false,
            descent: Descent::new(Arc::new(folder)),
            path: String::new(),
            waiting: Vec::new(),
            folders: 0,
            list: TreeWriter::new(source.store),
        })
    }

    fn all(mut self) -> Result<Digest, OutputError> {
        let mut open = vec![self.names()?.into_iter()];
        while let Some(names) = open.last_mut() {
            let Some(name) = names.next() else {
                open.pop();
                self.descent.up();
                let end = self.path.rfind('/').unwrap_or(0);
                self.path.truncate(end);
                continue;
            };
            let before = self.path.len();
            if before > 0 {
                self.path.push('/');
            }
            if let Some(folder) = name.0.strip_suffix('/') {
                self.path.push_str(folder);
                self.descent.down(folder);
                open.push(self.names()?.into_iter());
            } else {
                self.path.push_str(&name.0);
                self.add(&name)?;
                self.path.truncate(before);
            }
        }
        self.flush()?;
        Ok(self.list.end()?)
    }

    fn add(&mut self, (name, kind): &Named) -> Result<(), OutputError> {
        let folder = self.here()?;
        let what = match kind {
            FileType::Symlink => {
                let target = folder.entry(&**name).target();
                let target = target.map_err(|error| self.failed(error))?;
                let bytes = target.as_os_str().as_encoded_bytes();
                // Somebody may have put another one there since.
                if !tree::stays_inside(&self.path, bytes) {
                    if self.lenient {
                        return Ok(());
                    }
                    let mut bad = Bad::default();
                    let path = format!("{}/{}", self.name, self.path);
                    bad.add(path.as_ref(), &leads_outside(target.as_os_str()));
                    bad.end()?;
                }
                What::Link(self.source.store.insert_bytes(bytes)?)
            }
            FileType::Directory => What::Empty,
            FileType::RegularFile
            | FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => What::File(folder),
        };
        self.waiting.push(Waiting {
            path: self.path.as_str().into(),
            what,
        });
        if self.waiting.len() >= STRETCH {
            self.flush()?;
        }
        Ok(())
    }

    /// The names in the folder where the way ends, in the order of the list: those of folders that are
    /// not empty with a slash behind.
    fn names(&mut self) -> Result<Vec<Named>, OutputError> {
        self.folders += 1;
        if self.folders > FOLDERS {
            self.flush()?;
        }
        let folder = self.here()?;
        let mut names = Vec::new();
        let failed = |error| self.failed(error);
        for entry in folder.names().map_err(failed)? {
            let entry = entry.map_err(|error| failed(error.into()))?;
            if folder::is_self(entry.file_name()) {
                continue;
            }
            let name = match entry.file_name().to_str() {
                Err(_) if self.lenient => continue,
                name => name.map_err(|error| failed(io::Error::other(error)))?,
            };
            let kind = kind(&folder, &entry)?;
            if self.lenient && !self.can_hold(&folder, name, kind) {
                continue;
            }
            let is_full = kind == FileType::Directory && {
                let inner = folder.entry(name).open_folder();
                let is_empty = inner.and_then(|inner| inner.is_empty());
                !is_empty.map_err(failed)?
            };
            let name = if is_full {
                format!("{name}/").into()
            } else {
                name.into()
            };
            names.push((name, kind));
        }
        names.sort_unstable_by(|(one, _): &Named, (other, _)| one.cmp(other));
        Ok(names)
    }

    /// Whether an object can have that in it.
    fn can_hold(&self, folder: &Folder, name: &str, kind: FileType) -> bool {
        let fits = self.path.len() + 1 + name.len() <= tree::LONGEST;
        fits && match kind {
            FileType::RegularFile | FileType::Symlink => true,
            FileType::Directory => {
                let look = folder.entry(name).look();
                look.is_ok_and(|look| !look.mounted)
            }
            FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => false,
        }
    }

    fn here(&mut self) -> Result<Arc<Folder>, OutputError> {
        let here = self.descent.here();
        here.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: io::Error) -> OutputError {
        failed(&format!("{}/{}", self.name, self.path))(error)
    }

    /// Makes objects of the files that wait, and adds all that waits to the list.
    fn flush(&mut self) -> Result<(), OutputError> {
        self.folders = 0;
        let waiting = std::mem::take(&mut self.waiting);
        let files: Vec<(Arc<Folder>, &str)> = waiting
            .iter()
            .filter_map(|one| match &one.what {
                What::File(folder) => {
                    let name = one.path.rsplit('/').next().unwrap_or_default();
                    Some((Arc::clone(folder), name))
                }
                What::Link(_) | What::Empty => None,
            })
            .collect();
        let made = if self.stays {
            copy_in(self.source, &files)
        } else {
            adopt_in(self.source, &files)
        };
        let mut adopted = match made {
            Ok(adopted) => adopted.into_iter(),
            Err((_, InsertError::Store(error))) => return Err(error.into()),
            Err((index, source)) => {
                let is_file = |one: &&Waiting| matches!(one.what, What::File(_));
                let path = waiting.iter().filter(is_file).nth(index);
                let path = path.map_or("", |one| &*one.path);
                return Err(OutputError::Unfit {
                    name: format!("{}/{path}", self.name),
                    source,
                });
            }
        };
        for Waiting { path, what } in &waiting {
            let (kind, digest) = match what {
                What::Link(target) => (Kind::Link, *target),
                What::Empty => (Kind::Folder, Digest::EMPTY),
                What::File(_) => match adopted.next() {
                    Some(Adopted { digest, executable }) if executable => {
                        (Kind::Executable, digest)
                    }
                    Some(Adopted { digest, .. }) => (Kind::File, digest),
                    None => continue,
                },
            };
            self.list.add(kind, &digest, path)?;
        }
        Ok(())
    }
}

fn failed(path: &str) -> impl Fn(io::Error) -> OutputError + '_ {
    move |error| store::io_error("read the output", path)(error).into()
}
