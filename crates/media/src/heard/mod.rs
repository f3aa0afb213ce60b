//! Whether a product sounds like its source: the loudness of both, followed over time.
//!
//! Counts and lengths say nothing of what is heard: silence, another track, a sound that is cut off at full scale or late
//! by half a second has the right codec, channels and length. So a few parts of both are decoded to a low rate, and the
//! loudness of windows of twenty milliseconds is compared ([`envelope`]). Short sounds are compared as a whole, long ones
//! in parts spread over their length, so that the check costs seconds, not a share of the length.
//!
//! A steady tone is like every other one to this check, and what is above four kilohertz is not looked at.

mod envelope;
mod measure;

use serde::{Deserialize, Serialize};

pub(crate) use self::measure::Hearing;

/// How the sound of a product relates to that of its source.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HeardExpectation {
    /// Where in the source it begins, in seconds.
    pub start: f64,
    /// How long it is, in seconds.
    pub seconds: f64,
    /// Whether samples beyond full scale survive.
    pub beyond_full_scale: bool,
}

/// A part of the source that is compared, with the same part of the product.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Part {
    start: f64,
    length: f64,
}

/// Sounds up to this long are compared as a whole, in seconds.
const WHOLE: f64 = 45.0;
/// Parts of longer ones: how many, and how long each.
const PARTS: usize = 6;
const PART: f64 = 5.0;

/// Containers in which a jump lands where it should.
const INDEXED: &[&str] = &["mov", "matroska", "wav", "flac", "ogg", "aiff", "caf", "mp3"];

/// What is compared of a sound of that length; of containers without an index only the beginning.
fn parts(seconds: f64, demuxers: [&str; 2]) -> Vec<Part> {
    if seconds <= WHOLE || !demuxers.iter().all(|demuxer| INDEXED.contains(demuxer)) {
        return vec![Part { start: 0.0, length: seconds.min(WHOLE) }];
    }
    let step = (seconds - PART) / (PARTS - 1) as f64;
    (0..PARTS).map(|place| Part { start: (step * place as f64).floor(), length: PART }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_sounds_are_compared_in_parts_from_the_beginning_to_the_end() {
        assert_eq!(parts(10.0, ["mov", "mov"]), [Part { start: 0.0, length: 10.0 }]);
        let long = parts(3600.0, ["matroska", "mp3"]);
        assert_eq!(long.len(), PARTS);
        assert_eq!((long[0].start, long[5].start), (0.0, 3595.0));
        assert_eq!(parts(3600.0, ["mpegts", "mov"]), [Part { start: 0.0, length: WHOLE }]);
    }
}
