//! Parameters: how they are given, who gets them, and what another value has done again.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use crate::harness::{Ran, Running, Test};

const PARAMS: &str = "[params]\nthreshold = { type = 'float', default = 0.5, min = 0, max = 1, help = 'What counts.' }\n\
     label = { type = 'string', default = '' }\nnight = { type = 'string', default = 'none', volatile = true }\n";

/// `begin`, then `work` with that script, then `last`, which uses no parameter.
fn pipeline(params: &str, keys: &str, script: &str) -> String {
    format!(
        "{params}[[step]]\nname = 'begin'\nstart = true\n\
         script = 'echo begin >> $COUNT; echo a > $OUTPUT_DIR/a_work'\n\
         [[step]]\nname = 'work'\n{keys}\nscript = '''echo work >> $COUNT; {script}'''\n\
         [[step]]\nname = 'last'\nscript = 'echo last >> $COUNT; cp $INPUT_FILE $OUTPUT_DIR/end'\n"
    )
}

const SCRIPT: &str = "echo ${PARAM_threshold} > $OUTPUT_DIR/x_last";

fn test() -> Test {
    Test::with(&pipeline(PARAMS, "", SCRIPT))
}

/// Runs with a value from the environment.
fn with_environment(test: &Test, value: &str, words: &[&str]) -> Ran {
    let mut command = test.command(words);
    command.env("TASK_PIPELINE_PARAM_threshold", value);
    Running::start(command).end()
}

#[test]
fn who_gives_a_value_wins_over_who_gave_one() {
    let test = test();
    test.write("p.toml", "threshold = 0.2\n");
    test.write("p.json", "{ \"threshold\": 0.3 }\n");
    // In the newest runset.
    let got = |what: &str| {
        let newest =
            "SELECT object_hash FROM task WHERE name = 'end' AND live ORDER BY id DESC LIMIT 1";
        let object = test.object(&test.rows(newest)[0]);
        assert_eq!(
            std::fs::read_to_string(object).unwrap(),
            format!("{what}\n")
        );
    };
    let again = ["-run", "-migrate-tainted"];
    test.runs().never_says("parameters");
    got("0.5");
    with_environment(&test, "0.1", &again)
        .exits(0)
        .says("parameters: threshold=0.1\n")
        .says("work: version 2, changed: parameter threshold: 0.5 -> 0.1\n");
    got("0.1");
    with_environment(
        &test,
        "0.1",
        &["-run", "-migrate-tainted", "-params", "p.toml"],
    )
    .exits(0);
    got("0.2");
    test.run(["-run", "-migrate-tainted", "-params", "p.json"])
        .exits(0);
    got("0.3");
    // The same number, written otherwise.
    test.run(["-run", "-migrate-tainted", "-param", "threshold=3.0e-1"])
        .exits(0)
        .never_says("version");
    test.run([
        "-run",
        "-migrate-tainted",
        "-params",
        "p.json",
        "-param",
        "threshold=.4",
    ])
    .exits(0);
    got("0.4");
    // It is remembered, and goes with a new runset.
    test.run(["-run"])
        .exits(0)
        .says("parameters: threshold=0.4\n")
        .says(": 0 run, 0 reused, 0 failed, 0 pending");
    test.run(["-run", "-fresh"])
        .exits(0)
        .never_says("parameters");
    got("0.5");
    // So it does by its name alone, whoever gives it besides.
    test.run(["-run", "-migrate-tainted", "-param", "threshold=1"])
        .exits(0);
    got("1.0");
    with_environment(
        &test,
        "0.1",
        &["-run", "-migrate-tainted", "-param", "threshold"],
    )
    .exits(0)
    .never_says("parameters");
    got("0.5");
    test.run(["-run"])
        .exits(0)
        .says(": 0 run, 0 reused, 0 failed, 0 pending");
    let remembered = "SELECT runset_id, value FROM param";
    assert_eq!(test.rows(remembered), ["1|0.4"]);
}

#[test]
fn another_value_taints_those_that_use_it() {
    let test = test();
    test.runs();
    let fingerprints = "SELECT name, fingerprint FROM step WHERE name <> 'work' ORDER BY id";
    let before = test.rows(fingerprints);
    test.run(["-run", "-param", "threshold=0.7"])
        .exits(0)
        .says("work: version 2, changed: parameter threshold: 0.5 -> 0.7\n")
        .says("work: 1 finished task has another version (parameter threshold: 0.5 -> 0.7)")
        .never_says("begin: version")
        .never_says("last: version");
    assert!(
        test.text(&["why", "work"])
            .contains("\n  parameter threshold: 0.5 -> 0.7\n"),
        "{}",
        test.text(&["why", "work"])
    );
    assert!(!test.text(&["status"]).contains("changed since"));
    test.run(["-run", "-migrate-tainted"]).exits(0);
    assert_eq!(test.output("end"), "0.7\n");
    assert_eq!(
        (test.times("begin"), test.times("work"), test.times("last")),
        (1, 2, 2)
    );
    // Two values that alternate are two versions, and both have their results.
    for (value, version) in [("0.5", 1), ("0.7", 2), ("0.5", 1)] {
        test.run([
            "-run",
            "-migrate-tainted",
            "-param",
            &format!("threshold={value}"),
        ])
        .exits(0)
        .says(&format!(
            "work is version {version} again, changed: parameter threshold: "
        ));
        assert_eq!(test.output("end"), format!("{value}\n"));
    }
    assert_eq!(test.times("work"), 2);
    assert_eq!(test.rows("SELECT count(*) FROM step"), ["4"]);
    // Who has no parameters, or uses none, is what it was.
    test.manifest(&pipeline("", "", SCRIPT));
    test.run([""; 0]).exits(0);
    assert_eq!(test.rows(fingerprints), before);
}

#[test]
fn a_step_has_those_that_it_mentions() {
    for (keys, script, has) in [
        ("", "echo none", false),
        ("", "echo $PARAM_thresholds", false),
        ("", ": \\${PARAM_threshold}", true),
        ("params = ['threshold']", "true", true),
        ("env = { A = 'PARAM_threshold' }", "true", true),
        (
            "shell = ['sh', '-e', '-c', 'eval \"$0\"; : PARAM_threshold']",
            "true",
            true,
        ),
        ("files = ['lib.sh']", ". ./lib.sh", true),
    ] {
        let script = format!("printenv PARAM_threshold > $OUTPUT_DIR/x_last || true; {script}");
        let script = script.replace("printenv PARAM_threshold", "env | sed -n s/^PARAM_th.*=//p");
        let test = Test::with(&pipeline(PARAMS, keys, &script));
        test.write("lib.sh", "f() { echo $PARAM_threshold; }\n");
        test.runs();
        let expected = if has { "0.5\n" } else { "" };
        assert_eq!(test.output("end"), expected, "{keys} {script}");
        let ran = test.run(["-run", "-param", "threshold=0.6"]).exits(0);
        let changed = ran
            .stderr
            .contains("work: version 2, changed: parameter threshold");
        assert_eq!(changed, has, "{keys} {script}\n{ran}");
    }
}

#[test]
fn what_the_host_has_under_the_name_passes_to_nobody() {
    let script = "env | grep -c 'PARAM_' > $OUTPUT_DIR/x_last || true";
    let test = Test::with(&pipeline(PARAMS, "", script));
    let mut command = test.command(["-run"]);
    command
        .env("PARAM_threshold", "1")
        .env("TASK_PIPELINE_PARAM_threshold", "1");
    Running::start(command).end().exits(0);
    assert_eq!(test.output("end"), "0\n");
}

#[test]
fn volatile_ones_are_in_no_version() {
    let test = Test::with(&pipeline(
        PARAMS,
        "",
        "echo $PARAM_night > $OUTPUT_DIR/x_last",
    ));
    test.run(["-run", "-param", "night=1"])
        .exits(0)
        .says("parameters: night=1\n");
    assert_eq!(test.output("end"), "1\n");
    test.run(["-run", "-param", "night=2"])
        .exits(0)
        .never_says("version")
        .says(": 0 run, 0 reused, 0 failed, 0 pending");
    // Whoever runs has the new one.
    test.run(["-run", "-start", "begin"]).exits(0);
    assert_eq!(test.times("work"), 1);
    test.manifest(&pipeline(
        PARAMS,
        "cache = false",
        "echo $PARAM_night > $OUTPUT_DIR/x_last",
    ));
    test.run(["-run", "-start", "begin"]).exits(0);
    assert_eq!(test.output("end"), "2\n");
}

#[test]
fn any_text_arrives_however_a_script_is_started() {
    let awkward = "a  'b'\n\"$HOME\" `c` * = \\ \u{1b}[1m ä";
    for (keys, script, launch) in [
        (
            "",
            "seq -s \"$PARAM_label\" 2 > \"$OUTPUT_DIR/out\"",
            "direct",
        ),
        (
            "warm = false",
            "x=1; seq -s \"${PARAM_label}\" 2 > $OUTPUT_DIR/out",
            "shell",
        ),
        (
            "warm = true",
            "x=1; seq -s \"${PARAM_label}\" 2 > $OUTPUT_DIR/out",
            "warm",
        ),
        (
            "pure = true\nkeep = ['PATH']",
            "seq -s \"$PARAM_label\" 2 > \"$OUTPUT_DIR/out\"",
            "direct",
        ),
    ] {
        let test = Test::with(&format!(
            "{PARAMS}[[input]]\nlines = 'seq 3'\nstep = 'one'\n\
             [[step]]\nname = 'one'\n{keys}\nscript = '{script}'\n"
        ));
        let label = format!("label={awkward}");
        test.run(["-run", "-trace", "t", "-parallel", "1", "-param", &label])
            .exits(0);
        let expected = format!("1{awkward}2\n").into_bytes();
        assert_eq!(test.finals()["out"], vec![expected; 3], "{script}");
        if cfg!(target_os = "linux") {
            let launches = test.launches("t", |_| true);
            assert_eq!(launches.last().unwrap(), launch, "{keys} {script}");
        }
        // As a file has it, too.
        let json = serde_json::json!({ "label": awkward }).to_string();
        test.write("p.json", json);
        test.run(["-run", "-params", "p.json"])
            .exits(0)
            .never_says("version");
    }
    // Without quotes a shell splits it.
    let script = "seq -s $PARAM_label 2 > \"$OUTPUT_DIR/out\"";
    let test = Test::with(&format!(
        "{PARAMS}[[step]]\nname = 'one'\nstart = true\nscript = '{script}'\n"
    ));
    test.run(["-run", "-param", "label=a b"]).exits(1);
    test.run(["-run", "-param", "label=-", "-trace", "t"])
        .exits(0);
    assert_eq!(test.output("out"), "1-2\n");
}

#[test]
fn commands_of_inputs_have_those_that_they_mention() {
    let test = Test::with(
        "[params]\nfolder = { type = 'string', default = 'one' }\n\
         [[input]]\nlines = 'ls \"$PARAM_folder\"'\nstep = 'a'\n\
         [[step]]\nname = 'a'\nscript = 'cp $INPUT_FILE $OUTPUT_DIR/$TASK_PIPELINE_KEY'\n",
    );
    test.write("one/x", "");
    test.write("o ther/y", "");
    test.write("o ther/z", "");
    test.run(["-run"]).exits(0).says("inputs: 1 new");
    test.run(["-run", "-param", "folder=o ther"])
        .exits(0)
        .says("inputs: 2 new, 1 gone");
    assert_eq!(test.finals().keys().collect::<Vec<_>>(), ["y", "z"]);
    // Remembered.
    test.run(["-run"]).exits(0).says("inputs: 2 unchanged");
}

#[test]
fn what_is_no_value_is_an_error_before_anything_runs() {
    let params = format!("{PARAMS}n = {{ type = 'int' }}\n");
    let test = Test::with(&pipeline(&params, "", SCRIPT));
    test.write("nested.json", "{ \"n\": { \"a\": 1 } }");
    test.write("broken.json", "{ \"n\": 1,\n  \"label\" }");
    test.write("twice.toml", "n = 1\nn = 2\n");
    test.write("latin.toml", b"label = '\xe4'\n");
    std::fs::create_dir(test.path("folder")).unwrap();
    let large = format!("label={}", "x".repeat((128 << 10) - 10));
    for (words, told) in [
        (
            &[][..],
            "error: parameter `n` has no default and is not given\nhint: -param n=…; ",
        ),
        (
            &["-param", "n=1.5"],
            "error: -param n: `1.5` is not a whole number of 64 bits\n",
        ),
        (
            &["-param", "n="],
            "error: -param n: \"\" is not a whole number",
        ),
        (
            &["-param", "treshold=1"],
            "error: there is no parameter `treshold`\nhint: did you mean `threshold`?\n",
        ),
        (
            &["-param", "threshold=2"],
            "error: -param threshold: 2.0 is more than 1.0\n",
        ),
        (
            &["-param", "n=1", "-param", "n=1"],
            "parameter `n` is given twice with -param\n",
        ),
        (&["-param", "n"], "error: parameter `n` has no default"),
        (
            &["-params", "none.toml"],
            "error: cannot read the parameters in none.toml: No such file",
        ),
        (
            &["-params", "folder"],
            "error: cannot read the parameters in folder: Is a directory",
        ),
        (
            &["-params", "latin.toml"],
            "error: the parameters in latin.toml are not UTF-8 text (line 1)",
        ),
        (
            &["-params", "nested.json"],
            "error: parameter `n` must be a whole number, not an object\n --> nested.json:1:8\n",
        ),
        (&["-params", "broken.json"], " --> broken.json:2:11\n"),
        (
            &["-params", "twice.toml"],
            "error: `n` is defined twice\n --> twice.toml:2:1\n",
        ),
        (
            &["-param", "n=1", "-param", &large],
            "with its name the parameter label has ",
        ),
    ] {
        let words = [&["-run"][..], words].concat();
        test.run(&words).exits(2).says(told);
        assert!(
            !words.contains(&"-params")
                || test.run(&words).stderr.contains("hint: ")
                || words[2] == "twice.toml"
                || words[2] == "broken.json"
        );
    }
    // What a command line takes is more than a program can be passed by the shell that tests it.
    let mut command = test.command(["-run", "-param"]);
    command.arg(OsStr::from_bytes(b"label=\xe4"));
    Running::start(command)
        .end()
        .exits(2)
        .says("it is not UTF-8 text");
    test.write(
        "large.json",
        format!("{{\"n\": 1, \"label\": \"{}\"}}", "x".repeat(1 << 20)),
    );
    test.run(["-run", "-params", "large.json"]).exits(2).says(
        "with its name the parameter label has 1048588 bytes, and this system passes at most",
    );
    let mut command = test.command(["-run", "-param", "n=1"]);
    command.env("TASK_PIPELINE_PARAM_lable", "1");
    Running::start(command)
        .end()
        .exits(0)
        .says("warning: TASK_PIPELINE_PARAM_lable is set, and there is no parameter `lable`\nhint: did you mean `label`?");
    assert_eq!(test.times("work"), 1);
    // What was given may be no value any more.
    test.manifest(&pipeline(&params.replace("'int'", "'bool'"), "", SCRIPT));
    test.run(["-run"])
        .exits(2)
        .says("parameter `n`, as runset `")
        .says("`1` is not true or false\nhint: -param n=… gives another value");
    assert!(
        test.text(&["status"])
            .contains("the next -run would fail:\nerror: parameter `n`")
    );
}

#[test]
fn runsets_with_other_values_run_one_by_one() {
    let test = test();
    test.run(["-run", "-runset", "a", "-param", "threshold=0.1"])
        .exits(0);
    test.run(["-run", "-runset", "b", "-param", "threshold=0.2"])
        .exits(0);
    let all = ["-run", "-migrate-tainted", "-runset", "all"];
    test.run(all)
        .exits(2)
        .says("parameter `threshold` is `0.2` in runset `b` and `0.1` in runset `a`: they cannot run together\n");
    test.run(["-run", "-runset", "a"])
        .exits(0)
        .says("parameters: threshold=0.1\n")
        .never_says("another version");
    test.run([&all[..], &["-param", "threshold=0.3"]].concat())
        .exits(0);
    test.run(all)
        .exits(0)
        .says(": 0 run, 0 reused, 0 failed, 0 pending");
}

#[test]
fn who_only_looks_changes_nothing() {
    let test = test();
    test.runs();
    let rows = || test.rows("SELECT name, version, current FROM step");
    let before = rows();
    test.run(["-run", "-dry-run", "-param", "threshold=0.7"])
        .exits(0)
        .prints("work: 1 tainted task would stay (parameter threshold: 0.5 -> 0.7)");
    test.run(["-param", "threshold=0.7"])
        .exits(0)
        .prints("1 tainted task: work 1 (parameter threshold: 0.5 -> 0.7)");
    assert_eq!(rows(), before);
    test.run(["-migrate-tainted", "-param", "threshold=0.7"])
        .exits(0);
    test.run(["-run"])
        .exits(0)
        .says("parameters: threshold=0.7\n");
    assert_eq!(test.output("end"), "0.7\n");
}

#[test]
fn they_are_listed_and_what_is_none_is_warned_of() {
    let script = "echo ${PARAM_treshold} $PARAM_threshold > $OUTPUT_DIR/x_last";
    let test = Test::with(&pipeline(PARAMS, "", script));
    test.run(["check"])
        .exits(0)
        .prints("  params    threshold\n")
        .prints("parameters\n  label      string, default \"\"\n  night      string, default none, volatile\n  threshold  float, default 0.5, at least 0.0, at most 1.0: What counts.\n")
        .says("warning: step `work` reads `PARAM_treshold`, but there is no parameter `treshold`\n  --> workflow.toml:12:39\n")
        .says("hint: did you mean `threshold`?\n");
    test.run(["check", "-param", "threshold=7"]).exits(2);
    test.run(["-run", "-strict"])
        .exits(1)
        .says("there is no parameter `treshold`");
    test.run(["-help"])
        .exits(0)
        .prints("Parameters of workflow.toml:\n  label      string");
    assert!(
        !test
            .run(["check", "-help"])
            .stdout
            .contains("Parameters of")
    );
    let words = test.text(&["complete", "--", "-run", "-param", "thr"]);
    assert_eq!(
        words,
        "threshold=\tfloat, default 0.5, at least 0.0, at most 1.0\n"
    );
}

/// The runner is killed by the command that it asks what comes in: versions are registered by then.
#[test]
fn a_run_that_is_killed_has_remembered_what_it_was_given() {
    let params = "[params]\nx = { type = 'int', default = 0 }\n";
    let test = Test::with(&format!(
        "{params}[[input]]\nlines = 'echo $PARAM_x >> asked; test ! -e kill || kill -9 $PPID; echo a'\nstep = 'work'\n\
         [[step]]\nname = 'work'\nscript = 'echo $PARAM_x > $OUTPUT_DIR/end'\n"
    ));
    test.runs();
    assert_eq!(test.output("end"), "0\n");
    for (word, value) in [("x=1", "1"), ("x=2", "2"), ("x", "0")] {
        test.write("kill", "");
        let mut killed = test.command(["-run", "-migrate-tainted", "-param", word]);
        let status = killed.status().unwrap();
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&status),
            Some(9)
        );
        std::fs::remove_file(test.path("kill")).unwrap();
        let made = test.rows("SELECT count(*) FROM step WHERE name = 'work' AND current");
        assert_eq!(made, ["1"]);
        test.run(["-run", "-migrate-tainted"])
            .exits(0)
            .never_says("changed: parameter");
        assert_eq!(test.output("end"), format!("{value}\n"));
        let asked = test.read("asked");
        assert!(asked.ends_with(&format!("{value}\n{value}\n")), "{asked}");
    }
    // Another pipeline's runset remembers nothing, and one that is refused has no version either.
    test.write(
        "other.toml",
        format!("{params}[[step]]\nname = 'b'\nstart = true\nscript = 'echo $PARAM_x'\n"),
    );
    test.run(["-run", "-manifest", "other.toml", "-param", "x=7"])
        .exits(2);
    assert_eq!(test.rows("SELECT count(*) FROM param"), ["0"]);
}
