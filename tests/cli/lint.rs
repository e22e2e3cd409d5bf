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
fn what_a_program_may_leave_is_not_final() {
    let test = Test::with(
        "[[step]]\nname = 'a'\nstart = true\n\
         script = 'seq 9 | split -l 3 --additional-suffix=_next.txt - \"$OUTPUT_DIR/part\"'\n\
         [[step]]\nname = 'next'\nscript = 'split \"$INPUT_FILE\" \"$OUTPUT_DIR/x\"'\n",
    );
    test.run(["check"])
        .exits(0)
        .prints("part*_next.txt may go to next")
        .prints("x* may go wherever its names lead");
}

#[test]
fn a_reference_without_a_package() {
    let test = Test::with(
        "[[step]]\nname = 'a'\nstart = true\nscript = 'true'\npackages = ['nixpkgs#']\n",
    );
    test.run(["check"]).exits(0).says(
        "warning: step `a`: `nixpkgs#` names no package behind its `#`\n --> workflow.toml:5:12\n",
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
    let words = "which is in none of its `files`: a change of it makes no new version\n";
    let ran = test.run(["check"]).exits(0).prints("2 warnings");
    ran.says(&format!("warning: step `a` uses `tool.sh`, {words}"))
        .says(
            " --> workflow.toml:5:1\n  |\n5 | ./tool.sh > \"$OUTPUT_DIR/a_page\"\n  | ^^^^^^^^^\n\
             hint: `files = [\"tool.sh\"]` makes one\n",
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
            "warning: workflow.toml:5: step `a` uses `tool.sh`, {words}hint: `files = [\"tool.sh\"]` makes one\n"
        ))
        .says("warning: workflow.toml:9: step `page` uses `template.html`");
    test.run(["-run"]).exits(1).never_says("warning");
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
        .says("hint: add \"lib/x\" to the step's `files`\n");
}
