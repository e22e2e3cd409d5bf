use std::path::Path;

use rusqlite::Connection;

use super::*;
use crate::model::identity::Identity;
use crate::state::needs::NEEDS;
use crate::state::{Layout, State, counts, schema};

/// A start task with an output for a step that has left a final one, which a group has, too.
const SOUND: &str = "
INSERT INTO runset (id, name) VALUES (1, 'r');
INSERT INTO gathering (id, runset_id, step, owner, key) VALUES (1, 1, 'mid', 0, '');
INSERT INTO task (id, object_hash, step_id, input_task_id, processed, runset, name, role, gathering)
VALUES (1, 'H1', 1, NULL, 1, 'r', NULL, 0, NULL), (2, 'H2', 2, 1, 1, 'r', 'a_mid', 0, NULL),
       (3, 'H3', NULL, 2, 1, 'r', 'end', 0, NULL), (4, 'H4', 2, 1, 1, 'r', 'b_mid', 1, 1),
       (5, 'H5', 2, NULL, 0, 'r', NULL, 3, 1);
INSERT INTO log (task_id, stdout) VALUES (1, 'H6');
UPDATE task SET context = 'H7' WHERE id = 2;
INSERT INTO entry (runset_id, identity, task_id) VALUES (1, 'file\tx', 1);
INSERT INTO checkpoint (task_id, step_id, input, tree) SELECT id, step_id, object_hash, 'H8' FROM task
    WHERE processed = 0 AND live = 1 AND step_id IS NOT NULL LIMIT 1;
INSERT INTO worker (id, runset_id, executor, called) VALUES (1, 1, 'lab', 0);
INSERT INTO attempt (task_id, number, worker_id, started, elapsed) VALUES (1, 1, 1, 0, 0);";

/// A sound database to which this was done.
fn sound(damage: &str) -> State {
    let mut db = Connection::open_in_memory().unwrap();
    let layout = Layout::new(Path::new("/nowhere"));
    schema::migrate(&mut db, &layout, 0).unwrap();
    db.pragma_update(None, "foreign_keys", false).unwrap();
    for (id, name) in [(1, "begin"), (2, "mid")] {
        let identity = Identity {
            script: name.to_owned(),
            ..Identity::default()
        };
        let row = (
            id,
            name,
            identity.fingerprint().to_string(),
            identity.to_json(),
        );
        db.execute(
            "INSERT INTO step (id, name, script, fingerprint, identity, current)
             VALUES (?1, ?2, '', ?3, ?4, 1)",
            row,
        )
        .unwrap();
    }
    let mut sound = SOUND.to_owned();
    for number in 1..=8 {
        let hash = Digest::of(&[number]).to_string();
        sound = sound.replace(&format!("H{number}"), &hash);
    }
    db.execute_batch(&sound).unwrap();
    counts::recount(&db).unwrap();
    db.execute_batch(damage).unwrap();
    State::with_connection(db, layout)
}

/// What is told of it.
fn told(damage: &str) -> (Vec<Reference>, Vec<Misfit>) {
    let state = sound(damage);
    let (mut needs, mut wrong) = (Vec::new(), Vec::new());
    state
        .audit(&mut |told| match told {
            Told::Needs(reference) => needs.push(reference),
            Told::Wrong(misfit) => wrong.push(misfit),
        })
        .unwrap();
    (needs, wrong)
}

#[test]
fn all_that_rows_need_is_told_and_nothing_is_wrong() {
    let (needs, wrong) = told("");
    assert_eq!(wrong, []);
    let of = |by| needs.iter().filter(|need| need.by == by).count();
    let uses = [Use::Live, Use::Context, Use::Log, Use::Checkpoint];
    assert_eq!(uses.map(of), [5, 1, 1, 1]);
    assert_eq!(needs.len(), 8);
}

#[test]
fn each_kind_of_wrong_row_is_told_with_its_number() {
    for (damage, row, words) in [
        (
            "DELETE FROM task WHERE id = 2",
            3,
            "the task that it comes from is not there",
        ),
        (
            "DELETE FROM step WHERE id = 1",
            1,
            "the step version that it is of is not there",
        ),
        (
            "UPDATE task SET input_task_id = 3 WHERE id = 2",
            2,
            "the rows go in a circle",
        ),
        (
            "UPDATE task SET input_task_id = 2 WHERE id = 2",
            2,
            "the rows go in a circle",
        ),
        ("UPDATE task SET live = 0 WHERE id = 2", 3, "was superseded"),
        (
            "UPDATE task SET processed = 0 WHERE id = 2",
            3,
            "has not ended",
        ),
        (
            "UPDATE task SET input_task_id = 3 WHERE id = 4",
            4,
            "comes from a final output",
        ),
        ("DELETE FROM worker", 1, "is of a task, or of a worker"),
        ("UPDATE task SET runset = 'other' WHERE id = 3", 3, "runset"),
        (
            "DELETE FROM gathering",
            4,
            "the group that it belongs to is not there",
        ),
        (
            "UPDATE task SET output = 99 WHERE id = 4",
            4,
            "has no row that counts",
        ),
        (
            "UPDATE task SET error = 'x' WHERE id = 1",
            1,
            "with an error",
        ),
        (
            "UPDATE task SET object_hash = 'x' WHERE id = 3",
            3,
            "is no hash",
        ),
        ("UPDATE task SET kind = 7 WHERE id = 3", 3, "its kind"),
        (
            "UPDATE task SET executed = 9223372036854775807 WHERE id = 2",
            2,
            "a value in it is none that this program writes",
        ),
        (
            "UPDATE task SET elapsed = 'x' WHERE id = 2",
            2,
            "a value in it is none that this program writes",
        ),
        (
            "UPDATE entry SET task_id = 77",
            77,
            "an input has no task that counts",
        ),
    ] {
        let (_, wrong) = told(damage);
        let found = wrong
            .iter()
            .any(|misfit| misfit.task == Some(TaskId(row)) && misfit.words.contains(words));
        assert!(found, "{damage}: {wrong:?}");
    }
}

#[test]
fn values_that_nobody_wrote_are_told_and_taken_out() {
    for (damage, row) in [
        ("UPDATE runset SET ran = 'x'", "runset #1"),
        ("UPDATE runset SET created = -1", "runset #1"),
        ("UPDATE step SET version = 'x' WHERE id = 2", "step #2"),
        ("UPDATE step SET is_start = 'x' WHERE id = 2", "step #2"),
        ("UPDATE step SET parallel = 0 WHERE id = 2", "step #2"),
        ("UPDATE step SET created = 1e300 WHERE id = 2", "step #2"),
        (
            "UPDATE task SET executed = -1, started = 'x' WHERE id = 2",
            "task #2",
        ),
    ] {
        let (_, wrong) = told(damage);
        let words = format!("{row}: a ");
        assert!(
            wrong.iter().any(|misfit| misfit.words.starts_with(&words)),
            "{damage}: {wrong:?}"
        );
        let mut state = sound(damage);
        state.repair_rows().unwrap();
        let mut left = Vec::new();
        state
            .audit(&mut |told| {
                if let Told::Wrong(misfit) = told {
                    left.push(misfit);
                }
            })
            .unwrap();
        assert!(
            !left.iter().any(|misfit| misfit.words.starts_with(row)),
            "{damage}: {left:?}"
        );
    }
}

#[test]
fn counts_records_and_environments_are_told() {
    for (damage, kind, words) in [
        (
            "DELETE FROM tally WHERE step_id = 0",
            MisfitKind::Counts,
            "runset r: 0 final outputs are counted (0 done), and there are 1 (1)",
        ),
        (
            "UPDATE step SET fingerprint = 'x' WHERE id = 1",
            MisfitKind::Note,
            "step #1: its record",
        ),
        (
            "UPDATE step SET current = 0 WHERE id = 1",
            MisfitKind::Note,
            "step #1: not one",
        ),
        (
            "INSERT INTO environment VALUES ('k', 'no json')",
            MisfitKind::Note,
            "packages",
        ),
    ] {
        let (_, wrong) = told(damage);
        assert_eq!(wrong.len(), 1, "{damage}: {wrong:?}");
        assert_eq!(wrong[0].kind, kind, "{damage}");
        assert!(wrong[0].words.contains(words), "{damage}: {wrong:?}");
    }
}

#[test]
fn what_nobody_may_remove_is_looked_at() {
    let (needs, _) = told("");
    let named: Vec<String> = needs.iter().map(|need| need.object.to_string()).collect();
    let question = format!(
        "SELECT DISTINCT object FROM ({})",
        NEEDS.join(" UNION ALL ")
    );
    let state = sound("");
    let mut query = state.connection.prepare(&question).unwrap();
    let rows = query.query_map([], |row| row.get(0)).unwrap();
    let needed: Vec<String> = rows.map(Result::unwrap).collect();
    assert_eq!(needed.len(), 8);
    for object in needed {
        assert!(named.contains(&object), "{object}");
    }
}
