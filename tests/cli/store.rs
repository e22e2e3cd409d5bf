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

/// Fails unless the task on that object fails with this error, the other one succeeds, and
/// making the object again mends it.
fn fails_and_is_mended(test: &Test, path: &Path, error: &str) {
    let ran = test.run(["-run"]).exits(1);
    let path = path
        .strip_prefix(test.path(""))
        .unwrap()
        .display()
        .to_string();
    ran.says(error)
        .says(&hash(b"data\n"))
        .says(&path)
        .says("hint: ")
        .says("-start")
        .says("1 run, 0 reused, 1 failed");
    assert_eq!(test.finals()["out"], [b"other\n"]);
    test.tally_is_right();
    test.run(["-run", "-start", "begin"])
        .exits(0)
        .says("2 run, 1 reused");
    assert_eq!(
        test.finals()["out"],
        [b"data\n".to_vec(), b"other\n".to_vec()]
    );
    assert_eq!(test.times("begin"), 2);
    test.objects_are_whole();
    test.tally_is_right();
}

#[test]
fn a_missing_object() {
    let (test, path) = waiting();
    fs::remove_file(&path).unwrap();
    fails_and_is_mended(&test, &path, "is missing: there is no ");
}

#[test]
fn an_altered_object() {
    for bytes in ["other", "data\nand more", ""] {
        let (test, path) = waiting();
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
        fails_and_is_mended(&test, &path, "is damaged: the bytes of ");
    }
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
    test.run(["-run"])
        .exits(1)
        .says("is damaged: the bytes of ")
        .says(&hash);
    test.run(["-run", "-start", "begin"]).exits(0);
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
        assert!(name.len() == 2, "{name} is no folder of objects");
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
    fs::create_dir_all(elsewhere.path().join(".tmp/run-old/w0-0/out")).unwrap();
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
