//! Outputs that are large, many, oddly named, or no files at all.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::harness::{Test, files, hash, wait_for};
use crate::script::peak_memory;

/// A start step that leaves `good` beside what this script leaves.
fn leaves(script: &str) -> Test {
    leaves_in(Test::new(), script)
}

fn leaves_in(test: Test, script: &str) -> Test {
    test.manifest(&format!(
        "[[step]]\nname = 'only'\nstart = true\n\
         script = '''\ncd $OUTPUT_DIR; echo good > good\n{script}\n'''\n"
    ));
    test
}

const LINK: &str = "output \"link\" is a symbolic link, not a regular file\nhint: `cp -L` copies what a link leads to";

#[test]
fn what_is_no_regular_file_with_a_utf8_name_fails_the_task() {
    for (script, error) in [
        (
            "mkdir sub; echo x > sub/x",
            "output \"sub\" is a folder, not a regular file\nhint: with `folders = true` on the step it is an \
             output, with all that is in it",
        ),
        ("ln -s good link", LINK),
        ("ln -s nowhere link", LINK),
        ("ln -s /dev/zero link", LINK),
        (
            "mkfifo fifo",
            "output \"fifo\" is a FIFO, not a regular file",
        ),
        (
            "perl -MSocket -e 'socket(S, AF_UNIX, SOCK_STREAM, 0); bind(S, sockaddr_un(\"sock\"))'",
            "output \"sock\" is a socket, not a regular file",
        ),
        (
            "echo x > $(printf 'a\\377b')",
            r#"output "a\xFFb" has a name that is not UTF-8"#,
        ),
    ] {
        let test = leaves(script);
        let ran = test.run(["-run"]);
        assert_eq!(ran.status, 1, "{script}\n{ran}");
        error.lines().fold(ran, |ran, line| ran.says(line));
        assert_eq!(
            test.rows("SELECT processed, error FROM task").join("\n"),
            format!("0|{error}")
        );
        test.nothing_temporary_is_left();
    }
}

#[test]
fn all_bad_outputs_are_named_but_not_thousands() {
    let test = leaves("for i in 1 2 3 4 5 6 7 8; do mkdir sub$i; done; mkfifo a");
    test.run(["-run"]).exits(1);
    let error = test.rows("SELECT error FROM task").join("\n");
    assert_eq!(error.matches("not a regular file").count(), 5, "{error}");
    assert!(error.contains("\nand 4 more\nhint: "), "{error}");
    assert_eq!(error.matches("hint: ").count(), 1, "{error}");
}

#[test]
fn odd_names_are_names() {
    let test = leaves(
        "echo 1 > 'with space'; echo 2 > 'ünï_ćödé.txt'; echo 3 > \"$(printf 'two\\nlines')\"
         echo 4 > -dash; echo 5 > .hidden; echo 6 > '*'; echo 7 > \"it's\"; echo 8 > 'a|b'; echo 9 > '%s'",
    );
    test.runs();
    for (name, text) in [
        ("with space", "1\n"),
        ("ünï_ćödé.txt", "2\n"),
        ("two\nlines", "3\n"),
        ("-dash", "4\n"),
        (".hidden", "5\n"),
        ("*", "6\n"),
        ("it's", "7\n"),
        ("a|b", "8\n"),
        ("%s", "9\n"),
    ] {
        assert_eq!(test.output(name), text);
    }
    test.objects_are_whole();
}

#[test]
fn an_empty_file_is_an_output_and_an_input() {
    let test = Test::with(
        "[[step]]\nname = 'begin'\nstart = true\nscript = ': > $OUTPUT_DIR/a_work; : > $OUTPUT_DIR/end'\n\
         [[step]]\nname = 'work'\nscript = 'test -f $INPUT_FILE; test ! -s $INPUT_FILE; echo x >> $COUNT'\n",
    );
    test.runs();
    assert_eq!(test.output("end"), "");
    assert_eq!(test.count().len(), 1);
    test.objects_are_whole();
}

#[test]
fn modes_of_outputs_do_not_matter() {
    // A Nix build allows nobody to set another user's rights.
    let rights = "chmod 4777 b 2> $TMPDIR/said || chmod 777 b";
    let test = leaves(&format!(
        "echo x > a; chmod 0 a; echo y > b; {rights}; chmod 500 ."
    ));
    test.runs();
    assert_eq!(
        (test.output("a"), test.output("b")),
        ("x\n".into(), "y\n".into())
    );
    test.objects_are_whole();
    test.nothing_temporary_is_left();
}

#[test]
fn a_hard_linked_output_is_copied() {
    let test = leaves("echo first > $COUNT.out; ln $COUNT.out linked; ln linked twice");
    test.runs();
    fs::write(test.path("count.out"), "second").unwrap();
    assert_eq!(
        (test.output("linked"), test.output("twice")),
        ("first\n".into(), "first\n".into())
    );
    test.objects_are_whole();
}

#[test]
fn an_output_that_is_still_written_to_is_refused() {
    for background in [
        "(exec > out; echo 1; sleep 100) &",
        "exec 3> out; setsid sh -c 'echo 1 >&3; while test -d ${COUNT%/*} && ! test -e $COUNT.end; do sleep 0.02; done' &",
    ] {
        let test = leaves(&format!(
            "{background}\nuntil test -s out; do sleep 0.01; done"
        ));
        let ran = test.run(["-run"]);
        test.write("count.end", "");
        assert_eq!(ran.status, 1, "{ran}");
        ran.says("output \"out\" is still open for writing")
            .says("hint: let the script `wait`");
        assert_eq!(test.finals().len(), 0);
        test.nothing_temporary_is_left();
    }
}

#[test]
fn three_gibibytes_take_little_memory_and_no_copy() {
    let test = leaves("truncate -s 3G large; echo $PPID >> $COUNT; stat -c %i large >> $COUNT");
    let running = test.start(["-run"]);
    let mut peak = 0;
    wait_for("the output", || {
        let status = fs::read_to_string(format!("/proc/{}/status", running.pid())).unwrap();
        if status.contains("VmHWM") {
            peak = peak_memory(running.pid()).max(peak);
        }
        !status.contains("VmHWM") || status.contains("State:\tZ")
    });
    running.end().exits(0);
    assert!(peak > 0 && peak < 64 << 20, "{peak} bytes");
    let large = test
        .rows("SELECT object_hash FROM task WHERE name = 'large'")
        .remove(0);
    // What sha256sum says of as many zeros.
    assert_eq!(
        large,
        "305b66a59d15b252092fbda9d09711230c429f351897cbd430e7b55a35fd3b97"
    );
    let object = fs::metadata(test.object(&large)).unwrap();
    assert_eq!(
        (object.len(), object.ino().to_string()),
        (3 << 30, test.count()[1].clone())
    );
    assert!(object.blocks() * 512 < 1 << 20);
}

#[test]
fn ten_thousand_files_from_one_task() {
    let test = leaves_in(Test::in_memory(), "seq 1 10000 | split -l 1 -a 4 - part.");
    test.runs().says("10001 final outputs");
    assert_eq!(
        test.rows("SELECT count(*) FROM task WHERE step_id IS NULL"),
        ["10001"]
    );
    assert_eq!(
        test.rows("SELECT count(DISTINCT name), count(DISTINCT object_hash) FROM task WHERE step_id IS NULL"),
        ["10001|10001"]
    );
    // And the empty file and the log are no more than one each.
    assert!((10_001..=10_002).contains(&files(&test.path("db/objects")).len()));
    let numbers =
        test.rows("SELECT group_concat(object_hash, ' ') FROM task WHERE name = 'part.aaab'");
    assert_eq!(numbers, [hash(b"2\n")]);
    test.tally_is_right();
    test.nothing_temporary_is_left();
}

#[test]
fn equal_outputs_are_one_object() {
    let test = leaves("echo same > a; echo same > b; mkdir $TMPDIR/x; cp a $TMPDIR/x");
    test.runs();
    let hashes = test.rows("SELECT DISTINCT object_hash FROM task WHERE name IN ('a', 'b')");
    assert_eq!(hashes.len(), 1);
    test.objects_are_whole();
}

#[test]
fn outputs_of_a_failed_task_are_not_recorded() {
    let test = leaves("echo secret > other; exit 1");
    test.run(["-run"]).exits(1);
    assert_eq!(test.rows("SELECT count(*) FROM task"), ["1"]);
    test.nothing_temporary_is_left();
}

#[test]
fn what_a_step_leaves_is_what_it_promises() {
    let promise = |script: &str| {
        let test = Test::new();
        test.manifest(&format!(
            "[[step]]\nname = 'only'\nstart = true\noutputs = ['*_merge.csv', '*.log?']\n\
             script = 'cd $OUTPUT_DIR; {script}'\n[[step]]\nname = 'merge'\nscript = ':'\n"
        ));
        test
    };
    for (script, error) in [
        ("exit 0", "left nothing that matches `*_merge.csv`"),
        (
            "touch a_merge.csv x",
            "left `x`, which is not in its `outputs`: `*_merge.csv`, `*.log?`",
        ),
    ] {
        let test = promise(script);
        let ran = test.run(["-run"]);
        assert_eq!(ran.status, 1, "{script}\n{ran}");
        assert_eq!(
            test.rows("SELECT processed, error FROM task"),
            [format!("0|{error}")]
        );
    }
    for script in ["touch a_merge.csv", "touch a_merge.csv b_merge.csv x.log"] {
        let ran = promise(script).run(["-run"]);
        assert_eq!(ran.status, 0, "{script}\n{ran}");
    }
    let test = promise("touch a_merge.csv");
    test.run(["check"])
        .prints("*_merge.csv may go to merge")
        .prints("*.log → wherever the names lead");
    test.run(["graph", "-format", "dot"]).prints("n0 -> n1");
}
