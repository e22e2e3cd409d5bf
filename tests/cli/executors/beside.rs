//! Large objects, where a worker sees the disk of the run, and where it does not.

use std::os::unix::fs::PermissionsExt as _;

use crate::harness::Test;

/// A pipeline whose workers are started by a command that keeps what is said in both directions, after `before`.
fn pipeline(before: &str) -> Test {
    let test = Test::new();
    test.write(
        "start",
        format!("#!/bin/sh\ncd \"${{0%/*}}\"\ntee said | {before} \"$@\" | tee heard\n"),
    );
    let start = test.path("start");
    std::fs::set_permissions(&start, std::fs::Permissions::from_mode(0o755)).unwrap();
    test.manifest(&format!(
        r#"
        [executors.other]
        start = [{start:?}]
        workers = 1

        [[step]]
        name = "begin"
        start = true
        script = '''
        head -c 3000000 /dev/urandom > "$OUTPUT_DIR/a_large"
        mkdir "$OUTPUT_DIR/b_large"
        head -c 2000000 /dev/urandom > "$OUTPUT_DIR/b_large/x"
        echo small > "$OUTPUT_DIR/b_large/y"
        '''
        folders = true

        [[step]]
        name = "large"
        executor = "other"
        folders = true
        script = 'cp -r "$INPUT_FILE" "$OUTPUT_DIR/$TASK_PIPELINE_KEY"'
        "#
    ));
    test
}

/// Bytes that went to workers, and came from them.
fn through(test: &Test) -> [u64; 2] {
    ["said", "heard"].map(|file| std::fs::metadata(test.path(file)).unwrap().len())
}

/// Runs it: what came of it is what went in.
fn comes_back(test: &Test) {
    test.runs();
    let inputs = test.rows("SELECT object_hash FROM task WHERE name LIKE '%large' ORDER BY 1");
    let finals = test.rows("SELECT object_hash FROM task WHERE step_id IS NULL ORDER BY 1");
    assert_eq!(inputs.len(), 2);
    assert_eq!(inputs, finals);
    test.objects_are_whole();
    test.nothing_temporary_is_left();
}

#[test]
fn large_objects_go_by_a_disk_that_both_see() {
    let test = pipeline("");
    comes_back(&test);
    let through = through(&test);
    assert!(through.iter().all(|bytes| *bytes < 500_000), "{through:?}");
}

#[test]
fn a_disk_that_one_of_them_does_not_see_is_not_used() {
    if crate::sandbox::is_left_out() {
        return;
    }
    for (mount, sees) in [
        ("mount -t tmpfs none db", [false, false]),
        (
            "mount --bind db db && mount -o remount,ro,bind db",
            [true, false],
        ),
    ] {
        let test = pipeline(&format!("unshare -rm sh -ec '{mount}; exec \"$@\"' start"));
        comes_back(&test);
        let through = through(&test);
        let went_by = through.map(|bytes| bytes < 500_000);
        assert_eq!(went_by, sees, "{mount} {through:?}");
    }
}
