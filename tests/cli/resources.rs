//! What tasks take of what there is only so much of: CPUs, memory, GPUs, what the manifest limits.

use crate::harness::Test;

/// So many tasks of a step that takes this, and none with another at a time.
fn alone(takes: &str, script: &str) -> String {
    format!(
        r#"
        [limits]
        database = 2
        [[step]]
        name = "begin"
        start = true
        script = 'for i in 1 2 3 4 5; do echo $i > $OUTPUT_DIR/${{i}}_act; done'
        [[step]]
        name = "act"
        {takes}
        script = '''
        mkdir "$HOME/busy" || echo overlap >> "$COUNT"
        {script}
        rmdir "$HOME/busy"
        '''
        "#
    )
}

#[test]
fn tasks_start_when_there_is_enough_for_them() {
    for (takes, arguments) in [
        ("cpus = 2", &["-cpus", "3"][..]),
        ("memory = '2G'", &["-memory", "3G"]),
        ("memory = '64M..8G'", &["-memory", "100M"]),
        ("gpus = 1", &["-gpus", "1"]),
        ("gpus = 2", &["-gpus", "3,5,7"]),
        ("uses = { database = 2 }", &[]),
        ("uses = { database = 1 }", &["-limit", "database=1"]),
    ] {
        let test = Test::with(&alone(takes, "echo done >> \"$COUNT\"; sleep 0.05"));
        let mut all = vec!["-run", "-parallel", "4"];
        all.extend(arguments);
        test.run(all).exits(0).says("6 run");
        assert_eq!(test.count(), ["done"; 5], "{takes}");
    }
}

#[test]
fn beside_each_other_where_there_is_enough() {
    // Each waits for the other.
    let test = Test::with(
        r#"
        [limits]
        database = 2
        [defaults]
        cpus = 1
        uses = { database = 1 }
        timeout = "1m"
        [[step]]
        name = "begin"
        start = true
        cpus = 2
        uses = {}
        script = 'echo > $OUTPUT_DIR/a_act; echo > $OUTPUT_DIR/b_act'
        [[step]]
        name = "act"
        script = '''
        : > "$HOME/$TASK_PIPELINE_INPUT_NAME"
        until test -e "$HOME/a_act" && test -e "$HOME/b_act"; do sleep 0.02; done
        '''
        "#,
    );
    test.run(["-run", "-cpus", "2"]).exits(0).says("3 run");
}

#[test]
fn scripts_know_what_is_theirs() {
    let test = Test::with(
        r#"
        [[step]]
        name = "begin"
        start = true
        cpus = 2
        script = 'echo "$CPUS" > $OUTPUT_DIR/plain_next; for i in 1 2 3; do echo $i$CPUS > $OUTPUT_DIR/${i}_own; done'
        [[step]]
        name = "next"
        script = 'printf "%s" "${CPUS-none}" > $OUTPUT_DIR/none; cp $INPUT_FILE $OUTPUT_DIR/plain'
        [[step]]
        name = "own"
        cpus = 1
        gpus = 1
        script = 'echo "$CPUS $CUDA_VISIBLE_DEVICES $HIP_VISIBLE_DEVICES" > $OUTPUT_DIR/end'
        "#,
    );
    test.run(["-run", "-cpus", "8", "-gpus", "4,6"]).exits(0);
    assert_eq!(test.output("plain"), "2\n");
    assert_eq!(test.output("none"), "none");
    let outputs = &test.finals()["end"];
    assert_eq!(outputs.len(), 3);
    for text in outputs {
        let said = String::from_utf8_lossy(text).into_owned();
        assert!(said == "1 4 4\n" || said == "1 6 6\n", "{said}");
    }
}

#[test]
fn they_are_no_part_of_a_version() {
    let manifest = |takes: &str| {
        format!(
            "[limits]\ndb = 1\n[[step]]\nname = 'a'\nstart = true\n{takes}\nscript = 'echo $CPUS'\n"
        )
    };
    let test = Test::with(&manifest(""));
    test.runs().says("1 run");
    test.manifest(&manifest(
        "cpus = 1\nmemory = '1M..2M'\ngpus = 1\nuses = { db = 1 }",
    ));
    test.run(["-run", "-gpus", "1"]).exits(0).says("0 run");
}

#[test]
fn what_never_fits_is_told_before_anything_runs() {
    for (takes, arguments, told) in [
        (
            "cpus = 3",
            &["-cpus", "2"][..],
            "a task of step act takes 3 CPUs, and the run has 2",
        ),
        ("cpus = 3", &["-cpus", "2"], "-cpus N"),
        ("cpus = 100000", &[], "takes 100000 CPUs"),
        (
            "memory = '3G'",
            &["-memory", "2G"],
            "takes 3.0 GiB of memory, and the run has 2.0 GiB",
        ),
        ("memory = '3G..9G'", &["-memory", "2G"], "-memory SIZE"),
        ("memory = '900T'", &[], "of memory, and the run has"),
        (
            "gpus = 1",
            &["-gpus", "0"],
            "takes 1 GPU, and the run has none",
        ),
        ("gpus = 3", &["-gpus", "2"], "-gpus N"),
        (
            "uses = { database = 2 }",
            &["-limit", "database=1"],
            "uses 2 of `database`, and its limit is 1",
        ),
        ("", &["-limit", "databse=1"], "did you mean `database`?"),
        ("", &["-limit", "database"], "has no `=`"),
        ("", &["-limit", "database=0"], "is no whole number from 1"),
        (
            "",
            &["-cpus", "0"],
            "`0` is no whole number from 1 to 65536",
        ),
        (
            "",
            &["-cpus", "1.5"],
            "`1.5` is no whole number from 1 to 65536",
        ),
        ("", &["-memory", "much"], "is no size"),
        ("", &["-memory", "0"], "less than any program needs"),
        ("", &["-memory", "-1G"], "-1G"),
        ("", &["-gpus", "-1"], "is no GPU"),
        ("", &["-gpus", "0,0"], "is there twice"),
    ] {
        let test = Test::with(&alone(takes, ":"));
        let mut all = vec!["-run"];
        all.extend(arguments);
        test.run(all).exits(2).says(told);
        assert!(!test.path("db").exists(), "{arguments:?}");
    }
    let test = Test::with(&alone("cpus = 3", ":"));
    test.run(["-cpus", "2"]).exits(2).says("-run");
}

#[test]
fn mistakes_in_the_manifest_have_their_line() {
    for (takes, told) in [
        ("cpus = 0", "`cpus` must be at least 1"),
        ("cpus = -1", "`cpus` must be at least 1"),
        ("cpus = 1.5", "`cpus` must be a whole number"),
        ("cpus = '2'", "without quotes: 2"),
        ("cpus = 4294967296", "`cpus` must be at most"),
        ("memory = '16G..2G'", "the other way round: \"2G..16G\""),
        ("memory = '2'", "with a unit: \"2G\""),
        ("memory = 2", "with a unit: \"2G\""),
        ("memory = '0G'", "less than any program needs"),
        ("memory = '-2G'", "is no size"),
        ("memory = 'lots'", "is no size"),
        ("memory = '2G..'", "is no size"),
        ("memory = '99999999E'", "is more than can be"),
        ("gpus = -1", "`gpus` must be at least 0"),
        ("uses = 1", "`uses` must be a table"),
        ("uses = { database = 0 }", "`database` must be at least 1"),
        (
            "uses = { database = 1.5 }",
            "`database` must be a whole number",
        ),
        ("uses = { databse = 1 }", "did you mean `database`?"),
        ("uses = { licence = 1 }", "add [limits] with licence = 2"),
        (
            "uses = { database = 3 }",
            "uses 3 of `database`, and its limit is 2",
        ),
        ("uses = { 'a b' = 1 }", "cannot be a limit's name"),
        ("cpus = 2\nenv = { CPUS = '3' }", "leave the variable out"),
        (
            "gpus = 1\nkeep = ['CUDA_VISIBLE_DEVICES']",
            "leave the variable out",
        ),
        ("cores = 2", "did you mean `cpus`?"),
    ] {
        let test = Test::with(&alone(takes, ":"));
        test.run(["check"])
            .exits(2)
            .says(told)
            .says("workflow.toml:");
    }
    let test =
        Test::with("[limits]\ndatabase = 0\n[[step]]\nname = 'a'\nstart = true\nscript = ':'\n");
    test.run(["check"]).exits(2).says("at least 1");
    test.manifest("[limits]\ndb = 1\n[defaults]\nuses = { bd = 1 }\n[[step]]\nname = 'a'\nstart = true\nscript = ':'\n");
    test.run(["check"]).exits(2).says("did you mean `db`?");
    test.manifest("[defaults]\ncpus = 2\n[[step]]\nname = 'a'\nstart = true\nenv = { CPUS = '3' }\nscript = ':'\n");
    test.run(["check"]).exits(2).says("`CPUS` in `env`");
}

#[test]
fn check_shows_what_tasks_take() {
    let test = Test::with(&alone(
        "cpus = 2\nmemory = '2G..16G'\ngpus = 1\nuses = { database = 1 }",
        ":",
    ));
    test.run(["check"])
        .exits(0)
        .prints("2 CPUs, 2.0 GiB to 16 GiB of memory, 1 GPU, 1 of database");
}

#[test]
fn memory_that_the_run_has_not_is_told_to_be_the_end() {
    let test = Test::with(&alone("memory = '64M..8G'", ":"));
    test.run(["-run", "-memory", "100M"])
        .exits(0)
        .says("step act: its tasks have 100 MiB of memory at most, and not 8.0 GiB");
}

/// A step whose tasks take 100 MB, which they say when they have them.
const HUNGRY: &str = r#"
    [[step]]
    name = "eat"
    start = true
    retries = 1
    retry_delay = "1ms"
    memory = "32M..1G"
    script = 'x=$(head -c 100000000 /dev/zero | tr "\\0" x); echo "$x" | wc -c > $OUTPUT_DIR/eaten; echo had >> "$COUNT"'
"#;

#[test]
fn no_task_takes_more_memory_than_it_asks_for_or_that_is_told() {
    let test = Test::with(HUNGRY);
    let check = test.run(["check"]).exits(0);
    let ran = test.run(["-run", "-log-format", "json"]).exits(0);
    if check
        .stdout
        .contains("memory: no task gets more than it asks for")
    {
        ran.says("\"cause\":\"out of memory\"")
            .says("it is tried again with 64")
            .says("it is tried again with 128");
    } else {
        check.prints("memory is counted, and nothing keeps a task from taking more");
        ran.says("memory is counted, and nothing keeps a task from taking more")
            .says("systemd-run")
            .never_says("out of memory");
    }
    assert_eq!(test.count(), ["had"]);
}

/// However many there are: warm shells, of which nobody knows what each task in them took, are only for steps that
/// ask for neither CPUs nor memory, or for `warm`.
#[test]
fn what_each_of_many_took_is_known_where_it_was_asked_for() {
    for (keys, known) in [
        ("", false),
        ("cpus = 1", true),
        ("memory = '1G'", true),
        ("cpus = 1\nwarm = true", false),
    ] {
        let test = Test::with(&format!(
            "[[input]]\nlines = 'seq 30'\nstep = 'a'\n[[step]]\nname = 'a'\n{keys}\n\
             script = 'test -s \"$INPUT_FILE\" && cat \"$INPUT_FILE\" > \"$OUTPUT_DIR/x\"'\n"
        ));
        test.run(["-run", "-parallel", "1"]).exits(0);
        let unknown = test.rows(
            "SELECT count(*) FROM task WHERE step_id IS NOT NULL AND (cpu_time IS NULL OR peak_memory IS NULL)",
        );
        assert_eq!(unknown == ["0"], known, "{keys}: {unknown:?}");
    }
}

#[test]
fn what_tasks_took_is_recorded_and_shown_beside_what_they_asked_for() {
    let test = Test::with(
        r#"
        [[step]]
        name = "work"
        start = true
        cpus = 1
        memory = "1G"
        warm = false
        script = 'x=$(head -c 50000000 /dev/zero | tr "\\0" x); echo ${#x}; exit 3'
        "#,
    );
    test.run(["-run", "-log-format", "json"])
        .exits(1)
        .says("\"cause\":\"exit\"")
        .says("\"cpu_seconds\":")
        .says("\"peak_memory\":");
    let tasks = test.json(&["tasks", "-json"]);
    let (peak, cpu) = (&tasks["peak_memory"], &tasks["cpu_seconds"]);
    assert!(
        peak.as_i64().is_some_and(|peak| peak > 50_000_000),
        "{tasks}"
    );
    assert!(
        cpu.as_f64().is_some_and(|cpu| cpu > 0.001 && cpu < 60.0),
        "{tasks}"
    );
    let status = test.json(&["status", "-json"]);
    let taken = &status["steps"][0]["taken"];
    assert_eq!(taken["cpus"], 1);
    assert_eq!(taken["memory"], serde_json::json!([1 << 30, 1 << 30]));
    assert_eq!(&taken["peak_memory"], peak);
    test.run(["status"])
        .exits(0)
        .prints("work: 1 CPU a task, used ")
        .prints("1.0 GiB of memory a task, used ");
    test.run(["report", "-o", "page.html"]).exits(0);
    assert!(test.read("page.html").contains("work: 1 CPU a task, used "));
    assert_eq!(
        test.rows("SELECT cpu_seconds > 0, peak_memory > 50000000 FROM live_task"),
        ["1|1"]
    );
}
