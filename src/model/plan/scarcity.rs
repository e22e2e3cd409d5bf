//! Fewer tasks at once while the machine is short of what they need to be started.
//!
//! A shortage that is met while others run is one of theirs: so many as run then are the most from
//! there on, and one more after a while, which is longer each time. Met by a task alone, it is
//! waited out, some times.

/// What is done about a shortage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relief {
    /// At most so many tasks run at once.
    Fewer(usize),
    /// All wait for a moment.
    Rest,
    /// Nothing has helped.
    None,
}

/// The first pause (ms) before one more task may run at once, and the longest.
const GROWTH: [u64; 2] = [1000, 64_000];
/// The pauses (ms) after which a task that met a shortage alone is tried again.
const RESTS: [u64; 5] = [50, 100, 200, 400, 800];

#[derive(Debug)]
pub(super) struct Scarcity {
    /// Most tasks at once where nothing is short.
    most: usize,
    /// When one more may run at once.
    growth: Option<u64>,
    /// Until then, from the last time.
    pause: u64,
    /// Whether one more did run since then.
    grown: bool,
    /// Until when nothing starts.
    rest: Option<u64>,
    rests: usize,
}

impl Scarcity {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            growth: None,
            pause: GROWTH[0],
            grown: false,
            rest: None,
            rests: 0,
        }
    }

    pub(super) fn is_resting(&self) -> bool {
        self.rest.is_some()
    }

    /// Whether fewer run at once than may otherwise.
    pub(super) fn is_felt(&self, limit: usize) -> bool {
        limit < self.most
    }

    /// There was a shortage, and `others` run on.
    pub(super) fn met(&mut self, others: usize, limit: &mut usize, now: u64) -> Relief {
        // Many may meet the same one.
        if std::mem::take(&mut self.grown) {
            self.pause = (self.pause * 2).min(GROWTH[1]);
        }
        *limit = (*limit).min(others.max(1));
        self.growth = (*limit < self.most).then_some(now + self.pause);
        if others > 0 {
            return Relief::Fewer(*limit);
        }
        match RESTS.get(self.rests) {
            Some(rest) => {
                self.rests += 1;
                self.rest = Some(now + rest);
                Relief::Rest
            }
            None => Relief::None,
        }
    }

    /// A task had all that it needed.
    pub(super) fn is_over(&mut self) {
        self.rests = 0;
    }

    /// Ends what is over at `now`; when there is more to end.
    pub(super) fn ease(&mut self, limit: &mut usize, now: u64) -> Option<u64> {
        self.rest = self.rest.filter(|due| *due > now);
        if self.growth.is_some_and(|due| due <= now) {
            *limit += 1;
            self.grown = true;
            self.growth = (*limit < self.most).then_some(now + self.pause);
        }
        self.rest.into_iter().chain(self.growth).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_run_as_there_is_enough_for_and_slowly_more() {
        let (mut scarcity, mut limit) = (Scarcity::new(8), 8);
        assert_eq!(scarcity.ease(&mut limit, 0), None);
        assert_eq!(scarcity.met(6, &mut limit, 0), Relief::Fewer(6));
        assert_eq!(scarcity.met(5, &mut limit, 0), Relief::Fewer(5));
        assert_eq!(scarcity.met(4, &mut limit, 10), Relief::Fewer(4));
        assert!(!scarcity.is_resting());
        let due = scarcity.ease(&mut limit, 20).unwrap();
        assert_eq!((due, limit), (10 + GROWTH[0], 4));
        let next = scarcity.ease(&mut limit, due).unwrap();
        assert_eq!((next, limit), (due + GROWTH[0], 5));
        // One more was too much: the next try is later, and not for each of many who met that.
        for _ in 0..9 {
            scarcity.met(4, &mut limit, due);
        }
        let next = scarcity.ease(&mut limit, due).unwrap();
        assert_eq!((next, limit), (due + 2 * GROWTH[0], 4));
        let mut now = 0;
        for _ in 0..20 {
            now = scarcity.ease(&mut limit, now).unwrap();
            scarcity.ease(&mut limit, now);
            scarcity.met(3, &mut limit, now);
        }
        assert_eq!(scarcity.ease(&mut limit, now), Some(now + GROWTH[1]));
        while let Some(due) = scarcity.ease(&mut limit, now) {
            now = due;
        }
        assert_eq!(limit, 8, "never more");
    }

    #[test]
    fn one_that_is_alone_is_tried_some_times() {
        let (mut scarcity, mut limit) = (Scarcity::new(1), 1);
        for _ in 0..2 {
            let mut now = 0;
            for rest in RESTS {
                assert_eq!(scarcity.met(0, &mut limit, now), Relief::Rest);
                assert!(scarcity.is_resting());
                assert_eq!(scarcity.ease(&mut limit, now), Some(now + rest));
                now += rest;
                assert_eq!(scarcity.ease(&mut limit, now), None);
                assert!(!scarcity.is_resting());
            }
            assert_eq!(scarcity.met(0, &mut limit, now), Relief::None);
            assert_eq!(limit, 1);
            scarcity.is_over();
        }
    }
}
