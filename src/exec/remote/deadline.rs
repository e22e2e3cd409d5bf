//! Workers whose time ends: they get nothing that may last longer than they do.

use std::time::{Duration, Instant};

use super::talk::Say;
use super::{Remote, State};
use crate::text::time::{exact, short};
use crate::wire::message::{Hello, ToWorker};

/// What a worker has left when its last task is over, at least: to end that, and to send what it left.
pub(crate) const MARGIN: Duration = Duration::from_secs(10);

/// When a worker's place is taken away; none if nobody knows.
pub(super) fn of(hello: &Hello, now: Instant) -> Option<Instant> {
    let left = Duration::from_millis(hello.left?);
    now.checked_add(left)
}

/// Why a worker that just came has no time for a task that takes at most `longest`.
pub(super) fn is_too_near(hello: &Hello, longest: Option<Duration>) -> Option<String> {
    let (left, longest) = (Duration::from_millis(hello.left?), longest?);
    (left < longest.saturating_add(MARGIN)).then(|| {
        format!(
            "it has {} left, and a task may take {} (its timeout), after which it needs {}",
            short(left),
            exact(longest),
            exact(MARGIN)
        )
    })
}

impl State {
    /// Lets those go whose time is too short and who have ended what they had.
    pub(super) fn let_go(&mut self) {
        let Self {
            book,
            links,
            stations,
            late,
            ..
        } = self;
        late.retain(|worker| {
            if book.in_hand(*worker) > 0 {
                return true;
            }
            if let Some(link) = links.get(worker) {
                // Another one comes to its place.
                stations[link.place][link.station].late = true;
                let bye = ToWorker::Bye("its time is nearly over".to_owned());
                let _ = link.say.send(Say::Message(bye));
                let _ = link.say.send(Say::End);
            }
            false
        });
    }
}

impl Remote<'_> {
    /// Gives nothing more to those whose time is too short for the longest task; when to look again at the latest.
    pub(super) fn watch_deadlines(&self, state: &mut State, now: Instant) -> Duration {
        let mut next = Duration::MAX;
        let mut any = false;
        for (worker, link) in &mut state.links {
            let Some((until, longest)) = link.until.zip(self.crews[link.place].longest) else {
                continue;
            };
            let left = until.saturating_duration_since(now);
            match left.checked_sub(longest.saturating_add(MARGIN)) {
                Some(rest) if !rest.is_zero() => next = next.min(rest),
                _ => {
                    link.until = None;
                    state.book.leaves(*worker);
                    state.late.insert(*worker);
                    any = true;
                }
            }
        }
        if any {
            self.settle(state);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_with_less_time_than_a_task_may_take_is_not_taken_on() {
        let hello = |seconds: Option<u64>| Hello {
            version: String::new(),
            node: String::new(),
            slots: 1,
            nix: false,
            gpus: 0,
            left: seconds.map(|seconds| seconds * 1000),
        };
        let minute = Some(Duration::from_mins(1));
        assert_eq!(is_too_near(&hello(None), minute), None);
        assert_eq!(is_too_near(&hello(Some(5)), None), None);
        assert_eq!(is_too_near(&hello(Some(70)), minute), None);
        assert_eq!(
            is_too_near(&hello(Some(69)), minute).as_deref(),
            Some(
                "it has 1m09s left, and a task may take 1m (its timeout), after which it needs 10s"
            )
        );
        assert!(is_too_near(&hello(Some(69)), Some(Duration::MAX)).is_some());
    }
}
