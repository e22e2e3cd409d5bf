//! `evict`: bytes go that can be made again, and all that is known of them stays.

mod beside;
mod lost;

use rustix::process::Signal;

use crate::harness::{Running, Test, hash};

/// Two files are taken apart, worked on, and brought together.
const PIPELINE: &str = r#"
[[input]]
files = "in/*.txt"
step = "split"

[[step]]
name = "split"
script = '''
echo split >> $COUNT
for word in $(cat $INPUT_FILE); do echo "$word of it" > $OUTPUT_DIR/${word}_act; done
'''
keep = ["COUNT"]

[[step]]
name = "act"
script = '''
echo act >> $COUNT
tr a-z A-Z < $INPUT_FILE > $OUTPUT_DIR/x_all
'''
keep = ["COUNT"]

[[step]]
name = "all"
gather = true
script = '''
echo all >> $COUNT
cat $INPUT_DIR/* > $OUTPUT_DIR/end.txt
'''
keep = ["COUNT"]
"#;

const END: [&str; 3] = ["ONE OF IT", "THREE OF IT", "TWO OF IT"];

fn ran() -> Test {
    let test = Test::new();
    test.manifest(PIPELINE);
    test.write("in/a.txt", "one two\n");
    test.write("in/b.txt", "three\n");
    test.run(["-run"]).exits(0);
    test
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

fn is_there(test: &Test, content: &str) -> bool {
    test.object(&hash(content.as_bytes())).exists()
}

#[test]
fn bytes_go_and_all_else_is_as_it_was() {
    let test = ran();
    let tasks = test.text(&["tasks"]);
    let told = test.json(&["evict", "-dry-run", "-json"]);
    assert_eq!(told["evicted"]["objects"], 6, "{told}");
    assert!(is_there(&test, "one of it\n"));
    assert_eq!(told["evicted"]["steps"]["split"]["objects"], 3);
    let done = test.json(&["evict", "-json"]);
    assert_eq!(
        (&done["evicted"], &done["kept"]),
        (&told["evicted"], &told["kept"])
    );
    // Of what stays it is said why, of all of it.
    let kept = done["kept"].as_object().unwrap();
    let why = kept["why"].as_object().unwrap();
    let all: u64 = why
        .values()
        .map(|one| one["objects"].as_u64().unwrap())
        .sum();
    assert_eq!(kept["objects"], all, "{done}");
    assert_eq!(why["final"]["objects"], 1, "{done}");
    for (content, stays) in [
        ("one of it\n", false),
        ("THREE OF IT\n", false),
        ("one two\n", true),
    ] {
        assert_eq!(is_there(&test, content), stays, "{content}");
    }
    assert_eq!(
        test.text(&["evict"]).lines().next(),
        Some("evicted nothing")
    );
    assert_eq!(test.text(&["tasks"]), tasks);
    test.text(&["trace", "#1"]);
    test.text(&["why", "#1"]);
    let store = test.json(&["status", "-store", "-json"]);
    assert_eq!(store["state"], "done");
    assert_eq!(store["store"]["evicted"]["objects"], 6);
    let whole = test.text(&["verify"]);
    assert!(
        whole.contains("6 objects whose bytes were evicted"),
        "{whole}"
    );
    test.text(&["export", "-to", "out"]);
    let end = test.read("out/end.txt");
    assert_eq!(sorted(&end), END);
    let count = test.count();
    test.run(["-run"]).exits(0).says("0 run");
    test.run(["-run", "-fresh"]).exits(0);
    assert_eq!(test.count(), count, "all of it is taken over");
    assert_eq!(test.json(&["gc", "-json"])["evicted"]["objects"], 6);
    test.tally_is_right();
}

#[test]
fn who_wants_the_bytes_is_told() {
    let test = ran();
    test.text(&["evict"]);
    let name = hash(b"one of it\n");
    let told = test.refusal(&["cat", &name]);
    for words in ["were evicted", "`-run -start split` does so at once"] {
        assert!(told.contains(words), "{told}");
    }
    test.run(["-run", "-start", "split"]).exits(0);
    assert_eq!(test.text(&["cat", &name]), "one of it\n");
    assert_eq!(
        test.json(&["evict", "-dry-run", "-json"])["without_bytes"]["objects"],
        3
    );
}

#[test]
fn what_makes_the_bytes_again_is_said_as_it_is() {
    let test = ran();
    let first = test.rows("SELECT name FROM runset").remove(0);
    let name = hash(b"one of it\n");
    // In an older runset: what is said does it.
    test.write("in/a.txt", "seven\n");
    test.run(["-run", "-fresh"]).exits(0);
    test.text(&["evict"]);
    let call = format!("-run -start split -runset {first}");
    let act = "SELECT id FROM task WHERE name = 'one_act' AND role = 0";
    let task = test.rows(act).remove(0);
    for asked in [&["cat", &name][..], &["shell", "act", &task, "--", "cat"]] {
        let told = test.refusal(asked);
        assert!(
            told.contains(&format!("`{call}` does so at once")),
            "{told}"
        );
    }
    test.run(call.split(' ')).exits(0);
    assert_eq!(test.text(&["cat", &name]), "one of it\n");
    // By another version: none that does not know its script.
    test.text(&["evict"]);
    test.manifest(&PIPELINE.replace("of it", "of all"));
    let call: Vec<&str> = call.split(' ').collect();
    test.run(&call).exits(0);
    let told = test.refusal(&["cat", &name]);
    for words in [
        "version 1 of split, and split has another one by now",
        "with split as it was then",
    ] {
        assert!(told.contains(words), "{told}");
    }
    test.manifest(PIPELINE);
    test.run(&call).exits(0);
    assert_eq!(test.text(&["cat", &name]), "one of it\n");
    // Of what is gone otherwise nothing is said of it.
    std::fs::remove_file(test.object(&name)).unwrap();
    let told = test.refusal(&["cat", &name]);
    assert!(
        told.contains("is missing") && !told.contains("evicted"),
        "{told}"
    );
}

#[test]
fn where_nothing_can_be_made_again_nothing_goes() {
    for line in [
        "cache = false",
        "cache = \"1h\"",
        "cache = \"runset\"",
        "secrets = [\"token\"]",
        "# $TASK_PIPELINE_TASK",
        "# $TASK_PIPELINE_RUNSET",
        "# $PARAM_night",
    ] {
        let test = Test::new();
        let (key, word) = match line.strip_prefix("# ") {
            Some(word) => ("", word),
            None => (line, ""),
        };
        test.manifest(&format!(
            "[params]\nnight = {{ type = 'string', default = 'none', volatile = true }}\n\
             day = {{ type = 'string', default = 'none' }}\n\
             [[step]]\nname = 'begin'\nstart = true\nscript = 'echo one > $OUTPUT_DIR/x_act'\n\
             [[step]]\nname = 'act'\n{key}\nscript = 'echo two > $OUTPUT_DIR/x_next # {word}'\n\
             [[step]]\nname = 'next'\nscript = 'cp $INPUT_FILE $OUTPUT_DIR/end'\n"
        ));
        test.write("token", "123456789");
        if line.starts_with("secrets") {
            test.run(["-run", "-secret", "token=token"]).exits(0);
        } else {
            test.run(["-run"]).exits(0);
        }
        let told = test.json(&["evict", "-json"]);
        // What the last one leaves is final, and what the start step leaves is from outside.
        assert_eq!(told["evicted"]["objects"], 0, "{line}: {told}");
    }
}

/// A parameter that is a part of the version is known, and so is what comes of it.
#[test]
fn of_two_parameters_that_one_forbids_it_that_is_in_no_version() {
    let test = Test::new();
    let manifest = "[params]\nday = { type = 'string', default = 'none' }\n\
         [[step]]\nname = 'begin'\nstart = true\nscript = 'echo one > $OUTPUT_DIR/x_act'\n\
         [[step]]\nname = 'act'\nscript = 'echo of $PARAM_day > $OUTPUT_DIR/x_next'\n\
         [[step]]\nname = 'next'\nscript = 'sed p $INPUT_FILE > $OUTPUT_DIR/end'\n";
    test.manifest(manifest);
    test.run(["-run", "-param", "day=1"]).exits(0);
    // With another value the step has another version.
    let told = test.json(&["evict", "-param", "day=2", "-dry-run", "-json"]);
    assert_eq!(told["evicted"]["objects"], 0, "{told}");
    // The newest runset remembers the one that it was given.
    assert_eq!(test.json(&["evict", "-json"])["evicted"]["objects"], 1);
    assert!(!is_there(&test, "of 1\n"));
    test.manifest(&manifest.replace("sed p", "sed -n p"));
    test.run(["-run", "-migrate-tainted"]).exits(0);
    assert_eq!(test.output("end"), "of 1\n");
    assert!(is_there(&test, "of 1\n"));
}

#[cfg(target_os = "linux")]
#[test]
fn what_a_step_with_the_network_left_stays() {
    if crate::sandbox::is_left_out() {
        return;
    }
    for (network, goes) in [("", 1), ("network = true\n", 0)] {
        let test = Test::with(&format!(
            "[[step]]\nname = 'begin'\nstart = true\nscript = 'echo one > $OUTPUT_DIR/x_act'\n\
             [[step]]\nname = 'act'\nsandbox = true\n{network}script = 'echo two > $OUTPUT_DIR/x_next'\n\
             [[step]]\nname = 'next'\nscript = 'sed p $INPUT_FILE > $OUTPUT_DIR/end'\n"
        ));
        test.runs();
        let told = test.json(&["evict", "-json"]);
        assert_eq!(told["evicted"]["objects"], goes, "{network}: {told}");
    }
}

/// They were left by the version before, and nobody knows for certain that the one that there is now leaves the same.
#[test]
fn what_was_accepted_on_a_sample_stays() {
    let pipeline = |script: &str| {
        format!(
            "[[step]]\nname = 'begin'\nstart = true\nscript = 'for i in 1 2 3 4; do echo $i > $OUTPUT_DIR/${{i}}_act; done'\n\
             [[step]]\nname = 'act'\nscript = '{script}'\n\
             [[step]]\nname = 'next'\nscript = 'echo $(cat $INPUT_FILE) end > $OUTPUT_DIR/end'\n"
        )
    };
    let test = Test::with(&pipeline("sed s/^/of/ $INPUT_FILE > $OUTPUT_DIR/x_next"));
    test.runs();
    test.manifest(&pipeline("sed -e s/^/of/ $INPUT_FILE > $OUTPUT_DIR/x_next"));
    test.run(["-migrate-tainted", "-sample", "2"]).exits(0);
    test.run(["-migrate-tainted", "-accept", "act"]).exits(0);
    test.runs().says("0 run");
    let told = test.json(&["evict", "-json"]);
    assert_eq!(told["evicted"]["objects"], 0, "{told}");
    // Another runset has it done by that version itself: the first one needs the same bytes.
    test.run(["-run", "-fresh"])
        .exits(0)
        .says("5 run, 4 reused");
    let told = test.json(&["evict", "-json"]);
    assert_eq!(told["evicted"]["objects"], 0, "{told}");
    test.text(&["gc", "-keep-runsets", "1"]);
    let told = test.json(&["evict", "-json"]);
    assert_eq!(told["evicted"]["objects"], 4, "{told}");
}

/// The file may be another one by the time it is needed: what came of it stays, and what came of that can go.
#[test]
fn of_a_file_that_was_not_copied_what_comes_first_stays() {
    let test = Test::with(
        "[[input]]\nfiles = 'in/*'\ncopy = false\nstep = 'act'\n\
         [[step]]\nname = 'act'\nscript = 'echo act >> $COUNT; sed p $INPUT_FILE > $OUTPUT_DIR/x_next'\n\
         [[step]]\nname = 'next'\nscript = 'echo next >> $COUNT; sed p $INPUT_FILE > $OUTPUT_DIR/x_last'\n\
         [[step]]\nname = 'last'\nscript = 'wc -l < $INPUT_FILE > $OUTPUT_DIR/end'\n",
    );
    test.write("in/a", "a\n");
    test.runs();
    let told = test.json(&["evict", "-json"]);
    assert_eq!(told["evicted"]["objects"], 1, "{told}");
    assert!(is_there(&test, "a\na\n") && !is_there(&test, "a\na\na\na\n"));
    let manifest = test.read("workflow.toml");
    test.manifest(&manifest.replace("wc -l", "wc -c"));
    test.run(["-run", "-migrate-tainted"])
        .exits(0)
        .says("1 task ran again");
    assert_eq!((test.times("act"), test.times("next")), (1, 2));
    assert_eq!(test.output("end").trim(), "8");
}

#[test]
fn a_changed_step_s_results_stay() {
    let test = ran();
    test.manifest(&PIPELINE.replace("tr a-z A-Z", "tr a-z A-Z "));
    let told = test.json(&["evict", "-json"]);
    assert_eq!(
        told["evicted"]["steps"].as_object().unwrap().len(),
        1,
        "{told}"
    );
    assert!(is_there(&test, "THREE OF IT\n") && !is_there(&test, "three of it\n"));
}

#[test]
fn steps_and_runsets_that_are_not_there_are_refused() {
    let test = ran();
    let told = test.refusal(&["evict", "splat"]);
    assert!(told.contains("split"), "{told}");
    let told = test.refusal(&["evict", "-runset", "none"]);
    assert!(told.contains("no runset"), "{told}");
    let empty = Test::with(PIPELINE);
    empty.refusal(&["evict"]);
    assert!(!empty.path("db").exists());
}

/// What is edited works on what was evicted: that is made again, by what stands right above it.
#[test]
fn a_step_that_is_edited_has_its_inputs_made_again() {
    let test = ran();
    test.text(&["evict"]);
    let before = test.count().len();
    test.manifest(&PIPELINE.replace("cat $INPUT_DIR/*", "cat $INPUT_DIR/* | sort -r"));
    test.run(["-migrate-tainted", "-run"]).exits(0);
    assert_eq!(sorted(&test.output("end.txt")), END);
    assert_eq!(test.count().len() - before, 2 + 3 + 1);
    test.tally_is_right();
    assert!(is_there(&test, "one of it\n") && is_there(&test, "ONE OF IT\n"));
    assert_eq!(
        test.rows("SELECT count(*) FROM task WHERE live = 0"),
        ["2"],
        "the last step's task, and what it left"
    );
    test.run(["-run"]).exits(0).says("0 run");
}

/// A task that has succeeded and fails when it runs again is a failure of that run to all who look at it.
#[test]
fn what_cannot_be_made_again_is_a_failure_of_the_run() {
    let step = |name: &str, script: &str| {
        format!("[[step]]\nname = '{name}'\nscript = '{script}'\nkeep = ['COUNT']\n")
    };
    let manifest = |last: &str| {
        step("begin", "echo 1 > $OUTPUT_DIR/a_act").replacen("script", "start = true\nscript", 1)
            + &step("act", "test ! -e $COUNT; echo 2 > $OUTPUT_DIR/b_all")
            + &step(
                "all",
                &format!("tr 2 3 < $INPUT_FILE > $OUTPUT_DIR/end{last}"),
            )
    };
    let test = Test::with(&manifest(""));
    test.runs();
    test.text(&["evict"]);
    test.write("count", "");
    test.manifest(&manifest("; :"));
    let again = [
        "-migrate-tainted",
        "-run",
        "-keep-failed",
        "-junit",
        "j.xml",
    ];
    test.run(again)
        .exits(1)
        .says("it had succeeded before")
        .says("1 failed")
        .says("`task-pipeline shell act 2` shows it");
    let told = test.read("j.xml");
    assert!(told.contains("failures=\"1\""), "{told}");
    assert!(told.contains("it had succeeded before"), "{told}");
    assert!(test.path("db/failed/2/out").is_dir());
    std::fs::remove_file(test.path("count")).unwrap();
    test.run(again).exits(0);
    assert!(!test.path("db/failed/2").exists());
    assert!(test.read("j.xml").contains("failures=\"0\""));
}

#[test]
fn keep_finals_drops_after_each_run_that_succeeds() {
    let test = ran();
    let manifest = format!("[store]\nkeep = \"finals\"\n{PIPELINE}");
    test.manifest(&manifest.replace("cat $INPUT_DIR", "false"));
    test.run(["-migrate-tainted", "-run"]).exits(1);
    assert!(is_there(&test, "one of it\n"), "it has failed");
    test.manifest(&manifest);
    test.run(["-run"]).exits(0).says("evicted 6 objects");
    assert!(!is_there(&test, "one of it\n"));
    let run = test.run(["-run", "-log-format", "json"]).exits(0);
    run.never_says("\"evicted\"");
    test.manifest(&manifest.replace("\"finals\"", "\"some\""));
    let bad = test.run(["check"]).exits(2);
    bad.says("neither \"all\" nor \"finals\"")
        .says("workflow.toml:2");
}

/// A process that is killed between the two leaves what is recorded and still there: it counts as there.
#[test]
fn killed_at_any_moment_it_has_dropped_what_is_recorded_and_nothing_else() {
    let test = Test::new();
    test.manifest(&PIPELINE.replace("cat $INPUT_FILE", "seq 300; cat $INPUT_FILE"));
    test.write("in/a.txt", "one two\n");
    test.run(["-run"]).exits(0);
    let mut killed = 0;
    for pause in 0..20 {
        let evict = test.start(["evict"]);
        let begun = std::time::Instant::now();
        while begun.elapsed() < std::time::Duration::from_millis(6 * pause) {
            std::hint::spin_loop();
        }
        evict.signal(Signal::KILL);
        let _ = evict.end();
        killed += 1;
        let recorded = test.rows("SELECT lower(hex(hash)) FROM evicted");
        let missing = test
            .rows("SELECT DISTINCT object_hash FROM task")
            .into_iter()
            .filter(|name| *name != hash(b"") && !test.object(name).exists());
        for name in missing {
            assert!(recorded.contains(&name), "{name} after {killed}");
        }
    }
    test.text(&["evict"]);
    test.run(["-run"]).exits(0).says("0 run");
    test.text(&["verify"]);
    assert!(!is_there(&test, "one of it\n"));
    let before = test.count().len();
    test.manifest(
        &PIPELINE
            .replace("cat $INPUT_FILE", "seq 300; cat $INPUT_FILE")
            .replace("cat $INPUT_DIR/*", "sort $INPUT_DIR/*"),
    );
    test.run(["-migrate-tainted", "-run"]).exits(0);
    assert_eq!(test.count().len() - before, 1 + 302 + 1);
}

/// The time of day, for instance.
#[test]
fn a_step_that_leaves_something_else_is_named_and_what_followed_is_done_again() {
    let test = Test::new();
    let pipeline = PIPELINE.replace("tr a-z A-Z < $INPUT_FILE", "cat $INPUT_FILE $SALT");
    let pipeline = pipeline.replace("keep = [\"COUNT\"]", "keep = [\"COUNT\", \"SALT\"]");
    test.manifest(&pipeline);
    test.write("in/a.txt", "one two\n");
    test.write("salt", "first\n");
    let with_salt = |arguments: &[&str]| {
        let mut command = test.command(arguments);
        command.env("SALT", test.path("salt"));
        Running::start(command).end()
    };
    with_salt(&["-run"]).exits(0);
    let mut command = test.command(["evict", "act"]);
    command.env("SALT", test.path("salt"));
    Running::start(command)
        .end()
        .exits(0)
        .prints("act: 2 objects");
    test.write("salt", "second\n");
    test.manifest(&pipeline.replace("cat $INPUT_DIR/*", "sort $INPUT_DIR/*"));
    with_salt(&["-migrate-tainted", "-run"])
        .exits(0)
        .says("act is not deterministic")
        .says("x_all");
    let end = test.output("end.txt");
    assert_eq!(sorted(&end), ["one of it", "second", "second", "two of it"]);
    test.tally_is_right();
    with_salt(&["-run"]).exits(0).says("0 run");
    let mut command = test.command(["evict", "act"]);
    command.env("SALT", test.path("salt"));
    Running::start(command)
        .end()
        .exits(0)
        .prints("evicted nothing");
}

#[test]
fn folders_pairs_and_what_others_get_are_as_they_were() {
    let test = Test::new();
    let manifest = r#"
[[input]]
files = "in/*.txt"
step = "index"

[[step]]
name = "index"
folders = true
script = '''
mkdir $OUTPUT_DIR/all_use $OUTPUT_DIR/all_use/empty
cp $INPUT_FILE $OUTPUT_DIR/all_use/copy
ln -s copy $OUTPUT_DIR/all_use/link
cat $INPUT_FILE $INPUT_FILE > $OUTPUT_DIR/all_use/twice
echo key > $OUTPUT_DIR/key_mark
'''

[[step]]
name = "mark"
script = 'cat $INPUT_FILE > $OUTPUT_DIR/marked.x'
outputs = ["marked.x"]

[[step]]
name = "use"
with = ["mark"]
each = true
script = 'cat $INPUT_FILE/link $INPUT_FILE/twice $WITH_FILE > $OUTPUT_DIR/end'
"#;
    test.manifest(manifest);
    test.write("in/a.txt", "word\n");
    test.run(["-run"]).exits(0);
    let told = test.json(&["evict", "-json"]);
    assert!(!is_there(&test, "word\nword\n"), "{told}");
    assert!(
        is_there(&test, "word\n"),
        "the input has the bytes of a file in the folder"
    );
    test.text(&["verify"]);
    test.run(["-run"]).exits(0).says("0 run");
    test.manifest(&manifest.replace("cat $INPUT_FILE/link", "cat -- $INPUT_FILE/link"));
    test.run(["-migrate-tainted", "-run", "-only", "use"])
        .exits(0)
        .says("1 task ran again");
    assert_eq!(test.output("end"), "word\nword\nword\nkey\n");
    assert!(is_there(&test, "word\nword\n"));
    test.text(&["verify"]);
    test.tally_is_right();
}

#[test]
fn no_more_goes_than_it_takes_and_the_largest_first() {
    let test = Test::with(
        "[[step]]\nname = 'begin'\nstart = true\nscript = 'for i in 1 2 3; do echo $i > $OUTPUT_DIR/${i}_act; done'\n\
         [[step]]\nname = 'act'\nscript = 'head -c ${i:-$(cat $INPUT_FILE)}00000 /dev/zero > $OUTPUT_DIR/x_next'\n\
         [[step]]\nname = 'next'\nscript = 'wc -c < $INPUT_FILE > $OUTPUT_DIR/end'\n",
    );
    test.run(["-run"]).exits(0);
    let all = test.json(&["evict", "-dry-run", "-json"]);
    let (goes, stays) = (&all["evicted"], &all["kept"]["bytes"]);
    assert_eq!(goes["objects"], 3, "{all}");
    let whole = goes["bytes"].as_u64().unwrap() + stays.as_u64().unwrap();
    let less = (whole - 1000).to_string();
    let told = test.json(&["evict", "-max-size", &less, "-json"]);
    assert_eq!(told["evicted"]["objects"], 1);
    assert!(
        told["evicted"]["bytes"].as_u64().unwrap() >= 300_000,
        "{told}"
    );
    test.run(["evict", "-max-size", "1"])
        .exits(0)
        .says("cannot be made again");
}
