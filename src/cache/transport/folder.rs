//! A cache in a folder, which may be one of a network file system.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::{Body, Fault, Transport};
use crate::text::Shown as _;

/// See the module.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
}

impl Folder {
    /// The folder, which need not be there yet.
    pub(crate) fn new(root: &str) -> Self {
        Self { root: root.into() }
    }
}

/// For `map_err`.
fn fault<'p>(action: &'static str, path: &'p Path) -> impl FnOnce(io::Error) -> Fault + 'p {
    move |error| {
        let words = format!("cannot {action} {}: {error}", path.shown());
        let refused = [
            io::ErrorKind::PermissionDenied,
            io::ErrorKind::ReadOnlyFilesystem,
        ];
        if refused.contains(&error.kind()) {
            Fault::Refused(words)
        } else {
            Fault::Gone(words)
        }
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

impl Transport for Folder {
    fn read(&self, name: &str, most: usize) -> Result<Option<Vec<u8>>, Fault> {
        let path = self.root.join(name);
        let Some(file) = self.open(name)? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        let read = file.take(most as u64 + 1).read_to_end(&mut bytes);
        read.map_err(fault("read", &path))?;
        Ok((bytes.len() <= most).then_some(bytes))
    }

    fn open(&self, name: &str) -> Result<Option<Box<dyn Read + Send>>, Fault> {
        let path = self.root.join(name);
        match File::open(&path) {
            Ok(file) => Ok(Some(Box::new(file))),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(fault("open", &path)(error)),
        }
    }

    fn has(&self, name: &str) -> Result<bool, Fault> {
        let path = self.root.join(name);
        match fs::metadata(&path) {
            Ok(metadata) => Ok(metadata.is_file()),
            Err(error) if is_absent(&error) => Ok(false),
            Err(error) => Err(fault("look at", &path)(error)),
        }
    }

    fn put(&self, name: &str, new: bool, body: Body) -> Result<bool, Fault> {
        let path = self.root.join(name);
        if new && self.has(name)? {
            return Ok(false);
        }
        let folder = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder).map_err(fault("make the folder", folder))?;
        // What the umask takes, it takes.
        let mut file = tempfile::Builder::new()
            .prefix(".new-")
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder)
            .map_err(fault("make a file in", folder))?;
        let mut failed = None;
        let mut writer = io::BufWriter::with_capacity(1 << 17, file.as_file_mut());
        let mut watched = Watched {
            to: &mut writer,
            failed: &mut failed,
        };
        let written = body(&mut watched).and_then(|()| watched.flush());
        drop(writer);
        if let Some(error) = failed {
            return Err(fault("write to", folder)(error));
        }
        written.map_err(Fault::Here)?;
        let placed = if new {
            file.persist_noclobber(&path)
        } else {
            file.persist(&path)
        };
        match placed {
            Ok(_) => Ok(true),
            Err(error) if new && error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(fault("make", &path)(error.error)),
        }
    }
}

/// Tells failures to write from others.
struct Watched<'w, W> {
    to: &'w mut W,
    failed: &'w mut Option<io::Error>,
}

impl<W: io::Write> Watched<'_, W> {
    fn note<T>(&mut self, done: io::Result<T>) -> io::Result<T> {
        done.map_err(|error| {
            let again = io::Error::from(error.kind());
            self.failed.get_or_insert(error);
            again
        })
    }
}

impl<W: io::Write> io::Write for Watched<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let done = self.to.write(bytes);
        self.note(done)
    }

    fn flush(&mut self) -> io::Result<()> {
        let done = self.to.flush();
        self.note(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(folder: &Folder, name: &str, new: bool, bytes: &[u8]) -> Result<bool, Fault> {
        folder.put(name, new, &mut |to| to.write_all(bytes))
    }

    #[test]
    fn files_appear_whole_and_new_ones_replace_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path().join("not/there").to_str().unwrap());
        assert!(folder.read("a/b", 10).unwrap().is_none());
        assert!(!folder.has("a/b").unwrap());
        assert!(put(&folder, "a/b", true, b"one").unwrap());
        assert!(!put(&folder, "a/b", true, b"two").unwrap());
        assert_eq!(folder.read("a/b", 3).unwrap().unwrap(), b"one");
        assert!(folder.read("a/b", 2).unwrap().is_none());
        assert!(put(&folder, "a/b", false, b"two").unwrap());
        assert_eq!(folder.read("a/b", 3).unwrap().unwrap(), b"two");
        let broken = folder.put("a/c", true, &mut |to| {
            to.write_all(b"half")?;
            Err(io::Error::other("no more"))
        });
        assert!(matches!(broken, Err(Fault::Here(_))), "{broken:?}");
        let there = fs::read_dir(folder.root.join("a")).unwrap();
        assert_eq!(there.count(), 1);
    }

    #[test]
    fn what_is_in_the_way_is_told() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        let folder = Folder::new(dir.path().join("file").to_str().unwrap());
        assert!(folder.read("a", 1).unwrap().is_none());
        let refused = put(&folder, "a", true, b"one").unwrap_err();
        assert!(
            refused.to_string().contains("cannot make the folder"),
            "{refused}"
        );
    }
}
