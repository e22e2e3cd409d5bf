//! What a page tells.

use std::collections::HashMap;
use std::path::Path;

use super::{Steps, steps};
use crate::files::Texts;
use crate::manifest::Manifest;
use crate::model::digest::Digest;
use crate::model::identity::Tools;
use crate::model::list::Form;
use crate::model::task::TaskState;
use crate::model::tree::Kind;
use crate::state::{Accepted, Error, Execution, Reader, RecordedStep, Runset, ShownTask};
use crate::store;
use crate::text::amount::grouped_count;
use crate::view::graph::Graph;
use crate::view::page::{Failure, Flaky, Log, Machine, Page, Spreads, Task, VersionPart};
use crate::view::spread::{Sample, Spread};
use crate::view::timeline::Span;

/// Rows of the table of tasks.
const TASKS: usize = 3000;
/// Failed tasks shown with their logs.
const FAILURES: usize = 60;
/// Tasks shown that succeeded at a later try.
const FLAKY: usize = 200;
/// Bytes shown of each of a failed task's logs.
const LOG: u64 = 6 * 1024;
/// Files whose size is looked at, in all.
const LOOKED_AT: usize = 20_000;

/// What steps ask for beside what their tasks took, in words.
fn taken(
    state: &Reader,
    runset: Option<&Runset>,
    manifest: Option<&Manifest>,
) -> Result<Vec<String>, Error> {
    let mut all = Vec::new();
    let steps = manifest.iter().flat_map(|manifest| &manifest.steps);
    let steps = steps.filter(|step| step.cpus.is_some() || step.memory.is_some());
    let names: Vec<&str> = steps.clone().map(|step| step.name.as_str()).collect();
    let mut by_step = state.taken(runset, &names)?;
    for step in steps {
        let taken = by_step.remove(step.name.as_str()).unwrap_or_default();
        let peak = taken.peak.map(i64::unsigned_abs);
        if let Some(words) = step.resources().beside(taken.cpus(), peak) {
            all.push(format!("{}: {words}", step.name));
        }
    }
    Ok(all)
}

/// All that a page tells of `runset` (none: of all).
pub(crate) fn page(
    state: &Reader,
    store: &store::Reader,
    runset: Option<&Runset>,
    manifest: Option<&Manifest>,
    made: i64,
) -> Result<Page, Error> {
    let moment = state.snapshot()?;
    let mut steps = steps(Some(state), runset, manifest)?;
    let texts = Texts::new(store::Reader::new(&state.layout().objects()));
    let versions = steps.parts(&steps.graph, &texts);
    let grouped = steps.group();
    let graph = std::mem::take(&mut steps.graph);
    let machines = Machines::of(state, runset)?;
    let (spans, durations) = executions(state, runset, (&steps, &machines), graph.nodes.len())?;
    let lost = lost(state, runset, (&steps, &machines))?;
    let sizes = sizes(state, store, runset, &steps, graph.nodes.len())?;
    let tasks = state.notable_tasks(runset, TASKS)?;
    let failures = state.failures(runset, FAILURES)?;
    let (flaky, all_flaky) = flaky(state, runset)?;
    let accepted = state.accepted(runset)?;
    let taken = taken(state, runset, manifest)?;
    let created = match runset {
        Some(runset) => state.runset_created(runset)?,
        None => None,
    };
    drop(moment);
    let of_steps = || graph.nodes.iter().filter(|node| !node.sink);
    Ok(Page {
        name: pipeline(state.layout().root()),
        again: None,
        runset: runset.map_or_else(|| "all runsets".to_owned(), |runset| runset.name.clone()),
        db: state.layout().root().to_string_lossy().into_owned(),
        made,
        created,
        all_tasks: of_steps().map(|node| node.tally.total()).sum(),
        all_failures: of_steps().map(|node| node.tally.failed).sum(),
        spreads: durations
            .into_iter()
            .zip(sizes)
            .map(|(durations, sizes)| Spreads { durations, sizes })
            .collect(),
        spans,
        lost,
        machines: machines.all,
        tasks: tasks.iter().filter_map(|row| steps.task(row)).collect(),
        failures: failures
            .iter()
            .filter_map(|row| {
                Some(Failure {
                    task: steps.task(row)?,
                    logs: logs(store, row),
                })
            })
            .collect(),
        flaky,
        all_flaky,
        versions,
        taken,
        accepted: accepted
            .iter()
            .filter_map(|one| steps.accepted(one))
            .collect(),
        grouped,
        graph,
    })
}

/// The first tasks that succeeded at a later try, and how many did.
fn flaky(state: &Reader, runset: Option<&Runset>) -> Result<(Vec<Flaky>, i64), Error> {
    let (mut first, mut all) = (Vec::new(), 0);
    state.each_flaky(runset, |one| {
        all += 1;
        if first.len() < FLAKY {
            first.push(Flaky {
                id: one.task.0,
                name: one.step.to_string(),
                input: one.input_name.as_deref().unwrap_or_default().to_owned(),
                tries: one.tries,
                error: one.error,
            });
        }
    })?;
    Ok((first, all))
}

/// What a pipeline is called whose db that is: as its folder, or as the folder that it is in.
fn pipeline(db: &Path) -> String {
    let whole = std::path::absolute(db).unwrap_or_else(|_| db.to_owned());
    let mut names = whole.iter().rev().filter(|name| *name != "..");
    let name = names.find(|name| *name != "db" && *name != "/");
    name.map_or_else(
        || "pipeline".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// Other machines that carried out tasks.
struct Machines {
    /// In the order of their names.
    all: Vec<Machine>,
    /// That of each worker, by its row.
    of: HashMap<i64, usize>,
}

impl Machines {
    fn of(state: &Reader, runset: Option<&Runset>) -> Result<Self, Error> {
        let workers = state.workers(runset)?;
        let mut names: Vec<&str> = workers
            .iter()
            .filter_map(|one| one.node.as_deref())
            .collect();
        names.sort_unstable();
        names.dedup();
        let machine = |name: &&str| Machine {
            name: (*name).to_owned(),
            ..Machine::default()
        };
        let mut all: Vec<Machine> = names.iter().map(machine).collect();
        let mut of = HashMap::new();
        for worker in &workers {
            let Some(at) = worker
                .node
                .as_deref()
                .and_then(|node| names.binary_search(&node).ok())
            else {
                continue;
            };
            of.insert(worker.row, at);
            all[at].executors.insert(worker.executor.clone());
            if let Some(came) = worker.came {
                let micros = |millis: i64| millis.saturating_mul(1000);
                all[at].waits.push((micros(worker.called), micros(came)));
            }
        }
        Ok(Self { all, of })
    }
}

/// What is drawn of an execution, if it is known when it began.
fn span(execution: &Execution, step: usize, machines: &Machines) -> Option<Span> {
    Some(Span {
        task: execution.task.0,
        step,
        worker: u64::try_from(execution.worker).unwrap_or(0),
        start: execution.started?.saturating_mul(1000),
        elapsed: execution.elapsed,
        failed: execution.failed,
        machine: execution
            .elsewhere
            .and_then(|worker| machines.of.get(&worker).copied()),
    })
}

/// What was lost elsewhere.
fn lost(
    state: &Reader,
    runset: Option<&Runset>,
    (steps, machines): (&Steps, &Machines),
) -> Result<Vec<Span>, Error> {
    let mut lost = Vec::new();
    state.each_lost(runset, |execution| {
        let step = steps.node(execution.step);
        let span = step.and_then(|step| span(&execution, step, machines));
        lost.extend(span.filter(|span| span.machine.is_some()));
    })?;
    Ok(lost)
}

fn executions(
    state: &Reader,
    runset: Option<&Runset>,
    (steps, machines): (&Steps, &Machines),
    nodes: usize,
) -> Result<(Vec<Span>, Vec<Spread>), Error> {
    let mut spans = Vec::new();
    let mut durations = vec![Vec::new(); nodes];
    state.each_execution(runset, |execution| {
        let Some(step) = steps.node(execution.step) else {
            return;
        };
        durations[step].push(u64::try_from(execution.elapsed).unwrap_or(0));
        spans.extend(span(&execution, step, machines));
    })?;
    Ok((spans, durations.into_iter().map(Spread::of).collect()))
}

/// The sizes of outputs by step; of a sample where there are many.
fn sizes(
    state: &Reader,
    store: &store::Reader,
    runset: Option<&Runset>,
    steps: &Steps,
    nodes: usize,
) -> Result<Vec<Spread>, Error> {
    let most = (LOOKED_AT / nodes.max(1)).clamp(100, 2000);
    let mut samples: Vec<Sample<(Digest, Form)>> = vec![Sample::new(most); nodes];
    state.each_left(runset, |step, object| {
        if let Some(step) = steps.node(step) {
            samples[step].offer(object);
        }
    })?;
    Ok(samples
        .into_iter()
        .map(|sample| {
            let sizes: Vec<u64> = sample
                .kept()
                .iter()
                .filter_map(|(object, form)| match form {
                    Form::Folder => size_of_folder(store, object),
                    Form::File | Form::List => store.size_of(object),
                })
                .collect();
            Spread::of_sample(sizes, sample.seen())
        })
        .collect())
}

/// Of what is in a folder, as far as that is looked at.
fn size_of_folder(store: &store::Reader, folder: &Digest) -> Option<u64> {
    let entries = store.tree(folder).ok()?.take(LOOKED_AT).flatten();
    let files = entries.filter(|entry| matches!(entry.kind, Kind::File | Kind::Executable));
    Some(files.filter_map(|file| store.size_of(&file.digest)).sum())
}

/// The end of what has that size, from the beginning of a line on, if there is one in it.
fn whole_lines(end: &[u8], size: u64) -> &[u8] {
    let is_all = end.len() as u64 == size;
    match end.iter().position(|byte| *byte == b'\n') {
        Some(at) if !is_all && at + 1 < end.len() => &end[at + 1..],
        _ => end,
    }
}

fn logs(store: &store::Reader, row: &ShownTask) -> Vec<Log> {
    [
        ("standard output", row.stdout),
        ("standard error", row.stderr),
    ]
    .into_iter()
    .filter_map(|(stream, object)| Some((stream, object?)))
    .map(|(stream, object)| match store.tail(&object, LOG) {
        Ok((bytes, size)) => {
            let tail = whole_lines(&bytes, size);
            Log {
                stream,
                cut: size - tail.len() as u64,
                tail: Ok(String::from_utf8_lossy(tail).into_owned()),
            }
        }
        Err(error) => Log {
            stream,
            tail: Err(error.to_string()),
            cut: 0,
        },
    })
    .collect()
}

impl Steps {
    /// In words.
    fn accepted(&self, Accepted { step, why, count }: &Accepted) -> Option<String> {
        let (_, version) = self.versions.get(step)?;
        let tasks = grouped_count(*count, "task");
        let why = why.in_words(version.version);
        Some(format!("{}: {tasks} {why}", version.name))
    }

    fn task(&self, row: &ShownTask) -> Option<Task> {
        let (_, version) = self.versions.get(&row.step)?;
        Some(Task {
            id: row.id.0,
            name: version.name.to_string(),
            version: version.version,
            state: row.state,
            tainted: !version.equal && row.state.is_finished(),
            input: match &row.key {
                Some(key) => format!("({key})"),
                None => format!(
                    "{}{}",
                    row.name.as_deref().unwrap_or_default(),
                    row.form.slash()
                ),
            },
            object: row.object.to_string(),
            started: row.started,
            elapsed: row.elapsed,
            worker: row.worker,
            error: row
                .error
                .clone()
                .filter(|_| matches!(row.state, TaskState::Failed)),
        })
    }

    /// The current version of each step, and others that still have tasks.
    fn parts(&self, graph: &Graph, texts: &Texts) -> Vec<VersionPart> {
        let mut parts = Vec::new();
        let mut before: Option<&RecordedStep> = None;
        for (at, step) in self.order.iter().filter_map(|id| self.versions.get(id)) {
            let older = before.replace(step).filter(|older| older.name == step.name);
            let live = &graph.nodes[*at].versions;
            if live.iter().any(|version| version.number == step.version) {
                parts.push(part(step, older, texts));
            }
        }
        parts
    }
}

fn part(step: &RecordedStep, older: Option<&RecordedStep>, texts: &Texts) -> VersionPart {
    let identity = step.identity.as_ref();
    let changes = match (identity, older.and_then(|older| older.identity.as_ref())) {
        (Some(new), Some(old)) => {
            let mut changes = new.changes_since(old);
            texts.name(&mut changes);
            let words: Vec<String> = changes.iter().map(ToString::to_string).collect();
            words.join(", ")
        }
        _ => String::new(),
    };
    let mut tools = match identity.map(|identity| &identity.tools) {
        None => "not recorded",
        Some(Tools::Host) => "the host's PATH",
        Some(Tools::HostInstead) => "the host's PATH in place of packages (-host-env)",
        Some(Tools::Nix(_)) => "packages from Nix",
    }
    .to_owned();
    if let Some(identity) = identity.filter(|identity| identity.pure) {
        tools.push_str("; pure");
        if !identity.keep.is_empty() {
            tools.push_str(", but for the variables ");
            tools.push_str(&identity.keep.join(", "));
        }
    }
    VersionPart {
        step: step.name.to_string(),
        number: step.version,
        current: step.current,
        created: step.created,
        script: step.script.clone(),
        shell: identity.map_or_else(String::new, |identity| identity.shell.join(" ")),
        variables: identity
            .iter()
            .flat_map(|identity| &identity.env)
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        environment: match identity.map(|identity| &identity.tools) {
            Some(Tools::Nix(environment)) => Some(environment.clone()),
            _ => None,
        },
        tools,
        changes,
    }
}
