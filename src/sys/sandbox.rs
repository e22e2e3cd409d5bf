//! What a program in a sandbox sees, and the way there.
//!
//! Whoever wants a program in a sandbox starts this program in its place, with [`ENTRY`], a file that
//! says what is seen ([`View::to_bytes`]), the task's folder, the program and its words. That process becomes
//! the sandbox's parent: it ends as the program ends, and everything in there ends with it.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::system;

/// The word with which this program is the parent of a sandbox.
pub(crate) const ENTRY: &str = "in-a-sandbox";
/// The word behind it with which it makes one sandbox after the other.
pub(crate) const SERVER: &str = "for-many";
/// Where the task's folder is in there.
pub(crate) const TASK: &str = "/task";
/// What `HOME` is in there: an empty folder.
pub(crate) const HOME: &str = "/home/task";
/// Folders that a program in there can write to, besides the task's.
pub(crate) const OWN: [&str; 3] = [HOME, "/dev/shm", "/tmp"];
/// Where the files of secrets are in there.
pub(crate) const SECRETS: &str = "/run/secrets";
/// Folders of a task's folder in which nothing can be changed.
pub(crate) const SEALED: [&str; 2] = ["files", "with"];
/// Where a system has its settings, of which some are for root alone.
pub(crate) const SETTINGS: &str = "/etc";
/// The exit status of a sandbox that could not be made.
pub(crate) const FAILED: u8 = 125;

/// What a program in a sandbox sees besides its own folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// Files and folders of the host, without links on the way, and where they are seen. Nothing in them can
    /// be changed.
    pub shown: Vec<Shown>,
    /// Where links are, and what they lead to.
    pub links: Vec<(PathBuf, PathBuf)>,
    /// Where small files are, and what is in them.
    pub texts: Vec<(PathBuf, OsString)>,
    /// Files whose bytes are copied, into memory, and where they are seen.
    pub copied: Vec<(PathBuf, PathBuf)>,
    /// Where it starts.
    pub folder: PathBuf,
    /// Whether it has the host's network.
    pub network: bool,
    /// What is covered.
    pub covered: Vec<Covered>,
}

/// What is covered of that which is seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Covered {
    /// There.
    pub at: PathBuf,
    /// Whether it is a folder.
    pub folder: bool,
}

/// A file or a folder of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    /// There.
    pub from: PathBuf,
    /// In the sandbox.
    pub at: PathBuf,
    /// Whether it is a folder.
    pub folder: bool,
}

impl View {
    /// In the form in which it is handed over, with what one task is shown besides, and what is covered now.
    pub(crate) fn to_bytes(&self, shown: &[Shown], covered: &[Covered]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut add = |kind: &str, one: &OsStr, other: &OsStr| {
            for part in [kind.as_bytes(), one.as_bytes(), other.as_bytes()] {
                bytes.extend_from_slice(part);
                bytes.push(0);
            }
        };
        add("start", self.folder.as_ref(), "".as_ref());
        if self.network {
            add("network", "".as_ref(), "".as_ref());
        }
        for Shown { from, at, folder } in self.shown.iter().chain(shown) {
            let kind = if *folder { "folder" } else { "file" };
            add(kind, from.as_ref(), at.as_ref());
        }
        for (at, target) in &self.links {
            add("link", at.as_ref(), target.as_ref());
        }
        for (at, text) in &self.texts {
            add("text", at.as_ref(), text);
        }
        for (from, at) in &self.copied {
            add("copy", from.as_ref(), at.as_ref());
        }
        for Covered { at, folder } in self.covered.iter().chain(covered) {
            let kind = if *folder {
                "cover-folder"
            } else {
                "cover-file"
            };
            add(kind, at.as_ref(), "".as_ref());
        }
        bytes
    }

    /// What [`Self::to_bytes`] gave; none for what it never gives.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut view = Self::default();
        let bytes = bytes.strip_suffix(b"\0")?;
        let mut parts = bytes.split(|byte| *byte == 0);
        while let Some(kind) = parts.next() {
            let mut next = || Some(OsString::from_vec(parts.next()?.to_vec()));
            let (one, other) = (next()?, next()?);
            match kind {
                b"start" => view.folder = one.into(),
                b"network" => view.network = true,
                b"folder" | b"file" => view.shown.push(Shown {
                    from: one.into(),
                    at: other.into(),
                    folder: kind == b"folder",
                }),
                b"link" => view.links.push((one.into(), other.into())),
                b"text" => view.texts.push((one.into(), other)),
                b"cover-folder" | b"cover-file" => view.covered.push(Covered {
                    at: one.into(),
                    folder: kind == b"cover-folder",
                }),
                b"copy" => view.copied.push((one.into(), other.into())),
                _ => return None,
            }
        }
        Some(view)
    }
}

/// The path in the sandbox of what is in the task's folder.
pub(crate) fn inside(folder: &Path, path: &Path) -> PathBuf {
    match path.strip_prefix(folder) {
        Ok(rest) => Path::new(TASK).join(rest),
        Err(_) => path.to_owned(),
    }
}

/// Where a process is the parent of a sandbox, it is that to its end: its exit status. Nothing else may have happened in
/// the process before.
pub(crate) fn become_parent() -> Option<ExitCode> {
    let mut words = std::env::args_os().skip(1);
    if words.next()? != ENTRY {
        return None;
    }
    let first = words.next();
    let serves = first.as_ref().is_some_and(|word| word == SERVER);
    let view = if serves { words.next() } else { first };
    let status = match (view, words.next()) {
        (Some(view), Some(place)) => {
            let read = std::fs::read(&view).and_then(|bytes| {
                View::from_bytes(&bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
            });
            match read {
                Ok(view) => {
                    let words: Vec<OsString> = words.collect();
                    let enter = if serves {
                        system::serve
                    } else {
                        system::sandboxed
                    };
                    enter(&view, place.as_ref(), &words)
                }
                Err(error) => tell("read what is to be seen", Path::new(&view), &error),
            }
        }
        _ => FAILED,
    };
    Some(ExitCode::from(status))
}

/// Says on standard error what failed. The status to end with.
pub(super) fn tell(doing: &str, path: &Path, error: &io::Error) -> u8 {
    let text = format!("cannot make the sandbox: cannot {doing} {path:?}: {error}\n");
    // Whoever started this one reads it.
    let _ = rustix::io::write(rustix::stdio::stderr(), text.as_bytes());
    FAILED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_handed_over_as_it_is() {
        let view = View {
            shown: vec![
                Shown {
                    from: "/usr".into(),
                    at: "/usr".into(),
                    folder: true,
                },
                Shown {
                    from: OsString::from_vec(b"/a\nb\xff".to_vec()).into(),
                    at: "/c d".into(),
                    folder: false,
                },
            ],
            links: vec![("/bin".into(), "usr/bin".into())],
            texts: vec![("/etc/hosts".into(), "127.0.0.1 localhost\n".into())],
            copied: vec![("/proc/7/fd/3".into(), "/run/secrets/a".into())],
            folder: "/srv/p".into(),
            network: true,
            covered: vec![Covered {
                at: "/etc/shadow".into(),
                folder: false,
            }],
        };
        let now = Covered {
            at: "/etc/private".into(),
            folder: true,
        };
        let bytes = view.to_bytes(&[], std::slice::from_ref(&now));
        let mut whole = view.clone();
        whole.covered.push(now);
        assert_eq!(View::from_bytes(&bytes), Some(whole));
        let empty = View::default();
        assert_eq!(View::from_bytes(&empty.to_bytes(&[], &[])), Some(empty));
        for bad in [b"" as &[u8], b"start\0", b"other\0a\0b\0", b"start\0a\0b"] {
            assert_eq!(View::from_bytes(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn paths_in_there() {
        let folder = Path::new("/db/tmp/run-1/w0-0");
        assert_eq!(inside(folder, &folder.join("out")), Path::new("/task/out"));
        assert_eq!(inside(folder, Path::new("/etc")), Path::new("/etc"));
    }
}
