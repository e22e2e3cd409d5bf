//! `check` as a lint: what is no error and yet hardly meant.

use crate::harness::Test;

#[test]
fn a_script_that_its_shell_cannot_read() {
    let test = Test::with(
        "[[step]]\nname = 'a'\nstart = true\nscript = '''\necho a\nif true; then\n  echo b\nfi fi\n'''\n\
         [[step]]\nname = 'b'\nshell = ['bash', '-euo', 'pipefail', '-c']\nscript = \"echo \\\"a\\\"\\ndone\"\n",
    );
    test.run(["check"])
        .exits(0)
        .says("warning: step `a`: `sh` cannot read the script: ")
        .says(" --> workflow.toml:8:1\n  |\n8 | fi fi\n  | ^^^^^\n")
        .says("warning: step `b`: `bash` cannot read the script: syntax error near unexpected token `done'\n")
        .says(" --> workflow.toml:13:23\n")
        .prints("2 warnings");
    test.run(["check", "-strict"])
        .exits(1)
        .says("error: step `a`: `sh` cannot read")
        .says("workflow.toml: 2 errors (-strict)");
    // Nothing of it is done.
    let test = Test::with(
        "[[step]]\nname = 'a'\nstart = true\nscript = 'echo done >> $COUNT'\nkeep = ['COUNT']",
    );
    test.run(["check", "-strict"]).exits(0);
    assert!(test.count().is_empty());
}

#[test]
fn a_step_that_nothing_leads_to() {
    let test = Test::with(
        "[[step]]\nname = 'a'\nstart = true\nscript = 'echo a > $OUTPUT_DIR/a_b'\n\
         [[step]]\nname = 'b'\nscript = 'true'\n[[step]]\nname = 'c'\nscript = 'true'\n",
    );
    test.run(["check"])
        .exits(0)
        .says("warning: nothing leads to step `c`\n --> workflow.toml:9:8\n");
}

#[test]
fn an_output_that_leads_back_to_its_step() {
    let test = Test::with(
        "[[step]]\nname = 'a'\nstart = true\nscript = 'echo a > $OUTPUT_DIR/a_chart'\n\
         [[step]]\nname = 'chart'\nscript = 'sort $INPUT_FILE > $OUTPUT_DIR/chart.txt'\n",
    );
    let words = "step `chart` leaves `chart.txt`, whose name leads back to it (chart → chart)\n";
    test.run(["check"])
        .exits(0)
        .says(words)
        .says(" --> workflow.toml:7:42\n");
    test.run(["-run", "-strict"])
        .exits(1)
        .says(words)
        .says("nothing was run");
    assert!(!test.path("db").exists());
    test.run(["-run"]).exits(1).says(words);
    // Once: no version is registered now.
    test.run(["-run"]).never_says(words);
}

#[test]
fn a_file_that_several_tasks_write() {
    let test = Test::with(
        "[[step]]\nname = 'a'\nstart = true\nscript = 'echo a | tee own > $OUTPUT_DIR/a_b'\n\
         [[step]]\nname = 'b'\nscript = '''\nsort $INPUT_FILE > sorted\nuniq sorted > $OUTPUT_DIR/x\n'''\n",
    );
    let words = "step `b` writes to `sorted` in the folder where all tasks start: tasks that run at the same time write to the same file\n";
    test.run(["check"])
        .exits(0)
        .says(words)
        .never_says("`own`")
        .says("hint: \"$TMPDIR/sorted\" belongs to one task");
    test.run(["-run"]).exits(0).says(words);
}

#[test]
fn what_a_program_may_leave_is_not_final() {
    let test = Test::with(
        "[[step]]\nname = 'a'\nstart = true\n\
         script = 'seq 9 | split -l 3 --additional-suffix=_next.txt - \"$OUTPUT_DIR/part\"'\n\
         [[step]]\nname = 'next'\nscript = 'split \"$INPUT_FILE\" \"$OUTPUT_DIR/x\"'\n",
    );
    test.run(["check"])
        .exits(0)
        .prints("part*_next.txt may go to next")
        .prints("x* → wherever the names lead");
}

#[test]
fn a_reference_without_a_package() {
    let test = Test::with(
        "[[step]]\nname = 'a'\nstart = true\nscript = 'true'\npackages = ['nixpkgs#']\n",
    );
    test.run(["check"]).exits(0).says(
        "warning: step `a`: `nixpkgs#` names no package after its `#`\n --> workflow.toml:5:12\n",
    );
}

#[test]
fn a_file_that_no_version_knows_of() {
    let test = Test::with(
        "[[step]]\nname = 'a'\nstart = true\nscript = '''\n./tool.sh > \"$OUTPUT_DIR/a_page\"\n'''\n\
         [[step]]\nname = 'page'\nscript = 'sed s/x/y/ template.html > \"$OUTPUT_DIR/out\"'\n",
    );
    test.write("template.html", "x");
    test.write("tool.sh", "#!/bin/sh\necho");
    let words = "which is not in its `files`: a change of it does not make a new version\n";
    let ran = test.run(["check"]).exits(0).prints("2 warnings");
    ran.says(&format!("warning: step `a` uses `tool.sh`, {words}"))
        .says(
            " --> workflow.toml:5:1\n  |\n5 | ./tool.sh > \"$OUTPUT_DIR/a_page\"\n  | ^^^^^^^^^\n\
             hint: add `files = [\"tool.sh\"]` to the step; put `!` before a name if no result depends on it\n",
        )
        .says("warning: step `page` uses `template.html`, which");
    for words in [["check", "-strict"], ["-run", "-strict"]] {
        test.run(words)
            .exits(1)
            .says("error: step `a` uses `tool.sh`")
            .says("workflow.toml: 2 errors (-strict); nothing was run");
    }
    assert!(!test.path("db").exists());
    // Whoever registers a version tells it; that it fails then is another matter.
    test.run(["-run"])
        .exits(1)
        .says(&format!(
            "warning: workflow.toml:5: step `a` uses `tool.sh`, {words}hint: add `files = [\"tool.sh\"]` to the step; put `!` before a name if no result depends on it\n"
        ))
        .says("warning: workflow.toml:9: step `page` uses `template.html`");
    test.run(["-run"])
        .exits(1)
        .says("warning: workflow.toml:5: step `a` uses `tool.sh`");
}

#[test]
fn a_file_that_comes_when_the_version_is_known_is_told_by_each_run() {
    let test = Test::with(
        "[[step]]\nname = 'a'\nstart = true\n\
         script = '[ ! -f own.conf ] || . ./own.conf; echo $PWD > $OUTPUT_DIR/out'\n",
    );
    test.runs().never_says("warning");
    test.write("own.conf", "");
    for words in [
        &["-run"] as &[_],
        &["-run", "-quiet"],
        &["-migrate-tainted", "-run"],
    ] {
        test.run(words).exits(0).says(
            "warning: workflow.toml:4: step `a` uses `own.conf`, which is not in its `files`",
        );
    }
    test.run([""; 0]).exits(0).never_says("own.conf");
    test.run(["-run", "-strict"]).exits(1);
}

#[test]
fn files_that_are_named_elsewhere_than_in_a_script_of_a_shell() {
    let step = |keys: &str| format!("[[step]]\nname = 'a'\nstart = true\n{keys}\n");
    for (keys, told, line) in [
        ("shell = ['./tool']\nscript = 'x'", "`tool` in `shell`", 4),
        (
            "shell = ['awk', '-f', 't.awk']\nscript = 'x'",
            "`t.awk` in `shell`",
            4,
        ),
        (
            "script = 'cat $CONF'\nenv = { CONF = 't.awk' }",
            "`t.awk` in `env`",
            5,
        ),
        (
            "shell = ['python3', '-c']\nscript = \"open('t.awk')\"",
            "`t.awk`",
            5,
        ),
        ("script = \"sh -c 'cat t.awk'\"", "`t.awk`", 4),
    ] {
        let test = Test::with(&step(keys));
        test.write("tool", "");
        test.write("t.awk", "");
        test.run(["check"])
            .exits(0)
            .says(&format!(
                "warning: step `a` uses {told}, which is not in its `files`"
            ))
            .says(&format!(" --> workflow.toml:{line}:"));
        test.run(["-run", "-strict"])
            .exits(1)
            .says(&format!("error: step `a` uses {told}, which"));
    }
}

#[test]
fn a_file_that_no_key_could_name() {
    let test = Test::new();
    test.write("ref.fa", "");
    test.write("m/workflow.toml", "[[step]]\nname = 'a'\nstart = true\nscript = 'cat ../ref.fa /etc/hosts /usr/bin/env >$OUTPUT_DIR/o'\n");
    let command = ["-manifest", "m/workflow.toml", "check"];
    test.run(command)
        .exits(0)
        .says("ref.fa`, which is not beside the manifest, where `files` could name it")
        .says("hint: put a link to it in the manifest's folder")
        .prints("1 warning");
    test.run(["-manifest", "m/workflow.toml", "-run", "-strict"])
        .exits(1);
    // The way out.
    std::os::unix::fs::symlink("../ref.fa", test.path("m/ref.fa")).unwrap();
    test.write("m/workflow.toml", "[[step]]\nname = 'a'\nstart = true\nfiles = ['ref.fa']\nscript = 'cat ref.fa >$OUTPUT_DIR/o'\n");
    test.run(["-manifest", "m/workflow.toml", "-run", "-strict"])
        .exits(0);
}

#[test]
fn a_file_that_the_version_knows_of_is_no_matter() {
    let manifest = "[[step]]\nname = 'a'\nstart = true\nfiles = ['*.sh', 'lib']\n\
         script = 'sh ./tool.sh < lib/x > \"$OUTPUT_DIR/out\"'\n";
    let test = Test::with(manifest);
    test.write("tool.sh", "cat");
    test.write("lib/x", "x");
    test.run(["check", "-strict"]).exits(0);
    test.run(["-run", "-strict"]).exits(0).never_says("warning");
    test.manifest(&manifest.replace("'lib'", "'other'"));
    test.write("other", "");
    test.run(["check"])
        .exits(0)
        .says("hint: add \"lib/x\" to the step's `files`; put `!` before a name if no result depends on it\n");
}

#[test]
fn what_declared_scripts_use_is_found_too() {
    let test = Test::with(
        "[[step]]\nname = 'a'\nstart = true\nfiles = ['tool.sh', 'run', 'table']\n\
         script = './tool.sh; ./run; cat table > $OUTPUT_DIR/x'\n",
    );
    test.write("tool.sh", ". ./lib.sh\ncat data.txt\n");
    test.write("run", "#!/usr/bin/env bash\nsource more.bash\n");
    // No script.
    test.write("table", "cat other.txt\n");
    for file in ["lib.sh", "data.txt", "more.bash", "other.txt"] {
        test.write(file, ":\n");
    }
    let told = test.run(["check"]).exits(0);
    told.says("step `a` uses `lib.sh` in `tool.sh`, which is not in its `files`")
        .says("step `a` uses `data.txt` in `tool.sh`")
        .says("step `a` uses `more.bash` in `run`")
        .says("add \"lib.sh\", \"data.txt\", \"more.bash\" to the step's `files`")
        .never_says("other.txt");
    test.run(["check", "-strict"]).exits(1);
}
