//! What `gc` removes, and what it must not.

mod beside;
pub mod common;
mod full;
pub mod model;
mod nights;
pub mod world;

use std::fs;

use common::{PIPELINE, add, fresh, is_whole, objects, rows, three};

use rustix::process::Signal;

use crate::harness::{Running, Test, wait_for};

#[test]
fn without_options_only_that_goes_which_nothing_needs() {
    let test = three();
    let (before, recorded) = (objects(&test), rows(&test));
    let extra = add(&test, b"left by a task that failed");
    fs::create_dir_all(test.path("db/objects/ab/cd")).unwrap();
    test.write("db/objects/ab/cd/mine", "of somebody");
    test.write("db/objects/aside/x", "put aside");
    let told = test.json(&["gc", "-dry-run", "-json"]);
    assert_eq!(told["removed"]["objects"], 1, "{told}");
    assert!(objects(&test).contains(&extra));
    let done = test.json(&["gc", "-json"]);
    assert_eq!(
        (&done["removed"], &done["kept"]),
        (&told["removed"], &told["kept"])
    );
    assert_eq!(done["possible"]["runsets"], 2, "{done}");
    let mut after = objects(&test);
    assert!(after.remove("abcdmine") && after.remove("asidex"));
    assert_eq!(after, before);
    assert_eq!(rows(&test), recorded);
    let said = test.text(&["gc"]);
    assert!(said.starts_with("removed nothing\nkept "), "{said}");
    assert!(said.contains("-keep-runsets N can free up to "), "{said}");
}

#[test]
fn with_runsets_that_go_go_the_objects_that_they_alone_need() {
    let test = three();
    let told = test.json(&["gc", "-dry-run", "-keep-runsets", "1", "-json"]);
    let before = (objects(&test), rows(&test));
    assert_eq!(
        told["removed"]["runsets"],
        serde_json::json!(["two", "one"])
    );
    let done = test.json(&["gc", "-keep-runsets", "1", "-json"]);
    assert_eq!(
        (&done["removed"], &done["kept"]),
        (&told["removed"], &told["kept"])
    );
    assert_ne!((objects(&test), rows(&test)), before);
    assert_eq!(test.rows("SELECT DISTINCT runset FROM task"), ["three"]);
    assert_eq!(test.rows("SELECT name FROM runset"), ["three"]);
    is_whole(&test, "three");
    // A db that never had the others has the same objects.
    let alone = Test::with(PIPELINE);
    fresh(&alone, "three");
    let same = |test: &Test| test.rows("SELECT DISTINCT object_hash FROM task ORDER BY 1");
    assert_eq!(same(&test), same(&alone));
    let again = test.text(&["gc", "-keep-runsets", "1"]);
    assert!(again.starts_with("removed nothing\n"), "{again}");
    test.refusal(&["status", "-runset", "one"]);
}

#[test]
fn what_was_taken_over_from_a_runset_that_goes_stays_with_what_it_wrote() {
    let test = Test::with(PIPELINE);
    fresh(&test, "one");
    fresh(&test, "two");
    // `4_part` is the same in all of them.
    let source = test
        .rows("SELECT id, reused_from FROM task WHERE runset = 'two' AND reused_from IS NOT NULL");
    let source = source[0].split('|').map(str::to_owned).collect::<Vec<_>>();
    let log = test.text(&["log", &format!("#{}", source[0])]);
    assert!(log.contains("part on same"), "{log}");
    test.text(&["gc", "-keep-runsets", "1"]);
    assert_eq!(test.text(&["log", &format!("#{}", source[0])]), log);
    is_whole(&test, "two");
    let count = test.times("part");
    // Taken over again, though the task that was executed is gone.
    fresh(&test, "three");
    assert_eq!(test.times("part"), count + 3);
    test.text(&["gc", "-keep-runsets", "1"]);
    is_whole(&test, "three");
    let of_none = "SELECT task_id FROM log WHERE task_id NOT IN (SELECT id FROM task)
        AND task_id NOT IN (SELECT reused_from FROM task WHERE reused_from IS NOT NULL)";
    assert_eq!(test.rows(of_none), Vec::<String>::new());
}

#[test]
fn numbers_of_rows_are_not_used_again() {
    let test = three();
    // The first one has the newest rows.
    let mut command = test.command(["-run", "-runset", "one", "-start", "part"]);
    command.env("RUN", "one");
    Running::start(command).end().exits(0);
    let last = test.rows("SELECT max(id) FROM task");
    test.text(&["gc", "-keep-runsets", "1"]);
    assert_eq!(test.rows("SELECT max(id) FROM task"), last);
    assert_eq!(
        test.rows("SELECT name FROM runset ORDER BY id"),
        ["one", "three"]
    );
    is_whole(&test, "one");
    is_whole(&test, "three");
}

#[test]
fn the_runset_that_ran_last_stays_though_it_had_nothing_to_do() {
    let test = three();
    test.run(["-run", "-runset", "one"]).exits(0);
    test.text(&["gc", "-keep-runsets", "1"]);
    assert_eq!(
        test.rows("SELECT name FROM runset ORDER BY id"),
        ["one", "three"]
    );
    test.text(&["gc", "-keep-runsets", "1", "-older-than", "30d"]);
    is_whole(&test, "one");
}

#[test]
fn the_oldest_runsets_go_until_the_objects_fit() {
    let test = three();
    let kept = |test: &Test, size: &str| {
        let told = test.json(&["gc", "-dry-run", "-max-size", size, "-json"]);
        told["removed"]["runsets"].as_array().unwrap().len()
    };
    let all = test.json(&["gc", "-dry-run", "-json"])["kept"]["bytes"]
        .as_u64()
        .unwrap();
    assert_eq!(kept(&test, &all.to_string()), 0);
    assert_eq!(kept(&test, &(all - 1).to_string()), 1);
    assert_eq!(kept(&test, "1"), 2);
    let output = test.call(["gc", "-max-size", "1"]);
    assert_eq!(output.status.code(), Some(0));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("more than 1 B: what stays is needed by the newest runset"),
        "{told}"
    );
    is_whole(&test, "three");
}

#[test]
fn where_there_is_no_db_none_is_made() {
    let test = Test::new();
    let told = test.refusal(&["gc"]);
    assert!(told.contains("there is no db at ./db"), "{told}");
    assert!(!test.path("db").exists());
}

#[test]
fn what_a_killed_run_left_goes() {
    let test = Test::with(
        "[[step]]\nname = 'wait'\nstart = true\nscript = 'touch began; while ! test -e go; do sleep 0.01; done'\n",
    );
    let run = test.start(["-run"]);
    wait_for("the task", || test.path("began").exists());
    run.signal(rustix::process::Signal::KILL);
    drop(run.end());
    assert!(test.path("db/tmp").exists());
    let told = test.json(&["gc", "-dry-run", "-json"]);
    assert_eq!(told["removed"]["folders"], 1, "{told}");
    let output = test.call(["gc"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.starts_with("removed 1 leftover folder\n"),
        "{output:?}"
    );
    assert!(!test.path("db/tmp").exists());
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("that an earlier run left behind"), "{told}");
}

#[test]
fn the_folder_of_a_failed_task_goes_with_its_task() {
    let test = Test::with("[[step]]\nname = 'a'\nstart = true\nscript = 'exit 3'\n");
    test.run(["-run", "-keep-failed"]).exits(1);
    test.run(["-run", "-fresh", "-keep-failed"]).exits(1);
    let kept = |task: &str| test.path(&format!("db/failed/{task}")).exists();
    assert!(kept("1") && kept("2"));
    test.text(&["gc"]);
    assert!(kept("1") && kept("2"));
    let done = test.json(&["gc", "-keep-runsets", "1", "-json"]);
    assert_eq!(done["removed"]["folders"], 1, "{done}");
    assert!(!kept("1") && kept("2"));
}

#[test]
fn a_manifest_can_say_how_many_runsets_stay() {
    let test = Test::with(&format!("[store]\nkeep_runsets = 2\n{PIPELINE}"));
    fresh(&test, "one");
    fresh(&test, "two");
    let mut command = test.command(["-run", "-fresh", "-runset", "three"]);
    command.env("RUN", "three");
    Running::start(command)
        .end()
        .exits(0)
        .says("removed 1 runset, ");
    assert_eq!(
        test.rows("SELECT name FROM runset ORDER BY id"),
        ["two", "three"]
    );
    is_whole(&test, "two");
    // What was run now is not what goes.
    test.run(["-run", "-fresh", "-log-format", "json"])
        .exits(0)
        .says(r#""event":"freed","runsets":1"#);
    let names = test.rows("SELECT name FROM runset ORDER BY id");
    assert_eq!(names[0], "two");
    test.run(["-run"]).exits(0).never_says("removed");
    let failing = PIPELINE.replace("echo same", "exit 1; echo same");
    test.manifest(&format!("[store]\nkeep_runsets = 1\n{failing}"));
    test.run(["-run", "-fresh"]).exits(1).never_says("removed");
    assert_eq!(test.rows("SELECT count(*) FROM runset"), ["3"]);
    test.manifest("[store]\nkeep_runsets = 0\n[[step]]\nname = 'a'\nstart = true\nscript = ':'\n");
    test.run(["check"]).exits(2).says("keep_runsets");
}

#[test]
fn status_says_what_the_store_takes_if_it_is_asked() {
    let test = three();
    add(&test, b"left by a task that failed");
    let said = test.text(&["status", "-store"]);
    let kept = test.json(&["gc", "-dry-run", "-json"])["kept"]["objects"]
        .as_u64()
        .unwrap();
    assert!(
        said.contains(&format!("store: {} objects, ", kept + 1)),
        "{said}"
    );
    assert!(said.contains("; gc frees 1 object with "), "{said}");
    assert!(said.contains("-keep-runsets N can free up to "), "{said}");
    // Without it, there is a look at the database alone.
    let plain = test.text(&["status"]);
    assert!(plain.contains("status -store"), "{plain}");
    assert!(!plain.contains("gc frees"), "{plain}");
    let json = test.json(&["status", "-store", "-json"]);
    assert_eq!(json["store"]["removed"]["objects"], 1, "{json}");
}

#[test]
fn bad_nights_do_not_take_the_last_good_results() {
    let good = "[[step]]\nname = 'a'\nstart = true\nscript = 'echo good > $OUTPUT_DIR/x.txt'\n";
    let test = Test::with(good);
    let fresh = |name: &str| test.run(["-run", "-fresh", "-runset", name]);
    fresh("older").exits(0);
    fresh("good").exits(0);
    test.manifest(&good.replace("echo good", "exit 1; echo good"));
    for bad in ["first", "second", "third"] {
        fresh(bad).exits(1);
    }
    test.text(&["gc", "-keep-runsets", "2"]);
    let runsets = test.rows("SELECT name FROM runset ORDER BY id");
    assert_eq!(runsets, ["good", "second", "third"]);
    // Nor does one that was interrupted before it had any.
    test.manifest(&good.replace("echo good", "sleep 60; echo good"));
    let run = test.start(["-run", "-fresh", "-runset", "cut"]);
    wait_for("the task", || {
        !test
            .rows("SELECT id FROM task WHERE runset = 'cut'")
            .is_empty()
    });
    run.signal(Signal::TERM);
    run.end().exits(143);
    test.text(&["gc", "-keep-runsets", "1"]);
    let runsets = test.rows("SELECT name FROM runset ORDER BY id");
    assert_eq!(runsets, ["good", "cut"]);
    assert_eq!(test.output("x.txt"), "good\n");
    test.text(&["verify"]);
}

#[test]
fn versions_of_steps_that_left_the_manifest_go_with_their_files() {
    let test = Test::new();
    let step = |name: &str| {
        format!(
            "[[step]]\nname = '{name}'\nstart = true\nfiles = ['lib.txt']\nscript = 'cat lib.txt > $OUTPUT_DIR/x.txt'\n"
        )
    };
    // One that no output goes to has no task, and is in the manifest all the same.
    let idle = "[[step]]\nname = 'idle'\nscript = 'exit 1'\n";
    for name in ["one", "two", "three"] {
        test.write("lib.txt", format!("of {name}\n"));
        test.manifest(&format!("{}{idle}", step(name)));
        test.run(["-run", "-fresh"]).exits(0);
    }
    let went = test.json(&["gc", "-keep-runsets", "1", "-json"]);
    assert_eq!(went["removed"]["versions"], 2, "{went}");
    assert_eq!(
        test.rows("SELECT name FROM step ORDER BY id"),
        ["idle", "three"]
    );
    // Its list of files, and what is both in that and its output.
    assert_eq!(went["kept"]["objects"], 2, "{went}");
    test.text(&["verify"]);
    test.write("lib.txt", "of one\n");
    test.manifest(&step("one"));
    test.run(["-run", "-fresh"]).exits(0);
    // A run that is refused changes nothing of that.
    test.write("other.toml", step("other"));
    test.run(["-run", "-f", "other.toml"]).exits(2);
    // What a kept runset has tasks of stays.
    test.text(&["gc", "-keep-runsets", "2"]);
    assert_eq!(
        test.rows("SELECT name FROM step ORDER BY name"),
        ["one", "three"]
    );
    test.alter("UPDATE meta SET value = value || ',x' WHERE key = 'registered'");
    test.text(&["gc"]);
}
