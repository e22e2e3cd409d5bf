//! What becomes of tasks that get something besides their inputs when the manifest changes elsewhere.

use std::sync::Arc;

use super::super::world::World;
use super::pairs::{act_on_pairs, pairing};
use super::tasks;
use crate::model::gather::Source;
use crate::model::name::StepName;

#[test]
fn pairs_stay_when_a_step_takes_something_more() {
    let mut world = World::new(pairing());
    let runset = world.fresh();
    world.run(&runset, 2, &mut act_on_pairs);
    let pairs = tasks(&world, &runset, "pair");
    assert_eq!(pairs.len(), 4);
    let before = tasks(&world, &runset, "next").len();
    let next = Arc::get_mut(&mut world.steps[4]).unwrap();
    next.from = [Source {
        step: StepName::new("index").unwrap(),
        pattern: None,
    }]
    .into();
    world.edit(&runset, 4, ":");
    assert_eq!(tasks(&world, &runset, "pair"), pairs);
    world.run(&runset, 2, &mut act_on_pairs);
    assert_eq!(tasks(&world, &runset, "pair"), pairs);
    assert_eq!(tasks(&world, &runset, "next").len(), before + 2);
}
