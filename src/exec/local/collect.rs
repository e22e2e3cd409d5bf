//! From what is in a task's output folder to a list of objects.

mod fold;
mod insert;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;

use insert::Offer;
pub(super) use insert::Source;

use rustix::fs::{DirEntry, FileType};

use crate::engine::{Collected, Output, Outputs};
use crate::folder::{self, Folder};
use crate::model::digest::Digest;
use crate::model::list::Form;
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
            "\nhint: let the script `wait` for what it starts in the background"
        }
        InsertError::Closed { .. } => "\nhint: let the script copy the file, or change its mode",
        InsertError::NotAFile(_)
        | InsertError::Mounted
        | InsertError::Overtaken
        | InsertError::Store(_) => "",
    }
}

/// How outputs are taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms<'a> {
    /// What the step promises to leave, if it promises anything.
    pub promised: Option<&'a Arc<[Pattern]>>,
    /// Whether folders are outputs.
    pub folders: bool,
    /// The folder for the file with a list that is too long for memory.
    pub spill: &'a Path,
}

/// Makes objects of all files in the folder, and of the folders where these are outputs. It is empty afterwards.
///
/// Names are in order, in stretches of some thousands if there are more. Nothing is inserted if one
/// of them is unacceptable by its kind or name, or they are not what is promised.
pub(super) fn collect(source: Source, terms: Terms) -> Result<Outputs, OutputError> {
    let mut found = validate(source.folder, terms)?;
    let mut outputs = Collected::new(terms.spill);
    let io = |source| {
        OutputError::from(store::io_error("write a list of outputs in", terms.spill)(
            source,
        ))
    };
    // Whoever starts early knows its row by the place of its input among all outputs.
    let nobody: Offer = &|_, _, _| ();
    let offer = if found.folders.is_empty() {
        source.offer
    } else {
        nobody
    };
    let source = Source { offer, ..source };
    loop {
        let Found { mut files, folders } = found;
        let whole = files.len() + folders.len() < STRETCH;
        files.sort_unstable();
        let adopted = match insert::adopt(source, &files) {
            Ok(adopted) => adopted,
            Err((_, InsertError::Store(error))) => return Err(error.into()),
            Err((index, source)) => {
                return Err(OutputError::Unfit {
                    name: files.swap_remove(index).into(),
                    source,
                });
            }
        };
        let files = files.into_iter().zip(adopted);
        let mut stretch: Vec<Output> = files
            .map(|(name, adopted)| Output {
                name,
                digest: adopted.digest,
                form: Form::File,
            })
            .collect();
        for name in folders {
            stretch.push(Output {
                digest: fold::fold(source, &name)?,
                form: Form::Folder,
                name,
            });
        }
        stretch.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        for output in stretch {
            outputs.push(output).map_err(io)?;
        }
        if whole {
            break;
        }
        found = read_names(source.folder)?;
    }
    outputs.end().map_err(io)
}

/// What of a task's own folder is kept.
#[derive(Debug)]
pub(crate) struct Kept {
    /// The tree of it.
    pub tree: Digest,
    /// What is not in there, in words.
    pub without: Option<String>,
}

/// Makes an object of what is in the folder `name`, which a task keeps from try to try. `stays`: the folder is as it
/// was afterwards, and may be written to meanwhile, at which that may fail. Else it is gone.
pub(crate) fn keep(source: Source, name: &str, stays: bool) -> Result<Kept, OutputError> {
    let (tree, without) = fold::fold_some(source, name, stays)?;
    if !stays {
        folder::remove_all(source.folder.entry(name));
    }
    Ok(Kept { tree, without })
}

/// Names of outputs, at most a stretch of them.
#[derive(Debug, Default)]
struct Found {
    files: Vec<Box<str>>,
    folders: Vec<Box<str>>,
}

impl Found {
    fn add(&mut self, name: &str, kind: FileType) {
        if kind == FileType::Directory {
            self.folders.push(name.into());
        } else {
            self.files.push(name.into());
        }
    }

    fn len(&self) -> usize {
        self.files.len() + self.folders.len()
    }
}

/// Outputs that are not acceptable, in words.
#[derive(Debug, Default)]
struct Bad {
    /// Whether all of it is in one folder, which need not be named.
    inner: bool,
    named: Vec<String>,
    more: usize,
    /// What to do about those that are named, each once.
    hints: BTreeSet<String>,
}

impl Bad {
    /// `problem`: with a line for its hint, if it has one.
    fn add(&mut self, name: &OsStr, problem: &str) {
        if self.named.len() < NAMED {
            let (problem, hint) = match problem.split_once("\nhint: ") {
                Some((problem, hint)) => (problem, Some(hint)),
                None => (problem, None),
            };
            self.hints.extend(hint.map(str::to_owned));
            let named = if self.inner {
                let mut parts = Path::new(name).components();
                parts.next();
                format!("{:?} {problem}", parts.as_path())
            } else {
                format!("output {name:?} {problem}")
            };
            self.named.push(named);
        } else {
            self.more += 1;
        }
    }

    fn end(self) -> Result<(), OutputError> {
        match self.lines() {
            lines if lines.is_empty() => Ok(()),
            lines => Err(OutputError::Bad(lines)),
        }
    }

    /// In one line and those of the hints, if there are any.
    fn words(mut self) -> Option<String> {
        let hints = hint_lines(std::mem::take(&mut self.hints));
        let lines = self.lines();
        (!lines.is_empty()).then(|| [vec![lines.join("; ")], hints].concat().join("\n"))
    }

    fn lines(mut self) -> Vec<String> {
        self.named.sort();
        if self.more > 0 {
            self.named.push(format!("and {} more", self.more));
        }
        self.named.extend(hint_lines(self.hints));
        self.named
    }
}

fn hint_lines(hints: BTreeSet<String>) -> Vec<String> {
    let lines = hints.into_iter().map(|hint| format!("hint: {hint}"));
    lines.collect()
}

/// Looks at every entry's name and kind, in folders that are outputs too; the first names.
fn validate(folder: &Arc<Folder>, terms: Terms) -> Result<Found, OutputError> {
    let mut compared = terms.promised.map(Comparison::new);
    let mut found = Found::default();
    let mut bad = Bad::default();
    let io = |error: io::Error| store::io_error("read the output folder", folder.path())(error);
    for entry in folder.names().map_err(io)? {
        let entry = entry.map_err(|error| io(error.into()))?;
        if folder::is_self(entry.file_name()) {
            continue;
        }
        let kind = kind(folder, &entry)?;
        let own = folder::shown(entry.file_name());
        let taken = match kind {
            FileType::RegularFile => true,
            FileType::Directory if terms.folders => true,
            FileType::Directory => {
                bad.add(own, NO_FOLDER);
                false
            }
            FileType::Symlink => {
                bad.add(own, A_LINK);
                false
            }
            other @ (FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown) => {
                bad.add(
                    own,
                    &format!("is {}, not a regular file", folder::kind(other)),
                );
                false
            }
        };
        if !taken {
            continue;
        }
        let Ok(name) = entry.file_name().to_str() else {
            bad.add(own, NO_TEXT);
            continue;
        };
        if let Some(compared) = &mut compared {
            compared.saw(name);
        }
        if kind == FileType::Directory {
            fold::check(folder, name, &mut bad)?;
        }
        if found.len() >= STRETCH {
            continue;
        }
        found.add(name, kind);
    }
    bad.end()?;
    compared.map_or(Ok(()), Comparison::end)?;
    Ok(found)
}

const NO_TEXT: &str = "has a name that is not UTF-8";
const NO_FOLDER: &str = "is a folder, not a regular file\nhint: with `folders = true` on the step it is an \
                         output, with all that is in it";
const A_LINK: &str =
    "is a symbolic link, not a regular file\nhint: `cp -L` copies what a link leads to";

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
fn read_names(folder: &Folder) -> Result<Found, OutputError> {
    let mut found = Found::default();
    let io = |error: io::Error| store::io_error("read the output folder", folder.path())(error);
    for entry in folder.names().map_err(io)? {
        let entry = entry.map_err(|error| io(error.into()))?;
        if folder::is_self(entry.file_name()) {
            continue;
        }
        let name = entry.file_name().to_str();
        let name = name.map_err(|error| io(io::Error::other(error)))?;
        found.add(name, kind(folder, &entry)?);
        if found.len() == STRETCH {
            break;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
