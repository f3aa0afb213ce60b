//! When a webhook is tried again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::delivery::Outcome;
use crate::time::Timestamp;

/// The waits between the attempts of a delivery: the first before the first attempt, which is usually none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetrySchedule {
    /// Waits in milliseconds; one attempt each.
    waits_ms: Vec<u64>,
    /// Whether the waits are spread by 20 % either way. Not where a service documents exact waits.
    jitter: bool,
}

/// Longest wait that a schedule or a receiver may ask for.
pub const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);
/// Most attempts of a schedule.
pub const MOST_WAITS: usize = 20;
/// How far a wait is spread either way.
const JITTER: f64 = 0.2;

impl Default for RetrySchedule {
    /// At once, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h: over three days.
    fn default() -> Self {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        Self::seconds(&[0, 5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR])
    }
}

impl RetrySchedule {
    /// A spread schedule of those waits in seconds.
    pub fn seconds(waits: &[u64]) -> Self {
        Self { waits_ms: waits.iter().map(|seconds| seconds * 1000).collect(), jitter: true }
    }

    /// A schedule of exactly those waits in milliseconds.
    pub fn exact_millis(waits: &[u64]) -> Self {
        Self { waits_ms: waits.to_vec(), jitter: false }
    }

    /// The waits in milliseconds.
    pub fn waits_ms(&self) -> &[u64] {
        &self.waits_ms
    }

    /// How many attempts there are in all.
    pub fn attempts(&self) -> u32 {
        u32::try_from(self.waits_ms.len()).unwrap_or(u32::MAX)
    }

    /// How long to wait after `attempt` (1, 2, ...) failed; `None` after the last. `fraction` is a dice roll in 0..1.
    pub fn wait_after(&self, attempt: u32, fraction: f64) -> Option<Duration> {
        let wait = *self.waits_ms.get(usize::try_from(attempt).ok()?)?;
        let spread = if self.jitter { 1.0 + JITTER * (2.0 * fraction - 1.0) } else { 1.0 };
        Some(Duration::from_millis((wait as f64 * spread).round() as u64))
    }
}

/// What follows from an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It arrived.
    Delivered,
    /// Try again then.
    Retry {
        /// When.
        at: Timestamp,
        /// Why then: `backoff` or `retry_after`.
        reason: &'static str,
    },
    /// The schedule is at its end.
    Exhausted,
    /// The receiver says that it is gone for good.
    Gone,
}

/// What a 410 means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// The receiver is gone for good.
    Disables,
    /// A failure like any other, as services have it whose documents know no such answer.
    IsRetried,
}

/// What follows from attempt number `attempt` (1, 2, ...) of a delivery with that schedule.
///
/// `Retry-After` is never undercut and is capped at [`LONGEST_WAIT`]. It does not add attempts to the schedule.
pub fn judge(
    outcome: &Outcome,
    schedule: &RetrySchedule,
    attempt: u32,
    gone: Gone,
    now: Timestamp,
    fraction: f64,
) -> Verdict {
    match outcome {
        Outcome::Status { status: 200..=299, .. } => return Verdict::Delivered,
        Outcome::Status { status: 410, .. } if gone == Gone::Disables => return Verdict::Gone,
        Outcome::Status { .. } | Outcome::Failed { .. } => {}
    }
    let Some(wait) = schedule.wait_after(attempt, fraction) else {
        return Verdict::Exhausted;
    };
    match outcome.retry_after() {
        Some(asked) if asked.min(LONGEST_WAIT) > wait => {
            Verdict::Retry { at: now + asked.min(LONGEST_WAIT), reason: "retry_after" }
        }
        _ => Verdict::Retry { at: now + wait, reason: "backoff" },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn status(status: u16, retry_after: Option<u64>) -> Outcome {
        Outcome::Status { status, retry_after_ms: retry_after.map(|seconds| seconds * 1000) }
    }

    #[test]
    fn the_default_schedule_has_ten_attempts_over_three_days() {
        let schedule = RetrySchedule::default();
        assert_eq!(schedule.attempts(), 10);
        let waits: Vec<_> =
            (1..=10).map(|attempt| schedule.wait_after(attempt, 0.5).map(|wait| wait.as_secs())).collect();
        let expected = [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400];
        assert_eq!(waits, expected.map(Some).into_iter().chain([None]).collect::<Vec<_>>());
        assert!(expected.iter().sum::<u64>() > 3 * 24 * 3600);
    }

    #[test]
    fn outcomes_lead_where_the_contract_says() {
        let schedule = RetrySchedule::seconds(&[0, 10]);
        let now = Timestamp::from_millis(1_000_000);
        let verdict = |outcome: &Outcome, attempt| judge(outcome, &schedule, attempt, Gone::Disables, now, 0.5);
        assert_eq!(verdict(&status(204, None), 1), Verdict::Delivered);
        assert_eq!(verdict(&status(410, None), 1), Verdict::Gone);
        let later = Verdict::Retry { at: now + Duration::from_secs(10), reason: "backoff" };
        assert_eq!(judge(&status(410, None), &schedule, 1, Gone::IsRetried, now, 0.5), later);
        assert_eq!(
            verdict(&status(301, None), 1),
            Verdict::Retry { at: now + Duration::from_secs(10), reason: "backoff" }
        );
        assert_eq!(
            verdict(&status(429, Some(60)), 1),
            Verdict::Retry { at: now + Duration::from_secs(60), reason: "retry_after" }
        );
        assert_eq!(
            verdict(&status(503, Some(1)), 1),
            Verdict::Retry { at: now + Duration::from_secs(10), reason: "backoff" }
        );
        assert_eq!(
            verdict(&status(503, Some(1 << 40)), 1),
            Verdict::Retry { at: now + LONGEST_WAIT, reason: "retry_after" }
        );
        // A 500 is not told to wait: Retry-After is only honoured where it has a meaning.
        assert_eq!(
            verdict(&status(500, Some(60)), 1),
            Verdict::Retry { at: now + Duration::from_secs(10), reason: "backoff" }
        );
        assert_eq!(verdict(&status(500, None), 2), Verdict::Exhausted);
    }

    proptest! {
        #[test]
        fn jitter_stays_within_a_fifth_and_never_undercuts_retry_after(attempt in 1u32..10, fraction in 0.0f64..1.0, asked in 0u64..200_000) {
            let schedule = RetrySchedule::default();
            let plain = schedule.wait_after(attempt, 0.5);
            let spread = schedule.wait_after(attempt, fraction);
            if let (Some(plain), Some(spread)) = (plain, spread) {
                let ratio = spread.as_secs_f64() / plain.as_secs_f64();
                prop_assert!((0.799..=1.201).contains(&ratio));
                let now = Timestamp::from_millis(0);
                let Verdict::Retry { at, .. } = judge(&status(429, Some(asked)), &schedule, attempt, Gone::Disables, now, fraction) else { panic!() };
                prop_assert!(at.since(now) >= Duration::from_secs(asked.min(86_400)));
            }
        }
    }
}
