//! From the files in a task's output folder to a list of objects.

mod adopt;

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;

pub use adopt::Source;

use rustix::fs::{DirEntry, FileType};

use crate::core::digest::Digest;
use crate::folder::{self, Folder};
use crate::store::{self, AdoptError};
use crate::sys::Shortage;

/// Outputs held in memory; more go to a file.
const STRETCH: usize = 4096;
/// The longest list of bad outputs in an error.
const NAMED: usize = 5;

/// One output of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its file name.
    pub name: Box<str>,
    /// Its bytes.
    pub digest: Digest,
}

/// All outputs of a task. However many there are, few are in memory.
#[derive(Debug, Default)]
pub struct Outputs {
    first: Vec<Output>,
    rest: Option<File>,
}

/// Why a task's outputs are not accepted.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// Some are no regular files with a UTF-8 name; what is wrong with them.
    #[error("{}", .0.join("\n"))]
    Bad(Vec<String>),
    /// One may still change.
    #[error("output {name:?} {source}{}", hint(source))]
    Unfit {
        /// Its name.
        name: String,
        /// What is wrong with it.
        source: AdoptError,
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
    pub fn shortage(&self) -> Option<Shortage> {
        match self {
            Self::Store(error) => error.shortage(),
            Self::Bad(_) | Self::Unfit { .. } | Self::Replaced(_) => None,
        }
    }
}

/// What to do about it.
fn hint(error: &AdoptError) -> &'static str {
    match error {
        AdoptError::BeingWritten => {
            "; hint: let the script `wait` for what it starts in the background"
        }
        AdoptError::Closed { .. } => "\nhint: let the script copy the file, or change its mode",
        AdoptError::NotAFile(_)
        | AdoptError::Mounted
        | AdoptError::Overtaken
        | AdoptError::Store(_) => "",
    }
}

impl Outputs {
    /// Makes objects of all files in the folder, which is empty afterwards.
    ///
    /// Names are in order, in stretches of some thousands if there are more. Nothing is adopted
    /// if one of them is unacceptable by its kind or name. `spill` is the folder for the file
    /// with a list that is too long for memory.
    pub fn collect(source: Source, spill: &Path) -> Result<Self, OutputError> {
        let mut names = validate(source.folder)?;
        let mut outputs = Self::default();
        let mut rest: Option<BufWriter<File>> = None;
        let io = |source| {
            OutputError::from(store::io_error("write a list of outputs in", spill)(source))
        };
        while !names.is_empty() {
            names.sort_unstable();
            let whole = names.len() < STRETCH;
            let digests = match adopt::adopt(source, &names) {
                Ok(digests) => digests,
                Err((_, AdoptError::Store(error))) => return Err(error.into()),
                Err((index, source)) => {
                    return Err(OutputError::Unfit {
                        name: names.swap_remove(index).into(),
                        source,
                    });
                }
            };
            for (name, digest) in names.into_iter().zip(digests) {
                let output = Output { name, digest };
                match &mut rest {
                    Some(rest) => output.write(rest).map_err(io)?,
                    None => outputs.first.push(output),
                }
            }
            if whole {
                break;
            }
            if rest.is_none() {
                rest = Some(BufWriter::new(tempfile::tempfile_in(spill).map_err(io)?));
            }
            names = read_names(source.folder)?;
        }
        if let Some(rest) = rest {
            let mut file = rest.into_inner().map_err(|error| io(error.into_error()))?;
            file.rewind().map_err(io)?;
            outputs.rest = Some(file);
        }
        Ok(outputs)
    }

    /// Adds one.
    pub fn push(&mut self, name: &str, digest: Digest) {
        self.first.push(Output {
            name: name.into(),
            digest,
        });
    }

    /// All of them, in order.
    pub fn into_iter(self) -> impl Iterator<Item = io::Result<Output>> {
        let mut rest = self.rest.map(BufReader::new);
        let rest = std::iter::from_fn(move || rest.as_mut().and_then(Output::read));
        self.first.into_iter().map(Ok).chain(rest)
    }
}

impl Output {
    fn write(&self, to: &mut impl Write) -> io::Result<()> {
        // File names have at most 255 bytes on the systems that this runs on; two are plenty.
        let length = u16::try_from(self.name.len()).map_err(io::Error::other)?;
        to.write_all(&length.to_le_bytes())?;
        to.write_all(self.name.as_bytes())?;
        to.write_all(&self.digest.0)
    }

    fn read(from: &mut impl Read) -> Option<io::Result<Self>> {
        let mut length = [0; 2];
        match from.read_exact(&mut length) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return None,
            Err(error) => return Some(Err(error)),
            Ok(()) => {}
        }
        let mut name = vec![0; usize::from(u16::from_le_bytes(length))];
        let mut digest = Digest([0; 32]);
        Some(
            from.read_exact(&mut name)
                .and_then(|()| from.read_exact(&mut digest.0))
                .and_then(|()| String::from_utf8(name).map_err(io::Error::other))
                .map(|name| Self {
                    name: name.into(),
                    digest,
                }),
        )
    }
}

/// Looks at every entry's name and kind; the first names, at most a stretch of them.
fn validate(folder: &Folder) -> Result<Vec<Box<str>>, OutputError> {
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
                if names.len() < STRETCH {
                    names.push(name.into());
                }
                continue;
            }
            (FileType::RegularFile, Err(_)) => "has a name that is not UTF-8".to_owned(),
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

/// The next names, at most a stretch of them: what was adopted is gone from the folder.
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
    use std::sync::Arc;

    use super::*;

    use crate::store::Store;

    fn collect(dir: &Path, store: &Store, folder: &Path) -> Result<Outputs, OutputError> {
        let folder = Arc::new(Folder::open(folder).unwrap());
        let source = Source {
            store,
            folder: &folder,
            quiet: true,
            offer: &|_, _| false,
        };
        Outputs::collect(source, dir)
    }

    fn fixture() -> (tempfile::TempDir, Store, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
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
            assert!(outputs.first.len() <= STRETCH);
            let mut all: Vec<Output> = outputs.into_iter().map(Result::unwrap).collect();
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
