//! Steps that exist in name alone, and a state and a store for their tasks.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::super::Executor as _;
use super::super::fake::Fake;
use crate::engine::{
    DryRun, Earlier, Elsewhere, Error, Job, Outcome, Output, ReuseRule, ReuseScope, Scheduler,
    Settings, StepPlan, dry_run,
};
use crate::model::digest::Digest;
use crate::model::event::{Event, Summary};
use crate::model::gather::{Gather, Source};
use crate::model::identity::Identity;
use crate::model::list::Form;
use crate::model::name::{FileName, StepName};
use crate::model::promise::Pattern;
use crate::model::resources::{Place, Resources, Supply};
use crate::model::retry::Pauses;
use crate::model::route::Router;
use crate::model::task::TaskState;
use crate::state::{Filter, Lock, Runset, State, Which};
use crate::store::Store;

/// A step.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools)]
pub(crate) struct Act {
    pub name: &'static str,
    pub reuse_rule: bool,
    pub parallel: Option<usize>,
    pub resources: Resources,
    pub place: Option<Place>,
    pub retries: u32,
    pub retry_delay: Duration,
    pub gather: Option<Gather>,
    pub partial: bool,
    pub empty: bool,
    pub outputs: &'static [&'static str],
    pub from: &'static [&'static str],
    pub with: &'static [&'static str],
    pub each: bool,
}

/// One with nothing special.
pub(crate) fn step(name: &'static str) -> Act {
    Act {
        name,
        reuse_rule: true,
        parallel: None,
        resources: Resources::default(),
        place: None,
        retries: 0,
        retry_delay: Duration::from_secs(1),
        gather: None,
        partial: false,
        empty: false,
        outputs: &[],
        from: &[],
        with: &[],
        each: false,
    }
}

fn source(text: &str) -> Source {
    let (step, pattern) = match text.split_once(':') {
        Some((step, pattern)) => (step, Some(Pattern::parse(pattern).unwrap())),
        None => (text, None),
    };
    Source {
        step: StepName::new(step).unwrap(),
        pattern,
    }
}

/// One that gathers all.
pub(crate) fn gathers(name: &'static str) -> Act {
    Act {
        gather: Some(Gather::All),
        ..step(name)
    }
}

/// One that gathers by key.
pub(crate) fn by_key(name: &'static str) -> Act {
    Act {
        gather: Some(Gather::ByKey),
        ..step(name)
    }
}

/// One that gathers what descends from each task of the step in that place.
pub(crate) fn below(name: &'static str, owner: usize) -> Act {
    Act {
        gather: Some(Gather::Below(owner)),
        ..step(name)
    }
}

/// A success that leaves nothing.
pub(crate) fn nothing() -> Outcome {
    left(&[])
}

/// One that leaves these outputs, whose contents are in the store.
pub(crate) fn left(outputs: &[(&str, &str)]) -> Outcome {
    let output = |(name, content): &(&str, &str)| {
        let digest = STORE.with(|(_, store)| store.insert_bytes(content.as_bytes()).unwrap());
        Output {
            form: Form::File,
            name: (*name).into(),
            digest,
        }
    };
    Outcome::Success(outputs.iter().map(output).collect::<Vec<_>>().into())
}

thread_local! {
    /// Of all worlds of a test.
    static STORE: (tempfile::TempDir, Arc<Store>) = {
        let folder = in_memory();
        let store = Store::open(&folder.path().join("objects"), folder.path()).unwrap();
        (folder, Arc::new(store))
    };
}

/// Whether that is in the store of the test.
pub(crate) fn has(digest: &Digest) -> bool {
    STORE.with(|(_, store)| store.contains(digest))
}

/// A folder where nothing waits for a disk, if there is such a place.
pub(crate) fn in_memory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir());
    made.unwrap()
}

/// What a task comes to, whatever its number and its place among others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub step: Option<StepName>,
    pub name: Option<FileName>,
    pub object: Digest,
    pub state: TaskState,
    /// What it got besides its input.
    pub context: Option<Digest>,
    /// Names of the tasks above.
    pub above: Vec<Option<FileName>>,
}

pub(crate) struct World {
    folder: tempfile::TempDir,
    pub store: Arc<Store>,
    pub state: State,
    pub steps: Vec<Arc<StepPlan>>,
    pub router: Router,
    pub fail_fast: bool,
    pub supply: Supply,
    pub warnings: usize,
    /// Tasks that came to be while it ran, by step, as events tell them.
    pub told: BTreeMap<String, i64>,
    /// Who has results of others.
    pub friend: Option<Box<dyn Elsewhere + Send>>,
    lock: Option<Lock>,
}

impl World {
    /// With these steps, of which the first is the start.
    pub(crate) fn new(steps: impl IntoIterator<Item = Act>) -> Self {
        let folder = in_memory();
        let store = STORE.with(|(_, store)| Arc::clone(store));
        let (mut state, lock) = State::open_again(&folder.path().join("db"));
        let known = state.known_steps().unwrap();
        let register = |(queue, act): (usize, Act)| {
            let identity = Identity {
                script: ":".to_owned(),
                shell: vec!["sh".to_owned()],
                with: act.with.iter().map(|name| (*name).to_owned()).collect(),
                each: act.each,
                ..Identity::default()
            };
            let name = StepName::new(act.name).unwrap();
            let made = state.register(&known, &name, &identity, queue == 0, None, 0);
            let made = made.unwrap();
            Arc::new(StepPlan {
                steady: true,
                folders: false,
                checkpoint: crate::model::checkpoint::Checkpoint::No,
                queue,
                name,
                id: made.id,
                equal: state.equal_versions(made.id).unwrap(),
                version: made.version,
                reuse_rule: if act.reuse_rule {
                    ReuseRule::Content
                } else {
                    ReuseRule::Never
                },
                scope: ReuseScope::Any,
                outputs: (!act.outputs.is_empty()).then(|| {
                    let patterns = act.outputs.iter();
                    patterns.map(|text| Pattern::parse(text).unwrap()).collect()
                }),
                parallel: act.parallel,
                resources: act.resources.clone(),
                place: act.place,
                retries: act.retries,
                pauses: Pauses::from(act.retry_delay),
                rounds: 1000,
                gather: act.gather,
                partial: act.partial,
                empty: act.empty,
                reads_key: false,
                lacks: Box::default(),
                share: None,
                from: act.from.iter().map(|text| source(text)).collect(),
                with: act
                    .with
                    .iter()
                    .map(|name| StepName::new(name).unwrap())
                    .collect(),
                each: act.each,
            })
        };
        let steps: Vec<_> = steps.into_iter().enumerate().map(register).collect();
        Self {
            folder,
            lock: Some(lock),
            store,
            state,
            router: Router::new(steps.iter().map(|step| step.name.clone())),
            steps,
            fail_fast: false,
            supply: Supply::default(),
            warnings: 0,
            told: BTreeMap::new(),
            friend: None,
        }
    }

    /// Has a step have that script: a version that it had before, or a new one. What was done with
    /// another one is to be done again.
    pub(crate) fn edit(&mut self, runset: &Runset, queue: usize, script: &str) {
        let plan = Arc::get_mut(&mut self.steps[queue]).unwrap();
        let identity = Identity {
            script: script.to_owned(),
            shell: vec!["sh".to_owned()],
            with: plan.with.iter().map(ToString::to_string).collect(),
            each: plan.each,
            ..Identity::default()
        };
        let known = self.state.known_steps().unwrap();
        let made = self
            .state
            .register(&known, &plan.name, &identity, queue == 0, None, 0);
        let made = made.unwrap();
        (plan.id, plan.version) = (made.id, made.version);
        plan.equal = self.state.equal_versions(made.id).unwrap();
        let current: Vec<_> = self.steps.iter().map(|step| step.id).collect();
        self.state.migrate_tainted(runset, &current).unwrap();
        self.state.update_unfinished(runset, &current).unwrap();
        crate::engine::reshape(&mut self.state, runset, &self.steps, &self.router).unwrap();
        self.state.commit().unwrap();
    }

    /// A runset with a start task.
    pub(crate) fn fresh(&mut self) -> Runset {
        let runset = self.state.create_runset("r", 0).unwrap();
        self.state.seed(&runset, self.steps[0].id).unwrap();
        self.state.commit().unwrap();
        runset
    }

    /// Has somebody take turns; what the run came to, without its end if it is not over.
    pub(crate) fn with<T>(
        &mut self,
        runset: &Runset,
        parallel: usize,
        act: impl FnOnce(Scheduler) -> T,
    ) -> T {
        let mut warnings = 0;
        let mut told = std::mem::take(&mut self.told);
        let whole = |count| i64::try_from(count).unwrap();
        let mut tell = |step: &StepName, count| *told.entry(step.to_string()).or_default() += count;
        let mut listener = |event: &Event| match event {
            Event::Warning(_) => warnings += 1,
            Event::Done { outputs, .. } => {
                let all = outputs.steps.iter().chain(&outputs.taken);
                all.for_each(|(step, count)| tell(step, whole(*count)));
            }
            Event::Gathered { step, tasks, .. } => tell(step, whole(*tasks)),
            Event::Paired { step, tasks, .. } => tell(step, whole(*tasks) - 1),
            _ => {}
        };
        let settings = Settings {
            parallel,
            fail_fast: self.fail_fast,
            supply: self.supply.clone(),
            places: 0,
        };
        let mut friend = self.friend.take();
        let mut scheduler = Scheduler::new(
            &mut self.state,
            &self.store,
            &self.steps,
            &self.router,
            runset,
            settings,
            &mut listener,
        )
        .unwrap();
        if let Some(friend) = &mut friend {
            scheduler.share(&mut **friend);
        }
        let done = act(scheduler);
        self.friend = friend;
        self.warnings += warnings;
        self.told = told;
        done
    }

    /// Has somebody take all turns of a run.
    pub(crate) fn turns(
        &mut self,
        runset: &Runset,
        parallel: usize,
        act: impl FnOnce(&mut Scheduler),
    ) -> Summary {
        self.with(runset, parallel, |mut scheduler| {
            act(&mut scheduler);
            scheduler.end().unwrap()
        })
    }

    /// Runs to the end; of the jobs in hand the first ends first.
    pub(crate) fn run(
        &mut self,
        runset: &Runset,
        parallel: usize,
        outcome: &mut dyn FnMut(&Job) -> Outcome,
    ) -> Summary {
        let done = self.run_in_order(runset, parallel, &mut |_| Some(0), outcome);
        done.unwrap()
    }

    /// What a dry run tells, and then what a run does.
    pub(crate) fn forecast_and_run(
        &mut self,
        runset: &Runset,
        outcome: &mut dyn FnMut(&Job) -> Outcome,
    ) -> (Vec<DryRun>, Summary) {
        let mut copy = State::private_copy(&self.folder.path().join("db")).unwrap();
        let told = dry_run(
            &mut copy,
            &self.store,
            &self.steps,
            &self.router,
            (runset, None),
            &mut Earlier::default(),
            &mut |_| false,
        );
        (told.unwrap(), self.run(runset, 1, outcome))
    }

    /// Runs until the executor dies, which is when so many jobs have ended.
    pub(crate) fn die(
        &mut self,
        runset: &Runset,
        parallel: usize,
        ends: usize,
        outcome: &mut dyn FnMut(&Job) -> Outcome,
    ) -> Error {
        let died = self.may_die(runset, parallel, ends, &mut |_| 0, outcome);
        died.unwrap()
    }

    /// The same in an order of ends; none where there are not as many.
    pub(crate) fn may_die(
        &mut self,
        runset: &Runset,
        parallel: usize,
        mut ends: usize,
        next: &mut dyn FnMut(&[Box<Job>]) -> usize,
        outcome: &mut dyn FnMut(&Job) -> Outcome,
    ) -> Option<Error> {
        let mut next = |hand: &[Box<Job>]| {
            ends = ends.checked_sub(1)?;
            Some(next(hand))
        };
        let died = self
            .run_in_order(runset, parallel, &mut next, outcome)
            .err()?;
        self.reopen();
        Some(died)
    }

    /// As after the end of a process: what was not committed is gone.
    pub(crate) fn reopen(&mut self) {
        self.state.abandon();
        self.state = State::in_memory();
        self.lock = None;
        let (state, lock) = State::open_again(&self.folder.path().join("db"));
        (self.state, self.lock) = (state, Some(lock));
    }

    pub(crate) fn run_in_order(
        &mut self,
        runset: &Runset,
        parallel: usize,
        next: &mut dyn FnMut(&[Box<Job>]) -> Option<usize>,
        outcome: &mut dyn FnMut(&Job) -> Outcome,
    ) -> Result<Summary, Error> {
        self.with(runset, parallel, |scheduler| {
            Fake { next, outcome }.run(scheduler)
        })
    }

    /// Takes an object away.
    pub(crate) fn lose(&self, content: &str) {
        fs::remove_file(self.store.path(&Digest::of(content.as_bytes()))).unwrap();
    }

    /// All that counts of the runset, in an order of its own.
    pub(crate) fn rows(&self, runset: &Runset) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut names: std::collections::HashMap<_, Vec<Option<FileName>>> = [].into();
        let filter = Filter {
            runset: Some(&runset.name),
            which: Which::Live,
            ..Filter::default()
        };
        let all: Result<(), crate::state::Error> = self.state.each_task(&filter, |row| {
            let mut above = row.parent.map_or_else(Vec::new, |parent| {
                names.get(&parent).cloned().unwrap_or_default()
            });
            let step = row.step.as_ref().map(|step| step.name.clone());
            rows.push(Row {
                step,
                name: row.name.clone(),
                object: row.object,
                state: match row.state {
                    // Which of two equal ones is executed is not told.
                    TaskState::Reused => TaskState::Done,
                    TaskState::Pending | TaskState::Failed | TaskState::Done => row.state,
                },
                context: row.context,
                above: above.clone(),
            });
            above.push(row.name);
            names.insert(row.id, above);
            Ok(())
        });
        all.unwrap();
        rows.sort_by_cached_key(|row| format!("{row:?}"));
        rows
    }

    /// The final outputs of the runset.
    pub(crate) fn finals(&self, runset: &Runset) -> Vec<Row> {
        let mut finals = Vec::new();
        let mut after = crate::state::Place::default();
        loop {
            let read = self.state.finals_behind(runset, &after, 100, |wanted| {
                finals.push(Row {
                    step: None,
                    name: wanted.name,
                    object: wanted.object,
                    state: TaskState::Done,
                    context: None,
                    above: Vec::new(),
                });
            });
            match read.unwrap() {
                (_, Some(place)) => after = place,
                (_, None) => return finals,
            }
        }
    }

    /// Pending and failed tasks of a step, and finished ones.
    pub(crate) fn counts(&self, runset: &Runset, step: usize) -> [i64; 3] {
        let tallies = self.state.tallies(runset.id).unwrap();
        let tally = tallies
            .get(&self.steps[step].id)
            .copied()
            .unwrap_or_default();
        [tally.pending, tally.failed, tally.done]
    }
}
