//! A whole run with each call of the database failing in turn: the next one ends as if nothing
//! had been.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicBool;

use super::*;
use crate::engine::{Settings, recover};
use crate::exec::tests::world::in_memory;
use crate::model::event::Summary;
use crate::model::resources::Supply;
use crate::prepare::{self, PackageOptions, Remember, Source, Steps};
use crate::process;
use crate::state::fault::{How, Planned};
use crate::state::{Lock, State};
use crate::store::Store;

/// A fan-out, equal inputs, and a task that fails.
const MANIFEST: &str = "
[[step]]
name = 'begin'
start = true
script = 'for i in 1 1 2; do n=$((n + 1)); echo $i > $OUTPUT_DIR/${n}_mid; done'
[[step]]
name = 'mid'
script = 'grep -v 2 < $INPUT_FILE > $OUTPUT_DIR/copy'
";

struct World {
    folder: tempfile::TempDir,
    source: Source,
}

impl World {
    fn new() -> Self {
        let folder = in_memory();
        let manifest = folder.path().join("workflow.toml");
        fs::write(&manifest, MANIFEST).unwrap();
        let mut source = Source::load(&manifest).unwrap();
        // As a run would have gone to.
        source.folder = std::env::current_dir().unwrap();
        Self { folder, source }
    }

    fn open(&self) -> (State, Lock) {
        State::open_again(&self.folder.path().join("db"))
    }

    /// What a call with `-run` does once the database is open.
    fn run(&self, state: &mut State) -> Result<Summary, Error> {
        let stop = AtomicBool::new(false);
        let supply = PackageOptions {
            host: false,
            locked: false,
            stop: &stop,
        };
        let registered =
            Steps::register(&self.source, state, &Remember::Nobody, supply, &mut |_| {});
        let steps = registered.map_err(|error| match error {
            prepare::Error::State(error) => error,
            error => panic!("{error}"),
        })?;
        let layout = state.layout().clone();
        let scratch = Scratch::new(&layout.scratch(), &layout.objects(), process::GRACE).unwrap();
        let store = Store::open(&layout.objects(), scratch.folder().path()).unwrap();
        recover(state, &store)?;
        let runset = if let Some(runset) = state.newest_runset()? {
            state.update_unfinished(&runset, &steps.current())?;
            runset
        } else {
            let runset = state.create_runset("r", 0)?;
            state.seed(&runset, steps.all[0].id)?;
            runset
        };
        state.commit()?;
        let settings = Settings {
            parallel: 2,
            fail_fast: false,
            supply: Supply::default(),
            places: 0,
        };
        let channel = Channel::default();
        let mut local = Local {
            runsets: 0,
            away: None,
            fence: None,
            keep: None,
            channel: &channel,
            store: &store,
            steps: Arc::clone(&steps.runnable),
            scratch: Arc::clone(scratch.folder()),
            live: false,
            grace: process::GRACE,
        };
        let listener: &mut crate::engine::Listener = &mut |_| {};
        let scheduler = Scheduler::new(
            state,
            &store,
            &steps.all,
            &self.source.router,
            &runset,
            settings,
            listener,
        )?;
        local.run(scheduler)
    }

    /// Every row but for what differs from run to run; fails if the counts are not right.
    fn rows(&self) -> Vec<String> {
        let db = rusqlite::Connection::open(self.folder.path().join("db/db")).unwrap();
        let all = |sql: &str| -> Vec<String> {
            let mut query = db.prepare(sql).unwrap();
            let rows = query.query_map([], |row| row.get(0)).unwrap();
            rows.collect::<Result<_, _>>().unwrap()
        };
        let rows = all(
            "SELECT concat_ws(' ', coalesce(step.name, 'final'), task.name, task.object_hash,
                 task.processed, task.error, task.live, above.name, above.step_id, above.processed)
             FROM task LEFT JOIN step ON step.id = task.step_id
             LEFT JOIN task AS above ON above.id = task.input_task_id ORDER BY 1",
        );
        let counted = "count(*) FILTER (WHERE processed = 0 AND error IS NULL),
             count(*) FILTER (WHERE processed = 0 AND error IS NOT NULL),
             count(*) FILTER (WHERE processed = 1 AND reused_from IS NULL),
             count(*) FILTER (WHERE processed = 1 AND reused_from IS NOT NULL)";
        let right = all(&format!(
            "SELECT concat_ws(' ', coalesce(step_id, 0), {counted}) FROM task WHERE live GROUP BY step_id"
        ));
        let kept = all(
            "SELECT concat_ws(' ', step_id, pending, failed, done, reused) FROM tally
             WHERE pending + failed + done + reused <> 0",
        );
        assert_eq!(kept, right);
        rows
    }
}

/// Each call by itself, and all from one on.
const COUNTS: [u32; 2] = [1, u32::MAX];

#[test]
fn whatever_call_of_the_database_fails_the_next_run_makes_it_good() {
    each_call(How::Alone);
}

#[test]
fn whatever_call_takes_all_back_the_next_run_makes_it_good() {
    each_call(How::TakesAllBack);
}

#[test]
fn whatever_call_panics_the_next_run_makes_it_good() {
    each_call(How::Panics);
}

/// Has each call of a run fail in this way.
fn each_call(how: How) {
    let world = World::new();
    let (mut state, lock) = world.open();
    state.fault().plan(None);
    let summary = world.run(&mut state).unwrap();
    assert_eq!(
        (summary.executed, summary.reused, summary.failed),
        (2, 1, 1)
    );
    let calls = state.fault().calls();
    assert!(calls > 30, "{calls}");
    drop((state, lock));
    let undisturbed = world.rows();
    for first in 0..calls {
        for count in COUNTS {
            let planned = Planned { first, count, how };
            assert_eq!(after(planned), undisturbed, "{planned:?}");
        }
    }
}

/// What stands in the database after a run in which something fails, and another one.
fn after(planned: Planned) -> Vec<String> {
    let world = World::new();
    let (mut state, lock) = world.open();
    state.fault().plan(Some(planned));
    let ran = catch_unwind(AssertUnwindSafe(|| world.run(&mut state)));
    // How many calls there are depends on which task ends first.
    if state.fault().calls() > planned.first {
        match ran {
            Ok(Ok(_)) => panic!("{planned:?} was not noticed"),
            Ok(Err(Error::State(error))) => {
                assert!(error.to_string().contains("the disk is full"), "{error}");
            }
            Ok(Err(_)) | Err(_) => assert_eq!(planned.how, How::Panics),
        }
    }
    drop((state, lock));
    let (mut state, lock) = world.open();
    world.run(&mut state).unwrap();
    drop((state, lock));
    world.rows()
}
