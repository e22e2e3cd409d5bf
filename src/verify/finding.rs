//! What is found to be wrong, and what that means.

use std::path::PathBuf;

use super::needs::Need;
use crate::model::digest::Digest;
use crate::model::name::StepName;
use crate::model::task::TaskId;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    /// Nothing that is at hand makes it again.
    Lost,
    /// It can be had again.
    Again,
    /// Nothing needs it but questions about what was.
    Leftover,
}

impl Severity {
    /// All, the worst first.
    pub(crate) const ALL: [Self; 3] = [Self::Lost, Self::Again, Self::Leftover];

    /// For programs.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Again => "again",
            Self::Leftover => "leftover",
        }
    }

    /// For people.
    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Self::Lost => "lost for good, as far as can be told",
            Self::Again => "can be had again",
            Self::Leftover => "only leftovers: no task needs them",
        }
    }
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    /// An object that a row leads to is not there.
    Missing,
    /// An object that is not there, and that a task which waits for a run makes again.
    Awaited,
    /// An object's bytes are not those that it is named after, or it is no file.
    Damaged,
    /// An object that cannot be read.
    Unreadable,
    /// An object that can be written to.
    Mode,
    /// Something that lies among the objects and is none.
    Stray,
    /// An input that is not copied is another file by now.
    Input,
    /// Pages of the database.
    Database,
    /// Indexes of the database.
    Index,
    /// A row that does not lead where it should.
    Row,
    /// A row that only tells something.
    Record,
    /// The counts.
    Counts,
    /// A link that holds a package, or a package that none holds.
    Root,
}

impl What {
    /// For programs.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Awaited => "awaited",
            Self::Damaged => "damaged",
            Self::Unreadable => "unreadable",
            Self::Mode => "mode",
            Self::Stray => "stray",
            Self::Input => "input",
            Self::Database => "database",
            Self::Index => "index",
            Self::Row => "row",
            Self::Record => "record",
            Self::Counts => "counts",
            Self::Root => "root",
        }
    }

    /// So many of them.
    pub(crate) fn counted(self, count: u64) -> String {
        let (one, many) = match self {
            Self::Missing => ("object is missing", "objects are missing"),
            Self::Awaited => (
                "object is missing and waits for a run",
                "objects are missing and wait for a run",
            ),
            Self::Damaged => ("object is damaged", "objects are damaged"),
            Self::Unreadable => (
                "object, or folder of them, cannot be read",
                "objects, or folders of them, cannot be read",
            ),
            Self::Mode => (
                "object has another mode than objects have",
                "objects have other modes than objects have",
            ),
            Self::Stray => (
                "thing among the objects is no object",
                "things among the objects are no objects",
            ),
            Self::Input => (
                "input that is not copied has changed where it lies",
                "inputs that are not copied have changed where they lie",
            ),
            Self::Database => (
                "page of the database is damaged",
                "pages of the database are damaged",
            ),
            Self::Index => (
                "row is not where an index of the database has it",
                "rows are not where indexes of the database have them",
            ),
            Self::Row => (
                "row of the database does not lead where it should",
                "rows of the database do not lead where they should",
            ),
            Self::Record => (
                "record that questions alone need is wrong",
                "records that questions alone need are wrong",
            ),
            Self::Counts => ("count is wrong", "counts are wrong"),
            Self::Root => (
                "package is not held, or not there",
                "packages are not held, or not there",
            ),
        };
        match count {
            1 => format!("1 {one}"),
            _ => format!("{count} {many}"),
        }
    }

    /// What to do about it.
    pub(crate) fn advice(self, severity: Severity) -> &'static str {
        match (self, severity) {
            (Self::Missing | Self::Damaged, Severity::Lost) => {
                "restore them from a backup of the db, or put the inputs back as they were, and run"
            }
            (Self::Missing | Self::Damaged, Severity::Again) => {
                "call `verify -repair`, then -run: that makes them again"
            }
            (Self::Missing | Self::Damaged, Severity::Leftover) => {
                "`verify -repair` puts aside what is damaged and gives up what is gone; questions alone miss it (`log`, `why`, `trace`)"
            }
            (Self::Awaited, _) => "-run makes them again: nothing else has to be done",
            (Self::Unreadable, _) => {
                "check the owner and mode of the folders and files, and the disk; then verify again"
            }
            (Self::Mode, _) => "`verify -repair` sets it",
            (Self::Stray, _) => "`verify -repair` puts them aside, into objects/aside",
            (Self::Input, _) => "-run compares inputs, and does again what worked on them",
            (Self::Database, _) => {
                "restore the file `db` from a backup, or move it away and run again: the objects beside it stay"
            }
            (Self::Index, _) => "`verify -repair` makes the indexes anew",
            (Self::Row, _) => {
                "call `verify -repair`, then -run: these rows are taken out, and what they belonged to is done again; or restore the file `db` from a backup"
            }
            (Self::Record, _) => "nothing has to be done",
            (Self::Counts, _) => {
                "`verify -repair` counts again; where there are fewer than were counted rows are gone: -run -start STEP"
            }
            (Self::Root, _) => "-run has them held, and makes again what is not there",
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// What is wrong.
    pub what: What,
    /// How bad that is.
    pub severity: Severity,
    /// The object, if it is about one.
    pub object: Option<Digest>,
    /// The task or final output that it is about.
    pub task: Option<TaskId>,
    /// The step whose task left it, or was to.
    pub step: Option<StepName>,
    /// The runset.
    pub runset: Option<String>,
    /// Under which name it was left, or came in.
    pub name: Option<String>,
    /// Where it is.
    pub path: Option<PathBuf>,
    /// What is wrong, in words.
    pub words: String,
    /// What needs the object.
    pub(super) need: Option<Need>,
}

impl Finding {
    /// About nothing in particular.
    pub(crate) fn new(what: What, severity: Severity, words: String) -> Self {
        Self {
            what,
            severity,
            object: None,
            task: None,
            step: None,
            runset: None,
            name: None,
            path: None,
            words,
            need: None,
        }
    }
}

/// How much was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    /// Objects.
    pub objects: u64,
    /// Bytes of them that were read.
    pub read: u64,
    /// Tasks and outputs.
    pub tasks: u64,
    /// Environments that are kept.
    pub environments: u64,
    /// Links that hold packages.
    pub roots: u64,
    /// Objects that nothing refers to.
    pub unused: u64,
    /// Their bytes.
    pub unused_bytes: u64,
    /// Objects that are needed and whose bytes were dropped, as they can be made again.
    pub evicted: u64,
    /// Of what is wrong, objects that a run makes again.
    pub awaited: u64,
    /// By how bad it is, what is wrong.
    pub wrong: [u64; 3],
}

impl Sum {
    /// Whether nothing is wrong but that a run has to make something again.
    pub(crate) fn waits_for_a_run(&self) -> bool {
        self.awaited > 0 && self.wrong.iter().sum::<u64>() == self.awaited
    }

    /// Whether anything is wrong.
    pub(crate) fn is_anything_wrong(&self) -> bool {
        self.wrong.iter().any(|count| *count > 0)
    }
}
