//! What is done when the runner is short of something: the task that met it waits as it was.

use super::Engine;
use super::worker::Short;
use crate::core::event::{Event, Shortage};
use crate::core::name::StepName;
use crate::core::plan::Relief;
use crate::core::task::TaskId;

impl Engine<'_> {
    /// Less is done at a time; or, where that does not help, the run ends.
    pub(super) fn relieve(&mut self, task: TaskId, step: &StepName, Short { of, error }: Short) {
        if self.stopping {
            return;
        }
        let relief = if of.passes() {
            self.plan.short(self.now())
        } else {
            Relief::None
        };
        let error = format!("task {task} of {step}: {}", error.replace('\n', "\n  "));
        match relief {
            Relief::Rest => {}
            Relief::Fewer(_) if std::mem::replace(&mut self.scarce, true) => {}
            Relief::Fewer(_) => (self.listener)(&Event::Warning(&format!(
                "{error}: it waits, and fewer tasks run at once\nhint: {}",
                of.hint()
            ))),
            Relief::None => {
                self.stopping = true;
                self.summary.shortage = Some(Shortage {
                    error,
                    hint: of.hint(),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, OnceLock};

    use super::super::outputs::Outputs;
    use super::super::worker::{Ended, Job, Outcome};
    use super::super::{Memo, Runnable, Settings, Turn};
    use super::*;
    use crate::core::digest::Digest;
    use crate::core::identity::Identity;
    use crate::core::route::Router;
    use crate::folder::Folder;
    use crate::state::{Finished, Logs, NewTask, Runset, State};
    use crate::store::Store;
    use crate::sys;

    /// A step with some tasks, of which none can stand for another.
    struct World {
        folder: tempfile::TempDir,
        store: Store,
        state: State,
        steps: [Arc<Runnable>; 1],
        router: Router,
        runset: Runset,
    }

    impl World {
        fn new(tasks: usize) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let store = Store::open(&folder.path().join("objects"), folder.path()).unwrap();
            let mut state = State::in_memory();
            let name = StepName::new("act").unwrap();
            let identity = Identity {
                script: ":".to_owned(),
                shell: vec!["sh".to_owned()],
                ..Identity::default()
            };
            let known = state.known_steps().unwrap();
            let made = state.register(&known, &name, &identity, true, None, 0);
            let made = made.unwrap();
            let runset = state.create_runset("r", 0).unwrap();
            for _ in 0..tasks {
                let task = NewTask {
                    object: Digest::EMPTY,
                    step: Some(made.id),
                    parent: None,
                    name: None,
                    forced: false,
                    row: None,
                };
                state.insert_task(&runset, &task).unwrap();
            }
            state.commit().unwrap();
            let step = Arc::new(Runnable {
                lane: 0,
                name: name.clone(),
                id: made.id,
                equal: state.equal_versions(made.id).unwrap(),
                version: made.version,
                memo: Memo::Never,
                parallel: None,
                timeout: None,
                retries: 2,
                rounds: 1000,
                program: Err("no program".to_owned()),
                arguments: Vec::new(),
                variables: Arc::default(),
                folder: "/".into(),
                warm: None,
                direct: OnceLock::new(),
            });
            Self {
                folder,
                store,
                state,
                steps: [step],
                router: Router::new([name]),
                runset,
            }
        }

        /// What comes of `act` on an engine of so many workers, and the warnings meanwhile.
        fn run<T>(&mut self, parallel: usize, act: impl FnOnce(&mut Engine) -> T) -> (T, usize) {
            let mut warnings = 0;
            let mut listener =
                |event: &Event| warnings += usize::from(matches!(event, Event::Warning(_)));
            let settings = Settings {
                parallel,
                fail_fast: false,
                live: false,
                scratch: Arc::new(Folder::open(self.folder.path()).unwrap()),
            };
            let mut engine = Engine::new(
                &mut self.state,
                &self.store,
                &self.steps,
                &self.router,
                &self.runset,
                settings,
                &mut listener,
            )
            .unwrap();
            let done = act(&mut engine);
            drop(engine);
            self.state.commit().unwrap();
            (done, warnings)
        }

        /// Pending and failed tasks, and finished ones.
        fn counts(&self) -> [i64; 3] {
            let tallies = self.state.tallies(self.runset.id).unwrap();
            let tally = tallies[&self.steps[0].id];
            [tally.pending, tally.failed, tally.done]
        }
    }

    /// All that may start.
    fn start(engine: &mut Engine) -> Vec<Job> {
        let mut jobs = Vec::new();
        loop {
            match engine.next().unwrap() {
                Turn::Do(job) => jobs.push(*job),
                Turn::Wait => return jobs,
                Turn::Again => {}
                Turn::Examine(_) => panic!("no content here is large"),
            }
        }
    }

    fn end(engine: &mut Engine, job: Job, outcome: Outcome) {
        let ended = Ended {
            job,
            outcome,
            finished: Finished {
                started: 0,
                elapsed: 1,
                worker: 0,
            },
            launch: None,
            logs: Logs::default(),
            warning: None,
        };
        engine.ended(ended).unwrap();
    }

    fn short(of: sys::Shortage) -> Outcome {
        Outcome::Short(Short {
            of,
            error: "cannot".to_owned(),
        })
    }

    fn success() -> Outcome {
        Outcome::Success(Outputs::default())
    }

    #[test]
    fn fewer_run_and_those_that_met_it_come_again_as_they_were() {
        let mut world = World::new(9);
        let ((), warnings) = world.run(4, |engine| {
            let mut jobs = start(engine);
            assert_eq!(jobs.len(), 4);
            let met: Vec<_> = jobs.drain(..2).collect();
            let ready: Vec<_> = met.iter().map(|job| job.ready.clone()).collect();
            for job in met {
                end(engine, job, short(sys::Shortage::Descriptors));
                assert!(
                    start(engine).is_empty(),
                    "as many run as there is enough for"
                );
            }
            assert_eq!(engine.plan.limit(), 2);
            for ready in ready {
                end(engine, jobs.remove(0), success());
                let mut next = start(engine);
                assert_eq!(next.len(), 1);
                assert_eq!(next[0].ready, ready, "with all its tries");
                jobs.append(&mut next);
            }
            while let Some(job) = jobs.pop() {
                end(engine, job, success());
                jobs.append(&mut start(engine));
            }
            assert!(engine.is_over());
            assert_eq!(engine.summary.shortage, None);
        });
        assert_eq!(warnings, 1, "said once");
        assert_eq!(world.counts(), [0, 0, 9]);
    }

    #[test]
    fn alone_it_is_tried_again_for_a_while() {
        for helps in [true, false] {
            let mut world = World::new(2);
            let ((), warnings) = world.run(1, |engine| {
                for _ in 0..5 {
                    let job = start(engine).pop().unwrap();
                    end(engine, job, short(sys::Shortage::Processes));
                    assert!(start(engine).is_empty() && !engine.is_over());
                    assert!(engine.due().is_some(), "somebody looks again");
                    engine.plan.wake(u64::MAX);
                }
                let job = start(engine).pop().unwrap();
                let outcome = if helps {
                    success()
                } else {
                    short(sys::Shortage::Processes)
                };
                end(engine, job, outcome);
                assert_eq!(start(engine).len(), usize::from(helps));
                assert_eq!(engine.summary.shortage.is_some(), !helps);
            });
            assert_eq!(warnings, 0);
            let done = i64::from(helps);
            assert_eq!(world.counts(), [2 - done, 0, done]);
        }
    }

    #[test]
    fn where_less_does_not_help_nothing_more_starts() {
        for of in [
            sys::Shortage::Room,
            sys::Shortage::Quota,
            sys::Shortage::Writes,
        ] {
            let mut world = World::new(5);
            world.run(2, |engine| {
                let mut jobs = start(engine);
                end(engine, jobs.remove(0), short(of));
                assert!(start(engine).is_empty() && !engine.is_over());
                // What runs may come to its end.
                end(engine, jobs.remove(0), success());
                assert!(start(engine).is_empty() && engine.is_over());
                let shortage = engine.summary.shortage.as_ref().unwrap();
                assert_eq!(shortage.error, "task 1 of act: cannot");
                assert_eq!(shortage.hint, of.hint());
            });
            assert_eq!(world.counts(), [4, 0, 1]);
        }
    }
}
