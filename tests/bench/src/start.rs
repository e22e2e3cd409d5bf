//! From the call to the first task, with a thousand steps in the manifest.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags, mkfifoat};

use super::contender::{Contender, Kind};
use super::failure::{Failure, Fallible, on};
use super::interrupt;
use super::measure::Sample;
use super::suite::Outcome;

const STEPS: usize = 1000;
/// What the first task does: a write that is seen at once.
const FIRST: &str = "echo > ../first";
const PATIENCE: Timespec = Timespec {
    tv_sec: 20,
    tv_nsec: 0,
};

/// Measures it.
pub fn measure(contenders: &[Contender], scratch: &Path, rounds: usize) -> Fallible<Outcome> {
    let fifo = scratch.join("first");
    mkfifoat(CWD, &fifo, Mode::RUSR | Mode::WUSR)
        .map_err(std::io::Error::from)
        .map_err(on("make the FIFO", &fifo))?;
    let pair = [Kind::Own, Kind::Ninja];
    let mut samples: BTreeMap<Kind, Vec<Sample>> = BTreeMap::new();
    for round in 0..rounds {
        for contender in contenders.iter().filter(|one| pair.contains(&one.kind)) {
            let folder = scratch.join(format!("start-{}-{round}", contender.kind.folder()));
            fs::create_dir(&folder).map_err(on("make the folder", &folder))?;
            let sample = once(contender, &folder, &fifo)?;
            samples.entry(contender.kind).or_default().push(sample);
        }
    }
    fs::remove_file(&fifo).map_err(on("remove", &fifo))?;
    Ok(Outcome {
        samples,
        ..Outcome::new("start", "start-up to the first task, 1000 steps, new db", 1)
    })
}

fn once(contender: &Contender, folder: &Path, fifo: &Path) -> Fallible<Sample> {
    write(contender.kind, folder)?;
    // Open for writing too, so that neither side waits for the other to open it.
    let mut end = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags_nonblocking()
        .open(fifo)
        .map_err(on("open", fifo))?;
    let mut command = Command::new(&contender.program);
    match contender.kind {
        Kind::Own => command.arg("-run"),
        _ => command.args(["-j", "2"]),
    };
    command
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let start = Instant::now();
    let mut child = command.spawn().map_err(on("start", &contender.program))?;
    let ready = poll(&mut [PollFd::new(&end, PollFlags::IN)], Some(&PATIENCE));
    let wall = start.elapsed().as_secs_f64();
    if !matches!(ready, Ok(1)) {
        let _ = child.kill();
    }
    let status = child.wait().map_err(on("wait for", &contender.program))?;
    interrupt::check()?;
    if !matches!(ready, Ok(1)) || !status.success() {
        return Err(Failure::new(
            format!(
                "{} did not start its first task: {status}",
                contender.kind.name()
            ),
            "nothing is written; put that right first",
        ));
    }
    let _ = end.read(&mut [0; 16]);
    Ok(Sample {
        wall,
        ..Sample::default()
    })
}

/// So that a read of the FIFO never waits.
trait NonBlocking {
    fn custom_flags_nonblocking(&mut self) -> &mut Self;
}

impl NonBlocking for OpenOptions {
    fn custom_flags_nonblocking(&mut self) -> &mut Self {
        use std::os::unix::fs::OpenOptionsExt;
        self.custom_flags(OFlags::NONBLOCK.bits().cast_signed())
    }
}

fn write(kind: Kind, folder: &Path) -> Fallible<()> {
    let path = folder.join(match kind {
        Kind::Own => "workflow.toml",
        _ => "build.ninja",
    });
    let fill = || -> std::io::Result<()> {
        let mut out = BufWriter::new(File::create(&path)?);
        if kind == Kind::Own {
            writeln!(
                out,
                "[[step]]\nname = \"source\"\nstart = true\nscript = \"{FIRST}\""
            )?;
            for n in 1..STEPS {
                writeln!(out, "[[step]]\nname = \"s{n}\"\nscript = \"echo {n}\"")?;
            }
        } else {
            writeln!(out, "rule source\n  command = {FIRST}\nbuild s0: source")?;
            for n in 1..STEPS {
                writeln!(out, "rule s{n}\n  command = echo {n}\nbuild s{n}: s{n} s0")?;
            }
            writeln!(out, "default s0")?;
        }
        out.flush()
    };
    fill().map_err(on("write", &path))
}
