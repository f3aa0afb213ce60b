//! The clock and the dice, as arguments.
//!
//! Only `cli` makes real ones and only `testkit` makes moved ones; everyone else is handed an [`Ambient`].

use std::fmt;
use std::sync::Arc;

use crate::id::{Id, Kind};
use crate::time::Timestamp;

/// Something that knows what time it is.
pub trait Clock: Send + Sync {
    /// The time now, UTC, in whole milliseconds.
    fn now(&self) -> Timestamp;
}

/// Something that gives unpredictable bytes, good enough for secrets.
pub trait Dice: Send + Sync {
    /// Fills `bytes` with randomness.
    fn fill(&self, bytes: &mut [u8]);
}

/// The clock and the dice of this process. Cheap to clone.
#[derive(Clone)]
pub struct Ambient {
    clock: Arc<dyn Clock>,
    dice: Arc<dyn Dice>,
}

impl Ambient {
    /// Joins a clock and dice.
    pub fn new(clock: Arc<dyn Clock>, dice: Arc<dyn Dice>) -> Self {
        Self { clock, dice }
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// `N` random bytes.
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.dice.fill(&mut bytes);
        bytes
    }

    /// A random number, evenly spread over 0.0 to 1.0 (excluded).
    pub fn fraction(&self) -> f64 {
        // 53 bits are what an f64 can hold exactly.
        (u64::from_le_bytes(self.random()) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A new id: the time now, then randomness.
    pub fn id<K: Kind>(&self) -> Id<K> {
        Id::new(self.now(), self.random())
    }
}

impl fmt::Debug for Ambient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ambient").field("now", &self.now()).finish_non_exhaustive()
    }
}
