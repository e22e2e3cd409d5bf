//! A run that is killed at any instant goes on as if nothing had been.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::Test;

/// Two hundred and some tasks: a fan-out, a step on each, and a chain behind some.
const MANY: &str = r#"
[[step]]
name = "begin"
start = true
script = '''
echo $TASK_PIPELINE_TASK >> $COUNT
for i in $(seq 1 150); do echo $i > $OUTPUT_DIR/${i}_work; done
'''
[[step]]
name = "work"
script = '''
echo $TASK_PIPELINE_TASK >> $COUNT
n=$(cat $INPUT_FILE); sleep 0.01; seq 1 $n > $OUTPUT_DIR/list_$n; echo said $n
case $n in *3|*7) echo $((n / 10)) > $OUTPUT_DIR/more;; esac
'''
cache = false
[[step]]
name = "more"
script = '''
echo $TASK_PIPELINE_TASK >> $COUNT
n=$(cat $INPUT_FILE); echo "end of $n" > $OUTPUT_DIR/end_$n
test $n = 0 || echo $((n - 1)) > $OUTPUT_DIR/next.work
'''
cache = false
[[step]]
name = "next"
script = 'cp $INPUT_FILE $OUTPUT_DIR/done'
"#;

/// Final outputs by name and hash, and how often each.
fn end_state(test: &Test) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for row in test.rows(
        "SELECT coalesce(task.name, ''), object_hash, coalesce(step.name, ''), processed, error
         FROM task LEFT JOIN step ON step.id = step_id WHERE live = 1",
    ) {
        *counts.entry(row).or_default() += 1;
    }
    counts
}

/// A generator that always gives the same row (Marsaglia's xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

#[test]
fn killed_at_any_moment_a_run_goes_on_and_executes_nothing_twice_that_was_recorded() {
    const SEED: u64 = 0x5eed_1234_5678_9abc;
    println!("seed {SEED:#x}");
    let calm = Test::with(MANY);
    let whole = calm.run(["-run", "-parallel", "4"]).exits(0).elapsed;
    let expected = end_state(&calm);
    assert!(expected.len() > 200, "{}", expected.len());

    let mut random = Random(SEED);
    let mut test = Test::with(MANY);
    let mut left = 50;
    let mut killed_amid = 0;
    while left > 0 {
        // From before the db exists to beyond a third of the whole.
        let most = u64::try_from(whole.as_micros()).unwrap() / 3 + 4000;
        let moment = Duration::from_micros(random.below(most));
        let before = test.count().len();
        let more = usize::try_from(random.below(24)).unwrap();
        let running = test.start(["-run", "-parallel", "4"]);
        if left % 2 == 0 {
            std::thread::sleep(moment);
        } else {
            // However fast the machine is by now: so many scripts began.
            let begin = Instant::now();
            while test.count().len() < before + more && begin.elapsed() < whole {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        running.signal(Signal::KILL);
        let ran = running.end();
        left -= 1;
        if ran.status == 0 {
            finished(&test, &expected);
            test = Test::with(MANY);
            continue;
        }
        assert_eq!(ran.status, 137, "{ran}");
        killed_amid += usize::from(look(&test));
    }
    assert!(
        killed_amid >= 20,
        "{killed_amid} of the kills came amid the work"
    );
    test.run(["-run", "-parallel", "4"]).exits(0);
    finished(&test, &expected);
}

/// After a kill: notes which tasks are recorded as finished, and fails if one of those that were
/// so before was executed since. Whether anything was finished.
fn look(test: &Test) -> bool {
    // Scripts of the killed run may still be writing; theirs are unfinished tasks.
    let finished = if test.path("db/db").exists() && tables(test) {
        test.rows("SELECT id FROM task WHERE processed = 1 AND step_id IS NOT NULL ORDER BY id")
    } else {
        Vec::new()
    };
    none_ran_again(test);
    let counts: Vec<String> = finished
        .iter()
        .map(|id| format!("{id} {}", test.times(id)))
        .collect();
    test.write("finished", counts.join("\n"));
    !finished.is_empty()
}

fn tables(test: &Test) -> bool {
    test.rows("SELECT count(*) FROM sqlite_master WHERE name = 'task'") == ["1"]
}

/// Fails if a task that was noted as finished was executed since.
fn none_ran_again(test: &Test) {
    for line in test.read("finished").lines() {
        let (id, times) = line.split_once(' ').unwrap();
        assert_eq!(
            test.times(id).to_string(),
            times,
            "executions of the finished task {id}"
        );
    }
}

/// Fails unless the state is that of an undisturbed run, and nothing lies about.
fn finished(test: &Test, expected: &BTreeMap<String, usize>) {
    none_ran_again(test);
    test.run(["-run"])
        .exits(0)
        .says("0 run, 0 reused, 0 failed, 0 pending");
    assert_eq!(&end_state(test), expected);
    test.tally_is_right();
    test.objects_are_whole();
    test.nothing_temporary_is_left();
}
