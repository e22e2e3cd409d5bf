//! What other versions of the program recorded.

use super::*;

#[test]
fn the_first_implementations_database_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let connection = Connection::open(dir.path().join("db")).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE step (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL,
                 script TEXT NOT NULL, version INTEGER NOT NULL, is_start INTEGER, parallel INTEGER);
             CREATE TABLE task (id INTEGER PRIMARY KEY AUTOINCREMENT, object_hash TEXT NOT NULL,
                 step_id INTEGER, input_task_id INTEGER, processed INTEGER DEFAULT 0, error TEXT,
                 runset TEXT);
             CREATE INDEX idx_step_name ON step (name);
             INSERT INTO step VALUES (1, 'a', 'true', 1, 1, NULL);
             INSERT INTO task VALUES (1, 'e3b0', 1, NULL, 1, NULL, '2025'),
                 (2, 'e3b0', NULL, 1, 1, NULL, '2025');",
        )
        .unwrap();
    drop(connection);
    let (state, _lock, created) = State::open(dir.path()).unwrap();
    assert!(!created);
    let runset = state.newest_runset().unwrap().unwrap();
    assert_eq!(runset.name, "2025");
    let counts = state.tallies(runset.id).unwrap();
    assert_eq!(counts[&StepId(1)].done, 1);
    assert_eq!(counts[&StepId::FINAL].done, 1);
    assert!(
        state
            .current_version("a")
            .unwrap()
            .unwrap()
            .identity
            .is_some()
    );
}

#[test]
fn a_step_that_a_newer_version_recorded_keeps_its_history() {
    let dir = tempfile::tempdir().unwrap();
    let (mut state, _lock, _) = State::open(dir.path()).unwrap();
    let (runset, step) = begun(&mut state);
    state.seed(&runset, step).unwrap();
    state.commit().unwrap();
    let newer = "UPDATE step SET fingerprint = 'f', identity = json_set(identity, '$.nice', 5)";
    state.reader.connection.write("test", newer, ()).unwrap();
    let mut register = |identity| {
        let known = state.known_steps().unwrap();
        let name = StepName::new("a").unwrap();
        let made = state.register(&known, &name, &identity, true, None, 0);
        made.unwrap().changes
    };
    let nice = Change::Unknown(vec!["nice".to_owned()]);
    assert_eq!(register(identity("1")), [nice]);
    assert_eq!(register(identity("2")), [Change::Script]);
    let unfinished = state.unfinished_identities().unwrap();
    assert_eq!(unfinished.len(), 1, "its packages keep their roots");
    let damage = "UPDATE step SET fingerprint = 'f', identity = '{'";
    state.reader.connection.write("test", damage, ()).unwrap();
    let known = state.known_steps().unwrap();
    let name = StepName::new("a").unwrap();
    let made = state.register(&known, &name, &identity("2"), true, None, 0);
    let unknown = Change::Unknown(Vec::new());
    assert_eq!(made.unwrap().changes, [unknown]);
}

#[test]
fn older_formats_are_brought_to_the_present_one() {
    let three = schema::BACK_TO_3;
    let two = &format!("{three}{}", schema::BACK_TO_2);
    let one = "DROP INDEX idx_task_supersedes;
         DROP INDEX idx_task_step;
         CREATE INDEX idx_task_step ON task (step_id) WHERE step_id IS NOT NULL;
         CREATE INDEX idx_task_memo ON task (step_id, substr(object_hash, 1, 12))
             WHERE processed = 1 AND step_id IS NOT NULL;
         ALTER TABLE tally DROP COLUMN spent;
         PRAGMA user_version = 1;";
    is_brought_to_the_present_format(3, three);
    is_brought_to_the_present_format(2, two);
    is_brought_to_the_present_format(1, &format!("{two}{one}"));
}

#[test]
fn of_older_formats_it_is_known_when_outputs_were_made() {
    let dir = tempfile::tempdir().unwrap();
    let (mut state, lock, _) = State::open(dir.path()).unwrap();
    let (runset, step) = begun(&mut state);
    let mut add = || state.seed(&runset, step).unwrap();
    let [made, taken, again, pending] = [add(), add(), add(), add()];
    state
        .succeed(&runset, step, made, TaskState::Pending, &FINISHED)
        .unwrap();
    for (task, source) in [(taken, made), (again, taken)] {
        state
            .reuse(&runset, step, task, TaskState::Pending, &taken_from(source))
            .unwrap();
    }
    state.commit().unwrap();
    let executed = |state: &State| -> Vec<(TaskId, Option<i64>)> {
        let mut query = state
            .connection
            .prepare("SELECT id, executed FROM task ORDER BY id")
            .unwrap();
        let rows = query.query_map([], |row| Ok((TaskId(row.get(0)?), row.get(1)?)));
        rows.unwrap().collect::<Result<_, _>>().unwrap()
    };
    let ended = Some(FINISHED.started + FINISHED.elapsed / 1000);
    let expected = [
        (made, ended),
        (taken, ended),
        (again, ended),
        (pending, None),
    ];
    assert_eq!(executed(&state), expected);
    drop((state, lock));
    let connection = Connection::open(dir.path().join("db")).unwrap();
    connection.execute_batch(schema::BACK_TO_3).unwrap();
    drop(connection);
    let (state, _lock, _) = State::open(dir.path()).unwrap();
    assert_eq!(executed(&state), expected);
    let again = state.task(again).unwrap().unwrap();
    assert_eq!(again.reused_from, Some(made), "the one that was executed");
    let mut query = state
        .connection
        .prepare("SELECT sum(current) FROM step")
        .unwrap();
    let current: i64 = query.query_row([], |row| row.get(0)).unwrap();
    assert_eq!(current, 1);
}

/// `back` makes a database of the format `old` of one of the present.
fn is_brought_to_the_present_format(old: i64, back: &str) {
    let dir = tempfile::tempdir().unwrap();
    let (mut state, lock, _) = State::open(dir.path()).unwrap();
    let (runset, step) = begun(&mut state);
    let task = state.seed(&runset, step).unwrap();
    state
        .succeed(&runset, step, task, TaskState::Pending, &FINISHED)
        .unwrap();
    state.commit().unwrap();
    let schema = |state: &State| -> Vec<String> {
        let mut query = state
            .connection
            .prepare("SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM sqlite_schema WHERE name <> 'tally' ORDER BY 1")
            .unwrap();
        let rows = query.query_map([], |row| row.get(0)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    };
    let present = schema(&state);
    drop((state, lock));
    let connection = Connection::open(dir.path().join("db")).unwrap();
    connection.execute_batch(back).unwrap();
    drop(connection);

    // Whoever only reads works on a copy.
    let copy = Reader::open(dir.path()).unwrap();
    assert_eq!(copy.time_spent(&runset).unwrap()[&step], 7);
    drop(copy);
    let connection = Connection::open(dir.path().join("db")).unwrap();
    assert_eq!(
        schema::check(&connection, &Layout::new(dir.path())).unwrap(),
        old
    );
    drop(connection);

    let (state, _lock, created) = State::open(dir.path()).unwrap();
    assert!(!created);
    assert_eq!(schema(&state), present);
    assert_eq!(state.time_spent(&runset).unwrap()[&step], 7);
    assert_eq!(state.tallies(runset.id).unwrap()[&step].done, 1);
    let found = state
        .finished_equal(&[step], (&Digest::EMPTY, Form::File, None), None, None, ANY)
        .unwrap();
    let found = found.map(|equal| equal.task);
    assert_eq!(found, Some(task));
}
