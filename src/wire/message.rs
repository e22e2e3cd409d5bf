//! What is said.
//!
//! | who | what |
//! |---|---|
//! | worker | [`ToOwner::Hello`] |
//! | owner | [`ToWorker::Welcome`], or [`ToWorker::Bye`] |
//! | owner | each step once ([`ToWorker::Step`]), then its tasks by its number ([`ToWorker::Task`]) |
//! | worker | which objects it lacks ([`ToOwner::Need`]); the owner sends them, or says that they are not there |
//! | worker | what the packages of a step need ([`ToOwner::Lacks`]), and which of it is to be sent ([`ToOwner::NeedPackages`]) |
//! | worker | what a task left: objects, then names ([`ToOwner::Output`]), then how it ended ([`ToOwner::Done`]) |
//! | both | [`ToWorker::Ping`], so that silence tells that the other is gone |
//!
//! Neither repeats anything: a stream that breaks is the end of the worker, and its tasks run elsewhere.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::digest::Digest;
use crate::model::identity::Identity;

/// The name of what is carried out at one worker, once: never given twice in a run.
pub(crate) type Lease = u64;

/// From the run to a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ToWorker {
    /// It is taken on.
    Welcome(Box<Terms>),
    /// It is not, or no more: why.
    Bye(String),
    /// A step, by a number of its own.
    Step(u32, Box<StepSpec>),
    /// All that the packages of a step need, which the worker asked for.
    Needs(u32, Vec<String>),
    /// A piece of packages of a step that were asked for; the bytes go with it.
    Packages {
        /// Of which step.
        step: u32,
        /// Whether it is the last.
        last: bool,
    },
    /// Packages of a step cannot be had: why.
    NoPackages(u32, String),
    /// A task of one of them.
    Task(Box<TaskSpec>),
    /// A piece of an object that was asked for; the bytes go with it.
    Piece {
        /// Which.
        digest: Digest,
        /// Whether it is the last.
        last: bool,
    },
    /// An object that was asked for lies there, on a disk that both see.
    There(Digest, String),
    /// What the worker puts where they meet is seen.
    Seen,
    /// An object that was asked for cannot be had: why.
    Absent(Digest, String),
    /// A piece of a step's secret, which was asked for; the bytes go with it.
    Secret {
        /// The step's number.
        step: u32,
        /// Its place among the step's.
        place: usize,
        /// Whether it is the last piece.
        last: bool,
    },
    /// A task is not wanted there any more: one that has not begun is given back, another goes on.
    Cancel(Lease),
    /// The run is to end: all tasks are asked to, or are ended.
    Stop {
        /// Whether they are not asked.
        kill: bool,
    },
    /// Nothing.
    Ping,
}

/// From a worker to the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ToOwner {
    /// It is there.
    Hello(Hello),
    /// It can read where they meet; the file that it has made there, if it can write, too.
    Beside(Option<String>),
    /// It lacks these objects.
    Need(Vec<Digest>),
    /// The same, through the connection: it cannot read them where they lie.
    NeedBytes(Vec<Digest>),
    /// A task of the step with this number is about to start, which has secrets.
    Secrets(u32),
    /// Packages of a step are not on its machine: what do they need?
    Lacks(u32),
    /// It needs the bytes of these store paths of them.
    NeedPackages(u32, Vec<String>),
    /// A task writes; the bytes go with it.
    Wrote {
        /// Which.
        lease: Lease,
        /// Whether to standard error.
        stderr: bool,
    },
    /// A piece of an object that a task left; the bytes go with it.
    Piece {
        /// Which task; its objects come one after the other.
        lease: Lease,
        /// What it is to be, with its last piece.
        last: Option<Digest>,
    },
    /// An object that a task left lies where they meet, in the file of that name.
    Placed {
        /// Which task.
        lease: Lease,
        /// The object.
        digest: Digest,
        /// The file.
        name: String,
    },
    /// An output of a task, whose objects came before.
    Output {
        /// Which.
        lease: Lease,
        /// The name of the file.
        name: String,
        /// The object.
        digest: Digest,
        /// [`crate::model::list::Form::number`].
        form: i64,
    },
    /// A task that goes on keeps this for its next try: a tree, whose objects came before.
    Kept(Lease, Digest),
    /// A task is over.
    Done(Lease, Box<End>),
    /// A task was not begun.
    GivenBack(Lease),
    /// The user should know that of its machine.
    Warning(String),
    /// It takes no more tasks, as its time is over: why.
    Leaving(String),
    /// Nothing.
    Ping,
}

/// What a worker says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// The program's.
    pub version: String,
    /// The name of its machine.
    pub node: String,
    /// How much room it has.
    pub slots: u64,
    /// Whether packages can be copied there.
    pub nix: bool,
    /// How many GPUs.
    pub gpus: u64,
    /// Milliseconds until its place is taken away, where it knows that.
    pub left: Option<u64>,
}

/// Objects of so many bytes go by a disk that both see, rather than through the connection.
pub(crate) const BESIDE: u64 = 1 << 20;

/// The file of the run's where they meet.
pub(crate) const PROBE: &str = "probe";

/// Where both can have files, if they see the same disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meeting {
    /// The folder, in which is a file of the run's with the nonce.
    pub folder: String,
    /// What the worker is to find there, and to put into one of its own.
    pub nonce: String,
}

/// What a worker is to keep to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Terms {
    /// After so many milliseconds without a word each takes the other for gone.
    pub silence: u64,
    /// Milliseconds that scripts have to end when they are asked to.
    pub grace: u64,
    /// Whether what tasks write is told while they run.
    pub live: bool,
    /// Whether tasks of some step may have so much memory alone.
    pub memory: bool,
    /// Whether folders of failed tasks are kept.
    pub keep: bool,
    /// Where they meet, if they see the same disk.
    pub meeting: Option<Meeting>,
    /// The URL of a cache of Nix that the worker's machine may reach.
    pub nix_cache: Option<String>,
}

/// All that is the same for the tasks of a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StepSpec {
    /// Its name.
    pub name: String,
    /// The number of its version.
    pub version: i64,
    /// What its script computes.
    pub identity: Identity,
    /// The owner's values of the variables that it keeps.
    pub kept: BTreeMap<String, String>,
    /// The parameters that it gets, those that are volatile with them.
    pub params: Vec<(String, String)>,
    /// The names of all parameters of the pipeline.
    pub declared: Vec<String>,
    /// What tells it what it may take, with its value.
    pub resources: Vec<(String, String)>,
    /// What it promises to leave.
    pub outputs: Option<Vec<String>>,
    /// Whether folders are outputs.
    pub folders: bool,
    /// Whether its tasks keep something from try to try, and how often while one goes on, in milliseconds; 0 for at
    /// its end alone.
    pub checkpoint: Option<u64>,
    /// Longest time of an execution, in milliseconds.
    pub timeout: Option<u64>,
    /// Whether a shell is to run many tasks, if the manifest says so.
    pub warm: Option<bool>,
    /// How many GPUs each of its tasks has.
    pub gpus: usize,
    /// Whether it is to be told what its tasks took.
    pub measured: bool,
    /// Whether its tasks have `INPUT_DIR`.
    pub input_dir: bool,
    /// Whether they have `WITH_DIR`, and in it what these steps left.
    pub with_dir: Option<Vec<String>>,
    /// The variables of the secrets that it has; these are sent when a task of it is about to start.
    pub secrets: Vec<String>,
    /// What its scripts see, if they run in a sandbox.
    pub sandbox: Option<SandboxSpec>,
    /// How much room one of its tasks takes.
    pub units: u64,
}

/// What the scripts of a step see in a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SandboxSpec {
    /// The path at which they start, where it can be told: that of the manifest's folder.
    pub folder: Option<String>,
    /// All that its packages need, where that is known.
    pub closure: Option<Vec<String>>,
    /// Whether they have the network.
    pub network: bool,
}

/// A task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TaskSpec {
    /// By which its end is told.
    pub lease: Lease,
    /// The number that its step was given.
    pub step: u32,
    /// Its row.
    pub task: i64,
    /// The name of its runset.
    pub runset: String,
    /// The object that it works on.
    pub input: Digest,
    /// What that is: [`crate::model::list::Form::number`].
    pub form: i64,
    /// The file name of that.
    pub name: Option<String>,
    /// What it is about.
    pub key: Option<String>,
    /// What it gets besides, as a list.
    pub context: Option<Digest>,
    /// The tree of what it kept in an earlier try.
    pub checkpoint: Option<Digest>,
    /// The memory that it may have, in bytes.
    pub memory: Option<u64>,
    /// Which try it is.
    pub attempt: u32,
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct End {
    /// What came of it.
    pub outcome: Outcome,
    /// Milliseconds since 1970, by the worker's clock.
    pub started: i64,
    /// Microseconds.
    pub elapsed: i64,
    /// Microseconds that CPUs worked for it.
    pub cpu: Option<i64>,
    /// The most memory that it had at a time, in bytes.
    pub peak: Option<i64>,
    /// The word for what ran its script.
    pub launch: Option<String>,
    /// What it wrote to standard output.
    pub stdout: Option<Digest>,
    /// What it wrote to standard error.
    pub stderr: Option<Digest>,
    /// What the user should know besides.
    pub warning: Option<String>,
    /// The tree of what it keeps for its next try, whose objects came before.
    pub checkpoint: Option<Digest>,
    /// The tree of its folder, if that is kept as it failed, whose objects came before; or why it could not be.
    pub kept: Option<Result<Digest, String>>,
}

/// What came of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// It left what came before.
    Success,
    /// How it failed, with its last words.
    Failure(String),
    /// It had too little memory.
    OutOfMemory(String),
    /// It was ended, as was asked.
    Cancelled,
    /// The worker could not do its part: why. It is nobody's failure, and another may do better.
    Unable(String),
}
