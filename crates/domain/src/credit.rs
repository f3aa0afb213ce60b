//! Credits: what a job takes from its account's balance, for services that count in them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Whole credits for one minute of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CreditRate(pub u32);

impl CreditRate {
    /// What that long a piece of media takes: begun credits count whole.
    pub fn price(self, length: Duration) -> u64 {
        let millis = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        millis.saturating_mul(u64::from(self.0)).div_ceil(60_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begun_credits_count_whole() {
        for (rate, millis, credits) in [
            (60, 60_000, 60),
            (60, 1_000, 1),
            (60, 1_001, 2),
            (45, 2_000, 2),
            (180, 2_000, 6),
            (60, 0, 0),
            (0, 60_000, 0),
            (u32::MAX, u64::MAX, u64::MAX.div_ceil(60_000)),
        ] {
            assert_eq!(CreditRate(rate).price(Duration::from_millis(millis)), credits, "{rate} {millis}");
        }
    }
}
