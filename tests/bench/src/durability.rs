//! What each level of durability costs.

use super::contender::Kind;
use super::failure::{Failure, Fallible};
use super::measure::{self, Call, Sample};
use super::options::fan_out;
use super::suite::{Suite, in_turn};
use super::{check, generate};

/// The levels, the default first.
const LEVELS: [&str; 3] = ["lazy", "end", "commit"];

/// What was measured with one of them.
#[derive(Debug)]
pub struct Level {
    /// Its name.
    pub name: &'static str,
    /// By round.
    pub samples: Vec<Sample>,
}

/// The work, for the table.
pub const TITLE: &str = "1000 files, `tr` each";

/// Measures a fan-out of 1000 with each level, in turn.
pub fn measure(suite: &mut Suite, rounds: usize) -> Fallible<Vec<Level>> {
    let work = fan_out("durability", 1000, rounds);
    let own = suite.own()?;
    let mut levels = LEVELS.map(|name| Level {
        name,
        samples: Vec::new(),
    });
    for round in 0..rounds {
        for at in in_turn(&[0, 1, 2], round) {
            let level = &mut levels[at];
            let folder = suite.folder(&format!("durability-{}", level.name), Kind::Own, round)?;
            suite.make_room(TITLE, work.needs())?;
            generate::generate(Kind::Own, &work, &folder, suite.parallel())?;
            suite.settle()?;
            let mut command = own.command(&work, &folder, suite.parallel());
            command.args(["-sync", level.name]);
            match measure::run(&mut command, &suite.log(Kind::Own))? {
                Call::Done(sample) if check::own_done(&folder)? == work.tasks() => {
                    eprintln!("durability: {}: {:.3} s", level.name, sample.wall);
                    level.samples.push(sample);
                }
                Call::Done(_) => return Err(failed(level.name, "not all tasks are done")),
                Call::Failed(why) => return Err(failed(level.name, &why)),
            }
            suite.give_up(&work, folder)?;
        }
    }
    Ok(levels.into())
}

fn failed(level: &str, why: &str) -> Failure {
    Failure::of_call(
        format!("task-pipeline failed with -sync {level}: {why}"),
        why,
    )
}
