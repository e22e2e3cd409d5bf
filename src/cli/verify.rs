//! `verify`: whether objects, rows and links are as they were recorded.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use clap::Args;
use serde_json::{Value, json};

use super::error::Failure;
use super::options::Places;
use super::{graph, output, select};
use crate::model::name::StepName;
use crate::report::meter::Meter;
use crate::state::{Lock, Reader};
use crate::sys;
use crate::text::{Shown as _, amount, visible};
use crate::verify::{self, Db, Finding, How, Manifest, Progress, Severity, Sum, What};

/// Options of `verify`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Only whether every object is there and not empty; its bytes are not read
    #[arg(long)]
    quick: bool,
    /// One JSON object a line for each thing that is wrong, and one with what was looked at
    #[arg(long)]
    json: bool,
}

/// Looks at all, and prints what is wrong.
pub(super) fn main(places: &Places, options: &Options) -> Result<ExitCode, Failure> {
    let state = Reader::open(&places.db)?;
    let store = select::store(&state)?;
    let running = Lock::holder(state.layout());
    let manifest = graph::source(places)?.map(|source| Manifest {
        steps: source
            .manifest
            .steps
            .iter()
            .map(|step| step.name.clone())
            .collect(),
        folder: source.folder,
    });
    let db = Db {
        state: &state,
        store: &store,
        manifest: manifest.as_ref(),
    };
    let mut told = Told::new(options.json);
    let sum = look(db, options.quick, &mut |finding| told.add(&finding))?;
    told.end(&sum, options.quick, running.is_some())?;
    Ok(ExitCode::from(u8::from(sum.is_anything_wrong())))
}

/// Looks at all, with a bar on a terminal.
fn look(db: Db, quick: bool, tell: &mut dyn FnMut(Finding)) -> Result<Sum, Failure> {
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
    let sum = verify::look(db, how, tell);
    drop(meter);
    Ok(sum?)
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

    fn end(self, sum: &Sum, quick: bool, running: bool) -> Result<(), Failure> {
        if let Some(failure) = self.failed {
            return Err(failure);
        }
        if self.json {
            return output::print_json(format!("{}\n", summary(sum, quick)));
        }
        output::print(&self.text(sum, quick, running))
    }

    fn text(&self, sum: &Sum, quick: bool, running: bool) -> String {
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
                let _ = writeln!(text, "    hint: {}", what.advice(severity));
            }
        }
        let looked = looked_at(sum, quick);
        if sum.is_anything_wrong() {
            let _ = writeln!(text, "looked at {looked}");
        } else {
            let _ = writeln!(text, "nothing is wrong: {looked}");
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

fn summary(sum: &Sum, quick: bool) -> Value {
    let [lost, again, leftover] = sum.wrong;
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
        },
    })
}
