//! What a task is about follows the manifest: another pattern, glob or step name is another key.

use std::collections::BTreeMap;

use crate::harness::Test;

/// Fails unless the results are those of a db that begins anew.
#[track_caller]
fn as_from_nothing(test: &Test) {
    let results = |db: &str| -> BTreeMap<String, Vec<u8>> {
        let to = format!("out-{db}");
        test.run(["-db", db, "export", "-to", &to]).exits(0);
        let files = crate::harness::files(&test.path(&to)).into_iter();
        let results = files
            .map(|file| {
                let name = file.strip_prefix(test.path(&to)).unwrap();
                let name = name.to_str().unwrap().to_owned();
                (name, std::fs::read(&file).unwrap())
            })
            .collect();
        std::fs::remove_dir_all(test.path(&to)).unwrap();
        results
    };
    test.run(["-db", "anew", "-run"]).exits(0);
    assert_eq!(results("db"), results("anew"));
    std::fs::remove_dir_all(test.path("anew")).unwrap();
    test.run(["-run", "-migrate-tainted"])
        .exits(0)
        .says("0 run, 0 reused");
    test.tally_is_right();
}

const FOUR: &str = "[[step]]\nname = 's'\nstart = true\n\
    script = 'for f in a-1-q a-2-q b-1-q b-2-q; do echo $f > $OUTPUT_DIR/$f; done'\n";

#[test]
fn another_pattern_is_another_key() {
    let test = Test::with("");
    let with = |from: &str| {
        test.manifest(&format!(
            "{FOUR}[[step]]\nname = 'y'\nfrom = [{from}]\n\
             script = 'echo $TASK_PIPELINE_KEY > $OUTPUT_DIR/$(cat $INPUT_FILE).txt'\n"
        ));
    };
    with("'s:*-q'");
    test.runs();
    assert_eq!(test.output("a-1-q.txt"), "a-1\n");
    for from in ["'s:*-1-q', 's:*-2-q'", "'s'", "'s:a-*-q', 's:b-*'"] {
        with(from);
        test.runs();
        as_from_nothing(&test);
    }
}

#[test]
fn another_pattern_makes_other_groups() {
    let test = Test::with("");
    let with = |gather: &str, from: &str| {
        test.manifest(&format!(
            "{FOUR}[[step]]\nname = 'y'\ngather = {gather}\nfrom = [{from}]\n\
             script = 'ls $INPUT_DIR | tr \"\\n\" \" \" > $OUTPUT_DIR/$TASK_PIPELINE_KEY.txt'\n"
        ));
    };
    with("'name'", "'s:*-q'");
    test.runs();
    assert_eq!(test.finals().len(), 4 + 4);
    with("'name'", "'s:*-1-q', 's:*-2-q'");
    test.runs();
    assert_eq!(test.output("a.txt"), "a-1-q a-2-q ");
    as_from_nothing(&test);
    for gather in ["true", "'s'", "'name'"] {
        with(gather, "'s:*-q'");
        test.run(["-run", "-migrate-tainted"]).exits(0);
        as_from_nothing(&test);
    }
}

#[test]
fn another_glob_of_the_same_files_is_another_key() {
    let test = Test::with("");
    let with = |files: &str, gather: &str| {
        test.manifest(&format!(
            "[[input]]\nfiles = '{files}'\nstep = 'y'\n[[step]]\nname = 'y'\n{gather}\n\
             script = 'echo $TASK_PIPELINE_KEY > $OUTPUT_DIR/$TASK_PIPELINE_KEY.txt'\n"
        ));
    };
    test.write("data/x/a.csv", "1\n");
    for gather in ["", "gather = 'name'"] {
        for files in [
            "data/**/*.csv",
            "data/x/*.csv",
            "data/x/**/*.csv",
            "data/**/*.csv",
        ] {
            with(files, gather);
            test.run(["-run", "-migrate-tainted"]).exits(0);
            as_from_nothing(&test);
        }
    }
}

#[test]
fn another_name_of_the_step_is_another_key() {
    for gather in ["", "gather = 'name'"] {
        let test = Test::with("");
        let with = |name: &str| {
            test.manifest(&format!(
                "[[step]]\nname = 's'\nstart = true\nscript = 'echo 1 > $OUTPUT_DIR/p_q_y'\n\
                 [[step]]\nname = '{name}'\n{gather}\n\
                 script = 'echo \"$TASK_PIPELINE_KEY\" > $OUTPUT_DIR/k.txt'\n"
            ));
        };
        for name in ["y", "q_y", "y"] {
            with(name);
            test.run(["-run", "-migrate-tainted"]).exits(0);
            as_from_nothing(&test);
        }
    }
}

#[test]
fn a_step_that_comes_makes_other_keys_of_pairs() {
    let test = Test::with("");
    let with = |more: &str| {
        test.manifest(&format!(
            "[[step]]\nname = 's'\nstart = true\n\
             script = 'echo 1 > $OUTPUT_DIR/1_x; echo 2 > $OUTPUT_DIR/2_k'\n\
             [[step]]\nname = 'k'\nscript = 'echo 1 > $OUTPUT_DIR/a_rep.txt; echo 2 > $OUTPUT_DIR/b.txt'\n\
             [[step]]\nname = 'x'\nwith = ['k']\neach = true\n\
             script = 'echo $TASK_PIPELINE_KEY > $OUTPUT_DIR/$TASK_PIPELINE_KEY.out'\n{more}"
        ));
    };
    with("");
    test.runs();
    assert!(test.finals().contains_key("1_a_rep.out"));
    let more = "[[step]]\nname = 'rep'\nscript = 'cp $INPUT_FILE $OUTPUT_DIR/r.end'\n";
    for more in [more, ""] {
        with(more);
        test.run(["-run", "-migrate-tainted"]).exits(0);
        as_from_nothing(&test);
    }
}
