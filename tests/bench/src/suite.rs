//! Works by contenders, in turn.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::contender::{ALL, Contender, Kind};
use super::failure::{Failure, Fallible, on};
use super::gather::Reads;
use super::goal::{self, Goal};
use super::measure::{self, Call, Sample};
use super::options::Options;
use super::scratch::{Scratch, is_full};
use super::work::{BIG, Fingerprint, Source, Work};
use super::{
    boxed, check, durability, environment, flat, gather, generate, interrupt, machine, machines,
    multiply, profile, start,
};

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
    /// Whole runs by when this program syncs.
    pub durability: Vec<durability::Level>,
    /// Whole runs by what sandbox tasks have.
    pub sandbox: Vec<boxed::Way>,
    /// Time a task as a run grows.
    pub flat: Option<flat::Flat>,
    /// What entering an environment costs.
    pub environment: Option<environment::Cost>,
    /// Tasks on other machines.
    pub machines: machines::Machines,
    /// Where a task's time goes, in Markdown.
    pub profile: Option<String>,
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
    /// What is to be reached.
    pub goal: Option<Goal>,
}

impl Outcome {
    /// Of the work of that name; nothing is measured yet.
    pub fn new(name: &str, title: &str, tasks: usize) -> Self {
        Self {
            title: title.to_owned(),
            tasks,
            whole: false,
            scales: false,
            samples: BTreeMap::new(),
            state: None,
            goal: goal::of(name),
        }
    }
}

/// A measurement.
pub struct Suite<'a> {
    options: &'a Options,
    parallel: usize,
    scratch: Scratch,
    contenders: Vec<Contender>,
    skipped: Vec<String>,
}

/// Longest time of a slow contender's call: redun, for one, hangs where the disk is full.
const LIMIT: Duration = Duration::from_mins(10);

/// Rounds of second calls.
pub const SECOND: usize = 9;

impl<'a> Suite<'a> {
    /// Looks for contenders.
    pub fn new(options: &'a Options, program: &Path, parallel: usize) -> Fallible<Self> {
        let scratch = Scratch::take(options.scratch.as_deref())?;
        let mut contenders = Vec::new();
        let mut skipped = Vec::new();
        for kind in ALL {
            if kind == Kind::Warm && !options.warm {
                continue;
            }
            match kind.find(program) {
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

    /// Measures all. What lies in the folder is removed when that is dropped, which takes a while.
    pub fn run(mut self) -> Fallible<(Results, Scratch)> {
        let options = self.options;
        let mut works = Vec::new();
        for work in &options.works {
            works.extend(self.work(work)?);
        }
        if options.second_of_million {
            works.push(multiply::measure(&mut self)?);
        }
        let flat = match options.flat {
            0 => None,
            items => {
                let (flat, second) = flat::measure(&mut self, items)?;
                works.push(second);
                Some(flat)
            }
        };
        if options.start {
            let rounds = if options.quick { 5 } else { 15 };
            works.push(start::measure(
                &self.contenders,
                self.scratch.path(),
                rounds,
            )?);
        }
        if options.gather > 0 {
            for reads in [Reads::Files, Reads::List] {
                works.push(gather::measure(&mut self, options.gather, reads)?);
            }
        }
        let durability = match options.durability {
            0 => Vec::new(),
            rounds => durability::measure(&mut self, rounds)?,
        };
        let sandbox = match options.sandbox {
            0 => Vec::new(),
            rounds => boxed::measure(&mut self, rounds)?,
        };
        let environment = self.environment(options.environment)?;
        let machines = match options.machines {
            0 => machines::Machines::default(),
            rounds => {
                let (measured, skipped) = machines::measure(&mut self, rounds)?;
                self.skipped.extend(skipped);
                measured
            }
        };
        let profile = if options.profile {
            Some(profile::markdown(&self.own()?, self.scratch.path())?)
        } else {
            None
        };
        interrupt::check()?;
        if self.scratch.removed() > 0 {
            self.skipped.push(format!(
                "{} folders were removed between measurements for want of room, which on ext4 \
                 slows down what comes next",
                self.scratch.removed()
            ));
        }
        let results = Results {
            machine: machine::describe(self.scratch.path(), self.parallel),
            contenders: self.contenders,
            skipped: self.skipped,
            works,
            durability,
            sandbox,
            flat,
            environment,
            machines,
            profile,
            quick: self.options.quick,
        };
        Ok((results, self.scratch))
    }

    fn environment(&mut self, rounds: usize) -> Fallible<Option<environment::Cost>> {
        if rounds == 0 {
            return Ok(None);
        }
        let measured = environment::measure(self, rounds)?;
        Ok(measured
            .map_err(|why| {
                eprintln!("peers: {why}");
                self.skipped.push(why);
            })
            .ok())
    }

    /// One work: all rounds, then second calls where they are wanted.
    fn work(&mut self, work: &Work) -> Fallible<Vec<Outcome>> {
        let mut expected = match work.source {
            Source::Copy(bytes) => Some(self.big(bytes)?),
            Source::Split(_) => work.expected(),
        };
        let mut outcome = Outcome {
            whole: true,
            scales: work.name.starts_with("fan-"),
            ..Outcome::new(work.name, &work.title, work.tasks())
        };
        let mut taking_part: Vec<Contender> = self.taking_part(work);
        let mut kept = Vec::new();
        for round in 0..work.rounds {
            for contender in in_turn(&taking_part.clone(), round) {
                let kind = contender.kind;
                if kind.is_slow() && round > 0 {
                    continue;
                }
                let last = kind.is_slow() || round + 1 == work.rounds;
                let keep = last && work.second && kind.remembers();
                let folder = self.folder(work.name, kind, round)?;
                self.scratch.make_room(&work.title, work.needs())?;
                let call = self.once(&contender, work, &folder, &mut expected, &mut outcome)?;
                if !(keep && matches!(call, Call::Done(_))) {
                    self.give_up(work, folder.clone())?;
                }
                match call {
                    Call::Done(sample) => {
                        eprintln!("{}: {}: {:.3} s", work.name, kind.name(), sample.wall);
                        outcome.samples.entry(kind).or_default().push(sample);
                        if keep {
                            kept.push((contender, folder));
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
        let able = |one: &&Contender| one.kind.can(work) && (!huge || one.kind.is_own());
        self.contenders.iter().filter(able).cloned().collect()
    }

    /// A contender's failure: the end if it is this program's, else a column less.
    fn leave_out(&mut self, kind: Kind, work: &Work, why: &str) -> Fallible<()> {
        let message = format!("{} failed at \"{}\": {why}", kind.name(), work.title);
        let failure = Failure::of_call(message.clone(), why);
        if kind.is_own() || kind == Kind::Floor || matches!(failure, Failure::Full { .. }) {
            return Err(failure);
        }
        eprintln!("peers: {message}");
        // One line in the table: of many words the last say most.
        let last = why.trim_end().lines().last().unwrap_or_default().trim();
        self.skipped.push(format!(
            "{} failed at \"{}\": {last}",
            kind.name(),
            work.title
        ));
        Ok(())
    }

    /// A folder that is not there yet.
    pub fn folder(&self, name: &str, kind: Kind, round: usize) -> Fallible<PathBuf> {
        interrupt::check()?;
        let name = format!("{name}-{}-{round}", kind.folder());
        Ok(self.scratch.path().join(name))
    }

    /// The folder of a work that is over.
    pub fn give_up(&mut self, work: &Work, folder: PathBuf) -> Fallible<()> {
        if matches!(work.source, Source::Copy(_)) {
            // Few files, and large: these had better go at once.
            return std::fs::remove_dir_all(&folder).map_err(on("remove", &folder));
        }
        self.scratch.done(folder);
        Ok(())
    }

    /// This program.
    pub fn own(&self) -> Fallible<Contender> {
        let own = self.contenders.iter().find(|one| one.kind == Kind::Own);
        own.cloned()
            .ok_or_else(|| Failure::new("this program is missing", "build it"))
    }

    /// Room for what comes next.
    pub fn make_room(&mut self, title: &str, needs: (u64, u64)) -> Fallible<()> {
        self.scratch.make_room(title, needs)
    }

    /// One call in a folder of its own, with its results checked.
    fn once(
        &self,
        contender: &Contender,
        work: &Work,
        folder: &Path,
        expected: &mut Option<Fingerprint>,
        outcome: &mut Outcome,
    ) -> Fallible<Call> {
        let kind = contender.kind;
        generate::generate(kind, work, folder, self.parallel)?;
        self.settle()?;
        let mut command = contender.command(work, folder, self.parallel);
        let mut call = self.call(kind, &mut command)?;
        if let Call::Done(_) = call {
            let results = check::results(kind, work, folder)?;
            if results != *expected.get_or_insert(results) {
                call = Call::Failed(format!(
                    "{} results, which are not what they must be",
                    results.count
                ));
            } else if kind.is_own() {
                let done = check::own_done(folder)?;
                if done != work.tasks() {
                    call = Call::Failed(format!("{done} tasks done, not {}", work.tasks()));
                }
                outcome.state = Some(check::own_state(folder)?);
            }
        }
        Ok(call)
    }

    /// Runs a contender; one that may hang, not for ever. The others are not watched, which takes
    /// time itself.
    fn call(&self, kind: Kind, command: &mut Command) -> Fallible<Call> {
        let log = self.log(kind);
        if kind.is_slow() {
            measure::run_within(command, &log, LIMIT, &|| is_full(self.scratch.path()))
        } else {
            measure::run(command, &log)
        }
    }

    /// Second calls, with nothing to do.
    fn second(&mut self, work: &Work, mut kept: Vec<(Contender, PathBuf)>) -> Fallible<Outcome> {
        let mut outcome = Outcome::new(
            &format!("{}, second", work.name),
            &format!("{}: second run, nothing to do", work.title),
            work.tasks(),
        );
        for round in 0..SECOND {
            for (contender, folder) in in_turn(&kept.clone(), round) {
                let kind = contender.kind;
                if kind.is_slow() && round > 0 {
                    continue;
                }
                self.settle()?;
                let mut command = contender.command(work, &folder, self.parallel);
                match self.call(kind, &mut command)? {
                    Call::Done(sample) => outcome.samples.entry(kind).or_default().push(sample),
                    Call::Failed(why) => {
                        self.leave_out(kind, work, &why)?;
                        outcome.samples.remove(&kind);
                        kept.retain(|(other, _)| other.kind != kind);
                    }
                }
            }
        }
        for (_, folder) in kept {
            self.give_up(work, folder)?;
        }
        Ok(outcome)
    }

    /// What one contender wrote must not be paid by the next.
    pub fn settle(&self) -> Fallible<()> {
        let path = self.scratch.path();
        let folder = File::open(path).map_err(on("open", path))?;
        rustix::fs::syncfs(folder)
            .map_err(std::io::Error::from)
            .map_err(on("sync", path))
    }

    /// Where what it says is kept.
    pub fn log(&self, kind: Kind) -> PathBuf {
        self.scratch.path().join(format!("{}.log", kind.folder()))
    }

    /// The folder that everything is made in.
    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Most tasks at once.
    pub fn parallel(&self) -> usize {
        self.parallel
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
pub fn in_turn<T: Clone>(contenders: &[T], round: usize) -> Vec<T> {
    let mut order = contenders.to_vec();
    let by = round % order.len().max(1);
    order.rotate_left(by);
    order
}
