//! How often an account may do by hand what makes the delivery engine work: token buckets, in memory.
//!
//! A bucket holds a minute's worth and fills evenly, so a burst is served at once and a loop is held to the rate. A
//! restart fills all of them; what they protect is this process. A clock that jumps back neither empties nor locks one.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;
use reelhook_domain::id::AccountId;
use reelhook_domain::time::Timestamp;

use crate::problem::Problem;

/// Most buckets that are remembered; beyond that, full ones are forgotten, which changes nothing.
const MOST: usize = 10_000;

/// What is done by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ByHand {
    /// A delivery is resent, replayed or canceled.
    Delivery,
    /// All that an endpoint missed is recovered.
    Recovery,
    /// An endpoint is tested.
    Test,
}

/// How often an account may do what, by hand, in a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByHandRates {
    /// Deliveries resent, replayed or canceled: from 1.
    pub deliveries: u32,
    /// Endpoints recovered: from 1.
    pub recoveries: u32,
    /// Endpoints tested: from 1.
    pub tests: u32,
}

impl Default for ByHandRates {
    fn default() -> Self {
        Self { deliveries: 600, recoveries: 10, tests: 60 }
    }
}

impl ByHandRates {
    fn of(&self, what: ByHand) -> u32 {
        let rate = match what {
            ByHand::Delivery => self.deliveries,
            ByHand::Recovery => self.recoveries,
            ByHand::Test => self.tests,
        };
        rate.max(1)
    }
}

/// What one account has left. One try costs [`PRICE`]; a bucket that allows `rate` a minute gains `rate` in a millisecond,
/// so all numbers are whole, and no sum of fractions misses one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    pub(crate) left: u64,
    pub(crate) at: Timestamp,
}

impl Bucket {
    /// What it holds by now; never more than a minute's worth.
    pub(crate) fn filled(self, rate: u32, now: Timestamp) -> u64 {
        let passed = u64::try_from(now.since(self.at).as_millis()).unwrap_or(u64::MAX);
        self.left.saturating_add(passed.saturating_mul(u64::from(rate))).min(full(rate))
    }
}

/// The milliseconds of a minute.
pub(crate) const PRICE: u64 = 60_000;

pub(crate) const fn full(rate: u32) -> u64 {
    PRICE * rate as u64
}

/// The buckets of all accounts.
#[derive(Debug)]
pub(crate) struct Throttle {
    rates: ByHandRates,
    buckets: Mutex<HashMap<(AccountId, ByHand), Bucket>>,
}

impl Throttle {
    pub(crate) fn new(rates: ByHandRates) -> Self {
        Self { rates, buckets: Mutex::default() }
    }

    /// Takes one.
    ///
    /// # Errors
    /// 429 with the time to wait, when there is none.
    pub(crate) fn take(&self, account: AccountId, what: ByHand, now: Timestamp) -> Result<(), Problem> {
        let rate = self.rates.of(what);
        // Every change is one assignment, so a panic elsewhere leaves the buckets whole.
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MOST {
            buckets.retain(|(_, what), bucket| {
                let rate = self.rates.of(*what);
                bucket.filled(rate, now) < full(rate)
            });
        }
        let bucket = buckets.entry((account, what)).or_insert(Bucket { left: full(rate), at: now });
        let left = bucket.filled(rate, now);
        if left < PRICE {
            return Err(too_many(what, rate, Duration::from_millis((PRICE - left).div_ceil(u64::from(rate)))));
        }
        *bucket = Bucket { left: left - PRICE, at: now };
        Ok(())
    }
}

fn too_many(what: ByHand, rate: u32, wait: Duration) -> Problem {
    let things = match what {
        ByHand::Delivery => "deliveries may be resent, replayed or canceled",
        ByHand::Recovery => "recoveries may be requested",
        ByHand::Test => "tests may be requested",
    };
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let detail = format!("at most {rate} {things} in a minute; try again in {seconds} s");
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", detail).retry_after(wait)
}

#[cfg(test)]
mod tests {
    use reelhook_domain::id::Id;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn account(bits: u128) -> AccountId {
        Id::from_bits(bits)
    }

    #[test]
    fn a_burst_is_served_and_a_loop_is_held_to_the_rate() {
        let throttle = Throttle::new(ByHandRates { deliveries: 3, recoveries: 1, tests: 1 });
        let take = |at: Timestamp| throttle.take(account(1), ByHand::Delivery, at).is_ok();
        assert!((0..3).all(|_| take(NOW)));
        assert!(!take(NOW));
        assert!(!take(NOW + Duration::from_millis(19_999)));
        assert!(take(NOW + Duration::from_secs(20)));
        assert!(!take(NOW + Duration::from_secs(20)));
        assert!(!take(NOW), "a clock that jumps back gives nothing");
    }

    #[test]
    fn accounts_and_things_have_buckets_of_their_own() {
        let throttle = Throttle::new(ByHandRates { deliveries: 1, recoveries: 1, tests: 1 });
        for (who, what) in [(1, ByHand::Delivery), (2, ByHand::Delivery), (1, ByHand::Test), (1, ByHand::Recovery)] {
            assert!(throttle.take(account(who), what, NOW).is_ok());
            assert!(throttle.take(account(who), what, NOW).is_err());
        }
    }

    #[test]
    fn memory_is_bounded_and_forgetting_lets_nobody_in() {
        let throttle = Throttle::new(ByHandRates { deliveries: 1, recoveries: 1, tests: 1 });
        assert!(throttle.take(account(0), ByHand::Test, NOW + Duration::from_secs(61)).is_ok());
        for who in 1..=MOST as u128 {
            throttle.take(account(who), ByHand::Test, NOW).unwrap();
        }
        let later = NOW + Duration::from_secs(61);
        throttle.take(account(u128::MAX), ByHand::Test, later).unwrap();
        assert!(throttle.buckets.lock().unwrap().len() <= 2);
        assert!(throttle.take(account(0), ByHand::Test, later).is_err());
    }
}
