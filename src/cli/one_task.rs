//! One task of a step on its own, outside of any run: its input, its folders and its environment as a run
//! would give them. What it leaves is recorded nowhere.

mod given;

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::Ordering;

use tempfile::{NamedTempFile, TempDir};

use self::given::Gift;
use super::error::Failure;
use super::evicted;
use super::options::Places;
use super::sandbox::refused;
use super::select;
use crate::engine::key_of;
use crate::exec::local::{Given, Sandbox, copy_in, fill_in, fill_with_steps_in, unfold_in};
use crate::manifest::Step;
use crate::model::task::{INPUT_DIR, KEY, TaskState, WITH_DIR, WITH_FILE};
use crate::prepare::{Known, PackageOptions, Source, Steps};
use crate::process::Variables;
use crate::state::{Filter, Reader, State, TaskRow, Which};
use crate::store::{self, GoOn};
use crate::sys::sandbox::inside;
use crate::text::visible;

/// How its step's script is run on its input.
pub(super) struct OneTask {
    /// What runs the script.
    pub program: PathBuf,
    /// Its arguments, the script last.
    pub arguments: Vec<OsString>,
    /// All of its environment.
    pub variables: Variables,
    /// `INPUT_FILE`.
    pub input: PathBuf,
    /// `OUTPUT_DIR`.
    pub output: PathBuf,
    /// Where it starts.
    pub folder: PathBuf,
    /// The folder that it sees in its sandbox, and the file that says what else.
    sandbox: Option<(PathBuf, NamedTempFile)>,
    /// Where it stands for pairs (`each`), as it did not start yet: how many; it is the first of them.
    pub pairs: usize,
}

impl OneTask {
    /// A task of the step in the newest runset, one in the state that comes first if there is one; of a start
    /// step, which has no input, only one that failed.
    pub(super) fn of(
        places: &Places,
        step: &Step,
        preferred: &[TaskState],
    ) -> Result<Option<TaskRow>, Failure> {
        let state = match Reader::open(&places.db) {
            Err(_) if step.start => return Ok(None),
            other => other?,
        };
        let newest = state.newest_runset()?;
        let counts = |state: &&TaskState| !step.start || **state == TaskState::Failed;
        for which in preferred.iter().filter(counts) {
            let filter = Filter {
                runset: newest.as_ref().map(|runset| runset.name.as_str()),
                step: Some(step.name.as_str()),
                which: Which::In(*which),
                limit: Some(1),
            };
            let mut found = None;
            state.each_task(&filter, |row| {
                found = Some(row);
                Ok::<(), Failure>(())
            })?;
            if found.is_some() {
                return Ok(found);
            }
        }
        if step.start {
            return Ok(None);
        }
        Err(Failure::usage(format!(
            "step {} has no task yet",
            visible(step.name.as_str())
        ))
        .hint("-run as far as it gets; what the task is given is needed"))
    }

    /// A folder for one, which goes when it is dropped.
    pub(super) fn place() -> Result<TempDir, Failure> {
        tempfile::tempdir().map_err(|error| no_place(&error))
    }

    /// Makes all ready in the folder `place`, for the step as the manifest has it; without a task, its
    /// input is empty. It fails soon once `stop` of the source is set.
    pub(super) fn prepare(
        places: &Places,
        host_env: bool,
        source: &Source,
        step: &Step,
        task: Option<&TaskRow>,
        place: &Path,
    ) -> Result<Self, Failure> {
        let left_by = task.and_then(|task| task.parent);
        Self::prepared(places, host_env, source, step, task, place)
            .map_err(|failure| evicted::told(&places.db, failure, left_by))
    }

    fn prepared(
        places: &Places,
        host_env: bool,
        source: &Source,
        step: &Step,
        task: Option<&TaskRow>,
        place: &Path,
    ) -> Result<Self, Failure> {
        let go_on = || still_wanted(source);
        let supply = PackageOptions {
            host: host_env,
            locked: false,
            stop: &source.stop,
        };
        let mut state = State::private_copy_of_steps(&places.db)
            .or_else(|_| State::private_copy(&places.db))?;
        let known = Known::of(source, &mut state, supply)?;
        check_resolved(&known, step)?;
        let steps = Steps::without_registering(source, &mut state, &known, &mut |_| {})?;
        let runnable = steps.runnable.iter().find(|one| one.name == step.name);
        let runnable = runnable.ok_or_else(|| Failure::usage("no such step"))?;
        let program = runnable.program.as_ref().map_err(Failure::usage)?;
        let [input, output, temporary] = [INPUT, "out", "tmp"].map(|name| place.join(name));
        for folder in [&output, &temporary] {
            fs::create_dir(folder).map_err(|error| no_place(&error))?;
        }
        let mut variables = Variables::clone(&runnable.variables);
        let mut pairs = 0;
        if let Some(task) = task {
            let recorded = Reader::open(&places.db)?;
            let store = select::store(&recorded)?;
            store.lend(recorded.lent()?);
            let given = Given::of(&store, &task.object, task.form)?;
            let mut key = None;
            if runnable.with_dir.is_some() || step.each {
                let gift = Gift::of(&recorded, &store, source, task, step)?;
                pairs = gift.pairs;
                key = Some(gift.key(&recorded, source, task)?);
                if runnable.with_dir.is_some() {
                    put(&store, place, gift, step, &mut variables, &go_on)?;
                }
            }
            if runnable.key {
                let key = key.map_or_else(|| key_of(&recorded, &source.router, task.id), Ok)?;
                variables.insert(KEY.into(), key.into());
            }
            if runnable.input_dir {
                fill_in(&store, place, FILES, given.files, &go_on)?;
            }
            if given.folder {
                unfold_in(&store, place, INPUT, &given.main, &go_on)?;
            } else {
                copy_in(&store, place, INPUT, &given.main, &go_on)?;
            }
        } else {
            File::create(&input).map_err(|error| no_place(&error))?;
            if runnable.key {
                variables.insert(KEY.into(), OsString::new());
            }
            if runnable.input_dir {
                fs::create_dir(place.join(FILES)).map_err(|error| no_place(&error))?;
            }
        }
        let sandbox = match &runnable.sandbox {
            None => None,
            Some(sandbox) => Some((place.to_owned(), see(sandbox, place)?)),
        };
        let inside = |path: &Path| match sandbox {
            None => path.to_owned(),
            Some(_) => inside(place, path),
        };
        for name in [WITH_DIR, WITH_FILE] {
            if let Some(path) = variables.get_mut(OsStr::new(name)) {
                *path = inside(Path::new(path)).into();
            }
        }
        let version = runnable.version.to_string();
        let number = task.map_or_else(String::new, |task| task.id.to_string());
        let runset = task.map_or("", |task| task.runset.as_str());
        let input_name = task.and_then(|task| task.name.as_deref()).unwrap_or("");
        let seen = [&input, &output, &temporary].map(|path| inside(path));
        let own: [(&str, &OsStr); 8] = [
            ("INPUT_FILE", seen[0].as_os_str()),
            ("OUTPUT_DIR", seen[1].as_os_str()),
            ("TMPDIR", seen[2].as_os_str()),
            ("TASK_PIPELINE_STEP", step.name.as_str().as_ref()),
            ("TASK_PIPELINE_VERSION", version.as_ref()),
            ("TASK_PIPELINE_TASK", number.as_ref()),
            ("TASK_PIPELINE_RUNSET", runset.as_ref()),
            ("TASK_PIPELINE_INPUT_NAME", input_name.as_ref()),
        ];
        if runnable.input_dir {
            variables.insert(INPUT_DIR.into(), inside(&place.join(FILES)).into());
        }
        variables.extend(own.map(|(name, value)| (name.into(), value.into())));
        Ok(Self {
            program: program.clone(),
            arguments: runnable.arguments.clone(),
            variables,
            input,
            output,
            folder: source.folder.clone(),
            sandbox,
            pairs,
        })
    }

    /// The path that the script sees.
    pub(super) fn seen(&self, path: &Path) -> PathBuf {
        match &self.sandbox {
            None => path.to_owned(),
            Some((folder, _)) => inside(folder, path),
        }
    }

    /// The program with these arguments, in the task's folder and environment.
    pub(super) fn command(&self, program: &Path, arguments: &[OsString]) -> Command {
        let mut command = match &self.sandbox {
            None => Command::new(program),
            Some((folder, view)) => Sandbox::command(view.path(), folder, program),
        };
        command
            .args(arguments)
            .env_clear()
            .envs(&self.variables)
            .current_dir(&self.folder);
        command
    }
}

/// What is seen in the sandbox, in a file, if one can be made in that folder.
fn see(sandbox: &Sandbox, place: &Path) -> Result<NamedTempFile, Failure> {
    if let Some(problem) = sandbox.problem() {
        return Err(refused(sandbox, problem));
    }
    sandbox
        .probe(place)
        .map_err(|problem| refused(sandbox, &problem))?;
    let view = NamedTempFile::new().map_err(|error| no_place(&error))?;
    sandbox
        .write(view.path(), [])
        .map_err(|error| no_place(&error))?;
    Ok(view)
}

/// The folder for the files of an input.
const FILES: &str = "files";
/// And where its input is.
const INPUT: &str = "input";

/// The folder for what other steps left.
const GIVEN: &str = "with";

fn check_resolved(known: &Known, step: &Step) -> Result<(), Failure> {
    if !known.unresolved.contains(&step.name) {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "the packages of step {} are not resolved yet",
        visible(step.name.as_str())
    ))
    .hint("-run resolves them; -host-env takes the host's programs in place of them"))
}

/// Puts into `place` what other steps left, and says where it is.
fn put(
    store: &store::Reader,
    place: &Path,
    gift: Gift,
    step: &Step,
    variables: &mut Variables,
    go_on: GoOn,
) -> Result<(), Failure> {
    let folder = place.join(GIVEN);
    if let Some(only) = gift.files.first().filter(|_| step.each) {
        variables.insert(WITH_FILE.into(), folder.join(&*only.name).into());
    }
    variables.insert(WITH_DIR.into(), folder.into());
    let steps = &step.with;
    Ok(fill_with_steps_in(
        store, place, GIVEN, gift.files, steps, go_on,
    )?)
}

/// Fails once a signal has come.
fn still_wanted(source: &Source) -> io::Result<()> {
    if source.stop.load(Ordering::Relaxed) {
        return Err(io::ErrorKind::Interrupted.into());
    }
    Ok(())
}

/// The task's folder cannot be made.
pub(super) fn no_place(error: &std::io::Error) -> Failure {
    Failure::cannot("make a folder for the task", error)
        .hint("set TMPDIR to a folder that you can write to")
}
