//! `verify -repair`: what can be had again is, what is damaged is put aside, what is lost is said.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::{MANIFEST, found, object_of, overwrite, ran};
use crate::harness::{Running, Test, files, hash, wait_for};
use crate::injection::is_possible;
use crate::privileges::as_a_user;

/// Does something to a db that has run, has it repaired, runs, and looks whether all is as it was.
#[track_caller]
fn is_repaired(damage: impl Fn(&Test), told: &str) {
    let test = ran();
    let before = test.finals();
    damage(&test);
    assert_ne!(found(&test), [""; 0], "{told}");
    let output = test.call(["verify", "-repair"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains(told), "{told}: {said}");
    assert_eq!(output.status.code(), Some(0), "{told}: {said}");
    test.tally_is_right();
    // What is missing now is no damage any more; of what only tells of what was, nothing is made again.
    let left = found(&test);
    let known = |one: &String| one == "awaited again" || one == "missing leftover";
    assert!(left.iter().all(known), "{told}: {left:?}");
    let only_awaited = !left.is_empty() && left.iter().all(|one| one == "awaited again");
    assert_eq!(
        left.is_empty(),
        !said.contains("again with the next -run"),
        "{told}"
    );
    let again = String::from_utf8(test.call(["verify"]).stdout).unwrap();
    assert_eq!(
        again.contains("nothing is damaged: all that is missing is made again by a run"),
        only_awaited,
        "{again}"
    );
    test.runs();
    assert_eq!(found(&test), [""; 0], "{told}");
    assert_eq!(test.finals(), before, "{told}");
    test.tally_is_right();
    test.runs().says("0 run, 0 reused");
}

#[test]
fn what_can_be_had_again_is_after_the_next_run() {
    for text in [
        "1 of A\n",
        "2 of B\n",
        "../row",
        "head\ndata of x\nid,file\nx,data.bin\n1 of A\n",
    ] {
        is_repaired(
            |test| {
                let all = test.output("whole.txt");
                let text = if text.starts_with("head") { &all } else { text };
                overwrite(&object_of(test, text), b"spoilt");
            },
            "1 damaged object put aside, into objects/aside",
        );
        is_repaired(
            |test| {
                let all = test.output("whole.txt");
                let text = if text.starts_with("head") { &all } else { text };
                fs::remove_file(object_of(test, text)).unwrap();
            },
            "1 task runs again with the next -run",
        );
    }
}

#[test]
fn what_lies_outside_and_lists_are_had_again_at_once() {
    is_repaired(
        |test| fs::remove_file(object_of(test, "A\n")).unwrap(),
        "1 input taken in again",
    );
    for query in [
        "SELECT object_hash FROM task WHERE role = 3",
        "SELECT context FROM task WHERE context IS NOT NULL",
    ] {
        is_repaired(
            |test| overwrite(&test.object(&test.rows(query)[0]), b""),
            "1 list written again",
        );
    }
    // A row of a sheet, and the file that it names.
    for text in ["data of x\n", "id,file\nx,data.bin\n"] {
        is_repaired(
            |test| fs::remove_file(object_of(test, text)).unwrap(),
            "again with the next -run",
        );
    }
}

#[test]
fn all_objects_at_once_are_had_again() {
    is_repaired(
        |test| fs::remove_dir_all(test.path("db/objects")).unwrap(),
        "again with the next -run",
    );
    is_repaired(
        |test| {
            for path in files(&test.path("db/objects")) {
                overwrite(&path, b"the same in all of them");
            }
        },
        "damaged objects put aside",
    );
}

#[test]
fn leftovers_are_put_aside_and_never_removed() {
    let extra = hash(b"nobody refers to it");
    is_repaired(
        |test| {
            let log = test.object(&test.rows("SELECT stdout FROM log LIMIT 1")[0]);
            overwrite(&log, b"not what it said");
            let path = object_of(test, "1 of A\n");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
            fs::write(path.with_file_name("garbage"), "x").unwrap();
            fs::create_dir(test.path("db/objects/folder")).unwrap();
            fs::create_dir_all(test.object(&extra).parent().unwrap()).unwrap();
            fs::write(test.object(&extra), "something else").unwrap();
        },
        "2 damaged objects put aside, into objects/aside\n2 other things put aside",
    );
    let test = ran();
    for round in ["", ".2"] {
        let path = object_of(&test, "1 of A\n");
        overwrite(&path, round.as_bytes());
        test.run(["verify", "-repair"]).exits(0);
        let aside = format!("db/objects/aside/{}{round}", hash(b"1 of A\n"));
        assert_eq!(test.read(&aside), round);
        test.runs();
    }
}

#[test]
fn what_only_superseded_tasks_had_is_given_up_once() {
    let test = ran();
    test.manifest(&MANIFEST.replace("echo \"$n of", "echo \"part $n of"));
    let old = ["1 of A\n", "2 of B\n"].map(|part| object_of(&test, part));
    test.run(["-migrate-tainted", "-run"]).exits(0);
    test.text(&["verify"]);
    fs::remove_file(&old[0]).unwrap();
    overwrite(&old[1], b"damaged");
    assert_eq!(found(&test), ["damaged leftover", "missing leftover"]);
    let told = test.call(["verify", "-repair"]);
    assert_eq!(told.status.code(), Some(0));
    let said = String::from_utf8(told.stdout).unwrap();
    assert!(said.contains("2 superseded objects given up\n"), "{said}");
    test.text(&["verify"]);
    // What is damaged later is told again.
    fs::write(&old[0], "damaged").unwrap();
    assert_eq!(test.call(["verify"]).status.code(), Some(1));
    test.call(["verify", "-repair"]);
    test.text(&["verify"]);
    test.run(["-run"]).exits(0);
    // What goes with the rows is not remembered.
    test.text(&["gc", "-older-than", "1ms"]);
    assert_eq!(
        test.rows("SELECT key FROM meta WHERE key GLOB 'gone *'"),
        Vec::<String>::new()
    );
    test.text(&["verify"]);
}

#[test]
fn a_lost_list_of_the_files_of_an_older_version_is_given_up_once() {
    let test = Test::with(
        "[[step]]\nname = 'a'\nstart = true\nfiles = ['lib.sh']\nscript = '. ./lib.sh > $OUTPUT_DIR/x'\n",
    );
    test.write("lib.sh", "echo 1\n");
    test.run(["-run"]).exits(0);
    let list = test.rows("SELECT json_extract(identity, '$.files.tree') FROM step");
    test.write("lib.sh", "echo 2\n");
    test.run(["-migrate-tainted", "-run"]).exits(0);
    fs::remove_file(test.object(&list[0])).unwrap();
    assert_eq!(found(&test), ["missing leftover"]);
    test.run(["verify", "-repair"]).exits(0).prints("given up");
    test.text(&["verify"]);
    test.text(&["gc"]);
    test.text(&["verify"]);
    // That of the newest one is made anew.
    let list =
        test.rows("SELECT json_extract(identity, '$.files.tree') FROM step WHERE version = 2");
    fs::remove_file(test.object(&list[0])).unwrap();
    test.run(["verify", "-repair"]).exits(0);
    test.run(["-run"]).exits(0);
    assert!(test.object(&list[0]).exists());
}

#[test]
fn what_has_the_wrong_mode_is_read_once_that_is_right() {
    let test =
        Test::with("[[step]]\nname = 'a'\nstart = true\nscript = 'echo hello > $OUTPUT_DIR/x'\n");
    let object = "grep -rl hello db/objects";
    let Some(ran) = as_a_user(
        &test,
        &format!(
            "$PROGRAM -run -quiet && chmod 0 $({object}) && $PROGRAM verify -repair && $PROGRAM verify"
        ),
    ) else {
        return;
    };
    ran.exits(0).prints("1 mode set");
}

#[test]
fn what_cannot_be_read_is_told_as_such_and_left() {
    if !is_possible() {
        return;
    }
    let test = ran();
    let part = object_of(&test, "1 of A\n");
    let folders = [
        part.clone(),
        part.parent().unwrap().to_owned(),
        part.parent().unwrap().parent().unwrap().to_owned(),
    ];
    let before = files(&test.path("db/objects"));
    for path in folders {
        let db = test.path("db");
        let db = db.to_str().unwrap();
        for (call, error) in [
            ("openat", "EIO"),
            ("openat", "EACCES"),
            ("statx", "EIO"),
            ("openat,statx,read,getdents64", "EIO"),
        ] {
            let path = path.to_str().unwrap();
            let ran = Running::start(test.shell(&format!(
                "exec strace -f -o /dev/null -P {path} -e inject={call}:error={error} $PROGRAM verify -repair -json -db {db}"
            )))
            .end();
            assert_eq!(ran.status, 1, "{path} {call} {error}: {ran:?}");
            for line in ran.stdout.lines() {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                let told = line["finding"].as_str();
                assert!(
                    matches!(told, None | Some("unreadable")),
                    "{path} {call} {error}: {line}"
                );
            }
            assert_eq!(
                files(&test.path("db/objects")),
                before,
                "{path} {call} {error}"
            );
            assert!(!test.path("db/objects/aside").exists());
            assert_eq!(
                test.rows("SELECT id FROM task WHERE processed = 0"),
                Vec::<String>::new()
            );
            test.text(&["verify"]);
        }
    }
}

#[test]
fn rows_that_lead_nowhere_are_taken_out() {
    for (damage, whole) in [
        ("DELETE FROM step WHERE name = 'merge'", true),
        (
            "UPDATE task SET object_hash = 'x' WHERE name = 'whole.txt'",
            true,
        ),
        (
            "UPDATE task SET object_hash = 'x', kind = 9 WHERE name = 'a.1_merge'",
            true,
        ),
        ("UPDATE task SET processed = 0 WHERE role = 3", true),
        ("DELETE FROM gathering", true),
        ("UPDATE tally SET done = done + 1", true),
        (
            "DELETE FROM task WHERE id = (SELECT task_id FROM entry LIMIT 1)",
            true,
        ),
        ("UPDATE entry SET task_id = 12345", true),
        (
            "UPDATE task SET output = 12345 WHERE name = 'whole.txt'",
            true,
        ),
        (
            "UPDATE task SET error = 'x' WHERE name = 'all_report'",
            true,
        ),
        // Nothing says that there was such a row.
        ("DELETE FROM task WHERE name = 'all_report'", false),
        (
            "UPDATE task SET input_task_id = id WHERE name = 'all_report'",
            false,
        ),
    ] {
        let test = ran();
        let before = test.finals();
        test.alter(&format!("PRAGMA foreign_keys = OFF; {damage}"));
        assert_ne!(found(&test), [""; 0], "{damage}");
        test.run(["verify", "-repair"]).exits(0);
        test.tally_is_right();
        let left = found(&test);
        assert!(
            left.iter()
                .all(|one| one == "missing leftover" || one == "awaited again"),
            "{damage}: {left:?}"
        );
        test.run(["-run"]).exits(0);
        test.tally_is_right();
        if whole {
            assert_eq!(test.finals(), before, "{damage}");
        } else {
            test.run(["-run", "-start", "merge"]).exits(0);
            assert_eq!(test.finals(), before, "{damage}");
        }
    }
}

#[test]
fn what_a_step_makes_that_is_gone_from_the_manifest_waits_for_no_run() {
    let test = ran();
    let whole = test.output("whole.txt");
    fs::remove_file(object_of(&test, &whole)).unwrap();
    test.run(["verify", "-repair"]).exits(0);
    assert_eq!(found(&test), ["awaited again"]);
    let (others, _) = MANIFEST.split_once("[[step]]\nname = \"report\"").unwrap();
    test.manifest(others);
    assert_eq!(found(&test), ["missing leftover"]);
    test.run(["verify", "-repair"]).exits(0);
    assert_eq!(found(&test), [""; 0]);
}

#[test]
fn nobody_takes_over_results_of_which_outputs_were_taken_out() {
    let test = ran();
    let whole = test.output("whole.txt");
    test.alter("DELETE FROM gathering");
    test.run(["verify", "-repair"]).exits(0);
    test.run(["-run", "-fresh"]).exits(0);
    test.text(&["export", "-to", "out"]);
    assert_eq!(test.read("out/whole.txt"), whole);
}

#[test]
fn what_is_lost_is_said_by_its_name_and_leaves_the_rest_as_it_is() {
    let test = ran();
    let before = test.finals();
    fs::remove_file(object_of(&test, "A\n")).unwrap();
    fs::remove_file(object_of(&test, "1 of A\n")).unwrap();
    fs::remove_file(object_of(&test, "1 of B\n")).unwrap();
    fs::remove_file(test.path("in/a.txt")).unwrap();
    let output = test.call(["verify", "-repair"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("not to be had again: 2 things"), "{said}");
    assert!(
        said.contains("`a.txt`") && said.contains("in/a.txt"),
        "{said}"
    );
    assert!(said.contains("1 task runs again"), "{said}");
    // The finals are there, and stay as long as the input is put back.
    test.write("in/a.txt", "A\n");
    test.runs();
    assert_eq!(test.finals(), before);
    test.run(["verify", "-repair"]).exits(0);
    test.runs();
    assert_eq!(found(&test), [""; 0]);
    assert_eq!(test.finals(), before);
}

#[test]
fn a_db_that_is_in_use_is_not_repaired() {
    let test = Test::with(
        "[[step]]\nname = 'wait'\nstart = true\n\
         script = 'touch started; while [ ! -e go ]; do sleep 0.05; done'\n",
    );
    let run = test.start(["-run"]);
    wait_for("the start", || test.path("started").exists());
    let said = test.refusal(&["verify", "-repair"]);
    assert!(
        said.contains(&format!("is in use by process {}", run.pid())),
        "{said}"
    );
    test.text(&["verify"]);
    test.write("go", "");
    run.end().exits(0);
    let said = test.refusal(&["verify", "-repair", "-db", "elsewhere"]);
    assert!(said.contains("there is no db at"), "{said}");
    assert!(!test.path("elsewhere").exists());
}

#[test]
fn each_runset_has_its_own_made_again() {
    let test = ran();
    let first = test.rows("SELECT name FROM runset")[0].clone();
    test.write("in/a.txt", "other\n");
    test.run(["-run", "-fresh"]).exits(0);
    // Only the older one has it.
    fs::remove_file(object_of(&test, "1 of A\n")).unwrap();
    let output = test.call(["verify", "-repair"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains(&format!("in older runsets ({first})")),
        "{said}"
    );
    test.runs().says("0 run, 0 reused");
    test.run(["-run", "-runset", &first]).exits(0);
    assert_eq!(found(&test), [""; 0]);
}

#[test]
fn what_several_runsets_share_is_made_again_once_for_all_of_them() {
    let test = ran();
    for _ in 0..2 {
        test.run(["-run", "-fresh"]).exits(0);
    }
    fs::remove_file(object_of(&test, "1 of A\n")).unwrap();
    let said = String::from_utf8(test.call(["verify", "-repair"]).stdout).unwrap();
    assert!(
        said.contains("3 tasks run again with the next -run"),
        "{said}"
    );
    assert!(said.contains("in older runsets ("), "{said}");
    assert_eq!(found(&test), ["awaited again"]);
    let before = test.count().len();
    test.run(["-run", "-runset", "all"]).exits(0);
    assert_eq!(test.count().len(), before + 1, "one of the three");
    assert_eq!(found(&test), [""; 0]);
    test.tally_is_right();
}

#[test]
fn what_pairs_left_is_had_again() {
    let test = Test::with(
        "[[step]]\nname = 'begin'\nstart = true\n\
         script = 'for n in 1 2; do echo $n > $OUTPUT_DIR/${n}_pair; echo i$n > $OUTPUT_DIR/${n}_index; done'\n\
         [[step]]\nname = 'index'\nscript = 'cat $INPUT_FILE > $OUTPUT_DIR/$TASK_PIPELINE_KEY.idx'\n\
         [[step]]\nname = 'pair'\nwith = ['index']\neach = true\n\
         script = 'cat $INPUT_FILE $WITH_DIR/index/* > $OUTPUT_DIR/$TASK_PIPELINE_KEY.out'\n",
    );
    test.runs();
    let before = test.finals();
    for text in ["1\ni1\n", "2\ni1\n"] {
        fs::remove_file(object_of(&test, text)).unwrap();
    }
    test.run(["verify", "-repair"]).exits(0);
    test.runs();
    assert_eq!(found(&test), [""; 0]);
    assert_eq!(test.finals(), before);
    // As a run does by itself.
    fs::remove_file(object_of(&test, "1\ni2\n")).unwrap();
    test.runs();
    assert_eq!(test.finals(), before);
}
