use std::fs;
use std::path::Path;

use rusqlite::Connection;

use super::super::{Finished, NewTask, State};
use super::*;
use crate::model::digest::Digest;
use crate::model::identity::Identity;
use crate::model::list::Form;
use crate::model::name::StepName;
use crate::model::task::TaskState;

const FINISHED: Finished = Finished {
    started: 1,
    elapsed: 1,
    worker: 0,
    cpu: None,
    peak: None,
};

/// Tasks of two steps, of which some are to be done, and final outputs.
fn make(folder: &Path) {
    let (mut state, _lock, _) = State::open(folder).unwrap();
    let mut version = |name: &str| {
        let identity = Identity {
            script: name.to_owned(),
            ..Identity::default()
        };
        let known = state.known_steps().unwrap();
        let name = StepName::new(name).unwrap();
        let start = name.as_str() == "a";
        let registered = state.register(&known, &name, &identity, start, None, 0);
        registered.unwrap().id
    };
    let [first, second] = ["a", "b"].map(&mut version);
    let runset = state.create_runset("one", 0).unwrap();
    let start = state.seed(&runset, first).unwrap();
    let done = |state: &mut State, step, task| {
        let was = TaskState::Pending;
        state.succeed(&runset, step, task, was, &FINISHED).unwrap();
    };
    done(&mut state, first, start);
    for number in 0..200_u32 {
        let leave = |state: &mut State, parent, step| {
            let task = NewTask {
                object: Digest::of(&number.to_be_bytes()),
                form: Form::File,
                step,
                parent: Some(parent),
                name: Some("x"),
                forced: false,
            };
            state.insert_task(&runset, &task).unwrap()
        };
        let task = leave(&mut state, start, Some(second));
        if number < 150 {
            done(&mut state, second, task);
            leave(&mut state, task, None);
        }
    }
    state.end().unwrap();
}

/// Has the tree that begins at this page lost all that was in it.
fn empty(database: &Path, table: &str) {
    let connection = Connection::open(database).unwrap();
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, u32>(0));
    let size = number("PRAGMA page_size").unwrap() as usize;
    let which = format!("SELECT rootpage FROM sqlite_schema WHERE name = '{table}'");
    let at = (number(&which).unwrap() as usize - 1) * size;
    drop(connection);
    let mut bytes = fs::read(database).unwrap();
    // A leaf of a table without rows, or of an index without entries.
    bytes[at] = if matches!(bytes[at], 5 | 13) { 13 } else { 10 };
    bytes[at + 1..at + 8].fill(0);
    bytes[at + 5..at + 7].copy_from_slice(&u16::try_from(size).unwrap().to_be_bytes());
    fs::write(database, bytes).unwrap();
}

#[test]
fn a_table_or_an_index_that_lost_its_pages_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole");
    make(&whole);
    let lost = [
        "step",
        "runset",
        "tally",
        "idx_step_name",
        "sqlite_autoindex_runset_1",
        "idx_task_step",
        "idx_task_processed",
        "idx_task_input",
        "idx_task_final",
        "",
    ];
    for table in lost {
        let folder = dir.path().join(format!("without {table}"));
        fs::create_dir(&folder).unwrap();
        fs::copy(whole.join("db"), folder.join("db")).unwrap();
        if !table.is_empty() {
            empty(&folder.join("db"), table);
        }
        let state = Reader::open(&folder).unwrap();
        for small in [0, SMALL] {
            let found = state.check_sound_if(small);
            match found {
                Ok(()) => assert_eq!(table, "", "it was not noticed with {small}"),
                Err(error @ Error::Unsound { .. }) if !table.is_empty() => {
                    assert!(error.hint().unwrap().contains("`verify -repair`"));
                }
                other => panic!("{table} with {small}: {other:?}"),
            }
        }
    }
}
