//! From patterns to files. A folder is listed once for a pattern, and only where the pattern has
//! something in it that is not known by its name.

use std::ffi::OsStr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{Dir, FileType, Mode};
use rustix::io::Errno;

use super::error::{Error, io_error};
use super::{FOLDER, Root, stat};
use crate::folder::{is_self, kind};
use crate::model::file::Stat;
use crate::model::glob::{Glob, Part};
use crate::sys;

/// A file, or a folder, as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found<P = Box<str>> {
    /// Below the root, with `/` between names.
    pub path: P,
    /// How it looked.
    pub stat: Stat,
}

/// What patterns stand for at the moment.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Looked {
    /// Each once, sorted by path.
    pub files: Vec<Found>,
    /// The folders that were listed for that.
    pub folders: Vec<Found<Box<[u8]>>>,
}

/// Files of one list of patterns.
const MOST: usize = 1_000_000;

/// Finds the files; or says what is wrong, with the number of the pattern, of each that there is
/// something wrong with.
pub(crate) fn find<'g>(
    root: &Root,
    globs: impl IntoIterator<Item = &'g Glob>,
) -> Result<Looked, Vec<(usize, Error)>> {
    find_at_most(root, globs, MOST)
}

pub(super) fn find_at_most<'g>(
    root: &Root,
    globs: impl IntoIterator<Item = &'g Glob>,
    most: usize,
) -> Result<Looked, Vec<(usize, Error)>> {
    let mut search = Search {
        root,
        most,
        looked: Looked::default(),
        parts: &[],
        above: Vec::new(),
        path: Vec::new(),
    };
    let mut wrong = Vec::new();
    for (number, glob) in globs.into_iter().enumerate() {
        if let Err(error) = search.glob(glob) {
            wrong.push((number, error));
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let mut looked = search.looked;
    let files = &mut looked.files;
    if !files.is_sorted_by(|a, b| a.path < b.path) {
        files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        files.dedup_by(|a, b| a.path == b.path);
    }
    looked.folders.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    looked.folders.dedup_by(|a, b| a.path == b.path);
    Ok(looked)
}

/// Looks at the file at `path`.
pub(crate) fn look(root: &Root, path: &str) -> Result<Stat, Error> {
    let bytes = path.as_bytes();
    let special = |kind| Error::Special {
        path: path.to_owned(),
        kind,
    };
    match target(root.fd(), bytes).map_err(io_error("look at", bytes))? {
        Target::File(stat) => Ok(stat),
        Target::Folder => Err(special(kind(FileType::Directory))),
        Target::Other(found) => Err(special(kind(found))),
        Target::BrokenLink => Err(broken_link(root.fd(), bytes, path.to_owned())?),
        Target::Circle => Err(Error::Circle(path.to_owned())),
        Target::Nothing => Err(Error::Absent(path.to_owned())),
    }
}

/// What of a pattern is still to come in a folder.
#[derive(Debug, Clone, Copy)]
enum Rest {
    /// Nothing: all that is in it is meant.
    All,
    /// One of these parts of the pattern, by their numbers.
    Parts(u64),
}

/// What a name in a folder means to a pattern.
struct Meaning {
    /// A file of that name is meant.
    file: bool,
    /// In a folder of that name, what is still to come.
    folder: Option<Rest>,
}

/// What something of a name is.
enum Target {
    File(Stat),
    Folder,
    Other(FileType),
    BrokenLink,
    Circle,
    Nothing,
}

struct Search<'a> {
    root: &'a Root,
    most: usize,
    looked: Looked,
    /// Of the present pattern.
    parts: &'a [Part],
    /// The folders that the present one is in, and itself: device and number.
    above: Vec<(u64, u64)>,
    /// Of the present folder, and what is looked at in it.
    path: Vec<u8>,
}

impl<'a> Search<'a> {
    fn glob<'g: 'a>(&mut self, glob: &'g Glob) -> Result<(), Error> {
        self.parts = glob.parts();
        self.above.clear();
        self.path.clear();
        let before = self.looked.files.len();
        let found = self.look(glob.is_literal());
        match found {
            Err(Error::TooMany { most, .. }) => Err(Error::TooMany {
                glob: glob.text().to_owned(),
                most,
            }),
            Err(Error::Own(_)) => Err(Error::Own(glob.text().to_owned())),
            Err(error) => Err(error),
            Ok(()) if self.looked.files.len() == before => {
                Err(Error::Nothing(glob.text().to_owned()))
            }
            Ok(()) => Ok(()),
        }
    }

    fn look(&mut self, literal: bool) -> Result<(), Error> {
        let mut fixed = 0;
        for part in self.parts {
            let Part::Name(name) = part else {
                break;
            };
            if fixed > 0 {
                self.path.push(b'/');
            }
            self.path.extend(name.as_bytes());
            fixed += 1;
            if self.is_own() {
                return Err(Error::Own(String::new()));
            }
        }
        let root = self.root;
        if !self.path.is_empty() {
            let (_, seen) = sys::seen(root.fd()).map_err(io_error("look at", b"."))?;
            self.above.push((seen.device, seen.inode));
        }
        if !literal {
            return match open(root.fd(), &self.path) {
                Err(Errno::NOENT | Errno::NOTDIR) => Ok(()),
                opened => self.folder(
                    opened.map_err(io_error("open the folder", &self.path))?,
                    self.expand(1 << fixed),
                ),
            };
        }
        if self.path.is_empty() {
            let opened = open(root.fd(), b".").map_err(io_error("open the folder", b"."))?;
            return self.folder(opened, Rest::All);
        }
        let path = self.path.clone();
        self.named(
            root.fd(),
            &path,
            &Meaning {
                file: true,
                folder: Some(Rest::All),
            },
        )
    }

    /// Whether the present path is that of the folder in which no file is found.
    fn is_own(&self) -> bool {
        self.root.skip.is_some_and(|skip| {
            let seen = sys::seen_at(self.root.fd(), self.path.as_slice());
            seen.is_ok_and(|(_, seen)| (seen.device, seen.inode) == skip)
        })
    }

    /// With `**` it may be over as well.
    fn expand(&self, parts: u64) -> Rest {
        let mut all = parts;
        for (at, part) in self.parts.iter().enumerate() {
            if matches!(part, Part::Deep) && all >> at & 1 == 1 {
                all |= 1 << (at + 1);
            }
        }
        Rest::Parts(all)
    }

    /// What a name means in a folder in which this is still to come.
    fn meaning(&self, rest: Rest, name: &[u8]) -> Meaning {
        let Rest::Parts(rest) = rest else {
            return Meaning {
                file: true,
                folder: Some(Rest::All),
            };
        };
        let (mut file, mut all, mut next) = (false, false, 0);
        let last = self.parts.len() - 1;
        for (at, part) in self.parts.iter().enumerate() {
            if rest >> at & 1 == 0 {
                continue;
            }
            let (matches, stays) = match part {
                Part::Deep => {
                    let shown = name.first() != Some(&b'.');
                    (shown && at == last, shown)
                }
                Part::Name(known) => (known.as_bytes() == name, false),
                Part::Some(some) => (some.matches(name), false),
            };
            if stays {
                next |= 1 << at;
            }
            if matches && at == last {
                file = true;
                all |= matches!(part, Part::Name(_));
            } else if matches {
                next |= 1 << (at + 1);
            }
        }
        let folder = match (all, next) {
            (true, _) => Some(Rest::All),
            (false, 0) => None,
            (false, next) => Some(self.expand(next)),
        };
        Meaning { file, folder }
    }

    /// The names that are known, if nothing else is to be looked for.
    fn names(&self, rest: Rest) -> Option<Vec<&'a str>> {
        let Rest::Parts(rest) = rest else {
            return None;
        };
        let parts = self.parts;
        let parts = parts.iter().enumerate();
        let wanted = parts.filter(|(at, _)| rest >> at & 1 == 1);
        wanted
            .map(|(_, part)| match part {
                Part::Name(name) => Some(&**name),
                Part::Some(_) | Part::Deep => None,
            })
            .collect()
    }

    fn folder(&mut self, opened: OwnedFd, rest: Rest) -> Result<(), Error> {
        use std::os::fd::AsFd;
        let (_, seen) = sys::seen(opened.as_fd()).map_err(io_error("look at", &self.path))?;
        let identity = (seen.device, seen.inode);
        if self.root.skip == Some(identity) {
            return Ok(());
        }
        if self.above.contains(&identity) {
            return Err(Error::Circle(self.shown()));
        }
        self.above.push(identity);
        let length = self.path.len();
        if let Some(names) = self.names(rest) {
            for name in names {
                let meaning = self.meaning(rest, name.as_bytes());
                self.enter(length, name.as_bytes());
                self.named(opened.as_fd(), name.as_bytes(), &meaning)?;
                self.path.truncate(length);
            }
        } else {
            self.looked.folders.push(Found {
                path: self.path.as_slice().into(),
                stat: stat(&seen),
            });
            self.list(opened, rest)?;
        }
        self.above.pop();
        Ok(())
    }

    fn list(&mut self, opened: OwnedFd, rest: Rest) -> Result<(), Error> {
        let list = "list the folder";
        let length = self.path.len();
        let mut dir = Dir::new(opened).map_err(io_error(list, &self.path))?;
        // They are gone into when the list of this one is complete.
        let mut folders: Vec<(Box<[u8]>, Meaning)> = Vec::new();
        while let Some(entry) = dir.read() {
            let entry = entry.map_err(io_error(list, &self.path))?;
            if is_self(entry.file_name()) {
                continue;
            }
            let name = entry.file_name().to_bytes();
            let meaning = self.meaning(rest, name);
            if !meaning.file && meaning.folder.is_none() {
                continue;
            }
            match entry.file_type() {
                FileType::RegularFile if !meaning.file => {}
                FileType::Directory if meaning.folder.is_none() => {}
                FileType::Directory => folders.push((name.into(), meaning)),
                FileType::RegularFile
                | FileType::Symlink
                | FileType::Fifo
                | FileType::Socket
                | FileType::CharacterDevice
                | FileType::BlockDevice
                | FileType::Unknown => {
                    self.enter(length, name);
                    let folder = dir.fd().map_err(io_error(list, &self.path))?;
                    self.named(folder, name, &meaning)?;
                    self.path.truncate(length);
                }
            }
        }
        for (name, meaning) in folders {
            self.enter(length, &name);
            let folder = dir.fd().map_err(io_error(list, &self.path))?;
            if let Some(rest) = meaning.folder {
                match open(folder, &name) {
                    // It was removed since.
                    Err(Errno::NOENT | Errno::NOTDIR) => {}
                    opened => self.folder(
                        opened.map_err(io_error("open the folder", &self.path))?,
                        rest,
                    )?,
                }
            }
            self.path.truncate(length);
        }
        Ok(())
    }

    fn enter(&mut self, length: usize, name: &[u8]) {
        if length > 0 {
            self.path.push(b'/');
        }
        self.path.extend(name);
    }

    /// Looks at what has that name in a folder; `path` is already its own.
    fn named(&mut self, folder: BorrowedFd, name: &[u8], meaning: &Meaning) -> Result<(), Error> {
        let target = target(folder, name).map_err(io_error("look at", &self.path))?;
        match (target, meaning) {
            (Target::File(stat), Meaning { file: true, .. }) => {
                if self.looked.files.len() >= self.most {
                    return Err(Error::TooMany {
                        glob: String::new(),
                        most: self.most,
                    });
                }
                let path = std::str::from_utf8(&self.path);
                let path = path.map_err(|_| Error::NotUtf8(self.shown()))?.into();
                self.looked.files.push(Found { path, stat });
                Ok(())
            }
            (
                Target::Folder,
                Meaning {
                    folder: Some(rest), ..
                },
            ) => match open(folder, name) {
                Err(Errno::NOENT | Errno::NOTDIR) => Ok(()),
                opened => self.folder(
                    opened.map_err(io_error("open the folder", &self.path))?,
                    *rest,
                ),
            },
            (Target::Other(found), Meaning { file: true, .. }) => Err(Error::Special {
                path: self.shown(),
                kind: kind(found),
            }),
            (Target::BrokenLink, Meaning { file: true, .. }) => {
                Err(broken_link(folder, name, self.shown())?)
            }
            (Target::Circle, Meaning { file: true, .. }) => Err(Error::Circle(self.shown())),
            (
                Target::Nothing
                | Target::File(_)
                | Target::Folder
                | Target::Other(_)
                | Target::BrokenLink
                | Target::Circle,
                _,
            ) => Ok(()),
        }
    }

    fn shown(&self) -> String {
        OsStr::from_bytes(&self.path).to_string_lossy().into_owned()
    }
}

fn open(folder: BorrowedFd, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    let name = if name.is_empty() { b"." } else { name };
    rustix::fs::openat(folder, name, FOLDER, Mode::empty())
}

fn broken_link(folder: BorrowedFd, name: &[u8], path: String) -> Result<Error, Error> {
    let target = rustix::fs::readlinkat(folder, name, Vec::new());
    let target = target.map_err(io_error("read the link", path.as_bytes()))?;
    Ok(Error::BrokenLink {
        path,
        target: target.to_string_lossy().into_owned(),
    })
}

fn target(folder: BorrowedFd, name: &[u8]) -> rustix::io::Result<Target> {
    match sys::seen_at(folder, name) {
        Ok((FileType::RegularFile, seen)) => Ok(Target::File(stat(&seen))),
        Ok((FileType::Directory, _)) => Ok(Target::Folder),
        Ok((other, _)) => Ok(Target::Other(other)),
        Err(Errno::LOOP) => Ok(Target::Circle),
        Err(Errno::NOENT | Errno::NOTDIR) => {
            let link = sys::look_at(folder, name).is_ok_and(|look| look.kind == FileType::Symlink);
            Ok(if link {
                Target::BrokenLink
            } else {
                Target::Nothing
            })
        }
        Err(error) => Err(error),
    }
}
