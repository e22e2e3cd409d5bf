//! A cache in a folder, which may be one of a network file system.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rustix::fs::OFlags;

use super::super::PATIENCE;
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
            io::ErrorKind::InvalidInput,
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

/// Has another thread do something that may never come back, as on a file system whose server is gone, and waits for it
/// for so long. What does not come back by then keeps its thread.
fn within<T: Send + 'static>(
    patience: Duration,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (say, said) = mpsc::sync_channel(1);
    thread(move || drop(say.send(work())))?;
    said.recv_timeout(patience)
        .unwrap_or_else(|_| Err(silent(patience)))
}

fn thread(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let builder = thread::Builder::new().name("cache folder".into());
    builder.spawn(work).map(drop)
}

fn silent(patience: Duration) -> io::Error {
    let words = format!("no answer within {} s", patience.as_secs());
    io::Error::new(io::ErrorKind::TimedOut, words)
}

/// A regular file, as which nobody waits for what others write into it; none if nothing is there.
fn regular(path: &Path) -> io::Result<Option<File>> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    match File::options().read(true).custom_flags(flags).open(path) {
        Ok(file) if file.metadata()?.is_file() => Ok(Some(file)),
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is no regular file",
        )),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What a thread reads, piece by piece; an empty one says that there is something to be read.
struct Pieces {
    said: Receiver<io::Result<Vec<u8>>>,
    piece: Vec<u8>,
    at: usize,
}

impl Pieces {
    fn of(path: PathBuf) -> io::Result<Option<Self>> {
        const PIECE: usize = 1 << 17;
        let (say, said) = mpsc::sync_channel(2);
        thread(move || {
            let mut file = match regular(&path) {
                Ok(Some(file)) => file,
                Ok(None) => return,
                Err(error) => return drop(say.send(Err(error))),
            };
            let mut piece = Vec::new();
            while say.send(Ok(std::mem::take(&mut piece))).is_ok() {
                match (&mut file).take(PIECE as u64).read_to_end(&mut piece) {
                    Ok(0) => return,
                    Ok(_) => {}
                    Err(error) => return drop(say.send(Err(error))),
                }
            }
        })?;
        match said.recv_timeout(PATIENCE) {
            Ok(Ok(piece)) => Ok(Some(Self { said, piece, at: 0 })),
            Ok(Err(error)) => Err(error),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => Err(silent(PATIENCE)),
        }
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() {
            match self.said.recv_timeout(PATIENCE) {
                Ok(piece) => (self.piece, self.at) = (piece?, 0),
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
                Err(RecvTimeoutError::Timeout) => return Err(silent(PATIENCE)),
            }
        }
        let length = buffer.len().min(self.piece.len() - self.at);
        buffer[..length].copy_from_slice(&self.piece[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}

impl Transport for Folder {
    fn read(&self, name: &str, most: usize) -> Result<Option<Vec<u8>>, Fault> {
        let path = self.root.join(name);
        let own = path.clone();
        let read = within(PATIENCE, move || {
            let Some(file) = regular(&own)? else {
                return Ok(None);
            };
            let mut bytes = Vec::new();
            file.take(most as u64 + 1).read_to_end(&mut bytes)?;
            Ok((bytes.len() <= most).then_some(bytes))
        });
        read.map_err(fault("read", &path))
    }

    fn open(&self, name: &str) -> Result<Option<Box<dyn Read + Send>>, Fault> {
        let path = self.root.join(name);
        let pieces = Pieces::of(path.clone()).map_err(fault("read", &path))?;
        Ok(pieces.map(|pieces| Box::new(pieces) as _))
    }

    fn has(&self, name: &str) -> Result<bool, Fault> {
        let path = self.root.join(name);
        let own = path.clone();
        let looked = within(PATIENCE, move || match fs::metadata(&own) {
            Ok(metadata) => Ok(metadata.is_file()),
            Err(error) if is_absent(&error) => Ok(false),
            Err(error) => Err(error),
        });
        looked.map_err(fault("look at", &path))
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
    fn what_is_no_regular_file_is_refused_and_waited_for_by_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path().to_str().unwrap());
        let fifo = std::process::Command::new("mkfifo")
            .arg(dir.path().join("a"))
            .status();
        assert!(fifo.unwrap().success());
        std::os::unix::fs::symlink("/dev/zero", dir.path().join("b")).unwrap();
        fs::create_dir(dir.path().join("c")).unwrap();
        for name in ["a", "b", "c"] {
            let read = folder.read(name, 10).err();
            let opened = folder.open(name).err();
            for refused in [read, opened] {
                let Some(Fault::Refused(words)) = refused else {
                    panic!("{name}: {refused:?}");
                };
                assert!(words.contains("it is no regular file"), "{words}");
            }
        }
    }

    #[test]
    fn what_never_comes_back_is_waited_for_so_long_and_no_longer() {
        let gone = within(Duration::from_millis(20), || {
            thread::park();
            Ok(())
        });
        assert_eq!(gone.unwrap_err().kind(), io::ErrorKind::TimedOut);
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path().to_str().unwrap());
        let long: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        put(&folder, "a", true, &long).unwrap();
        let mut read = Vec::new();
        let mut opened = folder.open("a").unwrap().unwrap();
        opened.read_to_end(&mut read).unwrap();
        assert!(read == long && folder.open("b").unwrap().is_none());
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
