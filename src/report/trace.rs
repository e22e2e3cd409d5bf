//! A run as a trace that Perfetto and `chrome://tracing` open (`-trace FILE`, `-` for standard output): the workers are
//! threads, tasks are spans.
//!
//! The events go to a file beside the one that is wanted, which takes its place, complete, when
//! the run is over: also after an interrupt. What was there before stays until then.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::model::event::{Event, Span};
use crate::model::name::StepName;
use crate::model::task::TaskId;
use crate::out;
use crate::staged::{self, Staged};
use crate::sys::{self, Shortage};
use crate::text::{self, Shown as _};

/// A trace that cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the trace {}: {source}", path.shown())]
pub(crate) struct Error {
    path: PathBuf,
    source: io::Error,
}

impl Error {
    /// What to do about it, if there is too little room for it.
    pub(crate) fn lacks_room(&self) -> Option<&'static str> {
        Shortage::room_for(&self.source)
    }
}

/// The thread that stands for what no worker does. Workers follow it.
const ENGINE: i64 = 0;

/// Where the bytes go.
enum Target {
    File(Staged),
    Output(out::Data),
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write(bytes),
            Self::Output(data) => data.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A trace that is being written.
pub(super) struct Trace {
    path: PathBuf,
    out: BufWriter<Target>,
    /// The first thing that went wrong; nothing is written after it.
    broken: Option<io::Error>,
    /// The inputs' names of the tasks that the workers have.
    inputs: HashMap<TaskId, String>,
    /// Threads that have a name.
    named: BTreeSet<i64>,
}

impl Trace {
    /// Begins a trace that is to be at `path`.
    pub(super) fn create(path: &Path) -> Result<Self, Error> {
        let error = |source| Error {
            path: path.to_owned(),
            source,
        };
        let target = staged::place(path).map_err(error)?;
        let file = Staged::file(&target, "trace").map_err(error)?;
        Ok(Self::begin(target, Target::File(file)))
    }

    /// Begins one that goes to standard output.
    pub(super) fn print() -> Self {
        // All in it is escaped.
        Self::begin("standard output".into(), Target::Output(out::Data::raw()))
    }

    fn begin(path: PathBuf, target: Target) -> Self {
        let mut trace = Self {
            path,
            out: BufWriter::new(target),
            broken: None,
            inputs: HashMap::new(),
            named: BTreeSet::new(),
        };
        trace.write(b"{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n");
        let name = json!({"name": "task-pipeline"});
        trace.entry(&json!({"name": "process_name", "ph": "M", "pid": 1, "args": name}));
        trace.name_thread(ENGINE, None);
        trace
    }

    /// Takes note of an event.
    pub(super) fn event(&mut self, event: &Event) {
        match event {
            Event::Started {
                task,
                input_name: Some(name),
                form,
                ..
            } => {
                self.inputs.insert(*task, format!("{name}{}", form.slash()));
            }
            Event::Done {
                task,
                step,
                reused,
                shared,
                span,
                node,
                outputs,
            } => {
                let mut about = json!({"result": "done", "outputs": outputs.total()});
                if let Some(source) = reused {
                    about = json!({"result": "reused", "from": source, "launch": super::json::REUSED,
                        "outputs": outputs.total()});
                }
                if let Some(origin) = shared {
                    about = json!({"result": "shared", "by": origin, "launch": super::json::SHARED,
                        "outputs": outputs.total()});
                }
                self.task(*task, step, (span, *node), about);
            }
            Event::Failed {
                task,
                step,
                error,
                span,
                node,
                ..
            } => self.task(
                *task,
                step,
                (span, *node),
                json!({"result": "failed", "error": error}),
            ),
            Event::Cancelled {
                task,
                step,
                span: Some(span),
            } => self.task(*task, step, (span, None), json!({"result": "cancelled"})),
            Event::Remade {
                task,
                step,
                span,
                node,
                same,
            } => self.task(
                *task,
                step,
                (span, *node),
                json!({"result": "remade", "same": same}),
            ),
            Event::Interrupted { signal, .. } => {
                let now = sys::now().as_microsecond();
                self.entry(&json!({
                    "name": signal, "cat": "signal", "ph": "i", "s": "g",
                    "ts": now, "pid": 1, "tid": ENGINE,
                }));
            }
            Event::Manifest { .. }
            | Event::Inputs(_)
            | Event::Gathered { .. }
            | Event::Paired { .. }
            | Event::Database { .. }
            | Event::Environment(_)
            | Event::Version { .. }
            | Event::Tainted { .. }
            | Event::Migrated { .. }
            | Event::NothingTainted { .. }
            | Event::Sampling { .. }
            | Event::Sampled(_)
            | Event::Accepted { .. }
            | Event::GivenBack { .. }
            | Event::Freed { .. }
            | Event::Evicted { .. }
            | Event::Results { .. }
            | Event::Kept { .. }
            | Event::Pushed { .. }
            | Event::Rerouted { .. }
            | Event::Runset { .. }
            | Event::Started { .. }
            | Event::Given { .. }
            | Event::Output { .. }
            | Event::Cancelled { .. }
            | Event::Warning(_)
            | Event::Worker { .. }
            | Event::Lost { .. }
            | Event::Summary(_) => {}
        }
    }

    fn task(
        &mut self,
        task: TaskId,
        step: &StepName,
        (span, node): (&Span, Option<&str>),
        mut about: Value,
    ) {
        if let Some(name) = self.inputs.remove(&task) {
            about["input"] = name.into();
        }
        about["task"] = task.0.into();
        if let Some(node) = node {
            about["node"] = node.into();
        }
        if let Some(launch) = span.launch {
            about["launch"] = launch.word().into();
        }
        let mut entry = json!({
            "name": format!("{step} #{task}"),
            "cat": step.as_str(),
            "ts": span.started * 1000,
            "pid": 1,
            "args": about,
        });
        if let Some(worker) = span.worker {
            self.name_thread(worker + 1, node);
            entry["ph"] = "X".into();
            entry["dur"] = u64::try_from(span.elapsed.as_micros())
                .unwrap_or(u64::MAX)
                .into();
            entry["tid"] = (worker + 1).into();
        } else {
            entry["ph"] = "i".into();
            entry["s"] = "t".into();
            entry["tid"] = ENGINE.into();
        }
        self.entry(&entry);
    }

    /// Names a thread, on another machine if one is named, unless it has a name.
    fn name_thread(&mut self, tid: i64, node: Option<&str>) {
        if !self.named.insert(tid) {
            return;
        }
        let name = match (tid, node) {
            (ENGINE, _) => "engine".to_owned(),
            (number, None) => format!("worker {}", number - 1),
            (number, Some(node)) => format!("worker {} on {node}", number - 1),
        };
        let args = json!({"name": name});
        self.entry(&json!({"name": "thread_name", "ph": "M", "pid": 1, "tid": tid, "args": args}));
        let args = json!({"sort_index": tid});
        self.entry(
            &json!({"name": "thread_sort_index", "ph": "M", "pid": 1, "tid": tid, "args": args}),
        );
    }

    /// Entries end with a comma and the last, which [`Self::finish`] writes, with none.
    fn entry(&mut self, entry: &Value) {
        let entry = text::json(entry.to_string());
        self.write(format!("{entry},\n").as_bytes());
    }

    fn write(&mut self, bytes: &[u8]) {
        if self.broken.is_none() {
            self.broken = self.out.write_all(bytes).err();
        }
    }

    /// Puts the trace in its place.
    pub(super) fn finish(mut self) -> Result<(), Error> {
        let now = sys::now().as_microsecond();
        let end = json!({
            "name": "end", "ph": "i", "s": "p", "ts": now, "pid": 1, "tid": ENGINE,
        });
        self.write(format!("{end}\n]}}\n").as_bytes());
        let path = self.path;
        let written = match self.broken {
            Some(error) => Err(error),
            None => self
                .out
                .into_inner()
                .map_err(io::IntoInnerError::into_error),
        };
        written
            .and_then(|target| match target {
                Target::File(file) => file.complete(&path),
                Target::Output(_) => Ok(()),
            })
            .map_err(|source| Error { path, source })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;
    use crate::model::event::{Launch, Routed};

    fn read(path: &Path) -> Vec<Value> {
        let trace: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        trace["traceEvents"].as_array().unwrap().clone()
    }

    #[test]
    fn tasks_are_spans_of_their_workers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.json");
        fs::write(&path, "old").unwrap();
        let mut trace = Trace::create(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        let step = StepName::new("größe \"a\"").unwrap();
        let outputs = Routed::default();
        let done = |task, reused, worker| Event::Done {
            task: TaskId(task),
            step: &step,
            reused,
            shared: None,
            span: Span {
                started: 1_700_000_000_000,
                elapsed: Duration::from_micros(1500),
                worker,
                launch: worker.map(|_| Launch::Direct),
                cpu: None,
                peak: None,
            },
            node: worker.map(|_| "n1"),
            outputs: &outputs,
        };
        trace.event(&done(1, None, Some(2)));
        trace.event(&done(2, Some(TaskId(1)), None));
        trace.finish().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let entries = read(&path);
        let of = |name: &str| entries.iter().find(|entry| entry["name"] == name).unwrap();
        let span = of("größe \"a\" #1");
        assert_eq!(
            (&span["ph"], &span["ts"], &span["dur"], &span["tid"]),
            (
                &json!("X"),
                &json!(1_700_000_000_000_000_i64),
                &json!(1500),
                &json!(3)
            )
        );
        assert_eq!(span["args"]["launch"], "direct");
        let reused = &of("größe \"a\" #2")["args"];
        assert_eq!(
            (&reused["from"], &reused["launch"]),
            (&json!(1), &json!("reused"))
        );
        let threads: Vec<_> = entries
            .iter()
            .filter(|entry| entry["name"] == "thread_name")
            .map(|entry| entry["args"]["name"].as_str().unwrap())
            .collect();
        assert_eq!(threads, ["engine", "worker 2 on n1"]);
    }

    #[test]
    fn what_cannot_be_replaced_is_an_error_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let words = |path: &Path| Trace::create(path).err().unwrap().to_string();
        assert!(words(folder.path()).ends_with("is a directory"));
        assert!(
            words(&folder.path().join("no/t")).ends_with("No such file or directory (os error 2)")
        );
        assert!(words(Path::new("/dev/null")).ends_with("no plain file"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_link_stays_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        Trace::create(&link).unwrap().finish().unwrap();
        assert!(link.is_symlink());
        assert!(!read(&file).is_empty());
    }
}
