//! From the files in a task's output folder to a list of objects.

mod insert;

use std::io;
use std::path::Path;
use std::sync::Arc;

pub(super) use insert::Source;

use rustix::fs::{DirEntry, FileType};

use crate::engine::{Collected, Output, Outputs};
use crate::folder::{self, Folder};
use crate::model::promise::{Broken, Comparison, Pattern};
use crate::store::{self, InsertError};
use crate::sys::Shortage;

/// The longest list of bad outputs in an error.
const NAMED: usize = 5;
/// Names read at a time.
const STRETCH: usize = Collected::STRETCH;

/// Why a task's outputs are not accepted.
#[derive(Debug, thiserror::Error)]
pub(super) enum OutputError {
    /// Some are no regular files with a UTF-8 name; what is wrong with them.
    #[error("{}", .0.join("\n"))]
    Bad(Vec<String>),
    /// They are not what the step promises.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// One may still change.
    #[error("output {name:?} {source}{}", hint(source))]
    Unfit {
        /// Its name.
        name: String,
        /// What is wrong with it.
        source: InsertError,
    },
    /// The folder is another one by now, or none; what is there.
    #[error(
        "OUTPUT_DIR is no longer the folder that was made for the task: {0}\n\
         hint: let the script change what is in \"$OUTPUT_DIR\", and leave the folder itself where it is"
    )]
    Replaced(&'static str),
    /// A file operation failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl OutputError {
    /// What there was too little of, if it was that.
    pub(super) fn shortage(&self) -> Option<Shortage> {
        match self {
            Self::Store(error) => error.shortage(),
            Self::Bad(_) | Self::Broken(_) | Self::Unfit { .. } | Self::Replaced(_) => None,
        }
    }
}

/// What to do about it.
fn hint(error: &InsertError) -> &'static str {
    match error {
        InsertError::BeingWritten => {
            "; hint: let the script `wait` for what it starts in the background"
        }
        InsertError::Closed { .. } => "\nhint: let the script copy the file, or change its mode",
        InsertError::NotAFile(_)
        | InsertError::Mounted
        | InsertError::Overtaken
        | InsertError::Store(_) => "",
    }
}

/// Makes objects of all files in the folder, which is empty afterwards.
///
/// Names are in order, in stretches of some thousands if there are more. Nothing is inserted if one
/// of them is unacceptable by its kind or name, or they are not what is `promised`. `spill` is the folder for the file with a list that
/// is too long for memory.
pub(super) fn collect(
    source: Source,
    promised: Option<&Arc<[Pattern]>>,
    spill: &Path,
) -> Result<Outputs, OutputError> {
    let mut names = validate(source.folder, promised.map(Comparison::new))?;
    let mut outputs = Collected::new(spill);
    let io =
        |source| OutputError::from(store::io_error("write a list of outputs in", spill)(source));
    while !names.is_empty() {
        names.sort_unstable();
        let whole = names.len() < STRETCH;
        let digests = match insert::adopt(source, &names) {
            Ok(digests) => digests,
            Err((_, InsertError::Store(error))) => return Err(error.into()),
            Err((index, source)) => {
                return Err(OutputError::Unfit {
                    name: names.swap_remove(index).into(),
                    source,
                });
            }
        };
        for (name, digest) in names.into_iter().zip(digests) {
            outputs.push(Output { name, digest }).map_err(io)?;
        }
        if whole {
            break;
        }
        names = read_names(source.folder)?;
    }
    outputs.end().map_err(io)
}

/// Looks at every entry's name and kind; the first names, at most a stretch of them.
fn validate(
    folder: &Folder,
    mut compared: Option<Comparison>,
) -> Result<Vec<Box<str>>, OutputError> {
    let mut names = Vec::new();
    let mut bad = Vec::new();
    let mut more = 0;
    let io = |error: io::Error| store::io_error("read the output folder", folder.path())(error);
    for entry in folder.names().map_err(io)? {
        let entry = entry.map_err(|error| io(error.into()))?;
        if folder::is_self(entry.file_name()) {
            continue;
        }
        let name = entry.file_name().to_str();
        let problem = match (kind(folder, &entry)?, name) {
            (FileType::RegularFile, Ok(name)) => {
                if let Some(compared) = &mut compared {
                    compared.saw(name);
                }
                if names.len() < STRETCH {
                    names.push(name.into());
                }
                continue;
            }
            (FileType::RegularFile, Err(_)) => "has a name that is not UTF-8".to_owned(),
            (FileType::Symlink, _) => {
                "is a symbolic link, not a regular file; hint: `cp -L` copies what \
                                       a link leads to"
                    .to_owned()
            }
            (other, _) => format!("is {}, not a regular file", folder::kind(other)),
        };
        if bad.len() < NAMED {
            let name = folder::shown(entry.file_name());
            bad.push(format!("output {name:?} {problem}"));
        } else {
            more += 1;
        }
    }
    if bad.is_empty() {
        compared.map_or(Ok(()), Comparison::end)?;
        return Ok(names);
    }
    bad.sort();
    if more > 0 {
        bad.push(format!("and {more} more"));
    }
    Err(OutputError::Bad(bad))
}

fn kind(folder: &Folder, entry: &DirEntry) -> Result<FileType, store::Error> {
    let kind = entry.file_type();
    // Some file systems do not tell.
    if kind != FileType::Unknown {
        return Ok(kind);
    }
    let entry = folder.entry(folder::shown(entry.file_name()));
    let look = entry.look().map_err(store::io_error("look at", entry))?;
    Ok(look.kind)
}

/// The next names, at most a stretch of them: what was inserted is gone from the folder.
fn read_names(folder: &Folder) -> Result<Vec<Box<str>>, OutputError> {
    let read = || {
        let mut names = Vec::new();
        for entry in folder.names()? {
            let entry = entry?;
            if folder::is_self(entry.file_name()) {
                continue;
            }
            let name = entry.file_name().to_str().map_err(io::Error::other)?;
            names.push(name.into());
            if names.len() == STRETCH {
                break;
            }
        }
        Ok(names)
    };
    read().map_err(|error| store::io_error("read the output folder", folder.path())(error).into())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::ffi::OsStrExt;

    use super::*;
    use crate::exec::tests::world::in_memory;
    use crate::model::digest::Digest;
    use crate::store::Store;

    fn collect(dir: &Path, store: &Store, folder: &Path) -> Result<Outputs, OutputError> {
        let folder = Arc::new(Folder::open(folder).unwrap());
        let source = Source {
            store,
            folder: &folder,
            quiet: true,
            offer: &|_, _, _| (),
        };
        super::collect(source, None, dir)
    }

    fn fixture() -> (tempfile::TempDir, Store, std::path::PathBuf) {
        let dir = in_memory();
        let store = Store::open(&dir.path().join("objects"), dir.path()).unwrap();
        let out = dir.path().join("out");
        fs::create_dir(&out).unwrap();
        (dir, store, out)
    }

    #[test]
    fn every_file_once_however_many() {
        for count in [0, 1, STRETCH - 1, STRETCH, STRETCH + 1, 2 * STRETCH + 3] {
            let (dir, store, out) = fixture();
            for n in 0..count {
                fs::write(out.join(format!("{n:05}")), n.to_string()).unwrap();
            }
            let outputs = collect(dir.path(), &store, &out).unwrap();
            let mut all: Vec<Output> = outputs.map(Result::unwrap).collect();
            all.sort_by(|a, b| a.name.cmp(&b.name));
            assert_eq!(all.len(), count);
            for (n, output) in all.iter().enumerate() {
                assert_eq!(*output.name, format!("{n:05}"));
                assert_eq!(output.digest, Digest::of(n.to_string().as_bytes()));
            }
            assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
        }
    }

    #[test]
    fn bad_ones_are_all_named_and_nothing_is_adopted() {
        let (dir, store, out) = fixture();
        fs::write(out.join("good"), "good").unwrap();
        fs::create_dir(out.join("dir")).unwrap();
        fs::write(out.join(std::ffi::OsStr::from_bytes(b"\xff")), "").unwrap();
        let error = collect(dir.path(), &store, &out).unwrap_err();
        assert_eq!(
            error.to_string(),
            "output \"\\xFF\" has a name that is not UTF-8\n\
             output \"dir\" is a folder, not a regular file"
        );
        assert!(out.join("good").exists());
    }
}
