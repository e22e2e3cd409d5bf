//! Where one worker is started, heard, and started again if it is lost.

use std::ffi::OsString;
use std::fs::File;
use std::process::{ChildStdin, ChildStdout};
use std::sync::PoisonError;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::Scope;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use super::book::WorkerId;
use super::coming::Coming;
use super::talk::{self, Say};
use super::{Remote, State, process};
use crate::exec::away::{News, Whereabouts};
use crate::exec::nudge::Nudged;
use crate::sys::Part;
use crate::text::time::exact;
use crate::wire::message::{Hello, ToWorker};

/// How often in a row a worker may fail to come to anything at a station.
const TRIES: u32 = 3;
/// After which the next one is tried.
const MOMENT: Duration = Duration::from_millis(200);
/// The same for a run that stood still.
const WHILE: Duration = Duration::from_secs(2);

/// Ends a command.
pub(super) type End = Box<dyn Fn() + Send>;

/// A station, as others see it.
#[derive(Default)]
pub(super) struct Station {
    pub(super) phase: Phase,
    /// How often in a row nothing came of it.
    failures: u32,
    /// Ends its command, now.
    end: Option<End>,
    /// Whom it was called for, before he has come.
    pub(super) expects: Option<WorkerId>,
    /// Whether its worker was sent away.
    retired: bool,
    /// A worker that was started and has not come.
    pub(super) coming: Option<Coming>,
    /// Whether it was told that none comes.
    is_told: bool,
    /// Whether its worker had too little time left, and was sent away for another one.
    pub(super) late: bool,
}

/// What goes on at a station.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing.
    #[default]
    Idle,
    /// A worker is to be started.
    Called,
    /// One is being started.
    Starting,
    /// One is there.
    Manned,
    /// Nothing ever will.
    Closed,
}

impl Station {
    /// Ends whoever has not answered yet.
    pub(super) fn end_if_starting(&self) {
        if self.phase == Phase::Starting {
            self.kill();
        }
    }

    /// Ends its command, now.
    pub(super) fn kill(&self) {
        if let Some(end) = &self.end {
            end();
        }
    }
}

/// Whether a worker is on its way.
pub(super) fn is_any_coming(stations: &[Station]) -> bool {
    let mut stations = stations.iter();
    stations.any(|station| matches!(station.phase, Phase::Called | Phase::Starting))
}

/// Whether nobody will ever work there.
pub(super) fn is_given_up(stations: &[Station]) -> bool {
    let mut all = stations.iter();
    all.all(|station| station.phase == Phase::Closed)
}

/// Where a worker is to be started, by place and number: whoever asks starts it.
pub(super) fn called(stations: &mut [Vec<Station>]) -> Vec<(usize, usize)> {
    let mut called = Vec::new();
    for (place, stations) in stations.iter_mut().enumerate() {
        for (number, station) in stations.iter_mut().enumerate() {
            if station.phase == Phase::Called {
                station.phase = Phase::Starting;
                called.push((place, number));
            }
        }
    }
    called
}

/// Calls for workers, where there is room missing for so many; whether any is to be started.
pub(super) fn call(stations: &mut [Station], units: u64) -> bool {
    let coming = |station: &&Station| {
        let is_late = station.coming.as_ref().is_some_and(Coming::is_late);
        matches!(station.phase, Phase::Called | Phase::Starting) && !is_late
    };
    let coming = stations.iter().filter(coming).count();
    // How much room they have is not known before they come.
    let missing = usize::try_from(units).unwrap_or(usize::MAX);
    let missing = missing.saturating_sub(coming);
    let idle = stations
        .iter_mut()
        .filter(|station| station.phase == Phase::Idle);
    let mut any = false;
    for station in idle.take(missing) {
        station.phase = Phase::Called;
        any = true;
    }
    any
}

/// What a worker came to.
pub(super) struct Came {
    /// Whether it ended a task, or was not needed any more.
    pub(super) was_of_use: bool,
    /// Whether its machine gets no more tasks.
    pub(super) left_out: bool,
    /// How it ended, in words.
    pub(super) how: String,
}

/// What is done at a station whose worker is gone.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Another one is started, at once or after a moment.
    Again(Duration),
    /// Nothing, until somebody is called for, if ever.
    Nothing,
}

impl<'a> Remote<'a> {
    /// Starts a thread for each station that is called.
    pub(super) fn start_as_called<'scope, 'env>(&'env self, scope: &'scope Scope<'scope, 'env>)
    where
        'a: 'scope,
    {
        let mut state = self.lock();
        loop {
            if state.over {
                return;
            }
            for (place, number) in called(&mut state.stations) {
                let started = std::thread::Builder::new()
                    .name(format!("station {place} {number}"))
                    .spawn_scoped(scope, move || self.man(place, number));
                if let Err(error) = started {
                    state.stations[place][number].phase = Phase::Closed;
                    self.warn(format!("cannot start a thread for a worker: {error}"));
                }
            }
            drop(state);
            self.goes_on();
            state = self.lock();
            let tick = self.look_after(&mut state);
            for place in self.due_to_ask(&mut state) {
                // Without it nobody knows, as before.
                let _ = std::thread::Builder::new()
                    .name("queue".into())
                    .spawn_scoped(scope, move || self.ask_why(place));
            }
            let waited = self.called.wait_timeout(state, tick);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Ends workers that say nothing, or have nothing to do; when to look again.
    pub(super) fn look_after(&self, state: &mut State) -> Duration {
        let silence = Duration::from_millis(self.terms.silence);
        let now = (self.clock)();
        let kill = state.end_at.is_some_and(|end_at| end_at <= now);
        let State {
            book,
            links,
            stations,
            ..
        } = state;
        let mut retired = Vec::new();
        for (worker, link) in links {
            if kill || now.duration_since(link.heard) > silence {
                // Its thread hears the end of it.
                stations[link.place][link.station].kill();
            }
            if book.has_left(*worker) {
                let _ = link.say.send(Say::End);
            }
            if book.in_hand(*worker) > 0 || book.waiting(link.place) > 0 {
                link.idle = None;
                continue;
            }
            let since = *link.idle.get_or_insert(now);
            let most = self.crews[link.place].idle;
            if most.is_some_and(|most| now.duration_since(since) >= most) {
                retired.push(*worker);
                stations[link.place][link.station].retired = true;
                let bye = ToWorker::Bye("there is nothing to do".to_owned());
                let _ = link.say.send(Say::Message(bye));
                let _ = link.say.send(Say::End);
            }
        }
        for worker in &retired {
            book.leaves(*worker);
        }
        if !retired.is_empty() {
            self.settle(state);
        }
        let coming = self.look_for_who_comes(state, now);
        let tick = (silence / 4).min(self.watch_deadlines(state, now));
        let tick = tick.min(coming);
        match state.end_at {
            Some(end_at) if !kill => tick.min(end_at - now),
            _ => tick,
        }
    }

    /// Has a worker at a station, as long as one is wanted.
    fn man(&self, place: usize, number: usize) {
        loop {
            let came = self.have_one(place, number);
            match self.next_at(place, number, &came) {
                Next::Again(pause) => std::thread::sleep(pause),
                Next::Nothing => return,
            }
        }
    }

    /// What is done at a station whose worker is gone.
    pub(super) fn next_at(&self, place: usize, number: usize, came: &Came) -> Next {
        let mut state = self.lock();
        let over = state.over || state.stopped;
        let waits = state.book.waiting(place) > 0 || state.book.is_manned(place);
        let now = (self.clock)();
        let crew = &self.crews[place];
        let (label, command) = &crew.stations[number];
        let same = crew.stations.iter().map(|(_, other)| other == command);
        let is_only = same.clone().filter(|same| *same).count() == 1;
        // Of one who is started in the same way, too.
        let mut told = state.stations[place].iter().zip(same.clone());
        let is_told = told.any(|(station, same)| same && station.is_told);
        let station = &mut state.stations[place][number];
        station.end = None;
        let never_came = station.coming.take();
        let took_long = never_came.as_ref().is_some_and(|one| one.took_long(now));
        let was_late = std::mem::take(&mut station.late);
        // Where it slept, the network may take a while as well.
        let stood_still = self.stood_still().is_some();
        station.failures = if came.was_of_use || was_late || stood_still {
            0
        } else {
            station.failures + 1
        };
        if over || std::mem::take(&mut station.retired) {
            station.phase = Phase::Idle;
            self.settle(&mut state);
            return Next::Nothing;
        }
        // Whoever comes to that machine again gets nothing, which was told.
        if came.left_out && is_only {
            station.failures = TRIES;
        }
        let how = format!(
            "{}: no worker comes to work at {label}: {}",
            crew.name, came.how
        );
        let hint = crew.hint.replace("HOST", label);
        let warning = || format!("{how}\nhint: {hint}");
        if station.failures < TRIES {
            station.phase = Phase::Starting;
            // The third time may be over when all is.
            if took_long && !is_told {
                station.is_told = true;
                self.warn(warning());
            }
            return Next::Again(if came.was_of_use {
                Duration::ZERO
            } else if stood_still {
                WHILE
            } else {
                // Whatever it is, it may pass.
                MOMENT
            });
        }
        station.phase = Phase::Closed;
        station.is_told = true;
        // What comes to nothing here comes to nothing there.
        let all = &mut state.stations[place];
        for (station, same) in all.iter_mut().zip(same) {
            if same && station.phase == Phase::Idle {
                station.phase = Phase::Closed;
            }
        }
        let nobody = is_given_up(all);
        if call(all, 1) {
            self.called.notify_all();
        }
        self.settle(&mut state);
        let given = if nobody {
            state.book.take_waiting(place)
        } else {
            Vec::new()
        };
        drop(state);
        if nobody {
            self.tell(News::Nobody(place, how, hint));
            // The run waits for what it gave away.
            for job in given {
                self.ended(job.ready.id, crate::engine::Outcome::Cancelled);
            }
        } else if (waits || never_came.is_some() && is_only) && !came.left_out && !is_told {
            self.warn(warning());
        }
        Next::Nothing
    }

    /// The command that starts a worker, not on a machine where too much was lost, where it can be told so.
    fn command(&self, place: usize, number: usize) -> Vec<OsString> {
        let crew = &self.crews[place];
        let (_, command) = &crew.stations[number];
        let mut command = command.clone();
        let state = self.lock();
        let out: Vec<&str> = state.book.left_out(place).collect();
        if let (Some(option), false) = (crew.without, out.is_empty()) {
            command.insert(1, format!("{option}={}", out.join(",")).into());
        }
        command
    }

    /// Where its worker can divide memory among its tasks, if that is for this run to say.
    fn part(&self, place: usize, number: usize) -> Option<Part> {
        let fence = self.fence.as_ref().filter(|_| self.crews[place].here)?;
        let part = fence.part(&format!("worker{place}.{number}"));
        // Without it, the worker says that memory is counted only.
        part.open().ok().map(|()| part)
    }

    /// Has one worker to its end, and tells where it is.
    fn have_one(&self, place: usize, number: usize) -> Came {
        let mut state = self.lock();
        let worker = state.next;
        state.next += 1;
        state.stations[place][number].expects = Some(worker);
        self.tell_of(worker, place, Whereabouts::Called);
        drop(state);
        let came = self.start_one(place, number);
        self.tell_of(worker, place, Whereabouts::Gone(came.how.clone()));
        came
    }

    /// Starts one worker, and hears it to its end.
    fn start_one(&self, place: usize, number: usize) -> Came {
        let part = self.part(place, number);
        let command = self.command(place, number);
        let command = &match &part {
            Some(part) => process::behind(&part.door(), command),
            None => command,
        };
        let failed = |how: String| Came {
            was_of_use: false,
            left_out: false,
            how,
        };
        let words = match tempfile::tempfile_in(self.folder.path()) {
            Ok(words) => words,
            Err(error) => return failed(format!("cannot make a file: {error}")),
        };
        let mut child = match process::start(command, self.hidden, &words) {
            Ok(child) => child,
            Err(error) => {
                let program = command
                    .first()
                    .map_or_else(String::new, |word| word.to_string_lossy().into_owned());
                return failed(format!("cannot start {program:?}: {error}"));
            }
        };
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return failed("its pipes are missing".to_owned());
        };
        if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
            let end = move || {
                let _ = kill_process_group(group, Signal::KILL);
            };
            self.is_started(place, number, Box::new(end), words.try_clone().ok());
        }
        let (say, says) = mpsc::channel();
        let nudge = say.clone();
        let mut from = Nudged::new(stdout, move || {
            let _ = nudge.send(Say::Message(ToWorker::Ping));
        });
        let came = match process::meet(from.before()) {
            Err(why) => {
                // Who is not wanted ends by that.
                drop(stdin);
                if self.was_silent(place, number) {
                    let silence = Duration::from_millis(self.terms.silence);
                    let _ = process::end(&mut child);
                    let why = format!("it said nothing for {}", exact(silence));
                    return failed(process::ended(&why, None, words));
                }
                failed(why)
            }
            Ok(hello) => self.keep((place, number), hello, (stdin, say, says), (from, &words)),
        };
        // Who has said nothing more may still be there.
        let status = process::end(&mut child);
        Came {
            how: process::ended(&came.how, status, words),
            ..came
        }
    }

    /// A command runs at a station, which is ended by that, and writes `words` besides.
    pub(super) fn is_started(&self, place: usize, number: usize, end: End, words: Option<File>) {
        let now = (self.clock)();
        let mut state = self.lock();
        let station = &mut state.stations[place][number];
        station.end = Some(end);
        station.coming = Some(Coming::new(now, words));
        drop(state);
        // Whoever looks after it does not know when to look again.
        self.called.notify_all();
    }

    /// Has a worker do what there is, to its end. `words`: what its command writes besides.
    fn keep(
        &self,
        station: (usize, usize),
        hello: Hello,
        (stdin, say, says): (ChildStdin, Sender<Say>, Receiver<Say>),
        (mut from, words): (Nudged<ChildStdout, impl FnMut()>, &File),
    ) -> Came {
        let mut hearing = match self.take_on(station, hello, say) {
            Ok(hearing) => hearing,
            Err(came) => return came,
        };
        hearing.writes(words);
        let pause = Duration::from_millis(self.terms.silence) / 3;
        std::thread::scope(|scope| {
            let talker = std::thread::Builder::new().name("to a worker".into());
            let talker =
                talker.spawn_scoped(scope, move || talk::talk(self.store, stdin, &says, pause));
            let why = match talker {
                Err(error) => format!("cannot start a thread: {error}"),
                Ok(_) => loop {
                    if let Err(why) = hearing.hear(from.read()) {
                        break why;
                    }
                },
            };
            hearing.end(why)
        })
    }
}
