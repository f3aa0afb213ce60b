//! The rate limit of one endpoint: a token bucket.
//!
//! The bucket holds `burst` tokens and is filled with `per_second`; a request takes one. A clock that jumps back neither
//! empties nor locks it.

use std::time::Duration;

use reelhook_domain::endpoint::Rate;
use reelhook_domain::time::Timestamp;

/// The slowest rate that is honoured, in requests per second; protects the division below.
const SLOWEST: f64 = 0.001;

/// The tokens of one lane.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    rate: Rate,
    tokens: f64,
    at: Timestamp,
}

impl Bucket {
    /// A full bucket.
    pub(crate) fn new(rate: Rate, now: Timestamp) -> Self {
        Self { rate, tokens: f64::from(rate.burst.max(1)), at: now }
    }

    /// What it was made for.
    pub(crate) const fn rate(&self) -> Rate {
        self.rate
    }

    /// Whether there is a token, or when there will be.
    pub(crate) fn ready(&mut self, now: Timestamp) -> Result<(), Timestamp> {
        self.ready_after(0, now)
    }

    /// The same for whoever lets so many go ahead.
    pub(crate) fn ready_after(&mut self, ahead: usize, now: Timestamp) -> Result<(), Timestamp> {
        // After a jump back it is filled from the new time on, not once the old one comes again.
        self.at = self.at.min(now);
        let missing = 1.0 + ahead as f64 - self.filled(now);
        // Sums of fractions miss whole numbers by a hair.
        if missing <= 1e-6 {
            return Ok(());
        }
        let wait = missing / self.rate.per_second.max(SLOWEST);
        Err(now + Duration::from_millis((wait * 1000.0).ceil() as u64))
    }

    /// Takes a token, which [`Bucket::ready`] said is there.
    pub(crate) fn take(&mut self, now: Timestamp) {
        self.tokens = (self.filled(now) - 1.0).max(0.0);
        self.at = now;
    }

    fn filled(&self, now: Timestamp) -> f64 {
        let gained = now.since(self.at).as_secs_f64() * self.rate.per_second.max(SLOWEST);
        (self.tokens + gained).min(f64::from(self.rate.burst.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    #[test]
    fn a_burst_goes_at_once_and_then_the_rate_holds() {
        let mut bucket = Bucket::new(Rate { per_second: 4.0, burst: 2 }, NOW);
        for _ in 0..2 {
            assert_eq!(bucket.ready(NOW), Ok(()));
            bucket.take(NOW);
        }
        let next = NOW + Duration::from_millis(250);
        assert_eq!(bucket.ready(NOW), Err(next));
        assert_eq!(bucket.ready(next), Ok(()));
    }

    #[test]
    fn whoever_comes_later_waits_for_those_ahead() {
        let mut bucket = Bucket::new(Rate { per_second: 4.0, burst: 2 }, NOW);
        let after =
            |bucket: &mut Bucket, ahead| bucket.ready_after(ahead, NOW).err().map(|at| at.since(NOW).as_millis());
        assert_eq!([0, 1, 2, 9].map(|ahead| after(&mut bucket, ahead)), [None, None, Some(250), Some(2000)]);
    }

    #[test]
    fn a_clock_that_jumps_back_does_not_lock_it() {
        let mut bucket = Bucket::new(Rate { per_second: 10.0, burst: 1 }, NOW);
        bucket.take(NOW);
        let before = NOW - Duration::from_secs(3600);
        let again = bucket.ready(before).expect_err("it was just emptied");
        assert_eq!(again.since(before), Duration::from_millis(100));
        assert_eq!(bucket.ready(again), Ok(()));
    }

    #[test]
    fn an_hour_of_rest_gives_no_more_than_the_burst() {
        let mut bucket = Bucket::new(Rate { per_second: 100.0, burst: 3 }, NOW);
        let later = NOW + Duration::from_secs(3600);
        (0..3).for_each(|_| bucket.take(later));
        assert!(bucket.ready(later).is_err());
    }
}
