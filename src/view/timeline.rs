//! When tasks were executed: on an axis of time from which long pauses are cut out.

/// One execution of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// The task.
    pub task: i64,
    /// The step, as an index.
    pub step: usize,
    /// The worker, from 0.
    pub worker: u64,
    /// Microseconds since 1970.
    pub start: i64,
    /// Microseconds.
    pub elapsed: i64,
    /// Whether it failed.
    pub failed: bool,
    /// The machine, as an index; none for that of the run.
    pub machine: Option<usize>,
}

impl Span {
    /// Microseconds since 1970.
    pub(crate) fn end(&self) -> i64 {
        self.start.saturating_add(self.elapsed.max(0))
    }
}

/// Puts spans of one machine into as few lanes as hold them side by side: the lane of each, and how many there are.
/// `starts_and_ends`: in microseconds.
pub(crate) fn lanes(starts_and_ends: &[(i64, i64)]) -> (Vec<usize>, usize) {
    // Beginnings are known to the millisecond.
    const BLUR: i64 = 1000;
    let mut order: Vec<usize> = (0..starts_and_ends.len()).collect();
    order.sort_by_key(|at| starts_and_ends[*at]);
    let mut lane_of = vec![0; starts_and_ends.len()];
    let mut ends: Vec<i64> = Vec::new();
    for at in order {
        let (start, end) = starts_and_ends[at];
        let free = ends
            .iter()
            .position(|end| *end <= start.saturating_add(BLUR));
        let lane = free.unwrap_or(ends.len());
        if lane == ends.len() {
            ends.push(end);
        } else {
            ends[lane] = end;
        }
        lane_of[at] = lane;
    }
    (lane_of, ends.len())
}

/// A stretch of time in which something ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// Microseconds since 1970.
    pub start: i64,
    /// Microseconds since 1970.
    pub end: i64,
    /// Where it begins on the axis, in microseconds from the axis' start.
    pub at: i64,
}

/// An axis of time without its long pauses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Axis {
    /// In order of time.
    pub stretches: Vec<Stretch>,
    /// The axis' length in microseconds; at least 1.
    pub length: i64,
}

/// The shortest pause that is cut, in microseconds.
const PAUSE: i64 = 1_000_000;

impl Axis {
    /// An axis for `spans`. A pause is cut out if it is longer than a twentieth of the time in
    /// which something ran, and than a second.
    pub(crate) fn of(spans: &[Span]) -> Self {
        let mut order: Vec<(i64, i64)> = spans.iter().map(|s| (s.start, s.end())).collect();
        order.sort_unstable();
        let mut busy: Vec<(i64, i64)> = Vec::new();
        for (start, end) in order {
            match busy.last_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                _ => busy.push((start, end)),
            }
        }
        let active: i64 = busy.iter().map(|(start, end)| end - start).sum();
        let longest = PAUSE.max(active / 20);
        let mut stretches: Vec<Stretch> = Vec::new();
        let mut length = 0;
        for (start, end) in busy {
            match stretches.last_mut() {
                Some(last) if start - last.end <= longest => {
                    length += end - last.end;
                    last.end = end;
                }
                _ => {
                    stretches.push(Stretch {
                        start,
                        end,
                        at: length,
                    });
                    length += end - start;
                }
            }
        }
        Self {
            stretches,
            length: length.max(1),
        }
    }

    /// Where a point in time (microseconds since 1970) is on the axis, in microseconds.
    pub(crate) fn at(&self, time: i64) -> i64 {
        let after = self.stretches.partition_point(|s| s.start <= time);
        match after.checked_sub(1).and_then(|at| self.stretches.get(at)) {
            Some(stretch) => stretch.at + (time.min(stretch.end) - stretch.start),
            None => 0,
        }
    }

    /// The pauses that were cut: where on the axis, and how long; both in microseconds.
    pub(crate) fn pauses(&self) -> impl Iterator<Item = (i64, i64)> {
        self.stretches
            .windows(2)
            .map(|pair| (pair[1].at, pair[1].start - pair[0].end))
    }
}

/// Time spent in bins of an axis, by rows.
#[derive(Debug, Clone)]
pub(crate) struct Bins {
    /// Per row, per bin: microseconds of execution; more than a bin's length where tasks of the
    /// row ran side by side.
    pub busy: Vec<Vec<i64>>,
    /// A bin's length in microseconds; at least 1.
    pub length: i64,
}

impl Bins {
    /// Sums `spans` up in `bins` bins; `row` gives a span's row, of `rows`.
    pub(crate) fn of(
        axis: &Axis,
        spans: &[Span],
        rows: usize,
        bins: usize,
        row: impl Fn(&Span) -> usize,
    ) -> Self {
        let count = i64::try_from(bins.max(1)).unwrap_or(1);
        let length = axis.length / count + i64::from(axis.length % count != 0);
        let mut busy = vec![vec![0; bins.max(1)]; rows];
        for span in spans {
            let Some(row) = busy.get_mut(row(span)) else {
                continue;
            };
            let (from, to) = (axis.at(span.start), axis.at(span.end()));
            let bin = |at: i64| usize::try_from(at / length).unwrap_or(0).min(bins - 1);
            for (number, slot) in (bin(from)..).zip(&mut row[bin(from)..=bin(to)]) {
                let begin = i64::try_from(number).unwrap_or(0) * length;
                *slot += (to.min(begin + length) - from.max(begin)).max(0);
            }
        }
        Self { busy, length }
    }

    /// The most in any bin.
    pub(crate) fn most(&self) -> i64 {
        self.busy.iter().flatten().copied().max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: i64, elapsed: i64) -> Span {
        Span {
            task: 1,
            step: 0,
            worker: 0,
            start,
            elapsed,
            failed: false,
            machine: None,
        }
    }

    #[test]
    fn a_long_pause_is_cut_and_a_short_one_is_not() {
        let second = 1_000_000;
        let day = 86_400 * second;
        let spans = [
            span(day, 30 * second),
            span(day + 31 * second, 9 * second),
            span(3 * day, 10 * second),
        ];
        let axis = Axis::of(&spans);
        assert_eq!(axis.length, 50 * second);
        assert_eq!(axis.stretches.len(), 2);
        assert_eq!(
            axis.pauses().collect::<Vec<_>>(),
            [(40 * second, 2 * day - 40 * second)]
        );
        assert_eq!(axis.at(day + 35 * second), 35 * second);
        assert_eq!(axis.at(2 * day), 40 * second);
        assert_eq!(axis.at(3 * day + second), 41 * second);
        assert_eq!(axis.at(0), 0);
    }

    #[test]
    fn lanes_hold_what_ran_side_by_side() {
        let ms = 1000;
        // The second begins as the first ends, as far as is known; the third beside it.
        let spans = [
            (0, 10 * ms),
            (9 * ms, 20 * ms),
            (12 * ms, 15 * ms),
            (16 * ms, 30 * ms),
        ];
        assert_eq!(lanes(&spans), (vec![0, 0, 1, 1], 2));
        assert_eq!(lanes(&[]), (Vec::new(), 0));
    }

    #[test]
    fn nothing_ran() {
        let axis = Axis::of(&[]);
        assert_eq!((axis.length, axis.at(5)), (1, 0));
        assert_eq!(Bins::of(&axis, &[], 1, 10, |_| 0).most(), 0);
    }

    #[test]
    fn bins_hold_all_the_time_spent() {
        let spans = [span(0, 95), span(10, 5), span(100, 0), span(20, 33)];
        let axis = Axis::of(&spans);
        let bins = Bins::of(&axis, &spans, 1, 7, |_| 0);
        assert_eq!(bins.busy[0].iter().sum::<i64>(), 133);
        assert_eq!(bins.busy[0].len(), 7);
        assert!(bins.most() <= 2 * bins.length);
    }
}
