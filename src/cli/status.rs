//! `status`: where the pipeline stands, from what is recorded.

use std::fmt::Write as _;
use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

mod elsewhere;
mod environment;
mod follow;
mod json;
mod step;

use super::columns::{self, free, number, words};
use super::error::Failure;
use super::fit::Fit;
use super::options::Places;
use super::planned::{Planned, planned};
use super::select::{self, InRunset};
use super::{counts, gc, graph, output, summary};
use crate::engine::{self, Lost, Stuck};
use crate::manifest::Step;
use crate::model::event::Waiting;
use crate::model::identity::{Change, Identity, Tools};
use crate::model::name::StepName;
use crate::model::resources::Resources;
use crate::model::task::TaskCounts;
use crate::model::untaken::Untaken;
use crate::prepare::{Source, Steps};
use crate::report::board::Told;
use crate::report::{follow as report, table};
use crate::state::{self, Accepted, Holder, Lock, Reader, Rerouted, Runset, StepId, Taken};
use crate::store;
use crate::text::{amount, colour, visible};
use elsewhere::Elsewhere;
pub(super) use environment::{environment, environment_json};

/// Options of `status`.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    runset: InRunset,
    /// Also say how much space the objects take, and how much `gc` would free; looks at each object
    #[arg(long)]
    store: bool,
    /// Follow a run in another terminal until it ends: what runs, is done, failed or waits; if there is no run,
    /// wait for one
    #[arg(long, conflicts_with_all = ["store", "runset"])]
    follow: bool,
    /// One JSON object instead of a table; with -follow, one per line for each change
    #[arg(long)]
    json: bool,
}

/// A step in a runset.
struct StepStatus {
    name: String,
    version: i64,
    identity: Option<Identity>,
    tally: TaskCounts,
    tainted: i64,
    /// Tasks that count for a version that did not make them: the number of that, and why.
    accepted: Vec<(i64, Accepted)>,
    spent: Duration,
    /// What each of its tasks asks for, and what they took; none where they ask for nothing that is measured.
    taken: Option<(Resources, Taken)>,
}

/// All of it.
struct Status {
    runset: String,
    running: Option<Holder>,
    /// What the run tells of itself.
    told: Option<Told>,
    steps: Vec<StepStatus>,
    finals: i64,
    /// What does not belong to the manifest.
    orphaned: Vec<(String, i64)>,
    /// Steps that the manifest has no more.
    gone: Vec<String>,
    /// The steps that do not wait for that.
    gathering: Vec<StepName>,
    /// What is gone from the store.
    lost: Lost,
    /// Whether something may come in from outside.
    inputs: bool,
    /// What to say of a manifest that does not fit.
    misfit: Option<String>,
    /// Steps of which the next run makes another version, and why.
    changed: Vec<(StepName, Vec<Change>)>,
    /// Outputs that go elsewhere by the names that the steps have now.
    rerouted: Vec<Rerouted>,
    /// Why what changed cannot be told.
    untold: Option<String>,
    /// What steps take by `from` and is not there.
    untaken: Vec<Untaken>,
    /// Steps that gather and wait for something.
    waiting: Vec<Waiting>,
    /// Tasks that no run can do, for want of a step that is gone.
    stuck: Vec<Stuck>,
    /// Who carried out tasks elsewhere, or does.
    elsewhere: Elsewhere,
    /// Bytes of the database, where the store is not looked at.
    database: Option<u64>,
}

/// Prints it.
pub(super) fn main(places: &Places, options: &Options) -> Result<ExitCode, Failure> {
    if options.follow {
        follow::until_it_ends(&places.db, options.json)?;
    }
    let state = Reader::open(&places.db)?;
    let running = Lock::holder(state.layout());
    let store = select::store(&state)?;
    let source = graph::source(places)?;
    let gathers = source.as_ref().is_some_and(|source| {
        let mut steps = source.manifest.steps.iter();
        steps.any(|step| step.gather.is_some() || !step.with.is_empty())
    });
    let next = Next::of(places, &state, running.is_some(), gathers)?;
    let status = |runset: &Runset| -> Result<Status, Failure> {
        Ok(Status {
            changed: next.changed.clone(),
            untold: next.untold.clone(),
            untaken: match &next.steps {
                Some(steps) if running.is_none() => engine::untaken(&state, &steps.all, runset)?,
                Some(_) | None => Vec::new(),
            },
            stuck: match (&next.steps, &source) {
                (Some(steps), Some(source)) if running.is_none() => {
                    engine::stuck(&state, &store, &steps.all, &source.router, runset)?
                }
                (Some(_) | None, Some(_) | None) => Vec::new(),
            },
            database: (!options.store).then(|| database(&state)),
            waiting: match (&next.steps, &source) {
                (Some(steps), Some(source)) => {
                    engine::standing(&state, &steps.all, &source.router, runset)?
                }
                (None, _) | (_, None) => Vec::new(),
            },
            ..status((&state, &store), runset, running, source.as_ref())?
        })
    };
    let statuses: Vec<Status> = match options.runset.find(&state)? {
        Some(runset) => vec![status(&runset)?],
        None => state
            .runsets()?
            .iter()
            .map(status)
            .collect::<Result<_, _>>()?,
    };
    let stored = options.store.then(|| gc::stored(places)).transpose()?;
    if options.json && options.follow {
        for status in &statuses {
            output::print_json(format!("{}\n", status.to_json()))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    if options.json {
        let mut objects: Vec<Value> = statuses.iter().map(Status::to_json).collect();
        if let Some(stored) = &stored {
            for object in &mut objects {
                object["store"] = stored.to_json(true);
            }
        }
        let value = match objects.len() {
            1 if options.runset.runset.as_deref() != Some(select::ALL) => objects.remove(0),
            _ => Value::Array(objects),
        };
        output::print_json(format!("{value:#}\n"))
    } else {
        let mut texts: Vec<String> = statuses.iter().map(Status::text).collect();
        texts.extend(stored.map(|stored| stored.standing()));
        output::print(&texts.join("\n"))
    }?;
    Ok(ExitCode::SUCCESS)
}

/// What the next run would begin with.
#[derive(Default)]
pub(super) struct Next {
    /// The steps that are other ones than recorded. Whoever runs has recorded them.
    pub(super) changed: Vec<(StepName, Vec<Change>)>,
    /// Why it would fail.
    pub(super) untold: Option<String>,
    /// The steps, where they are of use.
    steps: Option<Steps>,
}

impl Next {
    pub(super) fn of(
        places: &Places,
        state: &Reader,
        running: bool,
        gathers: bool,
    ) -> Result<Self, Failure> {
        if running && !gathers {
            return Ok(Self::default());
        }
        let mut host = false;
        for name in state.step_names()? {
            let current = state.current_version(&name)?;
            let identity = current.and_then(|current| current.identity);
            host |= identity.is_some_and(|identity| identity.tools == Tools::HostInstead);
        }
        Ok(match planned(places, host) {
            Ok(Planned::Steps(plan)) => Self {
                changed: if running { Vec::new() } else { plan.changed },
                untold: None,
                steps: Some(plan.steps),
            },
            Ok(Planned::Bad(rendered)) if !running => Self {
                untold: Some(rendered),
                ..Self::default()
            },
            // What a run fails for it tells itself.
            Ok(Planned::Bad(_) | Planned::Nothing) | Err(_) => Self::default(),
        })
    }
}

fn status(
    (state, store): (&Reader, &store::Reader),
    runset: &Runset,
    running: Option<Holder>,
    source: Option<&Source>,
) -> Result<Status, Failure> {
    let counts = state.tallies(runset.id)?;
    let spent = state.time_spent(runset)?;
    let accepted = state.accepted(Some(runset))?;
    let asked: Vec<&Step> = source
        .iter()
        .flat_map(|source| &source.manifest.steps)
        .filter(|step| step.cpus.is_some() || step.memory.is_some())
        .collect();
    let names: Vec<&str> = asked.iter().map(|step| step.name.as_str()).collect();
    let mut taken = state.taken(Some(runset), &names)?;
    let mut steps = Vec::new();
    for name in state.step_names()? {
        let versions = state.versions(&name)?;
        let current = versions.iter().find(|version| version.current);
        let Some(current) = current.or(versions.last()) else {
            continue;
        };
        let mut step = StepStatus {
            name: name.to_string(),
            version: current.version,
            identity: current.identity.clone(),
            tally: TaskCounts::default(),
            tainted: 0,
            accepted: Vec::new(),
            spent: Duration::ZERO,
            taken: None,
        };
        if let Some(asked) = asked.iter().find(|asked| asked.name == name) {
            let taken = taken.remove(name.as_str()).unwrap_or_default();
            step.taken = Some((asked.resources(), taken));
        }
        for version in &versions {
            let tally = counts.get(&version.id).copied().unwrap_or_default();
            step.tally += tally;
            if version.fingerprint != current.fingerprint {
                step.tainted += tally.finished();
            }
            let of_version = accepted.iter().filter(|one| one.step == version.id);
            step.accepted
                .extend(of_version.map(|one| (version.version, *one)));
            let micros = spent.get(&version.id).copied().unwrap_or_default();
            step.spent += Duration::from_micros(micros.unsigned_abs());
        }
        steps.push(step);
    }
    let fit = source
        .map(|source| Fit::of(source, state, runset))
        .transpose()?;
    Ok(Status {
        orphaned: fit
            .as_ref()
            .map_or_else(Vec::new, |fit| fit.orphaned().to_vec()),
        gone: source.map_or_else(Vec::new, |source| gone(source, &steps)),
        gathering: source.map_or_else(Vec::new, |source| counts::gathering(&source.manifest)),
        inputs: fit.as_ref().is_some_and(Fit::has_inputs),
        misfit: fit.and_then(|fit| fit.warning()),
        rerouted: match source {
            // Whoever runs has told of it.
            Some(source) if running.is_none() => {
                let sign = state::sign(source.manifest.steps.iter().map(|step| &step.name));
                state.would_be_rerouted(runset, &source.router, &sign)?
            }
            Some(_) | None => Vec::new(),
        },
        lost: engine::look(state, store, runset, running.is_some())?,
        elsewhere: Elsewhere::of(state, runset, running.is_some())?,
        told: told(state, runset, running),
        runset: runset.name.clone(),
        running,
        steps,
        finals: counts.get(&StepId::FINAL).map_or(0, TaskCounts::total),
        changed: Vec::new(),
        untold: None,
        untaken: Vec::new(),
        waiting: Vec::new(),
        stuck: Vec::new(),
        database: None,
    })
}

/// The steps of which nothing more runs, as the manifest does not have them.
fn gone(source: &Source, steps: &[StepStatus]) -> Vec<String> {
    let names = steps.iter().filter(|step| {
        let mut known = source.manifest.steps.iter();
        !known.any(|known| known.name.as_str() == step.name)
    });
    names.map(|step| visible(&step.name)).collect()
}

/// What the run tells that is on, if it is of that runset.
fn told(state: &Reader, runset: &Runset, running: Option<Holder>) -> Option<Told> {
    let told = Told::read(&state.layout().now(), running?.pid?)?;
    (told.runset == runset.name).then_some(told)
}

/// Bytes of the database's files.
fn database(state: &Reader) -> u64 {
    let file = state.layout().database();
    let log = file.with_file_name("db-wal");
    let sizes = [file, log].map(|file| fs::metadata(file).map_or(0, |found| found.len()));
    sizes.iter().sum()
}

impl Status {
    fn total(&self) -> TaskCounts {
        let mut total = TaskCounts::default();
        for step in &self.steps {
            total += step.tally;
        }
        total
    }

    fn tainted(&self) -> i64 {
        self.steps.iter().map(|step| step.tainted).sum()
    }

    fn has_finished(&self, name: &StepName) -> bool {
        let mut steps = self.steps.iter();
        steps.any(|step| step.name == name.as_str() && step.tally.finished() > 0)
    }

    /// The state of the runset in one word.
    fn word(&self) -> &'static str {
        let total = self.total();
        match (total.failed, total.pending, self.tainted()) {
            _ if self.running.is_some() => "running",
            (1.., _, _) => "failed",
            (_, 1.., _) => "pending",
            _ if self.lost.finals > 0 => "lost",
            (_, _, 1..) => "tainted",
            _ => "done",
        }
    }

    fn next(&self) -> String {
        let total = self.total();
        match self.running {
            Some(holder) => format!("{holder} is at work on this db"),
            None => self.misfit.clone().unwrap_or_else(|| {
                let orphaned: i64 = self.orphaned.iter().map(|(_, count)| count).sum();
                let left = total.pending + total.failed - orphaned;
                if let Some(words) = summary::put_back(&self.stuck, left, self.lost.finals > 0) {
                    return words;
                }
                // What of steps that are other ones by now is finished will be tainted.
                let other = self.changed.iter().any(|(step, _)| self.has_finished(step));
                match (left > 0 || self.lost.finals > 0, self.tainted() > 0) {
                    (false, false) if other || !self.rerouted.is_empty() => {
                        "-migrate-tainted -run acts on what has changed".to_owned()
                    }
                    (left, tainted) => summary::next_step(left, tainted, self.inputs).to_owned(),
                }
            }),
        }
    }

    fn text(&self) -> String {
        let total = self.total();
        let mut text = format!(
            "runset {}: {}, {} of {} finished, {}\n",
            visible(&self.runset),
            colour::word(self.word()),
            total.finished(),
            amount::count(total.total(), "task"),
            amount::count(self.finals, "final output"),
        );
        let columns = [
            free("step"),
            words("version"),
            number("done"),
            number("reused"),
            number("failed"),
            number("pending"),
            number("tainted"),
            number("time"),
            free("environment"),
        ];
        let rows: Vec<Vec<String>> = self.steps.iter().map(StepStatus::row).collect();
        text.push_str(&columns::table(&columns, &rows, columns::width()));
        for step in &self.steps {
            for (version, Accepted { why, count, .. }) in &step.accepted {
                let _ = writeln!(
                    text,
                    "{}: {} {}",
                    visible(&step.name),
                    amount::count(*count, "task"),
                    why.in_words(*version)
                );
            }
        }
        for step in &self.steps {
            if let Some(words) = step.taken() {
                let _ = writeln!(text, "{}: {words}", visible(&step.name));
            }
        }
        if !self.gone.is_empty() {
            let _ = writeln!(
                text,
                "no longer in the manifest: {}; what was done stays, and nothing more of it runs",
                self.gone.join(", ")
            );
        }
        if !self.orphaned.is_empty() {
            let _ = writeln!(text, "{}", table::not_run(&self.orphaned, &self.gathering));
        }
        for stuck in &self.stuck {
            let _ = writeln!(text, "{}", stuck.in_words());
        }
        if let Some(lost) = self.lost.in_words() {
            let _ = writeln!(
                text,
                "{lost}; -run makes again what steps of the manifest made"
            );
        }
        if let Some(running) = self.told.as_ref().and_then(report::running) {
            let _ = writeln!(text, "running now: {running}");
        }
        text.push_str(&self.elsewhere.text());
        text.push_str(&table::untaken(&self.untaken));
        text.push_str(&table::waiting(&self.waiting));
        if total.failed > 0 {
            text.push_str(summary::FAILURES);
        }
        if !self.changed.is_empty() {
            let steps = self.changed.iter().map(|(step, changes)| {
                let why = match changes.as_slice() {
                    [] => "new".to_owned(),
                    some => table::changes(some),
                };
                format!("{} ({why})", visible(step.as_str()))
            });
            let steps: Vec<String> = steps.collect();
            let _ = writeln!(text, "changed since the last run: {}", steps.join(", "));
        }
        for Rerouted { from, to, count } in &self.rerouted {
            let words = table::rerouted(from.as_ref(), to.as_ref(), *count);
            let _ = writeln!(
                text,
                "{words} by today's steps: -migrate-tainted acts on that"
            );
        }
        if let Some(untold) = &self.untold {
            text.push_str("the next -run would fail:\n");
            text.push_str(untold);
        }
        if let Some(size) = self.database {
            let _ = writeln!(
                text,
                "store: {} of database; what the objects take, and what gc would free: status -store",
                amount::bytes(size)
            );
        }
        let _ = writeln!(text, "next: {}", self.next());
        text
    }
}
