//! What the program adds to a task: system calls, and instructions of its own process.
//!
//! Two runs of tasks that do nothing differ only in how many tasks there are; the difference of
//! what they take, divided, is what a task takes. Neither depends on how fast the machine is.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Numbers by name.
pub type Counts = BTreeMap<String, f64>;

/// Why there are none.
pub type Counted = Result<Counts, String>;

/// Runs a command to its end; an error says how it failed.
pub type Runner<'a> = dyn Fn(&mut Command) -> Result<(), String> + 'a;

/// Tasks that leave nothing, and are all launched in the same way.
#[derive(Debug, Clone, Copy)]
pub struct Tasks {
    /// For the name of a folder.
    name: &'static str,
    script: &'static str,
    /// A line of the manifest.
    setting: &'static str,
    /// The command that takes what the script takes by itself.
    alone: &'static [&'static str],
}

/// Words that only a shell understands.
const SCRIPT: &str = "if :; then :; fi";

/// A shell each.
pub const SHELL: Tasks = Tasks {
    name: "shell",
    script: SCRIPT,
    setting: "warm = false",
    alone: &["sh", "-e", "-c", SCRIPT],
};

/// Shells that are shared. What they do is the program's doing, too, forks and all.
pub const WARM: Tasks = Tasks {
    name: "warm",
    script: SCRIPT,
    setting: "",
    alone: &[],
};

/// A program, without a shell.
pub const DIRECT: Tasks = Tasks {
    name: "direct",
    script: "cat /dev/null",
    setting: "",
    alone: &["cat", "/dev/null"],
};

/// Calls that are not counted.
const UNCOUNTED: [&str; 10] = [
    // How often these wait depends on who is first.
    "futex",
    "poll",
    "ppoll",
    "epoll_wait",
    "epoll_pwait",
    "restart_syscall",
    "sched_yield",
    "clock_nanosleep",
    "rt_sigreturn",
    // The C library's posix_spawn looks at every signal, in each child: 128 with glibc.
    "rt_sigaction",
];

/// The program and where to try it.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The program.
    pub program: &'a Path,
    /// An empty folder.
    pub folder: &'a Path,
    /// How commands are run.
    pub runner: &'a Runner<'a>,
}

impl Subject<'_> {
    /// System calls that a task takes, by name, less what its script makes by itself: its creation
    /// as an output of another, its run, its record.
    pub fn system_calls(&self, tasks: Tasks, few: u32, many: u32) -> Counted {
        let mut added = a_task(few, many, |count| {
            self.traced(&self.pipeline("strace", tasks, count)?)
        })?;
        let sources = a_task(few, many, |count| {
            self.alone(&["sh", "-e", "-c", &source(count)])
        })?;
        let script = match tasks.alone {
            [] => Counts::new(),
            command => self.alone(command)?,
        };
        for (name, calls) in sources.iter().chain(&script) {
            *added.entry(name.clone()).or_default() -= calls;
        }
        Ok(added)
    }

    /// Instructions that a task takes in the program's own process, by part of the program.
    pub fn instructions(&self, few: u32, many: u32) -> Counted {
        a_task(few, many, |count| {
            let folder = self.pipeline("callgrind", SHELL, count)?;
            let mut command = Command::new("valgrind");
            command
                .args(["--tool=callgrind", "--callgrind-out-file=costs", "-q"])
                .arg(self.program)
                .args(["-run", "-parallel", "2", "-quiet"])
                .current_dir(&folder);
            few_variables(&mut command);
            (self.runner)(&mut command)?;
            Ok(callgrind(&read(&folder.join("costs"))?))
        })
    }

    /// A folder with a pipeline of so many tasks.
    fn pipeline(&self, name: &str, tasks: Tasks, count: u32) -> Result<std::path::PathBuf, String> {
        let folder = self.folder.join(format!("{name}-{}-{count}", tasks.name));
        let manifest = format!(
            "[[step]]\nname = \"source\"\nstart = true\nscript = '''{}'''\n\
             [[step]]\nname = \"each\"\n{}\nscript = \"{}\"\n",
            source(count),
            tasks.setting,
            tasks.script
        );
        fs::create_dir(&folder)
            .and_then(|()| fs::write(folder.join("workflow.toml"), manifest))
            .map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
        Ok(folder)
    }

    fn traced(&self, folder: &Path) -> Counted {
        let mut command = strace();
        command
            .arg(self.program)
            .args(["-run", "-parallel", "2", "-quiet"])
            .current_dir(folder);
        self.calls_of(&mut command, folder)
    }

    /// What a command takes by itself.
    fn alone(&self, words: &[&str]) -> Counted {
        let folder = tempfile::tempdir_in(self.folder).map_err(|error| error.to_string())?;
        let mut command = strace();
        command
            .args(words)
            .env("OUTPUT_DIR", folder.path())
            .current_dir(folder.path());
        self.calls_of(&mut command, folder.path())
    }

    fn calls_of(&self, command: &mut Command, folder: &Path) -> Counted {
        few_variables(command);
        (self.runner)(command)?;
        let calls = strace_table(&read(&folder.join("calls"))?);
        if calls.len() > 5 {
            Ok(calls)
        } else {
            Err(format!("not what strace -c writes: {calls:?}"))
        }
    }
}

/// Each variable costs every task something: they must be the same everywhere.
fn few_variables(command: &mut Command) {
    let output_dir = command.get_envs().find_map(|(name, value)| {
        value
            .filter(|_| name == "OUTPUT_DIR")
            .map(std::ffi::OsStr::to_owned)
    });
    command.env_clear().env("HOME", "/");
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    if let Some(folder) = output_dir {
        command.env("OUTPUT_DIR", folder);
    }
}

fn strace() -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-c", "-o", "calls"]);
    command
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

/// The script that leaves an input for each of so many tasks.
fn source(tasks: u32) -> String {
    format!("seq 1 {tasks} | split -l 1 -a 4 -d --additional-suffix=_each - \"$OUTPUT_DIR/\"")
}

/// By how much `count` grows with each task.
fn a_task(few: u32, many: u32, count: impl Fn(u32) -> Counted) -> Counted {
    let before = count(few)?;
    let mut counts = count(many)?;
    for (name, counted) in &mut counts {
        let less = before.get(name).copied().unwrap_or(0.0);
        *counted = (*counted - less) / f64::from(many - few);
    }
    Ok(counts)
}

/// The table that `strace -c` writes: the number of calls is the fourth word of a line, the name
/// of the call the last.
fn strace_table(text: &str) -> Counts {
    text.lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let name = *words.last()?;
            let known = name != "total" && !UNCOUNTED.contains(&name);
            let calls = words.get(3)?.parse().ok().filter(|_| known)?;
            Some((name.to_owned(), calls))
        })
        .collect()
}

/// What callgrind writes: lines `fn=(1) name` before the costs of a function, `ob=(1) path` before
/// those of a file of code; a name is said once. After `calls=` comes a line with the cost of a
/// call, which is counted where it is spent.
fn callgrind(text: &str) -> Counts {
    let (mut objects, mut functions) = (BTreeMap::new(), BTreeMap::new());
    let (mut object, mut function) = (String::new(), String::new());
    let mut parts = Counts::new();
    let mut of_a_call = false;
    for line in text.lines() {
        if let Some((key, value)) = line.split_once('=') {
            match key {
                "ob" => object = named(value, &mut objects),
                "fn" => function = named(value, &mut functions),
                "cob" => drop(named(value, &mut objects)),
                "cfn" => drop(named(value, &mut functions)),
                "calls" => of_a_call = true,
                _ => {}
            }
        } else if line.starts_with(|c: char| c.is_ascii_digit() || "+-*".contains(c))
            && !std::mem::take(&mut of_a_call)
            && let Some(cost) = line
                .split(' ')
                .nth(1)
                .and_then(|word| word.parse::<f64>().ok())
        {
            *parts.entry(part(&object, &function)).or_default() += cost;
        }
    }
    parts
}

fn named(value: &str, names: &mut BTreeMap<String, String>) -> String {
    match value.split_once(' ') {
        Some((id, name)) => {
            names.insert(id.to_owned(), name.to_owned());
            name.to_owned()
        }
        None => names.get(value).cloned().unwrap_or_default(),
    }
}

/// The part of the program that a function is of.
fn part(object: &str, function: &str) -> String {
    const OWN: &str = "task_pipeline::";
    const MEMORY: [&str; 5] = ["malloc", "free", "calloc", "realloc", "memalign"];
    let of = |crates: &[&str]| crates.iter().any(|name| function.contains(name));
    if let Some((_, rest)) = function.split_once(OWN) {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
        return format!("own code: {}", &rest[..end.unwrap_or(rest.len())]);
    }
    let name = if object.contains("/libc") || object.contains("/ld-") {
        if MEMORY.iter().any(|one| function.contains(one)) || function == "unlink_chunk.constprop.0"
        {
            "C library: memory allocation"
        } else {
            "C library: other"
        }
    } else if of(&["rusqlite"]) {
        "rusqlite"
    } else if of(&["sha2", "compress256", "cpufeatures"]) {
        "SHA-256"
    } else if function.contains("::") || function.starts_with("__rust") {
        "Rust's library and other crates"
    } else {
        "SQLite"
    };
    name.to_owned()
}
