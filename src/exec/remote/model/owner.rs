//! One life of a run: it gives tasks, hears what comes of them, and ends or dies.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use super::super::station::{Next, called};
use super::super::{Crew, Remote};
use super::connection::{Connection, Fate, hello};
use super::worker::{NO_ROOM, done};
use super::{History, MOST, SILENCE, STIRRED, Scenery};
use crate::engine::{Grant, Job, Outcome, Stop};
use crate::exec::away::{Away as _, News};
use crate::folder::Folder;
use crate::model::digest::Digest;
use crate::model::gather::Line;
use crate::model::list::Form;
use crate::model::plan::Ready;
use crate::model::task::{TaskId, TaskState};
use crate::wire::message::{Outcome as EndedAs, ToOwner};

/// How a life ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// All has its end.
    All,
    /// Something is left for the next one.
    Some,
}

pub(super) struct Life<'r, 'a> {
    remote: &'r Remote<'a>,
    scenery: &'r Scenery,
    connections: Vec<Connection<'r, 'a>>,
    /// Tasks that the executor has.
    given: BTreeSet<i64>,
    room: u64,
    clock: Arc<Mutex<Instant>>,
    /// Nothing more is given.
    stopped: bool,
}

impl Life<'_, '_> {
    /// Calls `test` with a run that has one station.
    fn alone(scenery: &Scenery, test: impl FnOnce(&Remote)) {
        let place = tempfile::tempdir_in(scenery.world.store.scratch()).unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let crews = [Crew {
            name: "crew".to_owned(),
            stations: vec![("0".to_owned(), Vec::new())],
            without: None,
            here: false,
            queues: false,
            why: None,
            idle: None,
            longest: None,
            hint: String::new(),
            nix_cache: None,
        }];
        let hidden = BTreeSet::new();
        let store = &scenery.world.store;
        let terms = (scenery.terms.clone(), 0);
        let steps = &scenery.steps;
        test(&Remote::new(
            store,
            &folder,
            &crews,
            steps,
            terms,
            (&hidden, None),
        ));
    }

    /// What a worker had not begun comes back when the run is to end already.
    pub(super) fn given_back_late(history: &History, scenery: &Scenery) {
        Self::alone(scenery, |remote| {
            let (say, _says) = mpsc::channel();
            let hearing = remote.take_on((0, 0), hello(0, 1), say);
            let mut hearing = hearing.unwrap_or_else(|came| panic!("{}", came.how));
            remote.give(Box::new(Self::job(scenery, history, 0)));
            assert_eq!(hearing.held(), [0]);
            remote.stop(Stop::Ask);
            let said = (ToOwner::GivenBack(1), Vec::new());
            hearing.hear(Ok(Some(said))).unwrap();
            let news = &remote.news.lock().unwrap().news;
            let is_cancelled = |news: &News| matches!(news, News::Ended(ended) if matches!(ended.outcome, Outcome::Cancelled));
            assert!(news.iter().any(is_cancelled), "{news:?}");
        });
    }

    /// A worker that is to end cuts a job off, and tells what that keeps.
    pub(super) fn cut_off(history: &History, scenery: &Scenery) {
        Self::alone(scenery, |remote| {
            let (say, _says) = mpsc::channel();
            let hearing = remote.take_on((0, 0), hello(0, 1), say);
            let mut hearing = hearing.unwrap_or_else(|came| panic!("{}", came.how));
            remote.give(Box::new(Self::job(scenery, history, 0)));
            let leaves = ToOwner::Leaving("it was ended by SIGTERM".to_owned());
            hearing.hear(Ok(Some((leaves, Vec::new())))).unwrap();
            let cut = done(1, EndedAs::Cancelled, 1);
            hearing.hear(Ok(Some(cut))).unwrap();
            hearing.end("it ended".to_owned());
            let news = std::mem::take(&mut remote.news.lock().unwrap().news);
            let told = news.iter().filter_map(|news| {
                if let News::Lost { why: words, .. } | News::Warning(words) = news {
                    return Some(words.as_str());
                }
                matches!(news, News::Ended(_)).then_some("over")
            });
            let told: Vec<_> = told.collect();
            let warning = "crew: 1 task lost with a worker on 0 (it was ended by SIGTERM): run again elsewhere";
            assert_eq!(told, ["it was ended by SIGTERM", "over", warning]);
        });
    }

    /// A run stands still, again and again, for as long as its worker waits for it.
    pub(super) fn stands_still(history: &History, scenery: &Scenery) {
        const TIMES: usize = 5;
        Self::alone(scenery, |remote| {
            for time in 0..TIMES {
                let (say, _says) = mpsc::channel();
                let hearing = remote.take_on((0, 0), hello(0, 1), say);
                let hearing = hearing.unwrap_or_else(|came| panic!("{}", came.how));
                if time == 0 {
                    remote.give(Box::new(Self::job(scenery, history, 0)));
                }
                assert_eq!(hearing.held(), [0], "time {time}");
                let before = crate::sys::uptime().saturating_sub(SILENCE * 2);
                remote.pulse.beat(before, SILENCE);
                let came = hearing.end("it ended".to_owned());
                let next = remote.next_at(0, 0, &came);
                assert!(matches!(next, Next::Again(_)), "{next:?}");
            }
            let news = &remote.news.lock().unwrap().news;
            let is_told = |news: &&News| matches!(news, News::Lost { why, .. } if why.contains("the run itself stood still for 1m"));
            assert_eq!(news.iter().filter(is_told).count(), TIMES, "{news:?}");
            let is_over = |news: &News| matches!(news, News::Ended(_));
            assert!(!news.iter().any(is_over), "{news:?}");
        });
    }

    pub(super) fn pass(history: &mut History, scenery: &Scenery) -> Over {
        let place = tempfile::tempdir_in(scenery.world.store.scratch()).unwrap();
        let folder = Folder::open(place.path()).unwrap();
        // Some are told apart, as hosts are; others are any machine that there is.
        let is_same = history.luck.one_in(2);
        let station = |number: usize| {
            let command = if is_same { 0 } else { number }.to_string();
            (number.to_string(), vec![command.into()])
        };
        let crews = [Crew {
            name: "crew".to_owned(),
            stations: (0..history.stations).map(station).collect(),
            without: None,
            here: false,
            queues: is_same,
            why: None,
            idle: history.luck.one_in(2).then_some(SILENCE),
            longest: None,
            hint: String::new(),
            nix_cache: None,
        }];
        let hidden = BTreeSet::new();
        let mut remote = Remote::new(
            &scenery.world.store,
            &folder,
            &crews,
            &scenery.steps,
            (scenery.terms.clone(), 0),
            (&hidden, None),
        );
        let clock = Arc::new(Mutex::new(history.now));
        let hand = Arc::clone(&clock);
        remote.clock = Box::new(move || *hand.lock().unwrap());
        let mut life = Life {
            remote: &remote,
            scenery,
            connections: Vec::new(),
            given: BTreeSet::new(),
            room: 0,
            clock,
            stopped: false,
        };
        let over = life.go(history);
        drop(life);
        let left = std::fs::read_dir(place.path()).unwrap();
        let left = left.map(|entry| entry.unwrap().file_name());
        let left: Vec<_> = left.filter(|name| name != "beside").collect();
        assert!(left.is_empty(), "{left:?} is left");
        over
    }

    fn go(&mut self, history: &mut History) -> Over {
        for count in 0.. {
            assert!(
                count < MOST,
                "it comes to no end: {:?}, room {}, {:#?}",
                self.given,
                self.room,
                self.remote.lock().book
            );
            history.done.rounds += 1;
            history.calm = count > STIRRED;
            if history.calm {
                history.frozen.clear();
            }
            if history.goes_wrong(200) {
                // It is killed, with all that nobody was told.
                return Over::Some;
            }
            self.goes_wrong(history);
            self.give(history);
            self.time_goes_on(history);
            self.start(history);
            let mut at = 0;
            while at < self.connections.len() {
                let fate = self.connections[at].goes_on(self.remote, history);
                self.hear(history);
                match fate {
                    Fate::Stays => at += 1,
                    Fate::Ends(next) => {
                        let station = self.connections[at].at;
                        match next {
                            Next::Again(_) => {
                                self.connections[at] =
                                    Connection::start(self.remote, history, station);
                                at += 1;
                            }
                            Next::Nothing => {
                                self.connections.swap_remove(at);
                            }
                        }
                    }
                }
            }
            for connection in &mut self.connections {
                connection.check(self.remote, history);
            }
            let is_left = self.pending(history).next().is_some();
            if self.given.is_empty() && (self.stopped || !is_left) {
                self.end(history);
                return if is_left { Over::Some } else { Over::All };
            }
        }
        Over::Some
    }

    fn pending<'h>(&'h self, history: &'h History) -> impl Iterator<Item = i64> + 'h {
        let all = 0..i64::try_from(history.natures.len()).unwrap();
        all.filter(|task| !self.given.contains(task) && !history.recorded.contains_key(task))
    }

    /// As the scheduler does: as many as there is room for, and says how many wait.
    fn give(&mut self, history: &mut History) {
        if self.stopped {
            return;
        }
        let pending: Vec<i64> = self.pending(history).collect();
        let units = |task: &i64| 1 + u64::try_from(task % 2).unwrap();
        let mut taken: u64 = self.given.iter().map(units).sum();
        let mut waits = 0;
        for task in pending {
            let fits = taken + units(&task) <= self.room || self.given.is_empty() && self.room > 0;
            if !fits {
                waits += 1;
                continue;
            }
            if history.luck.one_in(2) {
                taken += units(&task);
                self.given.insert(task);
                self.remote
                    .give(Box::new(Self::job(self.scenery, history, task)));
                self.hear(history);
            }
        }
        if waits > 0 && history.luck.one_in(2) {
            self.remote.want(0, waits);
        }
    }

    pub(super) fn job(scenery: &Scenery, history: &History, task: i64) -> Job {
        let step = usize::from(task % 2 == 1);
        Job {
            step: Arc::clone(&scenery.world.steps[step]),
            ready: Arc::new(Ready {
                id: TaskId(task),
                input: Digest::of(&history.input(task)),
                form: Form::File,
                parent: None,
                name: None,
                state: TaskState::Pending,
                forced: false,
                attempt: 0,
                line: Line::default(),
                key: None,
                context: None,
                raised: 0,
            }),
            runset: "r".into(),
            more: false,
            ahead: None,
            grant: Grant {
                checkpoint: history.kept.get(&task).copied(),
                ..Grant::default()
            },
        }
    }

    /// What the executor told.
    fn hear(&mut self, history: &mut History) {
        loop {
            let news = self.remote.news.lock().unwrap().news.pop_front();
            match news {
                None => return,
                Some(News::Ended(ended)) => {
                    let task = ended.task.0;
                    assert!(self.given.remove(&task), "#{task} ended, and nobody had it");
                    match ended.outcome {
                        Outcome::Cancelled => assert!(self.stopped, "#{task} was cancelled"),
                        outcome => history.record(task, outcome),
                    }
                }
                Some(News::Room(place, room)) => {
                    assert_eq!(place, 0);
                    self.room = room;
                }
                Some(News::Kept(task, tree)) => {
                    assert!(self.given.contains(&task.0), "{task:?} is nobody's");
                    history.kept.insert(task.0, tree);
                }
                Some(News::Nobody(..)) => self.stopped = true,
                Some(News::Warning(words)) => {
                    if let Some((tasks, _)) = words.split_once(" lost with a worker on ") {
                        let number = tasks.split(' ').nth(1).unwrap();
                        history.told += number.parse::<usize>().unwrap();
                    }
                }
                // Others are lost with their worker.
                Some(News::Lost { why, .. }) => history.losses += usize::from(why != NO_ROOM),
                Some(News::Wrote { .. } | News::Given(..) | News::Worker(..)) => {}
            }
        }
    }

    fn start(&mut self, history: &mut History) {
        let called = called(&mut self.remote.lock().stations);
        for at in called {
            let connection = Connection::start(self.remote, history, at);
            self.connections.push(connection);
        }
    }

    fn time_goes_on(&mut self, history: &mut History) {
        let jumps = history.goes_wrong(100);
        let most = if jumps { 40_000 } else { 200 };
        let step = history.luck.below(most);
        history.now += Duration::from_millis(u64::try_from(step).unwrap());
        *self.clock.lock().unwrap() = history.now;
        if history.luck.one_in(3) {
            self.remote.look_after(&mut self.remote.lock());
        }
    }

    fn goes_wrong(&mut self, history: &mut History) {
        if self.connections.is_empty() || !history.goes_wrong(20) {
            return;
        }
        let at = history.luck.below(self.connections.len());
        let connection = &mut self.connections[at];
        match history.luck.below(8) {
            0 | 1 => connection.dies(history),
            2 => connection.is_cut(history),
            3 => connection.is_asked_to_leave(history),
            4 => connection.is_damaged(),
            5 => drop(history.frozen.insert(connection.node())),
            6 => history.frozen.clear(),
            _ if !self.stopped && history.luck.one_in(3) => {
                self.stopped = true;
                self.remote.stop(Stop::Ask);
                self.hear(history);
            }
            _ => {}
        }
    }

    /// All is over: nothing is in anybody's hand.
    fn end(&mut self, history: &mut History) {
        self.remote.end();
        for _ in 0..MOST {
            let mut rest = Vec::new();
            for mut connection in std::mem::take(&mut self.connections) {
                match connection.goes_on(self.remote, history) {
                    Fate::Stays => rest.push(connection),
                    Fate::Ends(next) => assert_eq!(next, Next::Nothing),
                }
            }
            self.connections = rest;
            history.frozen.clear();
            if self.connections.is_empty() {
                break;
            }
        }
        self.hear(history);
        let state = self.remote.lock();
        assert_eq!(state.book.leases(), 0, "leases are open");
        assert!(self.connections.is_empty() && state.links.is_empty());
        drop(state);
        history.done.losses += history.losses;
        let (lost, told) = (history.losses, history.told);
        assert_eq!(
            lost, told,
            "tasks that are recorded as lost, and told to be"
        );
    }
}
