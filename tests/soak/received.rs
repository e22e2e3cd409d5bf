//! Db folders from somebody else: a sound one, damaged in every way that can be thought of, and what
//! the program says to it.
//!
//! `SOAK_SECONDS` is how long (20), `SOAK_SEED` where it begins; the seed of each folder that is not
//! dealt with is told, and `SOAK_SECONDS=0` looks at that alone. `SOAK_PROGRAM`: another build.

mod damage;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{Ran, Running, Test, program};
use crate::random::Random;
use damage::{Place, damage};

/// Work that goes on over several steps and runs, some of it failed, reused, superseded.
const PIPELINE: &str = r#"
[[step]]
name = "start"
start = true
script = 'for n in 1 2 3 4; do echo $n > "$OUTPUT_DIR/${n}_split"; done'

[[step]]
name = "split"
script = '''
cat "$INPUT_FILE" "$INPUT_FILE" > "$OUTPUT_DIR/twice_join.txt"
cp "$INPUT_FILE" "$OUTPUT_DIR/part.txt"
echo out; echo err >&2
'''

[[step]]
name = "join"
env = { WORD = "a" }
script = '''
grep -q 3 "$INPUT_FILE" && { echo 'no three' >&2; exit 3; }
echo "$WORD" | cat - "$INPUT_FILE" > "$OUTPUT_DIR/done.txt"
'''
"#;

/// The same with packages, whose pins are in a lock file.
const PACKAGED: &str = r#"
[[step]]
name = "start"
start = true
packages = ["hello", "github:NixOS/nixpkgs#jq"]
script = 'hello'
"#;

const LOCK: &str = r#"version = 1

[[pin]]
reference = "github:NixOS/nixpkgs"
lastModified = 1784356753
narHash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
owner = "NixOS"
repo = "nixpkgs"
rev = "0123456789012345678901234567890123456789"
type = "github"

[[pin]]
reference = "github:NixOS/nixpkgs/nixos-unstable"
lastModified = 1784356753
narHash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
owner = "NixOS"
repo = "nixpkgs"
rev = "0123456789012345678901234567890123456789"
type = "github"
"#;

/// All that looks at a db, and all that goes on with it; `#` is a number of a task.
const COMMANDS: [&str; 30] = [
    "-quiet",
    "-run -dry-run",
    "-run -fresh -dry-run",
    "-run -start split -dry-run",
    "-migrate-tainted -run -dry-run",
    "status",
    "status -json",
    "status -runset all",
    "tasks",
    "tasks -json -runset all",
    "tasks -state tainted",
    "log",
    "log #",
    "why #",
    "why join",
    "trace #",
    "trace -json #",
    "trace done.txt",
    "cat #",
    "cat -input #",
    "export -to out",
    "export -to out -force -runset all",
    "export",
    "graph",
    "graph -format svg -runset all",
    "report -o page.html",
    "report -o - -runset all",
    "complete -- trace ''",
    "check -manifest packaged.toml",
    "-manifest packaged.toml",
];
/// They change the folder, and come last.
const RUNS: [&str; 4] = [
    "-run",
    "-migrate-tainted -run",
    "-run -fresh",
    "-run -start join",
];

const PRIVATE: &str = "PRIVATE-aa8b0ad1-what nobody else may read";
const LIMIT: Duration = Duration::from_secs(10);

fn setting(name: &str, usual: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap(),
        Err(_) => usual,
    }
}

#[test]
fn a_folder_of_any_kind_is_dealt_with() {
    let (seconds, mut seed) = (setting("SOAK_SECONDS", 20), setting("SOAK_SEED", 1));
    let begin = Instant::now();
    let sound = sound();
    let mut found = BTreeMap::new();
    loop {
        for (what, how) in look(&sound, seed, 8, &damage) {
            if !found.contains_key(&what) {
                println!("== seed {seed}: {what}\n{how}");
                found.insert(what, seed);
            }
        }
        if begin.elapsed() > Duration::from_secs(seconds) {
            break;
        }
        seed += 1;
    }
    println!("up to seed {seed}");
    assert!(found.is_empty(), "{found:#?}");
}

/// The same, one after the other.
#[test]
fn a_value_of_any_kind_in_any_column_is_dealt_with() {
    let sound = sound();
    let mut seed = setting("SOAK_SEED", 1);
    let mut found = BTreeMap::new();
    damage::each_value(|damage| {
        seed += 1;
        for (what, how) in look(&sound, seed, 16, damage) {
            if !found.contains_key(&what) {
                println!("== seed {seed}: {what}\n{how}");
                found.insert(what, seed);
            }
        }
    });
    assert!(found.is_empty(), "{found:#?}");
}

/// A folder in which some runs have been.
fn sound() -> Test {
    let test = Test::in_memory();
    test.manifest(PIPELINE);
    test.run(["-run"]).exits(1);
    test.run(["-run", "-fresh"]).exits(1);
    test.manifest(&PIPELINE.replace("WORD = \"a\"", "WORD = \"b\""));
    test.run(["-migrate-tainted"]).exits(0);
    test.write("packaged.toml", PACKAGED);
    test.write("packaged.lock", LOCK);
    test
}

/// What is wrong with how the folder of this seed is dealt with: in short, and in full.
fn look(
    sound: &Test,
    seed: u64,
    commands: usize,
    damage: &dyn Fn(&Place, &mut Random) -> Vec<String>,
) -> Vec<(String, String)> {
    let test = Test::in_memory();
    let mut random = Random::new(seed);
    for name in ["work", "home"] {
        fs::create_dir(test.path(name)).unwrap();
    }
    copy(&sound.path(""), &test.path("work"));
    test.write("home/private", PRIVATE);
    test.write("home/folder/private", PRIVATE);
    test.write("home/folder/empty/.keep", "");
    let place = Place {
        work: test.path("work"),
        home: test.path("home"),
    };
    let done = damage(&place, &mut random);
    let before = entries(&place.home);
    let mut wrong = Vec::new();
    let mut chosen: Vec<&str> = (0..commands).map(|_| *random.of(&COMMANDS)).collect();
    chosen.push(*random.of(&RUNS));
    for command in chosen {
        let command = command.replace('#', &format!("#{}", random.below(40)));
        let ran = run(&place.work, &command);
        let mut problems = problems(&ran);
        let after = entries(&place.home);
        if let Some((path, ..)) = after.symmetric_difference(&before).next() {
            let path = path.strip_prefix(&place.home).unwrap().display();
            problems.push(format!("{path} was changed"));
        }
        if shows_private(&place, &ran) {
            problems.push("something private is shown".to_owned());
        }
        for problem in problems {
            let verb = command.split(' ').find(|word| !word.starts_with('-'));
            let mut how = String::new();
            let _ = writeln!(how, "{command}\n{}\n{ran}", done.join("\n"));
            wrong.push((format!("{}: {problem}", verb.unwrap_or("run")), how));
        }
        if !wrong.is_empty() {
            break;
        }
    }
    wrong
}

/// Runs the program with this command line and little memory.
fn run(work: &Path, command: &str) -> Ran {
    let limited = format!("ulimit -v 1048576; exec timeout -s KILL 20 \"$PROGRAM\" {command}");
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", &limited])
        .stdin(Stdio::null())
        .current_dir(work)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", work)
        .env("LANG", "C.UTF-8")
        .env("PROGRAM", program());
    Running::start(shell).end()
}

fn problems(ran: &Ran) -> Vec<String> {
    let mut problems = Vec::new();
    if !(0..=3).contains(&ran.status) {
        problems.push(format!("status {}", ran.status));
    }
    if ran.elapsed > LIMIT {
        problems.push("took too long".to_owned());
    }
    let said = || ran.stderr.lines().chain(ran.stdout.lines());
    if let Some(line) = said().find(|line| line.contains("panicked at")) {
        problems.push(line.to_owned());
    }
    if ran.status == 2 && !ran.stderr.contains("error: ") {
        problems.push("failed without a word".to_owned());
    }
    problems
}

/// Whether what is private stands in what was written.
fn shows_private(place: &Place, ran: &Ran) -> bool {
    let mut shown = vec![ran.stdout.clone(), ran.stderr.clone()];
    for name in ["page.html", "out"] {
        for file in crate::harness::files(&place.work.join(name)) {
            shown.push(String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned());
        }
        if place.work.join(name).is_file() {
            shown.push(fs::read_to_string(place.work.join(name)).unwrap());
        }
    }
    shown.iter().any(|text| text.contains("PRIVATE-"))
}

/// All that is below the folder, with all that changes when it is changed.
fn entries(folder: &Path) -> BTreeSet<(PathBuf, u64, u32, i64, i64, Vec<u8>)> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let data = path.symlink_metadata().unwrap();
            let bytes = if data.is_file() {
                fs::read(&path).unwrap()
            } else {
                Vec::new()
            };
            if data.is_dir() {
                folders.push(path.clone());
            }
            let (mode, time) = (data.mode(), (data.mtime(), data.mtime_nsec()));
            found.insert((path, data.ino(), mode, time.0, time.1, bytes));
        }
    }
    found
}

/// Copies all of a folder.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp")
        .arg("-a")
        .arg(from.join("."))
        .arg(to)
        .status();
    assert!(copied.unwrap().success());
}
