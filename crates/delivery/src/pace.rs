//! How fast a backlog is worked off while new deliveries go out. Pure.
//!
//! # Theory of operation
//! A lane that has left deliveries in the store (a *parked* lane) works off a backlog. With nothing else to do it goes as
//! fast as it can. While many new deliveries go out on other lanes, those come first: of each span of time, backlogs get
//! a sixth of what the others sent in the span before, and never less than a floor, so that they come to their end.

use std::time::Duration;

use reelhook_domain::time::Timestamp;

/// How long a span is.
const SPAN: Duration = Duration::from_millis(100);
/// New deliveries of a span that are no hindrance, and what backlogs may send in any span: 750 a second.
const FLOOR: u32 = 75;
/// Backlogs get one turn for so many new deliveries.
const PART: u32 = 6;

/// What went out in this span, and what may.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pace {
    began: Timestamp,
    new: u32,
    backlog: u32,
    /// What backlogs may send in this span, where that is bounded.
    most: Option<u32>,
}

impl Pace {
    /// Until when a lane that works off a backlog waits, where it does.
    pub(crate) fn waits(&mut self, now: Timestamp) -> Option<Timestamp> {
        // Also after a clock was put back.
        if now.since(self.began) >= SPAN || self.began > now {
            let most = (self.new > FLOOR).then(|| (self.new / PART).max(FLOOR));
            *self = Self { began: now, new: 0, backlog: 0, most };
        }
        self.most.is_some_and(|most| self.backlog >= most).then(|| self.began + SPAN)
    }

    /// A delivery went out on such a lane, or on another.
    pub(crate) const fn went(&mut self, is_backlog: bool) {
        if is_backlog {
            self.backlog += 1;
        } else {
            self.new += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What backlogs send in each of some spans in which so many new deliveries go out first.
    fn sent(new: u32, spans: u64) -> Vec<u32> {
        let mut pace = Pace::default();
        let span = |number: u64| {
            let now = Timestamp::from_millis(1_000_000) + SPAN * u32::try_from(number).unwrap();
            let mut sent = 0;
            while sent < 5000 && pace.waits(now).is_none() {
                pace.went(true);
                sent += 1;
            }
            (0..new).for_each(|_| pace.went(false));
            sent
        };
        (0..spans).map(span).collect()
    }

    #[test]
    fn new_deliveries_go_before_a_backlog_and_few_of_them_are_no_hindrance() {
        assert_eq!(sent(0, 3), [5000, 5000, 5000]);
        assert_eq!(sent(75, 3), [5000, 5000, 5000]);
        assert_eq!(sent(76, 3), [5000, 75, 75]);
        assert_eq!(sent(1200, 3), [5000, 200, 200]);
    }

    #[test]
    fn a_backlog_goes_on_in_the_next_span() {
        let mut pace = Pace { began: Timestamp::from_millis(1000), new: 400, backlog: 100, most: Some(100) };
        assert_eq!(pace.waits(Timestamp::from_millis(1001)), Some(Timestamp::from_millis(1100)));
        assert_eq!(pace.waits(Timestamp::from_millis(1100)), None);
        assert_eq!(pace.most, Some(75));
    }

    #[test]
    fn a_clock_that_was_put_back_begins_a_span() {
        let mut pace = Pace { began: Timestamp::from_millis(9000), new: 0, backlog: 100, most: Some(100) };
        assert_eq!(pace.waits(Timestamp::from_millis(1000)), None);
    }
}
