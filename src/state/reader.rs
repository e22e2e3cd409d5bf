//! Opening a database by one who may only read it.
//!
//! Beside the database lie its log, with what was committed last, and the memory that those who
//! have it open share: `db-wal` and `db-shm`. A run leaves both there, empty, so that `SQLite` has
//! what it needs and readers and the next run keep out of each other's way. Where they are gone
//! (somebody tidied up, or copied the database alone) and may not be made, there are two ways left.
//! What nobody at all can write to is read as it lies. Anything else could change while it is
//! read, and is copied first.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, ErrorCode, OpenFlags};
use rustix::fs::Access;

use super::guard::wait_when_busy;
use super::{Context, Error, Layout, files, guard, schema};
use crate::folder::Entry;
use crate::sys;

const OPENING: &str = "open the database";

/// Opens the database of the folder; its format.
pub(super) fn open(layout: &Layout) -> Result<(Connection, i64), Error> {
    look(layout)?;
    let shared = connect(
        &layout.file_name(),
        layout,
        OpenFlags::SQLITE_OPEN_READ_ONLY,
    )?;
    match shared.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0)) {
        Err(error) if lacks_its_files(&error) => {}
        _ => return checked(shared, layout),
    }
    drop(shared);
    let log = log(layout).map_err(|source| Error::Io {
        action: "read",
        path: layout.log(),
        source,
    })?;
    if log.is_none() && sys::is_unchangeable(&layout.database()) {
        return checked(as_it_lies(layout)?, layout);
    }
    checked(copy(layout)?, layout)
}

/// The same for one who would rather have nothing than wait for a copy; makes no file beside the database.
pub(super) fn open_at_once(layout: &Layout) -> Result<(Connection, i64), Error> {
    look(layout)?;
    if !layout.log().exists() {
        return checked(as_it_lies(layout)?, layout);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    checked(connect(&layout.file_name(), layout, flags)?, layout)
}

/// Tells what is not there from what may not be read.
fn look(layout: &Layout) -> Result<(), Error> {
    let root = layout.root();
    let database = layout.database();
    let io = |source| Error::Io {
        action: "read",
        path: database.clone(),
        source,
    };
    files::check(layout)?;
    match fs::metadata(&database) {
        // No descriptor: to close it would take away the locks of other connections.
        Ok(_) if layout.is_emptied() => Err(Error::Emptied(database)),
        Ok(_) => rustix::fs::access(&database, Access::READ_OK).map_err(|error| io(error.into())),
        Err(_) if root.is_file() => Err(Error::NotAFolder(root.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Error::Absent(root.to_owned()))
        }
        Err(error) => Err(io(error)),
    }
}

fn connect(path: &Path, layout: &Layout, flags: OpenFlags) -> Result<Connection, Error> {
    let mut connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .during(layout, OPENING)?;
    guard::restrict(&mut connection, layout).during(layout, OPENING)?;
    wait_when_busy(&connection, layout)?;
    Ok(connection)
}

/// With the first question `SQLite` opens all of its files.
fn checked(connection: Connection, layout: &Layout) -> Result<(Connection, i64), Error> {
    let format = match schema::check(&connection, layout) {
        Err(Error::Corrupt { .. }) if layout.is_blank() && layout.has_objects() => {
            return Err(Error::Emptied(layout.database()));
        }
        Err(Error::Corrupt { .. }) if layout.is_blank() => {
            return Err(Error::Absent(layout.root().to_owned()));
        }
        checked => checked?,
    };
    if schema::is_bare(&connection, layout)? && layout.has_objects() {
        return Err(Error::Emptied(layout.database()));
    }
    Ok((connection, format))
}

/// Whether the files beside the database are not there and cannot be made.
fn lacks_its_files(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied)
    )
}

/// Without locks, and without the log.
fn as_it_lies(layout: &Layout) -> Result<Connection, Error> {
    let mut address = "file:".to_owned();
    for byte in layout.database().as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                address.push(char::from(*byte));
            }
            _ => _ = write!(address, "%{byte:02X}"),
        }
    }
    address.push_str("?immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    connect(Path::new(&address), layout, flags)
}

/// The beginning of the log: another one whenever it is begun anew. None if nothing is in it.
fn log(layout: &Layout) -> io::Result<Option<[u8; 32]>> {
    let mut start = [0; 32];
    let read = open_file(&layout.log()).and_then(|mut file| file.read_exact(&mut start));
    match read {
        Ok(()) => Ok(Some(start)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// What tells whether a copy of database and log is of one moment.
///
/// The database changes only by what is brought there from the log. As long as it is the same log,
/// it only grows: it has all that may have come to the database meanwhile, if it is copied after it.
#[derive(Debug, PartialEq, Eq)]
struct Evidence {
    file: (u64, u64),
    log: Option<[u8; 32]>,
    /// With no log the file itself must not have changed.
    changed: Option<(u64, Duration)>,
}

impl Evidence {
    fn read(layout: &Layout) -> io::Result<Self> {
        let log = log(layout)?;
        let database = fs::metadata(layout.database())?;
        // From 1970 on, as all times of files are.
        let time = Duration::new(
            database.ctime().unsigned_abs(),
            u32::try_from(database.ctime_nsec()).unwrap_or(0),
        );
        Ok(Self {
            file: (database.dev(), database.ino()),
            log,
            changed: log.is_none().then_some((database.size(), time)),
        })
    }

    /// Whether another change would have another time.
    fn is_settled(&self) -> bool {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        self.changed
            .is_none_or(|(_, time)| now.saturating_sub(time) > TICK)
    }
}

/// Two changes that lie further apart have different times.
const TICK: Duration = Duration::from_millis(20);

/// How often a copy is begun anew because the database was written to.
const TRIES: u32 = 5;

/// Opens a copy, which is gone when it is closed.
fn copy(layout: &Layout) -> Result<Connection, Error> {
    let failed = |to: &Path, source| Error::Copy {
        path: layout.database(),
        to: to.to_owned(),
        source,
    };
    let place = tempfile::Builder::new()
        .prefix("task-pipeline-")
        .tempdir()
        .map_err(|source| failed(&tempfile::env::temp_dir(), source))?;
    let own = Layout::new(place.path());
    for _ in 0..TRIES {
        if copy_once(layout, &own).map_err(|source| failed(place.path(), source))? {
            let copy = connect(&own.database(), &own, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            let (copy, _) = checked(copy, &own)?;
            // It has its files open and needs their names no more.
            drop(place);
            return Ok(copy);
        }
    }
    Err(Error::Changing(layout.database()))
}

/// Whether the copy is of one moment.
fn copy_once(layout: &Layout, own: &Layout) -> io::Result<bool> {
    let before = Evidence::read(layout)?;
    if !before.is_settled() {
        std::thread::sleep(TICK);
    }
    copy_file(&layout.database(), &own.database())?;
    if before.log.is_some() {
        copy_file(&layout.log(), &own.log())?;
    } else {
        // Of an earlier try.
        let _ = fs::remove_file(own.log());
    }
    Ok(Evidence::read(layout)? == before)
}

fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    io::copy(&mut open_file(from)?, &mut File::create(to)?).map(drop)
}

/// Opens a file that somebody else may have put there: no link is followed, no FIFO waited for.
fn open_file(path: &Path) -> io::Result<File> {
    let file = Entry::from(path).open()?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("it is not a regular file"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with a database in which each number stands in two tables, or in none.
    struct Fixture {
        _folder: tempfile::TempDir,
        layout: Layout,
        writer: Connection,
    }

    impl Fixture {
        fn new(name: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let layout = Layout::new(&folder.path().join(name));
            fs::create_dir(layout.root()).unwrap();
            let mut writer = Connection::open(layout.database()).unwrap();
            schema::migrate(&mut writer, &layout, 0).unwrap();
            writer
                .execute_batch(
                    "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;
                     CREATE TABLE a (n INTEGER); CREATE TABLE b (n INTEGER);",
                )
                .unwrap();
            let fixture = Self {
                _folder: folder,
                layout,
                writer,
            };
            fixture.add(0);
            fixture
        }

        fn add(&self, number: i64) {
            self.writer
                .execute_batch(&format!(
                    "BEGIN; INSERT INTO a VALUES ({number});
                     INSERT INTO b VALUES ({number}); COMMIT;"
                ))
                .unwrap();
        }

        fn checkpoint(&self) {
            self.writer
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
                .unwrap();
        }
    }

    fn numbers(connection: &Connection) -> (i64, i64) {
        let question = "SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b)";
        connection
            .query_row(question, [], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
    }

    #[test]
    fn a_copy_has_what_is_only_in_the_log_and_leaves_nothing() {
        let fixture = Fixture::new("db");
        fixture.add(1);
        assert!(log(&fixture.layout).unwrap().is_some());
        assert_eq!(numbers(&copy(&fixture.layout).unwrap()), (2, 2));
        fixture.checkpoint();
        assert!(log(&fixture.layout).unwrap().is_none());
        let copy = copy(&fixture.layout).unwrap();
        fixture.add(2);
        assert_eq!(numbers(&copy), (2, 2), "of the moment when it was made");
        // Where copies are made may be called so, too.
        let copies = std::env::temp_dir().canonicalize().unwrap();
        let copies = copies.join("task-pipeline-").to_string_lossy().into_owned();
        let mine = |entry: io::Result<fs::DirEntry>| {
            let links = fs::read_link(entry.unwrap().path()).unwrap_or_default();
            let links = links.to_string_lossy().into_owned();
            links.starts_with(&copies) && !links.ends_with("(deleted)")
        };
        let named = || fs::read_dir("/proc/self/fd").is_ok_and(|mut open| open.any(mine));
        // Those that other tests are making have one for a moment.
        let began = std::time::Instant::now();
        while named() {
            assert!(
                began.elapsed().as_secs() < 5,
                "a copy has no name once it is open"
            );
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_log_that_is_no_file_is_not_waited_for() {
        let fixture = Fixture::new("db");
        let log_file = fixture.layout.log();
        fs::remove_file(&log_file).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &log_file).unwrap();
        assert!(copy(&fixture.layout).is_err());
        fs::remove_file(&log_file).unwrap();
        nix::unistd::mkfifo(&log_file, nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert!(copy(&fixture.layout).is_err());
    }

    /// Checkpoints, and logs that begin anew, while it is copied.
    #[test]
    fn a_copy_is_of_one_moment_whatever_is_written_meanwhile() {
        let fixture = Fixture::new("db");
        fixture
            .writer
            .execute_batch("PRAGMA wal_autocheckpoint = 5; PRAGMA journal_size_limit = 0;")
            .unwrap();
        let layout = fixture.layout.clone();
        let reader = std::thread::spawn(move || {
            let (mut copies, mut last) = (0, 0);
            for _ in 0..40 {
                match copy(&layout) {
                    Ok(copy) => {
                        let (a, b) = numbers(&copy);
                        assert_eq!(a, b);
                        assert!(a >= last);
                        (copies, last) = (copies + 1, a);
                    }
                    Err(error) => assert!(matches!(error, Error::Changing(_)), "{error}"),
                }
            }
            copies
        });
        let mut number = 0;
        while !reader.is_finished() {
            number += 1;
            fixture.add(number);
            if number % 50 == 0 {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        assert!(reader.join().unwrap() > 0);
    }

    #[test]
    fn any_path_can_be_read_as_it_lies() {
        let fixture = Fixture::new("what? 100%#1 é&mode=memory");
        fixture.checkpoint();
        assert_eq!(numbers(&as_it_lies(&fixture.layout).unwrap()), (1, 1));
        assert!(!fixture.layout.root().join("db-journal").exists());
    }

    #[test]
    fn what_may_not_be_read_is_told_from_what_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let absent = Layout::new(&folder.path().join("absent"));
        assert!(matches!(open(&absent), Err(Error::Absent(_))));
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(
            open(&Layout::new(&file)),
            Err(Error::NotAFolder(_))
        ));
        let circle = folder.path().join("circle");
        fs::create_dir(&circle).unwrap();
        std::os::unix::fs::symlink("db", circle.join("db")).unwrap();
        let error = open(&Layout::new(&circle)).unwrap_err();
        assert!(
            matches!(&error, Error::NoFile { path, .. } if *path == circle.join("db")),
            "{error}"
        );
    }
}
