//! Secrets (`secrets`, `-secret`): given to scripts, and kept nowhere.

#[cfg(target_os = "linux")]
mod whole;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::harness::{Running, Test, files, wait_for};

const TOKEN: &str = "s3cr3t-t0ken-9f8e7d6c5b4a";

/// A step that shows its secret in all manners, and one behind it.
const PIPELINE: &str = r#"
[[step]]
name = "show"
start = true
secrets = ["api_token"]
keep = ["GO"]
script = '''
t=$(cat "$SECRET_api_token")
test "$t" = "$(cat "$SECRET_api_token")"
test "$(stat -L -c %a "$SECRET_api_token")" = 400
! (echo x > "$SECRET_api_token") 2> /dev/null
echo "whole $t twice $t$t"
echo "error $t" >&2
printf 'half %s' "${t%??????????}"
if test -n "$GO"; then : > half; read -r line < "$GO"; fi
echo "${t#???????????????}"
head -c 65500 /dev/zero | tr '\0' x
printf '%s' "$t"
printf '%s' "$t" | fold -w 1 | while read -r c; do printf %s "$c"; done
env > $OUTPUT_DIR/env.txt
echo "$t" | tr 'a-z' 'A-Z' > $OUTPUT_DIR/x_next
'''

[[step]]
name = "next"
script = 'cp $INPUT_FILE $OUTPUT_DIR/end.txt; test -z "$SECRET_api_token"; test -z "$TOKEN"'
"#;

/// No file below the folder has the bytes, nor has anything been told of them.
fn is_nowhere(test: &Test, told: &str) {
    assert!(!told.contains(TOKEN), "{told}");
    let mut looked_at = 0;
    for path in files(&test.path(".")) {
        if path.ends_with("token") || path.ends_with("go") {
            continue;
        }
        let Ok(bytes) = std::fs::read(&path) else {
            continue;
        };
        looked_at += 1;
        let part = &TOKEN.as_bytes()[..TOKEN.len() - 4];
        let found = bytes.windows(part.len()).any(|at| at == part);
        assert!(!found, "{}", path.display());
    }
    assert!(looked_at > 5);
}

fn written(test: &Test, stream: &str) -> String {
    test.text(&["log", "1", stream])
}

#[test]
fn a_secret_is_kept_nowhere() {
    let test = Test::with(PIPELINE);
    test.write("token", format!("{TOKEN}\n"));
    let fifo = test.path("go");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.unwrap().success());
    let mut command = test.command(["-run", "-verbose", "-secret", "api_token=token"]);
    command.args(["-trace", "trace.json"]).env("GO", &fifo);
    let running = Running::start(command);
    wait_for("the first half", || test.path("half").exists());
    std::fs::write(&fifo, "go\n").unwrap();
    let ran = running.end().exits(0).says("whole *** twice ******");
    is_nowhere(&test, &ran.to_string());
    let out = written(&test, "-stdout");
    assert!(
        out.starts_with("whole *** twice ******\nhalf ***\nxxx"),
        "{}",
        &out[..60]
    );
    assert!(out.ends_with("xxx******"), "{}", &out[out.len() - 60..]);
    assert_eq!(written(&test, "-stderr"), "error ***\n");
    // What a script leaves is its own doing.
    assert_eq!(
        test.output("end.txt"),
        format!("{}\n", TOKEN.to_uppercase())
    );
    let env = test.output("env.txt");
    let path = env
        .lines()
        .find_map(|line| line.strip_prefix("SECRET_api_token="));
    assert!(!Path::new(path.unwrap()).exists(), "it ended with the run");

    for arguments in [
        &["status"][..],
        &["why", "show"],
        &["log", "1"],
        &["report", "-o", "report.html"],
        &["check"],
    ] {
        let told = test.run(arguments).exits(0).to_string();
        is_nowhere(&test, &told);
    }
    let failing = PIPELINE.replace("env > ", "echo \"$t\" >&2; exit 3; env > ");
    test.manifest(&failing);
    let mut command = test.command([
        "-migrate-tainted",
        "-run",
        "-keep-failed",
        "-log-format",
        "json",
    ]);
    command.args(["-verbose", "-secret", "api_token=env:TOKEN"]);
    command.env("TOKEN", TOKEN);
    let ran = Running::start(command).end().exits(1).says("exit status 3");
    is_nowhere(&test, &ran.to_string());
}

#[test]
fn where_it_comes_from() {
    let test = Test::with(PIPELINE);
    test.write("credentials/api_token", TOKEN);
    test.write("other", "12345678-other");
    let with = |arguments: &[&str], variable: (&str, &str)| {
        let mut command = test.command(["-run", "-fresh", "-runset"]);
        command.args(arguments).env(variable.0, variable.1);
        Running::start(command).end()
    };
    let credentials = test.path("credentials");
    let credentials = ("CREDENTIALS_DIRECTORY", credentials.to_str().unwrap());
    let output = |runset: &str, name: &str| {
        test.text(&["export", "-to", runset, "-runset", runset]);
        test.read(&format!("{runset}/{name}"))
    };
    with(&["a"], credentials).exits(0).says("2 run");
    assert_eq!(
        output("a", "end.txt"),
        format!("{}\n", TOKEN.to_uppercase())
    );
    with(&["b", "-secret", "api_token=other"], credentials).exits(0);
    assert_eq!(output("b", "end.txt"), "12345678-OTHER\n");
    // No script has that variable.
    with(&["c", "-secret", "api_token=env:TOKEN"], ("TOKEN", TOKEN)).exits(0);
    assert!(!output("c", "env.txt").contains("TOKEN="));
    assert_eq!(
        test.rows("SELECT count(*) FROM step WHERE name = 'show'"),
        ["1"]
    );
}

#[test]
fn one_that_is_not_given() {
    let test = Test::with(&PIPELINE.replace("start = true\n", "")
        .replace("[[step]]\nname = \"show\"", "[[step]]\nname = \"begin\"\nstart = true\nscript = 'echo 1 > $OUTPUT_DIR/a_show'\n\n[[step]]\nname = \"show\""));
    test.run(["-run"])
        .exits(1)
        .says("show: 1 task needs a secret that is not given: api_token")
        .says("hint: -secret api_token=FILE")
        .says("1 run, 0 reused, 0 failed, 1 pending");
    // The status has its reason, whoever wants to hear next to nothing.
    test.run(["-run", "-quiet"])
        .exits(1)
        .says("show: 1 task needs a secret that is not given: api_token");
    let dry = test.text(&["-run", "-dry-run"]);
    assert!(dry.contains("show v1   1 would wait for secrets"), "{dry}");
    test.run(["-run", "-log-format", "json"])
        .exits(1)
        .says(r#""lacking":[{"step":"show","count":1,"secrets":["api_token"]}]"#);
    test.run(["-run", "-only", "begin"]).exits(0);
    test.write("token", TOKEN);
    test.run(["-run", "-secret", "api_token=token"])
        .exits(0)
        .says("2 run");
    // What was done is used again by those who have none.
    test.run(["-run", "-fresh"])
        .exits(0)
        .says("1 run, 2 reused");
    test.run(["-run", "-start", "show"])
        .exits(1)
        .says("1 task needs");
    test.tally_is_right();
}

#[test]
fn in_a_warm_shell_and_without_a_shell() {
    let test = Test::with(
        r#"
[[step]]
name = "begin"
start = true
script = 'for i in 1 2 3 4 5 6 7 8 9; do echo $i > $OUTPUT_DIR/${i}_warm; echo $i > $OUTPUT_DIR/${i}_plain; done'
[[step]]
name = "warm"
warm = true
secrets = ["key"]
script = 'read -r k < "$SECRET_key"; echo "$k" > "$OUTPUT_DIR/${TASK_PIPELINE_INPUT_NAME%_warm}.w"; echo "$k"'
[[step]]
name = "plain"
secrets = ["key"]
script = 'cat "$SECRET_key"'
"#,
    );
    test.write("key", "abcdefghijkl\n");
    test.run(["-run", "-secret", "key=key", "-verbose", "-trace", "t.json"])
        .exits(0)
        .says("warm #")
        .says("| ***")
        .never_says("abcdefghijkl");
    assert_eq!(test.output("3.w"), "abcdefghijkl\n");
    let warm = test.launches("t.json", |step| step == "warm");
    assert!(warm.iter().any(|launch| launch == "warm"), "{warm:?}");
    let plain = test.launches("t.json", |step| step == "plain");
    assert!(plain.iter().all(|launch| launch == "direct"), "{plain:?}");
}

#[test]
fn one_task_alone() {
    let test = Test::with(PIPELINE);
    test.write("token", TOKEN);
    test.run(["shell", "show", "--", "sh", "-c", "cat $SECRET_api_token"])
        .exits(2)
        .says("step `show` is not given `api_token`")
        .says("hint: -secret api_token=FILE");
    test.run([
        "shell",
        "show",
        "-secret",
        "api_token=token",
        "--",
        "sh",
        "-c",
        "wc -c < $SECRET_api_token",
    ])
    .exits(0)
    .prints("25\n");
    let traced = test.run(["trace-files", "show", "-secret", "api_token=token"]);
    assert!(!traced.to_string().contains(TOKEN));
    test.run(["-run", "-secret", "api_token=token"]).exits(0);
    test.manifest(&PIPELINE.replace("t=$(cat", "t=$(cat  "));
    test.run(["-migrate-tainted", "-sample", "1"])
        .exits(2)
        .says("step show is not given api_token");
    test.run([
        "-migrate-tainted",
        "-sample",
        "1",
        "-secret",
        "api_token=token",
    ])
    .says("show: 1 of 1 tainted task run");
}

#[test]
fn names_are_a_part_of_the_version() {
    let test = Test::with(PIPELINE);
    test.write("token", TOKEN);
    test.run(["-run", "-secret", "api_token=token"]).exits(0);
    let more = PIPELINE.replace("[\"api_token\"]", "[\"api_token\", \"more\"]");
    test.manifest(&more);
    test.run(["-run"])
        .exits(0)
        .says("show: version 2, changed: secrets (more)");
    test.manifest(PIPELINE);
    test.run(["-run"]).says("show is version 1 again");
}

#[test]
fn what_is_no_secret() {
    let test = Test::with(PIPELINE);
    test.write("short", "1234567\n");
    test.write("token", TOKEN);
    std::fs::create_dir(test.path("folder")).unwrap();
    for (word, told) in [
        ("api_tokn=token", "hint: did you mean `api_token`?"),
        ("other=token", "no step has a secret `other`"),
        ("api_token=short", "it has fewer than 8 bytes"),
        (
            "api_token=hunter2hunter2",
            "cannot read secret `api_token`: there is no file",
        ),
        (
            "api_token=folder",
            "cannot read secret `api_token` from folder",
        ),
        ("api_token=env:NOTHING", "which is not set"),
        ("api_token=env:GO", "step `show` keeps variable `GO`"),
        (
            "api_token",
            "what stands behind -secret has not the form NAME=FILE",
        ),
        ("=token", "write -secret NAME=FILE"),
    ] {
        let mut command = test.command(["-run", "-secret", word]);
        command.env("GO", "12345678");
        let ran = Running::start(command).end().exits(2);
        // What may be the secret itself.
        ran.says(told).never_says("hunter2");
    }
    // Nor where what is wrong is found before it is looked at.
    for words in [
        &["run", "-secret", "-1hunter2"][..],
        &["run", "-secret", "api_token", "hunter2"],
        &["run", "-secret", "hunter2", "-frehs"],
        &["-secret", "hunter2", "-fresh"],
    ] {
        test.run(words.iter().copied())
            .exits(2)
            .says("NAME=FILE")
            .never_says("hunter2");
    }
    test.run([
        "-run",
        "-secret",
        "api_token=token",
        "-secret",
        "api_token=short",
    ])
    .exits(2)
    .says("is given twice");
    for (keys, told) in [
        ("secrets = ['a-b']", "`a-b` cannot be a secret's name"),
        ("secrets = ['a', 'a']", "secret `a` is listed twice"),
        ("secrets = 'a'", "array"),
        ("secret = ['a']", "did you mean `secrets`?"),
        (
            "secrets = ['a']\nenv = { SECRET_a = '1' }",
            "step `s` has secret `a`, and `SECRET_a` in `env`",
        ),
    ] {
        test.manifest(&format!(
            "[[step]]\nname = 's'\nstart = true\n{keys}\nscript = ':'\n"
        ));
        test.run(["check"]).exits(2).says(told);
    }
    test.manifest(
        "[[step]]\nname = 's'\nstart = true\nsecrets = ['a']\nscript = 'cat $SECRET_b'\n",
    );
    test.run(["check"])
        .exits(0)
        .says("step `s` reads `SECRET_b`, but `b` is not one of its secrets")
        .says("no step reads secret `a`");
}

/// Whoever else looks at the machine finds nothing once a run is gone, however it went.
#[test]
fn nothing_is_left_of_a_run_that_is_killed() {
    let test = Test::with(
        "[[step]]\nname = 's'\nstart = true\nsecrets = ['a']\nscript = 'echo $SECRET_a > place; exec sleep 1000'\n",
    );
    test.write("token", TOKEN);
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(test.path("token"), mode).unwrap();
    let running = test.start(["-run", "-secret", "a=token"]);
    let place = || std::fs::read_to_string(test.path("place")).unwrap_or_default();
    wait_for("the script", || place().ends_with('\n'));
    let path = place().trim_end().to_owned();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), TOKEN);
    running.signal(rustix::process::Signal::KILL);
    running.end();
    assert!(!Path::new(&path).exists());
    test.write("token", "");
    is_nowhere(&test, "");
}
