//! What a task must not leave, as the step that it would go to has gathered already, or never could.

use crate::engine::outputs::Outputs;
use crate::engine::step::StepPlan;
use crate::engine::{Error, Scheduler};
use crate::model::gather::BarrierId;
use crate::model::gather::KindId;
use crate::model::plan::{QueueId, Ready};
use crate::model::scope::Belongs;
use crate::model::task::TaskId;
use crate::text::{quoted, visible};

/// Why a step gathers nothing of what a task leaves.
#[derive(Debug, Clone, Copy)]
enum Why {
    /// It gathers all, and had done so before this one, if that is another one.
    Before(BarrierId),
    /// Its tasks get all that this step leaves, and had got it before this one, if that is another one.
    Given(BarrierId),
    /// It gathers what descends from tasks of a step of which none is above.
    Nowhere(KindId),
    /// It gathers so, and had done it before this one gathered.
    Behind(KindId),
}

/// The steps that nothing of a task must go to.
type Refusals = Vec<(QueueId, Why)>;

impl Scheduler<'_> {
    /// Why a task may not leave these, if it may not.
    pub(in crate::engine) fn comes_back(
        &mut self,
        step: &StepPlan,
        ready: &Ready,
        outputs: &mut Outputs,
    ) -> Result<Option<String>, Error> {
        let refusals = self.refusals(step, ready)?;
        if refusals.is_empty() {
            return Ok(None);
        }
        let mut found = None;
        outputs
            .each_name(|name| {
                if found.is_none() {
                    found = self.refusal(step, name, &refusals);
                }
            })
            .map_err(Error::Spill)?;
        Ok(found)
    }

    /// Whether one that took over what `source` left would fail for it.
    pub(in crate::engine) fn would_come_back(
        &mut self,
        step: &StepPlan,
        ready: &Ready,
        source: TaskId,
    ) -> Result<bool, Error> {
        let refusals = self.refusals(step, ready)?;
        if refusals.is_empty() {
            return Ok(false);
        }
        let mut found = false;
        self.state.each_output(source, |name, _, _| {
            found |= name.is_some_and(|name| self.refusal(step, name, &refusals).is_some());
        })?;
        Ok(found)
    }

    fn refusals(&mut self, step: &StepPlan, ready: &Ready) -> Result<Refusals, Error> {
        let Some(gathers) = &mut self.gathers else {
            return Ok(Vec::new());
        };
        let lines = &mut gathers.lines;
        let mut refusals = Vec::new();
        if let Some(level) = lines.barriers.level(ready.line) {
            let above = lines.barriers.all().filter(|(at, _)| *at <= level);
            let above = above.filter(|(_, barrier)| barrier.gathers());
            refusals.extend(above.map(|(_, barrier)| (barrier.queue, Why::Before(level))));
            let given = lines.barriers.given_by(step.queue).find(|at| *at <= level);
            refusals.extend(given.map(|at| (lines.barriers.at(at).queue, Why::Given(level))));
            // What waited for all groups of a step comes too late for any.
            for kind in lines.scopes.kinds() {
                let waited = kind.too_late.filter(|at| *at <= level);
                refusals.extend(waited.map(|at| (kind.queue, Why::Before(at))));
            }
        }
        for kind in 0..lines.scopes.kinds().len() {
            let queue = lines.scopes.kinds()[kind].queue;
            match lines.home(self.state, step.queue, ready, kind)? {
                Belongs::To(_) => {}
                Belongs::Nowhere => refusals.push((queue, Why::Nowhere(kind))),
                Belongs::Behind(other) => refusals.push((queue, Why::Behind(other))),
            }
        }
        Ok(refusals)
    }

    /// Why that output cannot be gathered, if so.
    fn refusal(&self, step: &StepPlan, name: &str, refusals: &Refusals) -> Option<String> {
        for (queue, why) in refusals {
            if let Why::Given(level) = why {
                return self.cannot_be_given(step, name, *queue, *level);
            }
        }
        let route = self.route(name);
        let takers = self.readers.of_output(step.queue, name, route);
        let mut goes_to = route
            .into_iter()
            .chain(takers.iter().map(|taker| taker.queue));
        let (queue, why) =
            goes_to.find_map(|to| refusals.iter().find(|(queue, _)| *queue == to))?;
        let (why, cure) = self.in_words(step, *queue, *why)?;
        let gathers = visible(self.steps[*queue].name.as_str());
        Some(format!(
            "left {}, which goes to {gathers}; but {why}\nhint: {cure}",
            quoted(name)
        ))
    }

    /// Why that output cannot be given to tasks of `queue`.
    fn cannot_be_given(
        &self,
        step: &StepPlan,
        name: &str,
        queue: QueueId,
        level: BarrierId,
    ) -> Option<String> {
        let lines = &self.gathers.as_ref()?.lines;
        let of = |queue: QueueId| visible(self.steps[queue].name.as_str());
        let (gets, own) = (of(queue), visible(step.name.as_str()));
        let last = of(lines.barriers.at(level).queue);
        Some(format!(
            "left {}, which {gets} gets from {own} in addition to its input; but {own} works on what came from \
             {last}, which came after all of that\n\
             hint: let {own} work on something else, or take it out of `with` of {gets}",
            quoted(name)
        ))
    }

    /// Why, and what can be done about it.
    fn in_words(&self, step: &StepPlan, queue: QueueId, why: Why) -> Option<(String, String)> {
        let lines = &self.gathers.as_ref()?.lines;
        let name = |queue: QueueId| visible(self.steps[queue].name.as_str());
        let (gathers, own) = (name(queue), visible(step.name.as_str()));
        let kinds = lines.scopes.kinds();
        let last = match why {
            Why::Before(level) | Why::Given(level) => Some(lines.barriers.at(level).queue),
            Why::Behind(other) => Some(kinds[other].queue),
            Why::Nowhere(kind) => {
                let owner = name(kinds[kind].owner);
                return Some((
                    format!(
                        "{gathers} gathers what descends from each task of {owner}, and {own} works on what \
                         came from none"
                    ),
                    format!(
                        "give the output another name, or use gather = true in {gathers}, for everything in a runset together"
                    ),
                ));
            }
        };
        if let Some(last) = last.filter(|last: &QueueId| *last != queue) {
            let last = name(last);
            let works = if own == last {
                format!("{own} itself gathers after {gathers}")
            } else {
                format!("{own} works on what came from {last}, which gathers after {gathers}")
            };
            return Some((
                works,
                format!(
                    "steps gather in the order of the manifest: move {last} up, before {gathers}, or give the \
                     output another name"
                ),
            ));
        }
        let works = if own == gathers {
            format!("{own} itself left it")
        } else {
            format!("{own} works on what came from {gathers}")
        };
        Some((
            format!("{works}, which had gathered everything by then"),
            "give the output another name, or let a step further down in the manifest gather it"
                .to_owned(),
        ))
    }
}
