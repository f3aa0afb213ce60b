//! How many requests one endpoint gets at once: as many as it bears.
//!
//! Additive increase, multiplicative decrease, as TCP does it. A *round* is as many successes as the limit is wide; each
//! round widens it by one. A sign of overload halves it, once for all requests that were out at that moment: sixty
//! timeouts of one stall are one sign, not sixty.

/// Where a lane starts.
const START: u32 = 4;
/// The widest a lane gets.
const WIDEST: u32 = 64;

/// The width of one lane.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Adaptive {
    limit: u32,
    /// Successes of this round.
    successes: u32,
    /// Counts the halvings: requests started before the last one say nothing about the width since.
    epoch: u32,
}

impl Default for Adaptive {
    fn default() -> Self {
        Self { limit: START, successes: 0, epoch: 0 }
    }
}

impl Adaptive {
    /// How many requests may be out.
    pub(crate) const fn limit(&self) -> usize {
        self.limit as usize
    }

    /// What a request that starts now has to bring back.
    pub(crate) const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// A request arrived.
    pub(crate) fn succeeded(&mut self) {
        self.successes += 1;
        if self.successes >= self.limit {
            self.successes = 0;
            self.limit = (self.limit + 1).min(WIDEST);
        }
    }

    /// A request that started in `epoch` met a receiver that is overloaded.
    pub(crate) fn slowed(&mut self, epoch: u32) {
        if epoch == self.epoch {
            self.narrow_to(self.limit / 2);
        }
    }

    /// The endpoint is left alone for a while; afterwards begin with one request at a time.
    pub(crate) fn restart(&mut self) {
        self.narrow_to(1);
    }

    fn narrow_to(&mut self, limit: u32) {
        *self = Self { limit: limit.max(1), successes: 0, epoch: self.epoch.wrapping_add(1) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_round_of_successes_widens_by_one() {
        let mut width = Adaptive::default();
        for (successes, expected) in [(3, 4), (1, 5), (4, 5), (1, 6)] {
            (0..successes).for_each(|_| width.succeeded());
            assert_eq!(width.limit(), expected);
        }
    }

    #[test]
    fn one_stall_halves_once_however_many_requests_it_hits() {
        let mut width = Adaptive { limit: 40, ..Adaptive::default() };
        let epoch = width.epoch();
        (0..40).for_each(|_| width.slowed(epoch));
        assert_eq!(width.limit(), 20);
        width.slowed(width.epoch());
        assert_eq!(width.limit(), 10);
    }

    proptest! {
        #[test]
        fn the_width_is_always_between_one_and_the_widest(signs in proptest::collection::vec(0u8..3, 0..5000)) {
            let mut width = Adaptive::default();
            for sign in signs {
                match sign {
                    0 => width.slowed(width.epoch()),
                    _ => width.succeeded(),
                }
                prop_assert!((1..=WIDEST as usize).contains(&width.limit()));
            }
        }
    }
}
