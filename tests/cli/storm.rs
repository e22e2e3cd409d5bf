//! A disk that another program fills and empties at random amid runs.

use std::fs;

use crate::harness::Test;
use crate::injection::{manifest, rows, undisturbed};
use crate::privileges::with_mounts;

const TASKS: usize = 60;

/// Rounds in a mount namespace of its own, with `db` on a file system of 2 MiB: up to three runs
/// while it is filled and emptied, one in peace. What is then in `db` is kept.
const STORM: &str = r#"
mkdir db kept && mount -t tmpfs -o size=2m none db || exit 99
fill() {
  for pause in $PAUSES; do
    head -c 8m /dev/zero > db/fill; rm -f db/fill; sleep 0.$pause
  done
}
round=0
for options in $ROUNDS; do
  round=$((round + 1))
  rm -rf db/*
  options="-run -parallel ${options%-*} -sync ${options#*-}"
  fill 2> filling & filler=$!
  for try in 1 2 3; do $PROGRAM $options && break; done
  kill $filler; wait $filler
  until rm -f db/fill && ! test -e db/fill; do :; done
  $PROGRAM -run || exit 98
  cp -r db kept/$round
done
"#;

/// Each round with so many workers and so much care, as in `2-commit`.
pub fn storm(rounds: &[&str], seed: u64) {
    println!("seed {seed:#x}");
    let undisturbed = undisturbed(TASKS);
    let test = Test::in_memory();
    test.manifest(&manifest(TASKS));
    let settings = format!("ROUNDS='{}' PAUSES='{}'", rounds.join(" "), pauses(seed));
    let script = format!("{settings}\n{STORM}");
    let Some(ran) = with_mounts(&test, &script) else {
        return;
    };
    let ran = ran.exits(0);
    let full = ran.stderr.matches("the disk is full").count();
    println!("{full} runs of {} rounds met a full disk", rounds.len());
    assert!(full > 0, "{ran}");
    for (at, round) in rounds.iter().enumerate() {
        let _ = fs::remove_dir_all(test.path("db"));
        fs::rename(test.path(&format!("kept/{}", at + 1)), test.path("db")).unwrap();
        assert_eq!(rows(&test), undisturbed, "round {at} ({round}): {ran}");
        test.tally_is_right();
        test.objects_are_whole();
        test.nothing_temporary_is_left();
    }
}

/// Milliseconds, three digits each.
fn pauses(mut seed: u64) -> String {
    let next = |_| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        format!("{:03}", 5 + seed % 70)
    };
    (0..500).map(next).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_disk_that_others_fill_and_empty_loses_nothing() {
    let rounds = [
        "6-lazy", "1-lazy", "6-lazy", "2-commit", "6-lazy", "6-end", "2-lazy", "6-commit",
    ];
    storm(&rounds, 0x5eed_2345_6789_abcd);
}
