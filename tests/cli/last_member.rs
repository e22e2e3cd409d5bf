//! Kills while the last of what is gathered comes in.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::{Test, wait_for};

/// How long after the last script's end the last kill comes.
const LATEST: Duration = Duration::from_millis(40);

/// Two files in parts, merged file by file and then all together.
const PIPELINE: &str = r#"
[[step]]
name = "begin"
start = true
script = 'echo "1 2 3" > $OUTPUT_DIR/a_split; echo "4 5" > $OUTPUT_DIR/b_split'
[[step]]
name = "split"
script = 'for n in $(cat $INPUT_FILE); do echo $n > $OUTPUT_DIR/work.$n; done'
[[step]]
name = "work"
script = 'cp $INPUT_FILE $OUTPUT_DIR/merge; echo work >> $COUNT'
[[step]]
name = "merge"
gather = "split"
script = 'cat $INPUT_DIR/* | sort | tr "\n" " " > $OUTPUT_DIR/all'
[[step]]
name = "all"
gather = true
script = 'cat $INPUT_DIR/* | tr " " "\n" | sort > $OUTPUT_DIR/end'
"#;

/// The same comes of a run however soon after the last script that leaves a member it is killed.
pub(crate) fn killed_as_it_is_recorded(rounds: u32) {
    for round in 0..rounds {
        let test = Test::with(PIPELINE);
        let running = test.start(["-run", "-parallel", "3"]);
        wait_for("the last part", || test.times("work") == 5);
        let began = Instant::now();
        while began.elapsed() < LATEST * round / rounds {
            std::hint::spin_loop();
        }
        running.signal(Signal::KILL);
        running.end();
        test.runs();
        assert_eq!(test.output("end").trim(), "1\n2\n3\n4\n5");
        assert_eq!(
            test.rows("SELECT step, count(*) FROM live_task GROUP BY 1 ORDER BY 1"),
            ["all|1", "begin|1", "merge|2", "split|2", "work|5"],
            "round {round}"
        );
        test.tally_is_right();
    }
}
