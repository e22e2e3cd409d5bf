//! Files that change while a run is under way.

use super::{TOOL, end, tool};
use crate::harness::{Test, wait_for};

/// Runs; the step `begin` fails for that, and all that it may have made of it is nowhere.
#[track_caller]
fn fails(test: &Test, what: &str) {
    test.run(["-run"])
        .exits(1)
        .says(&format!(
            "{what}: this run began with what was there before"
        ))
        .says("hint: run again, which takes the files as they are then");
    assert!(!test.finals().contains_key("end"));
    test.tally_is_right();
    test.nothing_temporary_is_left();
}

#[test]
fn a_script_that_changes_its_file_fails_and_nothing_of_it_is_recorded() {
    for (act, what) in [
        (
            "echo echo two > tool.sh",
            "`tool.sh` changed while begin ran",
        ),
        (
            "chmod +x tool.sh",
            "`tool.sh` had its mode changed while begin ran",
        ),
        ("rm tool.sh", "`tool.sh` was removed while begin ran"),
        (
            "echo echo two > tool.sh; exit 3",
            "`tool.sh` changed while begin ran",
        ),
    ] {
        let test = tool();
        test.manifest(&TOOL.replace(
            "> $OUTPUT_DIR/x_last",
            &format!("> $OUTPUT_DIR/x_last; {act}"),
        ));
        fails(&test, what);
        assert_eq!(test.times("begin"), 1);
    }
}

#[test]
fn who_ran_while_a_file_was_written_anew_runs_again() {
    let test = tool();
    let act = "cp tool.sh new; touch -d 2001-01-01 tool.sh; mv new tool.sh";
    let once = format!("[ -e was ] || {{ touch was; {act}; }}");
    let script = |act: &str| {
        let act = format!("> $OUTPUT_DIR/x_last; {act}");
        test.manifest(&TOOL.replace("> $OUTPUT_DIR/x_last", &act));
    };
    script(&once);
    test.run(["-run"])
        .exits(0)
        .says("`tool.sh` was written or replaced while begin ran: it was run again");
    assert_eq!((test.times("begin"), end(&test)), (2, "one\n".to_owned()));
    // Not for ever.
    script(act);
    test.run(["-migrate-tainted", "-run"])
        .exits(1)
        .says("`tool.sh` was written or replaced while begin ran each time");
    assert_eq!(test.times("begin"), 5);
}

#[test]
fn what_a_file_was_for_a_moment_is_in_no_result() {
    let test = tool();
    test.manifest(&TOOL.replace(
        "sh ./tool.sh > $OUTPUT_DIR/x_last",
        "cat fifo; sh ./tool.sh > $OUTPUT_DIR/x_last; cat other",
    ));
    for fifo in ["fifo", "other"] {
        nix::unistd::mkfifo(&test.path(fifo), nix::sys::stat::Mode::S_IRWXU).unwrap();
    }
    let running = test.start(["-run"]);
    wait_for("the task", || test.times("begin") == 1);
    test.write("tool.sh", "echo two; touch read\n");
    test.write("fifo", "");
    wait_for("what it reads", || test.path("read").exists());
    test.write("tool.sh", "echo one\n");
    test.write("other", "");
    wait_for("the task again", || test.times("begin") == 2);
    test.write("fifo", "");
    test.write("other", "");
    running.end().exits(0);
    assert_eq!(end(&test), "one\n");
}

#[test]
fn an_edit_from_outside_fails_what_runs_and_the_next_run_takes_it_in() {
    let test = tool();
    test.manifest(&TOOL.replace(
        "; sh ./tool.sh",
        "; sh ./tool.sh > /dev/null; cat fifo; sh ./tool.sh",
    ));
    nix::unistd::mkfifo(&test.path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let running = test.start(["-run"]);
    wait_for("the task", || test.times("begin") == 1);
    test.write("tool.sh", "echo two\n");
    test.write("fifo", "");
    running
        .end()
        .exits(1)
        .says("`tool.sh` changed while begin ran");
    assert!(!test.finals().contains_key("end"));
    let running = test.start(["-run"]);
    wait_for("the task again", || test.times("begin") == 2);
    test.write("fifo", "");
    running.end().exits(0);
    assert_eq!(end(&test), "two\n");
}

#[test]
fn a_folder_that_a_pattern_looked_into_counts_too() {
    for (act, what) in [
        ("echo x > lib/b", "`lib/b` was added while begin ran"),
        ("rm lib/a", "`lib/a` was removed while begin ran"),
        (
            "mkdir lib/deep; echo x > lib/deep/c",
            "`lib/deep/c` was added while begin ran",
        ),
    ] {
        let test = Test::with(&format!(
            "[[step]]\nname = 'begin'\nstart = true\nfiles = ['lib/**/*', 'keep']\n\
             script = 'echo 1 > $OUTPUT_DIR/end; {act}'\n"
        ));
        test.write("keep", "");
        test.write("lib/0", "0");
        test.write("lib/a", "a");
        fails(&test, what);
    }
}

/// Of a step whose file changed no more tasks start, also not those that were to be tried again; all
/// else goes on.
#[test]
fn no_more_of_the_step_start_and_all_else_goes_on() {
    let test = Test::with(
        "[[step]]\nname = 'begin'\nstart = true\n\
         script = 'for n in 1 2 3 4; do echo $n > $OUTPUT_DIR/${n}_work; done; echo > $OUTPUT_DIR/x_other'\n\
         [[step]]\nname = 'work'\nfiles = ['tool.sh']\nretries = 5\nretry_delay = '1h'\n\
         script = 'echo work >> $COUNT; grep -q changed tool.sh || echo changed > tool.sh'\n\
         [[step]]\nname = 'other'\nscript = 'echo other >> $COUNT; echo > $OUTPUT_DIR/end'\n",
    );
    test.write("tool.sh", "echo one\n");
    let ran = test.run(["-run", "-parallel", "1"]).exits(1);
    ran.says("`tool.sh` changed while work ran");
    assert_eq!((test.times("work"), test.times("other")), (1, 1));
    assert_eq!(test.finals().len(), 1);
    test.write("tool.sh", "changed\n");
    test.run(["-run", "-parallel", "1"]).exits(0);
    assert_eq!(test.times("work"), 5);
}

/// The step's file is another one by the time when its first task starts.
#[test]
fn a_change_before_the_first_task_is_seen_at_its_end() {
    let test = Test::with(
        "[[step]]\nname = 'begin'\nstart = true\n\
         script = 'echo echo two > tool.sh; echo > $OUTPUT_DIR/x_work'\n\
         [[step]]\nname = 'work'\nfiles = ['tool.sh']\nscript = 'sh tool.sh > $OUTPUT_DIR/end'\n",
    );
    test.write("tool.sh", "echo one\n");
    fails(&test, "`tool.sh` changed while work ran");
    test.run(["-run"]).exits(0);
    assert_eq!(end(&test), "two\n");
}

/// A large output is read by the next task while it is hashed; not before it is known that the files
/// were as they were.
#[test]
fn nothing_starts_early_on_a_result_that_is_not_checked() {
    let test = Test::with(
        "[[step]]\nname = 'begin'\nstart = true\nfiles = ['tool.sh']\n\
         script = 'head -c 30000000 /dev/zero > $OUTPUT_DIR/x_work; echo changed > tool.sh'\n\
         [[step]]\nname = 'work'\nscript = 'echo work >> $COUNT; wc -c < $INPUT_FILE > $OUTPUT_DIR/end'\n",
    );
    test.write("tool.sh", "echo one\n");
    fails(&test, "`tool.sh` changed while begin ran");
    assert_eq!(test.times("work"), 0);
    assert_eq!(test.rows("SELECT count(*) FROM task"), ["1"]);
}

/// Tasks whose results are taken over have read nothing.
#[test]
fn what_is_reused_needs_no_look() {
    let test = Test::with(
        "[[step]]\nname = 'begin'\nstart = true\n\
         script = 'echo x > $OUTPUT_DIR/x_work; rm -f gone/tool.sh'\n\
         [[step]]\nname = 'work'\nfiles = ['gone/*']\nscript = 'echo work >> $COUNT; cat gone/* > $OUTPUT_DIR/end'\n",
    );
    test.write("gone/keep", "keep\n");
    test.runs();
    test.write("gone/tool.sh", "new\n");
    // Another version, for which nothing stands in.
    test.run(["-run", "-fresh"]).exits(1);
    test.run(["-run"]).exits(0);
    assert_eq!(test.times("work"), 2);
    test.run(["-run", "-fresh"]).exits(0).says("1 reused");
    assert_eq!(test.times("work"), 2);
}
