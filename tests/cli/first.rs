//! A first run that is killed before its runset is there.

use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::Test;

/// The runner is killed by the command that it asks what comes in: versions are registered by then, and no
/// runset is there.
fn killed(words: &[&str]) -> Test {
    let test = Test::with(
        "[params]\nx = { type = 'int', default = 0 }\ny = { type = 'string', default = 'no' }\n\
         [[input]]\nlines = 'test ! -e kill || kill -9 $PPID; echo a'\nstep = 'work'\n\
         [[step]]\nname = 'work'\nscript = 'echo $PARAM_x $PARAM_y > $OUTPUT_DIR/end'\n",
    );
    kill(&test, words);
    assert_eq!(test.rows("SELECT count(*) FROM runset"), ["0"]);
    test
}

fn kill(test: &Test, words: &[&str]) {
    test.write("kill", "");
    let status = test.command(words).status().unwrap();
    assert_eq!(status.signal(), Some(9));
    std::fs::remove_file(test.path("kill")).unwrap();
}

#[test]
fn its_values_and_its_name_are_remembered() {
    let test = killed(&["-run", "-runset", "one", "-param", "x=1"]);
    // Another one, that says more, and is killed too.
    kill(&test, &["-run", "-param", "y=it's \"$x\""]);
    let told = test.text(&["-run", "-dry-run"]);
    assert!(told.contains("runset one (new)"), "{told}");
    test.runs()
        .says("runset one: new")
        .says("parameters: x=1, y=")
        .never_says("version 2");
    assert_eq!(test.output("end"), "1 it's \"$x\"\n");
    assert_eq!(test.rows("SELECT DISTINCT runset_id FROM param"), ["1"]);
    // It is there: the next one begins with nothing.
    test.run(["-run", "-fresh"])
        .exits(0)
        .never_says("parameters:");
    assert!(test.finals()["end"].contains(&b"0 no\n".to_vec()));
}

#[test]
fn who_begins_anew_or_names_another_one_has_none_of_it() {
    for (words, end) in [
        (&["-run", "-fresh"][..], "0 no\n"),
        (&["-run", "-runset", "other"], "0 no\n"),
        (&["-run", "-runset", "one"], "1 no\n"),
        (&["-run", "-param", "x"], "0 no\n"),
        (&["-run", "-param", "x=2"], "2 no\n"),
        (&["-run", "-fresh", "-param", "y=a"], "0 a\n"),
    ] {
        let test = killed(&["-run", "-runset", "one", "-param", "x=1"]);
        test.run(words).exits(0);
        assert_eq!(test.output("end"), end, "{words:?}");
        // Nor does it come back.
        test.runs().says("0 run");
        let rows = test.rows("SELECT count(*) FROM param WHERE runset_id = 0");
        assert_eq!(rows, ["0"], "{words:?}");
    }
}

/// Whenever it is: no step has a version of values that nobody remembers.
#[test]
fn at_any_moment() {
    for micros in (0..).step_by(900).take(40) {
        let test = Test::with(
            "[params]\nx = { type = 'int', default = 0 }\n\
             [[step]]\nname = 'a'\nstart = true\nscript = 'echo $PARAM_x > $OUTPUT_DIR/end'\n",
        );
        let running = test.start(["-run", "-runset", "one", "-param", "x=1"]);
        std::thread::sleep(Duration::from_micros(micros));
        running.signal(Signal::KILL);
        running.end();
        let known = test.path("db/db").exists()
            && test.rows("SELECT count(*) FROM sqlite_master WHERE name = 'param'") == ["1"]
            && test.rows("SELECT count(*) FROM step") == ["1"];
        test.runs();
        assert_eq!(test.rows("SELECT count(*) FROM step"), ["1"], "{micros}");
        if known {
            assert_eq!(test.output("end"), "1\n", "{micros}");
            assert_eq!(test.rows("SELECT name FROM runset"), ["one"], "{micros}");
        }
    }
}
