//! One task on what very many tasks or one left, beside the same command by hand.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::contender::Kind;
use super::failure::{Failure, Fallible, on};
use super::measure::{Call, run};
use super::suite::{Outcome, Suite};
use super::work::{BIG, Source, Work};

/// Outputs that are gathered.
const OUTPUTS: usize = 10_000;

/// What the task reads of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// All files, in `INPUT_DIR`.
    Files,
    /// The list of them alone.
    List,
}

impl Reads {
    fn name(self) -> &'static str {
        match self {
            Self::Files => "gather",
            Self::List => "gather-list",
        }
    }

    fn title(self) -> String {
        match self {
            Self::Files => {
                format!("{OUTPUTS} files gathered and read by one task, and `cat` alone")
            }
            Self::List => format!("{OUTPUTS} files gathered, and their list read by one task"),
        }
    }

    fn script(self) -> &'static str {
        match self {
            Self::Files => "cat \"$INPUT_DIR\"/* > \"$OUTPUT_DIR/out\"",
            Self::List => "cat \"$INPUT_FILE\" > \"$OUTPUT_DIR/out\"",
        }
    }
}

/// Measures it: what is gathered is there in both cases, and so is the order of its names.
pub fn measure(suite: &mut Suite, rounds: usize, reads: Reads) -> Fallible<Outcome> {
    let work = Work {
        name: reads.name(),
        title: String::new(),
        source: Source::Split(OUTPUTS),
        stages: Vec::new(),
        second: false,
        rounds,
    };
    let program = suite.own()?.program;
    let title = reads.title();
    let mut outcome = Outcome::new(work.name, &title, 1);
    for round in 0..rounds {
        for kind in [Kind::Own, Kind::Floor] {
            suite.make_room(&title, work.needs())?;
            let folder = suite.folder(work.name, kind, round)?;
            fs::create_dir(&folder).map_err(on("make the folder", &folder))?;
            let log = suite.log(kind);
            let mut command = if kind == Kind::Own {
                let mut prepared = prepared(&work, reads, &program, (&folder, &log))?;
                prepared.arg("-run");
                prepared
            } else {
                by_hand(&work, &folder)?
            };
            suite.settle()?;
            match run(&mut command, &log)? {
                Call::Done(sample) => outcome.samples.entry(kind).or_default().push(sample),
                Call::Failed(why) => return Err(failed(&why)),
            }
            suite.give_up(&work, folder)?;
        }
    }
    Ok(outcome)
}

/// This program in a folder where all that is to be gathered is there.
fn prepared(
    work: &Work,
    reads: Reads,
    program: &Path,
    (folder, log): (&Path, &Path),
) -> Fallible<Command> {
    let split = work.source_command("$OUTPUT_DIR", "_all", BIG);
    let manifest = format!(
        "[[step]]\nname = \"source\"\nstart = true\nscript = '''{split}'''\n\
         [[step]]\nname = \"all\"\ngather = true\nscript = '{}'\n",
        reads.script()
    );
    let path = folder.join("workflow.toml");
    fs::write(&path, manifest).map_err(on("write", &path))?;
    let mut command = Command::new(program);
    command.current_dir(folder);
    let mut first = Command::new(program);
    first.current_dir(folder).args(["-run", "-until", "source"]);
    match run(&mut first, log)? {
        Call::Done(_) => Ok(command),
        Call::Failed(why) => Err(failed(&why)),
    }
}

fn by_hand(work: &Work, folder: &Path) -> Fallible<Command> {
    let files = folder.join("files");
    fs::create_dir(&files).map_err(on("make the folder", &files))?;
    let split = work.source_command("files", "_all", BIG);
    let mut made = shell(folder, &split);
    let made = made.status().map_err(on("start", Path::new("sh")))?;
    if !made.success() {
        return Err(failed(&made.to_string()));
    }
    Ok(shell(folder, "cat files/* > out"))
}

fn shell(folder: &Path, script: &str) -> Command {
    let mut command = Command::new("sh");
    command.current_dir(folder).args(["-e", "-c", script]);
    command
}

fn failed(why: &str) -> Failure {
    Failure::new(
        format!("gather: {why}"),
        "nothing is written; put that right first",
    )
}
