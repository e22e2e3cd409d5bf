//! Steps whose tasks get what other steps left besides their inputs (`with`).

use std::fs;

use rustix::process::Signal;

use crate::harness::Test;

/// Words are looked for in an index of two parts, and all is reported on.
fn pipeline() -> &'static str {
    r#"
[[input]]
files = "in/*.txt"
step = "known"
[[input]]
files = "index/*.txt"
step = "index"
[[step]]
name = "index"
script = 'echo index >> $COUNT; test ! -e broken || test $TASK_PIPELINE_KEY != b; sort $INPUT_FILE > $OUTPUT_DIR/words'
[[step]]
name = "known"
with = ["index"]
script = '''
echo known >> $COUNT
cat $WITH_DIR/index/* | sort | comm -12 - $INPUT_FILE > $OUTPUT_DIR/${TASK_PIPELINE_KEY}_merge
ls $WITH_DIR/index > $OUTPUT_DIR/$TASK_PIPELINE_KEY.names
'''
[[step]]
name = "merge"
gather = true
script = 'echo merge >> $COUNT; cat $INPUT_DIR/* > $OUTPUT_DIR/all'
"#
}

fn test() -> Test {
    let test = Test::with(pipeline());
    for folder in ["in", "index"] {
        fs::create_dir(test.path(folder)).unwrap();
    }
    for (name, text) in [
        ("in/1.txt", "four\none\ntwo\n"),
        ("in/2.txt", "five\ntwo\n"),
        ("index/a.txt", "two\n"),
        ("index/b.txt", "one\n"),
    ] {
        test.write(name, text);
    }
    test
}

fn times(test: &Test) -> [usize; 3] {
    ["index", "known", "merge"].map(|step| test.times(step))
}

#[test]
fn each_task_gets_all_that_the_step_left() {
    let test = test();
    test.run(["-run", "-parallel", "4"])
        .exits(0)
        .says("5 run, 0 reused, 0 failed, 0 pending");
    assert_eq!(test.output("all"), "one\ntwo\ntwo\n");
    // Of equal name, but told apart by the keys of what left them.
    assert_eq!(test.output("1.names"), "a_words\nb_words\n");
    test.run(["-run"]).exits(0).says("0 run");
    test.run(["-run", "-fresh"])
        .exits(0)
        .says("0 run, 5 reused");
    assert_eq!(times(&test), [2, 2, 1]);
    assert_eq!(
        test.rows(
            "SELECT count(DISTINCT context), count(context), count(*) FROM task JOIN step
             ON step.id = step_id WHERE step.name = 'known'"
        ),
        ["1|4|4"]
    );
    assert_eq!(
        test.rows("SELECT count(context) FROM task JOIN step ON step.id = step_id WHERE step.name <> 'known'"),
        ["0"]
    );
    test.tally_is_right();
    test.objects_are_whole();
    test.nothing_temporary_is_left();
}

#[test]
fn questions_tell_of_it() {
    let test = test();
    test.runs();
    let task = &test.rows("SELECT min(id) FROM live_task WHERE step = 'known'")[0];
    let tree = test.text(&["trace", task]);
    assert!(tree.contains("with index/a_words"), "{tree}");
    let index = &test.rows("SELECT min(id) FROM task WHERE name = 'words'")[0];
    let tree = test.text(&["trace", index]);
    assert!(tree.contains(&format!("#{task} known")), "{tree}");
    let why = test.text(&["why", task]);
    assert!(why.contains("with: index, 2 files"), "{why}");
    let tasks = test.call(["tasks", "-json", "-step", "known"]);
    let tasks = String::from_utf8(tasks.stdout).unwrap();
    let context = &test.rows("SELECT DISTINCT context FROM task WHERE context IS NOT NULL")[0];
    assert_eq!(tasks.matches(context.as_str()).count(), 2, "{tasks}");
    let check = test.text(&["check"]);
    assert!(
        check.contains("everything from index, once all of it is there"),
        "{check}"
    );
    let graph = test.text(&["graph"]);
    assert!(graph.contains("+ known: given with each input"), "{graph}");
    for (format, says) in [
        ("dot", "label=\"with\", style=dotted"),
        ("mermaid", "-.->|with|"),
        ("svg", "class=\"edge with\""),
    ] {
        let graph = test.text(&["graph", "-format", format]);
        assert!(graph.contains(says), "{graph}");
    }
    let shell = test.text(&[
        "shell",
        "known",
        "--",
        "/bin/sh",
        "-c",
        "ls $WITH_DIR/index",
    ]);
    assert_eq!(shell, "a_words\nb_words\n");
    test.runs();
    assert_eq!(times(&test), [2, 2, 1], "a look changes nothing");
}

#[test]
fn what_changes_comes_or_goes_is_worked_with() {
    let test = test();
    test.runs();
    // The same words in another order are the same index.
    test.write("index/a.txt", "two\n\n");
    test.write("index/a.txt", "two\n");
    test.runs();
    assert_eq!(times(&test), [2, 2, 1]);
    test.write("index/a.txt", "five\n");
    test.runs().says("4 run");
    assert_eq!(test.output("all"), "one\nfive\n");
    assert_eq!(times(&test), [3, 4, 2]);
    test.write("index/c.txt", "two\n");
    test.runs().says("4 run");
    assert_eq!(test.output("all"), "one\ntwo\nfive\ntwo\n");
    fs::remove_file(test.path("index/c.txt")).unwrap();
    test.runs().says("0 run, 3 reused");
    assert_eq!(test.output("all"), "one\nfive\n");
    for name in ["index/a.txt", "index/b.txt"] {
        test.write(name, "none\n");
    }
    test.runs();
    assert_eq!(test.output("all"), "");
    assert_eq!(test.finals().len(), 4);
    // A new input gets what is there.
    test.write("in/3.txt", "none\n");
    test.runs().says("2 run");
    assert_eq!(test.output("all"), "none\n");
    test.tally_is_right();
}

#[test]
fn another_script_and_a_start_further_up_are_followed() {
    let test = test();
    test.runs();
    test.run(["-run", "-start", "index"])
        .exits(0)
        .says("2 run, 3 reused");
    test.manifest(&pipeline().replace("sort $INPUT_FILE >", "sort -u $INPUT_FILE >"));
    test.run(["-run"]).exits(0).says("tainted");
    test.run(["-migrate-tainted", "-run"])
        .exits(0)
        .says("2 run, 3 reused");
    test.manifest(&pipeline().replace("sort $INPUT_FILE >", "sed s/one/five/ $INPUT_FILE >"));
    test.run(["-migrate-tainted", "-run"])
        .exits(0)
        .says("5 run, 0 reused");
    assert_eq!(test.output("all"), "two\nfive\ntwo\n");
    test.tally_is_right();
    // Whom nothing is given any more.
    let plain = pipeline()
        .replace("with = [\"index\"]\n", "")
        .replace("cat $WITH_DIR/index/*", "cat")
        .replace("ls $WITH_DIR/index", "ls")
        .replace("cat |", "cat index/* |");
    test.manifest(&plain);
    test.run(["-migrate-tainted", "-run"]).exits(0);
    assert_eq!(
        test.rows("SELECT count(context) FROM task WHERE live = 1"),
        ["0"]
    );
    test.tally_is_right();
}

#[test]
fn a_failed_one_is_told_and_waited_for() {
    let test = test();
    test.write("broken", "");
    test.run(["-run"])
        .exits(1)
        .says("known: 2 to be done with index, waits for 1 failed");
    let status = test.text(&["status"]);
    assert!(
        status.contains("known: 2 to be done with index, waits for 1 failed"),
        "{status}"
    );
    let json = test.json(&["status", "-json"]);
    assert_eq!(json["waiting"][0]["with"][0], "index", "{json}");
    assert_eq!(json["waiting"][0]["tasks"], 2, "{json}");
    test.run(["-run"])
        .exits(1)
        .says("known: 2 to be done with index, waits for 1 failed");
    let task = &test.rows("SELECT min(id) FROM live_task WHERE step = 'known'")[0];
    let why = test.text(&["why", task]);
    assert!(why.contains("will run once all of that is there"), "{why}");
    // What would be there now.
    let shell = test.text(&[
        "shell",
        "known",
        "--",
        "/bin/sh",
        "-c",
        "ls $WITH_DIR/index",
    ]);
    assert_eq!(shell, "words\n");
    fs::remove_file(test.path("broken")).unwrap();
    test.run(["-run"]).exits(0).says("4 run");
    assert_eq!(test.output("all"), "one\ntwo\ntwo\n");
    test.tally_is_right();
}

#[test]
fn what_is_lost_is_made_again() {
    let test = test();
    test.runs();
    let words = crate::harness::hash(b"two\n");
    fs::remove_file(test.object(&words)).unwrap();
    test.write("in/3.txt", "two\n");
    test.runs();
    assert_eq!(test.output("all"), "one\ntwo\ntwo\ntwo\n");
    test.objects_are_whole();
    test.tally_is_right();
}

#[test]
fn plain_order_needs_nothing() {
    let test = Test::with(
        r#"
[[step]]
name = "begin"
start = true
script = 'echo 1 > $OUTPUT_DIR/last; echo 1 > $OUTPUT_DIR/first'
[[step]]
name = "last"
with = ["first"]
script = 'echo last >> $COUNT; env | grep -c WITH_DIR > $OUTPUT_DIR/none || true'
[[step]]
name = "first"
script = 'echo first >> $COUNT'
"#,
    );
    test.runs();
    assert_eq!(test.count(), ["first", "last"]);
    test.runs().says("0 run");
}

#[test]
fn each_input_is_worked_on_with_each_file() {
    let test = test();
    let pairs = pipeline()
        .replace("with = [\"index\"]", "with = [\"index\"]\neach = true")
        .replace(
            "cat $WITH_DIR/index/* | sort |",
            "test -f $WITH_FILE; sort $WITH_FILE |",
        );
    test.manifest(&pairs);
    test.runs().says("7 run");
    assert_eq!(times(&test), [2, 4, 1]);
    assert_eq!(test.output("1_a_words.names"), "a_words\n");
    assert_eq!(test.output("all"), "two\none\ntwo\n");
    let task = &test.rows("SELECT min(id) FROM live_task WHERE step = 'known'")[0];
    let command = "echo $TASK_PIPELINE_KEY; cat $WITH_FILE";
    let shell = test.text(&["shell", "known", task, "--", "/bin/sh", "-c", command]);
    assert_eq!(shell, "1_a_words\ntwo\n");
    let check = test.text(&["check"]);
    assert!(check.contains("each output of index separately"), "{check}");
    test.runs().says("0 run");
    // One of the files, and one of the inputs.
    test.write("index/a.txt", "five\n");
    test.runs().says("4 run, 2 reused");
    assert_eq!(test.output("all"), "one\nfive\n");
    fs::remove_file(test.path("in/1.txt")).unwrap();
    test.runs();
    assert_eq!(test.output("all"), "five\n");
    assert_eq!(
        test.rows("SELECT count(*) FROM live_task WHERE step = 'known'"),
        ["2"]
    );
    test.tally_is_right();
    // Another script, and back to all at once.
    test.manifest(&pairs.replace("comm -12", "comm -1 -2"));
    test.run(["-run", "-migrate-tainted"])
        .exits(0)
        .says("2 run");
    test.tally_is_right();
    test.manifest(pipeline());
    test.run(["-run", "-migrate-tainted"])
        .exits(0)
        .says("2 run");
    assert_eq!(test.output("all"), "five\n");
    assert_eq!(
        test.rows("SELECT count(*) FROM live_task WHERE step = 'known'"),
        ["1"]
    );
    test.tally_is_right();
}

#[test]
fn killed_at_any_moment_it_is_the_same_in_the_end() {
    let calm = test();
    let whole = calm.run(["-run", "-parallel", "3"]).exits(0).elapsed;
    for part in 1..=10_u32 {
        let test = test();
        for change in [false, true] {
            if change {
                test.write("index/b.txt", "five\n");
            }
            let running = test.start(["-run", "-parallel", "3"]);
            let moment = whole * part / 10;
            let began = std::time::Instant::now();
            crate::harness::wait_for("the moment", || began.elapsed() >= moment);
            running.signal(Signal::KILL);
            running.end();
        }
        test.run(["-run", "-parallel", "3"]).exits(0);
        assert_eq!(test.output("all"), "two\nfive\ntwo\n");
        assert_eq!(
            test.rows("SELECT step, count(*) FROM live_task GROUP BY 1 ORDER BY 1"),
            ["index|2", "known|2", "merge|1"]
        );
        test.tally_is_right();
    }
}

#[test]
fn a_sample_is_run_with_what_was_given() {
    let test = test();
    test.runs();
    test.manifest(&pipeline().replace("echo known >> $COUNT\n", ""));
    test.run(["-migrate-tainted", "-sample", "5"])
        .exits(0)
        .says("known");
    test.run(["-migrate-tainted", "-accept", "known"]).exits(0);
    test.runs().says("0 run");
    // Where something else is given nothing can be compared.
    test.manifest(&pipeline().replace("with = [\"index\"]", "with = [\"index\", \"merge\"]"));
    test.run(["-migrate-tainted", "-sample", "5"])
        .exits(0)
        .says("cannot be compared");
}

#[test]
fn what_cannot_be_meant_is_refused_where_it_stands() {
    let manifest = |begin: &str, x: &str, y: &str| {
        format!(
            "[[step]]\nname = 'begin'\nstart = true\nscript = ':'\n{begin}\n\
             [[step]]\nname = 'x'\nscript = ':'\n{x}\n[[step]]\nname = 'y'\nscript = ':'\n{y}\n"
        )
    };
    for (text, says, line) in [
        (
            manifest("", "with = ['begim']", ""),
            "there is no step `begim`",
            9,
        ),
        (
            manifest("", "with = ['y', 'y']", ""),
            "`y` is listed twice",
            9,
        ),
        (
            manifest("", "with = ['x']", ""),
            "`with` goes in a circle: x → x",
            9,
        ),
        (
            manifest("", "with = ['y']", "with = ['x']"),
            "`with` goes in a circle: x → y → x",
            13,
        ),
        (
            manifest("", "with = ['y']", "from = ['x']"),
            "`from` and `with` go in a circle: x → y → x",
            13,
        ),
        (
            manifest("with = ['x']", "", ""),
            "step `begin` is the start step: all others come after it",
            5,
        ),
        (
            manifest("", "each = true", ""),
            "`each` needs exactly one step in `with`, and step `x` does not have that",
            9,
        ),
        (
            manifest("", "each = true\nwith = ['y']\ngather = true", ""),
            "step `x` gathers, and has `each`",
            9,
        ),
        (
            manifest("", "with = 'y'", ""),
            "`with` must be an array of strings",
            9,
        ),
        (
            format!("[defaults]\nwith = ['y']\n{}", manifest("", "", "")),
            "unknown key `with` in [defaults]",
            2,
        ),
    ] {
        let test = Test::with(&text);
        let told = test.run(["check"]).exits(2).says(says);
        let place = format!("workflow.toml:{line}:");
        assert!(told.stderr.contains(&place), "{told}");
    }
    let test = Test::with(&manifest("", "with = ['begim']", ""));
    test.run(["check"]).exits(2).says("did you mean `begin`?");
}

/// One task after the other by a user who is not root: what is given to them stands as long as nobody does
/// anything to it.
#[test]
fn what_was_given_to_one_task_serves_the_next_that_gets_the_same() {
    let test = Test::with(
        r#"
[[step]]
name = "begin"
start = true
outputs = ["*_work", "r_many"]
script = 'cd $OUTPUT_DIR; for i in 1 2 3 4 5 6; do echo $i > ${i}_work; done; echo x > r_many'
[[step]]
name = "many"
outputs = ["m*"]
script = 'cd $OUTPUT_DIR; for i in $(seq -w 30); do echo $i > m$i; done'
[[step]]
name = "work"
parallel = 1
with = ["many"]
outputs = ["*_plain"]
script = '''
n=$(cat $INPUT_FILE)
cat $WITH_DIR/many/* | tr -d '\n' > $OUTPUT_DIR/${n}_plain
echo " $(stat -c %z $WITH_DIR/many/m01)" >> $OUTPUT_DIR/${n}_plain
if test $n = 3; then rm $WITH_DIR/many/m07; fi
if test $n = 4; then echo other > $WITH_DIR/many/m99; fi
'''
[[step]]
name = "plain"
parallel = 1
outputs = ["*.txt"]
script = 'cp $INPUT_FILE $OUTPUT_DIR/$TASK_PIPELINE_KEY.txt'
"#,
    );
    let Some(ran) = crate::privileges::as_a_user(&test, "exec $PROGRAM -run -parallel 1") else {
        return;
    };
    ran.exits(0).says("14 run, 0 reused");
    let all: Vec<String> = (1..=30).map(|n| format!("{n:02}")).collect();
    let all = all.concat();
    let told = |n: usize| {
        let left = test.output(&format!("{n}.txt"));
        let (files, made) = left.split_once(' ').unwrap();
        assert_eq!(files, all, "{n}");
        made.to_owned()
    };
    let made: Vec<String> = (1..=6).map(told).collect();
    assert_eq!((&made[0], &made[1]), (&made[1], &made[2]), "{made:?}");
    assert!(made[2] != made[3] && made[3] != made[4], "{made:?}");
    test.nothing_temporary_is_left();
}
