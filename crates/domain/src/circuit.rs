//! When an endpoint is left alone: a circuit per endpoint.
//!
//! Closed while things go well; opens after a row of failures; when its time is up one probe is let through, which
//! closes it or opens it for longer.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Failures in a row that open the circuit.
pub const OPENS_AFTER: u32 = 8;
/// How long it is open the first time; doubled each time a probe fails.
pub const FIRST_PAUSE: Duration = Duration::from_secs(30);
/// Longest pause.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);

/// Whether an endpoint is offered requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Circuit {
    /// Offered; so many failures in a row so far.
    Closed {
        /// Failures since the last success.
        failures: u32,
    },
    /// Left alone.
    Open {
        /// Until then.
        until: Timestamp,
        /// How often it was opened in a row: decides the pause.
        times: u32,
    },
    /// One request is out to see whether the endpoint is back.
    HalfOpen {
        /// How often it was opened in a row.
        times: u32,
    },
}

impl Default for Circuit {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

impl Circuit {
    /// The spelling in JSON.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Closed { .. } => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen { .. } => "half_open",
        }
    }

    /// Asks for leave to send: the circuit as it is once the request is out, or until when to wait. In `HalfOpen` the
    /// answer is `Err(None)`: wait for the probe that is out.
    ///
    /// # Errors
    /// Until when to wait, where a time is known.
    pub fn admit(self, now: Timestamp) -> Result<Self, Option<Timestamp>> {
        match self {
            Self::Closed { .. } => Ok(self),
            // No pause is longer than the longest: the clock was put back since.
            Self::Open { until, times } if now >= until || until.since(now) > LONGEST_PAUSE => {
                Ok(Self::HalfOpen { times })
            }
            Self::Open { until, .. } => Err(Some(until)),
            Self::HalfOpen { .. } => Err(None),
        }
    }

    /// The circuit after an attempt that arrived.
    pub const fn succeeded(self) -> Self {
        Self::Closed { failures: 0 }
    }

    /// The circuit after an attempt that did not.
    pub fn failed(self, now: Timestamp) -> Self {
        match self {
            Self::Closed { failures } if failures + 1 < OPENS_AFTER => Self::Closed { failures: failures + 1 },
            Self::Closed { .. } => Self::Open { until: now + pause(0), times: 1 },
            Self::HalfOpen { times } => Self::Open { until: now + pause(times), times: times.saturating_add(1) },
            // A straggler that was sent before the circuit opened tells nothing new.
            Self::Open { .. } => self,
        }
    }
}

/// The pause after the circuit was opened `times` times before.
fn pause(times: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(2u32.saturating_pow(times.min(16))).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_millis(0);

    #[test]
    fn eight_failures_open_it_and_one_probe_decides() {
        let mut circuit = Circuit::default();
        for _ in 0..7 {
            circuit = circuit.failed(NOW);
            assert_eq!(circuit.name(), "closed");
        }
        circuit = circuit.failed(NOW);
        assert_eq!(circuit.admit(NOW), Err(Some(NOW + FIRST_PAUSE)));
        let probing = circuit.admit(NOW + FIRST_PAUSE).unwrap();
        assert_eq!(probing.admit(NOW + FIRST_PAUSE), Err(None), "a second probe must wait for the first");
        assert_eq!(probing.succeeded(), Circuit::default());
        assert_eq!(probing.failed(NOW).admit(NOW), Err(Some(NOW + 2 * FIRST_PAUSE)));
    }

    #[test]
    fn a_clock_that_is_put_back_does_not_keep_it_open_for_longer_than_any_pause() {
        let open = (0..OPENS_AFTER).fold(Circuit::default(), |circuit, _| circuit.failed(NOW + LONGEST_PAUSE * 4));
        assert_eq!(open.name(), "open");
        assert_eq!(open.admit(NOW).map(|circuit| circuit.name()), Ok("half_open"));
    }

    proptest! {
        #[test]
        fn it_is_never_open_for_longer_than_the_longest_pause(steps in proptest::collection::vec(any::<bool>(), 0..200)) {
            let mut circuit = Circuit::default();
            let mut now = NOW;
            for good in steps {
                match circuit.admit(now) {
                    Ok(admitted) => circuit = if good { admitted.succeeded() } else { admitted.failed(now) },
                    Err(Some(until)) => {
                        prop_assert!(until.since(now) <= LONGEST_PAUSE);
                        now = until;
                    }
                    Err(None) => prop_assert!(false, "no probe is out"),
                }
            }
        }
    }
}
