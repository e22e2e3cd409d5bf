//! Going through all objects, to see which are needed and to remove the others.
//!
//! Of all folders one is looked at at a time, and of what is needed that part which belongs to it: the
//! store may have more objects than there is memory for their names.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError, mpsc};

use rustix::fs::FileType;

use super::{Error, LARGE, Reader, io_error, is_absent, remove};
use crate::folder::{Folder, is_self, shown};
use crate::model::digest::Digest;
use crate::model::list::Form;
use crate::model::tree::HEADER;

/// What goes of that which nothing needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Removes {
    /// It is only counted.
    Nothing,
    /// Objects; the folders that these leave empty may be known to somebody.
    Objects,
    /// These folders, too.
    Folders,
}

/// Objects, and the bytes that they take on the disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    /// How many.
    pub objects: u64,
    /// As the file system counts them, which is in blocks.
    pub bytes: u64,
}

impl Amount {
    fn add(&mut self, bytes: u64) {
        self.objects += 1;
        self.bytes += bytes;
    }
}

impl std::ops::AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        self.objects += other.objects;
        self.bytes += other.bytes;
    }
}

/// What was found among objects.
#[derive(Debug, Default)]
pub(crate) struct Swept {
    /// What nothing needs; if that was asked for, it is gone.
    pub unneeded: Amount,
    /// What is needed, by its rank.
    pub needed: BTreeMap<i64, Amount>,
    /// How many could not be looked at or removed.
    pub left: u64,
    /// Why the first of these could not be.
    pub error: Option<Error>,
}

impl std::ops::AddAssign for Swept {
    fn add_assign(&mut self, other: Self) {
        self.unneeded += other.unneeded;
        for (rank, amount) in other.needed {
            *self.needed.entry(rank).or_default() += amount;
        }
        self.left += other.left;
        self.error = self.error.take().or(other.error);
    }
}

impl Swept {
    fn failed(&mut self, error: Error) {
        self.left += 1;
        self.error.get_or_insert(error);
    }

    /// All that stays.
    pub(crate) fn stays(&self) -> Amount {
        let mut all = Amount::default();
        self.needed.values().for_each(|amount| all += *amount);
        all
    }
}

/// Threads that go through folders.
const WORKERS: usize = 8;

/// Digits of the names of an object and of the two folders above it.
const DIGITS: usize = 60;

impl Reader {
    /// Goes through all objects. `needed` gives those that are needed whose names begin with a byte, in
    /// order and each with a rank; of the others goes what `removes` says.
    ///
    /// What is none of the store's own stays. A failure with one object is no reason to leave the others.
    pub(crate) fn sweep<E>(
        &self,
        mut needed: impl FnMut(u8) -> Result<Vec<(Digest, i64)>, E>,
        removes: Removes,
    ) -> Result<Swept, E> {
        let (give, take) = mpsc::sync_channel(1);
        let take = Mutex::new(take);
        let next = || {
            let take = take.lock().unwrap_or_else(PoisonError::into_inner);
            take.recv().ok()
        };
        let work = || {
            let mut swept = Swept::default();
            while let Some((first, needed)) = next() {
                self.sweep_one(first, needed, removes, &mut swept);
            }
            swept
        };
        // What they do is wait for the disk.
        std::thread::scope(|scope| {
            let start = |_| std::thread::Builder::new().spawn_scoped(scope, work).ok();
            let workers: Vec<_> = (0..WORKERS).filter_map(start).collect();
            let mut swept = Swept::default();
            let given = (0..=u8::MAX).try_for_each(|first| {
                let needed = needed(first)?;
                if workers.is_empty() {
                    self.sweep_one(first, needed, removes, &mut swept);
                } else {
                    // One that is gone has panicked, which is told below.
                    let _ = give.send((first, needed));
                }
                Ok(())
            });
            drop(give);
            for worker in workers {
                match worker.join() {
                    Ok(own) => swept += own,
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            given.map(|()| swept)
        })
    }

    fn sweep_one(
        &self,
        first: u8,
        needed: Vec<(Digest, i64)>,
        removes: Removes,
        swept: &mut Swept,
    ) {
        let path = self.root.join(format!("{first:02x}"));
        match Folder::open(&path) {
            Ok(folder) => Sweep {
                needed,
                removes,
                swept,
            }
            .outer(&folder, first),
            Err(error) if is_absent(&error) => {}
            Err(error) => swept.failed(io_error("open the folder", &path)(error)),
        }
    }

    /// Whether it begins as lists and folders do; not if it is not there.
    pub(crate) fn is_list(&self, object: &Digest) -> Result<bool, Error> {
        let Some((file, path)) = self.open_if_there(object)? else {
            return Ok(false);
        };
        let mut begin = Vec::new();
        file.take(HEADER.len() as u64)
            .read_to_end(&mut begin)
            .map_err(io_error("read", &path))?;
        Ok(begin == HEADER.as_bytes())
    }

    /// Calls `each` with all that a list or folder names, and what that is; whether it is there, and a list.
    ///
    /// What is no line of a list is passed over: of a damaged one as much is known as can be. A line that is
    /// longer than any of a list ends it: what follows may be of any size.
    pub(crate) fn each_named(
        &self,
        list: &Digest,
        mut each: impl FnMut(Digest, Form),
    ) -> Result<bool, Error> {
        let Some((file, path)) = self.open_if_there(list)? else {
            return Ok(false);
        };
        let mut lines = BufReader::new(file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = (&mut lines).take(LONGEST).read_until(b'\n', &mut line);
            if read.map_err(io_error("read", &path))? == 0 {
                return Ok(true);
            }
            if let Some((object, form)) = named(&line) {
                each(object, form);
            }
            if line.len() as u64 == LONGEST && !line.ends_with(b"\n") {
                return Ok(false);
            }
        }
    }

    /// Opens the object, unless it is not there or what is there is no file.
    fn open_if_there(&self, object: &Digest) -> Result<Option<(File, PathBuf)>, Error> {
        match self.open_stored(object) {
            Ok((file, _, path)) => Ok(Some((file, path))),
            Err(error) if error.is_loss() || matches!(error, Error::Evicted(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Bytes of a line that are looked at together: more than any line of a list has.
const LONGEST: u64 = 1 << 16;

/// The object that a line of a list begins with.
fn named(line: &[u8]) -> Option<(Digest, Form)> {
    let line = line.strip_prefix(b"\\").unwrap_or(line);
    let (kind, rest) = line.split_first()?;
    let digits = rest.strip_prefix(b" ")?.get(..64)?;
    let form = if *kind == b'd' {
        Form::Folder
    } else {
        Form::File
    };
    Some((std::str::from_utf8(digits).ok()?.parse().ok()?, form))
}

struct Sweep<'a> {
    needed: Vec<(Digest, i64)>,
    removes: Removes,
    swept: &'a mut Swept,
}

impl Sweep<'_> {
    fn outer(&mut self, outer: &Folder, first: u8) {
        let Some(names) = self.names(outer) else {
            return;
        };
        for name in names {
            let Some(second) = two_digits(&name) else {
                continue;
            };
            let entry = outer.entry(&name);
            match entry.open_folder() {
                Ok(folder) => {
                    // What an object is added to is made again.
                    if self.inner(&folder, first, second) && self.removes == Removes::Folders {
                        let _ = entry.remove_folder();
                    }
                }
                Err(error) if is_absent(&error) => {}
                Err(error) => self.swept.failed(io_error("open the folder", entry)(error)),
            }
        }
        if self.removes == Removes::Folders && outer.is_empty().unwrap_or(false) {
            let _ = std::fs::remove_dir(outer.path());
        }
    }

    /// Whether nothing is left in it.
    fn inner(&mut self, folder: &Folder, first: u8, second: u8) -> bool {
        let Some(names) = self.names(folder) else {
            return false;
        };
        let mut left = false;
        for name in names {
            let object = (name.len() == DIGITS)
                .then(|| {
                    format!("{first:02x}{second:02x}{name}")
                        .parse::<Digest>()
                        .ok()
                })
                .flatten();
            left |= match object {
                Some(object) => !self.object(folder, &name, &object),
                None => true,
            };
        }
        !left
    }

    /// Whether it is gone.
    fn object(&mut self, folder: &Folder, name: &str, object: &Digest) -> bool {
        let entry = folder.entry(name);
        let look = match entry.look() {
            Ok(look) => look,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return true,
            Err(error) => {
                self.swept.failed(io_error("look at", entry)(error));
                return false;
            }
        };
        if look.kind != FileType::RegularFile {
            return false;
        }
        let place = self.needed.binary_search_by(|(known, _)| known.cmp(object));
        if let Ok(place) = place {
            let rank = self.needed[place].1;
            self.swept.needed.entry(rank).or_default().add(look.taken);
            return false;
        }
        let goes = self.removes > Removes::Nothing;
        if goes {
            let removed = if look.size < LARGE {
                entry.remove()
            } else {
                remove(entry)
            };
            if let Err(error) = removed {
                self.swept.failed(io_error("remove", entry)(error));
                return false;
            }
        }
        self.swept.unneeded.add(look.taken);
        goes
    }

    fn names(&mut self, folder: &Folder) -> Option<Vec<String>> {
        let names = || -> io::Result<Vec<String>> {
            let mut names = Vec::new();
            for entry in folder.names()? {
                let entry = entry?;
                if !is_self(entry.file_name()) {
                    // What has another name is nobody's object.
                    names.push(shown(entry.file_name()).to_string_lossy().into_owned());
                }
            }
            Ok(names)
        };
        names()
            .map_err(|error| self.swept.failed(io_error("read", folder.path())(error)))
            .ok()
    }
}

fn two_digits(name: &str) -> Option<u8> {
    let digits = name
        .bytes()
        .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    (name.len() == 2 && digits)
        .then(|| u8::from_str_radix(name, 16).ok())
        .flatten()
}
