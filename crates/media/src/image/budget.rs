//! The memory of all pictures that are in work in this process.
//!
//! A picture takes many times the bytes of its file, and its size is known once its header was read. So before its pixels
//! are decoded it claims what it will take, and waits where the pictures before it have not left enough. Claims are served
//! in their order, so that a large picture is not passed by small ones for ever.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::ImageLimits;
use super::guard::rejected;
use super::header::Inspected;
use crate::error::MediaError;

/// About what a pixel takes at its peak: as decoded, as turned, resized or converted, and as its encoder holds it.
const BYTES_A_PIXEL: u64 = 16;
/// How often a claim that waits looks whether its job was canceled.
const LOOK: Duration = Duration::from_millis(50);

/// What is claimed of this process's memory, which is one whatever settings its parts have.
static CLAIMS: Claims = Claims { state: Mutex::new(State::new()), changed: Condvar::new() };

struct Claims {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    claimed: u64,
    waiting: VecDeque<u64>,
    next: u64,
}

impl State {
    const fn new() -> Self {
        Self { claimed: 0, waiting: VecDeque::new(), next: 0 }
    }
}

/// Memory that a picture may take until this is dropped.
#[derive(Debug)]
pub(crate) struct Claim(u64);

impl Drop for Claim {
    fn drop(&mut self) {
        let mut state = CLAIMS.lock();
        state.claimed -= self.0;
        CLAIMS.changed.notify_all();
    }
}

impl Claims {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Claims what the picture will take. Blocks while others hold too much of the budget.
///
/// # Errors
/// `over_limit` for a picture that takes more than all of the budget; [`MediaError::Canceled`].
pub(crate) fn claim(found: &Inspected, limits: &ImageLimits, cancel: &CancellationToken) -> Result<Claim, MediaError> {
    let needed = needed(found);
    let most = limits.memory();
    if needed > most {
        let Inspected { width, height, .. } = *found;
        let message = format!(
            "the input has {width} x {height} pixels, which take about {needed} bytes of memory; the limit for all pictures \
             together is {most} (`image.memory_bytes`)"
        );
        return Err(rejected("over_limit", message));
    }
    let mut state = CLAIMS.lock();
    let turn = state.next;
    state.next += 1;
    state.waiting.push_back(turn);
    while state.waiting.front() != Some(&turn) || state.claimed.saturating_add(needed) > most {
        if cancel.is_cancelled() {
            state.waiting.retain(|waiting| *waiting != turn);
            CLAIMS.changed.notify_all();
            return Err(MediaError::Canceled);
        }
        state = CLAIMS.changed.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner).0;
    }
    state.waiting.pop_front();
    state.claimed += needed;
    CLAIMS.changed.notify_all();
    Ok(Claim(needed))
}

/// About how many bytes the picture takes at its peak, with its file, which is held too.
fn needed(found: &Inspected) -> u64 {
    let pixels = u64::from(found.width) * u64::from(found.height);
    pixels.saturating_mul(BYTES_A_PIXEL).saturating_add(found.size_bytes.saturating_mul(2))
}

#[cfg(test)]
mod tests {
    use super::super::header::still;
    use super::super::kind::Kind;
    use super::*;

    #[test]
    fn pictures_wait_for_the_memory_of_those_before_them() {
        let limits = ImageLimits { memory_bytes: 100 * 100 * BYTES_A_PIXEL, ..ImageLimits::default() };
        let (whole, half) = (still(Kind::Png, (100, 100), 1), still(Kind::Png, (100, 50), 1));
        let (go_on, canceled) = (CancellationToken::new(), CancellationToken::new());
        canceled.cancel();
        let first = claim(&half, &limits, &canceled).expect("there is room, so that it does not wait");
        let second = claim(&half, &limits, &canceled).expect("there is room for both");
        assert!(matches!(claim(&half, &limits, &canceled), Err(MediaError::Canceled)));
        let large = std::thread::spawn({
            let limits = limits.clone();
            move || claim(&whole, &limits, &go_on).map(drop)
        });
        drop(first);
        drop(second);
        large.join().expect("it does not panic").expect("the room was given back");
        let larger = still(Kind::Png, (101, 100), 1);
        let Err(MediaError::Rejected(failure)) = claim(&larger, &limits, &canceled) else { panic!("it is too large") };
        assert_eq!(failure.code, "over_limit");
        assert!(failure.message.contains("101 x 100 pixels") && failure.message.contains("160000"), "{failure:?}");
    }
}
