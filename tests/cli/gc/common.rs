//! Some runsets, and what is to be true of them.

use std::collections::BTreeSet;

use crate::harness::{Running, Test, files, hash};

/// Each runset makes objects of its own, some that all have, folders, and something gathered.
pub const PIPELINE: &str = r#"
[[step]]
name = "begin"
start = true
script = '''
echo "begin of $RUN"
for i in 1 2 3; do echo "$RUN $i" > $OUTPUT_DIR/${i}_part; done
echo same > $OUTPUT_DIR/4_part
'''
keep = ["RUN"]

[[step]]
name = "part"
folders = true
script = '''
echo part >> $COUNT
echo "part on $(cat $INPUT_FILE)" >&2
mkdir $OUTPUT_DIR/f_all
cp $INPUT_FILE $OUTPUT_DIR/f_all/x
ln -s x $OUTPUT_DIR/f_all/link
'''
env = { LC_ALL = "C" }
keep = ["COUNT"]

[[step]]
name = "all"
gather = true
script = 'cat $INPUT_DIR/*/x > $OUTPUT_DIR/final.txt'
"#;

pub fn fresh(test: &Test, run: &str) {
    let mut command = test.command(["-run", "-fresh", "-runset", run]);
    command.env("RUN", run);
    Running::start(command).end().exits(0);
}

pub fn three() -> Test {
    let test = Test::with(PIPELINE);
    for run in ["one", "two", "three"] {
        fresh(&test, run);
    }
    test
}

pub fn objects(test: &Test) -> BTreeSet<String> {
    let objects = test.path("db/objects");
    let name = |path: &std::path::PathBuf| {
        let below = path.strip_prefix(&objects).unwrap();
        below.to_str().unwrap().replace('/', "")
    };
    files(&objects).iter().map(name).collect()
}

pub fn rows(test: &Test) -> Vec<String> {
    let mut rows = Vec::new();
    for table in [
        "task",
        "runset",
        "tally",
        "step",
        "log",
        "gathering",
        "meta",
    ] {
        rows.extend(test.rows(&format!("SELECT * FROM {table}")));
    }
    rows
}

/// Everything that is asked about a runset can be answered.
pub fn is_whole(test: &Test, runset: &str) {
    test.tally_is_right();
    test.objects_are_whole();
    for task in test.rows(&format!("SELECT id FROM task WHERE runset = '{runset}'")) {
        test.text(&["trace", &format!("#{task}")]);
        if test.rows(&format!("SELECT step_id FROM task WHERE id = {task}")) != ["NULL"] {
            test.text(&["log", &format!("#{task}")]);
            test.text(&["why", &format!("#{task}")]);
        }
    }
    let to = format!("out-{runset}");
    test.text(&["export", "-force", "-runset", runset, "-to", &to]);
    assert!(
        test.read(&format!("{to}/final.txt"))
            .contains(&format!("{runset} 2\n"))
    );
    test.run(["-run", "-runset", runset]).exits(0).says("0 run");
}

pub fn add(test: &Test, bytes: &[u8]) -> String {
    let name = hash(bytes);
    test.write(
        &format!("db/objects/{}/{}/{}", &name[..2], &name[2..4], &name[4..]),
        bytes,
    );
    name
}
