//! On a disk that is full `gc` and `evict` make room.

use crate::harness::Test;
use crate::privileges::with_mounts;

/// Two runsets, of which both leave objects of 500 KB that can be made again.
const PIPELINE: &str = "[[step]]\nname = 'start'\nstart = true\n\
    script = 'for i in 1 2; do echo $RUN $i > $OUTPUT_DIR/${i}_mid; done'\nkeep = ['RUN']\n\
    [[step]]\nname = 'mid'\nscript = 'yes \"$(cat $INPUT_FILE)\" | head -c 500000 > $OUTPUT_DIR/big_end'\n\
    [[step]]\nname = 'end'\nscript = 'wc -c < $INPUT_FILE > $OUTPUT_DIR/n'\n";

/// In a mount namespace of its own, all on a file system of 24 MiB, the folder of temporary files too: each of the lines
/// in `$WORDS` on a db of its own while not a byte is free. `$BEFORE` comes before each.
const FULL: &str = r#"
export TMPDIR=$PWD/disk
mkdir disk && mount -t tmpfs -o size=24m none disk || exit 99
RUN=one $PROGRAM -run -quiet -db disk/db && RUN=two $PROGRAM -run -fresh -quiet -db disk/db || exit 98
n=0; while read -r words; do n=$((n + 1)); cp -r disk/db disk/$n; test -e disk/db/reserve && fallocate -l 524288 disk/$n/reserve; done <<X
$WORDS
X
n=0; while read -r words; do n=$((n + 1))
  eval "$BEFORE"
  dd if=/dev/zero of=disk/fill bs=4k 2>&-
  test $(df --output=avail disk | tail -1) = 0 || exit 97
  $PROGRAM $words -db disk/$n; echo "status $?"
  rm disk/fill
  $PROGRAM verify -db disk/$n > said || cat said
  RUN=two $PROGRAM -run -quiet -db disk/$n || exit 96
done <<X
$WORDS
X
"#;

fn on_a_full_disk(before: &str, words: &[&str]) -> Option<crate::harness::Ran> {
    let test = Test::with(PIPELINE);
    let words = words.join("\n");
    with_mounts(
        &test,
        &format!("BEFORE='{before}'\nWORDS='{words}'\n{FULL}"),
    )
}

#[test]
fn on_a_full_disk_what_makes_room_works() {
    let words = [
        "gc -keep-runsets 1",
        "evict",
        "gc -dry-run -keep-runsets 1",
        "evict -dry-run",
    ];
    let Some(ran) = on_a_full_disk(":", &words) else {
        return;
    };
    let ran = ran.exits(0);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    let told =
        |line: &&str| line.contains("move") || line.contains("evict") || line.contains("status");
    let told: Vec<&str> = lines.into_iter().filter(told).collect();
    assert_eq!(told.len(), 8, "{ran}");
    for (said, expected) in told.iter().zip([
        "removed 1 runset, ",
        "status 0",
        "evicted 4 objects, ",
        "status 0",
        "would remove 1 runset, ",
        "status 0",
        "would evict 4 objects, ",
        "status 0",
    ]) {
        assert!(said.starts_with(expected), "{expected}: {ran}");
    }
    ran.never_says("error");
}

#[test]
fn without_room_set_aside_goes_what_takes_no_writing() {
    // As a run leaves it that met the full disk, or was killed: bytes of which nothing is recorded.
    let before = "rm disk/$n/reserve; mkdir -p disk/$n/objects/00/11; head -c 900000 /dev/zero > disk/$n/objects/00/11/$(printf %060d 0)";
    // Whoever closes the database as the last may leave no index of its log, and whoever opens it makes that anew.
    for more in ["", "; truncate -s 3 disk/$n/db-shm"] {
        let Some(ran) = on_a_full_disk(&format!("{before}{more}"), &["gc -keep-runsets 1"]) else {
            return;
        };
        ran.exits(0)
            .prints("removed 1 runset, ")
            .prints("status 0")
            .never_says("error");
    }
    let before = "rm disk/$n/reserve";
    let Some(ran) = on_a_full_disk(before, &["gc -keep-runsets 1", "evict"]) else {
        return;
    };
    let ran = ran.exits(0);
    assert_eq!(ran.stdout.matches("status 2").count(), 2, "{ran}");
    ran.says("the disk is full\nhint: to record what goes takes a little room: remove any file of some MiB");
}
