//! Files as they were at one moment.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::error::Error;
use super::find::{Looked, find_while};
use super::known::Known;
use super::links::Link;
use super::read::{Keep, read};
use super::target::{Found, FoundFolder};
use super::{Root, now, stat};
use crate::model::digest::Digest;
use crate::model::file::{Lent, Stat};
use crate::model::glob::Glob;
use crate::model::tree::{Differing, Entry, Kind, differing, write};
use crate::sys;

/// The files that some patterns stand for, as they were.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    root: Arc<Root>,
    globs: Arc<[Glob]>,
    files: Vec<Taken>,
    folders: Vec<FoundFolder>,
    ways: Vec<FoundFolder>,
    links: Vec<Link>,
    /// The variables of a task that their text mentions.
    mentions: BTreeSet<Box<str>>,
    /// Not before this were they looked at: nanoseconds since 1970.
    taken: i64,
}

/// A file with its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Below the root.
    pub path: Box<str>,
    /// How it looked.
    pub stat: Stat,
    /// Of its bytes.
    pub digest: Digest,
    /// Whether another change of it would be seen.
    settled: bool,
}

impl Snapshot {
    /// Finds the files and reads those that are not known; or says what is wrong, with the number of
    /// the pattern.
    pub(crate) fn take(
        root: &Arc<Root>,
        globs: &Arc<[Glob]>,
        known: &mut Known,
        keep: Keep,
    ) -> Result<Self, Vec<(usize, Error)>> {
        Self::take_while(root, globs, known, keep, |_| ())
    }

    /// The same for one who learns `meanwhile` what is known: looking at files takes no less time.
    pub(crate) fn take_while(
        root: &Arc<Root>,
        globs: &Arc<[Glob]>,
        known: &mut Known,
        keep: Keep,
        meanwhile: impl FnOnce(&mut Known),
    ) -> Result<Self, Vec<(usize, Error)>> {
        let taken = now();
        let (looked, ()) = find_while(root, &**globs, || meanwhile(known));
        let Looked {
            files,
            folders,
            ways,
            links,
        } = looked?;
        let mut snapshot = Self {
            root: Arc::clone(root),
            globs: Arc::clone(globs),
            files: Vec::with_capacity(files.len()),
            folders,
            ways,
            links,
            mentions: BTreeSet::new(),
            taken,
        };
        let mut wrong = Vec::new();
        for Found { path, stat } in files {
            let (stat, digest) = match known.get(&stat) {
                Some(content) => {
                    note(&mut snapshot.mentions, &content.mentions);
                    (stat, content.digest)
                }
                None => match read(root, &path, known, keep) {
                    Ok((stat, content)) => {
                        note(&mut snapshot.mentions, &content.mentions);
                        (stat, content.digest)
                    }
                    Err(error) => {
                        let glob = globs.iter().position(|glob| glob.matches(&path));
                        wrong.push((glob.unwrap_or_default(), error));
                        continue;
                    }
                },
            };
            let settled = stat.is_settled(taken) || known.is_settled(&stat);
            snapshot.files.push(Taken {
                path,
                stat,
                digest,
                settled,
            });
        }
        if wrong.is_empty() {
            Ok(snapshot)
        } else {
            Err(wrong)
        }
    }

    /// Sorted by path.
    #[cfg(test)]
    pub(crate) fn files(&self) -> &[Taken] {
        &self.files
    }

    /// Where they are, below the root.
    pub(crate) fn paths(&self) -> Vec<Box<str>> {
        self.files.iter().map(|file| file.path.clone()).collect()
    }

    /// See [`super::Watch::lent`].
    pub(super) fn lent(&self, root: &Path) -> Vec<(Digest, Lent)> {
        let files = self.files.iter();
        let lent = files.map(|file| {
            let lent = Lent {
                path: root.join(&*file.path),
                stat: file.stat,
                settled: file.settled,
            };
            (file.digest, lent)
        });
        lent.collect()
    }

    /// The variables of a task that their text mentions.
    pub(crate) fn mentions(&self) -> impl Iterator<Item = &str> {
        self.mentions.iter().map(|name| &**name)
    }

    /// As if it had been taken an hour later.
    #[cfg(test)]
    pub(crate) fn settle(&mut self) {
        self.taken += 3_600_000_000_000;
        self.files.iter_mut().for_each(|file| file.settled = true);
    }

    /// The object that stands for them all.
    pub(crate) fn tree(&self) -> String {
        let mut entries: Vec<Entry<&str>> = self.files.iter().map(Taken::entry).collect();
        write(&mut entries)
    }

    fn entries(&self) -> Vec<Entry> {
        let entry = |taken: &Taken| {
            let Entry { kind, digest, name } = taken.entry();
            let name = name.into();
            Entry { kind, digest, name }
        };
        self.files.iter().map(entry).collect()
    }

    /// Whether nothing changed, as far as looks at the files tell. None of those may have been so
    /// soon after a change that another would not show.
    fn looks_the_same(&self) -> bool {
        let root = self.root.fd();
        let same = |path: &[u8], known: &Stat, settled: bool| {
            let path = if path.is_empty() { b"." } else { path };
            settled && sys::seen_at(root, path).is_ok_and(|(_, seen)| stat(&seen) == *known)
        };
        let is_same_link = |link: &Link| {
            let seen = sys::seen_itself_at(root, &*link.path);
            seen.is_ok_and(|(_, seen)| stat(&seen) == link.stat)
        };
        // What comes and goes in it is of no interest.
        let is_same_way = |way: &FoundFolder| {
            let seen = sys::seen_at(root, &*way.path);
            seen.is_ok_and(|(_, seen)| !stat(&seen).was_moved(&way.stat))
        };
        let files = self.files.iter();
        let folders = self.folders.iter();
        self.ways.iter().all(is_same_way)
            && self.links.iter().all(is_same_link)
            && files
                .map(|file| (file.path.as_bytes(), &file.stat, file.settled))
                .chain(folders.map(|folder| {
                    let settled = folder.stat.is_settled(self.taken);
                    (&*folder.path, &folder.stat, settled)
                }))
                .all(|(path, stat, settled)| same(path, stat, settled))
    }

    /// Looks at the files again. If one looks another way it is read, and if then all are as they
    /// were, that is what they look like from now on. The paths of those that were written or
    /// replaced by what is the same, and of links that were made anew: who read them meanwhile may
    /// have read something else.
    pub(crate) fn check(&mut self) -> Result<Vec<String>, Different> {
        if self.looks_the_same() {
            return Ok(Vec::new());
        }
        // What did not change since it was read, and was not read too soon, is known.
        let mut known = Known::default();
        for file in &self.files {
            if file.settled {
                let content = crate::model::file::Content {
                    digest: file.digest,
                    mentions: "".into(),
                };
                known.put(file.stat, content, i64::MAX);
            }
        }
        let mut now = Self::take(&self.root, &self.globs, &mut known, Keep::Nothing)
            .map_err(|mut wrong| Different::Failed(wrong.swap_remove(0).1))?;
        let (new, old) = (now.entries(), self.entries());
        let differing = differing(&new, &old);
        if !differing.is_empty() {
            return Err(Different::Changed(
                differing.iter().map(Change::of).collect(),
            ));
        }
        let touched = now.touched_since(self);
        now.mentions = std::mem::take(&mut self.mentions);
        *self = now;
        Ok(touched)
    }

    /// Of the same files, those that look another way; and links.
    fn touched_since(&self, old: &Self) -> Vec<String> {
        let files = self.files.iter().zip(&old.files);
        let files = files.filter(|(new, old)| new.stat != old.stat);
        let files = files.map(|(new, _)| new.path.to_string());
        let links = self.links.iter().filter(|link| !old.links.contains(link));
        let links = links.map(|link| String::from_utf8_lossy(&link.path).into_owned());
        let folders = moved_since(&self.folders, &old.folders);
        let ways = moved_since(&self.ways, &old.ways);
        files.chain(links).chain(folders).chain(ways).collect()
    }
}

/// Of the same folders, those that were moved.
fn moved_since<'a>(new: &'a [FoundFolder], old: &'a [FoundFolder]) -> impl Iterator<Item = String> {
    let old = |path: &[u8]| {
        let at = old.binary_search_by(|one| (*one.path).cmp(path)).ok()?;
        Some(&old[at].stat)
    };
    let moved = new
        .iter()
        .filter(move |new| old(&new.path).is_some_and(|old| new.stat.was_moved(old)));
    moved.map(|one| match &*one.path {
        [] => ".".to_owned(),
        path => String::from_utf8_lossy(path).into_owned(),
    })
}

fn note(all: &mut BTreeSet<Box<str>>, mentions: &str) {
    for name in mentions.split_ascii_whitespace() {
        if !all.contains(name) {
            all.insert(name.into());
        }
    }
}

impl Taken {
    fn entry(&self) -> Entry<&str> {
        Entry {
            kind: if self.stat.executable {
                Kind::Executable
            } else {
                Kind::File
            },
            digest: self.digest,
            name: &self.path,
        }
    }
}

/// A file that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// Below the root.
    pub path: String,
    /// In what way.
    pub how: crate::model::tree::Difference,
}

impl Change {
    fn of(differing: &Differing) -> Self {
        Self {
            path: differing.name.to_owned(),
            how: differing.how,
        }
    }
}

/// Why files are not as they were.
#[derive(Debug)]
pub(crate) enum Different {
    /// These are not.
    Changed(Vec<Change>),
    /// They cannot be had any more.
    Failed(Error),
}
