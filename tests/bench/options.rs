//! The command line of the measurement, and the works that it asks for.

use std::path::PathBuf;

use super::failure::{Failure, Fallible};
use super::work::{Source, Stage, Work};

const HELP: &str = "\
Measures task-pipeline beside what is installed of ninja, n2, make, xargs, snakemake, redun and
nextflow. Installs nothing. Takes some 40 minutes on two cores; with --quick some 2.

    cargo bench --bench peers -- [OPTIONS]

    --quick          fewer rounds, and none of the large works
    --million        also 1 000 000 tasks, with this program alone (half an hour, 10 GiB)
    --only NAME      this work only; may be said more than once
    --rounds N       so many rounds of each work
    --out DIR        where peers.md and peers.svg go (default: target/peers)
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
}

/// The name of the start-up among the works.
const START: &str = "start";

impl Options {
    /// Reads the arguments.
    pub fn parse(arguments: &[String]) -> Fallible<Wanted> {
        let (mut quick, mut million, mut benched) = (false, false, false);
        let (mut only, mut rounds, mut program, mut list) = (Vec::new(), None, None, false);
        let mut out = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        out.set_file_name("peers");
        let mut rest = arguments.iter();
        while let Some(word) = rest.next() {
            let mut value = || {
                rest.next()
                    .ok_or_else(|| wrong(&format!("{word} needs a value")))
            };
            match word.as_str() {
                // What cargo says to a benchmark; it is not said by `cargo test`.
                "--bench" => benched = true,
                "--quick" => quick = true,
                "--million" => million = true,
                "--list" => list = true,
                "--only" => only.push(value()?.clone()),
                "--rounds" => {
                    let text = value()?;
                    let count: Option<usize> = text.parse().ok().filter(|count| *count > 0);
                    rounds = Some(
                        count.ok_or_else(|| wrong(&format!("--rounds {text}: not a number")))?,
                    );
                }
                "--out" => out = PathBuf::from(value()?),
                "--program" => program = Some(PathBuf::from(value()?)),
                "--help" | "-h" => return Ok(Wanted::Words(HELP.to_owned())),
                other => return Err(wrong(&format!("{other} is unknown"))),
            }
        }
        if !benched {
            return Ok(Wanted::Words(
                "peers: nothing is measured by `cargo test`; use cargo bench --bench peers".into(),
            ));
        }
        let mut works = works(quick, million);
        let mut names: Vec<&str> = works.iter().map(|work| work.name).collect();
        names.push(START);
        if list {
            return Ok(Wanted::Words(names.join("\n")));
        }
        if let Some(bad) = only.iter().find(|name| !names.contains(&name.as_str())) {
            return Err(wrong(&format!(
                "there is no work {bad} here; there are {}",
                names.join(", ")
            )));
        }
        let asked = |name: &str| only.is_empty() || only.iter().any(|one| one == name);
        works.retain(|work| asked(work.name));
        if let Some(rounds) = rounds {
            for work in &mut works {
                work.rounds = rounds;
            }
        }
        if let Some(path) = &program
            && !path.is_file()
        {
            return Err(wrong(&format!("there is no program {}", path.display())));
        }
        Ok(Wanted::Measurement(Self {
            quick,
            program: program.map(|path| std::path::absolute(&path).unwrap_or(path)),
            out,
            works,
            start: asked(START),
        }))
    }
}

fn wrong(message: &str) -> Failure {
    Failure::new(message, "see cargo bench --bench peers -- --help")
}

/// All works of a measurement of that size.
fn works(quick: bool, million: bool) -> Vec<Work> {
    let rounds = |full: usize| if quick { 3 } else { full };
    let work = |name, title: &str, source, stages, count| Work {
        name,
        title: title.to_owned(),
        source,
        stages,
        second: false,
        rounds: rounds(count),
    };
    let upper = || vec![Stage::Upper];
    let split = Source::Split;
    let mut works = vec![
        work("fan-1000", "1000 files, `tr` each", split(1000), upper(), 9),
        Work {
            second: true,
            ..work(
                "fan-10000",
                "10 000 files, `tr` each",
                split(10_000),
                upper(),
                3,
            )
        },
        work(
            "grid",
            "200 items × 5 steps",
            split(200),
            vec![Stage::Rotate; 5],
            9,
        ),
        work(
            "chain",
            "chain of 200 `cat`",
            split(1),
            vec![Stage::Cat; 200],
            9,
        ),
        work(
            "nothing",
            "`:` × 2000",
            split(2000),
            vec![Stage::Nothing],
            9,
        ),
        work(
            "outputs-20000",
            "one task, 20 000 outputs",
            split(20_000),
            vec![],
            5,
        ),
    ];
    if quick {
        works.retain(|work| work.name != "fan-10000");
        return works;
    }
    let copies = Source::Copy(1 << 30);
    works.extend([
        work(
            "outputs-100000",
            "one task, 100 000 outputs",
            split(100_000),
            vec![],
            3,
        ),
        work(
            "copies",
            "1 GiB through 3 `cat`",
            copies,
            vec![Stage::Cat; 2],
            5,
        ),
        work(
            "fan-100000",
            "100 000 files, `tr` each",
            split(100_000),
            upper(),
            1,
        ),
    ]);
    if million {
        works.push(Work {
            second: true,
            ..work(
                "fan-1000000",
                "1 000 000 files, `tr` each",
                split(1_000_000),
                upper(),
                1,
            )
        });
    }
    works
}
