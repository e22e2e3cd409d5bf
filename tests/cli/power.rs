//! The power goes amid a run. Everything that the run did to the disk is recorded; for each moment,
//! what a file system may have kept of it is laid out anew, and the next run goes on from that.

#[path = "power/disk.rs"]
mod disk;
#[path = "power/record.rs"]
mod record;

use std::fs;

pub use disk::Luck;
use disk::Remains;
use record::Recording;

use crate::harness::{Running, Test, hash};
use crate::injection::{is_possible, rows};

/// A fan-out, a merge, and an output of some blocks.
const MANIFEST: &str = r#"
[[step]]
name = "begin"
start = true
script = 'for i in 1 2 3 4 5; do echo "v$i" > "$OUTPUT_DIR/a${i}_mid"; done'
[[step]]
name = "mid"
script = '''
for i in 1 2 3 4 5 6 7 8; do cat "$INPUT_FILE" "$INPUT_FILE" > "$OUTPUT_DIR/${TASK_PIPELINE_KEY}_merge"; done
head -c 20000 /dev/zero | tr '\0' "$(cut -c2 "$INPUT_FILE")" > "$OUTPUT_DIR/$TASK_PIPELINE_KEY.big"
echo said
'''
[[step]]
name = "merge"
gather = true
script = 'cat "$INPUT_DIR"/* > "$OUTPUT_DIR/all.txt"'
"#;

/// A run to be cut off anywhere.
pub struct Story {
    sync: &'static str,
    recording: Recording,
    /// The live rows at its end.
    rows: Vec<String>,
    /// Where the objects lie that it made.
    whole: Test,
    /// Behind this moment bytes were dropped.
    ran: usize,
}

impl Story {
    /// Records a run.
    pub fn of(sync: &'static str) -> Self {
        Self::with(sync, false)
    }

    /// Records a run, and `evict` after it.
    pub fn with_evict(sync: &'static str) -> Self {
        Self::with(sync, true)
    }

    fn with(sync: &'static str, evicts: bool) -> Self {
        let whole = Test::in_memory();
        whole.manifest(MANIFEST);
        let mut text = traced(&whole, &format!("-run -parallel 2 -sync {sync}"));
        let db = whole.path("db");
        let ran = Recording::of(&text, &db).len();
        let copied = whole.shell("cp -a db/objects all").status();
        assert!(copied.unwrap().success());
        if evicts {
            text.extend(traced(&whole, "evict"));
            assert!(whole.rows("SELECT count(*) FROM evicted") != ["0"]);
        }
        Self {
            sync,
            recording: Recording::of(&text, &db),
            rows: rows(&whole),
            whole,
            ran,
        }
    }

    /// How many moments there are.
    pub fn moments(&self) -> usize {
        self.recording.len()
    }

    /// The power goes at a moment, and this is what the disk keeps.
    pub fn ends(&self, moment: usize, luck: Luck) {
        let test = Test::in_memory();
        test.manifest(MANIFEST);
        let objects = self.whole.path("all");
        let remains = Remains::at(&self.recording, moment, luck, &objects);
        remains.lay_out(&test.path("db"));
        let when = format!(
            "-sync {}, moment {moment} of {}, {luck:?}",
            self.sync,
            self.moments()
        );
        if another_boot(&test) && self.sync == "commit" {
            all_recorded_is_whole(&test, &when);
        }
        let ran = test.run(["-run"]);
        assert_eq!(ran.status, 0, "{when}: {ran}");
        if self.sync != "lazy" && moment == self.moments() {
            assert!(ran.stderr.contains(": 0 run, 0 reused"), "{when}: {ran}");
        }
        assert_eq!(rows(&test), self.rows, "{when}: {ran}");
        test.tally_is_right();
        let again = test.run(["verify"]);
        assert_eq!(again.status, 0, "{when}: {ran}\nthen {again}");
        if moment > self.ran {
            test.manifest(&MANIFEST.replace("cat \"$INPUT_DIR\"", "cat -- \"$INPUT_DIR\""));
            let ran = test.run(["-run", "-migrate-tainted"]);
            assert_eq!(ran.status, 0, "{when}: {ran}");
        }
    }
}

/// What strace writes about a call of the program, which must succeed.
fn traced(test: &Test, arguments: &str) -> Vec<u8> {
    let options = record::OPTIONS;
    Running::start(test.shell(&format!("exec strace {options} $PROGRAM {arguments}")))
        .end()
        .exits(0);
    fs::read(test.path("calls")).unwrap()
}

/// The machine was started again since: whether the database says anything at all. No file is
/// younger than the end of the task that left it, as none was touched but by the power cut.
fn another_boot(test: &Test) -> bool {
    if !test.path("db/db").exists() {
        return false;
    }
    let db = rusqlite::Connection::open(test.path("db/db")).unwrap();
    db.execute_batch(
        "UPDATE meta SET value = 'another' WHERE key = 'boot';
         UPDATE task SET started = started + 600000, executed = executed + 600000;",
    )
    .is_ok()
}

/// With `-sync commit` no row is on the disk without its object, unless it says that this was dropped.
fn all_recorded_is_whole(test: &Test, when: &str) {
    let empty = hash(b"");
    let dropped = test.rows("SELECT lower(hex(hash)) FROM evicted");
    for object in test.rows("SELECT DISTINCT object_hash FROM task") {
        let is_dropped = dropped.contains(&object) && !test.object(&object).exists();
        if object != empty && !is_dropped {
            let bytes = fs::read(test.object(&object));
            let bytes = bytes.unwrap_or_else(|error| panic!("{when}: {object}: {error}"));
            assert_eq!(hash(&bytes), object, "{when}");
        }
    }
}

/// The moments between which equal distances lie, and a different fate for each.
pub fn some(sync: &'static str, count: usize) {
    if !is_possible() {
        return;
    }
    let story = Story::of(sync);
    assert!(story.moments() > 50, "{}", story.moments());
    for nth in 0..count {
        let moment = (nth * story.moments()).div_ceil(count) + 1;
        let fate = if nth % 6 < 4 { nth % 6 } else { nth };
        story.ends(moment.min(story.moments()), Luck::nth(fate));
    }
    story.ends(story.moments(), Luck::Nothing);
}

#[test]
fn with_commit_a_power_cut_takes_nothing_that_is_recorded() {
    some("commit", 30);
}

#[test]
fn after_a_power_cut_no_task_is_finished_without_its_whole_object() {
    some("lazy", 30);
}

#[test]
fn with_end_a_power_cut_takes_no_run_that_has_ended() {
    some("end", 15);
}

/// So many moments of `evict`, or all of them.
pub fn amid_evict(most: usize) {
    if !is_possible() {
        return;
    }
    let story = Story::with_evict("commit");
    let count = story.moments() - story.ran;
    assert!(count > 5, "{count}");
    for nth in 0..count.min(most) {
        let moment = story.ran + 1 + nth * count / count.min(most);
        for fate in 0..4 {
            story.ends(moment, Luck::nth(fate));
        }
        story.ends(moment, Luck::nth(100 + nth));
    }
}

#[test]
fn amid_evict_a_power_cut_takes_no_bytes_that_are_not_recorded_as_dropped() {
    amid_evict(6);
}
