//! In whatever order tasks end, and whoever has them when an executor dies, the end is the same.

use proptest::prelude::*;

use super::world::{Act, World, left, step};
use crate::engine::{Job, Outcome};
use crate::model::digest::Digest;

const NAMES: [&str; 4] = ["begin", "a", "b", "c"];
const CONTENTS: [&str; 4] = ["", "1", "2", "3"];

/// What a step leaves for each content: contents, each for the next step, or as a final output.
type Script = [Vec<(bool, usize)>; CONTENTS.len()];

fn scripts() -> impl Strategy<Value = Vec<Script>> {
    let outputs = || prop::collection::vec((any::<bool>(), 0..CONTENTS.len()), 0..4);
    let script = (outputs(), outputs(), outputs(), outputs()).prop_map(<[_; 4]>::from);
    prop::collection::vec(script, NAMES.len())
}

/// Fails at first where `fails` says so, by the input alone, and leaves what the script says.
fn outcome(scripts: &[Script], fails: u8, job: &Job) -> Outcome {
    let queue = job.step.queue;
    let is_input = |content: &&str| Digest::of(content.as_bytes()) == job.ready.input;
    let input = CONTENTS.iter().position(is_input).unwrap();
    if queue > 0 && fails >> ((queue + input) % 8) & 1 == 1 && job.ready.attempt == 0 {
        return Outcome::Failure("not yet".to_owned());
    }
    let names: Vec<(String, &str)> = scripts[queue][input]
        .iter()
        .enumerate()
        .map(|(number, (routed, content))| {
            let name = match NAMES.get(queue + 1).filter(|_| *routed) {
                Some(next) => format!("{number}_{next}"),
                None => format!("{number}.end"),
            };
            (name, CONTENTS[*content])
        })
        .collect();
    left(
        &names
            .iter()
            .map(|(name, content)| (&**name, *content))
            .collect::<Vec<_>>(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn the_end_state_does_not_depend_on_it(
        scripts in scripts(),
        fails: u8,
        dice in prop::collection::vec(any::<prop::sample::Index>(), 40),
        parallel in 1..5_usize,
        dies in prop::option::of(0..9_usize),
    ) {
        let world = || {
            let retried = |name| Act { retries: 1, ..step(name) };
            World::new(NAMES.map(retried))
        };
        let mut in_order = world();
        let expected = in_order.fresh();
        in_order.run(&expected, 1, &mut |job| outcome(&scripts, fails, job));

        let mut shuffled = world();
        let runset = shuffled.fresh();
        if let Some(ends) = dies {
            shuffled.may_die(&runset, parallel, ends, &mut |_| 0, &mut |job| outcome(&scripts, fails, job));
        }
        let mut number = 0;
        let mut next = |hand: &[Box<Job>]| {
            number += 1;
            Some(dice[number % dice.len()].index(hand.len()))
        };
        let mut act = |job: &Job| outcome(&scripts, fails, job);
        shuffled.run_in_order(&runset, parallel, &mut next, &mut act).unwrap();
        prop_assert_eq!(shuffled.rows(&runset), in_order.rows(&expected));
    }
}
