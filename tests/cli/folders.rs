//! Folders as outputs (`folders`).

mod told;

use std::fs;

use crate::harness::{Test, hash};
use crate::privileges::as_a_user;

/// A start step that runs this in `OUTPUT_DIR`, and a step `next` that is given what it leaves.
fn pipeline(script: &str, next: &str) -> String {
    format!(
        "[defaults]\nfolders = true\n\
         [[step]]\nname = 'begin'\nstart = true\nscript = '''\necho begin >> $COUNT; cd $OUTPUT_DIR\n{script}\n'''\n\
         [[step]]\nname = 'next'\nscript = '''\necho next >> $COUNT\n{next}\n'''\n"
    )
}

/// A folder with what a folder can have.
const SITE: &str = r#"
mkdir -p x_next.d/a/b x_next.d/empty/er; cd x_next.d
echo one > a/one; echo one > a/b/again; printf '#!/bin/sh\necho "it runs"\n' > run; chmod +x run
ln -s ../one a/b/link; ln -s nowhere broken; ln -s . self
touch 'with space' 'ünï' "$(printf 'two\nlines')" '\' a- a.b; truncate -s 1M sparse
chmod 500 a/b"#;

/// Tells all of a folder that a script can see, times and owners aside.
const LIST: &str = r"cd $1 && find . \( -type l -printf '%P -> %l\n' -o -type d -printf '%P/\n' -o -printf '%P %s ' \
    \( -executable -printf 'x\n' -o -printf 'f\n' \) \) | LC_ALL=C sort; find . -type f -exec sha256sum {} + | LC_ALL=C sort";

#[test]
fn a_folder_is_handed_on_and_exported_as_it_was() {
    let test = Test::new();
    test.write("list", LIST);
    // As root, every file can be executed that anybody may execute; as others, links matter.
    test.manifest(&pipeline(
        &format!("{SITE}\ncd ..; sh -e $HERE/list x_next.d > list"),
        r#"test -d "$INPUT_FILE"; sh -e $HERE/list "$INPUT_FILE" > $OUTPUT_DIR/list_after
           "$INPUT_FILE/run"; echo more >> "$INPUT_FILE/a/one"; rm -r "$INPUT_FILE/empty"
           cp -a "$INPUT_FILE" $OUTPUT_DIR/changed.d"#,
    ));
    let here = test.path("");
    let script = format!(
        "HERE={} $PROGRAM -run && $PROGRAM export -to out && sh -e list out/changed.d > after",
        here.display()
    );
    let Some(ran) = as_a_user(&test, &script) else {
        return;
    };
    ran.exits(0).says("2 run").prints("out: 2 files, 1 folder");
    let list = test.read("out/list");
    assert!(list.contains("a/b/link -> ../one\n"), "{list}");
    assert_eq!(test.read("out/list_after"), list);
    let after = test.read("after");
    assert!(
        !after.contains("empty") && after.contains("a/one 9 f\n"),
        "{after}"
    );
    test.objects_are_whole();
    test.nothing_temporary_is_left();
    test.tally_is_right();
}

#[test]
fn without_it_a_folder_is_no_output_and_what_it_had_is_not_used_again() {
    let test = Test::new();
    let leave = "mkdir d; echo x > d/x";
    let with = pipeline(leave, "true");
    let without = with.replace("folders = true", "");
    test.manifest(&without);
    test.run(["-run"])
        .exits(1)
        .says("with `folders = true` on the step it is an output");
    test.manifest(&with);
    test.run(["-run"]).exits(0).never_says("version 2");
    test.manifest(&without);
    test.run(["-run"])
        .exits(0)
        .says("0 run")
        .never_says("version");
    // What is finished stays; no other task gets it.
    test.manifest(&with.replace("start = true", "").replace(
        "[[step]]\nname = 'begin'",
        "[[input]]\nlines = 'echo 1'\nstep = 'begin'\n[[step]]\nname = 'begin'",
    ));
    test.run(["-run", "-fresh"]).exits(0).says("1 run");
    test.run(["-run", "-fresh"]).exits(0).says("1 reused");
    test.manifest(&test.read("workflow.toml").replace("folders = true", ""));
    test.run(["-run", "-fresh"]).exits(1).says("is a folder");
}

#[test]
fn names_route_a_folder_as_a_file_and_promises_hold_for_both() {
    let test = Test::new();
    let leave = "mkdir next a_next b_next.d.x next.d/ plain; : > c_next";
    test.manifest(&pipeline(leave, "test ! -d $INPUT_FILE || ls $INPUT_FILE"));
    test.run(["-run"]).exits(0).says("3 run, 3 reused");
    assert_eq!(
        test.rows("SELECT name FROM task WHERE step_id IS NULL"),
        ["plain"]
    );
    let promised = |outputs: &str| {
        pipeline(leave, "true").replace(
            "start = true",
            &format!("start = true\noutputs = {outputs}"),
        )
    };
    test.manifest(&promised("['*next*', 'plain']"));
    test.run(["-run", "-fresh"]).exits(0);
    test.manifest(&promised("['*next*']"));
    test.run(["-run", "-fresh"]).exits(1).says("plain");
    test.manifest(&promised("['*next*', 'plain', 'gone']"));
    test.run(["-run", "-fresh"]).exits(1).says("gone");
}

#[test]
fn equal_folders_are_one_input_and_a_file_of_the_same_bytes_is_another() {
    let test = Test::new();
    test.manifest(&pipeline(
        "mkdir a_next b_next; echo 1 > a_next/1; echo 1 > b_next/1
         printf 'task-pipeline tree 1\\nf %s  1\\n' $(sha256sum < a_next/1 | cut -c-64) > c_next",
        "if [ -d $INPUT_FILE ]; then echo folder > $OUTPUT_DIR/x; else echo file > $OUTPUT_DIR/x; fi",
    ));
    test.run(["-run"]).exits(0).says("3 run, 1 reused");
    assert_eq!(
        test.rows("SELECT count(DISTINCT object_hash) FROM task WHERE name LIKE '%next'"),
        ["1"]
    );
    assert_eq!(test.finals()["x"].len(), 3);
    test.run(["-run", "-fresh"])
        .exits(0)
        .says("1 run, 3 reused");
    assert_eq!(test.times("next"), 2);
}

#[test]
fn a_folder_with_a_lost_file_is_made_again() {
    let test = Test::new();
    test.manifest(&pipeline(
        "mkdir x_next end.d; echo 1 > x_next/1; echo 2 > x_next/2; echo 3 > end.d/3",
        "test ! -e broken; cp -r $INPUT_FILE $OUTPUT_DIR/copy; echo more > $OUTPUT_DIR/copy/more",
    ));
    test.runs();
    let lose = |text: &str| fs::remove_file(test.object(&hash(text.as_bytes()))).unwrap();
    lose("3\n");
    test.run(["-run"])
        .exits(0)
        .says("gone from the store")
        .says("1 run");
    assert_eq!(test.run(["-run"]).exits(0).says("0 run").status, 0);
    // Of what is to be reused, and of an input.
    lose("more\n");
    test.run(["-run", "-fresh"])
        .exits(0)
        .says("2 run, 0 reused");
    test.write("broken", "");
    test.manifest(&test.read("workflow.toml").replace("test !", "true; test !"));
    test.run(["-migrate-tainted", "-run"]).exits(1);
    lose("2\n");
    fs::remove_file(test.path("broken")).unwrap();
    test.run(["-run"]).exits(0).says("1 input").says("2 run");
    test.objects_are_whole();
    test.tally_is_right();
}

#[test]
fn an_altered_file_of_a_folder_is_noticed() {
    let test = Test::new();
    test.manifest(&pipeline(
        "mkdir x_next; echo 1 > x_next/1",
        "cat $INPUT_FILE/1 > $OUTPUT_DIR/end",
    ));
    test.runs();
    let object = test.object(&hash(b"1\n"));
    fs::remove_file(&object).unwrap();
    fs::write(&object, "2\n").unwrap();
    test.manifest(&pipeline(
        "mkdir x_next; echo 1 > x_next/1",
        "cat $INPUT_FILE/1 > $OUTPUT_DIR/again",
    ));
    test.run(["-run", "-start", "next"])
        .exits(0)
        .says("gone from the store or altered there: 1 input (`x_next`)");
    assert_eq!(test.output("again"), "1\n");
}

#[test]
fn what_cannot_be_in_a_folder_fails_the_task() {
    for (script, error) in [
        (
            "mkfifo d/fifo",
            "output \"d/fifo\" is a FIFO, which cannot be stored",
        ),
        (
            "ln -s /etc/passwd d/l",
            "output \"d/l\" is a link to \"/etc/passwd\", which may lie outside",
        ),
        (
            "ln -s ../../d d/e/l",
            "output \"d/e/l\" is a link to \"../../d\", which may lie outside",
        ),
        ("ln -s d l", "output \"l\" is a symbolic link"),
        (
            "> d/$(printf 'a\\377')",
            "output \"d/a\\xFF\" has a name that is not UTF-8",
        ),
    ] {
        let test = Test::with(&pipeline(&format!("mkdir -p d/e; {script}"), "true"));
        test.run(["-run"]).exits(1).says(error);
        assert!(test.rows("SELECT error FROM task")[0].starts_with(error));
        test.nothing_temporary_is_left();
    }
}

#[test]
fn a_file_in_a_folder_that_is_still_written_to_is_refused() {
    let test = Test::with(&pipeline(
        "mkdir d; (exec >d/x 2>&1 </dev/null; : > $TMPDIR/started; sleep 100) & until [ -e $TMPDIR/started ]; do sleep 0.01; done",
        "true",
    ));
    test.run(["-run"])
        .exits(1)
        .says("output \"d/x\" is still open for writing by a process that the script left behind");
    test.nothing_temporary_is_left();
}

#[test]
fn a_folder_that_is_closed_to_its_owner_is_opened() {
    let test = Test::new();
    test.manifest(&pipeline(
        "mkdir -p d_next/a/b; echo 1 > d_next/a/1; echo 2 > d_next/a/b/2; echo 3 > d_next/3; chmod 0 d_next/a/1 d_next/a/b d_next/a
         ln d_next/3 d_next/4; chmod 0 d_next",
        "cat $INPUT_FILE/* $INPUT_FILE/a/* $INPUT_FILE/a/b/* > $OUTPUT_DIR/all 2>/dev/null || true",
    ));
    let Some(ran) = as_a_user(&test, "$PROGRAM -run") else {
        return;
    };
    ran.exits(0);
    assert_eq!(test.output("all"), "3\n3\n1\n2\n");
    test.nothing_temporary_is_left();
}

#[test]
fn a_very_deep_folder_is_handed_on() {
    let test = Test::new();
    test.manifest(&pipeline(
        "mkdir d_next; cd d_next; for i in $(seq 1500); do mkdir a; cd -P a 2>/dev/null || break; done; echo end > end; pwd -P | wc -c",
        "cd $INPUT_FILE; n=0; while cd a 2>/dev/null; do n=$((n+1)); done; echo $n; cat end > $OUTPUT_DIR/end",
    ));
    test.run(["-run"]).exits(0);
    assert_eq!(test.output("end"), "end\n");
    test.nothing_temporary_is_left();
}

#[test]
fn folders_are_gathered_and_taken() {
    let test = Test::new();
    let gather = "[defaults]\nfolders = true\n\
        [[step]]\nname = 'begin'\nstart = true\nscript = '''\ncd $OUTPUT_DIR; mkdir a_all b_all c_all.d empty_all
        echo a > a_all/x; echo b > b_all/x; echo c > c_all.d/x; chmod +x c_all.d/x; echo file > f_all\n'''\n\
        [[step]]\nname = 'all'\ngather = true\nscript = 'ls -F $INPUT_DIR $INPUT_DIR/* > $OUTPUT_DIR/list; cp $INPUT_FILE $OUTPUT_DIR/tree'\n\
        [[step]]\nname = 'one'\nfrom = ['begin:*.d', 'begin:e*']\nscript = 'ls $INPUT_FILE > $OUTPUT_DIR/names'\n";
    test.manifest(gather);
    test.run(["-run"]).exits(0).says("4 run");
    let list = test
        .output("list")
        .replace(test.path("").to_str().unwrap(), "");
    assert!(list.starts_with(['/', 'd']), "{list}");
    for line in ["a_all/\n", "c_all.d/\n", "empty_all/\n", "x*\n"] {
        assert!(list.contains(line), "{list}");
    }
    let tree = test.output("tree");
    assert_eq!(tree.matches("\nd ").count(), 4, "{tree}");
    assert_eq!(tree.matches("\nf ").count(), 1, "{tree}");
    assert_eq!(test.finals()["names"].len(), 2);
    test.run(["-run", "-fresh"])
        .exits(0)
        .says("1 run, 3 reused");
    let all = test
        .rows("SELECT id FROM live_task WHERE step = 'all'")
        .remove(0);
    assert_eq!(test.text(&["cat", &all, "-input", "a_all/x"]), "a\n");
    // A file of a member is gone.
    fs::remove_file(test.object(&hash(b"b\n"))).unwrap();
    test.manifest(&gather.replace("ls -F", "ls -1F"));
    test.run(["-migrate-tainted", "-run"])
        .exits(0)
        .says("1 input (`b_all`)");
    test.objects_are_whole();
    test.tally_is_right();
}

#[test]
fn a_folder_replaces_another_one_whole() {
    let test = Test::new();
    let make = |script: &str| test.manifest(&pipeline(script, "true"));
    make("mkdir d; echo 1 > d/1; echo 2 > d/2; : > f");
    test.runs();
    assert_eq!(
        test.text(&["export", "-to", "out"]),
        "out: 1 file, 1 folder\n"
    );
    let refused = test.run(["export", "-to", "out"]).exits(2);
    refused.says("exists already");
    test.write("out/d/mine", "");
    test.write("out/other", "");
    make("mkdir d; echo 3 > d/1; mkdir d/2; : > d/2/x; : > f");
    test.run(["-run", "-fresh"]).exits(0);
    test.run(["export", "-to", "out", "-force"])
        .exits(0)
        .says("1 file went with the folders that were replaced, as the new ones do not have it: d/mine")
        .says("other");
    assert_eq!(test.read("out/d/1"), "3\n");
    assert!(test.path("out/d/2/x").exists() && !test.path("out/d/mine").exists());
    assert_eq!(fs::read_dir(test.path("out")).unwrap().count(), 3);
    // Neither a file in the place of a folder nor what the program needs.
    make("mkdir f; : > f/x; : > d");
    test.run(["-run", "-fresh"]).exits(0);
    test.run(["export", "-to", "out", "-force"])
        .exits(2)
        .says("d is a folder, and an output has that name");
    make("mkdir db");
    test.run(["-run", "-fresh"]).exits(0);
    test.run(["export", "-to", ".", "-force"])
        .exits(2)
        .says("keeps for itself");
}

#[test]
fn a_folder_is_not_exported_among_inputs() {
    let test = Test::with(
        "[[input]]\nfiles = 'in/**/*.csv'\nstep = 'make'\n\
         [[step]]\nname = 'make'\nfolders = true\nscript = 'mkdir $OUTPUT_DIR/d; cp $INPUT_FILE $OUTPUT_DIR/d/x.csv'\n",
    );
    test.write("in/a.csv", "1");
    test.runs();
    let refused = test.refusal(&["export", "-to", "in"]);
    assert!(refused.contains("in/d/x.csv"), "{refused}");
    test.text(&["export", "-to", "out"]);
}

#[test]
fn a_tar_has_all_of_a_folder() {
    let test = Test::with(&pipeline(
        "mkdir -p d/a/b e; echo 1 > d/a/1; ln -s a/1 d/l; echo 'echo hi' > d/run; chmod +x d/run; : > \"d/$(printf 'n%.0s' $(seq 200))\"",
        "true",
    ));
    test.runs();
    let ran = test.shell("$PROGRAM export > x.tar; mkdir out; tar -xf x.tar -C out; ls out; cat out/d/l; test -x out/d/run; test -d out/d/a/b; ls out/d | wc -l");
    let ran = crate::harness::Running::start(ran).end();
    assert_eq!(ran.exits(0).stdout, "d\ne\n1\n4\n");
}

#[test]
fn a_folder_is_shown_as_its_list_and_its_files_by_path() {
    let test = Test::with(&pipeline(
        "mkdir -p x_next d/a; echo 1 > x_next/1; echo 2 > d/a/2",
        "true",
    ));
    test.runs();
    let list = format!("task-pipeline tree 1\nf {}  a/2\n", hash(b"2\n"));
    assert_eq!(test.text(&["cat", "1", "d"]), list);
    assert_eq!(test.text(&["cat", "1", "d/a/2"]), "2\n");
    let id = test.rows("SELECT id FROM task WHERE name = 'd'").remove(0);
    assert_eq!(test.text(&["cat", &id]), list);
    assert_eq!(test.text(&["cat", &id, "a/2"]), "2\n");
    let id = test
        .rows("SELECT id FROM task WHERE name = 'x_next'")
        .remove(0);
    assert_eq!(test.text(&["cat", "-input", &id, "1"]), "1\n");
    assert!(
        test.refusal(&["cat", "1", "d/a/3"])
            .contains("did you mean `a/2`?")
    );
}

#[test]
fn a_shell_has_the_folder() {
    let test = Test::with(&pipeline(
        "mkdir x_next; echo 1 > x_next/1; chmod +x x_next/1",
        "true",
    ));
    test.runs();
    let shown = test.text(&[
        "shell",
        "next",
        "--",
        "sh",
        "-c",
        "test -x $INPUT_FILE/1; cat $INPUT_FILE/1",
    ]);
    assert_eq!(shown, "1\n");
}

#[test]
fn a_sample_compares_folders() {
    let test = Test::new();
    let leave = |script: &str| {
        pipeline(
            "mkdir a_next; echo 1 > a_next/1",
            &format!("cp -r $INPUT_FILE $OUTPUT_DIR/x\n{script}"),
        )
    };
    test.manifest(&leave(""));
    test.runs();
    test.manifest(&leave("true"));
    test.run(["-migrate-tainted", "-sample", "1"])
        .exits(0)
        .says("-accept next");
    test.manifest(&leave("chmod +x $OUTPUT_DIR/x/1"));
    test.run(["-migrate-tainted", "-sample", "1"])
        .exits(1)
        .says("x");
}

#[test]
fn large_files_and_folders_side_by_side() {
    let test = Test::with(&pipeline(
        "mkdir a_next; head -c 20000000 /dev/zero | tr '\\0' a > a_next/large; cp a_next/large b_next; mkdir c",
        "if [ -d $INPUT_FILE ]; then sha256sum < $INPUT_FILE/large; else sha256sum < $INPUT_FILE; fi > $OUTPUT_DIR/sum",
    ));
    test.run(["-run", "-parallel", "2"]).exits(0).says("3 run");
    let sums = &test.finals()["sum"];
    assert!(sums.len() == 2 && sums[0] == sums[1]);
    test.objects_are_whole();
}

#[test]
fn questions_tell_of_folders() {
    let test = Test::new();
    let gather = |x: &str| {
        format!(
            "[[input]]\nlines = 'cat lines'\nstep = 'make'\n\
             [[step]]\nname = 'make'\nfolders = true\n\
             script = 'mkdir -p $OUTPUT_DIR/$(cat $INPUT_FILE)_all; echo {x} > $OUTPUT_DIR/$(cat $INPUT_FILE)_all/x'\n\
             [[step]]\nname = 'all'\ngather = true\nscript = 'echo all > $OUTPUT_DIR/end'\n"
        )
    };
    test.manifest(&gather("old"));
    test.write("lines", "a\nb\n");
    test.runs();
    let all = |test: &Test| {
        test.rows("SELECT id FROM live_task WHERE step = 'all'")
            .remove(0)
    };
    let trace = test.text(&["trace", "end"]);
    assert!(trace.contains("from a_all/ "), "{trace}");
    let trace = test.json(&["trace", "-json", "end"]);
    let kinds: Vec<&str> = trace["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| task["kind"].as_str().unwrap())
        .collect();
    for kind in ["file", "folder", "list"] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
    test.write("lines", "a\nc\n");
    test.manifest(&gather("new"));
    test.run(["-migrate-tainted", "-run"]).exits(0);
    let why = test.text(&["why", &all(&test)]);
    for line in [
        "its input changed",
        "a_all:",
        "b_all removed",
        "c_all added",
    ] {
        assert!(why.contains(line), "{line}: {why}");
    }
    let page = test.path("page.html");
    test.text(&["report", "-o", page.to_str().unwrap()]);
    let check = test.text(&["graph"]);
    assert!(check.contains("all"), "{check}");
}

#[test]
fn checks_know_what_goes_where() {
    let test = Test::with(
        "[[step]]\nname = 'begin'\nstart = true\nfolders = true\n\
         script = 'mkdir -p \"$OUTPUT_DIR/x_next/a\"; echo 1 > $OUTPUT_DIR/y.d/1'\n\
         [[step]]\nname = 'next'\nscript = 'true'\n",
    );
    let check = test.text(&["check"]);
    assert!(
        check.contains("x_next → next, y.d → final output"),
        "{check}"
    );
    test.manifest(
        &test
            .read("workflow.toml")
            .replace("folders = true", "folders = 1"),
    );
    assert!(test.refusal(&["check"]).contains("`folders`"));
}

/// Trees of a few names, some of which sort oddly beside others.
#[test]
fn whatever_is_in_a_folder_comes_out_as_it_went_in() {
    let make = r#"
mkdir r_next; cd r_next
seed=$SEED
next() { seed=$(( (seed * 1103515245 + 12345) % 2147483648 )); n=$(( seed / 65536 % $1 )); }
for i in $(seq 60); do
    path=.
    next 4; depth=$n
    for j in $(seq $depth); do next 5; path=$path/$(printf 'a%s' "$(echo '- . b 0 é' | cut -d' ' -f$((n+1)))"); done
    mkdir -p $path 2>/dev/null || continue
    next 6; name=$(echo 'a a- a.b é x y' | cut -d' ' -f$((n+1)))
    [ -e $path/$name ] || [ -h $path/$name ] || case $((seed / 131072 % 5)) in
        0) echo $seed > $path/$name;;
        1) echo $((seed % 3)) > $path/$name; chmod +x $path/$name;;
        2) ln -s a $path/$name;;
        3) mkdir $path/$name;;
        4) : > $path/$name;;
    esac
done
cd ..; sh -e $HERE/list r_next > list"#;
    for seed in [1, 22, 333, 4444] {
        let test = Test::new();
        test.write("list", LIST);
        let next = "sh -e $HERE/list $INPUT_FILE > $OUTPUT_DIR/list_after; cp -a $INPUT_FILE $OUTPUT_DIR/copy";
        test.manifest(&pipeline(make, next));
        let script = format!(
            "HERE={} SEED={seed} $PROGRAM -run && $PROGRAM export -to out && sh -e list out/copy > after",
            test.path("").display()
        );
        let Some(ran) = as_a_user(&test, &script) else {
            return;
        };
        ran.exits(0);
        let list = test.read("out/list");
        assert!(list.lines().count() > 20, "{list}");
        assert_eq!(test.read("out/list_after"), list, "{seed}");
        assert_eq!(test.read("after"), list, "{seed}");
        let rows = test.rows("SELECT count(DISTINCT object_hash) FROM task WHERE kind = 1");
        assert_eq!(rows, ["1"], "{seed}");
    }
}

#[test]
fn a_folder_is_given_besides_the_input() {
    let test = Test::with(
        "[defaults]\nfolders = true\n\
         [[step]]\nname = 'begin'\nstart = true\nscript = 'cd $OUTPUT_DIR; echo 1 > 1_use; echo 2 > 2_use; echo x > x_index'\n\
         [[step]]\nname = 'index'\nscript = 'mkdir $OUTPUT_DIR/idx; cp $INPUT_FILE $OUTPUT_DIR/idx/data; chmod +x $OUTPUT_DIR/idx/data'\n\
         [[step]]\nname = 'use'\nwith = ['index']\nscript = '''\n\
         test -x $WITH_DIR/index/idx/data; cat $INPUT_FILE $WITH_DIR/index/idx/data > $OUTPUT_DIR/$(cat $INPUT_FILE).txt\n'''\n",
    );
    test.run(["-run"]).exits(0).says("4 run");
    assert_eq!(test.output("1.txt"), "1\nx\n");
    test.run(["-run", "-fresh"])
        .exits(0)
        .says("1 run, 3 reused");
    // A file of what is given besides is gone.
    let lost = test.object(&hash(b"x\n"));
    fs::remove_file(&lost).unwrap();
    let changed = test
        .read("workflow.toml")
        .replace("cat $INPUT_FILE $WITH", "true; cat $INPUT_FILE $WITH");
    test.manifest(&changed);
    test.run(["-migrate-tainted", "-run"]);
    test.run(["-run"]).exits(0);
    assert!(test.finals()["2.txt"].iter().all(|all| all == b"2\nx\n"));
    assert!(lost.exists());
    test.tally_is_right();
}

/// A program that was just written cannot be executed as long as any process could write to it, and for a moment
/// the children of other tasks could.
#[test]
fn programs_in_folders_run_however_many_tasks_begin_at_once() {
    let test = Test::with(
        r##"
[[step]]
name = "begin"
start = true
folders = true
script = '''
for i in $(seq 1 120); do mkdir $OUTPUT_DIR/${i}_run; printf "#!/bin/sh\necho $i > \$OUTPUT_DIR/ran; exit\n" > $OUTPUT_DIR/${i}_run/run
head -c 2000000 /dev/zero | tr '\0' '#' >> $OUTPUT_DIR/${i}_run/run; chmod +x $OUTPUT_DIR/${i}_run/run; done
'''
[[step]]
name = "run"
warm = false
script = '$INPUT_FILE/run; :'
"##,
    );
    test.run(["-run", "-parallel", "8"]).exits(0);
    assert_eq!(test.finals()["ran"].len(), 120);
}
