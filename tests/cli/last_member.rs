//! Kills while the last of what a step waits for comes in.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::{Test, wait_for};
use crate::recorded;

/// How long after the last script's end the last kill comes.
const LATEST: Duration = Duration::from_millis(40);

/// Numbers that are gathered file by file, by key and all together, and given to others, all and one by one.
const PIPELINE: &str = r#"
[[step]]
name = "begin"
start = true
script = '''
cd $OUTPUT_DIR; echo "1 2 3" > a_split; echo "4 5" > b_split; echo x > x_pair; mkdir f_pair; echo f > f_pair/f
'''
folders = true
[[step]]
name = "split"
script = 'for n in $(cat $INPUT_FILE); do echo $n > $OUTPUT_DIR/${n}_work; done'
[[step]]
name = "work"
script = '''
n=$(cat $INPUT_FILE); cd $OUTPUT_DIR; echo $n > part_merge; echo $n > $((n % 2))_parity; echo $n > ${n}_use
echo work >> $COUNT
'''
[[step]]
name = "merge"
gather = "split"
script = 'cat $INPUT_DIR/* | sort > $OUTPUT_DIR/${TASK_PIPELINE_KEY}m_all; echo merge >> $COUNT'
[[step]]
name = "parity"
gather = "name"
script = 'cat $INPUT_DIR/* | sort > $OUTPUT_DIR/${TASK_PIPELINE_KEY}p_all; echo parity >> $COUNT'
[[step]]
name = "use"
with = ["merge"]
script = 'cat $INPUT_FILE $WITH_DIR/merge/* > $OUTPUT_DIR/${TASK_PIPELINE_KEY}u_all; echo use >> $COUNT'
[[step]]
name = "pair"
with = ["parity"]
each = true
script = 'cat $WITH_FILE > $OUTPUT_DIR/${TASK_PIPELINE_KEY}_all; echo pair >> $COUNT'
[[step]]
name = "all"
gather = true
script = 'cd $INPUT_DIR; for one in *; do echo $one; cat $one; done > $OUTPUT_DIR/end'
"#;

/// The step whose last script leaves the last member, how many of these there are, and what waits for it.
const LAST: [(&str, usize, &str); 4] = [
    ("work", 5, "groups by name and below a step"),
    ("merge", 2, "who gets all of what a step leaves"),
    ("parity", 2, "pairs"),
    ("pair", 4, "all of a runset"),
];

/// All that is recorded of what counts, but for the numbers of rows and times.
fn end_state(test: &Test) -> BTreeMap<String, usize> {
    let mut rows = recorded::rows(test, "true");
    for (name, all) in test.finals() {
        *rows.entry(format!("{name}: {all:?}")).or_default() += 1;
    }
    rows
}

/// The same comes of a run however soon after the last script that leaves a member it is killed.
pub(crate) fn killed_as_it_is_recorded(rounds: u32) {
    let calm = Test::with(PIPELINE);
    calm.run(["-run", "-parallel", "3"]).exits(0).says("22 run");
    let undisturbed = end_state(&calm);
    for (step, count, what) in LAST {
        for round in 0..rounds {
            let test = Test::with(PIPELINE);
            let running = test.start(["-run", "-parallel", "3"]);
            wait_for("the last member", || test.times(step) == count);
            let began = Instant::now();
            while began.elapsed() < LATEST * round / rounds {
                std::hint::spin_loop();
            }
            running.signal(Signal::KILL);
            running.end();
            test.runs();
            assert_eq!(end_state(&test), undisturbed, "{what}, round {round}");
            test.tally_is_right();
            test.objects_are_whole();
            test.nothing_temporary_is_left();
        }
    }
}
