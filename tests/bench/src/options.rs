//! The command line of the measurement, and the works that it asks for.

use std::path::PathBuf;

use super::failure::{Failure, Fallible};
use super::flat;
use super::own;
use super::work::{Source, Stage, Work};

const HELP: &str = "\
Measures task-pipeline beside what is installed of ninja, n2, make, xargs, snakemake, redun and
nextflow. Installs nothing. Takes some 40 minutes on two cores; with --quick some 2. The last three
of these do each work once, which adds some 2 minutes for each of them.

    cargo run --release -p bench -- [OPTIONS]

    --quick          fewer rounds, and none of the large works
    --million        also 1 000 000 tasks, with this program alone: at once, and in slices with small
                     runs between them (`flat`); an hour, 25 GiB
    --flat N         `flat` with N tasks in place of 1 000 000, for a try
    --warm           also this program with `warm = true` in its manifests
    --profile        also where a task's time goes: system calls and instructions, by name
                     (needs strace and valgrind)
    --only NAME      this work only; may be said more than once. `machines` (workers over ssh and on a
                     Slurm that is started for it, beside GNU parallel, jobs of Slurm and Snakemake)
                     is done if it is said, and only then
    --rounds N       so many rounds of each work
    --scratch DIR    where everything is made, in a folder that is removed at the end
                     (default: in the target folder); on the file system that is to be measured
    --out DIR        where peers.md and peers.svg go (default: target/peers)
    --readme FILE    also puts the tables into FILE, between its two marker comments
    --program FILE   another build of task-pipeline
    --list           the names of the works";

/// What is asked for.
#[derive(Debug)]
pub enum Wanted {
    /// Only words.
    Words(String),
    /// A measurement.
    Measurement(Options),
}

/// How to measure.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // Each of them is a flag.
pub struct Options {
    /// Fewer and smaller.
    pub quick: bool,
    /// Another build of this program.
    pub program: Option<PathBuf>,
    /// Where results go.
    pub out: PathBuf,
    /// The works.
    pub works: Vec<Work>,
    /// Whether the start-up is measured.
    pub start: bool,
    /// Rounds of a gather; 0: it is not measured.
    pub gather: usize,
    /// Whether a second run after 1 000 000 tasks is measured.
    pub second_of_million: bool,
    /// Rounds of each level of durability; 0: it is not measured.
    pub durability: usize,
    /// Rounds of what a sandbox costs; 0: it is not measured.
    pub sandbox: usize,
    /// Tasks of the run that is done in slices; 0: it is not measured.
    pub flat: usize,
    /// Rounds of what an environment costs; 0: it is not measured.
    pub environment: usize,
    /// Rounds of tasks on other machines; 0: it is not measured.
    pub machines: usize,
    /// Whether this program is also measured with `warm = true`.
    pub warm: bool,
    /// Whether a task is looked into.
    pub profile: bool,
    /// Where to measure.
    pub scratch: Option<PathBuf>,
    /// A text that the tables go into, too.
    pub readme: Option<PathBuf>,
}

/// What is measured besides works, by name.
const START: &str = "start";
const GATHER: &str = "gather";
const SECOND_OF_MILLION: &str = "second-1000000";
const DURABILITY: &str = "durability";
const SANDBOX: &str = "sandbox";
const ENVIRONMENT: &str = "environment";
const FLAT: &str = "flat";
const MACHINES: &str = "machines";

/// The arguments as they are said.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // Flags are what a command line has.
struct Said {
    quick: bool,
    million: bool,
    warm: bool,
    profile: bool,
    list: bool,
    help: bool,
    only: Vec<String>,
    rounds: Option<usize>,
    flat: Option<usize>,
    out: Option<PathBuf>,
    scratch: Option<PathBuf>,
    readme: Option<PathBuf>,
    program: Option<PathBuf>,
}

impl Said {
    fn read(arguments: &[String]) -> Fallible<Self> {
        let mut said = Self::default();
        let mut rest = arguments.iter();
        while let Some(word) = rest.next() {
            let mut value = || {
                rest.next()
                    .ok_or_else(|| wrong(&format!("{word} needs a value")))
            };
            match word.as_str() {
                "--quick" => said.quick = true,
                "--million" => said.million = true,
                "--warm" => said.warm = true,
                "--profile" => said.profile = true,
                "--scratch" => said.scratch = Some(PathBuf::from(value()?)),
                "--readme" => said.readme = Some(PathBuf::from(value()?)),
                "--list" => said.list = true,
                "--help" | "-h" => said.help = true,
                "--only" => said.only.push(value()?.clone()),
                "--rounds" => said.rounds = Some(count(word, value()?)?),
                "--flat" => said.flat = Some(count(word, value()?)?),
                "--out" => said.out = Some(PathBuf::from(value()?)),
                "--program" => said.program = Some(program(value()?)?),
                other => return Err(wrong(&format!("{other} is unknown"))),
            }
        }
        Ok(said)
    }
}

fn count(option: &str, text: &str) -> Fallible<usize> {
    let count = text.parse().ok().filter(|count| *count > 0);
    count.ok_or_else(|| wrong(&format!("{option} {text}: not a number above 0")))
}

fn program(text: &str) -> Fallible<PathBuf> {
    std::path::absolute(text)
        .ok()
        .filter(|path| path.is_file())
        .ok_or_else(|| wrong(&format!("there is no program {text}")))
}

impl Options {
    /// Reads the arguments.
    pub fn parse(arguments: &[String]) -> Fallible<Wanted> {
        let said = Said::read(arguments)?;
        if said.help {
            return Ok(Wanted::Words(HELP.to_owned()));
        }
        let mut works = works(said.quick, said.million);
        let mut names: Vec<&str> = works.iter().map(|work| work.name).collect();
        names.extend([START, GATHER, DURABILITY, SANDBOX, ENVIRONMENT, MACHINES]);
        if !said.quick {
            names.push(SECOND_OF_MILLION);
        }
        let flat = said.flat.or(said.million.then_some(flat::ITEMS));
        if flat.is_some() {
            names.push(FLAT);
        }
        if said.list {
            return Ok(Wanted::Words(names.join("\n")));
        }
        if let Some(bad) = said
            .only
            .iter()
            .find(|name| !names.contains(&name.as_str()))
        {
            return Err(wrong(&format!(
                "there is no work {bad} here; there are {}",
                names.join(", ")
            )));
        }
        let asked = |name: &str| said.only.is_empty() || said.only.iter().any(|one| one == name);
        works.retain(|work| asked(work.name));
        if let Some(rounds) = said.rounds {
            for work in &mut works {
                work.rounds = rounds;
            }
        }
        let rounds = said.rounds.unwrap_or(if said.quick { 3 } else { 9 });
        let out = match said.out {
            Some(out) => out,
            None => own::target()?.join("peers"),
        };
        Ok(Wanted::Measurement(Self {
            quick: said.quick,
            program: said.program,
            out,
            works,
            start: asked(START),
            gather: if asked(GATHER) { rounds } else { 0 },
            second_of_million: asked(SECOND_OF_MILLION) && !said.quick,
            durability: if asked(DURABILITY) { rounds } else { 0 },
            sandbox: if asked(SANDBOX) { rounds } else { 0 },
            flat: flat.filter(|_| asked(FLAT)).unwrap_or(0),
            environment: if asked(ENVIRONMENT) { rounds } else { 0 },
            // It takes minutes, of a Slurm for the most part.
            machines: if said.only.iter().any(|name| name == MACHINES) {
                said.rounds.unwrap_or(3)
            } else {
                0
            },
            warm: said.warm,
            profile: said.profile,
            scratch: said.scratch,
            readme: said.readme,
        }))
    }
}

fn wrong(message: &str) -> Failure {
    Failure::new(message, "see cargo run --release -p bench -- --help")
}

/// All works of a measurement of that size.
fn works(quick: bool, million: bool) -> Vec<Work> {
    let mut works = vec![
        Work {
            second: true,
            ..fan_out("fan-1000", 1000, 9)
        },
        Work {
            second: true,
            ..fan_out("fan-10000", 10_000, 3)
        },
        work("pipes", 1000, vec![Stage::Piped], 9)
            .titled("1000 files, a pipe of `tr` and `cat` each"),
        work("shell", 1000, vec![Stage::Checked], 9).titled("1000 files, `tr` and `test` each"),
        work("grid", 200, vec![Stage::Rotate; 5], 9).titled("200 items × 5 steps"),
        work("chain", 1, vec![Stage::Cat; 200], 9).titled("chain of 200 `cat`"),
        work("nothing", 2000, vec![Stage::Nothing], 9).titled("`:` × 2000"),
        work("outputs-20000", 20_000, vec![], 5).titled("one task, 20 000 outputs"),
        work("outputs-100000", 100_000, vec![], 3).titled("one task, 100 000 outputs"),
        Work {
            source: Source::Copy(1 << 30),
            ..work("copies", 1, vec![Stage::Cat; 2], 5).titled("1 GiB through 3 `cat`")
        },
        fan_out("fan-100000", 100_000, 1),
    ];
    if quick {
        works
            .retain(|work| work.tasks() <= 2001 && work.items() <= 20_000 && work.name != "copies");
        for work in &mut works {
            work.rounds = 3;
        }
    }
    if million {
        works.push(Work {
            second: true,
            ..fan_out("fan-1000000", 1_000_000, 1)
        });
    }
    works
}

fn work(name: &'static str, items: usize, stages: Vec<Stage>, rounds: usize) -> Work {
    Work {
        name,
        title: String::new(),
        source: Source::Split(items),
        stages,
        second: false,
        rounds,
    }
}

/// So many files, `tr` each.
pub fn fan_out(name: &'static str, items: usize, rounds: usize) -> Work {
    work(name, items, vec![Stage::Upper], rounds).titled(&format!("{items} files, `tr` each"))
}
