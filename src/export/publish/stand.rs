//! What stands in a place: nothing, what the program has put there, or something else.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use crate::folder::Entry;
use crate::model::digest::Digest;
use crate::model::tree::{Kind, is_inner};
use crate::store::{TreeWriter, hash_until};

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing.
    Nothing,
    /// A file or folder, and how it looks.
    There {
        /// Whether it is a folder.
        folder: bool,
        /// Changes with any change of it.
        seen: String,
    },
    /// Something of another kind, or with names that no output has.
    Odd,
    /// What should be a folder above it is none.
    Blocked,
}

/// Something in a folder: its path from that on, and where it is.
struct Inner {
    name: String,
    kind: Kind,
    path: PathBuf,
    look: String,
}

/// Looks at `path` in the folder, and at all that is in it. A link on the way there is in the way: where it leads,
/// nobody has said that results may go.
pub(super) fn look(folder: &Path, path: &str) -> io::Result<Found> {
    for (at, _) in path.match_indices('/') {
        match fs::symlink_metadata(folder.join(&path[..at])) {
            Ok(about) if about.is_dir() => {}
            Ok(_) => return Ok(Found::Blocked),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(error) => return Err(error),
        }
    }
    let path = &folder.join(path);
    let about = match fs::symlink_metadata(path) {
        Ok(about) => about,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(error),
    };
    if about.is_file() {
        return Ok(Found::There {
            folder: false,
            seen: short(&look_of(&about)),
        });
    }
    if !about.is_dir() {
        return Ok(Found::Odd);
    }
    let Some(all) = walk(path)? else {
        return Ok(Found::Odd);
    };
    let lines: Vec<String> = all
        .iter()
        .map(|inner| format!("{} {}", inner.look, inner.name))
        .collect();
    Ok(Found::There {
        folder: true,
        seen: short(&lines.join("\n")),
    })
}

/// The hash of the file, or of the list of what is in the folder. None where an output could not be so.
pub(super) fn hash(path: &Path, folder: bool, stop: &AtomicBool) -> io::Result<Option<Digest>> {
    if !folder {
        return hash_file(path, stop).map(Some);
    }
    let Some(all) = walk(path)? else {
        return Ok(None);
    };
    let mut list = TreeWriter::kept_in(None);
    for inner in all {
        let digest = match inner.kind {
            Kind::File | Kind::Executable => hash_file(&inner.path, stop)?,
            Kind::Link => Digest::of(fs::read_link(&inner.path)?.as_os_str().as_bytes()),
            Kind::Folder => Digest::EMPTY,
        };
        list.add(inner.kind, &digest, &inner.name)
            .map_err(io::Error::other)?;
    }
    list.end().map(Some).map_err(io::Error::other)
}

fn hash_file(path: &Path, stop: &AtomicBool) -> io::Result<Digest> {
    let file: File = Entry::from(path).open()?;
    let size = file.metadata()?.len();
    Ok(hash_until(&file, size, stop, |_| ())?.digest)
}

/// All that is in the folder, by path: files, links, and folders in which there is nothing. None where something
/// has no name or kind that an output can have.
fn walk(top: &Path) -> io::Result<Option<Vec<Inner>>> {
    let mut all = Vec::new();
    let mut folders = vec![(top.to_owned(), String::new())];
    while let Some((folder, above)) = folders.pop() {
        let mut is_empty = true;
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            is_empty = false;
            let Some(name) = entry
                .file_name()
                .to_str()
                .map(|name| format!("{above}{name}"))
            else {
                return Ok(None);
            };
            if !is_inner(&name) {
                return Ok(None);
            }
            let (path, about) = (entry.path(), entry.metadata()?);
            let kind = if about.is_dir() {
                folders.push((path, format!("{name}/")));
                continue;
            } else if about.is_symlink() {
                Kind::Link
            } else if !about.is_file() {
                return Ok(None);
            } else if about.mode() & 0o111 == 0 {
                Kind::File
            } else {
                Kind::Executable
            };
            let look = look_of(&about);
            all.push(Inner {
                name,
                kind,
                path,
                look,
            });
        }
        if is_empty && !above.is_empty() {
            all.push(Inner {
                name: above.trim_end_matches('/').to_owned(),
                kind: Kind::Folder,
                path: folder,
                look: "d".to_owned(),
            });
        }
    }
    all.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(Some(all))
}

/// All that changes with a file, but for its place and its names.
fn look_of(about: &Metadata) -> String {
    let time = |seconds: i64, more: i64| i128::from(seconds) * 1_000_000_000 + i128::from(more);
    format!(
        "{} {} {} {:o}",
        about.ino(),
        about.size(),
        time(about.mtime(), about.mtime_nsec()),
        about.mode()
    )
}

fn short(look: &str) -> String {
    Digest::of(look.as_bytes()).hex()[..16].to_owned()
}
