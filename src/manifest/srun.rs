//! Options of `srun` under which no worker would ever be heard of.

/// What is wrong with one of the options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bad {
    /// Its place among them.
    pub at: usize,
    /// What is wrong with it, behind its name.
    pub why: &'static str,
    /// What to write instead.
    pub instead: String,
}

/// Why one is not for a worker.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Output,
    Input,
    Label,
    Terminal,
    Tasks,
    Name,
    Words,
    Nothing,
    Array,
}

/// Those that are refused: their letters, the fewest characters that mean it, its name.
const REFUSED: [(&str, &str, &str, Kind); 20] = [
    ("o", "ou", "output", Kind::Output),
    ("e", "er", "error", Kind::Output),
    ("i", "inp", "input", Kind::Input),
    ("l", "la", "label", Kind::Label),
    ("", "pt", "pty", Kind::Terminal),
    ("n", "ntasks", "ntasks", Kind::Tasks),
    ("N", "nodes", "nodes", Kind::Tasks),
    ("F", "nodef", "nodefile", Kind::Tasks),
    ("", "tasks-", "tasks-per-node", Kind::Tasks),
    ("", "mu", "multi-prog", Kind::Tasks),
    ("", "het", "het-group", Kind::Tasks),
    ("J", "job-", "job-name", Kind::Name),
    ("v", "verb", "verbose", Kind::Words),
    ("Q", "qui", "quiet", Kind::Words),
    ("h", "hel", "help", Kind::Nothing),
    ("", "usa", "usage", Kind::Nothing),
    ("V", "vers", "version", Kind::Nothing),
    ("", "te", "test-only", Kind::Nothing),
    ("a", "arr", "array", Kind::Array),
    ("Z", "no-a", "no-allocate", Kind::Nothing),
];

/// Letters whose value stands behind them, or is the next word.
const WITH_VALUE: &str = "aAbBcCdDeFGiJLmMnNopqrStTwWxU";
/// Letters whose value, if any, stands behind them.
const PERHAPS: &str = "IkK";

impl Kind {
    fn why(self) -> &'static str {
        match self {
            Self::Output => "takes away the worker's output, through which it talks to the run",
            Self::Input => "takes away the worker's input, through which the run talks to it",
            Self::Label => "adds text to what a worker says to the run",
            Self::Terminal => {
                "makes a worker talk to the run through a terminal, which changes what it says"
            }
            Self::Tasks => "does not fit a worker, which is one process on one machine",
            Self::Name => {
                "takes away the name by which a run recognises its own jobs, even those left by a run that died"
            }
            Self::Words => "changes what srun says, which the run reads",
            Self::Nothing => "makes srun start nothing",
            Self::Array => "is an option of sbatch, and a worker cannot be an array",
        }
    }

    fn instead(self) -> &'static str {
        match self {
            Self::Output | Self::Input | Self::Label | Self::Terminal => {
                "leave it out: what tasks write is kept, and `task-pipeline log` shows it"
            }
            Self::Tasks => {
                "leave it out: `workers = 4` says how many there are at most, `slots = 2` how many tasks each runs \
                 at once, and `cpus` in a step how many CPUs a task gets"
            }
            Self::Name => {
                "leave it out; `--comment=TEXT` or `--wckey=NAME` mark jobs as yours, and `squeue --me` lists them"
            }
            Self::Words => {
                "leave it out: if a worker is lost, you are told what srun said about it"
            }
            Self::Nothing => {
                "leave it out; `task-pipeline check -executor NAME` starts one worker and says whether it works"
            }
            Self::Array => "leave it out: `workers = 4` says how many there are at most",
        }
    }
}

/// The first of these options that would keep a worker from its run; none if all can be passed on.
pub(super) fn look(options: &[String]) -> Option<Bad> {
    let bad = |at, kind: Kind| Bad {
        at,
        why: kind.why(),
        instead: kind.instead().to_owned(),
    };
    // Whether the word before takes this one, or may.
    let mut value = false;
    for (at, word) in options.iter().enumerate() {
        let is_option = word.len() > 1 && word.starts_with('-') && word != "--";
        if std::mem::take(&mut value) && !is_option {
            continue;
        }
        if !is_option {
            return Some(Bad {
                at,
                why: "is not an option: srun would take it for the end of the options, and what follows for the \
                program to start",
                instead: "leave it out: the program, task-pipeline, is added after the options"
                    .to_owned(),
            });
        }
        let name = word.split('=').next().unwrap_or_default();
        if let Some((option, rest)) = name.split_once(char::is_whitespace) {
            return Some(Bad {
                at,
                why: "is a single word to srun, with the space in it",
                instead: format!("write two words: \"{option}\", \"{}\"", rest.trim()),
            });
        }
        if let Some(long) = name.strip_prefix("--") {
            value = !word.contains('=');
            let of_tasks = long.starts_with("ntasks-").then_some(Kind::Tasks);
            let named = REFUSED
                .iter()
                .find(|(_, least, whole, _)| long.starts_with(least) && whole.starts_with(long));
            if let Some(kind) = of_tasks.or(named.map(|(_, _, _, kind)| *kind)) {
                return Some(bad(at, kind));
            }
            continue;
        }
        let mut letters = word.chars().skip(1);
        while let Some(letter) = letters.next() {
            let named = REFUSED
                .iter()
                .find(|(short, _, _, _)| short.chars().eq([letter]));
            if let Some((_, _, _, kind)) = named {
                return Some(bad(at, *kind));
            }
            if WITH_VALUE.contains(letter) {
                value = letters.next().is_none();
                break;
            }
            if PERHAPS.contains(letter) {
                break;
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(options: &[&str]) -> Option<Bad> {
        let options: Vec<String> = options.iter().copied().map(str::to_owned).collect();
        look(&options)
    }

    #[test]
    fn what_keeps_a_worker_from_its_run_is_refused_however_it_is_written() {
        for (options, at, why) in [
            (&["-ofile"][..], 0, "worker's output"),
            (&["-o", "f"], 0, "worker's output"),
            (&["-p", "x", "--output", "f"], 2, "worker's output"),
            (&["--output=f"], 0, "worker's output"),
            (&["--out=f"], 0, "worker's output"),
            (&["-e", "f"], 0, "worker's output"),
            (&["--error=f"], 0, "worker's output"),
            (&["-i/dev/null"], 0, "worker's input"),
            (&["--input", "none"], 0, "worker's input"),
            (&["-l"], 0, "adds text"),
            (&["-ul"], 0, "adds text"),
            (&["--label"], 0, "adds text"),
            (&["--pty"], 0, "terminal"),
            (&["-n4"], 0, "one process"),
            (&["-c", "2", "-n", "4"], 2, "one process"),
            (&["--ntasks=4"], 0, "one process"),
            (&["--ntasks-per-core", "1"], 0, "one process"),
            (&["--tasks-per-node=2"], 0, "one process"),
            (&["-N1-2"], 0, "one process"),
            (&["--exclusive", "--nodes=2"], 1, "one process"),
            (&["-J", "mine"], 0, "name by which"),
            (&["--job-name=mine"], 0, "name by which"),
            (&["-sv"], 0, "srun says"),
            (&["--verbose"], 0, "srun says"),
            (&["-vv"], 0, "srun says"),
            (&["-Q"], 0, "srun says"),
            (&["--quiet"], 0, "srun says"),
            (&["-h"], 0, "start nothing"),
            (&["--help"], 0, "start nothing"),
            (&["--usage"], 0, "start nothing"),
            (&["-V"], 0, "start nothing"),
            (&["--version"], 0, "start nothing"),
            (&["--test-only"], 0, "start nothing"),
            (&["--array=1-3"], 0, "sbatch"),
            (&["-a", "1-3"], 0, "sbatch"),
            (&["hostname"], 0, "not an option"),
            (&["-pmain", "hostname"], 1, "not an option"),
            (&["-p", "main", "--", "hostname"], 2, "not an option"),
            (&["", "-p"], 0, "not an option"),
        ] {
            let bad = of(options).unwrap_or_else(|| panic!("{options:?} is let pass"));
            assert_eq!(bad.at, at, "{options:?}");
            assert!(bad.why.contains(why), "{options:?}: {bad:?}");
        }
        let joined = of(&["-p main"]).unwrap();
        assert_eq!(joined.instead, "write two words: \"-p\", \"main\"");
    }

    #[test]
    fn all_others_are_passed_on() {
        for options in [
            &[][..],
            &["-p", "output", "-A", "n", "-t", "0:05"],
            &["-pnone", "-wn1,n2", "-xn3"],
            &["--partition", "main", "--nodelist=n1", "--exclude", "n3"],
            &["--comment=an output -n 4", "--comment", "of mine"],
            &["-u", "-K", "-I5", "-s", "-K1"],
            &[
                "--exclusive",
                "--immediate=5",
                "--overcommit",
                "--open-mode=append",
            ],
            &[
                "--mem=4G",
                "--gres=gpu:1",
                "-G",
                "1",
                "-c2",
                "--cpus-per-task=2",
            ],
            &[
                "-d",
                "afterok:1",
                "--begin=now+1hour",
                "-H",
                "--hint=nomultithread",
            ],
            &["-D", "/scratch", "--chdir=/scratch", "--export=ALL,N=-n4"],
            &[
                "--qos=high",
                "--time-min=5",
                "--threads-per-core=1",
                "--no-kill",
                "--nice=5",
            ],
            &[
                "--licenses=l",
                "--jobid=7",
                "--network=x",
                "--use-min-nodes",
            ],
        ] {
            assert_eq!(of(options), None, "{options:?}");
        }
    }
}
