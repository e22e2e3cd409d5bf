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

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Done,
    Reused,
    Failed,
    Retried,
}

impl End {
    fn of<'e>(event: &'e Event) -> Option<(&'e StepName, Self)> {
        if let Event::Done { step, reused, .. } = event {
            let taken = reused.is_some();
            return Some((step, if taken { Self::Reused } else { Self::Done }));
        }
        let Event::Failed { step, retry, .. } = event else {
            return None;
        };
        let again = retry.is_some();
        Some((step, if again { Self::Retried } else { Self::Failed }))
    }

    fn words(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Reused => "reused",
            Self::Failed => "failed",
            Self::Retried => "failed, to be tried again",
        }
    }
}

/// Which ends of tasks were not told.
#[derive(Debug, Default)]
pub(super) struct Rate {
    /// The beginning of the present stretch.
    began: Option<Instant>,
    /// How many ends with success, and how many without, were told beyond those that the time was good for: neither
    /// hides the other.
    told: [u64; 2],
    /// How many were not, by step and how they ended.
    held: BTreeMap<(StepName, End), i64>,
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
        let Some((step, end)) = End::of(event) else {
            return (before, true);
        };
        if is_over {
            self.began = Some(now);
            let good = since
                .map_or(0, |since| since.as_secs())
                .saturating_mul(EACH);
            self.told = self.told.map(|told| told.saturating_sub(good));
        }
        let told = &mut self.told[usize::from(end >= End::Failed)];
        if *told < MOST {
            *told += 1;
            return (before, true);
        }
        *self.held.entry((step.clone(), end)).or_default() += 1;
        (before, false)
    }

    /// A line about those that were not told, if there are any.
    fn held(&mut self) -> String {
        let held = std::mem::take(&mut self.held);
        if held.is_empty() {
            return String::new();
        }
        let words = held
            .into_iter()
            .map(|((step, end), count)| format!("{step} {} {}", grouped(count), end.words()));
        format!("and more: {}\n", words.collect::<Vec<_>>().join(", "))
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
        let failed = |retry| Event::Failed {
            task: TaskId(1),
            step: &merge,
            key: None,
            error: "no",
            span,
            node: None,
            retry,
        };
        for _ in 0..100 {
            assert!(rate.next(&failed(None), at(600)).1, "they count apart");
        }
        for retry in [None, None, Some(Duration::ZERO)] {
            assert!(!rate.next(&failed(retry), at(600)).1);
        }
        // Others are told at once.
        assert_eq!(
            rate.next(&Event::Warning("x"), at(700)),
            (String::new(), true)
        );
        let (before, is_told) = rate.next(&done(&work, None), at(1000));
        assert_eq!(
            before,
            format!(
                "and more: merge 1 reused, merge 2 failed, merge 1 failed, to be tried again, work {} done\n",
                grouped(1200)
            )
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
