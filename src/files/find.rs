//! From patterns to files. A folder is listed once for a pattern, and only where the pattern has
//! something in it that is not known by its name. What is a file by its folder is looked at when all
//! are found.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{Dir, FileType, Mode};
use rustix::io::Errno;

use super::error::{Error, io_error};
use super::links::Link;
use super::look::{Path, look_at_all};
use super::pattern::{Meaning, Pattern, Rest};
use super::{FOLDER, Root, links, stat};
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
    /// The folders that were listed for that, or in which a name was not that may be there later.
    pub folders: Vec<Found<Box<[u8]>>>,
    /// The links on the way, sorted by path.
    pub links: Vec<Link>,
}

/// Files of one list of patterns.
const MOST: usize = 1_000_000;

/// Finds the files; or says what is wrong, with the number of the pattern, of each that there is
/// something wrong with.
pub(crate) fn find<'g>(
    root: &Root,
    globs: impl IntoIterator<Item = &'g Glob>,
) -> Result<Looked, Vec<(usize, Error)>> {
    find_while(root, globs, || ()).0
}

/// The same, and what is done meanwhile, if there are files to look at.
pub(crate) fn find_while<'g, T>(
    root: &Root,
    globs: impl IntoIterator<Item = &'g Glob>,
    meanwhile: impl FnOnce() -> T,
) -> (Result<Looked, Vec<(usize, Error)>>, T) {
    find_at_most(root, globs, MOST, meanwhile)
}

pub(super) fn find_at_most<'g, T>(
    root: &Root,
    globs: impl IntoIterator<Item = &'g Glob>,
    most: usize,
    meanwhile: impl FnOnce() -> T,
) -> (Result<Looked, Vec<(usize, Error)>>, T) {
    let globs: Vec<&Glob> = globs.into_iter().collect();
    let mut search = Search {
        root,
        most,
        files: Vec::new(),
        folders: Vec::new(),
        links: Vec::new(),
        pattern: Pattern(&[]),
        above: Vec::new(),
        path: Vec::new(),
    };
    let mut wrong = Vec::new();
    for (number, glob) in globs.iter().enumerate() {
        if let Err(error) = search.glob(glob) {
            wrong.push((number, error));
        }
    }
    if !wrong.is_empty() {
        return (Err(wrong), meanwhile());
    }
    let Search {
        mut files,
        mut folders,
        mut links,
        ..
    } = search;
    if !files.is_sorted_by(|a, b| a.path < b.path) {
        // What one pattern finds in one folder is sorted already.
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files.dedup_by(|a, b| a.path == b.path);
    }
    folders.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    folders.dedup_by(|a, b| a.path == b.path);
    links.sort_by(|a, b| a.path.cmp(&b.path));
    links.dedup_by(|a, b| a.path == b.path);
    let (wrong, done) = look_at_all(root, &mut files, meanwhile);
    if !wrong.is_empty() {
        let of = |at: usize| globs.iter().position(|glob| glob.matches(&files[at].path));
        let wrong = wrong.into_iter();
        let wrong = wrong.map(|(at, error)| (of(at).unwrap_or_default(), error));
        return (Err(wrong.collect()), done);
    }
    let files = files.into_iter();
    let files = files.filter_map(|Path { path, stat }| Some(Found { path, stat: stat? }));
    let files = files.collect();
    let looked = Looked {
        files,
        folders,
        links,
    };
    (Ok(looked), done)
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
    files: Vec<Path>,
    folders: Vec<Found<Box<[u8]>>>,
    links: Vec<Link>,
    /// The present one.
    pattern: Pattern<'a>,
    /// The folders that the present one is in, and itself: device and number.
    above: Vec<(u64, u64)>,
    /// Of the present folder, and what is looked at in it.
    path: Vec<u8>,
}

impl<'a> Search<'a> {
    fn glob<'g: 'a>(&mut self, glob: &'g Glob) -> Result<(), Error> {
        self.pattern = Pattern(glob.parts());
        self.above.clear();
        self.path.clear();
        let before = self.files.len();
        let found = self.look(glob.is_literal());
        match found {
            Err(Error::TooMany { most, .. }) => Err(Error::TooMany {
                glob: glob.text().to_owned(),
                most,
            }),
            Err(Error::Own(_)) => Err(Error::Own(glob.text().to_owned())),
            Err(error) => Err(error),
            Ok(()) if self.files.len() == before => Err(Error::Nothing(glob.text().to_owned())),
            Ok(()) => Ok(()),
        }
    }

    fn look(&mut self, literal: bool) -> Result<(), Error> {
        let mut fixed = 0;
        for part in self.pattern.0 {
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
            links::note(root, &self.path, 0, &mut self.links);
            let (_, seen) = sys::seen(root.fd()).map_err(io_error("look at", b"."))?;
            self.above.push((seen.device, seen.inode));
        }
        if !literal {
            return match open(root.fd(), &self.path) {
                Err(Errno::NOENT | Errno::NOTDIR) => Ok(()),
                opened => self.folder(
                    opened.map_err(io_error("open the folder", &self.path))?,
                    self.pattern.expand(1 << fixed),
                ),
            };
        }
        if self.path.is_empty() {
            let opened = open(root.fd(), b".").map_err(io_error("open the folder", b"."))?;
            return self.folder(opened, Rest::All);
        }
        let path = self.path.clone();
        self.named(root.fd(), &path, &Meaning::ALL).map(drop)
    }

    /// Whether the present path is that of the folder in which no file is found.
    fn is_own(&self) -> bool {
        self.root.skip.is_some_and(|skip| {
            let seen = sys::seen_at(self.root.fd(), self.path.as_slice());
            seen.is_ok_and(|(_, seen)| (seen.device, seen.inode) == skip)
        })
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
        let mut all = false;
        if let Some(names) = self.pattern.names(rest) {
            all = true;
            for name in names {
                let meaning = self.pattern.meaning(rest, name.as_bytes());
                self.enter(length, name.as_bytes());
                links::note(self.root, &self.path, length, &mut self.links);
                all &= self.named(opened.as_fd(), name.as_bytes(), &meaning)?;
                self.path.truncate(length);
            }
        } else {
            self.list(opened, rest)?;
        }
        if !all {
            self.folders.push(Found {
                path: self.path.as_slice().into(),
                stat: stat(&seen),
            });
        }
        self.above.pop();
        Ok(())
    }

    fn list(&mut self, opened: OwnedFd, rest: Rest) -> Result<(), Error> {
        let list = "list the folder";
        let length = self.path.len();
        let mut dir = Dir::new(opened).map_err(io_error(list, &self.path))?;
        let mut entries: Vec<(Box<[u8]>, FileType, Meaning)> = Vec::new();
        while let Some(entry) = dir.read() {
            let entry = entry.map_err(io_error(list, &self.path))?;
            if is_self(entry.file_name()) {
                continue;
            }
            let name = entry.file_name().to_bytes();
            let meaning = self.pattern.meaning(rest, name);
            let kind = entry.file_type();
            let is_meant = match kind {
                FileType::RegularFile => meaning.file,
                FileType::Directory => meaning.folder.is_some(),
                FileType::Symlink
                | FileType::Fifo
                | FileType::Socket
                | FileType::CharacterDevice
                | FileType::BlockDevice
                | FileType::Unknown => meaning.file || meaning.folder.is_some(),
            };
            if is_meant {
                entries.push((name.into(), kind, meaning));
            }
        }
        entries
            .sort_unstable_by(|(a, a_kind, _), (b, b_kind, _)| order((a, *a_kind), (b, *b_kind)));
        for (name, kind, meaning) in entries {
            self.enter(length, &name);
            let folder = dir.fd().map_err(io_error(list, &self.path))?;
            match (kind, meaning.folder) {
                (FileType::RegularFile, _) => self.push(None)?,
                (FileType::Directory, Some(rest)) => match open(folder, &name) {
                    // It was removed since.
                    Err(Errno::NOENT | Errno::NOTDIR) => {}
                    opened => self.folder(
                        opened.map_err(io_error("open the folder", &self.path))?,
                        rest,
                    )?,
                },
                _ => {
                    links::note(self.root, &self.path, length, &mut self.links);
                    self.named(folder, &name, &meaning)?;
                }
            }
            self.path.truncate(length);
        }
        Ok(())
    }

    /// The present path is that of a file, which looks like that if somebody has looked.
    fn push(&mut self, stat: Option<Stat>) -> Result<(), Error> {
        if self.files.len() >= self.most {
            return Err(Error::TooMany {
                glob: String::new(),
                most: self.most,
            });
        }
        let path = std::str::from_utf8(&self.path);
        let path = path.map_err(|_| Error::NotUtf8(self.shown()))?.into();
        self.files.push(Path { path, stat });
        Ok(())
    }

    fn enter(&mut self, length: usize, name: &[u8]) {
        if length > 0 {
            self.path.push(b'/');
        }
        self.path.extend(name);
    }

    /// Looks at what has that name in a folder; `path` is already its own. Whether it is what is meant.
    fn named(&mut self, folder: BorrowedFd, name: &[u8], meaning: &Meaning) -> Result<bool, Error> {
        let target = target(folder, name).map_err(io_error("look at", &self.path))?;
        let is_there = match &target {
            Target::File(_) => meaning.file,
            Target::Folder => meaning.folder.is_some(),
            Target::Other(_) | Target::BrokenLink | Target::Circle | Target::Nothing => false,
        };
        self.take(folder, name, target, meaning)?;
        Ok(is_there)
    }

    fn take(
        &mut self,
        folder: BorrowedFd,
        name: &[u8],
        target: Target,
        meaning: &Meaning,
    ) -> Result<(), Error> {
        match (target, meaning) {
            (Target::File(stat), Meaning { file: true, .. }) => self.push(Some(stat)),
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

/// Of names in a folder: that of the paths that come of them.
fn order((a, a_kind): (&[u8], FileType), (b, b_kind): (&[u8], FileType)) -> Ordering {
    let common = a.len().min(b.len());
    let next = |name: &[u8], kind| {
        let end = (kind == FileType::Directory).then_some(b'/');
        name.get(common).copied().or(end)
    };
    let names = a[..common].cmp(&b[..common]);
    names.then_with(|| next(a, a_kind).cmp(&next(b, b_kind)))
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
