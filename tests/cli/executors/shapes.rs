//! A pipeline with all that tasks can have and come to, and what is known of its runs.

use std::collections::BTreeMap;

use rustix::process::Pid;

use crate::harness::{Running, Test};

/// All shapes that an input can have, and all that a task can come to.
pub const SHAPES: &str = r#"
[params]
word = { type = "string", default = "a 'b' $c" }
[[step]]
name = "begin"
start = true
folders = true
outputs = ["*_work", "*_folder", "large_copy", "empty_copy", "index_?*?"]
script = '''
for i in 1 2 3 4 5 6 7 8; do echo $i > $OUTPUT_DIR/${i}_work; done
for i in x y; do mkdir -p $OUTPUT_DIR/${i}_folder/sub/none; echo $i > $OUTPUT_DIR/${i}_folder/sub/$i
ln -s sub/$i $OUTPUT_DIR/${i}_folder/link; printf '#!/bin/sh\necho ran\n' > $OUTPUT_DIR/${i}_folder/run; chmod +x $OUTPUT_DIR/${i}_folder/run; done
head -c 300000 /dev/zero > $OUTPUT_DIR/large_copy; : > $OUTPUT_DIR/empty_copy
echo told; echo wrong >&2
'''
[[step]]
name = "work"
cache = false
script = '''
n=$(cat $INPUT_FILE); sleep 0.0$n; echo "$n $PARAM_word" > $OUTPUT_DIR/${n}_all.txt; echo "said $n"
'''
[[step]]
name = "folder"
script = 'cd $INPUT_FILE; cat link; ./run; test -d sub/none; cp -r . $OUTPUT_DIR/f_keep'
folders = true
[[step]]
name = "keep"
script = 'cat $INPUT_FILE/sub/[xy] > $OUTPUT_DIR/kept'
[[step]]
name = "copy"
script = 'cp $INPUT_FILE $OUTPUT_DIR/c; echo $TASK_PIPELINE_INPUT_NAME > $OUTPUT_DIR/name'
[[step]]
name = "beside"
from = ["begin:*_work"]
with = ["copy"]
script = 'ls $WITH_DIR/copy | sort > $OUTPUT_DIR/seen; cat $INPUT_FILE >> $OUTPUT_DIR/seen'
[[step]]
name = "all"
gather = true
script = '(cd $INPUT_DIR; for f in *; do echo $f; cat "$f"; done) > $OUTPUT_DIR/sum'
[[step]]
name = "split"
gather = "name"
from = ["work"]
script = 'ls $INPUT_DIR > $OUTPUT_DIR/${TASK_PIPELINE_KEY}_fails'
[[step]]
name = "fails"
retries = 1
retry_delay = "1ms"
script = 'echo no luck >&2; exit 7'
"#;

/// What is live: names, objects, steps, how each went, and how often that is there.
pub fn end_state(test: &Test) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for row in test.rows(
        "SELECT coalesce(task.name, ''), object_hash, coalesce(step.name, ''), processed, error
         FROM task LEFT JOIN step ON step.id = step_id WHERE live = 1",
    ) {
        *counts.entry(row).or_default() += 1;
    }
    counts
}

/// The workers that a run has started.
pub fn workers(run: &Running) -> Vec<Pid> {
    let mut found = Vec::new();
    let tasks = std::fs::read_dir(format!("/proc/{}/task", run.pid()));
    for task in tasks.into_iter().flatten().flatten() {
        let children = std::fs::read_to_string(task.path().join("children"));
        for pid in children.unwrap_or_default().split_whitespace() {
            let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            if words.split(|byte| *byte == 0).any(|word| word == b"worker") {
                found.extend(pid.parse().ok().and_then(Pid::from_raw));
            }
        }
    }
    found
}

/// What comes of the shapes on the machine of the run.
pub fn here() -> BTreeMap<String, usize> {
    let test = Test::with(SHAPES);
    test.run(["-run"]).exits(1).says("no luck");
    end_state(&test)
}
