//! Clocks and dice for tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use reelhook_domain::ambient::{Ambient, Clock, Dice};
use reelhook_domain::time::Timestamp;

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct MovedClock(AtomicI64);

impl MovedClock {
    /// When the clocks of [`ambient`] start: 2026-06-04T10:00:00.000Z.
    pub const START: Timestamp = Timestamp::from_millis(1_780_567_200_000);

    /// A clock that shows `now`.
    pub const fn new(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.as_millis()))
    }

    /// Moves on by whole milliseconds.
    pub fn advance(&self, by: Duration) {
        let millis = i64::try_from(by.as_millis()).expect("tests stay within the calendar");
        self.0.fetch_add(millis, Ordering::SeqCst);
    }

    /// Moves to `now`, backwards too.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.as_millis(), Ordering::SeqCst);
    }
}

impl Clock for MovedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// Dice that give the same row of bytes for the same seed. Not for secrets.
#[derive(Debug)]
pub struct SeededDice {
    seed: u64,
    thrown: AtomicU64,
}

impl SeededDice {
    /// Dice of that seed, at the start of their row.
    pub const fn new(seed: u64) -> Self {
        Self { seed, thrown: AtomicU64::new(0) }
    }
}

impl Dice for SeededDice {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let place = self.thrown.fetch_add(1, Ordering::Relaxed);
            let word = mixed(self.seed.wrapping_add(place.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
            chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
        }
    }
}

/// The output step of SplitMix64. Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014).
const fn mixed(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A clock that stands at [`MovedClock::START`] and dice of seed 0, with the handle that moves the clock.
pub fn ambient() -> (Ambient, Arc<MovedClock>) {
    let clock = Arc::new(MovedClock::new(MovedClock::START));
    (Ambient::new(Arc::clone(&clock) as Arc<dyn Clock>, Arc::new(SeededDice::new(0))), clock)
}

/// The machine's clock and randomness, for tests in real time.
pub fn system_ambient() -> Ambient {
    Ambient::new(Arc::new(SystemClock), Arc::new(SystemDice))
}

struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the real clock of tests that run in real time")]
    fn now(&self) -> Timestamp {
        let since =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("the clock is after 1970");
        Timestamp::from_millis(i64::try_from(since.as_millis()).expect("the clock is before the end of the calendar"))
    }
}

struct SystemDice;

impl Dice for SystemDice {
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the machine has randomness");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_moves_only_when_told() {
        let (ambient, clock) = ambient();
        assert_eq!(ambient.now(), MovedClock::START);
        clock.advance(Duration::from_secs(5));
        assert_eq!(ambient.now(), MovedClock::START + Duration::from_secs(5));
        clock.set(Timestamp::from_millis(7));
        assert_eq!(ambient.now().as_millis(), 7);
    }

    #[test]
    fn the_same_seed_gives_the_same_row_and_never_the_same_number_twice() {
        let row = |seed| {
            let dice = SeededDice::new(seed);
            std::array::from_fn::<_, 4, _>(|_| {
                let mut bytes = [0; 10];
                dice.fill(&mut bytes);
                bytes
            })
        };
        assert_eq!(row(1), row(1));
        assert_ne!(row(1), row(2));
        assert_ne!(row(1)[0], row(1)[1]);
    }
}
