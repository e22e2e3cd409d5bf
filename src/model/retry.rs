//! How long a failed task waits before it is tried again.

use std::time::Duration;

use super::task::TaskId;

/// The pauses between tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pauses {
    /// Before the second try.
    pub first: Duration,
    /// How many times as long each further one is, in thousandths; 1000 or more.
    pub backoff: u32,
    /// Which part of each is left to chance, in thousandths of it; 1000 at most.
    pub jitter: u32,
    /// The longest.
    pub most: Duration,
}

impl Pauses {
    /// The first, where nobody says anything.
    pub const FIRST: Duration = Duration::from_secs(1);
    /// Twice as long after each try: what is overloaded gets time to recover.
    pub const BACKOFF: u32 = 2000;
    /// The longest, where nobody says anything; of a longer first one, that.
    pub const MOST: Duration = Duration::from_mins(1);

    /// Those that begin so.
    pub fn from(first: Duration) -> Self {
        Self {
            first,
            backoff: Self::BACKOFF,
            jitter: 0,
            most: Self::MOST.max(first),
        }
    }

    /// The pause after the try of that number, from 0. Chance is the same each time it is asked for a task and a
    /// try: what failed together is not tried together again.
    pub fn after(&self, attempt: u32, task: TaskId) -> Duration {
        let thousandths = |number: u32| f64::from(number) / 1000.0;
        let times = thousandths(self.backoff).powi(i32::try_from(attempt).unwrap_or(i32::MAX));
        let most = self.most.as_secs_f64();
        let whole = (self.first.as_secs_f64() * times).min(most);
        let less = thousandths(self.jitter) * chance(task, attempt);
        Duration::try_from_secs_f64(whole * (1.0 - less)).unwrap_or(self.most)
    }
}

/// A number from 0 to 1 for each task and try, by the steps of `SplitMix64` (Steele, Lea and Flood 2014).
fn chance(task: TaskId, attempt: u32) -> f64 {
    let mut z =
        task.0.cast_unsigned().wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ u64::from(attempt) << 32;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    f64::from(u32::try_from(z >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pauses: Pauses, tries: u32) -> Vec<u128> {
        let one = |attempt| pauses.after(attempt, TaskId(1)).as_millis();
        (0..tries).map(one).collect()
    }

    #[test]
    fn pauses_grow_up_to_the_longest() {
        let usual = Pauses::from(Pauses::FIRST);
        assert_eq!(
            all(usual, 8),
            [1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000]
        );
        assert_eq!(
            all(Pauses::from(Duration::from_secs(90)), 2),
            [90_000, 90_000]
        );
        let even = Pauses {
            backoff: 1000,
            ..usual
        };
        assert_eq!(all(even, 3), [1000; 3]);
        let slow = Pauses {
            backoff: 1500,
            most: Duration::from_secs(2),
            ..usual
        };
        assert_eq!(all(slow, 4), [1000, 1500, 2000, 2000]);
        assert_eq!(usual.after(u32::MAX, TaskId(1)), Pauses::MOST);
    }

    #[test]
    fn chance_shortens_each_as_far_as_it_may() {
        let usual = Pauses {
            jitter: 500,
            ..Pauses::from(Duration::from_secs(10))
        };
        let mut pauses: Vec<f64> = (0..1000)
            .map(|task| usual.after(0, TaskId(task)).as_secs_f64())
            .collect();
        pauses.sort_by(f64::total_cmp);
        assert!(pauses[0] >= 5.0 && pauses[0] < 5.1, "{}", pauses[0]);
        assert!(pauses[999] <= 10.0 && pauses[999] > 9.9, "{}", pauses[999]);
        assert!((pauses[500] - 7.5).abs() < 0.3, "{}", pauses[500]);
        assert_eq!(usual.after(3, TaskId(7)), usual.after(3, TaskId(7)));
        assert_ne!(usual.after(0, TaskId(7)), usual.after(1, TaskId(7)));
    }
}
