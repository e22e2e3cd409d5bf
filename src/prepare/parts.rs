//! The manifest and its parts, read from files.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::SourceError;
use crate::files::{self, Root};
use crate::manifest::diagnostic::Diagnostic;
use crate::manifest::{Placed, Texts, includes};
use crate::model::file::Stat;
use crate::model::glob::Glob;
use crate::text::{Shown as _, amount, quoted};

/// Bytes of a manifest with its parts: a device has no end.
const LONGEST: u64 = 64 << 20;

/// Parts of one manifest.
const MOST: usize = 10_000;

/// Parts that include one another, one below the other: more than anybody can follow, and less than the stack holds.
const DEEPEST: usize = 100;

/// Reads the manifest and all that it includes; its folder.
pub(super) fn load(path: &Path) -> Result<(Texts, PathBuf), SourceError> {
    let failed = |source| SourceError::Read {
        path: path.to_owned(),
        source,
    };
    let mut file = File::open(path).map_err(failed)?;
    let text = read(&mut file, LONGEST).map_err(failed)?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
        .canonicalize()
        .map_err(failed)?;
    let texts = Texts::new(path, &text);
    // Most have none.
    if !text.contains("include") {
        return Ok((texts, folder));
    }
    let mut loader = Loader {
        root: Root::open_until(&folder, None, Arc::default()).map_err(failed)?,
        folder: &folder,
        path,
        texts,
        seen: HashSet::new(),
        chain: vec![(identity(path).map_err(failed)?, path.to_owned())],
        wrong: Vec::new(),
    };
    loader.parts_of(0);
    let Loader { texts, wrong, .. } = loader;
    if wrong.is_empty() {
        return Ok((texts, folder));
    }
    Err(SourceError::Bad {
        path: path.to_owned(),
        rendered: texts.render(&wrong),
        count: wrong.len(),
    })
}

/// What tells a file from all others, whatever leads to it: device and number.
type FileIdentity = (u64, u64);

fn identity(path: &Path) -> io::Result<FileIdentity> {
    use std::os::unix::fs::MetadataExt as _;
    let seen = fs::metadata(path)?;
    Ok((seen.dev(), seen.ino()))
}

/// The text of a file of at most so many bytes.
fn read(file: &mut File, most: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let words = format!("it has more than {}", amount::bytes(most));
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, words));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..at].split(|b| *b == b'\n').count();
        let words = format!("it is not UTF-8 text (line {line})");
        io::Error::new(io::ErrorKind::InvalidData, words)
    })
}

struct Loader<'a> {
    root: Root,
    folder: &'a Path,
    path: &'a Path,
    texts: Texts,
    /// Those that are in already.
    seen: HashSet<FileIdentity>,
    /// The file at hand, and those that led to it, the manifest first.
    chain: Vec<(FileIdentity, PathBuf)>,
    wrong: Vec<Diagnostic>,
}

impl Loader<'_> {
    /// Adds the parts that the file names, and theirs.
    fn parts_of(&mut self, number: usize) {
        for glob in includes(&self.texts, number) {
            if let Err(wrong) = self.add(&glob) {
                self.wrong.push(wrong);
            }
        }
    }

    fn add(&mut self, glob: &Placed<Glob>) -> Result<(), Diagnostic> {
        let at = || glob.at.clone();
        if let Some(path) = glob.value.literal()
            && self.folder.join(&path).is_dir()
        {
            let message = format!("{} is a folder, no part of a manifest", quoted(&path));
            let hint = format!(
                "name the files in it: {:?}",
                format!("{}/*.toml", path.trim_end_matches('/'))
            );
            return Err(Diagnostic::at(at(), message).hint(hint));
        }
        let found = files::find(&self.root, [&glob.value]).map_err(|mut wrong| {
            let (_, error) = wrong.swap_remove(0);
            Diagnostic::at(at(), error.to_string()).hint(error.hint())
        })?;
        for file in found.files {
            if let Err(wrong) = self.part(glob, &file.path, &file.stat) {
                self.wrong.push(wrong);
            }
        }
        Ok(())
    }

    fn part(&mut self, glob: &Placed<Glob>, below: &str, stat: &Stat) -> Result<(), Diagnostic> {
        let at = || glob.at.clone();
        let path = match self.path.parent() {
            Some(folder) => folder.join(below),
            None => below.into(),
        };
        let identity = (stat.device, stat.inode);
        if let Some(start) = self.chain.iter().position(|(above, _)| *above == identity) {
            let way: Vec<String> = self.chain[start..]
                .iter()
                .map(|(_, path)| path.shown().to_string())
                .chain([path.shown().to_string()])
                .collect();
            let message = match way.as_slice() {
                [_, _] => format!("{} includes itself", path.shown()),
                way => format!("parts include each other in a circle: {}", way.join(" → ")),
            };
            let hint = "keep parts in a folder of their own, and name each from one place";
            return Err(Diagnostic::at(at(), message).hint(hint));
        }
        if !self.seen.insert(identity) {
            return Ok(());
        }
        if self.chain.len() > DEEPEST {
            let message = format!("parts include one another more than {DEEPEST} deep");
            return Err(Diagnostic::at(at(), message).hint("name them from fewer places"));
        }
        if self.seen.len() > MOST {
            let message = format!("there are more than {MOST} parts");
            return Err(Diagnostic::at(at(), message).hint("name them more closely"));
        }
        let left = LONGEST.saturating_sub(self.texts.all().len() as u64);
        let text = File::open(self.folder.join(below)).and_then(|mut file| read(&mut file, left));
        let text = text.map_err(|error| {
            let message = format!("cannot read {}: {error}", path.shown());
            let kinds = [io::ErrorKind::InvalidData, io::ErrorKind::FileTooLarge];
            Diagnostic::at(at(), message).hint(if kinds.contains(&error.kind()) {
                "a part is TOML in UTF-8, as a manifest is"
            } else {
                "check the file's owner and mode"
            })
        })?;
        let folder = below.rfind('/').map_or("", |end| &below[..=end]);
        self.texts.push(&path, folder.to_owned(), &text);
        self.chain.push((identity, path));
        self.parts_of(self.texts.len() - 1);
        self.chain.pop();
        Ok(())
    }
}
