//! What cannot come in: told with its place, before anything runs.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;

use crate::harness::{Test, files, wait_for};

const STEP: &str = "[[step]]\nname = 's'\nscript = 'echo ran >> $COUNT'\n";

/// What a run says that must not begin.
#[track_caller]
fn refused(test: &Test, input: &str, words: &[&str]) {
    test.manifest(&format!("[[input]]\n{input}\nstep = 's'\n{STEP}"));
    let said = test.run(["-run"]).exits(2).stderr;
    for words in words
        .iter()
        .chain(&["hint: ", "--> workflow.toml:2:", "nothing was run"])
    {
        assert!(said.contains(words), "{words}\n{said}");
    }
    assert_eq!(test.count(), [""; 0]);
}

#[test]
fn files_that_cannot_be_had() {
    let test = Test::new();
    test.write("in/a", "1");
    refused(&test, "files = 'none*'", &["`none*` matches no file"]);
    refused(
        &test,
        "files = '/etc/passwd'",
        &["does not begin in the manifest's folder"],
    );
    refused(
        &test,
        "files = '../*'",
        &["leads out of the manifest's folder"],
    );
    symlink("nowhere", test.path("in/broken")).unwrap();
    refused(
        &test,
        "files = 'in/*'",
        &["`in/broken` is a link to `nowhere`"],
    );
    fs::remove_file(test.path("in/broken")).unwrap();
    let bad = test.path("in").join(std::ffi::OsStr::from_bytes(b"\xff"));
    if fs::write(&bad, "").is_ok() {
        refused(&test, "files = 'in/*'", &["is not UTF-8"]);
        fs::remove_file(bad).unwrap();
    }
    nix::unistd::mkfifo(&test.path("in/fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    refused(&test, "files = 'in/*'", &["`in/fifo` is a FIFO"]);
    refused(
        &test,
        "rows = 'in/fifo.csv'",
        &["cannot read `in/fifo.csv`"],
    );
}

#[test]
fn check_looks_at_what_comes_in() {
    let test = Test::new();
    let check = |input: &str| {
        test.manifest(&format!(
            "[[input]]\n{input}\nstep = 'a'\n[[step]]\nname = 'a'\nscript = ':'\n"
        ));
        test.run(["check"])
    };
    // What is not there may come: only -strict fails for it.
    test.write("s.csv", "id,f\n1,x.bin\n");
    for (input, told) in [
        ("files = 'data/*.csv'", "`data/*.csv` matches no file"),
        ("rows = 'none.csv'\nname = '{id}'", "cannot read `none.csv`"),
        (
            "rows = 's.csv'\nname = '{id}'\npaths = ['f']",
            "s.csv, line 2: ",
        ),
    ] {
        check(input).exits(0).says("warning: ").says(told);
        test.run(["check", "-strict"]).exits(1).says(told);
    }
    // What is there is wrong.
    for (input, told) in [
        ("rows = 's.csv'\nname = '{sample}'", "sample"),
        ("rows = 's.csv'\nname = '{id}'\npaths = ['g']", "`g`"),
    ] {
        check(input).exits(2).says("error: ").says(told);
    }
    test.write("x.bin", "");
    check("rows = 's.csv'\nname = '{id}'\npaths = ['f']")
        .exits(0)
        .never_says("warning");
    // Nothing is run, and nothing made.
    check("lines = 'touch ran'").exits(0);
    assert!(!test.path("ran").exists() && !test.path("db").exists());
}

#[test]
fn sheets_that_cannot_be_read() {
    let test = Test::new();
    for (sheet, words) in [
        ("", "s.csv, line 1: it is empty, without a header"),
        (
            "a,b\n1\n",
            "s.csv, line 2: 1 field in this row, and 2 in the header",
        ),
        (
            "a,a\n1,2\n",
            "s.csv, line 1: two columns of the header are called `a`",
        ),
        (
            "a,\n1,2\n",
            "s.csv, line 1: column 2 of the header has no name",
        ),
        ("b\n1\n", "s.csv, line 1: the header has no column `a`"),
        (
            "a,b\n1,2\n\n1,3\n",
            "s.csv, line 4: it has the name `1` of line 2",
        ),
        ("a\n..\n", "s.csv, line 2: its name cannot be a file's"),
    ] {
        test.write("s.csv", sheet);
        refused(&test, "rows = 's.csv'\nname = '{a}'", &[words]);
    }
    fs::remove_file(test.path("s.csv")).unwrap();
    symlink("nowhere", test.path("s.csv")).unwrap();
    refused(
        &test,
        "rows = 's.csv'",
        &["it is a link that leads nowhere"],
    );
}

#[test]
fn commands_that_fail() {
    let test = Test::new();
    refused(
        &test,
        "lines = 'echo a; echo why >&2; exit 3'",
        &["the command of `lines` failed: exit status 3\n", "why"],
    );
    refused(
        &test,
        "lines = 'no-such-program'",
        &["the command of `lines` failed: exit status 127"],
    );
    refused(
        &test,
        "lines = 'echo a; echo b; echo a'",
        &["lines 1 and 3 of what it wrote are the same: `a`"],
    );
    refused(&test, "lines = \"printf '\\\\377'\"", &["is no UTF-8 text"]);
}

#[test]
fn what_no_step_takes() {
    let test = Test::new();
    test.write("a.txt", "1");
    test.manifest(&format!("[[input]]\nfiles = 'a.txt'\n{STEP}"));
    let said = test.run(["-run"]).exits(2).stderr;
    assert!(said.contains("a.txt goes to no step"), "{said}");
    assert!(
        said.contains("hint: say which one takes it: step ="),
        "{said}"
    );
}

#[test]
fn whoever_reads_a_large_file_can_be_interrupted() {
    let test = Test::new();
    let large = fs::File::create(test.path("large")).unwrap();
    large.set_len(1 << 40).unwrap();
    test.manifest(&format!("[[input]]\nfiles = 'large'\nstep = 's'\n{STEP}"));
    let running = test.start(["-run"]);
    wait_for("some of it", || {
        let found = files(&test.path("db")).into_iter();
        let mut sizes = found.filter_map(|file| fs::metadata(file).ok());
        sizes.any(|file| file.len() > 1 << 20)
    });
    running.signal(rustix::process::Signal::INT);
    running.end().exits(130);
    test.nothing_temporary_is_left();
    assert_eq!(test.count(), [""; 0]);
}

#[test]
fn quotes_that_are_not_closed_lose_no_rows() {
    let test = Test::new();
    test.manifest(&format!(
        "[[input]]\nrows = 's.csv'\nname = '{{id}}'\nstep = 's'\n{STEP}"
    ));
    test.write("s.csv", "id,v\na,\"1, \"\"one\"\"\"\nb,2\nc,\"x\ny\"\n");
    test.runs().says("inputs: 3 new");
    for (rows, line, what) in [
        (
            "id,v\na,\"1\nb,2\nc,3\n",
            2,
            "a quote that begins in this row is not closed",
        ),
        (
            "id,v\na,1\nb,\"2\"x\nc,3\n",
            3,
            "text follows the quote that ends a field",
        ),
    ] {
        test.write("s.csv", rows);
        test.run(["-run"])
            .exits(2)
            .says(what)
            .says(&format!("line {line}"));
    }
    assert_eq!(test.rows("SELECT count(*) FROM task WHERE live"), ["3"]);
}

#[test]
fn what_a_command_says_that_ends_well_is_told() {
    let test = Test::new();
    test.manifest(&format!(
        "[[input]]\nlines = 'ls here missing | sort'\nstep = 's'\n{STEP}"
    ));
    test.write("here", "");
    test.runs()
        .says("workflow.toml:2: the command ended well, and said on standard error: ls: ")
        .says("missing");
    test.run(["-run", "-quiet"]).exits(0).says("missing");
}

#[test]
fn a_command_that_never_had_a_line_says_nothing_of_anothers() {
    let test = Test::new();
    test.manifest(&format!(
        "[[input]]\nlines = 'cat one'\nstep = 's'\n[[input]]\nlines = 'cat two'\nstep = 's'\n{STEP}"
    ));
    test.write("one", "a\nb\n");
    test.write("two", "");
    test.runs().says("inputs: 2 new");
    test.write("one", "a\n");
    test.runs().says("inputs: 1 gone, 1 unchanged");
    test.write("two", "b\n");
    test.runs().says("inputs: 1 new");
    test.write("two", "");
    test.run(["-run"])
        .exits(2)
        .says("nothing comes in here any more: the results of 1 entry would go")
        .says("cat two");
}
