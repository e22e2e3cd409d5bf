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
