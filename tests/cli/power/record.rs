//! What was done to a db folder, call by call, as strace tells it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// How strace is called: the program's own calls, paths of descriptors, all bytes.
pub const OPTIONS: &str = "-f -b execve -y -xx -s 200000 -o calls \
    -e trace=pwrite64,ftruncate,fsync,fdatasync,syncfs,rename,renameat2,linkat,unlink,unlinkat";

/// Something that a call did. Files are named below the db folder.
#[derive(Debug, Clone)]
pub enum Deed {
    /// Bytes were written to a file of the database.
    Write {
        file: String,
        at: usize,
        bytes: Vec<u8>,
    },
    /// A file of the database was cut, or made longer.
    Cut { file: String, length: usize },
    /// A file of the database was removed.
    Remove { file: String },
    /// An object came to its place.
    Object { name: String },
    /// An object went.
    Gone { name: String },
}

impl Deed {
    /// The file that it was done to.
    pub fn file(&self) -> &str {
        match self {
            Self::Write { file, .. } | Self::Cut { file, .. } | Self::Remove { file } => file,
            Self::Object { name } | Self::Gone { name } => name,
        }
    }
}

/// A moment of the run.
#[derive(Debug, Clone)]
pub enum Moment {
    /// This was done, and may be on the disk or not.
    Done(Deed),
    /// What was done before the moment `since` is on the disk: of one file, or all.
    Synced { file: Option<String>, since: usize },
}

/// All moments, in order.
#[derive(Debug)]
pub struct Recording {
    moments: Vec<Moment>,
}

/// Files of the database that outlive it. The index of the log does not: it is made of it.
const DATABASE: [&str; 3] = ["db", "db-wal", "db-journal"];

impl Recording {
    /// Of what strace wrote about calls of the program with this db folder.
    pub fn of(calls: &[u8], folder: &Path) -> Self {
        let mut moments = Vec::new();
        let mut begun: HashMap<&str, (String, usize)> = HashMap::new();
        let text = std::str::from_utf8(calls).unwrap();
        for line in text.lines() {
            let (process, call) = line.split_once(' ').unwrap();
            let call = call.trim_start();
            if let Some(call) = call.strip_suffix(" <unfinished ...>") {
                let since = moments.len();
                if let Some(deed) = deed(call, folder) {
                    moments.push(Moment::Done(deed));
                }
                begun.insert(process, (call.to_owned(), since));
                continue;
            }
            let failed = call.contains(" = -1 ");
            if call.starts_with("<... ") {
                let (call, since) = begun.remove(process).unwrap();
                moments.extend(synced(&call, folder, since).filter(|_| !failed));
                continue;
            }
            if failed {
                continue;
            }
            let since = moments.len();
            moments.extend(synced(call, folder, since));
            moments.extend(deed(call, folder).map(Moment::Done));
        }
        Self { moments }
    }

    pub fn len(&self) -> usize {
        self.moments.len()
    }

    /// What was done before a moment, and whether that is on the disk for certain.
    pub fn until(&self, moment: usize) -> impl Iterator<Item = (&Deed, bool)> {
        let past = &self.moments[..moment];
        past.iter().enumerate().filter_map(move |(at, done)| {
            let Moment::Done(deed) = done else {
                return None;
            };
            let is_kept = past[at..].iter().any(|later| match later {
                Moment::Synced { file, since } => {
                    at < *since && file.as_deref().is_none_or(|file| file == deed.file())
                }
                Moment::Done(_) => false,
            });
            Some((deed, is_kept))
        })
    }
}

fn synced(call: &str, folder: &Path, since: usize) -> Option<Moment> {
    let (name, rest) = call.split_once('(')?;
    let file = match name {
        "syncfs" => None,
        "fsync" | "fdatasync" => Some(of_database(&paths(rest)[0], folder)?),
        _ => return None,
    };
    Some(Moment::Synced { file, since })
}

fn deed(call: &str, folder: &Path) -> Option<Deed> {
    let (name, rest) = call.split_once('(')?;
    let paths = paths(rest);
    match name {
        "pwrite64" => {
            let file = of_database(&paths[0], folder)?;
            let bytes = unescaped(rest.split('"').nth(1)?);
            let at = number(rest.rsplit_once(", ")?.1);
            Some(Deed::Write { file, at, bytes })
        }
        "ftruncate" => {
            let file = of_database(&paths[0], folder)?;
            let length = number(rest.rsplit_once(", ")?.1);
            Some(Deed::Cut { file, length })
        }
        "unlink" | "unlinkat" => {
            let path = paths.last()?;
            if let Some(name) = of_object(path, folder) {
                return Some(Deed::Gone { name });
            }
            let file = of_database(path, folder)?;
            Some(Deed::Remove { file })
        }
        "rename" | "renameat2" | "linkat" => {
            let name = of_object(paths.last()?, folder)?;
            Some(Deed::Object { name })
        }
        _ => None,
    }
}

/// An object, by its path below the folder of all.
fn of_object(path: &Path, folder: &Path) -> Option<String> {
    let name = path.strip_prefix(folder.join("objects")).ok()?.to_str()?;
    // Two folders and the rest of the hash.
    (name.len() == 66).then(|| name.to_owned())
}

/// A file of the database, by its name.
fn of_database(path: &Path, folder: &Path) -> Option<String> {
    let name = path.strip_prefix(folder).ok()?.to_str()?;
    DATABASE.contains(&name).then(|| name.to_owned())
}

/// The paths of a call: those of descriptors, and those in quotes, which may begin at one.
fn paths(call: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    let mut rest = call;
    while let Some(at) = rest.find(['<', '"']) {
        let end = if rest.as_bytes()[at] == b'<' {
            '>'
        } else {
            '"'
        };
        let inner = &rest[at + 1..];
        let Some(length) = inner.find(end) else { break };
        let path = PathBuf::from(String::from_utf8_lossy(&unescaped(&inner[..length])).as_ref());
        match found.last() {
            Some(above) if end == '"' && path.is_relative() => found.push(above.join(path)),
            _ => found.push(path),
        }
        rest = &inner[length + 1..];
    }
    found
}

/// The bytes of `\x2f\x68…`.
fn unescaped(text: &str) -> Vec<u8> {
    text.split("\\x")
        .skip(1)
        .map(|digits| u8::from_str_radix(digits, 16).unwrap())
        .collect()
}

/// The number at the beginning of a text.
fn number(text: &str) -> usize {
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}
