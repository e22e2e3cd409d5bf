//! What patterns find, and what is told of those that find nothing good.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use super::set_mode;
use crate::harness::Test;

fn pipeline(files: &str) -> String {
    format!(
        "[[step]]\nname = 'begin'\nstart = true\n\nfiles = [{files}]\n\
         script = 'echo begin >> $COUNT'\n"
    )
}

fn world() -> Test {
    let test = Test::new();
    test.write("lib/a.sh", "a");
    test
}

/// Before anything runs it is told what is wrong in which line, and what to do.
#[track_caller]
fn refused(test: &Test, files: &str, what: &str) {
    test.manifest(&pipeline(files));
    for arguments in [&["check"][..], &["-run"], &["-run", "-dry-run"]] {
        let told = test.refusal(arguments);
        assert!(
            told.contains(&format!("error: {what}")) && told.contains("workflow.toml:5:"),
            "{files} {arguments:?}\n{told}"
        );
        assert!(told.contains("hint: "), "{told}");
    }
    assert_eq!(test.times("begin"), 0);
}

#[test]
fn patterns_that_are_none_are_refused() {
    let test = world();
    for (files, what) in [
        ("''", "an empty pattern names no file"),
        (
            "'/etc/passwd'",
            "`/etc/passwd` does not begin in the manifest's folder",
        ),
        ("'../x'", "`../x` leads out of the manifest's folder"),
        ("'lib/{a,b}.sh'", "`lib/{a,b}.sh` contains braces"),
        (
            "'lib/**.sh'",
            "`lib/**.sh` has `**` next to other characters",
        ),
        ("'lib/[a.sh'", "`lib/[a.sh` is not a valid pattern"),
        (
            "\"a\\u0000\"",
            "an entry of `files` contains a NUL character",
        ),
    ] {
        refused(&test, files, what);
    }
}

#[test]
fn files_that_cannot_be_had_are_told() {
    let test = world();
    symlink("nowhere", test.path("broken")).unwrap();
    symlink(".", test.path("lib/round")).unwrap();
    nix::unistd::mkfifo(&test.path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    fs::write(test.path("").join(OsStr::from_bytes(b"b\xffd.md")), "x").unwrap();
    for (files, what) in [
        ("'lib/*.py'", "`lib/*.py` matches no file in "),
        ("'tool.sh'", "`tool.sh` matches no file in "),
        (
            "'broken'",
            "`broken` is a link to `nowhere`, which is not there",
        ),
        ("'lib'", "`lib/round` goes round in a circle of links"),
        ("'fifo'", "`fifo` is a FIFO, not a file"),
        ("'*.md'", "the name `b\u{fffd}d.md` is not UTF-8"),
    ] {
        refused(&test, files, what);
    }
    // All at once, what several steps have from the same line once.
    test.manifest(
        "[defaults]\nfiles = ['x', 'y']\n[[step]]\nname = 'a'\nstart = true\nscript = ':'\n\
         [[step]]\nname = 'b'\nfiles = ['z']\nscript = ':'\n",
    );
    let told = test.refusal(&["-run"]);
    assert!(told.contains("3 errors"), "{told}");
    assert_eq!(told.matches("matches no file").count(), 3, "{told}");
}

#[test]
fn a_file_that_may_not_be_read_is_told() {
    if rustix::process::geteuid().is_root() {
        // It may read all.
        return;
    }
    let test = world();
    set_mode(&test, "lib/a.sh", 0);
    test.manifest(&pipeline("'lib/a.sh'"));
    let told = test.refusal(&["-run"]);
    assert!(
        told.contains("error: cannot open `lib/a.sh`: Permission denied")
            && told.contains("workflow.toml:5:"),
        "{told}"
    );
}

#[test]
fn the_programs_own_folder_is_none_of_the_files() {
    let test = world();
    test.manifest(&pipeline("'.'"));
    // What the db holds changes all the time.
    let silent = pipeline("'.'").replace("echo begin >> $COUNT", "echo > $OUTPUT_DIR/end");
    test.manifest(&silent);
    test.runs().says("1 run");
    test.run(["-run", "-fresh"]).exits(0).never_says("changed");
    test.manifest(&pipeline("'.'"));
    test.run(["-run", "-fresh"])
        .exits(1)
        .says("`count` was added while begin ran");
}

#[test]
fn a_pattern_into_the_db_folder_is_told_as_that() {
    let test = world();
    test.manifest(&pipeline("'lib/a.sh'").replace("echo begin >> $COUNT", ":"));
    test.runs();
    for pattern in ["db", "db/*", "db/db", "./db/objects/**"] {
        refused(
            &test,
            &format!("'{pattern}'"),
            &format!(
                "`{pattern}` leads into the db folder, of which nothing is a file of the pipeline"
            ),
        );
    }
}

#[test]
fn a_folder_given_with_workdir_is_where_files_are() {
    let test = Test::new();
    test.manifest(&pipeline("'lib/*'"));
    test.write("there/lib/a", "a");
    test.refusal(&["-run"]);
    let there = test.path("there");
    let there = there.to_str().unwrap();
    test.run(["-run", "-workdir", there]).exits(0);
    let checked = test.text(&["check", "-workdir", there]);
    assert!(checked.contains("  files     lib/a\n"), "{checked}");
}

#[test]
fn what_is_no_dependency_can_be_said() {
    let test = Test::with(
        "[[step]]\nname = 'begin'\nstart = true\nscript = '''
mkdir -p out; date +%N > out/x; cat out/x > $OUTPUT_DIR/o.txt; [ $1 = lib ] || echo lib\n'''\n",
    );
    test.write("lib", "");
    test.runs();
    let told = test.run(["-run", "-strict"]).exits(1);
    let told = told
        .says("uses `out")
        .says("put `!` before a name if no result depends on it");
    told.never_says("`lib`");
    let before = test.rows("SELECT max(version) FROM step");
    let manifest = test.read("workflow.toml");
    test.manifest(&manifest.replace("start = true\n", "start = true\nfiles = ['!out']\n"));
    test.run(["check", "-strict"]).exits(0);
    test.run(["-run", "-strict"]).exits(0).never_says("version");
    assert_eq!(test.rows("SELECT max(version) FROM step"), before);
    // It takes out of what others find.
    test.write("lib2/a", "a");
    test.write("lib2/log", "1");
    test.manifest(&manifest.replace(
        "start = true\n",
        "start = true\nfiles = ['lib2', '!lib2/log', '!out']\n",
    ));
    test.run(["-migrate-tainted", "-run"]).exits(0);
    test.write("lib2/log", "2");
    test.run(["-migrate-tainted", "-run"])
        .exits(0)
        .says("nothing is tainted");
}

#[test]
fn what_is_named_and_taken_out_is_an_error() {
    let step = |name: &str, more: &str| {
        format!("[[step]]\nname = '{name}'\n{more}\nscript = 'cat cfg/* > /dev/null; :'\n")
    };
    let test = Test::with(&format!(
        "[defaults]\nfiles = ['!cfg']\n{}",
        step("a", "start = true\nfiles = ['cfg/a']")
    ));
    test.write("cfg/a", "a");
    test.write("lib/b", "b");
    for command in [&["check"][..], &["-run"]] {
        let told = test.run(command).exits(2);
        told.says(":6:")
            .says("`cfg/a` finds nothing but what `!cfg` takes out");
    }
    // A step may do without what all others have.
    test.manifest(&format!(
        "[defaults]\nfiles = ['cfg']\n{}{}",
        step("a", "start = true"),
        step("b", "files = ['!cfg', 'lib']")
    ));
    test.run(["check"]).exits(0);
    test.runs();
    // Of an input as of a step.
    let input = |more: &str| {
        let step = step("a", "");
        format!("[[input]]\nfiles = ['lib/*', '!lib']\nstep = 'a'\n{more}\n{step}")
    };
    test.manifest(&input(""));
    let told = test.run(["-run"]).exits(2);
    told.says(":2:")
        .says("`lib/*` finds nothing but what `!lib` takes out");
    test.manifest(&input("empty = true"));
    test.run(["-run"]).exits(0).says("inputs: none");
}
