//! Works by contenders, in turn.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use super::contender::{ALL, Contender, Kind};
use super::failure::{Failure, Fallible, on};
use super::measure::{self, Call, Sample};
use super::options::Options;
use super::scratch::{Scratch, remove};
use super::work::{BIG, Fingerprint, Source, Work};
use super::{check, generate, interrupt, machine, start};

/// All that was measured.
#[derive(Debug)]
pub struct Results {
    /// The machine, in lines.
    pub machine: Vec<String>,
    /// Who took part.
    pub contenders: Vec<Contender>,
    /// What was left out, and why.
    pub skipped: Vec<String>,
    /// Each work, in order.
    pub works: Vec<Outcome>,
    /// The start-up.
    pub start: Option<Outcome>,
    /// Whether this is the short measurement.
    pub quick: bool,
}

/// What was measured of a work.
#[derive(Debug)]
pub struct Outcome {
    /// For the table.
    pub title: String,
    /// Tasks, the source's included.
    pub tasks: usize,
    /// Whether it is a second call with nothing to do, or the like, in place of a whole run.
    pub whole: bool,
    /// Whether this is a fan-out of `tr`, to be compared by size.
    pub scales: bool,
    /// By round. A contender that could not take part is not in it.
    pub samples: BTreeMap<Kind, Vec<Sample>>,
    /// Bytes of this program's state afterwards, objects aside.
    pub state: Option<u64>,
}

/// A measurement.
pub struct Suite<'a> {
    options: &'a Options,
    parallel: usize,
    scratch: Scratch,
    contenders: Vec<Contender>,
    skipped: Vec<String>,
}

/// Rounds of second calls.
const SECOND: usize = 9;

impl<'a> Suite<'a> {
    /// Looks for contenders.
    pub fn new(options: &'a Options, parallel: usize) -> Fallible<Self> {
        let scratch = Scratch::take()?;
        let mut contenders = Vec::new();
        let mut skipped = Vec::new();
        for kind in ALL {
            match kind.find(options.program.as_deref()) {
                Some(contender) => contenders.push(contender),
                None => skipped.push(format!("{} is not installed", kind.name())),
            }
        }
        for line in &skipped {
            eprintln!("peers: {line}");
        }
        Ok(Self {
            options,
            parallel,
            scratch,
            contenders,
            skipped,
        })
    }

    /// Measures all.
    pub fn run(mut self) -> Fallible<Results> {
        let mut works = Vec::new();
        for work in &self.options.works {
            self.scratch.has_room(&work.title, work.needs())?;
            works.extend(self.work(work)?);
        }
        let start = if self.options.start {
            let rounds = if self.options.quick { 5 } else { 15 };
            Some(start::measure(
                &self.contenders,
                self.scratch.path(),
                rounds,
            )?)
        } else {
            None
        };
        interrupt::check()?;
        Ok(Results {
            machine: machine::describe(self.scratch.path(), self.parallel),
            contenders: self.contenders,
            skipped: self.skipped,
            works,
            start,
            quick: self.options.quick,
        })
    }

    /// One work: all rounds, then second calls where they are wanted.
    fn work(&mut self, work: &Work) -> Fallible<Vec<Outcome>> {
        let mut expected = match work.source {
            Source::Copy(bytes) => Some(self.big(bytes)?),
            Source::Split(_) => work.expected(),
        };
        let mut outcome = Outcome {
            title: work.title.clone(),
            tasks: work.tasks(),
            whole: true,
            scales: work.name.starts_with("fan-"),
            samples: BTreeMap::new(),
            state: None,
        };
        let mut taking_part: Vec<Contender> = self.taking_part(work);
        let mut kept = Vec::new();
        for round in 0..work.rounds {
            let last = round + 1 == work.rounds;
            for contender in in_turn(&taking_part.clone(), round) {
                let kind = contender.kind;
                if kind.is_slow() && round > 0 {
                    continue;
                }
                let keep = last && work.second && kind.remembers();
                match self.once(&contender, work, &mut expected, keep, &mut outcome)? {
                    Call::Done(sample) => {
                        eprintln!("{}: {}: {:.3} s", work.name, kind.name(), sample.wall);
                        outcome.samples.entry(kind).or_default().push(sample);
                        if keep {
                            kept.push(contender);
                        }
                    }
                    Call::Failed(why) => {
                        self.leave_out(kind, work, &why)?;
                        outcome.samples.remove(&kind);
                        taking_part.retain(|other| other.kind != kind);
                    }
                }
            }
        }
        let mut outcomes = vec![outcome];
        if work.second {
            outcomes.push(self.second(work, kept)?);
        }
        Ok(outcomes)
    }

    fn taking_part(&self, work: &Work) -> Vec<Contender> {
        let huge = work.items() > 100_000;
        let able = |one: &&Contender| one.kind.can(work) && (!huge || one.kind == Kind::Own);
        self.contenders.iter().filter(able).cloned().collect()
    }

    /// A contender's failure: the end if it is this program's, else a column less.
    fn leave_out(&mut self, kind: Kind, work: &Work, why: &str) -> Fallible<()> {
        let message = format!("{} failed at \"{}\": {why}", kind.name(), work.title);
        let full = why.contains("No space left") || why.contains("no space left");
        if full {
            return Err(Failure::Full {
                what: format!("{} at \"{}\"", kind.name(), work.title),
            });
        }
        if matches!(kind, Kind::Own | Kind::Floor) {
            return Err(Failure::new(
                message,
                "nothing is written; put that right first",
            ));
        }
        eprintln!("peers: {message}");
        self.skipped.push(message);
        Ok(())
    }

    fn folder(&self, kind: Kind) -> PathBuf {
        self.scratch.path().join(kind.name())
    }

    /// One call in a folder of its own, with its results checked.
    fn once(
        &self,
        contender: &Contender,
        work: &Work,
        expected: &mut Option<Fingerprint>,
        keep: bool,
        outcome: &mut Outcome,
    ) -> Fallible<Call> {
        let kind = contender.kind;
        let folder = self.folder(kind);
        generate::generate(kind, work, &folder, self.parallel)?;
        self.settle()?;
        let mut command = contender.command(work, &folder, self.parallel);
        let mut call = measure::run(&mut command, &self.log(kind))?;
        if let Call::Done(_) = call {
            let results = check::results(kind, work, &folder)?;
            if results != *expected.get_or_insert(results) {
                call = Call::Failed(format!(
                    "{} results, which are not what they must be",
                    results.count
                ));
            } else if kind == Kind::Own {
                let done = check::own_done(&folder)?;
                if done != work.tasks() {
                    call = Call::Failed(format!("{done} tasks done, not {}", work.tasks()));
                }
                outcome.state = Some(check::own_state(&folder)?);
            }
        }
        if !keep {
            remove(&folder)?;
        }
        Ok(call)
    }

    /// Second calls, with nothing to do.
    fn second(&mut self, work: &Work, mut kept: Vec<Contender>) -> Fallible<Outcome> {
        let mut outcome = Outcome {
            title: format!("{}: second run, nothing to do", work.title),
            tasks: work.tasks(),
            whole: false,
            scales: false,
            samples: BTreeMap::new(),
            state: None,
        };
        for round in 0..SECOND {
            for contender in in_turn(&kept.clone(), round) {
                let kind = contender.kind;
                self.settle()?;
                let folder = self.folder(kind);
                let mut command = contender.command(work, &folder, self.parallel);
                match measure::run(&mut command, &self.log(kind))? {
                    Call::Done(sample) => outcome.samples.entry(kind).or_default().push(sample),
                    Call::Failed(why) => {
                        self.leave_out(kind, work, &why)?;
                        outcome.samples.remove(&kind);
                        kept.retain(|other| other.kind != kind);
                    }
                }
            }
        }
        for kind in ALL {
            remove(&self.folder(kind))?;
        }
        Ok(outcome)
    }

    /// What one contender wrote must not be paid by the next.
    fn settle(&self) -> Fallible<()> {
        let path = self.scratch.path();
        let folder = File::open(path).map_err(on("open", path))?;
        rustix::fs::syncfs(folder)
            .map_err(std::io::Error::from)
            .map_err(on("sync", path))
    }

    fn log(&self, kind: Kind) -> PathBuf {
        self.scratch.path().join(format!("{}.log", kind.name()))
    }

    /// Writes a file of `bytes` random bytes, and gives the fingerprint of it as a result.
    fn big(&self, bytes: u64) -> Fallible<Fingerprint> {
        let path = self.scratch.path().join(BIG);
        let mut out =
            BufWriter::with_capacity(1 << 20, File::create(&path).map_err(on("create", &path))?);
        // xorshift64: its statistics do not matter, only that no file system can compress it.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for word in 0..bytes / 8 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            if word % (1 << 20) == 0 {
                interrupt::check()?;
            }
            out.write_all(&state.to_le_bytes())
                .map_err(on("write", &path))?;
        }
        out.flush().map_err(on("write", &path))?;
        let mut fingerprint = Fingerprint::default();
        fingerprint.add_hash(&check::hash(&path)?);
        Ok(fingerprint)
    }
}

/// From another one on in each round, so that none always follows the same.
fn in_turn(contenders: &[Contender], round: usize) -> Vec<Contender> {
    let mut order = contenders.to_vec();
    let by = round % order.len().max(1);
    order.rotate_left(by);
    order
}
