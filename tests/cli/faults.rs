//! System calls that fail in `gc`, `verify -repair`, `evict` and `export`, one at a time and from one on, and kills: nothing
//! that is needed is lost, no file is there in part, and the next call comes to the end that an undisturbed one comes to. The
//! soak tests do so with every call.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::{Running, Test, files, hash};
use crate::injection::is_possible;
use crate::random::Random;

const PIPELINE: &str = "
[[step]]
name = 'begin'
start = true
keep = ['RUN']
script = 'for i in 1 2 3; do echo $RUN $i > $OUTPUT_DIR/${i}_part; done; echo same > $OUTPUT_DIR/4_part'
[[step]]
name = 'part'
folders = true
script = 'echo said; mkdir $OUTPUT_DIR/f_all; sed \"s/^/of /\" $INPUT_FILE > $OUTPUT_DIR/f_all/x'
[[step]]
name = 'all'
gather = true
folders = true
script = 'cd $OUTPUT_DIR; cat $INPUT_DIR/*/x > final.txt; mkdir lines; cp final.txt lines/all; ln -s all lines/link'
";

/// A call of the program, on a db that it has something to do for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Collects,
    Repairs,
    Evicts,
    Exports,
}

pub const ALL: [What; 4] = [What::Collects, What::Repairs, What::Evicts, What::Exports];

impl What {
    fn arguments(self) -> &'static str {
        match self {
            Self::Collects => "gc -keep-runsets 1 -older-than 1ms",
            Self::Repairs => "verify -repair",
            Self::Evicts => "evict",
            Self::Exports => "export -force -to out",
        }
    }
}

/// Calls that are made to fail, and with what.
pub const CALLS: [(&str, &str); 21] = [
    ("unlink", "EIO"),
    ("unlinkat", "EACCES"),
    ("unlinkat", "EROFS"),
    ("rename", "ENOSPC"),
    ("renameat", "EACCES"),
    ("renameat", "EIO"),
    ("openat", "EACCES"),
    ("openat", "EIO"),
    ("openat", "EMFILE"),
    ("getdents64", "EIO"),
    ("statx", "EIO"),
    ("read", "EIO"),
    ("pread64", "EIO"),
    ("pwrite64", "ENOSPC"),
    ("fsync", "EIO"),
    ("ftruncate", "EIO"),
    ("write", "ENOSPC"),
    ("mkdirat", "ENOSPC"),
    ("symlinkat", "EIO"),
    ("copy_file_range", "EIO"),
    ("syncfs", "EIO"),
];

/// Three runsets, superseded tasks, and what nothing needs; damaged, if that is to be repaired.
fn template(what: What) -> Test {
    let test = Test::in_memory();
    test.manifest(PIPELINE);
    for run in ["one", "two", "three"] {
        let mut command = test.command(["-run", "-fresh", "-runset", run]);
        command.env("RUN", run);
        Running::start(command).end().exits(0);
    }
    test.manifest(&PIPELINE.replace("echo said", "echo says"));
    let mut command = test.command(["-run", "-migrate-tainted"]);
    command.env("RUN", "three");
    Running::start(command).end().exits(0);
    if what == What::Repairs {
        let parts = ["three 1\n", "three 2\n", "one 1\n"];
        let [one, two, old] = parts.map(|part| test.object(&hash(part.as_bytes())));
        fs::remove_file(one).unwrap();
        for damaged in [two, old] {
            fs::remove_file(&damaged).unwrap();
            fs::write(damaged, "damaged").unwrap();
        }
        test.alter("UPDATE tally SET done = done + 1");
        test.write("db/objects/ab/stray", "of somebody");
    } else if what == What::Collects {
        let garbage = hash(b"garbage");
        fs::create_dir_all(test.object(&garbage).parent().unwrap()).unwrap();
        fs::write(test.object(&garbage), "garbage").unwrap();
    }
    test
}

fn copy(from: &Test) -> Test {
    let to = Test::in_memory();
    let done = Command::new("cp")
        .arg("-a")
        .args([from.path("db"), from.path("workflow.toml")])
        .arg(to.path("."))
        .status();
    assert!(done.unwrap().success());
    to
}

/// The objects whose bytes are right.
fn whole(test: &Test) -> BTreeSet<PathBuf> {
    let root = test.path("db/objects");
    let is_whole = |path: &PathBuf| {
        let below = path.strip_prefix(&root).unwrap();
        let name = below.to_str().unwrap().replace('/', "");
        fs::read(path).is_ok_and(|bytes| hash(&bytes) == name)
    };
    let all = files(&root).into_iter().filter(is_whole);
    all.map(|path| path.strip_prefix(&root).unwrap().to_owned())
        .collect()
}

/// What the db comes to once all is done: rows, objects, results, and what was exported.
type End = (
    Vec<String>,
    BTreeSet<PathBuf>,
    BTreeMap<String, Vec<Vec<u8>>>,
    BTreeMap<PathBuf, Vec<u8>>,
);

/// The files that were exported, whatever they are called meanwhile.
fn exported(test: &Test) -> BTreeMap<PathBuf, Vec<u8>> {
    let root = test.path("out");
    let all = files(&root).into_iter();
    all.map(|path| {
        let bytes = fs::read(&path).unwrap();
        (path.strip_prefix(&root).unwrap().to_owned(), bytes)
    })
    .collect()
}

/// Objects that are recorded and have no bytes, though nobody says that they were dropped.
fn lost(test: &Test) -> Vec<String> {
    let recorded = test.rows(
        "SELECT DISTINCT object_hash FROM task WHERE live = 1
             AND object_hash NOT IN (SELECT lower(hex(hash)) FROM evicted)",
    );
    let empty = hash(b"");
    let is_lost = |name: &String| *name != empty && !test.object(name).exists();
    recorded.into_iter().filter(is_lost).collect()
}

fn end(test: &Test, what: What) -> End {
    let arguments: Vec<&str> = what.arguments().split(' ').collect();
    let output = test.call(&arguments);
    let exported = exported(test);
    assert!(output.status.success(), "{output:?}");
    if what == What::Repairs {
        let mut command = test.command(["-run"]);
        command.env("RUN", "three");
        Running::start(command).end().exits(0);
        let mut command = test.command(["-run", "-runset", "one"]);
        command.env("RUN", "one");
        Running::start(command).end().exits(0);
    }
    test.text(&["verify"]);
    test.tally_is_right();
    test.nothing_temporary_is_left();
    let rows = test.rows(
        "SELECT task.runset, step.name, task.name, object_hash, live, processed FROM task
         LEFT JOIN step ON step.id = step_id WHERE live = 1 ORDER BY 1, 2, 3, 4",
    );
    let whole = whole(test);
    if what == What::Evicts {
        // All of it can be made again.
        let manifest = test.read("workflow.toml");
        test.manifest(&manifest.replace("/*/x >", "/*/x | cat >"));
        let mut command = test.command(["-run", "-migrate-tainted"]);
        command.env("RUN", "three");
        Running::start(command)
            .end()
            .exits(0)
            .says("3 tasks ran again");
    }
    (rows, whole, test.finals(), exported)
}

/// Disturbed as that says, and called again; `needed` are objects that have to be there in between. Whether it noticed.
fn disturbed(
    template: &Test,
    what: What,
    right: &End,
    disturb: &dyn Fn(&Test) -> i32,
    told: &str,
) -> bool {
    let test = copy(template);
    let before = whole(&test);
    let status = disturb(&test);
    let between = whole(&test);
    let needed = match what {
        What::Collects | What::Evicts => &right.1,
        What::Repairs | What::Exports => &before,
    };
    let gone: Vec<_> = needed.difference(&between).collect();
    assert!(gone.is_empty(), "{told}: {gone:?}");
    match what {
        What::Evicts => assert_eq!(lost(&test), Vec::<String>::new(), "{told}"),
        What::Exports => are_whole(&exported(&test), &right.3, told),
        What::Collects | What::Repairs => {}
    }
    assert_eq!(test.rows("PRAGMA integrity_check"), ["ok"], "{told}");
    let came = end(&test, what);
    assert_eq!(came.0, right.0, "{told}");
    assert_eq!(came.2, right.2, "{told}");
    if what != What::Repairs {
        assert_eq!(came.1, right.1, "{told}");
    }
    assert_eq!(came.3, right.3, "{told}");
    status != 0
}

/// No file is there in part under its own name.
fn are_whole(files: &BTreeMap<PathBuf, Vec<u8>>, right: &BTreeMap<PathBuf, Vec<u8>>, told: &str) {
    for (path, bytes) in files {
        if let Some(all) = right.get(path) {
            assert_eq!(bytes, all, "{told}: {}", path.display());
        }
    }
}

/// Has each call of that name fail, or only so many of them.
pub fn fails(what: What, (call, error): (&str, &str), most: usize) {
    if !is_possible() {
        return;
    }
    let template = template(what);
    let right = end(&copy(&template), what);
    let traced = |test: &Test, options: &str| {
        let arguments = what.arguments();
        let script = format!("exec strace -f -b execve -o calls {options} $PROGRAM {arguments}");
        Running::start(test.shell(&script)).end()
    };
    let counted = copy(&template);
    traced(&counted, &format!("-e trace={call}"));
    let calls = counted.read("calls");
    let count = calls.lines().filter(|line| line.contains('(')).count();
    let mut noticed = 0;
    for number in 0..count.min(most) {
        // Of one alone that in the middle.
        let when = 1 + (2 * number + 1) * count / (2 * count.min(most)).max(1);
        let when = when.min(count);
        for from in ["", "+"] {
            let options =
                format!("-e trace={call} -e inject={call}:error={error}:when={when}{from}");
            let told = format!("{what:?} {options}");
            let disturb = |test: &Test| {
                let ran = traced(test, &options);
                assert!(matches!(ran.status, 0..=2 | 127), "{told}: {ran}");
                assert!(!ran.stderr.contains("panicked"), "{told}: {ran}");
                ran.status
            };
            noticed += usize::from(disturbed(&template, what, &right, &disturb, &told));
        }
    }
    println!("{what:?} {call} {error}: {count} calls, {noticed} failures noticed");
}

/// Kills it at so many moments.
pub fn killed(what: What, times: u64) {
    let template = template(what);
    let right = end(&copy(&template), what);
    let mut random = Random::new(times);
    for _ in 0..times {
        let micros = random.next() % 80_000;
        let disturb = |test: &Test| {
            let arguments = what.arguments().split(' ');
            let running = Running::start(test.command(arguments));
            std::thread::sleep(Duration::from_micros(micros));
            running.signal(Signal::KILL);
            drop(running);
            1
        };
        let told = format!("{what:?} killed after {micros} us");
        disturbed(&template, what, &right, &disturb, &told);
    }
}

#[test]
fn calls_that_fail_in_a_collection_lose_nothing() {
    for call in CALLS {
        fails(What::Collects, call, 1);
    }
}

#[test]
fn calls_that_fail_in_a_repair_lose_nothing() {
    for call in CALLS {
        fails(What::Repairs, call, 1);
    }
}

#[test]
fn calls_that_fail_while_bytes_are_dropped_lose_nothing() {
    for call in CALLS {
        fails(What::Evicts, call, 1);
    }
}

#[test]
fn calls_that_fail_in_an_export_leave_no_file_in_part() {
    for call in CALLS {
        fails(What::Exports, call, 1);
    }
}

#[test]
fn killed_ones_lose_nothing() {
    for what in ALL {
        killed(what, 8);
    }
}
