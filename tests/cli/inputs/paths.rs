//! Rows that name files.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use crate::harness::{Running, Test};

const SHEET: &str = r#"
[[input]]
rows = "data/samples.csv"
paths = ["one", "two"]
name = "{sample}"
step = "align"

[[step]]
name = "align"
script = '''
name=$TASK_PIPELINE_INPUT_NAME
echo "align $name" >> $COUNT
ls "$INPUT_DIR" > "$OUTPUT_DIR/$name.files"
cat "$INPUT_FILE" "$INPUT_DIR/one" "$INPUT_DIR"/two > "$OUTPUT_DIR/$name.txt"
'''
"#;

fn sheet() -> Test {
    let test = Test::with(SHEET);
    let rows = "sample,one,two\na,a_1,more/a_2\nb,b_1,more/b_2\n";
    test.write("data/samples.csv", rows);
    for name in ["a_1", "more/a_2", "b_1", "more/b_2"] {
        test.write(&format!("data/{name}"), format!("{name}\n"));
    }
    test
}

#[test]
fn rows_with_files_are_not_gathered() {
    let test = sheet();
    for gather in ["gather = true", "gather = 'name'"] {
        test.manifest(&SHEET.replace("name = \"align\"", &format!("name = \"align\"\n{gather}")));
        test.run(["check"])
            .exits(2)
            .says("rows with files (`paths`) go to step `align`, which gathers")
            .says("hint: send them to a step that works on each row with its files");
    }
    // Where the rows' names lead.
    let named = SHEET
        .replace("step = \"align\"", "")
        .replace("{sample}", "{sample}_align");
    test.manifest(&named.replace("name = \"align\"", "name = \"align\"\ngather = true"));
    test.run(["-run"])
        .exits(2)
        .says("the row `a_align`, which has files (`paths`), goes to step `align`, which gathers")
        .says("(and 1 more like it)");
    test.manifest(&named);
    test.run(["-run", "-dry-run"]).exits(0);
}

#[test]
fn a_row_comes_with_the_files_that_it_names() {
    let test = sheet();
    test.runs().says("inputs: 2 new").says("2 run");
    assert_eq!(
        test.output("a.txt"),
        "sample,one,two\na,a_1,more/a_2\na_1\nmore/a_2\n"
    );
    assert_eq!(test.output("a.files"), "one\ntwo\n");
    test.run(["cat", "#1", "-input"])
        .exits(0)
        .prints("sample,one,two\na,a_1,more/a_2\n");
    test.run(["cat", "#1", "two", "-input"])
        .exits(0)
        .prints("more/a_2\n");
    test.run(["cat", "#1", "tow", "-input"])
        .exits(2)
        .says("did you mean `two`?");
    test.runs().says("inputs: 2 unchanged").says("0 run");
    test.write("data/more/b_2", "other\n");
    test.runs()
        .says("inputs: 1 changed, 1 unchanged")
        .says("1 run, 0 reused");
    assert!(test.output("b.txt").ends_with("b_1\nother\n"));
    assert_eq!(test.count().len(), 3);
    // Back again: what was made of it is used again.
    test.write("data/more/b_2", "more/b_2\n");
    test.runs()
        .says("inputs: 1 changed")
        .says("0 run, 1 reused");
    // The same files by other names are another row.
    fs::rename(test.path("data/a_1"), test.path("data/x")).unwrap();
    let rows = "sample,one,two\na,x,more/a_2\nb,b_1,more/b_2\n";
    test.write("data/samples.csv", rows);
    test.runs().says("inputs: 1 changed").says("1 run");
    assert_eq!(
        test.rows("SELECT DISTINCT kind FROM task WHERE step_id IS NOT NULL"),
        ["2"]
    );
    test.tally_is_right();
    test.objects_are_whole();
    test.nothing_temporary_is_left();
}

#[test]
fn whatever_a_script_does_there_objects_stay() {
    let test = sheet();
    test.manifest(&SHEET.replace(
        "ls \"$INPUT_DIR\"",
        "echo x >> \"$INPUT_DIR/one\" || true; rm -f \"$INPUT_DIR/one\"; echo y > \"$INPUT_DIR/one\"\n\
         mkdir \"$INPUT_DIR/deep\"; echo > \"$INPUT_DIR/deep/x\"\nls \"$INPUT_DIR\"",
    ));
    test.runs().says("2 run");
    assert!(test.output("b.txt").ends_with("y\nmore/b_2\n"));
    assert_eq!(test.output("b.files"), "deep\none\ntwo\n");
    test.objects_are_whole();
    test.nothing_temporary_is_left();
}

#[test]
fn input_dir_is_there_for_those_who_mention_it_or_get_files() {
    let test = sheet();
    test.write("lib.sh", "cat \"$INPUT_DIR/two\"\n");
    for (step, there) in [
        (
            // A tool may use it unseen.
            "script = 'ls -d ${INPUT_FILE%/*}/* > $OUTPUT_DIR/seen; sh lib.sh >> $OUTPUT_DIR/seen",
            true,
        ),
        (
            "files = ['lib.sh']\nscript = 'sh lib.sh > $OUTPUT_DIR/seen",
            true,
        ),
    ] {
        let input = SHEET.split_once("[[step]]").unwrap().0;
        test.manifest(&format!(
            "{input}\n[[step]]\nname = 'align'\n{step}; env >> $OUTPUT_DIR/seen'\n"
        ));
        let mut command = test.command(["-migrate-tainted", "-run"]);
        command.env("INPUT_DIR", "of the host");
        Running::start(command).end().exits(0);
        for seen in &test.finals()["seen"] {
            let seen = String::from_utf8_lossy(seen);
            assert_eq!(seen.contains("INPUT_DIR=/"), there, "{seen}");
            assert_eq!(seen.contains("/files\n"), there, "{seen}");
            assert_eq!(seen.contains("_2\n"), there, "{seen}");
            assert!(!seen.contains("of the host"), "{seen}");
        }
    }
    // A task with a file for its input has an empty one.
    test.manifest(
        "[[step]]\nname = 's'\nstart = true\nscript = 'ls -A \"$INPUT_DIR\" > $OUTPUT_DIR/none'\n",
    );
    test.run(["-run", "-db", "other"]).exits(0);
    test.manifest(
        "[[step]]\nname = 's'\nstart = true\nscript = 'env | grep ^INPUT_D && exit 1 || :'\n",
    );
    let mut command = test.command(["-run", "-db", "third"]);
    command.env("INPUT_DIR", "of the host");
    Running::start(command).end().exits(0);
}

#[test]
fn lost_objects_come_in_again() {
    let test = sheet();
    let failing = SHEET.replace("name=$TASK", "test -e go\nname=$TASK");
    test.manifest(&failing);
    test.run(["-run"]).exits(1);
    for text in ["b_1\n", "sample,one,two\nb,b_1,more/b_2\n"] {
        fs::remove_file(test.object(&crate::harness::hash(text.as_bytes()))).unwrap();
    }
    test.write("go", "");
    test.runs().says("2 run");
    assert!(test.output("b.txt").ends_with("b_1\nmore/b_2\n"));
    test.objects_are_whole();
}

#[test]
fn files_that_a_row_cannot_have() {
    let test = sheet();
    let refused = |words: &str, hint: &str| {
        let said = test.run(["-run"]).exits(2).stderr;
        let at = "--> workflow.toml:3:9";
        for words in [words, hint, at, "nothing was run"] {
            assert!(said.contains(words), "{words}\n{said}");
        }
        assert_eq!(test.count(), [""; 0]);
    };
    fs::remove_file(test.path("data/b_1")).unwrap();
    refused(
        "data/samples.csv, line 3: there is no file `data/b_1`",
        "begin in the folder that it is in",
    );
    fs::create_dir(test.path("data/b_1")).unwrap();
    refused(
        "data/samples.csv, line 3: `data/b_1` is a folder, not a file",
        "hint: ",
    );
    fs::remove_dir(test.path("data/b_1")).unwrap();
    symlink("nowhere", test.path("data/b_1")).unwrap();
    refused(
        "line 3: `data/b_1` is a link to `nowhere`, which is not there",
        "hint: ",
    );
    fs::remove_file(test.path("data/b_1")).unwrap();
    test.write("data/b_1", "x");
    test.write(
        "data/samples.csv",
        "sample,one,two\na,a_1,more/a_2\nb,,b_1\n",
    );
    refused(
        "data/samples.csv, line 3: `one` is empty, and has to name a file",
        "a sheet of their own",
    );
    test.write("data/samples.csv", "sample,one\na,a_1\n");
    refused("line 1: the header has no column `two`", "hint: ");
    if !rustix::process::geteuid().is_root() {
        test.write("data/samples.csv", "sample,one,two\na,a_1,b_1\n");
        fs::set_permissions(test.path("data/b_1"), fs::Permissions::from_mode(0o0)).unwrap();
        refused("line 2: cannot open `data/b_1`: Permission denied", "mode");
    }
}

#[test]
fn paths_are_for_sheets() {
    let test = Test::new();
    for (input, words) in [
        (
            "lines = 'x'\npaths = ['a']",
            "`paths` names columns of a sheet",
        ),
        ("rows = 's.csv'\npaths = []", "`paths` is empty"),
        (
            "rows = 's.csv'\npaths = ['a', 'a']",
            "`paths` has `a` twice",
        ),
        ("rows = 's.csv'\npaths = ['a/b']", "leads to another folder"),
        ("rows = 's.csv'\npaths = 'a'", "must be an array of strings"),
    ] {
        test.manifest(&format!(
            "[[input]]\n{input}\nstep = 's'\n[[step]]\nname = 's'\nscript = ':'\n"
        ));
        let said = test.run(["check"]).exits(2).stderr;
        assert!(said.contains(words), "{words}\n{said}");
    }
}
