//! A folder, the program in it, and what came of it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{Read, Seek};
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Nothing that is tested takes longer, on a busy machine either.
const LIMIT: Duration = Duration::from_mins(2);

/// A folder with a manifest in it.
pub struct Test {
    folder: TempDir,
}

impl Test {
    /// An empty folder.
    pub fn new() -> Self {
        Self::within(&std::env::temp_dir())
    }

    /// An empty folder in memory, where there is such a place: some disks take a minute to remove
    /// ten thousand folders.
    pub fn in_memory() -> Self {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() {
            Self::within(memory)
        } else {
            Self::new()
        }
    }

    /// An empty folder that is not below `/tmp`.
    pub fn apart() -> Self {
        Self::within(Path::new(env!("CARGO_TARGET_TMPDIR")))
    }

    /// The same, where every user can enter.
    pub fn apart_for_all() -> Self {
        let shared = Path::new("/var/tmp");
        if shared.is_dir() {
            Self::within(shared)
        } else {
            Self::apart()
        }
    }

    fn within(parent: &Path) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("task-pipeline-")
            .tempdir_in(parent);
        Self {
            folder: folder.unwrap(),
        }
    }

    /// A folder with this `workflow.toml`.
    pub fn with(manifest: &str) -> Self {
        let test = Self::new();
        test.manifest(manifest);
        test
    }

    /// Writes `workflow.toml`.
    pub fn manifest(&self, text: &str) {
        self.write("workflow.toml", text);
    }

    /// Writes a file of the folder, and its parents.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// A file of the folder, as text; empty if it is not there.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The lines that scripts added to the file `$COUNT`, in order.
    pub fn count(&self) -> Vec<String> {
        self.read("count").lines().map(str::to_owned).collect()
    }

    /// How many of these lines are `line`.
    pub fn times(&self, line: &str) -> usize {
        self.count().iter().filter(|other| *other == line).count()
    }

    /// The program, to be run in the folder.
    pub fn command(&self, arguments: impl IntoIterator<Item: AsRef<OsStr>>) -> Command {
        let mut command = Command::new(program());
        command.args(arguments);
        self.prepare(&mut command);
        command
    }

    /// A shell script, to be run in the folder; the program is `$PROGRAM`.
    pub fn shell(&self, script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        self.prepare(&mut command);
        command
    }

    /// Has a command run in the folder, with few variables.
    pub fn prepare(&self, command: &mut Command) {
        command
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("LANG", "C.UTF-8")
            .env("COUNT", self.path("count"))
            .env("PROGRAM", program());
    }

    /// Runs the program with these arguments to its end.
    pub fn run(&self, arguments: impl IntoIterator<Item: AsRef<OsStr>>) -> Ran {
        Running::start(self.command(arguments)).end()
    }

    /// The same for who asks for data: standard output and standard error, to the byte.
    pub fn call(&self, arguments: impl IntoIterator<Item: AsRef<OsStr>>) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What a call that must succeed gives on standard output.
    #[track_caller]
    pub fn text(&self, arguments: &[&str]) -> String {
        let output = self.call(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The JSON that a call gives.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.text(arguments)).unwrap()
    }

    /// What a call that must fail with status 2 says; it must give no data.
    #[track_caller]
    pub fn refusal(&self, arguments: &[&str]) -> String {
        let output = self.call(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert_eq!(output.stdout, b"", "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Runs the program with `-run`, which must succeed.
    pub fn runs(&self) -> Ran {
        self.run(["-run"]).exits(0)
    }

    /// Starts the program with these arguments.
    pub fn start(&self, arguments: impl IntoIterator<Item: AsRef<OsStr>>) -> Running {
        Running::start(self.command(arguments))
    }

    /// The database, for reading.
    pub fn db(&self) -> Connection {
        let open = |flags| Connection::open_with_flags(self.path("db/db"), flags).unwrap();
        let db = open(OpenFlags::SQLITE_OPEN_READ_ONLY);
        let read = db.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(()));
        match read {
            // Whoever was killed while it made the database left something that only a writer takes back.
            Err(rusqlite::Error::SqliteFailure(error, _))
                if error.code == rusqlite::ErrorCode::ReadOnly =>
            {
                open(OpenFlags::SQLITE_OPEN_READ_WRITE)
            }
            Ok(()) | Err(_) => db,
        }
    }

    /// Changes the database behind the program's back.
    pub fn alter(&self, statements: &str) {
        let connection = Connection::open(self.path("db/db")).unwrap();
        connection.execute_batch(statements).unwrap();
    }

    /// The rows of a query, columns joined by `|`, NULL as nothing.
    pub fn rows(&self, query: &str) -> Vec<String> {
        let db = self.db();
        let mut query = db.prepare(query).unwrap();
        let columns = query.column_count();
        let mut rows = query.query([]).unwrap();
        let mut lines = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            let words: Vec<String> = (0..columns)
                .map(|at| word(row.get_ref(at).unwrap()))
                .collect();
            lines.push(words.join("|"));
        }
        lines
    }

    /// The live final outputs by name; several of one name in the order of their bytes.
    pub fn finals(&self) -> BTreeMap<String, Vec<Vec<u8>>> {
        let mut finals: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
        for row in
            self.rows("SELECT name, object_hash FROM task WHERE step_id IS NULL AND live = 1")
        {
            let (name, hash) = row.rsplit_once('|').unwrap();
            let bytes = fs::read(self.object(hash)).unwrap();
            finals.entry(name.to_owned()).or_default().push(bytes);
        }
        finals.values_mut().for_each(|all| all.sort());
        finals
    }

    /// The only live final output of that name, as text.
    pub fn output(&self, name: &str) -> String {
        let finals = self.finals();
        let all = finals
            .get(name)
            .unwrap_or_else(|| panic!("no final output {name}, but {:?}", finals.keys()));
        assert_eq!(all.len(), 1, "final outputs {name}");
        String::from_utf8(all[0].clone()).unwrap()
    }

    /// Where an object lies.
    pub fn object(&self, hash: &str) -> PathBuf {
        let (a, b, c) = (&hash[..2], &hash[2..4], &hash[4..]);
        self.path("db/objects").join(a).join(b).join(c)
    }

    /// What ran the tasks' scripts, in the order of their numbers, by the trace that the run wrote.
    pub fn launches(&self, trace: &str, step: impl Fn(&str) -> bool) -> Vec<String> {
        let trace: serde_json::Value = serde_json::from_str(&self.read(trace)).unwrap();
        let entries = trace["traceEvents"].as_array().unwrap();
        let mut launches: Vec<(i64, String)> = entries
            .iter()
            .filter(|entry| entry["cat"].as_str().is_some_and(&step))
            .filter_map(|entry| {
                let about = &entry["args"];
                let launch = about["launch"].as_str().unwrap_or("nothing");
                Some((about["task"].as_i64()?, launch.to_owned()))
            })
            .collect();
        launches.sort();
        launches.into_iter().map(|(_, launch)| launch).collect()
    }

    /// Fails if the counts of the table `tally` are not those of the rows.
    pub fn tally_is_right(&self) {
        let told = self.rows(
            "SELECT runset_id, step_id, pending, failed, done, reused FROM tally
             WHERE pending + failed + done + reused <> 0 ORDER BY 1, 2",
        );
        let counted = self.rows(
            "SELECT runset.id, coalesce(step_id, 0),
                 sum(processed = 0 AND error IS NULL), sum(processed = 0 AND error IS NOT NULL),
                 sum(processed = 1 AND reused_from IS NULL),
                 sum(processed = 1 AND reused_from IS NOT NULL)
             FROM task JOIN runset ON runset.name = runset WHERE live = 1 AND role <> 1
             GROUP BY 1, 2 ORDER BY 1, 2",
        );
        assert_eq!(told, counted);
    }

    /// Fails if anything is left that belongs to tasks only while they run.
    pub fn nothing_temporary_is_left(&self) {
        let left = files(&self.path("db/tmp"));
        assert!(left.is_empty(), "{left:?}");
        let known = [
            "db", "db-shm", "db-wal", "failed", "gcroots", "lock", "objects", "reserve", "tmp",
        ];
        for entry in fs::read_dir(self.path("db")).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(known.contains(&name.as_str()), "{name}");
        }
    }

    /// Fails unless every object's name is the hash of its bytes, and its mode 0444.
    pub fn objects_are_whole(&self) {
        use std::os::unix::fs::PermissionsExt;
        let root = self.path("db/objects");
        // What a run that was killed while it began may leave.
        let probe = root.join(".probe");
        let none = |path: &PathBuf| fs::metadata(path).is_ok_and(|about| about.len() == 0);
        let owner = root.join(".owner");
        let own = |path: &PathBuf| *path == owner || *path == probe && none(path);
        for path in files(&root).into_iter().filter(|path| !own(path)) {
            let hex: String = path
                .strip_prefix(&root)
                .unwrap()
                .components()
                .map(|part| part.as_os_str().to_str().unwrap())
                .collect();
            assert_eq!(hash(&fs::read(&path).unwrap()), hex);
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o444, "{}", path.display());
        }
    }
}

/// The program that is tested: for long tests another build of it can be named.
pub fn program() -> OsString {
    let other = std::env::var_os("SOAK_PROGRAM");
    other.unwrap_or_else(|| env!("CARGO_BIN_EXE_task-pipeline").into())
}

fn word(value: ValueRef) -> String {
    match value {
        ValueRef::Null => String::new(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            String::from_utf8_lossy(bytes).into_owned()
        }
    }
}

/// The SHA-256 of `bytes`, in hex.
pub fn hash(bytes: &[u8]) -> String {
    task_pipeline::model::digest::Digest::of(bytes).to_string()
}

/// All files below a folder, however deep; none if it is not there.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// Waits until `done` says so.
pub fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < LIMIT, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The program at work.
pub struct Running {
    child: Child,
    stdout: File,
    stderr: File,
    begin: Instant,
}

impl Running {
    /// Starts a command; what it writes goes to files, which nothing that it leaves can block.
    pub fn start(mut command: Command) -> Self {
        let (stdout, stderr) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        command
            .stdin(Stdio::null())
            .stdout(stdout.try_clone().unwrap())
            .stderr(stderr.try_clone().unwrap());
        Self {
            begin: Instant::now(),
            child: command.spawn().unwrap(),
            stdout,
            stderr,
        }
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until this text is on its standard error.
    pub fn says(&self, text: &str) {
        wait_for(text, || {
            let mut said = vec![0; 1 << 16];
            let length = self.stderr.read_at(&mut said, 0).unwrap();
            String::from_utf8_lossy(&said[..length]).contains(text)
        });
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end.
    pub fn end(mut self) -> Ran {
        let mut pause = Duration::from_micros(500);
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if self.begin.elapsed() > LIMIT {
                self.child.kill().unwrap();
                self.child.wait().unwrap();
                panic!(
                    "no end after {LIMIT:?}: {:?}",
                    Ran::of(ExitStatus::from_raw(0), self)
                );
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(10));
        };
        Ran::of(status, self)
    }
}

/// What came of a run of the program.
#[derive(Debug)]
pub struct Ran {
    /// Its exit status; 128+n where signal n ended it.
    pub status: i32,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
    /// How long it took.
    pub elapsed: Duration,
}

impl Ran {
    fn of(status: ExitStatus, mut running: Running) -> Self {
        let text = |file: &mut File| {
            let mut bytes = Vec::new();
            file.rewind().unwrap();
            file.read_to_end(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        Self {
            status: status
                .code()
                .unwrap_or_else(|| 128 + status.signal().unwrap()),
            stdout: text(&mut running.stdout),
            stderr: text(&mut running.stderr),
            elapsed: running.begin.elapsed(),
        }
    }

    /// Fails unless it ended with this status.
    #[track_caller]
    pub fn exits(self, status: i32) -> Self {
        assert_eq!(self.status, status, "{self}");
        self
    }

    /// Fails unless this text is on standard error.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "no {text:?} in\n{self}");
        self
    }

    /// Fails if this text is on standard error.
    #[track_caller]
    pub fn never_says(self, text: &str) -> Self {
        assert!(!self.stderr.contains(text), "{text:?} in\n{self}");
        self
    }

    /// Fails unless this text is on standard output.
    #[track_caller]
    pub fn prints(self, text: &str) -> Self {
        assert!(self.stdout.contains(text), "no {text:?} in\n{self}");
        self
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (status, out, err) = (self.status, &self.stdout, &self.stderr);
        write!(
            f,
            "status {status}\nstandard output:\n{out}\nstandard error:\n{err}"
        )
    }
}
