//! From patterns to files. A folder is listed once for a pattern, and only where the pattern has
//! something in it that is not known by its name. What is a file by its folder is looked at when all
//! are found.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{Dir, FileType};
use rustix::io::Errno;

use super::error::{Error, io_error};
use super::links::Link;
use super::look::{Path, look_at_all};
use super::pattern::{Meaning, Pattern, Rest};
use super::target::{Found, FoundFolder, Target, broken_link, open, target};
use super::{Root, links, own, stat};
use crate::folder::{is_self, kind};
use crate::model::file::Stat;
use crate::model::glob::{Glob, Part};
use crate::sys;

/// What patterns stand for at the moment.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Looked {
    /// Each once, sorted by path.
    pub files: Vec<Found>,
    /// The folders that were listed for that, or in which a name was not that may be there later.
    pub folders: Vec<FoundFolder>,
    /// Folders on the way in which nothing else can be meant, sorted by path: whoever moves one away and
    /// back changes no file.
    pub ways: Vec<FoundFolder>,
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
        ways: Vec::new(),
        links: Vec::new(),
        out: globs
            .iter()
            .copied()
            .filter(|glob| glob.takes_out())
            .collect(),
        left_out: None,
        as_file: None,
        pattern: Pattern(&[]),
        above: Vec::new(),
        path: Vec::new(),
    };
    let mut wrong = Vec::new();
    for (number, glob) in globs.iter().enumerate() {
        if !glob.takes_out()
            && let Err(error) = search.glob(glob)
        {
            wrong.push((number, error));
        }
    }
    if !wrong.is_empty() {
        return (Err(wrong), meanwhile());
    }
    let Search {
        mut files,
        mut folders,
        mut ways,
        mut links,
        ..
    } = search;
    if !files.is_sorted_by(|a, b| a.path < b.path) {
        // What one pattern finds in one folder is sorted already.
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files.dedup_by(|a, b| a.path == b.path);
    }
    for some in [&mut folders, &mut ways] {
        some.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        some.dedup_by(|a, b| a.path == b.path);
    }
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
        ways,
        links,
    };
    (Ok(looked), done)
}

struct Search<'a> {
    root: &'a Root,
    most: usize,
    files: Vec<Path>,
    folders: Vec<FoundFolder>,
    ways: Vec<FoundFolder>,
    links: Vec<Link>,
    /// What takes out of all others.
    out: Vec<&'a Glob>,
    /// One that took something out of the present one.
    left_out: Option<&'a Glob>,
    /// A folder that the present one would match, were it a file.
    as_file: Option<String>,
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
        self.left_out = None;
        self.as_file = None;
        let found = self.look(glob.is_literal());
        match found {
            Err(Error::TooMany { most, .. }) => Err(Error::TooMany {
                glob: glob.text().to_owned(),
                most,
            }),
            Err(Error::Own(_)) => Err(Error::Own(glob.text().to_owned())),
            Err(error) => Err(error),
            Ok(()) if self.files.len() == before => Err(match self.left_out {
                Some(by) => Error::TakenOut {
                    glob: glob.text().to_owned(),
                    by: by.text().to_owned(),
                },
                None => match self.as_file.take() {
                    Some(folder) => Error::Folders {
                        glob: glob.text().to_owned(),
                        folder,
                    },
                    None => Error::Nothing(glob.text().to_owned()),
                },
            }),
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
            links::note(root, &self.path, 0, (&mut self.links, &mut self.ways));
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
        let skip = &self.root.skip;
        let seen = sys::seen_at(self.root.fd(), self.path.as_slice());
        seen.is_ok_and(|(_, seen)| skip.contains(&(seen.device, seen.inode)))
    }

    /// Whether the present path is taken out of what is found.
    fn is_out(&mut self) -> bool {
        if self.out.is_empty() {
            return false;
        }
        let out = std::str::from_utf8(&self.path).ok().and_then(|path| {
            let mut out = self.out.iter();
            out.find(|glob| glob.covers(path)).copied()
        });
        self.left_out = self.left_out.or(out);
        out.is_some()
    }

    fn folder(&mut self, opened: OwnedFd, rest: Rest) -> Result<(), Error> {
        use std::os::fd::AsFd;
        if self.is_out() {
            return Ok(());
        }
        let (_, seen) = sys::seen(opened.as_fd()).map_err(io_error("look at", &self.path))?;
        let identity = (seen.device, seen.inode);
        if self.root.skip.contains(&identity) {
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
                links::note(
                    self.root,
                    &self.path,
                    length,
                    (&mut self.links, &mut self.ways),
                );
                all &= self.named(opened.as_fd(), name.as_bytes(), &meaning)?;
                self.path.truncate(length);
            }
        } else {
            self.list(opened, rest)?;
        }
        let found = Found {
            path: self.path.as_slice().into(),
            stat: stat(&seen),
        };
        if all {
            self.ways.push(found);
        } else {
            self.folders.push(found);
        }
        self.above.pop();
        Ok(())
    }

    fn list(&mut self, opened: OwnedFd, rest: Rest) -> Result<(), Error> {
        let list = "list the folder";
        let length = self.path.len();
        let mut dir = Dir::new(opened).map_err(io_error(list, &self.path))?;
        let mut entries: Vec<(Box<[u8]>, FileType, Meaning)> = Vec::new();
        let mut of_db = 0;
        while let Some(entry) = dir.read() {
            let entry = entry.map_err(io_error(list, &self.path))?;
            if is_self(entry.file_name()) {
                continue;
            }
            let name = entry.file_name().to_bytes();
            of_db += usize::from(matches!(name, b"db" | b"objects"));
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
            if kind == FileType::Directory && meaning.file && !is_meant && self.as_file.is_none() {
                self.enter(length, name);
                self.as_file = Some(self.shown());
                self.path.truncate(length);
            }
            if is_meant {
                entries.push((name.into(), kind, meaning));
            }
        }
        if of_db == 2 {
            let folder = dir.fd().map_err(io_error(list, &self.path))?;
            if own::is_db(folder) {
                return Ok(());
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
                    links::note(
                        self.root,
                        &self.path,
                        length,
                        (&mut self.links, &mut self.ways),
                    );
                    self.named(folder, &name, &meaning)?;
                }
            }
            self.path.truncate(length);
        }
        Ok(())
    }

    /// The present path is that of a file, which looks like that if somebody has looked.
    fn push(&mut self, stat: Option<Stat>) -> Result<(), Error> {
        if self.is_out() {
            return Ok(());
        }
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
        if self.is_out() {
            return Ok(true);
        }
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
