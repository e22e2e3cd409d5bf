use std::path::Path;

use rusqlite::Connection;

use crate::state::{Layout, Mended, State, counts, schema};

/// A start task with three outputs for a step, each of which left a final one.
const SOUND: &str = "
INSERT INTO step (id, name, script) VALUES (1, 'begin', ''), (2, 'mid', '');
INSERT INTO runset (id, name) VALUES (1, 'r');
INSERT INTO task (id, object_hash, step_id, input_task_id, processed, runset, name,
    started, elapsed, worker)
VALUES (1, 'a0', 1, NULL, 1, 'r', NULL,      1000, 10000, 0),
       (2, 'a1', 2, 1,    1, 'r', '1_mid',   1020, 10000, 0),
       (3, 'a2', 2, 1,    1, 'r', '2_mid',   1031, 10000, 0),
       (4, 'a3', 2, 1,    1, 'r', '3_mid',   1042, 10000, 0),
       (5, 'b1', NULL, 2, 1, 'r', '1', NULL, NULL, NULL),
       (6, 'b2', NULL, 3, 1, 'r', '2', NULL, NULL, NULL),
       (7, 'b3', NULL, 4, 1, 'r', '3', NULL, NULL, NULL);";

/// What is found in a sound database to which this was done, and the database afterwards.
fn mended(damage: &str) -> (Mended, Connection) {
    mended_where("", damage)
}

/// The same; after what was done at first all was counted.
fn mended_where(counted: &str, damage: &str) -> (Mended, Connection) {
    let mut db = Connection::open_in_memory().unwrap();
    let layout = Layout::new(Path::new("/nowhere"));
    schema::migrate(&mut db, &layout, 0).unwrap();
    db.pragma_update(None, "foreign_keys", false).unwrap();
    db.execute_batch(SOUND).unwrap();
    db.execute_batch(counted).unwrap();
    counts::recount(&db).unwrap();
    db.execute_batch(damage).unwrap();
    db.execute_batch(schema::BACK_TO_3).unwrap();
    db.execute_batch(schema::BACK_TO_2).unwrap();
    let mended = schema::migrate(&mut db, &layout, 2).unwrap();
    assert!(!counts::recount(&db).unwrap(), "the counts are right");
    assert_eq!(
        schema::migrate(&mut db, &layout, schema::FORMAT).unwrap(),
        Mended::default(),
        "once"
    );
    (mended, db)
}

/// Live rows with their parents, `*` for what is pending; superseded ones that still count as
/// finished in parentheses.
fn rows(db: &Connection) -> String {
    db.query_row(
        "SELECT group_concat(CASE WHEN live THEN id || '<' || coalesce(input_task_id, '')
                 || iif(processed, '', '*') ELSE '(' || id || ')' END, ' ')
         FROM (SELECT * FROM task WHERE live OR processed ORDER BY id)",
        [],
        |row| row.get(0),
    )
    .unwrap()
}

const UNTOUCHED: &str = "1< 2<1 3<1 4<1 5<2 6<3 7<4";

fn found(orphans: u64, again: u64, other: bool) -> Mended {
    Mended {
        orphans,
        again,
        other,
        unsure: true,
        emptied: false,
    }
}

#[test]
fn nothing_is_done_to_a_sound_database() {
    let (mended, db) = mended("");
    assert_eq!(mended, found(0, 0, false));
    assert_eq!(rows(&db), UNTOUCHED);
}

#[test]
fn rows_in_the_wrong_place_are_taken_out_with_what_is_below_them() {
    for (parent, why) in [
        ("8", "its own parent"),
        ("99", "no parent"),
        ("9", "a parent that came later"),
        ("5", "a final output for a parent"),
        ("10", "an unfinished parent"),
        ("11", "a parent in another runset"),
    ] {
        let (mended, db) = mended(&format!(
            "INSERT INTO runset (id, name) VALUES (2, 'other');
             INSERT INTO task (id, object_hash, step_id, input_task_id, processed, runset, name)
             VALUES
                 (10, 'd0', 1, NULL, 0, 'r', NULL), (11, 'd0', 1, NULL, 1, 'other', NULL),
                 (8, 'c1', 2, {parent}, 1, 'r', 'x_mid'), (9, 'c2', NULL, 8, 1, 'r', 'x');"
        ));
        // 10 has a higher number than its child, too; what counts is that nothing is left of it.
        assert_eq!((mended.orphans, mended.again), (1, 0), "{why}");
        assert!(mended.other, "{why}");
        assert_eq!(rows(&db), format!("{UNTOUCHED} (9) 10<* 11<"), "{why}");
    }
}

#[test]
fn an_unfinished_task_has_no_outputs_yet() {
    let (mended, db) = mended("UPDATE task SET processed = 0 WHERE id = 3");
    assert_eq!(mended.orphans, 1);
    assert_eq!(rows(&db), "1< 2<1 3<1* 4<1 5<2 7<4");
}

#[test]
fn a_task_with_an_output_twice_runs_again_and_nobody_takes_its_outputs() {
    let (mended, db) = mended(
        "INSERT INTO task (id, object_hash, step_id, input_task_id, processed, runset, name)
         VALUES (8, 'b2', NULL, 3, 1, 'r', '2');
         UPDATE tally SET done = done + 1 WHERE step_id = 0;",
    );
    assert_eq!(mended, found(0, 1, true));
    assert_eq!(rows(&db), "1< 2<1 4<1 5<2 (6) 7<4 (8) 9<1*");
    let new: (i64, i64, String) = db
        .query_row(
            "SELECT supersedes, forced, name FROM task WHERE id = 9",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .unwrap();
    assert_eq!(new, (3, 1, "2_mid".to_owned()));
}

#[test]
fn a_task_whose_outputs_were_taken_in_part_runs_again() {
    let (mended, db) = mended(
        "UPDATE task SET reused_from = 2, started = NULL, elapsed = NULL WHERE id = 3;
         DELETE FROM task WHERE id = 6;",
    );
    assert_eq!((mended.orphans, mended.again), (0, 1));
    assert_eq!(rows(&db), "1< 2<1 4<1 5<2 7<4 8<1*");
}

#[test]
fn the_end_of_another_task_written_to_a_final_output_is_wiped_off() {
    let (mended, db) =
        mended("UPDATE task SET started = 5, elapsed = 7, worker = 1, error = 'x' WHERE id = 6");
    assert_eq!(mended, found(0, 0, true));
    assert_eq!(rows(&db), UNTOUCHED);
    let left: i64 = db
        .query_row(
            "SELECT count(*) FROM task WHERE step_id IS NULL AND coalesce(started, error) NOT NULL",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(left, 0);
}

#[test]
fn counts_that_are_wrong_are_counted_anew() {
    let (mended, db) = mended("UPDATE tally SET pending = -3 WHERE step_id = 2");
    assert_eq!(mended, found(0, 0, true));
    assert_eq!(rows(&db), UNTOUCHED);
}

#[test]
fn what_is_below_a_superseded_task_is_superseded() {
    let (mended, db) = mended("UPDATE task SET live = 0 WHERE id = 3");
    assert_eq!((mended.orphans, mended.again), (0, 0));
    assert_eq!(rows(&db), "1< 2<1 (3) 4<1 5<2 (6) 7<4");
}

/// The last task of a run that could not go on: recorded, and what it left is not.
#[test]
fn a_task_that_left_nothing_when_its_run_ended_runs_again() {
    let (last, db) = mended_where("DELETE FROM task WHERE id = 6", "");
    assert_eq!(last, found(0, 1, false));
    assert_eq!(rows(&db), "1< 2<1 4<1 5<2 7<4 8<1*");

    // While another one goes on for long, one that leaves nothing is like any other.
    let long = "UPDATE task SET elapsed = 10000000 WHERE id = 4; DELETE FROM task WHERE id = 6;";
    let (amid, db) = mended_where(long, "");
    assert_eq!(amid, found(0, 0, false));
    assert_eq!(rows(&db), "1< 2<1 3<1 4<1 5<2 7<4");

    // Unless something else is wrong.
    let (amid, _) = mended_where(long, "UPDATE tally SET done = -1");
    assert_eq!(amid, found(0, 1, true));

    // A step may be one that never leaves anything.
    let none = "DELETE FROM task WHERE id > 4";
    assert_eq!(mended_where(none, "").0, found(0, 0, false));
}

/// With `-sync` and without: who ends in order needs no count, who does not gets one.
#[test]
fn only_what_did_not_end_in_order_is_counted_anew() {
    let folder = tempfile::tempdir().unwrap();
    let open = || State::open_again(folder.path());
    let marked = |state: &State| -> bool { state.is_marked().unwrap() };
    let step = crate::state::StepId(1);
    let seed = |state: &mut State| {
        let runset = state.create_runset("r", 0).unwrap();
        state.seed(&runset, step).unwrap();
    };

    let (state, lock) = open();
    let db = Connection::open(folder.path().join("db")).unwrap();
    db.execute_batch("INSERT INTO step (name, script) VALUES ('a', '')")
        .unwrap();
    drop((state, lock));

    let (mut state, lock) = open();
    seed(&mut state);
    state.end().unwrap();
    assert!(!marked(&state), "one group is whole by itself");
    seed(&mut state);
    state.commit().unwrap();
    assert!(marked(&state));
    seed(&mut state);
    state.end().unwrap();
    assert!(!marked(&state));
    state.group().unwrap();
    state.commit().unwrap();
    assert!(!marked(&state), "nothing was written");
    seed(&mut state);
    state.commit().unwrap();
    drop((state, lock));

    let wrong = "UPDATE tally SET pending = 7";
    db.execute_batch(wrong).unwrap();
    let (state, lock) = open();
    assert_eq!(state.mended(), found(0, 0, true));
    assert!(!marked(&state));
    drop((state, lock));
    db.execute_batch(wrong).unwrap();
    let (state, _lock) = open();
    assert_eq!(state.mended(), Mended::default(), "not looked for");
}
