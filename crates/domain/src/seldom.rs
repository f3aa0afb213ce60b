//! Something that happens often and is told of once a minute.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::time::Timestamp;

const MINUTE_MS: i64 = 60_000;

/// Counts what happens between two times that it is told of.
#[derive(Debug)]
pub struct Seldom {
    told_at_ms: AtomicI64,
    untold: AtomicU64,
}

impl Default for Seldom {
    fn default() -> Self {
        Self { told_at_ms: AtomicI64::new(i64::MIN), untold: AtomicU64::new(0) }
    }
}

impl Seldom {
    /// Notes that it happened. Answers how often it did since it was last told of, when it is to be told of again: at once
    /// the first time, then once a minute at most.
    pub fn tells(&self, now: Timestamp) -> Option<u64> {
        self.untold.fetch_add(1, Ordering::Relaxed);
        let (now, told_at) = (now.as_millis(), self.told_at_ms.load(Ordering::Relaxed));
        // A clock that was put back shall not make it silent.
        let is_due = now.saturating_sub(told_at) >= MINUTE_MS || now < told_at;
        let is_mine = || self.told_at_ms.compare_exchange(told_at, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        (is_due && is_mine()).then(|| self.untold.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_of_at_once_and_those_of_a_minute_together() {
        let seldom = Seldom::default();
        let told: Vec<_> = [0, 1, 59_999, 60_000, 60_001, 1000, 120_000]
            .map(|millis| seldom.tells(Timestamp::from_millis(millis)))
            .into_iter()
            .collect();
        assert_eq!(told, [Some(1), None, None, Some(3), None, Some(2), Some(1)]);
    }
}
