//! Objects that are missing or were altered.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::harness::{Test, hash};

/// A pipeline whose step `work` is yet to be done on the object `data`, and where that lies.
fn waiting() -> (Test, PathBuf) {
    let test = Test::with(
        "[[step]]\nname = 'begin'\nstart = true\n\
         script = 'echo begin >> $COUNT; echo data > $OUTPUT_DIR/a_work; echo other > $OUTPUT_DIR/b_work'\n\
         [[step]]\nname = 'work'\nscript = 'test -e go; cat $INPUT_FILE > $OUTPUT_DIR/out'\n",
    );
    test.run(["-run"]).exits(1);
    test.write("go", "");
    let path = test.object(&hash(b"data\n"));
    assert!(path.is_file());
    (test, path)
}

/// Fails unless the next run finds that the object is lost, and has it made again.
fn is_made_again(test: &Test) {
    test.run(["-run"])
        .exits(0)
        .says("gone from the store or altered there: 1 input (`a_work`): 1 task runs again");
    assert_eq!(
        test.finals()["out"],
        [b"data\n".to_vec(), b"other\n".to_vec()]
    );
    assert_eq!(test.times("begin"), 2);
    test.objects_are_whole();
    test.tally_is_right();
    test.runs().never_says("gone").says("0 run, 0 reused");
}

#[test]
fn a_missing_object() {
    let (test, path) = waiting();
    fs::remove_file(path).unwrap();
    is_made_again(&test);
}

#[test]
fn an_altered_object() {
    for bytes in ["other", "data\nand more", ""] {
        let (test, path) = waiting();
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
        is_made_again(&test);
    }
}

#[test]
fn an_object_that_goes_during_a_run() {
    let test = Test::with(
        "[[step]]\nname = 'begin'\nstart = true\n\
         script = 'echo data > $OUTPUT_DIR/a_work; echo other > $OUTPUT_DIR/b_work'\n\
         [[step]]\nname = 'work'\nparallel = 1\nscript = '''\n\
         test -e done || find db/objects -type f ! -empty -delete\n\
         touch done\ncat $INPUT_FILE > $OUTPUT_DIR/out\n'''\n",
    );
    test.run(["-run", "-parallel", "1"])
        .exits(1)
        .says("is missing: there is no ")
        .says(&hash(b"other\n"))
        .says("hint: run again, and the task that made b_work does so again");
    test.runs().says("1 task runs again");
    assert_eq!(test.finals()["out"].len(), 2);
    test.objects_are_whole();
    test.tally_is_right();
}

#[test]
fn an_altered_large_object() {
    let test = Test::with(
        "[[step]]\nname = 'begin'\nstart = true\nscript = 'seq 1 100000 > $OUTPUT_DIR/work'\n\
         [[step]]\nname = 'work'\nscript = 'test -e go; tail -n 1 $INPUT_FILE > $OUTPUT_DIR/out'\n",
    );
    test.run(["-run"]).exits(1);
    test.write("go", "");
    let hash = test
        .rows("SELECT object_hash FROM task WHERE name = 'work'")
        .remove(0);
    let path = test.object(&hash);
    let mut bytes = fs::read(&path).unwrap();
    bytes[300_000] ^= 1;
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();
    test.run(["-run"]).exits(0).says("1 input (`work`)");
    assert_eq!(test.output("out"), "100000\n");
    test.objects_are_whole();
}

/// A pipeline in which small and large files are handed on.
const HANDED_ON: &str = "[[step]]\nname = 'begin'\nstart = true\n\
     script = 'seq 1 1500000 > $OUTPUT_DIR/large_sum; for i in 1 2 3; do echo $i > $OUTPUT_DIR/${i}_sum; done'\n\
     [[step]]\nname = 'sum'\nscript = 'cp $INPUT_FILE $OUTPUT_DIR/copy; ln $INPUT_FILE $OUTPUT_DIR/linked; seq 20000'\n";

fn all_is_there(test: &Test, runs: usize, objects: &Path) {
    assert_eq!(test.finals()["copy"].len(), 4 * runs);
    assert_eq!(test.finals()["linked"].len(), 4 * runs);
    test.objects_are_whole();
    test.nothing_temporary_is_left();
    test.tally_is_right();
    for entry in fs::read_dir(objects).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            name.len() == 2 || name == ".owner",
            "{name} is no folder of objects"
        );
    }
}

#[test]
fn objects_may_be_on_another_disk() {
    let test = Test::with(HANDED_ON);
    let device = |path: &Path| fs::metadata(path).ok().map(|found| found.dev());
    let here = device(&test.path(""));
    let is_another = |path: &&&str| device(Path::new(path)).is_some_and(|it| Some(it) != here);
    let disks = ["/dev/shm", "/tmp", "/var/tmp"];
    let disk = disks.iter().find(is_another).expect("two file systems");
    let elsewhere = tempfile::tempdir_in(disk).unwrap();
    fs::create_dir(test.path("db")).unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), test.path("db/objects")).unwrap();
    // What a killed run would have left there.
    fs::create_dir_all(elsewhere.path().join(".tmp/run-00beef/w0-0/out")).unwrap();
    test.runs().says("8 final outputs");
    all_is_there(&test, 1, elsewhere.path());
    test.run(["-run", "-fresh"]).exits(0);
    all_is_there(&test, 2, elsewhere.path());
}

#[test]
fn objects_may_be_a_mount_point() {
    let test = Test::with(HANDED_ON);
    let script = "mkdir -p db/objects elsewhere; mount --bind elsewhere db/objects; $PROGRAM -run";
    let Some(ran) = crate::privileges::with_mounts(&test, script) else {
        return;
    };
    ran.exits(0).says("8 final outputs");
    // As the mount is gone by now.
    fs::remove_dir(test.path("db/objects")).unwrap();
    fs::rename(test.path("elsewhere"), test.path("db/objects")).unwrap();
    all_is_there(&test, 1, &test.path("db/objects"));
}

#[test]
fn objects_behind_a_link_to_nothing_are_told() {
    let test = Test::with(HANDED_ON);
    fs::create_dir(test.path("db")).unwrap();
    std::os::unix::fs::symlink("/no/such/disk", test.path("db/objects")).unwrap();
    test.run(["-run"])
        .exits(2)
        .says("db/objects is a link to /no/such/disk, which is not there")
        .says("hint: mount the disk that it is on");
    assert_eq!(test.rows("SELECT count(*) FROM task"), ["0"]);
}

/// Leaves a small and a large file; `work` counts how often it runs and leaves what it gets.
const COPIES: &str = "[[step]]\nname = 'begin'\nstart = true\n\
    script = 'echo small > $OUTPUT_DIR/a_work; seq 1 100000 > $OUTPUT_DIR/b_work'\n\
    [[step]]\nname = 'work'\nscript = '''\necho work >> $COUNT\ncat $INPUT_FILE > $OUTPUT_DIR/x\n\
    echo more >> $OUTPUT_DIR/x\n'''\n";

#[test]
fn what_was_altered_is_not_taken_over() {
    for large in [false, true] {
        let test = Test::with(COPIES);
        test.runs();
        test.run(["-run", "-fresh"])
            .exits(0)
            .says("1 run, 2 reused");
        let mut finals = test.rows("SELECT DISTINCT object_hash FROM task WHERE name = 'x'");
        finals.sort_by_key(|hash| fs::metadata(test.object(hash)).unwrap().len());
        let hash = &finals[usize::from(large)];
        let path = test.object(hash);
        // In place, with the same size.
        let mut bytes = fs::read(&path).unwrap();
        bytes[3] ^= 1;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
        test.run(["-run", "-fresh"])
            .exits(0)
            .says("2 run, 1 reused");
        assert_eq!(test.times("work"), 3);
        test.objects_are_whole();
        test.run(["-run", "-fresh"])
            .exits(0)
            .says("1 run, 2 reused");
        test.tally_is_right();
    }
}

#[test]
fn a_db_that_was_copied_is_read_and_taken_over() {
    let test = Test::with(COPIES);
    test.runs();
    let copied = test
        .shell("cp -r db other && rm -r db && mv other db")
        .status();
    assert!(copied.unwrap().success());
    for _ in 0..2 {
        test.run(["-run", "-fresh"])
            .exits(0)
            .says("1 run, 2 reused");
    }
    test.tally_is_right();
}

/// Numbers by two steps; what each makes differs from its input.
const TWO_STEPS: &str = "[[step]]\nname = 'begin'\nstart = true\n\
    script = 'echo begin >> $COUNT; for i in $(seq 20); do echo $i > $OUTPUT_DIR/${i}_one; done'\n\
    [[step]]\nname = 'one'\nscript = '''\necho one >> $COUNT\nsed 's/$/ one/' $INPUT_FILE > $OUTPUT_DIR/x_two\n'''\n\
    [[step]]\nname = 'two'\nscript = '''\necho two >> $COUNT\nsed 's/$/ two/' $INPUT_FILE > $OUTPUT_DIR/end\n'''\n";

/// How often each of the two steps and the start ran.
fn ran(test: &Test) -> [usize; 3] {
    ["begin", "one", "two"].map(|step| test.times(step))
}

/// The final output of the number 7.
const SEVEN: &[u8] = b"7 one two\n";

#[test]
fn a_store_that_is_gone_is_noticed_and_made_again() {
    let test = Test::with(TWO_STEPS);
    test.runs();
    let before = test.finals();
    for gone in ["db/objects", "db/objects/*", "db/objects/??/*"] {
        let all = test.shell(&format!("rm -rf {gone}")).status();
        assert!(all.unwrap().success());
        let status = test.run(["status"]).exits(0);
        status
            .prints("lost, ")
            .prints("gone from the store or altered there: 20 final outputs (`end`, …); -run makes again what steps of the manifest made");
        test.run(["-run", "-dry-run"])
            .exits(0)
            .says("20 final outputs")
            .prints("begin v1  would run 1");
        test.runs()
            .says("20 final outputs (`end`, …): 1 task runs again");
        assert_eq!(test.finals(), before, "{gone}");
        test.objects_are_whole();
        test.tally_is_right();
        test.run(["status"]).exits(0).prints("done, ");
    }
    assert_eq!(ran(&test), [4, 80, 80]);
}

#[test]
fn one_that_is_lost_is_made_again_from_what_is_there() {
    let test = Test::with(TWO_STEPS);
    test.runs();
    let object = |bytes: &[u8]| test.object(&hash(bytes));
    let alter = |bytes: &[u8]| {
        let path = object(bytes);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(&path, vec![b'x'; bytes.len()]).unwrap();
    };
    let remove = |bytes: &[u8]| fs::remove_file(object(bytes)).unwrap();
    let is_right = |steps: [usize; 3]| {
        test.runs()
            .says("1 final output (`end`): 1 task runs again");
        assert_eq!(ran(&test), steps);
        assert_eq!(fs::read(object(SEVEN)).unwrap(), SEVEN);
        assert_eq!(test.finals()["end"].len(), 20);
        test.tally_is_right();
    };
    remove(SEVEN);
    is_right([1, 20, 21]);
    alter(SEVEN);
    is_right([1, 20, 22]);
    // What it was made of is gone as well.
    remove(SEVEN);
    remove(b"7 one\n");
    is_right([1, 21, 23]);
    alter(SEVEN);
    alter(b"7 one\n");
    remove(b"7\n");
    is_right([2, 22, 24]);
    test.objects_are_whole();
    test.runs().never_says("gone").says("0 run");
}

#[test]
fn what_no_step_of_the_manifest_can_make_again_is_told() {
    let test = Test::with(TWO_STEPS);
    test.runs();
    fs::remove_file(test.object(&hash(SEVEN))).unwrap();
    test.manifest(
        "[[step]]\nname = 'begin'\nstart = true\nscript = 'true'\n\
         [[step]]\nname = 'one'\nscript = 'true'\n",
    );
    test.run(["-run"])
        .exits(0)
        .says("1 final output (`end`): no task can make that again")
        .says("hint: what task ")
        .says("put the step back, or restore the objects from a backup");
    test.manifest(TWO_STEPS);
    test.run(["-run"]).says("1 task runs again");
    assert_eq!(fs::read(test.object(&hash(SEVEN))).unwrap(), SEVEN);
}

#[test]
fn a_store_that_was_restored_is_read_and_nothing_runs_again() {
    let test = Test::with(TWO_STEPS);
    test.runs();
    let copied = test.shell("cp -r db/objects backup && rm -r db/objects && mv backup db/objects");
    assert!({ copied }.status().unwrap().success());
    test.runs().never_says("gone").says("0 run, 0 reused");
    test.run(["status"]).exits(0).prints("done, ");
}
