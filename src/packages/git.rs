//! What Nix takes from a git repository, told from the repository's files.
//!
//! `git` is not asked: the settings of a repository name programs that it runs (`core.fsmonitor`,
//! filters, `ext::` transports), and the repository may come from somebody else.

mod index;

use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::regular;
#[cfg(any(test, feature = "fuzz"))]
pub(super) use index::fuzz::index as fuzz_index;
use index::{Entry, Index};

/// Submodules in submodules are looked at down to here.
const DEEPEST: usize = 8;
/// A symbolic reference leads to another at most so often.
const REFERENCES: usize = 5;

/// Where the files of a repository are.
struct Repository {
    /// The work tree.
    top: PathBuf,
    /// What belongs to this work tree alone.
    own: PathBuf,
    /// What all work trees share.
    common: PathBuf,
}

/// The length of the hashes in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Sha1,
    Sha256,
}

impl Format {
    fn of_hex(text: &str) -> Option<Self> {
        let hex = text.bytes().all(|c| c.is_ascii_hexdigit());
        match text.len() {
            40 if hex => Some(Self::Sha1),
            64 if hex => Some(Self::Sha256),
            _ => None,
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }
}

/// The work tree that `path` lies in.
pub(super) fn top(path: &Path) -> Option<&Path> {
    path.ancestors()
        .find(|folder| folder.join(".git").symlink_metadata().is_ok())
}

/// Feeds `hash` with the commit and the files that git tracks in the work tree `top`, as they are.
/// None where that cannot be told: without a commit, or in a form that is not known here.
pub(super) fn feed(top: &Path, hash: &mut Sha256) -> Option<()> {
    feed_at(top, hash, 0)
}

/// The commit that is checked out in the work tree `top`.
#[cfg(test)]
fn commit(top: &Path) -> Option<String> {
    Repository::at(top)?.commit()
}

fn feed_at(top: &Path, hash: &mut Sha256, depth: usize) -> Option<()> {
    let repository = Repository::at(top)?;
    let commit = repository.commit()?;
    hash.update(b"git");
    hash.update(commit.as_bytes());
    let format = Format::of_hex(&commit)?;
    let index = Index::read(&repository.own.join("index"), format)?;
    for entry in &index.entries {
        repository.feed_entry(entry, &index, format, hash, depth)?;
    }
    hash.update(b".");
    Some(())
}

impl Repository {
    fn at(top: &Path) -> Option<Self> {
        let git = top.join(".git");
        let own = if git.is_dir() {
            git
        } else {
            // Of a further work tree or a submodule: `gitdir: PATH`.
            let text = read_text(&git)?;
            top.join(text.strip_prefix("gitdir:")?.trim())
        };
        let common = match read_text(&own.join("commondir")) {
            Some(text) => own.join(text.trim()),
            None => own.clone(),
        };
        Some(Self {
            top: top.to_owned(),
            own,
            common,
        })
    }

    fn commit(&self) -> Option<String> {
        let mut text = read_text(&self.own.join("HEAD"))?;
        for _ in 0..REFERENCES {
            let Some(name) = text.strip_prefix("ref:") else {
                let commit = text.trim();
                return Format::of_hex(commit).map(|_| commit.to_owned());
            };
            text = self.reference(name.trim())?;
        }
        None
    }

    fn reference(&self, name: &str) -> Option<String> {
        if !name.starts_with("refs/") || name.split('/').any(|part| part == "..") {
            return None;
        }
        for folder in [&self.own, &self.common] {
            if let Some(text) = read_text(&folder.join(name)) {
                return Some(text);
            }
        }
        let packed = read_text(&self.common.join("packed-refs"))?;
        packed.lines().find_map(|line| {
            let (hash, of) = line.split_once(' ')?;
            (of == name).then(|| hash.to_owned())
        })
    }

    /// Feeds one tracked file as it is in the work tree: kind, name, content.
    fn feed_entry(
        &self,
        entry: &Entry,
        index: &Index,
        format: Format,
        hash: &mut Sha256,
        depth: usize,
    ) -> Option<()> {
        hash.update((entry.name.len() as u64).to_le_bytes());
        hash.update(&entry.name);
        hash.update([entry.stage]);
        let path = self.top.join(std::ffi::OsStr::from_bytes(&entry.name));
        if entry.is_submodule() {
            hash.update(b"m");
            hash.update(&entry.hash);
            if path.join(".git").symlink_metadata().is_ok() {
                if depth == DEEPEST {
                    return None;
                }
                feed_at(&path, hash, depth + 1)?;
            }
            return Some(());
        }
        let meta = match path.symlink_metadata() {
            Ok(meta) => meta,
            Err(error) if is_absent(&error) => {
                hash.update(b"-");
                return Some(());
            }
            Err(_) => return None,
        };
        let kind = meta.file_type();
        let executable = meta.mode() & 0o100 != 0;
        let tag = match (kind.is_symlink(), kind.is_file(), executable) {
            (true, ..) => b"l",
            (_, true, true) => b"x",
            (_, true, false) => b"f",
            _ => b"?",
        };
        hash.update(tag);
        if tag == b"?" {
            return Some(());
        }
        if index.is_current(entry, &meta) {
            hash.update(&entry.hash);
        } else if kind.is_symlink() {
            let target = fs::read_link(&path).ok()?;
            let target = target.as_os_str().as_bytes();
            hash.update(blob(format, target.len() as u64, target)?);
        } else {
            let (file, length) = regular::open(&path).ok()?;
            hash.update(blob(format, length, file)?);
        }
        Some(())
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// The hash that git gives to a file of these bytes; none if there are not just so many.
fn blob(format: Format, length: u64, from: impl Read) -> Option<Vec<u8>> {
    let head = format!("blob {length}\0");
    match format {
        Format::Sha1 => {
            use sha1::Digest as _;
            let mut hash = sha1::Sha1::new();
            hash.update(head);
            all(length, from, |bytes| hash.update(bytes))?;
            Some(hash.finalize().to_vec())
        }
        Format::Sha256 => {
            let mut hash = Sha256::new();
            hash.update(head);
            all(length, from, |bytes| hash.update(bytes))?;
            Some(hash.finalize().to_vec())
        }
    }
}

fn all(length: u64, mut from: impl Read, mut to: impl FnMut(&[u8])) -> Option<()> {
    let mut buffer = vec![0; 64 * 1024];
    let mut seen = 0;
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return (seen == length).then_some(()),
            Ok(count) => {
                seen += count as u64;
                to(&buffer[..count]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}

fn read_text(path: &Path) -> Option<String> {
    regular::read_text(path).ok()
}

#[cfg(test)]
mod tests;
