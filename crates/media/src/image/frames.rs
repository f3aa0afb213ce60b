//! The frames of an animation as a viewer shows them: each as it is stored, with its place on the timeline.
//!
//! # Source
//! A frame that claims ten milliseconds or less is shown for a hundred: so do the browsers of all three engines with GIF,
//! WebP and animated PNG, because files that say so were made to be played as fast as old programs could, which was not
//! fast.

use image::DynamicImage;

use super::ImageLimits;
use super::animation::Animation;
use super::guard::damaged;
use super::header::Inspected;
use crate::error::MediaError;

/// The shortest time that is taken at its word, in milliseconds.
const SHORTEST: u32 = 11;
/// What stands for a shorter one, in milliseconds.
const INSTEAD: u32 = 100;

/// One frame, whole, and when it is shown.
#[derive(Debug)]
pub(crate) struct ShownFrame {
    pub(crate) pixels: DynamicImage,
    /// Which one it is, from 1.
    pub(crate) number: u32,
    /// When it begins, in milliseconds.
    pub(crate) begin: u64,
    /// How long it is shown, in milliseconds.
    pub(crate) length: u32,
}

impl ShownFrame {
    /// When it is over, in seconds.
    pub(crate) fn end(&self) -> f64 {
        (self.begin + u64::from(self.length)) as f64 / 1000.0
    }
}

/// A source of them.
pub(crate) struct Shown<'a> {
    animation: Animation<'a>,
    found: &'a Inspected,
    number: u32,
    begin: u64,
}

impl<'a> Shown<'a> {
    /// Opens the animation that `found` was inspected as.
    pub(crate) fn open(bytes: &'a [u8], found: &'a Inspected, limits: &ImageLimits) -> Result<Self, MediaError> {
        Ok(Self { animation: Animation::open(bytes, found, limits)?, found, number: 0, begin: 0 })
    }

    /// How often it is played; 0 is for ever.
    pub(crate) const fn plays(&self) -> u16 {
        self.animation.plays
    }

    /// The profile of its colours.
    pub(crate) fn profile(&self) -> Option<Vec<u8>> {
        self.animation.profile.clone()
    }

    /// The next frame; `None` after the last.
    pub(crate) fn next(&mut self) -> Result<Option<ShownFrame>, MediaError> {
        let Some(frame) = self.animation.next()? else { return Ok(None) };
        let stored = self.found.stored();
        if (frame.pixels.width(), frame.pixels.height()) != (stored.width, stored.height) {
            return Err(damaged(self.found.kind, "a frame does not have the size in its header"));
        }
        let length = shown_for(frame.delay);
        let begin = self.begin;
        self.begin += u64::from(length);
        self.number += 1;
        Ok(Some(ShownFrame { pixels: frame.pixels, number: self.number, begin, length }))
    }
}

/// For how many milliseconds a frame is shown that claims `delay`.
pub(crate) const fn shown_for(delay: u32) -> u32 {
    if delay < SHORTEST { INSTEAD } else { delay }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_that_claims_no_time_is_shown_as_browsers_show_it() {
        for (delay, shown) in [(0, 100), (10, 100), (11, 11), (20, 20), (40, 40), (5000, 5000)] {
            assert_eq!(shown_for(delay), shown, "{delay}");
        }
    }
}
