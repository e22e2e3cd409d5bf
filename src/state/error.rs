//! What can go wrong with a state database.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;

use super::layout::Layout;
use super::lock::LockError;
use super::schema::FORMAT;
use super::{cell, files, open};
use crate::model::task::TaskId;
use crate::sys::Shortage;
use crate::text::{Shown as _, quoted};

/// A failure of the state database.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The folder or a file in it cannot be used.
    #[error("cannot {action} {}: {source}", path.shown())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// There is no database in the folder, but something that is none of this program's.
    #[error("{} is no db and not empty: it holds {found}", path.shown())]
    Occupied {
        /// The folder.
        path: PathBuf,
        /// What is there, in words.
        found: String,
    },
    /// The folder's place is taken by something else.
    #[error("the db {} is a file, not a folder", .0.shown())]
    NotAFolder(PathBuf),
    /// A reading command found no database.
    #[error("there is no db at {}", .0.shown())]
    Absent(PathBuf),
    /// It may not be read where it lies, and cannot be copied.
    #[error("cannot copy {} to {}: {source}", path.shown(), to.shown())]
    Copy {
        /// The file.
        path: PathBuf,
        /// Where the copy was to be.
        to: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// It is written to all the time, by one whose locks cannot be seen.
    #[error("cannot read {}: it changes while it is copied", .0.shown())]
    Changing(PathBuf),
    /// The file is no database, or a damaged one.
    #[error("{} is not a usable database: {reason}", path.shown())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What `SQLite` says.
        reason: String,
    },
    /// Pages of it are lost: what would be read from it is not what was written.
    #[error("{} is damaged: {reason}", path.shown())]
    Unsound {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Somebody has set a condition that not all rows of this program meet.
    #[error("{} has an index {} that lets no two rows of the table {table} be equal, and a run makes such rows", path.shown(), quoted(index))]
    Condition {
        /// The file.
        path: PathBuf,
        /// The table.
        table: &'static str,
        /// The index.
        index: String,
        /// Whether it can be dropped, and is not a part of the table.
        removable: bool,
    },
    /// The db folder is a link that leads nowhere.
    #[error("the db {} is a link to {}, which is not there", path.shown(), target.shown())]
    LinkToNothing {
        /// The link.
        path: PathBuf,
        /// What it says.
        target: PathBuf,
    },
    /// Another program made it.
    #[error("{} is the database of another program", .0.shown())]
    Foreign(PathBuf),
    /// Whatever is at the place of the database, it is no file: this.
    #[error("{} is {found}, not a file", path.shown())]
    NoFile {
        /// The place.
        path: PathBuf,
        /// What is there.
        found: &'static str,
    },
    /// The db is one folder further down.
    #[error("{} is no db, but has one in it: {}", path.shown(), db.shown())]
    Above {
        /// The folder that was named.
        path: PathBuf,
        /// The db in it.
        db: PathBuf,
    },
    /// It is a file that has another name as well, in a folder that nobody named.
    #[error("{} has another name as well (a hard link), and what is there would change, too", .0.shown())]
    Shared(PathBuf),
    /// There are objects, and nothing in the file.
    #[error("{} is empty, although there are objects beside it: what was recorded is lost", .0.shown())]
    Emptied(PathBuf),
    /// A newer program made it.
    #[error("{} has format {found}, and this program knows formats up to {FORMAT}", path.shown())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
    },
    /// `SQLite` cannot open files so deep.
    #[error("cannot open {}: with the folders above it its path has more than {LONGEST} bytes, and SQLite takes no longer one", .0.shown())]
    TooLong(PathBuf),
    /// The disk is full.
    #[error("cannot write {}: the disk is full", .0.shown())]
    Full(PathBuf),
    /// The file may not be written.
    #[error("cannot write {}: it is read-only", .0.shown())]
    ReadOnly(PathBuf),
    /// Any other failure.
    #[error("cannot {action} in {}: {source}", path.shown())]
    Sqlite {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What `SQLite` says.
        source: rusqlite::Error,
    },
    /// A task was asked to do what a task in its state cannot.
    #[error(transparent)]
    Illegal(#[from] crate::model::task::Illegal),
    /// A task ended that is not there, or has ended before.
    #[error("task {0} has changed in the database while it ran")]
    Lost(TaskId),
    /// What was to be written together cannot be any more.
    #[error("nothing more is written to {}: what was being written was taken back", .0.shown())]
    Abandoned(PathBuf),
    /// Of this failure, and all writing that was tried since. Nothing was written.
    #[error(transparent)]
    Failed(Arc<Error>),
    /// Another process is writing.
    #[error(transparent)]
    Locked(#[from] LockError),
}

impl Error {
    /// Sorts a failure of `SQLite` by what the user can do about it.
    pub(super) fn of(action: &'static str, path: &Path, source: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        let path = path.to_owned();
        if let Some(reason) = cell::reason(&source, None) {
            return Self::Corrupt { path, reason };
        }
        // The question is ours and right: what it asks for is not there.
        if let rusqlite::Error::SqlInputError { msg, .. } = source {
            return Self::Corrupt { path, reason: msg };
        }
        let source = without_path(source);
        let code = source.sqlite_error_code();
        // By now nothing is done with it any more.
        if matches!(code, Some(Code::ReadOnly | Code::NotADatabase))
            && let Some(reason) = files::of_another(&path)
        {
            return Self::Corrupt { path, reason };
        }
        match code {
            // Of a sum of numbers in it.
            Some(Code::Unknown) if source.to_string() == "integer overflow" => Self::Corrupt {
                path,
                reason: "numbers in it are larger than any that this program writes".to_owned(),
            },
            Some(Code::OperationInterrupted) => Self::Corrupt {
                path,
                reason: "more rows are found in it than it has room for".to_owned(),
            },
            Some(Code::TooBig) => Self::Corrupt {
                path,
                reason: "a value in it is larger than any that this program writes".to_owned(),
            },
            Some(Code::CannotOpen) if open::absolute_length(&path) > LONGEST => Self::TooLong(path),
            Some(Code::DiskFull) => Self::Full(path),
            // What SQLite says where the file of the memory that processes share cannot grow.
            Some(Code::SystemIoFailure | Code::CannotOpen)
                if path
                    .parent()
                    .is_some_and(|folder| crate::sys::is_full(folder, "")) =>
            {
                Self::Full(path)
            }
            Some(Code::ConstraintViolation) => Self::Corrupt {
                path,
                reason: format!("a row does not meet a condition in it: {source}"),
            },
            Some(Code::ReadOnly) => Self::ReadOnly(path),
            Some(Code::NotADatabase | Code::DatabaseCorrupt) => Self::Corrupt {
                path,
                reason: source.to_string(),
            },
            _ => Self::Sqlite {
                action,
                path,
                source,
            },
        }
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotAFolder(_) => Some("name a folder with -db; it is made if it is not there"),
            Self::Absent(_) => Some("name the pipeline's db folder with -db, or make it with -run"),
            Self::Copy { .. } => Some(
                "without db-wal and db-shm beside it, a copy is read; TMPDIR names a folder with room for it",
            ),
            Self::Changing(_) => Some("ask again when the run on that db is over"),
            Self::Corrupt { .. } => Some(
                "restore the file from a backup, or move it away and run again: the objects beside it stay",
            ),
            Self::Unsound { .. } => Some(
                "`verify` says what is lost, `verify -repair` mends what can be mended; or restore the file from a backup",
            ),
            Self::Condition {
                removable: true, ..
            } => Some("take it away with DROP INDEX (sqlite3 knows that), and run again"),
            Self::Condition { .. } => {
                Some("restore the file from a backup, or name another folder with -db")
            }
            Self::LinkToNothing { .. } => Some(
                "make that folder, or mount the disk that it is on; or name another folder with -db",
            ),
            Self::Foreign(_) => Some("name another folder with -db"),
            Self::Occupied { .. } => Some(
                "a db has a folder of its own: name one with -db that is empty, or is not there yet",
            ),
            Self::Above { .. } => Some("name that folder with -db; without -db it is ./db"),
            Self::NoFile { .. } => Some(
                "put the file itself there; the db folder may be a link, what is in it may not",
            ),
            Self::Shared(_) => Some(
                "put a copy of the file in its place: copy it beside, and rename the copy to its name",
            ),
            Self::Emptied(_) => {
                Some("restore the file from a backup, or begin anew with -run: the objects stay")
            }
            Self::TooLong(_) => {
                Some("name a db folder nearer to / with -db; a link to this one is no help")
            }
            Self::Newer { .. } => Some("use the newer task-pipeline that made it"),
            Self::Full(_) => Some("make room and run again: all that was recorded is kept"),
            Self::ReadOnly(_) => Some("check the owner and mode of the db folder and its files"),
            Self::Locked(error) => error.hint(),
            Self::Failed(first) => first.hint(),
            Self::Lost(_) => Some("let nothing else write to the db folder during a run"),
            // As in /proc.
            Self::Io { action, source, .. }
                if *action == open::MAKE && source.kind() == std::io::ErrorKind::NotFound =>
            {
                Some("nothing can be made there: name another folder with -db")
            }
            Self::Io { source, .. } => hint_at(source),
            Self::Sqlite { source, .. } => hint_at_limits(source),
            Self::Illegal(_) | Self::Abandoned(_) => None,
        }
    }
}

/// What `SQLite` was told by the system is not known here.
fn hint_at_limits(source: &rusqlite::Error) -> Option<&'static str> {
    use rusqlite::ErrorCode as Code;
    #[allow(clippy::wildcard_enum_match_arm)] // Another's.
    let shortage = match source.sqlite_error_code()? {
        Code::CannotOpen => Shortage::Descriptors,
        Code::SystemIoFailure => Shortage::FileSize,
        Code::OutOfMemory => return Some(Shortage::Memory.hint()),
        _ => return None,
    };
    shortage.is_likely().then(|| shortage.hint())
}

#[allow(clippy::wildcard_enum_match_arm)] // Another's.
fn hint_at(source: &std::io::Error) -> Option<&'static str> {
    use std::io::ErrorKind;
    match source.kind() {
        ErrorKind::PermissionDenied => {
            Some("check the owner and mode of the db folder and its files")
        }
        ErrorKind::NotADirectory => {
            Some("check the path given with -db: a part of it is no folder")
        }
        _ if Errno::from_io_error(source) == Some(Errno::LOOP) => {
            Some("check the path given with -db: a link in it leads round to itself")
        }
        _ => Shortage::of(source).map(Shortage::hint),
    }
}

/// The failure without the path that it ends with: ours has it already.
pub(super) fn without_path(source: rusqlite::Error) -> rusqlite::Error {
    use rusqlite::Error::SqliteFailure;
    if let SqliteFailure(code, Some(words)) = &source
        && code.code == rusqlite::ErrorCode::CannotOpen
    {
        let words = words
            .split_once(": ")
            .map_or(words.as_str(), |(words, _)| words);
        return SqliteFailure(*code, Some(words.to_owned()));
    }
    source
}

/// Bytes of a database's absolute path, links resolved, that `SQLite` can still add its endings to.
const LONGEST: usize = 504;

/// Adds what was tried, and on which file, to a failure of `SQLite`.
pub(super) trait Context<T> {
    fn during(self, state: &Layout, action: &'static str) -> Result<T, Error>;
}

impl<T> Context<T> for rusqlite::Result<T> {
    fn during(self, layout: &Layout, action: &'static str) -> Result<T, Error> {
        self.map_err(|source| Error::of(action, &layout.database(), source))
    }
}
