//! Who carries out a run's tasks: here, or in places elsewhere, each with workers of its own.

mod slurm;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::Failure;
use crate::exec::remote::Crew;
use crate::manifest::{Executor, Manifest, Step, Way};
use crate::model::executor::{FORMS, Host, LOCAL, Named};
use crate::model::resources::Place;
use crate::prepare::{Executors, Source};
use crate::text::{suggest, visible};
use crate::wire::message::Terms;
pub(super) use slurm::Pilots;

/// After so long without a word a worker and a run take each other for gone.
const SILENCE: Duration = Duration::from_secs(30);
/// After so long without anything to do a worker gives its place on Slurm back.
const IDLE: Duration = Duration::from_mins(1);
/// Workers at most, where nobody says how many.
const WORKERS: u32 = 16;

/// What workers are to keep to.
pub(super) fn terms(grace: Duration, live: bool) -> Terms {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Terms {
        silence: millis(SILENCE),
        grace: millis(grace),
        live,
        memory: false,
        keep: false,
        meeting: None,
        nix_cache: None,
    }
}

/// An executor as it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Use {
    Child { workers: u32, slots: u32 },
    Of(Executor),
}

/// What the tasks of steps have in common that Slurm finds nodes for, or of all that others carry out.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Class {
    cpus: u32,
    memory: Option<u64>,
    gpus: u32,
}

/// Workers that some steps want.
struct Wanted {
    name: String,
    used: Use,
    class: Class,
    /// The longest timeout of these steps.
    longest: Option<Duration>,
    /// Whether all of them have one.
    all_end: bool,
}

/// Has those carry out the tasks of each step whom the option names, or else the manifest. `db`: by which its
/// workers are known from those of others.
pub(super) fn give(
    option: Option<&str>,
    db: &Path,
    source: &mut Source,
) -> Result<Pilots, Failure> {
    let manifest = &source.manifest;
    let for_all = option.map(|text| of_option(text, manifest)).transpose()?;
    let mut executors = Executors::default();
    let mut known: BTreeMap<(String, Class), usize> = BTreeMap::new();
    let mut wanted: Vec<Wanted> = Vec::new();
    let mut pilots = Pilots::of(db);
    let mut open = Vec::new();
    for step in &manifest.steps {
        let used = match (&for_all, step.executor.as_deref()) {
            (Some(used), _) => used.clone().map(|used| (option.unwrap_or_default(), used)),
            (None, None) => None,
            (None, Some(name)) => {
                let executor = manifest.executors.get(name).cloned();
                executor.map(|executor| (name, Use::Of(executor)))
            }
        };
        let Some((name, used)) = used else {
            executors.places.push(None);
            continue;
        };
        if !step.secrets.is_empty() && !step.executor_secrets && !is_encrypted(&used) {
            open.push(step.name.to_string());
        }
        let pooled = matches!(
            &used,
            Use::Of(Executor {
                way: Way::Slurm(_),
                ..
            })
        );
        let class = if pooled {
            class(step)
        } else {
            Class::default()
        };
        let units = match step.cpus {
            Some(cpus) if !pooled => u64::from(cpus.get()),
            _ => 1,
        };
        let key = (name.to_owned(), class);
        let number = if let Some(number) = known.get(&key) {
            *number
        } else {
            wanted.push(Wanted {
                name: name.to_owned(),
                used,
                class: key.1.clone(),
                longest: None,
                all_end: true,
            });
            known.insert(key, wanted.len() - 1);
            wanted.len() - 1
        };
        let crew = &mut wanted[number];
        crew.longest = crew.longest.max(step.timeout);
        crew.all_end &= step.timeout.is_some();
        executors.places.push(Some(Place { number, units }));
    }
    if !open.is_empty() {
        let steps = match open.as_slice() {
            [one] => format!("step {one}"),
            many => format!("steps {}", many.join(", ")),
        };
        return Err(Failure::usage(format!(
            "{steps} would have secrets pass to other machines by a command that may not encrypt what it carries"
        ))
        .hint(
            "where it does, or where all on the way may know them, set executor_secrets = true on the step; `ssh` \
             encrypts, and executor = \"local\" keeps the step on the machine of the run",
        ));
    }
    for wanted in &wanted {
        executors.crews.push(crew(wanted, &mut pilots)?);
    }
    if executors.crews.is_empty() {
        executors.places.clear();
    }
    source.executors = executors;
    Ok(pilots)
}

/// One executor, as the steps have it that name it.
pub(super) fn one(name: &str, db: &Path, manifest: &Manifest) -> Result<(Crew, Pilots), Failure> {
    let Some(used) = of_option(name, manifest)? else {
        return Err(Failure::usage(
            "local is this machine: there is nothing to try",
        ));
    };
    let mut steps = manifest.steps.iter();
    let class = steps
        .find(|step| step.executor.as_deref() == Some(name))
        .map_or_else(
            || Class {
                cpus: 1,
                ..Class::default()
            },
            class,
        );
    // A run of that db, which may be at work, does not lose its workers with the one here.
    let mut pilots = Pilots::of(&db.join(format!("check {}", std::process::id())));
    let wanted = Wanted {
        name: name.to_owned(),
        used,
        class,
        longest: None,
        all_end: false,
    };
    Ok((crew(&wanted, &mut pilots)?, pilots))
}

/// The steps whose tasks this machine carries out: those of which neither the option nor the manifest says otherwise.
pub(super) fn steps_here<'m>(
    option: Option<&str>,
    manifest: &'m Manifest,
) -> Result<Vec<&'m Step>, Failure> {
    let for_all = option.map(|text| of_option(text, manifest)).transpose()?;
    let is_here = |step: &&Step| {
        for_all.as_ref().map_or_else(
            || {
                let name = step.executor.as_deref();
                name.is_none_or(|name| !manifest.executors.contains_key(name))
            },
            Option::is_none,
        )
    };
    Ok(manifest.steps.iter().filter(is_here).collect())
}

fn of_option(text: &str, manifest: &Manifest) -> Result<Option<Use>, Failure> {
    let wrong = |error: String| Failure::usage(format!("-executor {}: {error}", visible(text)));
    let forms = format!("one of {FORMS}");
    let named = Named::parse(text).map_err(|bad| wrong(bad.to_string()).hint(&forms))?;
    let way = match named {
        Named::Local => return Ok(None),
        Named::Child { workers, slots } => return Ok(Some(Use::Child { workers, slots })),
        Named::Other(name) => {
            if let Some(executor) = manifest.executors.get(&name) {
                return Ok(Some(Use::Of(executor.clone())));
            }
            let known = manifest.executors.keys().map(String::as_str);
            let close = suggest::closest(&name, known.chain([LOCAL, "slurm"]));
            let hint = close.map_or(forms, |close| format!("did you mean `{close}`?"));
            return Err(wrong("there is no such executor".to_owned()).hint(hint));
        }
        Named::Ssh(hosts) => Way::Ssh(hosts),
        Named::Slurm => Way::Slurm(Vec::new()),
    };
    Ok(Some(Use::Of(Executor {
        way,
        workers: None,
        slots: None,
        program: None,
        nix_cache: None,
    })))
}

/// Whether nobody on the way reads what passes to its workers, for certain.
fn is_encrypted(used: &Use) -> bool {
    match used {
        Use::Child { .. } => true,
        Use::Of(executor) => match executor.way {
            Way::Ssh(_) => true,
            Way::Start(_) | Way::Slurm(_) => false,
        },
    }
}

fn class(step: &Step) -> Class {
    Class {
        cpus: step.cpus.map_or(1, std::num::NonZeroU32::get),
        memory: step.memory.map(|memory| memory.most),
        gpus: step.gpus,
    }
}

fn crew(wanted: &Wanted, pilots: &mut Pilots) -> Result<Crew, Failure> {
    let Wanted {
        name,
        used,
        class,
        longest,
        all_end,
    } = wanted;
    let own =
        std::env::current_exe().map_err(|error| Failure::cannot("find this program", &error))?;
    let executor = match used {
        Use::Child { workers, slots } => {
            let child = |number| {
                (
                    format!("child {number}"),
                    worker(own.clone().into(), Some(*slots)),
                )
            };
            return Ok(Crew {
                name: name.clone(),
                stations: (1..=*workers).map(child).collect(),
                without: None,
                here: true,
                queues: false,
                why: None,
                idle: None,
                longest: *longest,
                hint: "see what its command says; -executor local does without it".to_owned(),
                nix_cache: None,
            });
        }
        Use::Of(executor) => executor,
    };
    let workers = executor.workers.unwrap_or(WORKERS);
    let program = executor.program.as_ref().map(PathBuf::from);
    let there = program.clone().unwrap_or_else(|| own.clone());
    let pooled = matches!(executor.way, Way::Slurm(_));
    let (stations, hint) = match &executor.way {
        Way::Ssh(hosts) => (
            hosts
                .iter()
                .take(executor.workers.map_or(usize::MAX, |most| most as usize))
                .map(|host| ssh(&own, program.as_deref(), executor.slots, host))
                .collect(),
            try_by_hand(program.as_deref()),
        ),
        Way::Start(start) => {
            let words = start.iter().map(OsString::from);
            let words: Vec<_> = words.chain(worker(there.into(), executor.slots)).collect();
            let station = |number| (format!("worker {number}"), words.clone());
            (
                (1..=workers).map(station).collect(),
                "try its command by hand: it has to start with the line task-pipeline-worker 1"
                    .to_owned(),
            )
        }
        Way::Slurm(options) => {
            let slots = executor.slots.unwrap_or(1);
            let job = slurm::Job {
                class,
                slots,
                options,
                longest: longest.filter(|_| *all_end),
            };
            let words = pilots.command(&job, worker(there.into(), Some(slots)))?;
            let station = |number| (format!("pilot {number}"), words.clone());
            (
                (1..=workers).map(station).collect(),
                "`squeue --me` and `sinfo` show what Slurm makes of it".to_owned(),
            )
        }
    };
    Ok(Crew {
        name: name.clone(),
        stations,
        without: pooled.then_some("--exclude"),
        here: false,
        queues: pooled,
        why: pooled.then(|| pilots.why()),
        idle: pooled.then_some(IDLE),
        longest: *longest,
        hint,
        nix_cache: executor.nix_cache.clone(),
    })
}

/// What to try where no worker comes by ssh, with `HOST` for the machine. `program`: where the manifest says that it is there.
fn try_by_hand(program: Option<&Path>) -> String {
    let program = program.map_or_else(
        || "task-pipeline".to_owned(),
        |program| quoted(&program.to_string_lossy()),
    );
    format!("try `ssh HOST {program} version` by hand: it has to say so without asking anything")
}

/// The command of a worker.
fn worker(program: OsString, slots: Option<u32>) -> Vec<OsString> {
    let slots = slots.map(|slots| ["-slots".into(), slots.to_string().into()]);
    let words = [program, "worker".into()].into_iter();
    words.chain(slots.into_iter().flatten()).collect()
}

fn ssh(
    own: &Path,
    program: Option<&Path>,
    slots: Option<u32>,
    host: &Host,
) -> (String, Vec<OsString>) {
    const OPTIONS: [&str; 8] = [
        "-T",
        "-o",
        "BatchMode=yes",
        "-o",
        "ServerAliveInterval=10",
        "-o",
        "ConnectTimeout=20",
        "--",
    ];
    let slots = host.slots.or(slots);
    let slots = slots.map_or_else(String::new, |slots| format!(" -slots {slots}"));
    let command = if let Some(program) = program {
        format!("exec {} worker{slots}", quoted(&program.to_string_lossy()))
    } else {
        // The same path where it is there, as in a Nix store that both have.
        let script = format!(
            "p={}; [ -x \"$p\" ] || p=task-pipeline; exec \"$p\" worker{slots}",
            quoted(&own.to_string_lossy())
        );
        // Login shells are of all kinds; all of them start another one with such words.
        format!("exec sh -c {}", quoted(&script))
    };
    let words = ["ssh"]
        .iter()
        .chain(&OPTIONS)
        .map(|word| OsString::from(*word));
    let words = words.chain([host.name.clone().into(), command.into()]);
    (host.name.clone(), words.collect())
}

/// One word for any shell: those of the C family and fish take quotes apart as POSIX has it, where there are no more than these.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn what_to_try_by_hand_is_the_program_that_the_manifest_names() {
        for (program, command) in [
            (None, "`ssh HOST task-pipeline version`"),
            (Some("/opt/tp"), "`ssh HOST /opt/tp version`"),
            (Some("/opt/a b/tp"), "`ssh HOST '/opt/a b/tp' version`"),
        ] {
            let told = try_by_hand(program.map(Path::new));
            assert!(told.contains(command), "{told}");
        }
    }

    /// Whatever shell somebody has who logs in: nothing but a program with words that are quoted is asked of it.
    #[test]
    fn a_login_shell_is_asked_for_nothing_but_to_start_sh() {
        let host = Host {
            name: "node".into(),
            slots: Some(3),
        };
        let asked = |own: &str, program: Option<&str>| {
            let program = program.map(Path::new);
            let (_, words) = ssh(Path::new(own), program, None, &host);
            words.last().unwrap().to_str().unwrap().to_owned()
        };
        let there = asked("/x", Some("/opt/a b/task-pipeline"));
        assert_eq!(there, "exec '/opt/a b/task-pipeline' worker -slots 3");
        assert_eq!(
            asked("/no/such-program", None),
            "exec sh -c 'p=/no/such-program; [ -x \"$p\" ] || p=task-pipeline; exec \"$p\" worker -slots 3'"
        );
        let dir = tempfile::tempdir().unwrap();
        for name in ["plain", "with ' and \" and $x"] {
            let own = dir.path().join(name);
            std::os::unix::fs::symlink("/bin/echo", &own).unwrap();
            let command = asked(own.to_str().unwrap(), None);
            let ran = Command::new("sh").args(["-c", &command]).output().unwrap();
            assert_eq!(ran.stdout, b"worker -slots 3\n", "{command}: {ran:?}");
        }
    }
}
