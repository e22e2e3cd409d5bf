//! Random pipelines whose bytes are dropped between runs come to the same as without.

use proptest::prelude::*;

use super::world::{Act, World, left, step};
use crate::engine::{Job, Outcome};
use crate::evict::{Wish, evict};
use crate::model::gather::Gather;
use crate::state::Runset;

const NAMES: [&str; 5] = ["begin", "a", "b", "c", "d"];
const SCRIPTS: [&str; 3] = [":", "1", "2"];

/// What a step leaves: for which step, if any, and how much of its input is in that.
type Left = Vec<(Option<usize>, u8)>;

fn outcome(scripts: &[Left], versions: &[usize], job: &Job) -> Outcome {
    let queue = job.step.queue;
    let told = scripts[queue]
        .iter()
        .enumerate()
        .map(|(number, (to, share))| {
            let to = to.map(|to| (queue + 1 + to).min(NAMES.len()));
            let to = to.and_then(|to| NAMES.get(to));
            let name = format!("{number}_{}", to.unwrap_or(&"end"));
            let of_input = job.ready.input.0[0] % (share + 1);
            let version = if share % 2 == 0 { versions[queue] } else { 0 };
            (
                name,
                format!("{queue} {number} {of_input} {version} {}", to.is_none()),
            )
        });
    let told: Vec<(String, String)> = told.collect();
    let told: Vec<(&str, &str)> = told.iter().map(|(name, text)| (&**name, &**text)).collect();
    left(&told)
}

fn finals(world: &World, runset: &Runset) -> Vec<String> {
    let mut all: Vec<String> = world
        .finals(runset)
        .iter()
        .map(|row| format!("{row:?}"))
        .collect();
    all.sort_unstable();
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn runs_end_as_if_nothing_was_dropped(
        scripts in prop::collection::vec(
            prop::collection::vec((prop::option::weighted(0.8, 0..2_usize), 0..4_u8), 1..4), NAMES.len()),
        gathers in any::<u16>(),
        edits in prop::collection::vec((1..NAMES.len(), 0..SCRIPTS.len()), 1..6),
        masks in prop::collection::vec(any::<u8>(), 6),
        dies in prop::option::of(0..6_usize),
    ) {
        let acts = |queue: usize| Act {
            gather: match gathers >> (2 * queue) & 3 {
                1 if queue > 1 => Some(Gather::All),
                2 if queue > 1 => Some(Gather::ByKey),
                _ => None,
            },
            ..step(NAMES[queue])
        };
        let mut ends = Vec::new();
        for drops in [false, true] {
            let mut world = World::new((0..NAMES.len()).map(acts));
            world.store.set_evicted(Vec::new());
            let runset = world.fresh();
            let mut versions = [0; NAMES.len()];
            let store = std::sync::Arc::clone(&world.store);
            let mut told = Vec::new();
            for (round, (queue, version)) in edits.iter().enumerate() {
                let mut act = |job: &Job| {
                    assert!(!store.lacks(&job.ready.input, job.ready.form).unwrap(), "{job:?}");
                    outcome(&scripts, &versions, job)
                };
                if let Some(ends) = dies.filter(|_| drops)
                    && world.may_die(&runset, 2, ends, &mut |_| 0, &mut act).is_some()
                {
                    store.set_evicted(world.state.evicted().unwrap());
                }
                while world.run(&runset, 2, &mut act).superseded > 0 {}
                told.push(finals(&world, &runset));
                for row in world.finals(&runset) {
                    prop_assert!(store.contains(&row.object));
                }
                if drops {
                    let steady = world.steps.iter().flat_map(|step| {
                        step.equal.iter().map(|version| (*version, step.name.clone()))
                    });
                    let steps = world.steps.iter().filter(|step| masks[round] >> step.queue & 1 == 1);
                    let wish = Wish {
                        steps: Some(steps.map(|step| step.name.clone()).collect()),
                        ..Wish::default()
                    };
                    evict(&mut world.state, &store, &steady.collect(), &wish, false).unwrap();
                }
                versions[*queue] = *version;
                world.edit(&runset, *queue, SCRIPTS[*version]);
            }
            ends.push(told);
        }
        prop_assert_eq!(&ends[0], &ends[1]);
    }
}
