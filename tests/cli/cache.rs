//! Results that are shared (`-cache`, `-cache-push`): by a folder, by a server, by those who cannot be trusted.

mod bucket;
mod server;

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::atomic::Ordering;

use self::server::{Manner, Server};
use crate::harness::{Ran, Running, Test};

/// A start step that makes ten inputs, and a step that takes note of each that it is executed on.
const PIPELINE: &str = r#"
[[step]]
name = "begin"
start = true
script = 'for n in 1 2 3 4 5 6 7 8 9 10; do echo $n > $OUTPUT_DIR/${n}_work; done'

[[step]]
name = "work"
share = true
folders = true
script = '''
echo work >> $COUNT
cp $INPUT_FILE $OUTPUT_DIR/out.txt
mkdir $OUTPUT_DIR/dir
echo "in a folder" > $OUTPUT_DIR/dir/file
ln -s file $OUTPUT_DIR/dir/link
echo said
'''
"#;

/// With a key of that name in `NAME.secret` and `NAME.public`.
fn with_key(name: &str) -> Test {
    let test = Test::with(PIPELINE);
    key(&test, name);
    test
}

fn key(test: &Test, name: &str) {
    let public = test.text(&["cache-key", name, &format!("{name}.secret")]);
    test.write(&format!("{name}.public"), public);
}

fn url(test: &Test) -> String {
    format!("file://{}", test.path("cache").display())
}

fn push(test: &Test, db: &str) -> Ran {
    let url = url(test);
    test.run([
        "-run",
        "-db",
        db,
        "-cache-push",
        &url,
        "-cache-key",
        "lab.secret",
    ])
}

fn take(test: &Test, db: &str, more: &[&str]) -> Ran {
    let url = url(test);
    let mut arguments = vec!["-run", "-db", db, "-cache", &url];
    arguments.extend(more);
    test.run(arguments)
}

#[test]
fn what_one_has_executed_another_takes() {
    let test = with_key("lab");
    let ran = push(&test, "one");
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(ran.stderr.contains("11 run, 0 reused, 0 failed"), "{ran:?}");
    assert!(ran.stderr.contains("10 results put in file://"), "{ran:?}");
    let ran = take(&test, "two", &["-cache-trust", "lab.public"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    let words = "1 run, 0 reused, 10 from a cache, 0 failed, 0 pending, 20 final outputs";
    assert!(ran.stderr.contains(words), "{ran:?}");
    assert_eq!(test.times("work"), 10);
    for db in ["one", "two"] {
        test.text(&["export", "-db", db, "-to", &format!("{db}.out")]);
    }
    let same = test
        .shell("diff -r one.out two.out && ls -l two.out")
        .output()
        .unwrap();
    assert!(same.status.success(), "{same:?}");
    // What it is told of.
    let why = test.text(&["why", "2", "-db", "two"]);
    assert!(why.contains("its result was made by lab (file://"), "{why}");
    let log = test.text(&["log", "work", "-db", "two"]);
    let words = "(was not executed here; what was written is with lab (file://";
    assert!(log.contains(words), "{log}");
    // It is this db's from now on, and nobody is asked.
    std::fs::remove_dir_all(test.path("cache")).unwrap();
    let ran = test.run(["-run", "-fresh", "-db", "two"]);
    assert!(ran.stderr.contains("1 run, 10 reused, 0 failed"), "{ran:?}");
    let verified = test.run(["verify", "-db", "two"]);
    assert_eq!(verified.status, 0, "{verified:?}");
}

#[test]
fn events_say_what_came_from_where() {
    let test = with_key("lab");
    let url = url(&test);
    let arguments = [
        "-cache-push",
        &url,
        "-cache-key",
        "lab.secret",
        "-log-format",
        "json",
    ];
    let ran = test.run(["-run", "-db", "one"].iter().chain(&arguments));
    assert!(
        ran.stderr.contains(r#""event":"pushed","to":"file://"#),
        "{ran:?}"
    );
    let ran = test.run(["-run", "-db", "two"].iter().chain(&arguments));
    assert!(
        ran.stderr.contains(r#""shared_by":"lab (file://"#),
        "{ran:?}"
    );
    assert!(ran.stderr.contains(r#""shared":10"#), "{ran:?}");
    assert!(!ran.stderr.contains(r#""event":"pushed""#), "{ran:?}");
}

#[test]
fn nobody_is_believed_who_is_not_trusted() {
    let test = with_key("lab");
    push(&test, "one");
    key(&test, "other");
    // Another key of the same name.
    std::fs::create_dir(test.path("sub")).unwrap();
    let forged = test.text(&["cache-key", "lab", "sub/lab.secret"]);
    for (db, trust, words) in [
        (
            "a",
            test.read("other.public"),
            "is signed by lab, who is not trusted",
        ),
        ("b", forged, "was not signed by lab"),
    ] {
        let ran = take(&test, db, &["-cache-trust", trust.trim()]);
        assert_eq!(ran.status, 0, "{ran:?}");
        assert_eq!(ran.stderr.matches(words).count(), 1, "{ran:?}");
        assert!(ran.stderr.contains("11 run, 0 reused, 0 failed"), "{ran:?}");
    }
    let ran = take(&test, "c", &[]);
    assert!(ran.stderr.contains("as nobody is trusted"), "{ran:?}");
    assert!(ran.stderr.contains("11 run, 0 reused, 0 failed"), "{ran:?}");
}

#[test]
fn what_the_manifest_names_is_asked_unless_the_call_says_no() {
    let test = with_key("lab");
    push(&test, "one");
    test.manifest(&format!("[cache]\nurls = [{:?}]\n{PIPELINE}", url(&test)));
    let trust = ["-run", "-cache-trust", "lab.public"];
    let ran = test.run(["-db", "two"].iter().chain(&trust));
    assert!(ran.stderr.contains("10 from a cache"), "{ran:?}");
    let ran = test.run(["-db", "three", "-run", "-no-cache"]);
    assert!(ran.stderr.contains("11 run, 0 reused, 0 failed"), "{ran:?}");
    assert!(!ran.stderr.contains("trusted"), "{ran:?}");
    let mut command = test.command(["-db", "four", "-run"]);
    command.env("TASK_PIPELINE_CACHE_TRUST", test.read("lab.public"));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("10 from a cache"), "{said}");
}

#[test]
fn the_key_may_be_in_a_variable_which_no_script_sees() {
    let test = with_key("lab");
    test.manifest(&PIPELINE.replace("echo said", "echo \"key ${TASK_PIPELINE_CACHE_KEY-none}\""));
    let url = url(&test);
    let mut command = test.command(["-run", "-cache-push", &url]);
    command.env("TASK_PIPELINE_CACHE_KEY", test.read("lab.secret"));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("10 results put in"), "{said}");
    let log = test.text(&["log", "2"]);
    assert!(log.contains("key none"), "{log}");
}

#[test]
fn mistakes_are_told_before_anything_runs() {
    let test = with_key("lab");
    let secret = test.read("lab.secret");
    let refused = |arguments: &[&str], words: &str| {
        let ran = test.run(["-run"].iter().chain(arguments));
        assert_eq!(ran.status, 2, "{arguments:?}: {ran:?}");
        assert!(ran.stderr.contains(words), "{arguments:?}: {ran:?}");
        assert!(ran.stderr.contains("hint: "), "{arguments:?}: {ran:?}");
        assert!(!ran.stderr.contains(&secret[10..40]), "{ran:?}");
        assert!(test.count().is_empty());
    };
    refused(&["-cache", "/srv/x"], "it has no scheme");
    refused(&["-cache", "ftp://x/y"], "its scheme is unknown");
    refused(&["-cache-push", "file:///tmp/x"], "needs a key to sign");
    refused(
        &["-cache-push", "https://h/x", "-cache-key", "lab.secret"],
        "only read",
    );
    let push = ["-cache-push", "file:///tmp/x", "-cache-key"];
    let with = |key| [push[0], push[1], push[2], key];
    refused(
        &["-cache-key", "lab.secret"],
        "signs nothing without -cache-push",
    );
    refused(&with("nothing"), "cannot read the key");
    refused(&with("lab.public"), "is a public one");
    refused(&with("workflow.toml"), "has no secret key");
    refused(&with("env:NOTHING"), "it is not set");
    refused(&with(secret.trim()), "may be the secret key itself");
    refused(&with("ci-2:hunter2"), "may be the secret key itself");
    // What is before a colon in a file that is no key may be one, too.
    test.write("other", secret.replacen(':', " ", 1).replacen('=', ":", 1));
    refused(&with("other"), "has no secret key");
    let said = test.run(["-cache-key", secret.trim()]).exits(2);
    let said = said.says("-cache-key FILE");
    assert!(!said.stderr.contains(&secret[10..40]), "{said}");
    test.run(["cache-key", "lab", "-"])
        .exits(2)
        .says("goes to a file");
    let trust = |key| ["-cache", "file:///tmp/x", "-cache-trust", key];
    refused(&trust("lab.secret"), "is a secret one");
    refused(&trust("nothing"), "cannot read who is trusted");
    refused(&trust("lab:AAAA"), "is no key");
    test.manifest(&format!("[cache]\nurls = [\"ftp://x\"]\n{PIPELINE}"));
    refused(&[], "its scheme is unknown");
}

#[test]
fn keys_are_made_once_and_are_ones_own() {
    let test = with_key("lab");
    let mode = std::fs::metadata(test.path("lab.secret"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = test.read("lab.secret");
    assert!(test.read("lab.public").starts_with("lab:"));
    let again = test.run(["cache-key", "lab", "lab.secret"]);
    assert_eq!(again.status, 2, "{again:?}");
    assert!(again.stderr.contains("is there already"), "{again:?}");
    assert_eq!(test.read("lab.secret"), before);
    let bad = test.run(["cache-key", "a b", "other"]);
    assert_eq!(bad.status, 2, "{bad:?}");
}

#[test]
fn a_folder_that_cannot_be_written_to_harms_nothing() {
    let test = with_key("lab");
    test.write("cache", "a file");
    let ran = push(&test, "one");
    assert_eq!(ran.status, 0, "{ran:?}");
    assert_eq!(
        ran.stderr
            .matches("is not used any more in this run")
            .count(),
        1,
        "{ran:?}"
    );
    assert!(ran.stderr.contains("10 results are not in"), "{ran:?}");
}

/// The program, which finds buckets at the server.
fn with_buckets(test: &Test, server: &Server, arguments: &[&str]) -> Command {
    let mut command = test.command(arguments);
    command
        .env("AWS_ENDPOINT_URL", server.url())
        .env("AWS_ACCESS_KEY_ID", "somebody")
        .env("AWS_SECRET_ACCESS_KEY", "unknown")
        .env("AWS_REGION", "here-1");
    command
}

#[test]
fn a_bucket_has_results_and_a_server_of_its_files_gives_them() {
    let test = with_key("lab");
    std::fs::create_dir(test.path("served")).unwrap();
    let server = Server::start(&test.path("served"), Manner::Well);
    let push = [
        "-cache-push",
        "s3://bucket/a/prefix",
        "-cache-key",
        "lab.secret",
    ];
    let run = |db: &str| {
        let arguments: Vec<&str> = ["-run", "-db", db].into_iter().chain(push).collect();
        Running::start(with_buckets(&test, &server, &arguments)).end()
    };
    let ran = run("one");
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(
        ran.stderr
            .contains("10 results put in s3://bucket/a/prefix"),
        "{ran:?}"
    );
    let ran = run("two");
    assert!(ran.stderr.contains("10 from a cache"), "{ran:?}");
    assert!(!ran.stderr.contains("results put in"), "{ran:?}");
    let url = format!("{}/bucket/a/prefix", server.url());
    let trust = ["-cache", &url, "-cache-trust", "lab.public"];
    let ran = test.run(["-run", "-db", "three"].iter().chain(&trust));
    assert!(ran.stderr.contains("10 from a cache"), "{ran:?}");
    assert_eq!(test.times("work"), 10);
    let why = test.text(&["why", "2", "-db", "three"]);
    assert!(why.contains(&format!("made by lab ({url})")), "{why}");
}

#[test]
fn what_is_forbidden_as_it_is_not_there_is_no_refusal_of_all() {
    let test = with_key("lab");
    std::fs::create_dir(test.path("served")).unwrap();
    let well = Server::start(&test.path("served"), Manner::Well);
    let push = [
        "-run",
        "-db",
        "one",
        "-cache-push",
        "s3://bucket",
        "-cache-key",
        "lab.secret",
    ];
    Running::start(with_buckets(&test, &well, &push)).end();
    let results = test.path("served/bucket/results");
    let first = std::fs::read_dir(results).unwrap().next().unwrap().unwrap();
    std::fs::remove_dir_all(first.path()).unwrap();
    let guarded = Server::start(&test.path("served"), Manner::Guarded);
    let url = format!("{}/bucket", guarded.url());
    let ran = test.run([
        "-run",
        "-db",
        "two",
        "-cache",
        &url,
        "-cache-trust",
        "lab.public",
    ]);
    assert!(!ran.stderr.contains("not used"), "{ran:?}");
    assert!(ran.stderr.contains(" from a cache"), "{ran:?}");
    assert!(ran.stderr.contains("0 failed, 0 pending"), "{ran:?}");
}

#[test]
fn whoever_refuses_or_is_not_there_is_told_once() {
    let test = with_key("lab");
    let refusing = Server::start(&test.path("."), Manner::Refusing);
    let nobody = "http://127.0.0.1:1/cache";
    for (db, url) in [("a", &*refusing.url()), ("b", nobody)] {
        let from = ["-cache", url, "-cache-trust", "lab.public"];
        let ran = test.run(["-run", "-db", db].iter().chain(&from));
        assert_eq!(ran.status, 0, "{ran:?}");
        let words = format!("cache {url} is not used any more in this run");
        assert_eq!(ran.stderr.matches(&words).count(), 1, "{ran:?}");
        assert!(ran.stderr.contains("hint: check the address"), "{ran:?}");
        assert!(ran.stderr.contains("0 failed, 0 pending"), "{ran:?}");
    }
    assert!(refusing.requests.load(Ordering::Relaxed) < 5);
    let push = [
        "-run",
        "-db",
        "two",
        "-cache-push",
        "s3://bucket",
        "-cache-key",
        "lab.secret",
    ];
    let ran = Running::start(with_buckets(&test, &refusing, &push)).end();
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(
        ran.stderr.contains("hint: check AWS_ACCESS_KEY_ID"),
        "{ran:?}"
    );
    assert!(
        ran.stderr.contains("10 results are not in s3://bucket"),
        "{ran:?}"
    );
}

#[test]
fn whoever_is_silent_is_done_without_after_one_time_out() {
    let test = with_key("lab");
    let silent = Server::start(&test.path("."), Manner::Silent);
    let ran = test.run([
        "-run",
        "-cache",
        &silent.url(),
        "-cache-trust",
        "lab.public",
    ]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert_eq!(
        ran.stderr.matches("no answer within 10 s").count(),
        1,
        "{ran:?}"
    );
    assert!(ran.stderr.contains("11 run, 0 reused, 0 failed"), "{ran:?}");
    assert_eq!(silent.requests.load(Ordering::Relaxed), 1);
}

#[test]
fn half_a_credential_is_told_before_anything_runs() {
    let test = with_key("lab");
    let mut command = test.command([
        "-run",
        "-cache-push",
        "s3://bucket",
        "-cache-key",
        "lab.secret",
    ]);
    command.env("AWS_ACCESS_KEY_ID", "somebody");
    let ran = Running::start(command).end();
    assert_eq!(ran.status, 2, "{ran:?}");
    assert!(
        ran.stderr.contains("AWS_SECRET_ACCESS_KEY only one is set"),
        "{ran:?}"
    );
    assert!(test.count().is_empty());
}

#[test]
fn check_says_what_holds_of_a_cache() {
    let test = with_key("lab");
    let url = url(&test);
    let check = |more: &[&str]| {
        let mut words = vec!["check"];
        words.extend(more);
        test.run(words)
    };
    assert!(!check(&[]).exits(0).stdout.contains("cache"));
    let trusting = ["-cache", &url, "-cache-trust", "lab.public"];
    check(&trusting)
        .exits(2)
        .prints("  trusted   lab\n")
        .says("there is no cache at that address")
        .says("hint: check the address");
    test.run(["-run"].iter().chain(&trusting))
        .exits(0)
        .says("there is no cache at that address");
    let pushing = ["-cache-push", &url, "-cache-key", "lab.secret"];
    check(&pushing)
        .exits(0)
        .prints("  signs     lab:")
        .prints("nothing was there yet\n  write     what is put there comes back\n")
        .prints("shared cache: everything works\n");
    check(&trusting)
        .exits(0)
        .prints("results of this program's form are there");
    // What a run refuses this does, too, and what it would only tell.
    key(&test, "other");
    let other = test.read("other.public").replace("other:", "lab:");
    test.write("wrong.public", other);
    let mut wrong = pushing.to_vec();
    wrong.extend(["-cache-trust", "wrong.public"]);
    check(&wrong)
        .exits(2)
        .says("another key is trusted under that name");
    check(&["-cache-push", &url]).exits(2).says("needs a key");
    test.write("cache/task-pipeline-cache", "task-pipeline cache 2\n");
    check(&trusting).exits(2).says("of another form");
    let server = Server::start(&test.path("cache"), Manner::Refusing);
    check(&["-cache", &server.url(), "-cache-trust", "lab.public"])
        .exits(2)
        .says("hint: check the address");
}

#[test]
fn a_dry_run_says_what_would_be_taken() {
    let test = with_key("lab");
    push(&test, "one").exits(0);
    let url = url(&test);
    let dry = |more: &[&str]| {
        let mut words = vec!["-run", "-dry-run", "-db", "two"];
        words.extend(more);
        test.run(words).exits(0).stdout
    };
    // Its tasks fail where they cannot take note.
    let mut command = test.command(["-run", "-db", "two"]);
    command.env_remove("COUNT");
    Running::start(command).end().exits(1);
    let without = dry(&[]);
    assert!(
        without.contains("would run 10 (10 failed last time)"),
        "{without}"
    );
    let from = ["-cache", &url, "-cache-trust", "lab.public"];
    let told = dry(&from);
    assert!(
        told.contains("would take 10 from a shared cache\n"),
        "{told}"
    );
    assert!(told.contains("those that run, or are taken"), "{told}");
    // Nobody else's, and not what somebody changed.
    key(&test, "other");
    let told = dry(&["-cache", &url, "-cache-trust", "other.public"]);
    assert!(told.contains("would run 10 "), "{told}");
    // It is as it says.
    let mut words = vec!["-run", "-db", "two"];
    words.extend(from);
    test.run(words).exits(0).says("10 from");
}
