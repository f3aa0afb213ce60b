//! The real clock and the real dice: the only place of the program that reads either.

use std::cell::RefCell;
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

/// How many bytes a thread asks the system for at once: an id takes ten.
const STOCK: usize = 2048;

/// Random bytes of one thread, each given out once.
struct Stock {
    bytes: [u8; STOCK],
    used: usize,
}

thread_local! {
    static DICE: RefCell<Stock> = const { RefCell::new(Stock { bytes: [0; STOCK], used: STOCK }) };
}

impl Dice for OsDice {
    fn fill(&self, bytes: &mut [u8]) {
        let fill = |bytes: &mut [u8]| getrandom::fill(bytes).expect("a machine without randomness can keep no secret");
        if bytes.len() >= STOCK {
            return fill(bytes);
        }
        DICE.with_borrow_mut(|stock| {
            if STOCK - stock.used < bytes.len() {
                fill(&mut stock.bytes);
                stock.used = 0;
            }
            let taken = &mut stock.bytes[stock.used..][..bytes.len()];
            bytes.copy_from_slice(taken);
            // What somebody keeps secret does not lie about here.
            taken.fill(0);
            stock.used += bytes.len();
        });
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
    use std::collections::HashSet;

    use super::{STOCK, system};

    #[test]
    fn no_random_byte_is_given_out_twice() {
        let roll = || (0..1000).map(|_| system().random::<16>()).collect::<Vec<_>>();
        let mut all: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..2).map(|_| scope.spawn(roll)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        all.extend(roll());
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), 3000);
        let large = system().random::<{ 3 * STOCK }>();
        assert_eq!(large.chunks(16).collect::<HashSet<_>>().len(), large.len() / 16);
    }

    #[test]
    fn the_clock_is_of_this_century_and_the_dice_roll() {
        let ambient = system();
        assert!(ambient.now().to_string().starts_with("20"));
        assert_ne!(ambient.random::<32>(), ambient.random::<32>());
    }
}
