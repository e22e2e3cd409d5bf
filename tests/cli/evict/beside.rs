//! `evict` beside runs, and what a run then says and does.

use super::{PIPELINE, is_there, ran, sorted};
use crate::harness::{Test, wait_for};

/// What the tasks of the run work on stays; what they need later is made again in the same run.
#[test]
fn beside_a_run_that_goes_which_nothing_works_on_and_is_made_again_when_it_is_needed() {
    let test = ran();
    test.write("in/c.txt", "four\n");
    let waits = "echo act >> $COUNT\nif grep -q four $INPUT_FILE; then touch began; while ! test -e go; do sleep 0.01; done; fi";
    let manifest = PIPELINE
        .replace("echo act >> $COUNT", waits)
        .replace("cat $INPUT_DIR/*", "cat -- $INPUT_DIR/*");
    test.manifest(&manifest);
    let run = test.start(["-run", "-migrate-tainted", "-parallel", "4"]);
    let to_do = "SELECT count(*) FROM task JOIN step ON step.id = step_id
        WHERE step.name = 'act' AND live = 1 AND processed = 0 AND role <> 1";
    wait_for("the task", || {
        test.path("began").exists() && test.rows(to_do) == ["1"]
    });
    let told = test.json(&["evict", "-json"]);
    // Of the words those that `act` has done; what it left waits to be gathered.
    assert_eq!(told["evicted"]["steps"]["split"]["objects"], 3, "{told}");
    assert_eq!(told["evicted"]["objects"], 3, "{told}");
    assert!(is_there(&test, "four of it\n") && is_there(&test, "ONE OF IT\n"));
    test.write("go", "");
    run.end().exits(0).never_says("missing");
    let end = test.output("end.txt");
    let all = ["FOUR OF IT", "ONE OF IT", "THREE OF IT", "TWO OF IT"];
    assert_eq!(sorted(&end), all);
    test.tally_is_right();
    test.text(&["verify"]);
    test.nothing_temporary_is_left();
}

/// A task that makes bytes again has ended, as far as its row says: what it works on stays all the same.
#[test]
fn what_is_just_made_again_and_what_that_is_made_of_does_not_go() {
    let test = Test::new();
    let manifest = "[[input]]\nfiles = 'in/*'\nstep = 'one'\n\
         [[step]]\nname = 'one'\nscript = 'echo one >> $COUNT; sed s/^/1/ $INPUT_FILE > $OUTPUT_DIR/x_two'\nkeep = ['COUNT']\n\
         [[step]]\nname = 'two'\nkeep = ['COUNT']\nscript = \"\"\"\necho two >> $COUNT; touch began\n\
         while ! test -e go; do sleep 0.01; done; sed s/^/2/ $INPUT_FILE > $OUTPUT_DIR/x_three\"\"\"\n\
         [[step]]\nname = 'three'\nscript = 'sed s/^/3/ $INPUT_FILE > $OUTPUT_DIR/end'\n";
    test.manifest(manifest);
    test.write("in/a", "a\n");
    test.write("go", "");
    test.runs();
    assert_eq!(test.json(&["evict", "-json"])["evicted"]["objects"], 2);
    for gone in ["go", "began"] {
        std::fs::remove_file(test.path(gone)).unwrap();
    }
    test.manifest(&manifest.replace("s/^/3/", "s/^/4/"));
    let run = test.start(["-run", "-migrate-tainted"]);
    wait_for("the task", || test.path("began").exists());
    for _ in 0..3 {
        let told = test.json(&["evict", "-json"]);
        assert_eq!(told["evicted"]["objects"], 0, "{told}");
    }
    test.write("go", "");
    run.end().exits(0).says("2 tasks ran again");
    assert_eq!(test.output("end"), "421a\n");
    assert_eq!((test.times("one"), test.times("two")), (2, 2));
    test.text(&["verify"]);
}

#[test]
fn a_dry_run_says_what_would_be_made_again() {
    let test = ran();
    test.text(&["evict"]);
    let dry = ["-run", "-dry-run"];
    test.run(dry).exits(0).prints("nothing would run");
    test.manifest(&PIPELINE.replace("cat $INPUT_DIR/*", "cat $INPUT_DIR/* | sort -r"));
    test.run(["-migrate-tainted"]).exits(0);
    let told = test.run(dry).exits(0);
    for (step, count) in [("split v1", 2), ("act v1  ", 3)] {
        let words = format!(
            "{step}  would run {count} again, as what they left was evicted and is needed\n"
        );
        assert!(told.stdout.contains(&words), "{told}");
    }
    test.runs().says("5 tasks ran again");
    let told = test.run(dry).exits(0);
    assert!(!told.stdout.contains("again"), "{told}");
}

#[test]
fn a_dry_run_says_so_of_what_is_gathered_only_then() {
    let test = ran();
    test.text(&["evict"]);
    std::fs::remove_file(test.path("in/b.txt")).unwrap();
    let told = test.run(["-run", "-dry-run"]).exits(0);
    for words in [
        "split v1  would run 1 again, as",
        "act v1    would run 2 again, as",
        "all v1    would run 1 (",
    ] {
        assert!(told.stdout.contains(words), "{told}");
    }
    test.runs().says("3 tasks ran again");
}

#[test]
fn a_dry_run_says_so_of_results_and_of_older_versions() {
    let dry = ["-run", "-dry-run"];
    // What a step worked on that is gone by now is a result.
    let test = ran();
    test.text(&["evict"]);
    let (before, _) = PIPELINE.split_once("\n[[step]]\nname = \"all\"").unwrap();
    test.manifest(before);
    test.run(["-migrate-tainted"]).exits(0);
    let told = test.run(dry).exits(0);
    for words in [
        "split v1  would run 2 again, as",
        "act v1    would run 3 again, as",
    ] {
        assert!(told.stdout.contains(words), "{told}");
    }
    assert!(!told.stdout.contains("nothing would run"), "{told}");
    test.runs().says("5 tasks ran again");

    // What another version has left is not to be had again, and is needed.
    let test = ran();
    test.text(&["evict"]);
    let taker = "\n[[step]]\nname = 'extra'\nfrom = ['act']\nscript = ':'\n";
    test.manifest(&(PIPELINE.replace("tr a-z A-Z", "tr a-y A-Y") + taker));
    test.run(dry).exits(0).prints(
        "act v2    would do 3 of an older version again with all that follows, as what they left was evicted and \
         is needed",
    );
    test.run(["-run"])
        .exits(0)
        .says("the task and what followed from it are superseded");
}

#[test]
fn a_dry_run_knows_what_no_run_can_do() {
    let test = ran();
    test.text(&["evict"]);
    let other = PIPELINE.replace("cat $INPUT_DIR/*", "cat $INPUT_DIR/* | sort -r");
    test.manifest(&other);
    test.run(["-migrate-tainted"]).exits(0);
    let without_act = |manifest: &str| {
        let (before, rest) = manifest.split_once("[[step]]\nname = \"act\"").unwrap();
        let (_, after) = rest.split_once("[[step]]").unwrap();
        format!("{before}[[step]]{after}")
    };
    test.manifest(&without_act(&other));
    let told = test.run(["-run", "-dry-run"]).exits(0);
    told.prints(
        "all v2    1 would stay, as what it works on was evicted, and the manifest no longer has step act that left it: \
         put it back\n  nothing would run",
    );
    let words = "all: 1 task cannot be done: what it works on was evicted, and the manifest no longer has step act that left it\n";
    let next = "next: put step act back into the manifest; then -run carries on\n";
    test.run(["status"]).exits(0).prints(words).prints(next);
    test.run([""; 0]).exits(0).prints(words).prints(next);
    let told = test.run(["why", "all"]).exits(0).prints(words);
    assert!(!told.stdout.contains("at the next -run"), "{told}");
    test.run(["-run"]).exits(1).says("put the step back");
    let task = test.rows("SELECT id FROM task WHERE processed = 0 AND live = 1");
    let told = test.run(["why", &task[0]]).exits(0);
    told.prints(
        "cannot run: what it works on was evicted, and the manifest no longer has step act",
    );
    // A result is taken over without any bytes.
    test.manifest(&without_act(PIPELINE));
    let told = test.run(["status"]).exits(0);
    assert!(!told.stdout.contains("cannot be done"), "{told}");
    test.run(["-run", "-dry-run"])
        .exits(0)
        .prints("all v1    would reuse 1 (an equal task ran)\n");
    test.runs().says("1 reused");
}

#[test]
fn a_dry_run_knows_what_follows_from_older_versions() {
    let test = ran();
    test.text(&["evict"]);
    let other = PIPELINE.replace("cat $INPUT_DIR/*", "cat $INPUT_DIR/* | sort -r");
    test.manifest(&other);
    test.run(["-migrate-tainted"]).exits(0);
    test.manifest(&other.replace("$word of it", "$word or it"));
    let told = test.run(["-run", "-dry-run"]).exits(0).prints(
        "split v2  would do 2 of an older version again with all that follows, as what they left was evicted and is \
         needed\n  all v2    one more task would gather what the tasks before it leave\n  and what comes of",
    );
    assert!(!told.stdout.contains("would stay"), "{told}");
    test.runs().says("split: ").says(" 6 run, 0 reused");
}

#[test]
fn a_dry_run_of_all_runsets_counts_what_they_share_once() {
    let test = ran();
    test.run(["-run", "-fresh"]).exits(0);
    test.text(&["evict"]);
    test.manifest(&PIPELINE.replace("cat $INPUT_DIR/*", "cat $INPUT_DIR/* | sort -r"));
    test.run(["-migrate-tainted", "-runset", "all"]).exits(0);
    let all = ["-run", "-runset", "all", "-dry-run"];
    let told = test.run(all).exits(0);
    let (first, second) = told.stdout.rsplit_once("runset ").unwrap();
    for words in [
        "act v1    would run 3 again",
        "all v2    would run 1 (1 without",
    ] {
        assert!(first.contains(words), "{told}");
    }
    assert!(
        second.contains("all v2    would reuse 1 after an equal task of this run\n"),
        "{told}"
    );
    assert!(!second.contains("again"), "{told}");
    test.run(["-run", "-runset", "all"])
        .exits(0)
        .says("1 run, 0 reused, 0 failed")
        .says("0 run, 1 reused, 0 failed");
}
