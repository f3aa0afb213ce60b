//! The real clock and the real dice: the only place of the program that reads either.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use reelhook_domain::ambient::{Ambient, Clock, Dice};
use reelhook_domain::time::Timestamp;

/// The clock of the machine.
#[derive(Debug, Clone, Copy)]
struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everyone else is handed")]
    fn now(&self) -> Timestamp {
        let now = SystemTime::now();
        // A clock before 1970 is wrong either way; `doctor` says so.
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// The randomness of the operating system.
#[derive(Debug, Clone, Copy)]
struct OsDice;

impl Dice for OsDice {
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("a machine without randomness can keep no secret");
    }
}

/// The clock and the dice of this process.
pub(crate) fn system() -> Ambient {
    Ambient::new(Arc::new(SystemClock), Arc::new(OsDice))
}

/// A clock that stands.
#[derive(Debug, Clone, Copy)]
struct StandingClock(Timestamp);

impl Clock for StandingClock {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// The dice of this process, at that time and no other.
pub(crate) fn standing_at(time: Timestamp) -> Ambient {
    Ambient::new(Arc::new(StandingClock(time)), Arc::new(OsDice))
}

#[cfg(test)]
mod tests {
    use super::system;

    #[test]
    fn the_clock_is_of_this_century_and_the_dice_roll() {
        let ambient = system();
        assert!(ambient.now().to_string().starts_with("20"));
        assert_ne!(ambient.random::<32>(), ambient.random::<32>());
    }
}
