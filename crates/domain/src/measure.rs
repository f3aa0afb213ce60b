//! What is counted while work is done: numbers that many tasks bump and that somebody reads now and then.
//!
//! Counting is one or a few relaxed atomic additions: no lock, no allocation, no text. Names, help and labels are made
//! when somebody looks, as [`Family`]s that `api` spells for Prometheus. A label is a constant of the program by its
//! type, so no URL, id or other word of a stranger's can become one, and the number of series does not grow with use.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Something that only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// One more.
    pub fn bump(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// How many so far.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Something that is so high at the moment.
#[derive(Debug, Default)]
pub struct Level(AtomicU64);

impl Level {
    /// It is so high now.
    pub fn set(&self, level: usize) {
        self.0.store(level as u64, Ordering::Relaxed);
    }

    /// How high it is.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Most bounds of a [`Spread`].
const MOST_BOUNDS: usize = 20;

/// Bounds for times from half a millisecond to half a minute, in microseconds.
const SHORT: &[u64] = &[
    500, 1_000, 2_000, 3_500, 5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 640_000, 1_250_000, 2_500_000,
    5_000_000, 10_000_000, 15_000_000, 30_000_000,
];
/// Bounds for times from a millisecond to a day, in microseconds.
const LONG: &[u64] = &[
    1_000,
    2_000,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    5_000_000,
    15_000_000,
    60_000_000,
    300_000_000,
    1_800_000_000,
    7_200_000_000,
    28_800_000_000,
    86_400_000_000,
];
/// Bounds for how many went together.
const SIZES: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];

/// How values spread over a row of bounds.
#[derive(Debug)]
pub struct Spread {
    bounds: &'static [u64],
    /// How many units make one of what is shown: a million for times, which are kept in microseconds.
    scale: f64,
    buckets: [AtomicU64; MOST_BOUNDS + 1],
    sum: AtomicU64,
}

impl Spread {
    /// Of times from half a millisecond to half a minute.
    pub fn short_times() -> Self {
        Self::new(SHORT, 1e6)
    }

    /// Of times from a millisecond to a day.
    pub fn long_times() -> Self {
        Self::new(LONG, 1e6)
    }

    /// Of numbers of things that went together.
    pub fn sizes() -> Self {
        Self::new(SIZES, 1.0)
    }

    fn new(bounds: &'static [u64], scale: f64) -> Self {
        debug_assert!(bounds.len() <= MOST_BOUNDS, "a spread has room for its bounds");
        Self { bounds, scale, buckets: Default::default(), sum: AtomicU64::new(0) }
    }

    /// A time was seen.
    pub fn note(&self, time: Duration) {
        self.see(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// A number of things was seen.
    pub fn note_size(&self, size: usize) {
        self.see(size as u64);
    }

    fn see(&self, value: u64) {
        let place = self.bounds.iter().position(|&bound| value <= bound).unwrap_or(self.bounds.len());
        self.buckets[place].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// How they spread so far.
    pub fn reading(&self) -> Spreading {
        let count = |place: usize| self.buckets[place].load(Ordering::Relaxed);
        let bounds = self.bounds.iter().map(|&bound| bound as f64 / self.scale).chain([f64::INFINITY]);
        let buckets: Vec<_> = bounds.enumerate().map(|(place, bound)| (bound, count(place))).collect();
        Spreading {
            sum: self.sum.load(Ordering::Relaxed) as f64 / self.scale,
            count: buckets.iter().map(|(_, count)| count).sum(),
            buckets,
        }
    }
}

/// A [`Spread`] as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Spreading {
    /// The sum of all values.
    pub sum: f64,
    /// How many there were.
    pub count: u64,
    /// How many were up to each bound and above the one before; the last bound is `f64::INFINITY`, for the rest.
    pub buckets: Vec<(f64, u64)>,
}

/// The only label of a series, where it has one: its name and its value.
pub type Label = Option<(&'static str, &'static str)>;

/// Series of one name.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// The name, without the prefix of the program and without `_total`; its end names the unit, where it has one.
    pub name: &'static str,
    /// What it means, in one sentence without a full stop.
    pub help: &'static str,
    /// Its series.
    pub series: Series,
}

/// The series of a family.
#[derive(Debug, Clone, PartialEq)]
pub enum Series {
    /// They only grow.
    Counters(Vec<(Label, u64)>),
    /// They go up and down.
    Gauges(Vec<(Label, f64)>),
    /// They spread.
    Histograms(Vec<(Label, Spreading)>),
}

impl Family {
    /// One counter.
    pub fn counter(name: &'static str, help: &'static str, count: &Count) -> Self {
        Self { name, help, series: Series::Counters(vec![(None, count.value())]) }
    }

    /// One gauge.
    pub fn gauge(name: &'static str, help: &'static str, level: f64) -> Self {
        Self { name, help, series: Series::Gauges(vec![(None, level)]) }
    }

    /// One histogram.
    pub fn histogram(name: &'static str, help: &'static str, spread: &Spread) -> Self {
        Self { name, help, series: Series::Histograms(vec![(None, spread.reading())]) }
    }

    /// Counters, one for each value of a label.
    pub fn counters<'a>(
        name: &'static str,
        help: &'static str,
        label: &'static str,
        counts: impl IntoIterator<Item = (&'static str, &'a Count)>,
    ) -> Self {
        let of = |(value, count): (_, &Count)| (Some((label, value)), count.value());
        Self { name, help, series: Series::Counters(counts.into_iter().map(of).collect()) }
    }

    /// Gauges, one for each value of a label.
    pub fn gauges(
        name: &'static str,
        help: &'static str,
        label: &'static str,
        levels: impl IntoIterator<Item = (&'static str, f64)>,
    ) -> Self {
        let of = |(value, level)| (Some((label, value)), level);
        Self { name, help, series: Series::Gauges(levels.into_iter().map(of).collect()) }
    }

    /// Histograms, one for each value of a label.
    pub fn histograms<'a>(
        name: &'static str,
        help: &'static str,
        label: &'static str,
        spreads: impl IntoIterator<Item = (&'static str, &'a Spread)>,
    ) -> Self {
        let of = |(value, spread): (_, &Spread)| (Some((label, value)), spread.reading());
        Self { name, help, series: Series::Histograms(spreads.into_iter().map(of).collect()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_falls_into_the_first_bucket_whose_bound_it_does_not_pass() {
        let spread = Spread::sizes();
        for size in [0, 1, 2, 3, 1024, 1025, usize::MAX >> 12] {
            spread.note_size(size);
        }
        let reading = spread.reading();
        assert_eq!(reading.count, 7);
        let counts: Vec<_> = reading.buckets.iter().filter(|(_, count)| *count > 0).copied().collect();
        assert_eq!(counts, [(1.0, 2), (2.0, 1), (4.0, 1), (1024.0, 1), (f64::INFINITY, 2)]);
    }

    #[test]
    fn times_are_read_in_seconds() {
        for spread in [Spread::short_times(), Spread::long_times()] {
            spread.note(Duration::from_micros(1_500));
            spread.note(Duration::from_secs(2));
            let reading = spread.reading();
            assert_eq!((reading.sum, reading.count), (2.0015, 2));
            let filled: Vec<_> =
                reading.buckets.iter().filter(|(_, count)| *count > 0).map(|(bound, _)| *bound).collect();
            assert_eq!(filled[0], 0.002);
            assert!(filled[1] > 2.0 && filled[1] <= 5.0, "{filled:?}");
        }
    }

    #[test]
    fn bounds_rise_and_have_room() {
        for bounds in [SHORT, LONG, SIZES] {
            assert!(bounds.len() <= MOST_BOUNDS && bounds.is_sorted_by(|a, b| a < b), "{bounds:?}");
        }
    }
}
