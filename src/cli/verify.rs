//! `verify`: whether objects, rows and links are as they were recorded.

mod again;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use super::error::Failure;
use super::options::{ParamOptions, Places, SecretOptions, number, whole};
use super::{graph, mended, output, select};
use crate::exec::local::{Scratch, rescue};
use crate::model::name::StepName;
use crate::out;
use crate::report::meter::Meter;
use crate::state::{Lock, Reader, State, check_head};
use crate::store::Store;
use crate::sys;
use crate::text::{Shown as _, amount, visible};
use crate::verify::{self, Db, Finding, How, Manifest, Progress, Repaired, Severity, Sum, What};

/// Options of `verify`.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools)] // Flags are what a command line has.
pub(super) struct Options {
    /// Only check that every object is there and not empty; do not read its bytes
    #[arg(long)]
    quick: bool,
    /// Put aside what is damaged, and have the next -run make again what can be made
    #[arg(long)]
    repair: bool,
    /// Also run N finished tasks again, from all steps, and compare what they leave; record nothing
    #[arg(
        long,
        value_name = "N",
        value_parser = whole(1..=1_000_000),
        conflicts_with = "repair"
    )]
    sample: Option<u32>,
    /// With -sample: another number chooses other tasks
    #[arg(long, value_name = "NUMBER", value_parser = number, default_value_t = 0, requires = "sample")]
    seed: u64,
    /// With -sample: use the host's programs instead of packages
    #[arg(long, requires = "sample")]
    host_env: bool,
    #[command(flatten)]
    params: ParamOptions,
    #[command(flatten)]
    secrets: SecretOptions,
    /// One JSON object per line for each problem, and one for what was looked at
    #[arg(long)]
    json: bool,
}

/// Looks at all, and prints what is wrong.
pub(super) fn main(places: &Places, options: &Options) -> Result<ExitCode, Failure> {
    if options.repair {
        return repair(places, options);
    }
    if options.sample.is_some() {
        // What is missing is told before anything is looked at.
        places.manifest()?;
    }
    check_head(&places.db)?;
    let state = Reader::open(&places.db)?;
    let store = select::store(&state)?;
    let running = Lock::holder(state.layout());
    let manifest = manifest(places)?;
    let db = Db {
        state: &state,
        store: &store,
        manifest: manifest.as_ref(),
    };
    let mut told = Told::new(options.json);
    let sum = with_bar(options.quick, |how| {
        verify::look(db, how, &mut |finding| told.add(&finding))
    })?;
    told.end(&sum, options.quick, running.is_some(), None)?;
    let wrong = u8::from(sum.is_anything_wrong());
    drop((store, state));
    let again = match options.sample {
        Some(most) => again::main(places, options, usize::try_from(most).unwrap_or(usize::MAX))?,
        None => 0,
    };
    Ok(ExitCode::from(wrong.max(again)))
}

/// The same, and does what can be done about it.
fn repair(places: &Places, options: &Options) -> Result<ExitCode, Failure> {
    // Nothing is made where nothing is.
    drop(Reader::open(&places.db)?);
    let (mut state, _lock, _) = State::open(&places.db)?;
    for words in mended::words(state.mended()) {
        out::tell(&format!("warning: {words}\n"));
    }
    let layout = state.layout().clone();
    let scratch = Scratch::new(&layout.scratch(), &layout.objects(), Duration::ZERO)?;
    let store = Store::open(&layout.objects(), scratch.folder().path())?;
    store.lend(state.lent()?);
    store.set_evicted(state.evicted()?);
    for words in rescue(&scratch, &store, &mut state)? {
        out::tell(&format!("warning: {words}\n"));
    }
    let manifest = manifest(places)?;
    let mut told = Told::new(options.json);
    let (sum, repaired) = with_bar(options.quick, |how| {
        let tell = &mut |finding: &Finding| told.add(finding);
        verify::repair(&mut state, &store, manifest.as_ref(), how, tell)
    })?;
    drop(store);
    scratch.close();
    let left = repaired.left_count > 0;
    told.end(&sum, options.quick, false, Some(&repaired))?;
    Ok(ExitCode::from(u8::from(left)))
}

/// What the manifest says that helps, if it is at hand.
fn manifest(places: &Places) -> Result<Option<Manifest>, Failure> {
    Ok(graph::source(places)?.map(|source| {
        let steps = source.manifest.steps.iter();
        Manifest {
            steps: steps.map(|step| step.name.clone()).collect(),
            folder: source.folder,
            router: source.router,
        }
    }))
}

/// Does it, with a bar on a terminal.
fn with_bar<T>(
    quick: bool,
    work: impl FnOnce(How) -> Result<T, verify::Error>,
) -> Result<T, Failure> {
    let progress = Arc::new(Progress::default());
    let drawn = Arc::clone(&progress);
    let began = Instant::now();
    let meter = Meter::start(move || {
        let read = |number: &std::sync::atomic::AtomicU64| number.load(Ordering::Relaxed);
        let (parts, objects, bytes) = (read(&drawn.parts), read(&drawn.objects), read(&drawn.read));
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss
        )] // For people.
        let rate = (bytes as f64 / began.elapsed().as_secs_f64().max(0.1)) as u64;
        let words = format!(
            "{}, {}, {}/s",
            amount::grouped_count(i64::try_from(objects).unwrap_or(i64::MAX), "object"),
            amount::bytes(bytes),
            amount::bytes(rate)
        );
        #[allow(clippy::cast_precision_loss)] // At most 256.
        (parts as f64 / 256.0, words)
    });
    let how = How {
        quick,
        threads: sys::cores(),
        stop: &AtomicBool::new(false),
        progress: &progress,
    };
    let done = work(how);
    drop(meter);
    Ok(done?)
}

/// Of those that say the same, how many are shown.
const SHOWN: usize = 3;

/// What is told, and is short however much is wrong.
struct Told {
    json: bool,
    groups: BTreeMap<(Severity, What), Group>,
    failed: Option<Failure>,
}

#[derive(Default)]
struct Group {
    count: u64,
    /// The first in the order of their words, so that they are the same each time.
    first: Vec<String>,
}

impl Told {
    fn new(json: bool) -> Self {
        Self {
            json,
            groups: BTreeMap::new(),
            failed: None,
        }
    }

    fn add(&mut self, finding: &Finding) {
        if self.json {
            if self.failed.is_none() {
                let line = format!("{}\n", to_json(finding));
                self.failed = output::print_json(line).err();
            }
            return;
        }
        let group = self
            .groups
            .entry((finding.severity, finding.what))
            .or_default();
        group.count += 1;
        let at = group.first.partition_point(|words| *words <= finding.words);
        if at < SHOWN {
            group.first.insert(at, finding.words.clone());
            group.first.truncate(SHOWN);
        }
    }

    fn end(
        self,
        sum: &Sum,
        quick: bool,
        running: bool,
        repaired: Option<&Repaired>,
    ) -> Result<(), Failure> {
        if let Some(failure) = self.failed {
            return Failure::unless_gone(Err(failure));
        }
        if self.json {
            let summary = summary(sum, quick, repaired);
            return Failure::unless_gone(output::print_json(format!("{summary}\n")));
        }
        let mut text = self.text(sum, quick, running, repaired.is_none());
        if let Some(repaired) = repaired {
            text.push_str(&repaired_in_words(repaired));
        }
        Failure::unless_gone(output::print(&text))
    }

    fn text(&self, sum: &Sum, quick: bool, running: bool, hints: bool) -> String {
        let mut text = String::new();
        for severity in Severity::ALL {
            let mut groups = self.groups.iter().filter(|((of, _), _)| *of == severity);
            let Some(first) = groups.next() else {
                continue;
            };
            let _ = writeln!(text, "{}:", severity.in_words());
            for ((_, what), group) in std::iter::once(first).chain(groups) {
                let _ = writeln!(text, "  {}", what.counted(group.count));
                for words in &group.first {
                    let _ = writeln!(text, "    {}", visible(words));
                }
                let more = group.count - group.first.len() as u64;
                if more > 0 {
                    let _ = writeln!(text, "    and {more} more (-json tells each)");
                }
                if hints {
                    let _ = writeln!(text, "    hint: {}", what.advice(severity));
                }
            }
        }
        let looked = looked_at(sum, quick);
        if sum.is_anything_wrong() {
            let _ = writeln!(text, "looked at {looked}");
            if sum.waits_for_a_run() {
                text.push_str("nothing is damaged: all that is missing is made again by a run\n");
            }
        } else {
            let _ = writeln!(text, "nothing is wrong: {looked}");
        }
        if sum.evicted > 0 {
            let _ = writeln!(
                text,
                "{} whose bytes were evicted, which is no error: they are made again where they are needed",
                grouped(sum.evicted, "object")
            );
        }
        if sum.unused > 0 {
            let _ = writeln!(
                text,
                "{} ({}) that nothing refers to, which is no error: gc removes them{}",
                grouped(sum.unused, "object"),
                amount::bytes(sum.unused_bytes),
                if running {
                    "; some may be of the run that is at work"
                } else {
                    ""
                }
            );
        }
        text
    }
}

fn grouped(count: u64, what: &str) -> String {
    amount::grouped_count(i64::try_from(count).unwrap_or(i64::MAX), what)
}

fn looked_at(sum: &Sum, quick: bool) -> String {
    let bytes = if quick {
        "their bytes were not read".to_owned()
    } else {
        format!("{} read", amount::bytes(sum.read))
    };
    let mut text = format!(
        "{} ({bytes}), {}",
        grouped(sum.objects, "object"),
        grouped(sum.tasks, "task and output row")
    );
    if sum.environments > 0 {
        let _ = write!(text, ", {}", grouped(sum.environments, "environment"));
    }
    if sum.roots > 0 {
        let _ = write!(text, ", {}", grouped(sum.roots, "GC root"));
    }
    text
}

fn to_json(finding: &Finding) -> Value {
    json!({
        "schema": 1,
        "finding": finding.what.name(),
        "severity": finding.severity.name(),
        "object": finding.object.map(|object| object.to_string()),
        "task": finding.task,
        "step": finding.step.as_ref().map(StepName::as_str),
        "runset": finding.runset,
        "name": finding.name,
        "path": finding.path.as_deref().map(Path::shown).map(|path| path.to_string()),
        "message": finding.words,
        "hint": finding.what.advice(finding.severity),
    })
}

/// What was done, a line for each kind of thing.
fn repaired_in_words(repaired: &Repaired) -> String {
    let Repaired {
        aside,
        strays,
        modes,
        lists,
        logs,
        checkpoints,
        gone,
        inputs,
        mended,
        indexes,
        tasks,
        runsets,
        left,
        left_count,
    } = repaired;
    let mut text = String::new();
    let mut tell = |count: &u64, what: &str, done: &str| {
        if *count > 0 {
            let _ = writeln!(text, "{} {done}", grouped(*count, what));
        }
    };
    tell(aside, "damaged object", "put aside, into objects/aside");
    tell(strays, "other thing", "put aside, into objects/aside");
    tell(modes, "mode", "set");
    tell(lists, "list", "written again");
    tell(inputs, "input", "taken in again");
    tell(logs, "lost log", "forgotten");
    tell(
        checkpoints,
        "lost STATE_DIR",
        "forgotten: its task begins with an empty one",
    );
    tell(gone, "superseded object", "given up");
    if *indexes {
        text.push_str("the indexes of the database were made anew\n");
    }
    if let Some(mended) = mended {
        let done = mended::done(*mended);
        let done = if done.is_empty() {
            "no result had to be changed".to_owned()
        } else {
            done.join(", ")
        };
        let _ = writeln!(text, "rows: {done}");
        if mended.orphans > 0 || mended.other {
            text.push_str(
                "  what rows that are gone stood for cannot be found out: -run -start STEP, or -run -fresh, \
                 makes sure of it\n",
            );
        }
    }
    if *tasks > 0 {
        let _ = writeln!(
            text,
            "{} again with the next -run",
            match tasks {
                1 => "1 task runs".to_owned(),
                many => format!("{many} tasks run"),
            }
        );
    }
    if !runsets.is_empty() {
        let names: Vec<&str> = runsets.iter().map(String::as_str).take(SHOWN).collect();
        let more = if runsets.len() > SHOWN { ", …" } else { "" };
        let _ = writeln!(
            text,
            "  some of them in older runsets ({}{more}): -run -runset NAME, or all",
            names.join(", ")
        );
    }
    if *left_count > 0 {
        let _ = writeln!(
            text,
            "not to be had again: {}",
            grouped(*left_count, "thing")
        );
        for words in left {
            let _ = writeln!(text, "  {}", visible(words));
        }
    } else if text.is_empty() {
        text.push_str("nothing had to be done\n");
    }
    text
}

fn summary(sum: &Sum, quick: bool, repaired: Option<&Repaired>) -> Value {
    let [lost, again, leftover] = sum.wrong;
    let repaired = repaired.map(|repaired| {
        json!({
            "aside": repaired.aside,
            "strays": repaired.strays,
            "modes": repaired.modes,
            "lists": repaired.lists,
            "gone": repaired.gone,
            "inputs": repaired.inputs,
            "logs": repaired.logs,
            "checkpoints": repaired.checkpoints,
            "rows": repaired.mended.is_some(),
            "indexes": repaired.indexes,
            "tasks": repaired.tasks,
            "runsets": repaired.runsets,
            "left": repaired.left_count,
        })
    });
    json!({
        "schema": 1,
        "summary": {
            "lost": lost,
            "again": again,
            "leftover": leftover,
            "quick": quick,
            "objects": sum.objects,
            "bytes_read": sum.read,
            "rows": sum.tasks,
            "environments": sum.environments,
            "roots": sum.roots,
            "unused": sum.unused,
            "unused_bytes": sum.unused_bytes,
            "evicted": sum.evicted,
            "repaired": repaired,
        },
    })
}
