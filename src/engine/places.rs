//! Where tasks run: here, or in other places, each of which has room for so many.
//!
//! The room of a place comes and goes with those who work there. It is one more kind of what tasks take:
//! those that run here take none of it, and those that run there take no CPUs, memory or GPUs from here.

use std::sync::Arc;

use super::{Scheduler, Settings, StepPlan};
use crate::model::event::{Event, Shortage};
use crate::model::plan::Plan;
use crate::model::resources::{Demand, Place};

/// Most jobs at once, wherever.
pub(super) fn limit(settings: &Settings) -> usize {
    match settings.places {
        0 => settings.parallel,
        // Each place has a limit of its own.
        _ => usize::MAX,
    }
}

/// Has tasks take of what there is here, and of the room where they run.
pub(super) fn share(plan: &mut Plan, settings: &Settings, steps: &[Arc<StepPlan>]) {
    let places = settings.places;
    if places == 0 && steps.iter().all(|step| step.resources.is_nothing()) {
        return;
    }
    let mut amounts = settings.supply.amounts();
    let here = amounts.len();
    if places > 0 {
        amounts.push(u64::try_from(settings.parallel).unwrap_or(u64::MAX));
        // Nobody has come yet.
        amounts.resize(here + 1 + places, 0);
    }
    let demands = steps.iter().map(|step| {
        let (demands, room) = match settings.place(step) {
            Some(place) => (
                settings.supply.demands_elsewhere(&step.resources),
                (here + 1 + place.number, place.units),
            ),
            None => (settings.supply.demands(&step.resources), (here, 1)),
        };
        let with_room = |demand: Demand| {
            let room = (places > 0).then_some(room);
            demand.into_iter().chain(room).collect()
        };
        demands.into_iter().map(with_room).collect()
    });
    plan.share(amounts, demands);
}

impl Settings {
    /// Where tasks of the step run, if not here.
    pub(super) fn place(&self, step: &StepPlan) -> Option<Place> {
        step.place.filter(|_| self.places > 0)
    }

    /// The memory that tasks of the step have at each try, where that is asked for.
    pub(super) fn rungs(&self, step: &StepPlan) -> Option<Vec<u64>> {
        let here = self.place(step).is_none();
        let has = self.supply.memory.filter(|_| here);
        Some(step.resources.memory?.rungs(has))
    }
}

impl Scheduler<'_> {
    /// In this place there is room for so many units from now on.
    pub(crate) fn set_room(&mut self, place: usize, units: u64) {
        let here = self.settings.supply.amounts().len();
        self.plan.set_amount(here + 1 + place, units);
    }

    /// How many tasks wait for room, by place: as far as is known without a look at the database.
    pub(crate) fn wanted(&self) -> Vec<usize> {
        let mut wanted = vec![0; self.settings.places];
        if !self.stopping {
            for step in self.steps {
                if let Some(place) = self.settings.place(step) {
                    wanted[place.number] += self.plan.count_waiting(step.queue);
                }
            }
        }
        wanted
    }

    /// Whether tasks wait for room elsewhere.
    pub(super) fn waits_for_a_place(&self) -> bool {
        self.settings.places > 0 && self.plan.has_any()
    }

    /// Nobody works in a place, and nobody will: the error, and what to do. Nothing more starts there; what runs here
    /// and in other places goes on to its end.
    pub(crate) fn end_for_want(&mut self, place: usize, error: String, hint: String) {
        let steps = self.steps;
        for step in steps {
            let is_there = |own: Place| own.number == place;
            if self.settings.place(step).is_some_and(is_there) {
                self.plan.close(step.queue);
            }
        }
        if !self.stopping && !self.is_over() {
            self.tell(&Event::Warning(&format!(
                "{error}; its tasks wait, and all others go on\nhint: {hint}"
            )));
        }
        self.summary
            .shortage
            .get_or_insert(Shortage { error, hint });
    }
}
