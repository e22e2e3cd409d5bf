//! Where lines are kept and not looked at, as in a CI's log, many tasks a second are counted.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::model::event::Event;
use crate::model::name::StepName;
use crate::text::amount::grouped;

/// As many ends of tasks are told one by one at first.
const MOST: u64 = 100;
/// And as many more for each second since.
const EACH: u64 = 10;
/// How often the others are told.
const STRETCH: Duration = Duration::from_secs(1);

/// Which ends of tasks were not told.
#[derive(Debug, Default)]
pub(super) struct Rate {
    /// The beginning of the present stretch.
    began: Option<Instant>,
    /// How many were told beyond those that the time was good for.
    told: u64,
    /// By step: how many were done, and how many took over what others had left.
    held: BTreeMap<StepName, (i64, i64)>,
}

impl Rate {
    /// What is to be said before the event, and whether that is told itself.
    pub(super) fn next(&mut self, event: &Event, now: Instant) -> (String, bool) {
        let since = self.began.map(|began| now.duration_since(began));
        let is_over = since.is_none_or(|since| since >= STRETCH);
        let ends = matches!(event, Event::Summary(_) | Event::Interrupted { .. });
        let mut before = String::new();
        if is_over || ends {
            before = self.held();
        }
        let Event::Done { step, reused, .. } = event else {
            return (before, true);
        };
        if is_over {
            self.began = Some(now);
            let good = since
                .map_or(0, |since| since.as_secs())
                .saturating_mul(EACH);
            self.told = self.told.saturating_sub(good);
        }
        if self.told < MOST {
            self.told += 1;
            return (before, true);
        }
        let (done, taken) = self.held.entry((*step).clone()).or_default();
        *if reused.is_some() { taken } else { done } += 1;
        (before, false)
    }

    /// A line about those that were not told, if there are any.
    fn held(&mut self) -> String {
        let held = std::mem::take(&mut self.held);
        if held.is_empty() {
            return String::new();
        }
        let mut words = Vec::new();
        for (step, (done, reused)) in held {
            let counts = [(done, "done"), (reused, "reused")];
            for (count, what) in counts.into_iter().filter(|(count, _)| *count > 0) {
                words.push(format!("{step} {} {what}", grouped(count)));
            }
        }
        format!("and more: {}\n", words.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::{Routed, Span, Summary};
    use crate::model::task::TaskId;

    #[test]
    fn beyond_so_many_a_second_they_are_counted() {
        let (work, merge) = (
            StepName::new("work").unwrap(),
            StepName::new("merge").unwrap(),
        );
        let outputs = Routed::default();
        let span = Span {
            started: 0,
            elapsed: Duration::ZERO,
            worker: None,
            launch: None,
            cpu: None,
            peak: None,
        };
        let done = |step, reused| Event::Done {
            task: TaskId(1),
            step,
            reused,
            shared: None,
            span,
            node: None,
            outputs: &outputs,
        };
        let mut rate = Rate::default();
        let begin = Instant::now();
        let at = |millis| begin + Duration::from_millis(millis);
        for number in 0..100 {
            assert_eq!(
                rate.next(&done(&work, None), at(number)),
                (String::new(), true)
            );
        }
        for _ in 0..1200 {
            assert_eq!(
                rate.next(&done(&work, None), at(500)),
                (String::new(), false)
            );
        }
        rate.next(&done(&merge, Some(TaskId(7))), at(600));
        // Others are told at once.
        assert_eq!(
            rate.next(&Event::Warning("x"), at(700)),
            (String::new(), true)
        );
        let (before, is_told) = rate.next(&done(&work, None), at(1000));
        assert_eq!(
            before,
            format!("and more: merge 1 reused, work {} done\n", grouped(1200))
        );
        assert!(is_told);
        for _ in 0..9 {
            assert!(rate.next(&done(&work, None), at(1500)).1, "ten a second");
        }
        rate.next(&done(&work, None), at(1500));
        let summary = Summary::default();
        let (before, is_told) = rate.next(&Event::Summary(&summary), at(1600));
        assert_eq!((&*before, is_told), ("and more: work 1 done\n", true));
        let (before, _) = rate.next(&Event::Summary(&summary), at(9000));
        assert_eq!(before, "");
        for _ in 0..80 {
            assert!(rate.next(&done(&work, None), at(9000)).1, "eight seconds");
        }
    }
}
