//! What a sandbox costs a task: the same work without and with one.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::contender::Kind;
use super::failure::{Failure, Fallible, on};
use super::measure::{self, Call, Sample};
use super::statistics::{median, wall};
use super::suite::{Suite, in_turn};
use super::table::seconds;
use super::work::{Source, Stage, Work};
use super::{check, generate};

/// Items, of which each is a task.
const ITEMS: u16 = 1000;
/// What is in `[defaults]`, whether all lies below `/tmp`, and what the table calls it.
const WAYS: [(&str, bool, &str); 4] = [
    ("", false, "none"),
    ("warm = false", false, "none, and a shell for each task"),
    ("sandbox = true", false, "`sandbox = true`"),
    ("sandbox = true", true, "the same, below `/tmp`"),
];

/// What was measured with one of them.
#[derive(Debug)]
pub struct Way {
    title: &'static str,
    /// By round.
    samples: Vec<Sample>,
}

/// Measures each, in turn.
pub fn measure(suite: &mut Suite, rounds: usize) -> Fallible<Vec<Way>> {
    let work = Work {
        name: "sandbox",
        title: String::new(),
        source: Source::Split(usize::from(ITEMS)),
        stages: vec![Stage::Checked],
        second: false,
        rounds,
    };
    let own = suite.own()?;
    let mut ways = WAYS.map(|(_, _, title)| Way {
        title,
        samples: Vec::new(),
    });
    for round in 0..rounds {
        for at in in_turn(&[0, 1, 2, 3], round) {
            let (defaults, below_tmp, title) = WAYS[at];
            let temporary =
                tempfile::tempdir_in("/tmp").map_err(on("make a folder in", "/tmp".as_ref()))?;
            let folder = if below_tmp {
                temporary.path().join("work")
            } else {
                suite.folder(&format!("sandbox-{at}"), Kind::Own, round)?
            };
            suite.make_room(title, work.needs())?;
            generate::generate(Kind::Own, &work, &folder, suite.parallel())?;
            prepend(&folder.join("workflow.toml"), defaults)?;
            suite.settle()?;
            let mut command = own.command(&work, &folder, suite.parallel());
            match measure::run(&mut command, &suite.log(Kind::Own))? {
                Call::Done(sample) if check::own_done(&folder)? == work.tasks() => {
                    eprintln!("sandbox: {title}: {:.3} s", sample.wall);
                    ways[at].samples.push(sample);
                }
                Call::Done(_) => return Err(failed(title, "not all tasks are done")),
                Call::Failed(why) => return Err(failed(title, &why)),
            }
            if !below_tmp {
                suite.give_up(&work, folder)?;
            }
        }
    }
    Ok(ways.into())
}

fn prepend(manifest: &Path, defaults: &str) -> Fallible<()> {
    let text = fs::read_to_string(manifest).map_err(on("read", manifest))?;
    let text = format!("[defaults]\n{defaults}\n\n{text}");
    fs::write(manifest, text).map_err(on("write", manifest))
}

fn failed(title: &str, why: &str) -> Failure {
    Failure::of_call(
        format!("task-pipeline failed with the sandbox {title}: {why}"),
        why,
    )
}

/// A table of the wall time a task, and of what is above that of the first.
pub fn markdown(ways: &[Way], text: &mut String) {
    let Some(bare) = ways.first() else {
        return;
    };
    let _ = writeln!(
        text,
        "\nWhat a sandbox costs ({ITEMS} files, `tr` and `test` each):\n\n\
         | sandbox | wall time | more, a task |\n|---|---|---|",
    );
    for way in ways {
        let pairs = way.samples.iter().zip(&bare.samples);
        let more = median(pairs.map(|(one, bare)| (one.wall - bare.wall) / f64::from(ITEMS)));
        let time = median(way.samples.iter().map(wall));
        if let (Some(time), Some(more)) = (time, more) {
            let _ = writeln!(
                text,
                "| {} | {} | {:.2} ms |",
                way.title,
                seconds(time),
                more * 1e3
            );
        }
    }
}
