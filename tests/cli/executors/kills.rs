//! Runs that are killed, wherever their tasks are: the next one goes on, and comes to the same.

use std::thread::sleep;
use std::time::Duration;

use rustix::process::Signal;

use super::shapes::{SHAPES, end_state, here, workers};
use crate::harness::{Running, Test, wait_for};

/// Where the tasks of a run are carried out.
pub trait Place {
    /// The shapes, for there.
    fn manifest(&self) -> String {
        SHAPES.to_owned()
    }

    fn start(&self, test: &Test) -> Running;

    /// The longest after which a run is killed, in milliseconds.
    fn longest(&self) -> u64 {
        1200
    }

    /// Waits until nothing is left of a run that was killed.
    fn is_quiet(&self) {}
}

/// Workers beside the run.
pub struct Child;

impl Place for Child {
    fn start(&self, test: &Test) -> Running {
        test.start(["-run", "-executor", "child:2*2"])
    }
}

/// Kills so many runs at moments that `seed` says; each goes on with what the one before has left. As often as one
/// comes to its end, that is what comes of it at home.
pub fn killed_at_random(place: &impl Place, seed: u64, kills: u32) {
    let here = here();
    let mut random = seed;
    let mut killed = 0;
    while killed < kills {
        let test = Test::with(&place.manifest());
        let mut ended = false;
        while !ended && killed < kills {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let run = place.start(&test);
            sleep(Duration::from_millis((random >> 33) % place.longest()));
            let left = workers(&run);
            run.signal(Signal::KILL);
            ended = run.end().status != 137;
            killed += u32::from(!ended);
            wait_for("the workers end", || {
                left.iter()
                    .all(|pid| rustix::process::test_kill_process(*pid).is_err())
            });
        }
        let ran = place.start(&test).end();
        assert_eq!(end_state(&test), here, "seed {seed}, kill {killed}: {ran}");
        test.objects_are_whole();
        test.nothing_temporary_is_left();
        place.is_quiet();
    }
}
