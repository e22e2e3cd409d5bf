//! Scripts of all kinds, each in a shell of its own and in a warm one: state, error, outputs and
//! both streams are the same.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use task_pipeline::script::shell::Shell;
use task_pipeline::script::warm::Script;

use super::generate;
use crate::harness::{Running, Test};

/// For both shells. `die` is a helper: see below.
const BOTH: &str = include_str!("both.txt");
/// For bash alone.
const BASH: &str = include_str!("bash.txt");

/// Every construct of the shell's grammar, as POSIX has it, and what is none.
const GRAMMAR: &str = include_str!("grammar.txt");

/// The programs that scripts of these tests call to do what they must not mention themselves.
const HELPERS: [(&str, &str); 4] = [
    // To itself, its parent, its group.
    ("die", "kill -$1 $$; sleep 60"),
    ("patricide", "kill -$1 $PPID; sleep 0.2"),
    ("all", "kill -$1 0; sleep 60"),
    (
        "tidy",
        "trap 'sleep 0.3; echo tidied >> $COUNT; exit 0' TERM; echo began >> $COUNT\n\
         while :; do sleep 0.02; done",
    ),
];

/// A folder with the helpers in it. What a disk does makes no difference here, but takes half of
/// the time.
pub fn folder() -> Test {
    let test = Test::in_memory();
    for (name, script) in HELPERS {
        test.write(name, script);
    }
    test
}

/// The scripts of a table.
fn scripts(table: &str) -> Vec<&str> {
    let table = table.strip_suffix('\n').unwrap_or(table);
    table.split("\n----\n").collect()
}

/// Each script as a step with these inputs: some in a row in the same warm shell.
fn manifest(shell: &str, scripts: &[&str], warm: bool, inputs: &str) -> String {
    let mut text = format!(
        "[defaults]\nshell = [{shell}]\nwarm = {warm}\n[[step]]\nname = 'begin'\nstart = true\n\
         shell = ['sh', '-e', '-c']\nscript = '''\nfor i in {inputs}; do for s in $(seq {}); do\n\
         echo some $i words > $OUTPUT_DIR/${{i}}_s$s; done; done'''\n",
        scripts.len()
    );
    for (number, script) in scripts.iter().enumerate() {
        let script = serde_json::to_string(script).unwrap();
        // Some wait for themselves for ever, in any shell.
        let _ = write!(
            text,
            "[[step]]\nname = 's{}'\ntimeout = '10s'\nscript = {script}\n",
            number + 1
        );
    }
    text
}

/// What came of all tasks, in words, by step and input.
fn outcomes(test: &Test) -> Vec<String> {
    let rows = test.rows(
        "SELECT step.name, task.name, processed, coalesce(log.stdout, ''), coalesce(log.stderr, ''),
             (SELECT group_concat(o.name || '=' || o.object_hash, ' ' ORDER BY o.name)
                 FROM task AS o WHERE o.input_task_id = task.id),
             error
         FROM task JOIN step ON step.id = task.step_id LEFT JOIN log ON log.task_id = task.id
         WHERE step.name <> 'begin' ORDER BY CAST(substr(step.name, 2) AS INTEGER), task.name",
    );
    let place = test.path("").canonicalize().unwrap();
    // As a pattern gives it that is expanded beside it.
    let test_name = place.file_name().unwrap().to_str().unwrap();
    rows.iter()
        .map(|row| {
            let fields: Vec<&str> = row.splitn(7, '|').collect();
            let stream = |hash: &str| {
                if hash.is_empty() {
                    return String::new();
                }
                let bytes = fs::read(test.object(hash)).unwrap();
                String::from_utf8_lossy(&bytes).into_owned()
            };
            // Some bytes tell of the run's folder, too.
            let outputs: Vec<String> = fields[5]
                .split(' ')
                .filter_map(|output| output.rsplit_once('='))
                .map(|(name, hash)| {
                    let bytes = plain(&stream(hash).replace(place.to_str().unwrap(), "PLACE"));
                    let bytes = bytes.replace(&test_name.to_uppercase(), "NAME");
                    format!("{name}={}", crate::harness::hash(bytes.as_bytes()))
                })
                .collect();
            let told = format!(
                "{} {} processed {}\nerror: {}\noutputs: {}\nstdout: {}\nstderr: {}",
                fields[0],
                fields[1],
                fields[2],
                fields[6],
                outputs.join(" "),
                stream(fields[3]),
                stream(fields[4]),
            );
            let told = told.replace(place.to_str().unwrap(), "PLACE");
            plain(&told)
                .replace(test_name, "NAME")
                .replace(&test_name.to_uppercase(), "NAME")
        })
        .collect()
}

/// Without what differs from run to run: the run's and the workers' folders, and the numbers that
/// bash tells of processes that a signal ended. (The line of these is that of the end of the
/// script in a warm shell, where a shell of its own has none.)
fn plain(text: &str) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        let mut line = line.to_owned();
        // Some write it in capitals.
        let find = |line: &str| {
            line.find("/db/tmp/run-")
                .or_else(|| line.find("/DB/TMP/RUN-"))
        };
        while let Some(at) = find(&line) {
            let rest = line[at..].to_owned();
            let mut parts = rest.splitn(6, '/');
            let end = parts.nth(5).unwrap_or_default();
            line = format!("{}/RUN/{end}", &line[..at]);
        }
        for word in ["Killed ", "Terminated ", "Segmentation fault "] {
            if let Some((_, command)) = line.split_once(word).filter(|(b, _)| b.contains("line ")) {
                line = format!("{word}{}", command.trim_start());
            }
        }
        lines.push(line);
    }
    lines.join("\n")
}

/// What came of the scripts' tasks, what ran each script, and the exit status.
fn ran(shell: &str, scripts: &[&str], warm: bool, inputs: &str) -> (Vec<String>, Vec<String>, i32) {
    let test = folder();
    test.manifest(&manifest(shell, scripts, warm, inputs));
    let mut command = test.command(["-run", "-parallel", "1", "-quiet", "-trace", "trace"]);
    // The same for both: a part of its name may be in what they leave.
    command.env("HOME", "/home");
    let ran = Running::start(command).end();
    assert!(!ran.stderr.contains("broke down"), "{ran}");
    test.tally_is_right();
    test.nothing_temporary_is_left();
    let launches = (1..=scripts.len()).map(|number| {
        let mut all = test.launches("trace", |step| step == format!("s{number}"));
        all.dedup();
        all.join(", ")
    });
    let launches = launches.collect();
    (outcomes(&test), launches, ran.status)
}

/// How a script runs where warm shells are wanted that runs in `cold` where they are not.
fn wanted(shell: &[String], script: &str, cold: &str) -> &'static str {
    let known = Path::new(&shell[0]).canonicalize();
    let name = known.map_or(shell[0].clone(), |path| {
        path.file_name().unwrap().to_str().unwrap().to_owned()
    });
    let mut parsing = Command::new(&shell[0]);
    parsing.arg("-n").args(&shell[1..]).arg(script);
    let parsed = parsing.output().unwrap();
    if cold == "direct" {
        "direct"
    } else if Script::new(Shell::named(&name), &shell[1..], script).is_ok()
        && parsed.status.success()
        && parsed.stderr.is_empty()
        // Within the loop it has no end.
        && script != "cat <<E\nunended"
        // A subshell needs a command, and without options there is none.
        && (script != "# a comment alone" || shell.len() > 2)
    {
        "warm"
    } else {
        "shell"
    }
}

fn compare(shell: &str, scripts: &[&str]) {
    let differing = differing(shell, scripts, "1 2 3");
    let words: Vec<&str> = differing.iter().map(|one| one.told.as_str()).collect();
    assert!(words.is_empty(), "{shell}{}", words.concat());
}

/// What came of a script in a warm shell that did not in a shell of its own.
struct Differing {
    script: usize,
    warm: String,
    told: String,
}

fn differing(shell: &str, scripts: &[&str], inputs: &str) -> Vec<Differing> {
    let (cold, cold_launches, cold_status) = ran(shell, scripts, false, inputs);
    let (warm, warm_launches, warm_status) = ran(shell, scripts, true, inputs);
    let words = shell.split(", ");
    let words: Vec<String> = words.map(|word| word.trim_matches('\'').into()).collect();
    for (at, script) in scripts.iter().enumerate() {
        assert_ne!(cold_launches[at], "warm", "{shell}: {script}");
        let wanted = wanted(&words, script, &cold_launches[at]);
        assert_eq!(warm_launches[at], wanted, "{shell}: {script}");
    }
    let inputs = inputs.split(' ').count();
    assert_eq!(cold.len(), scripts.len() * inputs);
    let mut differing = Vec::new();
    for (at, (cold, warm)) in cold.iter().zip(warm).enumerate() {
        if *cold != warm {
            let cut = |text: &str| text.chars().take(600).collect::<String>();
            let script = at / inputs;
            let told = format!(
                "\n== {}\n-- in a shell of its own: {}\n-- in a warm shell: {}\n",
                scripts[script],
                cut(cold),
                cut(&warm)
            );
            differing.push(Differing { script, warm, told });
        }
    }
    assert!(!differing.is_empty() || cold_status == warm_status);
    differing
}

#[test]
fn every_construct_of_the_grammar_in_dash() {
    compare("'dash', '-e', '-c'", &scripts(GRAMMAR));
}

#[test]
fn every_construct_of_the_grammar_in_bash() {
    compare("'bash', '-e', '-c'", &scripts(GRAMMAR));
}

#[test]
fn in_dash() {
    compare("'dash', '-e', '-c'", &scripts(BOTH));
}

#[test]
fn in_dash_without_options() {
    compare("'dash', '-c'", &scripts(BOTH));
}

#[test]
fn in_dash_with_other_options() {
    compare("'dash', '-euf', '-c'", &scripts(BOTH));
}

#[test]
fn in_bash() {
    let mut all = scripts(BOTH);
    all.extend(scripts(BASH));
    compare("'bash', '-e', '-c'", &all);
}

#[test]
fn in_bash_without_options() {
    let mut all = scripts(BOTH);
    all.extend(scripts(BASH));
    compare("'bash', '-c'", &all);
}

#[test]
fn in_bash_with_other_options() {
    let mut all = scripts(BOTH);
    all.extend(scripts(BASH));
    compare("'bash', '-euo', 'pipefail', '-c'", &all);
}

#[test]
fn in_bash_as_sh() {
    let test = folder();
    std::os::unix::fs::symlink(which::which("bash").unwrap(), test.path("sh")).unwrap();
    let mut all = scripts(BOTH);
    all.extend(scripts(BASH));
    let shell = format!("'{}', '-e', '-c'", test.path("sh").display());
    compare(&shell, &all);
}

#[test]
fn a_last_command_that_a_signal_ends() {
    // dash waits for it and says so, bash becomes it.
    for shell in ["dash", "bash"] {
        compare(
            &format!("'{shell}', '-e', '-c'"),
            &[
                "sh ./die KILL",
                "echo a; sh ./die TERM",
                "echo a\nsh ./die SEGV\n",
            ],
        );
    }
    compare("'dash', '-e', '-c'", &["sh ./die PIPE", "sh ./die INT"]);
}

/// Random scripts that have a warm shell by default, from this number.
pub fn random(shell: &str, seed: u64, count: usize) {
    let words = shell.split(", ");
    let words: Vec<String> = words.map(|word| word.trim_matches('\'').into()).collect();
    let kind = Shell::named(&words[0]);
    let mut random = generate::Random(seed);
    let (mut scripts, mut made) = (Vec::new(), 0);
    while scripts.len() < count {
        // Nothing that one leaves is in the way of another.
        let script = format!("cd $TMPDIR\n{}", generate::script(&mut random));
        made += 1;
        let known = Script::new(kind, &words[1..], &script);
        // Plain commands have no shell at all.
        if known.is_ok_and(|known| known.unnoticed().is_ok())
            && task_pipeline::script::simple::parse(&script).is_none()
        {
            scripts.push(script);
        }
        assert!(made < 1000 + count * 50, "hardly a script is let through");
    }
    println!("{shell}: seed {seed}: {count} of {made} scripts");
    let scripts: Vec<&str> = scripts.iter().map(String::as_str).collect();
    // Some do not always do the same.
    let mut differing = differing(shell, &scripts, "1 2");
    for _ in 0..5 {
        if differing.is_empty() {
            return;
        }
        let again: Vec<&str> = differing.iter().map(|one| scripts[one.script]).collect();
        let (outcomes, ..) = ran(shell, &again, false, "1 2");
        let plain = |text: &str| {
            text.split_once(' ')
                .unwrap()
                .1
                .replace(|c: char| c.is_ascii_digit(), "")
        };
        let outcomes: Vec<String> = outcomes.iter().map(|one| plain(one)).collect();
        differing.retain(|one| !outcomes.contains(&plain(&one.warm)));
    }
    let words: Vec<&str> = differing.iter().map(|one| one.told.as_str()).collect();
    assert!(words.is_empty(), "{shell}{}", words.concat());
}

/// So many that all takes a few seconds; `cargo test --test soak` goes on for long.
const FEW: usize = 40;

#[test]
fn random_scripts_in_dash() {
    random("'dash', '-e', '-c'", 1, FEW);
    random("'dash', '-c'", 2, FEW);
}

#[test]
fn random_scripts_in_bash() {
    random("'bash', '-e', '-c'", 3, FEW);
    random("'bash', '-euo', 'pipefail', '-c'", 4, FEW);
}
