//! Command lines as people type them who come from elsewhere, or whose fingers slip.

use crate::harness::Test;

const MANIFEST: &str = r#"
[[step]]
name = "begin"
start = true
script = 'for i in 1 2; do echo $i > $OUTPUT_DIR/${i}_count; done; echo began'

[[step]]
name = "count"
script = 'echo counted; cp $INPUT_FILE $OUTPUT_DIR/$TASK_PIPELINE_KEY.txt'

[[step]]
name = "fails"
from = ["begin"]
script = 'echo to no avail; exit 1'
"#;

/// Command lines that are wrong, and what has to be said of each: an error with this in it, and status 2.
const WRONG: &[(&str, &str)] = &[
    ("runn", "did you mean `run`?"),
    ("rum", "did you mean `run`?"),
    ("statsu", "did you mean `status`?"),
    ("chekc", "did you mean `check`?"),
    ("taks", "did you mean `tasks`?"),
    ("reprot", "did you mean `report`?"),
    ("verfiy", "did you mean `verify`?"),
    ("hlep", "did you mean `help`?"),
    ("migrtae", "run -migrate-tainted"),
    ("-versio", "did you mean -version?"),
    ("-dry", "did you mean -dry-run?"),
    ("run -dry", "did you mean -dry-run?"),
    ("run -no-color", "-color never"),
    ("run -q=true", "-q takes no value"),
    ("run -j=x", "`x` is no whole number"),
    (
        "run -f=nowhere.toml",
        "cannot read the manifest nowhere.toml",
    ),
    ("run -fnowhere.toml", "did you mean -f nowhere.toml?"),
    ("run -nq", "each has a dash of its own: -n -q"),
    ("run -vv", "did you mean -v? Once is enough"),
    ("run --j 4", "hint: type -j"),
    ("run --j=4", "hint: type -j"),
    ("tasks --f other.toml", "hint: type -f"),
    ("tasks -step -1s", "as a value: -step=-1s"),
    ("run -only -1s", "as a value: -only=-1s"),
    ("verify -sample 1 -seed x", "`x` is no whole number"),
    ("gc -force", "-force is an option of `export`"),
    ("export -o there", "-to DIR writes the results"),
    ("run -o there", "-publish DIR keeps the results"),
    ("shell -- ls -l", "type `task-pipeline shell STEP -- ls -l`"),
    ("step", "`tasks -step STEP` lists its tasks"),
    ("runsets", "`status -runset all` shows every runset"),
    ("run fresh", "it is an option: `task-pipeline run -fresh`"),
    ("lock update", "did you mean -update?"),
    ("verify repair", "did you mean -repair?"),
    ("verify -fix", "-repair puts aside"),
    ("run -database there", "-db DIR is where"),
    ("version count", "`task-pipeline version -help` shows"),
    ("graph -o x.svg", "> FILE"),
    ("gc -n", "did you mean -dry-run?"),
    (
        "init -list",
        "`task-pipeline init -help` lists the templates",
    ),
    ("migrate", "run -migrate-tainted"),
    ("update", "run -migrate-tainted"),
    ("clean", "`gc` frees"),
    ("rm", "`gc` frees"),
    ("prune", "`gc` frees"),
    ("resume", "`task-pipeline run`"),
    ("start", "`task-pipeline run`"),
    ("build", "`task-pipeline run`"),
    ("retry", "`task-pipeline run`"),
    ("plan", "run -dry-run"),
    ("dry-run", "run -dry-run"),
    ("list", "`tasks` lists"),
    ("ls", "`tasks` lists"),
    ("ps", "`tasks` lists"),
    ("logs", "`log STEP`"),
    ("tail", "`log STEP`"),
    ("validate", "`check` looks at the manifest"),
    ("lint", "`check` looks at the manifest"),
    ("dag", "`graph svg`"),
    ("ui", "`report FILE`"),
    ("serve", "`report FILE`"),
    ("exec", "`shell STEP`"),
    ("debug", "`shell STEP`"),
    ("new", "`init` makes"),
    ("diff", "`why STEP`"),
    ("lineage", "`trace` says"),
    ("results", "`export -to DIR`"),
    ("publish", "`export -to DIR`"),
    ("stop", "SIGTERM"),
    ("unlock", "SIGTERM"),
    ("completion", "`completions SHELL`"),
    ("count", "count is a step: `run -only count`"),
    ("-run count", "count is a step"),
    ("coutn", "did you mean the step count?"),
    ("frobnicate", "`task-pipeline help` lists"),
    ("-rnu", "did you mean -run?"),
    ("--rnu", "did you mean -run?"),
    ("run -frehs", "did you mean -fresh?"),
    ("run -paralel 4", "did you mean -parallel?"),
    ("run -keepgoing", "did you mean -keep-going?"),
    ("run -cores 4", "-parallel N, or -j N"),
    ("run -jobs 4", "-parallel N, or -j N"),
    ("run -force", "-start STEP does a step again"),
    ("run -B", "-B"),
    ("run -resume", "goes on where the last one ended"),
    ("run -file x", "-manifest FILE, or -f FILE"),
    ("run -config a=1", "-param NAME=VALUE"),
    ("run -configfile x", "-params FILE"),
    ("run -no-fail-fast", "-keep-going, which is the default"),
    ("run -forcerun count", "-start STEP does a step again"),
    ("run -unlock", "leaves no lock"),
    ("run -with-report x", "`report FILE`"),
    ("watch", "`run -watch`"),
    ("follow", "`status -follow`"),
    ("migrate-tainted", "`task-pipeline run -migrate-tainted`"),
    ("run -directory x", "-workdir DIR"),
    ("run -slurm", "-executor NAME"),
    ("run -target count", "-until STEP, or -only STEP"),
    ("run -s", "-s"),
    ("run -failed", "-failed is an option of `log`"),
    ("status -failed", "-failed is an option of `log`"),
    ("status -fresh", "-fresh does not go with `status`"),
    ("tasks -cores 4", "`task-pipeline tasks -help` lists them"),
    ("log -failled", "did you mean -failed?"),
    ("log -step coutn", "did you mean `count`?"),
    (
        "log",
        "hint: type `task-pipeline log TASK` or `task-pipeline log STEP`",
    ),
    ("log nosuch", "its steps are begin, count, fails"),
    ("log coun", "did you mean `count`?"),
    ("log fa", "did you mean `fails`?"),
    (
        "log count nosuch",
        "is no step in ./db, and no number of a task",
    ),
    ("log -failed coutn", "did you mean `count`?"),
    ("log -failed 3", "-failed goes with steps"),
    ("report", "hint: type `task-pipeline report FILE`"),
    (
        "report a.html -output b.html",
        "FILE does not go with -output",
    ),
    ("graph svgg", "hint: did you mean `svg`? It is one of text"),
    ("graph svg -format dot", "does not go with"),
    ("init wrods", "did you mean `words`?"),
    ("init nothing", "there are default, data"),
    ("init default", "is there, and nothing is replaced"),
    (
        "run -keep-going -fail-fast",
        "-keep-going does not go with -fail-fast",
    ),
    ("run -quiet -verbose", "does not go with"),
    ("run -q -v", "does not go with"),
    (
        "run -runset night",
        "did you mean `nightly`? `run -fresh -runset night` makes a new one",
    ),
    (
        "run -runset nihgtly",
        "did you mean `nightly`? `run -fresh -runset nihgtly` makes a new one",
    ),
    ("status -runset nihgtly", "did you mean `nightly`?"),
    ("run -start coutn", "did you mean `count`?"),
    ("run -only coutn", "did you mean `count`?"),
    ("run -until coutn", "did you mean `count`?"),
    ("run -j many", "many"),
    ("run -j 0", "`0` is no whole number from 1"),
    ("run -jx", "-jx"),
    (
        "run -f nowhere.toml",
        "cannot read the manifest nowhere.toml",
    ),
    ("-j 2", "hint: type `task-pipeline run -j 2`"),
    (
        "-fresh",
        "-run is missing: -fresh does nothing without it\nhint: type `task-pipeline run -fresh`",
    ),
    ("why", "`task-pipeline why` needs TASK or STEP"),
    ("why nosuch", "nosuch"),
    ("shell coutn", "did you mean `count`?"),
    ("completions tcsh", "tcsh"),
    ("run -grace soon", "soon"),
    ("run -gpus many", "`many` is no GPU, and no number of them"),
    ("run -gpus 1.5", "`1.5` is no GPU, and no number of them"),
    ("run -gpus 0,x", "`x` is no GPU"),
    ("run -memory lots", "say 500M"),
    ("run -cpus 1.5", "is no whole number"),
    ("run -sync never", "never"),
    ("run -log-format xml", "xml"),
    ("run -executor nowhere", "nowhere"),
    ("run -param nosuch=1", "nosuch"),
    ("run -secret nosuch=x", "nosuch"),
    ("run -partition 3/2", "3/2"),
    (
        "run -input",
        "-input needs a value, and has none\nhint: write -input INPUT",
    ),
    ("-db", "-db needs a value"),
    ("gc -keep-runsets few", "few"),
    ("evict coutn", "coutn"),
    ("cat", "needs OUTPUT or HASH or TASK"),
    ("cat 1.tx", "did you mean `1.txt`?"),
    ("trace", "needs OUTPUT or HASH or TASK"),
    ("verify -sample some", "some"),
    ("run run", "`run` is there twice"),
    ("-- run", "leave `--` out: `task-pipeline run`"),
    ("run -- count", "hint: leave `--` out"),
    ("run -j -3", "`-3` is no whole number from 1 to 65536"),
    ("-cpus -1 run", "`-1` is no whole number from 1"),
    ("gc -keep-runsets -1", "`-1` is no whole number from 1 on"),
    (
        "gc -older-than -3d",
        "hint: write it without the dash: -older-than 3d",
    ),
    ("log -n 3", "hint: `task-pipeline log … | tail -n 3`"),
    ("log -n3 count", "hint: `task-pipeline log … | tail -n 3`"),
    ("tasks -n 3", "hint: -limit 3 shows so many"),
    ("tasks -n", "-dry-run does not go with `tasks`"),
    (
        "run -only “count”",
        "hint: the quotes of `“count”` are those of a printed page",
    ),
    ("–run", "hint: the dash of `–run` is that of a printed page"),
    ("run –fresh", "type -fresh"),
    ("log count’", "type count"),
    ("run=yes", "there is no subcommand"),
    ("-run=yes", "-run takes no value, and `yes` is one"),
    ("log -step a 3", "-step does not go with TASK or STEP"),
    ("log -stdout", "type `task-pipeline log -stdout TASK` or"),
    ("cache-key a", "type `task-pipeline cache-key a FILE`"),
    (
        "run -grace 0",
        "hint: `task-pipeline run -help` explains -grace",
    ),
    ("run -n -watch", "-dry-run does not go with -watch"),
    ("-watch -n", "-watch does not go with -dry-run"),
    ("run -json", "-log-format json tells in JSON"),
    ("check -json", "-log-format json tells in JSON"),
    ("run -only count -until count", "does not go with"),
];

#[test]
fn what_is_wrong_is_told_with_what_there_is() {
    let test = Test::with(MANIFEST);
    test.run(["-run", "-fresh", "-runset", "nightly"]).exits(1);
    let before = test.rows("SELECT count(*) FROM task");
    for (line, said) in WRONG {
        let ran = test.run(line.split_whitespace());
        assert_eq!(ran.status, 2, "{line}: {ran:?}");
        assert!(ran.stdout.is_empty(), "{line}: {ran:?}");
        assert!(ran.stderr.contains("error: "), "{line}: {ran:?}");
        // One look, whoever found it: no option has two dashes, and there is no second hint.
        for theirs in ["Usage:", "For more information", "'--", "tip:", "[possible"] {
            assert!(!ran.stderr.contains(theirs), "{line}: {ran:?}");
        }
        let mut words = ran.stderr.split_whitespace();
        assert!(
            !words.any(|word| word.len() > 2 && word.starts_with("--")),
            "{line}: {ran:?}"
        );
        assert!(ran.stderr.contains(said), "{line}: no {said:?} in {ran:?}");
        // As JSON, it is one object.
        let json = test.run(line.split_whitespace().chain(["-log-format", "json"]));
        if json.status == 2 && !line.contains("log-format") && !line.contains("-- ") {
            let lines: Vec<&str> = json.stderr.lines().collect();
            let last: serde_json::Value = serde_json::from_str(lines.last().unwrap()).unwrap();
            assert_eq!(last["event"], "error", "{line}: {json:?}");
        }
    }
    assert_eq!(test.rows("SELECT count(*) FROM task"), before);
}

/// Of what is as near, a step is likelier than what another tool has under such a name.
#[test]
fn misspelt_steps_are_known() {
    let step = |name: &str| format!("[[step]]\nname = '{name}'\nscript = ':'\n");
    let steps = ["fetch", "build", "plots"].map(step).concat();
    let test = Test::with(&steps.replacen("script", "start = true\nscript", 1));
    for (word, near) in [("fecth", "fetch"), ("biuld", "build"), ("plost", "plots")] {
        test.run([word])
            .exits(2)
            .says(&format!("did you mean the step {near}?"));
    }
    test.run(["statsu"]).exits(2).says("did you mean `status`?");
}

/// What a hint says to type works as it stands, whatever the step is called.
#[test]
fn names_of_steps_in_hints_can_be_typed() {
    let names = [("be gin", "'be gin'"), ("$z", "'$z'"), ("=x", "'=x'")];
    let step =
        |(name, _): (&str, &str)| format!("[[step]]\nname = '{name}'\nscript = 'echo said'\n");
    let steps = names.map(step).concat();
    let test = Test::with(&steps.replacen("script", "start = true\nscript", 1));
    for (name, typed) in names {
        let said = |words: &[&str], hint: &str| {
            test.run(words.iter().copied()).exits(2).says(hint);
        };
        said(&[name], &format!("`run -only {typed}` runs"));
        said(&[name], &format!("`log {typed}` shows"));
        said(&["status", name], &format!("`tasks -step {typed}` lists"));
    }
    said_to_type(&test, "-start 'be gin'");
    said_to_type(&test, "-only '$z'");
}

/// The program takes these words as a shell gives them to it.
fn said_to_type(test: &Test, words: &str) {
    let program = env!("CARGO_BIN_EXE_task-pipeline");
    let mut shell = test.shell(&format!("'{program}' run {words}"));
    assert!(shell.status().unwrap().success(), "{words}");
}

/// Who goes no further than its first line is told by the exit status how it was.
#[test]
fn a_reader_that_has_gone_changes_no_verdict() {
    let test = Test::with(
        "[[step]]\nname = 'a'\nstart = true\nscript = 'echo x > $OUTPUT_DIR/x; test ! -e $COUNT'\n",
    );
    let program = env!("CARGO_BIN_EXE_task-pipeline");
    let status = |words: &str| {
        let line = format!(
            "exec 3>&1; ({{ sleep 0.2; '{program}' {words}; echo $? >&3; }} | true) 2> err"
        );
        let output = test.shell(&line).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(status("run -junit -"), "0\n");
    let object = test.object(&crate::harness::hash(b"x\n"));
    std::fs::remove_file(object).unwrap();
    for words in ["verify", "verify -json", "verify -quick"] {
        assert_eq!(status(words), "1\n", "{words}");
    }
    assert_eq!(status("status"), "0\n");
    test.write("count", "");
    for words in ["run -start a -junit -", "run -junit - -trace -"] {
        assert_eq!(status(words), "1\n", "{words}");
    }
    test.manifest("[[step]]\nname = 'a'\nstart = true\nscript = 'cat $INPUT_DIR/x'\n");
    test.run(["check", "-strict"]).exits(1);
    assert_eq!(status("check -strict"), "1\n");
}

#[test]
fn what_is_meant_is_done() {
    let test = Test::with(MANIFEST);
    // Who only asks makes nothing.
    test.run([""; 0]).exits(0).prints("nothing has run yet");
    test.run(["-n"]).exits(0).prints("begin");
    test.run(["run", "-n"]).exits(0).prints("begin");
    assert!(!test.path("db").exists());
    std::fs::rename(test.path("workflow.toml"), test.path("other.toml")).unwrap();
    test.run(["run", "-q", "-j2", "-f", "other.toml"]).exits(1);
    test.run(["-f", "other.toml", "-j", "1", "run", "-v"])
        .exits(1)
        .says("to no avail");
    std::fs::rename(test.path("other.toml"), test.path("workflow.toml")).unwrap();
    test.run(["-run", "run"]).exits(1);

    // Those that failed, or all.
    test.run(["log", "fails"]).exits(0).prints("to no avail");
    let all = test.text(&["log", "count"]);
    assert_eq!(all.matches("counted").count(), 2, "{all}");
    assert_eq!(test.text(&["log", "-step", "count"]), all);
    assert_eq!(
        test.text(&["log", "-step", "begin"])
            .matches("began")
            .count(),
        1
    );
    let failed = test.text(&["log", "-failed", "-step", "count"]);
    assert_eq!(failed, "");
    // Several at once.
    let fails = test.text(&["log", "fails"]);
    assert_eq!(test.text(&["log", "-failed", "fails", "count"]), fails);
    assert_eq!(test.text(&["log", "count", "fails"]), all + &fails);

    assert_eq!(test.text(&["cat", "2.txt"]), "2\n");
    test.run(["report", "page.html"]).exits(0);
    assert!(test.read("page.html").contains("</html>"));
    let svg = test.text(&["graph", "svg"]);
    assert!(svg.contains("<svg"), "{svg}");
    assert_eq!(svg, test.text(&["graph", "-format", "svg"]));
    test.run(["help"]).exits(0).prints("task-pipeline run");
    for words in ["help run", "run -help", "run --help", "-run -help"] {
        let page = test
            .run(words.split(' '))
            .exits(0)
            .prints("Usage: task-pipeline run [OPTIONS]")
            .prints("Run again whenever the manifest");
        assert!(!page.stdout.contains("With -run"), "{words}: {page:?}");
        assert!(!page.stdout.contains("Commands:"), "{words}: {page:?}");
    }
    // Who asks after a failure is told where to read of it, and what the manifest has no more.
    test.run([""; 0])
        .exits(0)
        .prints("failures: log -failed\nnext: ");
    test.manifest(&MANIFEST.replace("name = \"count\"", "name = \"other\""));
    test.run(["status"]).exits(0).prints(
        "no longer in the manifest: count; what was done stays, and nothing more of it runs\n",
    );
    test.manifest(MANIFEST);
    let status = test.text(&["status"]);
    assert!(!status.contains("no longer in"), "{status}");
    // A series of names is no mistake.
    test.run(["run", "-runset", "night-1"]).exits(1);
    test.run(["run", "-runset", "night-2"]).exits(1);
}

#[test]
fn a_template_is_written_once_and_can_be_checked() {
    let test = Test::new();
    for template in [
        "default", "data", "samples", "words", "matrix", "site", "ci", "cluster", "nixos",
    ] {
        test.run(["init", template, template])
            .exits(0)
            .prints(&format!("{template}/workflow.toml\n"));
        let manifest = format!("{template}/workflow.toml");
        test.run(["check", "-manifest", &manifest]).exits(0);
        test.run(["init", template, template])
            .exits(2)
            .says("nothing is replaced");
    }
    test.run(["init"]).exits(0).prints("task-pipeline run");
    assert!(test.path("Cargo.lock").exists());
}

#[test]
fn a_program_that_is_not_found_is_named() {
    let test = Test::with("[[step]]\nname = 'a'\nstart = true\nscript = 'nosuchprogram x'\n");
    test.run(["run"])
        .exits(1)
        .says("exit status 127")
        .says("hint: \"nosuchprogram\" is no program that the script finds: add the package");
}
