//! Everything at once that is done with secrets, under strace: no byte of one is in anything that the program
//! writes, hands to a process or leaves, in whatever encoding.

use std::path::Path;

use crate::harness::{Ran, Running, Test, files, hash};
use crate::injection;
use crate::sandbox;

/// The part of each that is looked for: letters and digits, which no way of writing texts changes.
const CORES: [&str; 4] = [
    "9f8e7d6c5b4a",
    "1a2b3c4d5e6f",
    "q7w8e9r0t1y2",
    "z9x8c7v6b5n4",
];

/// Quotes, backslashes, markup and several lines.
fn secrets() -> [String; 3] {
    [
        format!("fi\"le<&>'\\n-{}-and-its-end\n", CORES[0]),
        format!("t\u{f6}ken\"$(id)`-{}", CORES[1]),
        format!(
            "-----BEGIN-----\n\"one\"\\ {}\r\n<two>\t{}\n-----END-----\n",
            CORES[2], CORES[3]
        ),
    ]
}

/// Steps of each kind, which show all secrets.
const PIPELINE: &str = r#"
[defaults]
secrets = ["from_file", "from_variable", "from_service"]

[[step]]
name = "begin"
start = true
script = '''
for kind in warm plain boxed again failing; do
    for i in 1 2 3; do echo $i > $OUTPUT_DIR/${i}_$kind; done
done
'''

[[step]]
name = "warm"
warm = true
script = '''
for s in "$SECRET_from_file" "$SECRET_from_variable" "$SECRET_from_service"; do
    cat "$s"; cat "$s" >&2
    while read -r line; do printf 'line: %s, and again: %s%s\n' "$line" "$line" "$line"; done < "$s"
done
env > $OUTPUT_DIR/env.txt
'''

[[step]]
name = "plain"
script = 'cat "$SECRET_from_file" "$SECRET_from_variable" "$SECRET_from_service"'

[[step]]
name = "boxed"
BOXED
script = '''
cat "$SECRET_from_file" "$SECRET_from_variable" "$SECRET_from_service" > $TMPDIR/all
cat $TMPDIR/all; cat $TMPDIR/all >&2
'''

[[step]]
name = "again"
retries = 2
retry_delay = "1ms"
script = '''
cat "$SECRET_from_service" "$SECRET_from_variable" >&2
test -e "$PASSED$TASK_PIPELINE_TASK" || { : > "$PASSED$TASK_PIPELINE_TASK"; exit 3; }
'''

[[step]]
name = "failing"
shell = ["bash", "-euo", "pipefail", "-c"]
script = '''
fold -b -w 1 "$SECRET_from_file" | while IFS= read -r c; do printf %s "$c"; done
head -c 9 "$SECRET_from_service"; echo
echo "error: the token $(cat "$SECRET_from_variable") is not right" >&2
printf '%s' "$(cat "$SECRET_from_file")"
# The beginning of one, of which the end never comes.
head -c 26 "$SECRET_from_file"
exit 7
'''
"#;

/// What must be in nothing: the cores, and what base64, hexadecimal digits and a hash make of the secrets.
fn needles() -> Vec<Vec<u8>> {
    let mut needles: Vec<Vec<u8>> = Vec::new();
    for core in CORES {
        let hex: String = core
            .bytes()
            .flat_map(|byte| hex(byte).chars().collect::<Vec<_>>())
            .collect();
        needles.extend([
            core.as_bytes().to_vec(),
            hex.to_uppercase().into_bytes(),
            hex.into_bytes(),
        ]);
        // Wherever it begins: without the digits that others have a part in.
        for before in 0..3 {
            let text = format!("{}{core}", "x".repeat(before));
            let digits = base64(text.as_bytes());
            needles.push(digits.as_bytes()[4..digits.len() - 4].to_vec());
        }
    }
    for secret in secrets() {
        needles.push(hash(secret.as_bytes()).into_bytes());
        needles.push(hash(secret.trim_end().as_bytes()).into_bytes());
    }
    needles
}

fn hex(byte: u8) -> String {
    format!("{byte:02x}")
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..=chunk.len() {
            let at = usize::try_from(bits >> (18 - 6 * digit) & 63).unwrap();
            out.push(char::from(DIGITS[at]));
        }
    }
    out
}

/// Fails if one of them is in the bytes.
fn has_none(needles: &[Vec<u8>], bytes: &[u8], of: &str) {
    for needle in needles {
        let found = bytes.windows(needle.len()).position(|at| at == needle);
        if let Some(at) = found {
            let around = &bytes[at.saturating_sub(200)..(at + 100).min(bytes.len())];
            panic!("in {of}: {}", around.escape_ascii());
        }
    }
}

/// Calls that hand bytes on, of the program and not of its scripts; where they go is told.
const CALLS: &str = "write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,sendmmsg,\
    setxattr,fsetxattr,symlink,symlinkat,mkdir,mkdirat,open,openat,rename,renameat,renameat2,link,linkat,\
    prctl,execve,execveat";

/// A place with the pipeline, and one apart for what strace writes.
struct World {
    test: Test,
    calls: Test,
    needles: Vec<Vec<u8>>,
    count: usize,
    /// Bytes of secrets that went where they are to go: so that it is known that they would be seen.
    seen: usize,
}

impl World {
    /// Runs the program with all secrets, and looks at all that it said and did.
    fn run(&mut self, arguments: &str, is_traced: bool) -> Ran {
        self.count += 1;
        let log = self.calls.path(&format!("calls-{}", self.count));
        let strace = format!(
            "strace -f -b execve -y -v -xx -s 999999 -e trace={CALLS} -o {}",
            log.display()
        );
        let strace = if is_traced { &*strace } else { "" };
        let mut command = self
            .test
            .shell(&format!("exec {strace} $PROGRAM {arguments}"));
        // Who is not told that it is a secret hands it on as any variable.
        if arguments.contains("TOKEN") {
            let [_, variable, _] = secrets();
            command.env("TOKEN", variable);
        }
        command
            .env("CREDENTIALS_DIRECTORY", self.test.path("given/service"))
            .env("TMPDIR", self.test.path("temporary"))
            .env("PASSED", self.test.path("passed-"));
        let ran = Running::start(command).end();
        has_none(&self.needles, ran.to_string().as_bytes(), arguments);
        if is_traced {
            self.look(&log, arguments);
        }
        self.left();
        ran
    }

    /// Bytes of calls. The first call is that with which it was started, and has the variable.
    fn look(&mut self, log: &Path, arguments: &str) {
        let calls = std::fs::read_to_string(log).unwrap();
        let mut started = false;
        for line in calls.lines() {
            if !started {
                started = line.contains("execve(");
                continue;
            }
            let bytes = texts(line);
            let is_on_its_way = line.contains(&escaped("{\"secret\":{"));
            if line.contains(&escaped("memfd:task-pipeline")) || is_on_its_way {
                let cores = CORES.iter();
                let here =
                    cores.filter(|core| bytes.windows(core.len()).any(|at| at == core.as_bytes()));
                self.seen += here.count();
            } else {
                has_none(
                    &self.needles,
                    &bytes,
                    &format!("{arguments}: {}", &line[..line.len().min(120)]),
                );
            }
        }
        assert!(started, "{arguments}: nothing was traced");
    }

    /// All files that are there now, and their names.
    fn left(&self) {
        for path in files(&self.test.path(".")) {
            has_none(&self.needles, path.as_os_str().as_encoded_bytes(), "a path");
            let is_given = path.strip_prefix(self.test.path("./given")).is_ok();
            if let Some(bytes) = std::fs::read(&path).ok().filter(|_| !is_given) {
                has_none(&self.needles, &bytes, &path.display().to_string());
            }
        }
    }
}

/// As strace writes a text with `-xx`.
fn escaped(text: &str) -> String {
    let digits = text.bytes().map(|byte| format!("\\x{}", hex(byte)));
    digits.collect()
}

/// The texts of a line, with a zero behind each.
fn texts(line: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (at, text) in line.split('"').enumerate() {
        if at % 2 == 1 {
            let digits = text.split("\\x").skip(1);
            bytes.extend(digits.map(|digits| u8::from_str_radix(digits, 16).unwrap()));
            bytes.push(0);
        }
    }
    bytes
}

#[test]
fn of_all_that_is_done_with_secrets_nothing_is_left() {
    if !injection::is_possible() {
        return;
    }
    let boxed = if sandbox::is_left_out() {
        ""
    } else {
        "sandbox = true"
    };
    let test = Test::apart();
    test.manifest(&PIPELINE.replace("BOXED", boxed));
    let [file, _, service] = secrets();
    test.write("given/file", file);
    test.write("given/service/from_service", service);
    std::fs::create_dir(test.path("temporary")).unwrap();
    let mut world = World {
        test,
        calls: Test::new(),
        needles: needles(),
        count: 0,
        seen: 0,
    };
    let given = "-secret from_file=given/file -secret from_variable=env:TOKEN";

    let run = format!("-run -verbose -keep-failed -trace trace.json {given}");
    let ran = world.run(&run, true).exits(1);
    let ran = ran
        .says("error: the token *** is not right")
        .says("exit status 7");
    assert!(ran.stderr.matches("***").count() > 50, "{ran}");
    assert!(world.test.path("db/failed").is_dir());
    assert!(
        world.seen >= CORES.len(),
        "the secrets themselves were seen: {}",
        world.seen
    );
    let launches = world.test.launches("trace.json", |step| step == "plain");
    assert!(
        launches.iter().all(|launch| launch == "direct"),
        "{launches:?}"
    );
    let ran = world.run(&format!("-run -log-format json -fail-fast {given}"), true);
    ran.exits(1).says(r#""step":"failing""#);
    let json = format!("-run -fresh -log-format json -verbose -parallel 1 {given}");
    world.run(&json, true).exits(1);

    let tasks =
        "SELECT task.id FROM task JOIN step ON step.id = step_id WHERE step.name = 'failing'";
    let failed = world.test.rows(tasks).remove(0);
    for (question, status) in [
        ("status", 0),
        ("status -json", 0),
        ("tasks -json -runset all", 0),
        ("why failing", 0),
        ("report -o report.html", 0),
        ("graph", 0),
        ("check", 0),
        ("export -to out", 0),
        ("verify", 0),
    ] {
        world.run(question, true).exits(status);
    }
    let log = world.run(&format!("log {failed}"), true).exits(0);
    assert!(
        log.stdout.contains("the token *** is not right") && log.stdout.matches("***").count() > 2,
        "{log}"
    );
    world.run(&format!("why {failed}"), true).exits(0);
    let page = world.test.read("report.html");
    assert!(page.contains("the token *** is not right"));
    // Who asks for a shell has the secret; what is told of it and left of it has not.
    let words = "sh -c 'wc -c < $SECRET_from_file; cp $SECRET_from_file $OUTPUT_DIR/copy'";
    let shell = world
        .run(&format!("shell failing {given} -- {words}"), true)
        .exits(0);
    assert!(shell.stdout.contains("37"), "{shell}");
    // It observes by what strace does, so that the two do not go together.
    world.run(&format!("trace-files failing {given}"), false);
    // They pass to workers, and nowhere else.
    world.seen = 0;
    let away = format!("-run -fresh -verbose -executor child:2 {given}");
    let ran = world.run(&away, true).exits(1);
    ran.says("error: the token *** is not right");
    assert!(world.seen >= 2 * CORES.len(), "to the worker and there");
    world.run("gc -keep-runsets 1", true).exits(0);
    let left = files(&world.test.path("temporary"));
    assert!(left.is_empty(), "{left:?}");
}
