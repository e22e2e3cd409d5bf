//! A run each night, and a collection: what the db folder takes does not grow.

use std::os::unix::fs::MetadataExt as _;

use crate::harness::{Test, files};

/// Bytes of the disk that the db folder takes.
fn size(test: &Test) -> u64 {
    let files = files(&test.path("db"));
    let size = |path: &std::path::PathBuf| std::fs::metadata(path).unwrap().blocks() * 512;
    files.iter().map(size).sum()
}

/// So many nights with so many tasks each.
pub fn pass(test: &Test, nights: usize, tasks: usize) {
    test.manifest(&format!(
        "[[step]]\nname = 'a'\nstart = true\nkeep = ['RUN']\n\
         script = 'i=0; while [ $i -lt {tasks} ]; do echo $RUN $i > $OUTPUT_DIR/${{i}}_b; i=$((i+1)); done'\n\
         [[step]]\nname = 'b'\nscript = 'cat $INPUT_FILE > $OUTPUT_DIR/$TASK_PIPELINE_KEY.txt'\n"
    ));
    let mut sizes = Vec::new();
    for night in 0..nights {
        let mut command = test.command(["-run", "-fresh", "-quiet"]);
        command.env("RUN", format!("night {night}"));
        // A million tasks take longer than all else that is tested.
        let ran = command.output().unwrap();
        assert!(ran.status.success(), "night {night}: {ran:?}");
        let went = test.json(&["gc", "-keep-runsets", "2", "-json"]);
        sizes.push(size(test));
        println!("night {night}: {sizes:?}, removed {}", went["removed"]);
    }
    // Two runsets are there from the second night on; the third is made before the first one goes.
    let (first, later) = sizes.split_at(3);
    let most = later.iter().max().unwrap();
    assert!(*most <= first[2] + first[2] / 20, "{sizes:?}");
    assert_eq!(test.rows("SELECT count(*) FROM runset"), ["2"]);
    test.text(&["verify"]);
}

#[test]
fn the_db_folder_does_not_grow() {
    pass(&Test::in_memory(), 7, 60);
}
