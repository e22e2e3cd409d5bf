//! With a clock that somebody moves, and commands that never say anything.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::super::Crew;
use super::super::station::{Came, Next, Phase, called};
use super::*;
use crate::exec::away::{Away as _, News};
use crate::exec::tests::world::{World, step};
use crate::folder::Folder;
use crate::wire::message::{Hello, Terms, ToOwner};

const SILENCE: Duration = Duration::from_secs(30);

fn crew(queues: bool) -> Crew {
    let station = |name: &str| (name.to_owned(), vec![name.into()]);
    Crew {
        name: "lab".to_owned(),
        stations: ["a", "b"].map(station).into(),
        without: None,
        here: false,
        queues,
        why: queues.then(|| ["echo", "Priority\nPartitionDown"].map(Into::into).into()),
        idle: None,
        longest: None,
        hint: "try `ssh HOST`".to_owned(),
        nix_cache: None,
    }
}

/// Has the first worker be called and started, and goes on with that.
fn with(queues: bool, go_on: impl FnOnce(&Remote, &dyn Fn(u64), &AtomicBool, std::fs::File)) {
    let world = World::new([step("one")]);
    let place = tempfile::tempdir_in(world.store.scratch()).unwrap();
    let folder = Folder::open(place.path()).unwrap();
    let (crews, hidden) = ([crew(queues)], BTreeSet::new());
    let terms = Terms {
        silence: u64::try_from(SILENCE.as_millis()).unwrap(),
        grace: 1000,
        live: false,
        memory: false,
        keep: false,
        meeting: None,
        nix_cache: None,
    };
    let mut remote = Remote::new(
        &world.store,
        &folder,
        &crews,
        &[],
        (terms, 0),
        (&hidden, None),
    );
    let clock = Arc::new(Mutex::new(Instant::now()));
    let hand = Arc::clone(&clock);
    remote.clock = Box::new(move || *hand.lock().unwrap());
    remote.want(0, 1);
    assert_eq!(called(&mut remote.lock().stations), [(0, 0)]);
    let is_ended = Arc::new(AtomicBool::new(false));
    let end = Arc::clone(&is_ended);
    let words = tempfile::tempfile().unwrap();
    remote.is_started(
        0,
        0,
        Box::new(move || end.store(true, Ordering::Relaxed)),
        Some(words.try_clone().unwrap()),
    );
    let pass = |milliseconds| {
        *clock.lock().unwrap() += Duration::from_millis(milliseconds);
        remote.look_after(&mut remote.lock());
    };
    go_on(&remote, &pass, &is_ended, words);
}

#[test]
fn others_are_called_where_one_takes_long_and_one_that_says_nothing_is_ended_and_told_by_name() {
    with(false, |remote, pass, is_ended, mut words| {
        pass(1_000);
        assert_eq!(remote.lock().stations[0][1].phase, Phase::Idle);
        pass(2_000);
        assert_eq!(called(&mut remote.lock().stations), [(0, 1)]);
        // Whatever it says shows that it is at something.
        pass(26_000);
        words.write_all(b"pulling an image\n").unwrap();
        pass(2_000);
        pass(29_000);
        assert!(!is_ended.load(Ordering::Relaxed));
        pass(2_000);
        assert!(is_ended.load(Ordering::Relaxed) && remote.was_silent(0, 0));
        let came = || Came {
            was_of_use: false,
            left_out: false,
            how: "it said nothing for 30s".to_owned(),
        };
        assert!(matches!(remote.next_at(0, 0, &came()), Next::Again(_)));
        assert!(matches!(remote.next_at(0, 0, &came()), Next::Again(_)));
        assert_eq!(remote.next_at(0, 0, &came()), Next::Nothing);
        let news = std::mem::take(&mut remote.news.lock().unwrap().news);
        let warnings = news.into_iter().filter_map(|news| match news {
            News::Warning(words) => Some(words),
            _ => None,
        });
        let told = "lab: no worker comes to work at a: it said nothing for 30s\nhint: try `ssh a`";
        assert_eq!(warnings.collect::<Vec<_>>(), [told]);
    });
}

#[test]
fn who_waits_in_a_queue_may_wait_as_long_as_that_takes() {
    with(true, |remote, pass, is_ended, _| {
        remote.lock().stations[0][0].expects = Some(7);
        pass(29_000);
        assert!(remote.due_to_ask(&mut remote.lock()).is_empty());
        pass(1_000);
        assert_eq!(remote.due_to_ask(&mut remote.lock()), [0]);
        remote.ask_why(0);
        // It is the same, and nothing new.
        pass(30_000);
        assert_eq!(remote.due_to_ask(&mut remote.lock()), [0]);
        remote.ask_why(0);
        let news = std::mem::take(&mut remote.news.lock().unwrap().news);
        let told: Vec<String> = news.iter().map(|news| format!("{news:?}")).collect();
        assert_eq!(
            told,
            [
                "Worker(7, 0, Waits(\"PartitionDown\"))",
                "Warning(\"lab: a worker still waits for its place, and may wait for ever: PartitionDown\\nhint: try `ssh HOST`\")",
            ]
        );
        for _ in 0..10 {
            pass(60_000);
        }
        assert!(!is_ended.load(Ordering::Relaxed));
        assert_eq!(remote.lock().stations[0][1].phase, Phase::Idle);
    });
}

#[test]
fn who_never_falls_silent_is_not_taken_for_silent() {
    with(false, |remote, pass, is_ended, _| {
        let hello = Hello {
            version: String::new(),
            node: "a".to_owned(),
            slots: 1,
            nix: false,
            gpus: 0,
            left: None,
        };
        let (say, _said) = std::sync::mpsc::channel();
        let mut hearing = remote.take_on((0, 0), hello, say).ok().unwrap();
        // No gap is ever as long as that between two looks.
        for _ in 0..1000 {
            pass(50);
            hearing.hear(Ok(Some((ToOwner::Ping, Vec::new())))).unwrap();
        }
        assert!(!is_ended.load(Ordering::Relaxed));
        pass(29_000);
        assert!(!is_ended.load(Ordering::Relaxed));
        pass(2_000);
        assert!(is_ended.load(Ordering::Relaxed));
    });
}
