//! How values are spread: quantiles, a histogram on a logarithmic scale, fair samples.

use crate::view::graph::real;

/// Values of one kind (microseconds, bytes) of one step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Spread {
    /// How many values there are in all.
    pub total: u64,
    /// Their sum, or an estimate of it from a sample.
    pub sum: u64,
    /// Those looked at, ascending; fewer than `total` if it is a sample.
    values: Vec<u64>,
}

impl Spread {
    /// Of all `values`.
    pub(crate) fn of(values: Vec<u64>) -> Self {
        let total = values.len() as u64;
        Self::of_sample(values, total)
    }

    /// Of a sample from `total` values.
    pub(crate) fn of_sample(mut values: Vec<u64>, total: u64) -> Self {
        values.sort_unstable();
        let sum: u128 = values.iter().map(|value| u128::from(*value)).sum();
        let looked_at = values.len().max(1) as u128;
        let sum = sum * u128::from(total) / looked_at;
        Self {
            total,
            sum: u64::try_from(sum).unwrap_or(u64::MAX),
            values,
        }
    }

    /// Whether not every value was looked at.
    pub(crate) fn is_sample(&self) -> bool {
        (self.values.len() as u64) < self.total
    }

    /// How many values were looked at.
    pub(crate) fn looked_at(&self) -> usize {
        self.values.len()
    }

    /// The value that `percent` of 100 values do not exceed (nearest rank); none without values.
    pub(crate) fn quantile(&self, percent: usize) -> Option<u64> {
        let rank = (self.values.len() * percent).div_ceil(100);
        self.values.get(rank.saturating_sub(1)).copied()
    }

    /// The smallest value.
    pub(crate) fn least(&self) -> Option<u64> {
        self.values.first().copied()
    }

    /// The largest value.
    pub(crate) fn most(&self) -> Option<u64> {
        self.values.last().copied()
    }

    /// How many values are in each bin of `scale`.
    pub(crate) fn histogram(&self, scale: &Scale) -> Vec<usize> {
        let mut bins = vec![0; scale.bins()];
        for value in &self.values {
            bins[scale.bin(*value)] += 1;
        }
        bins
    }
}

/// Bins of a logarithmic scale, four to a doubling at most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scale {
    low: f64,
    per_bin: f64,
    bins: usize,
}

impl Scale {
    /// A scale on which all values of `spreads` have a place, with `bins` bins (at least one).
    pub(crate) fn over<'a>(spreads: impl Iterator<Item = &'a Spread> + Clone, bins: usize) -> Self {
        let low = spreads.clone().filter_map(Spread::least).min();
        let high = spreads.filter_map(Spread::most).max();
        let low = log(low.unwrap_or(0));
        let high = log(high.unwrap_or(0));
        let bins = bins.max(1);
        let per_bin = ((high - low) / real(bins)).max(0.25);
        Self { low, per_bin, bins }
    }

    /// How many bins there are.
    pub(crate) fn bins(&self) -> usize {
        self.bins
    }

    /// The bin of a value; those off the scale are in the first or last one.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // In range, by the clamp.
    pub(crate) fn bin(&self, value: u64) -> usize {
        let at = (log(value) - self.low) / self.per_bin;
        at.clamp(0.0, real(self.bins - 1)) as usize
    }

    /// The value at which a bin begins.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // A cast saturates.
    pub(crate) fn begin(&self, bin: usize) -> u64 {
        (self.low + self.per_bin * real(bin)).exp2().round() as u64 - 1
    }
}

/// Of zero too.
#[allow(clippy::cast_precision_loss)] // A bin is wider.
fn log(value: u64) -> f64 {
    (value as f64 + 1.0).log2()
}

/// A fair sample of a stream of unknown length, the same for the same stream.
#[derive(Debug, Clone)]
pub(crate) struct Sample<T> {
    most: usize,
    seen: u64,
    random: u64,
    kept: Vec<T>,
}

impl<T> Sample<T> {
    /// Of at most `most` items.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            seen: 0,
            random: 0x9e37_79b9_7f4a_7c15,
            kept: Vec::new(),
        }
    }

    /// Offers the next item; each has the same chance in the end.
    pub(crate) fn offer(&mut self, item: T) {
        self.seen += 1;
        if self.kept.len() < self.most {
            self.kept.push(item);
            return;
        }
        // Xorshift: even enough, and no clock or system in it.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let at = usize::try_from(self.random % self.seen).unwrap_or(usize::MAX);
        if let Some(place) = self.kept.get_mut(at) {
            *place = item;
        }
    }

    /// How many were offered.
    pub(crate) fn seen(&self) -> u64 {
        self.seen
    }

    /// Those kept.
    pub(crate) fn kept(&self) -> &[T] {
        &self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_by_nearest_rank() {
        let spread = Spread::of((1..=200).rev().collect());
        assert_eq!(spread.quantile(50), Some(100));
        assert_eq!(spread.quantile(95), Some(190));
        assert_eq!(spread.quantile(100), spread.most());
        assert_eq!((spread.least(), spread.most()), (Some(1), Some(200)));
        assert_eq!(spread.sum, 201 * 100);
        assert_eq!(Spread::default().quantile(50), None);
    }

    #[test]
    fn a_samples_sum_is_an_estimate() {
        let spread = Spread::of_sample(vec![10, 20], 10);
        assert!(spread.is_sample());
        assert_eq!((spread.sum, spread.looked_at()), (150, 2));
    }

    #[test]
    fn every_value_has_a_bin() {
        let spread = Spread::of(vec![0, 1, 1000, 1_000_000, u64::MAX]);
        let scale = Scale::over([&spread].into_iter(), 24);
        let bins = spread.histogram(&scale);
        assert_eq!(bins.iter().sum::<usize>(), 5);
        assert_eq!((bins[0], bins[23]), (2, 1));
        for bin in 1..24 {
            assert!(scale.begin(bin - 1) < scale.begin(bin));
            assert_eq!(scale.bin(scale.begin(bin) + scale.begin(bin) / 64 + 1), bin);
        }
    }

    #[test]
    fn equal_values_and_none_are_no_trouble() {
        let same = Spread::of(vec![7; 3]);
        let scale = Scale::over([&same].into_iter(), 24);
        assert_eq!(same.histogram(&scale)[0], 3);
        let none = Spread::default();
        let scale = Scale::over([&none].into_iter(), 24);
        assert_eq!(none.histogram(&scale).iter().sum::<usize>(), 0);
    }

    #[test]
    fn samples_are_fair() {
        let mut sample = Sample::new(1000);
        (0..100_000u32).for_each(|n| sample.offer(n));
        assert_eq!((sample.seen(), sample.kept().len()), (100_000, 1000));
        let low = sample.kept().iter().filter(|n| **n < 50_000).count();
        assert!((400..600).contains(&low), "{low}");
    }
}
