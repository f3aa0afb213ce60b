//! Whether a product looks like its source: a few frames of both, brought to the same small size and to the colours of
//! sRGB, at the same times.
//!
//! Codecs, sizes and lengths say nothing of what is seen: a picture that is squashed, green, black, mirrored or from
//! another place has all of them right. So frames are taken from both by runs of their own ([`sample`]), which share no
//! option and no filter with the run that made the product: the colours of each are decided by [`Meaning`] from what each
//! file says, transparency is read by decoders that see it, and the source is fitted into the shape of the product, so that
//! one that was squashed differs. [`distance`] says how far two frames are apart.
//!
//! One frame near the beginning is always compared; further ones only of longer products, so that reading them stays
//! within a few hundredths of what encoding took.

mod distance;
mod sample;

use std::path::Path;

use reelhook_domain::media::VideoInfo;
use serde::{Deserialize, Serialize};

use self::distance::{Bounds, Distance};
pub(crate) use self::sample::Made;
use self::sample::{Frame, Ground, Reader, Shot};
use crate::beside::Compared;
use crate::error::MediaError;
use crate::samples::Tap;
use crate::tools::Toolbox;
use crate::verify::Check;

/// How the picture of a product relates to that of its source.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SeenExpectation {
    /// Where in the source its first frame is, in seconds.
    pub start: f64,
    /// How long it is, in seconds; zero for one frame.
    pub seconds: f64,
    /// Whether it has a shape of its own into which the source is stretched.
    pub stretched: bool,
    /// Whether frames may be of another size later on, so that all of it has to be looked at.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub changing: bool,
    /// How close it has to be.
    pub likeness: Likeness,
}

/// How close a product has to be to its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Likeness {
    /// As close as a lossy encoder comes.
    Encoded,
    /// As close as a still of few losses comes.
    Still,
    /// As close as an encoder comes that was given hardly any bits.
    Rough,
    /// As close as a palette comes.
    Palette,
    /// The same shapes in other colours or brightness: another style, or high dynamic range in standard range.
    Shapes,
}

/// Longer side of the small pictures that are compared, in pixels; at most half of the product's, so that how it was
/// resampled does not count.
const SIDE: u32 = 48;
/// The first frame that is compared, in seconds from the beginning: few frames have to be decoded to get there.
const EARLY: f64 = 0.3;
/// One further frame is compared for so many frames of a product.
const FRAMES_FOR_ONE_MORE: f64 = 1500.0;
/// Most frames that are compared beside the first.
const MOST_MORE: usize = 2;
/// Most frames of the source among which the one is looked for that a product shows.
const MOST_AROUND: usize = 40;
/// Share of the bound from which on the distance is told as near to it.
const NEAR: f64 = 0.7;

/// The picture of a product beside that of its source.
pub(crate) struct Sight<'a> {
    seen: SeenExpectation,
    source: Reader<'a>,
    made: Reader<'a>,
    video: &'a VideoInfo,
    product: &'a VideoInfo,
    size: (u32, u32),
    ground: Ground,
}

impl<'a> Sight<'a> {
    /// `still` is whether the product is a picture rather than a timeline, `alpha` whether it has to carry transparency.
    /// None where the source has no picture.
    pub(crate) fn of(
        toolbox: &'a Toolbox,
        seen: SeenExpectation,
        (still, alpha): (bool, bool),
        compared: Compared<'a>,
        made: Made<'a>,
    ) -> Option<Self> {
        let (video, product) = (compared.source.info.video.as_ref()?, made.video);
        let carries_alpha = alpha || product.has_alpha();
        Some(Self {
            seen,
            source: Reader::of_source(toolbox, compared, video, product, still, seen.stretched),
            made: Reader::of_product(toolbox, made, still),
            video,
            product,
            size: small((product.width, product.height)),
            ground: if carries_alpha || !still { Ground::Black } else { Ground::White },
        })
    }

    /// What is decoded of the source and of the product in any case.
    pub(crate) fn taps(&self) -> (Tap, Tap) {
        let second = seconds(&self.seen, self.product.frame_rate)[0];
        let (there, here) = self.shots(second);
        (self.source.tap(there, self.size), self.made.tap(here, self.size))
    }

    fn shots(&self, second: f64) -> (Shot, Shot) {
        (around(&self.seen, second, self.video, self.product), Shot { second, frames: 1 })
    }

    /// Compares them. None where no frame could be read.
    pub(crate) async fn check(&self, scratch: &Path) -> Result<Option<Check>, MediaError> {
        let mut worst: Option<(Distance, f64)> = None;
        let bounds = Bounds::of(self.seen.likeness, self.product);
        let mut informative = false;
        for (number, second) in seconds(&self.seen, self.product.frame_rate).into_iter().enumerate() {
            // A later frame is compared where it is worth it, or where the frames before showed nothing.
            if number > affordable(&self.seen, self.product.frame_rate) && informative {
                break;
            }
            let (there, here) = self.shots(second);
            let there = self.source.frames(there, self.size, self.ground, scratch).await?;
            let here = self.made.frames(here, self.size, self.ground, scratch).await?;
            let Some(here) = here.first() else { continue };
            let nearest = there.iter().map(|frame| Distance::between(frame, here)).min_by(Distance::order);
            let Some(distance) = nearest else { continue };
            informative |= there.iter().any(Frame::shows_something);
            if worst.as_ref().is_none_or(|(worst, _)| bounds.share(&distance) > bounds.share(worst)) {
                worst = Some((distance, second));
            }
        }
        Ok(worst.map(|(distance, second)| told(&bounds, &distance, second)))
    }
}

/// The frames of the source among which the one is that a product shows at a second: any within half a frame of the
/// product, and its neighbours.
fn around(seen: &SeenExpectation, second: f64, video: &VideoInfo, product: &VideoInfo) -> Shot {
    let rate = |rate: Option<f64>| rate.unwrap_or(25.0).clamp(1.0, 240.0);
    let own = rate(video.frame_rate);
    let half = if seen.seconds > 0.0 { 0.5 / rate(product.frame_rate.or(video.frame_rate)) } else { 0.0 };
    // Where they come unevenly, many may lie between the first of them and the one that is meant.
    let uneven = video.variable_frame_rate || product.variable_frame_rate;
    let frames = if uneven && half > 0.0 { MOST_AROUND } else { (2.0 * half * own).ceil() as usize + 3 };
    Shot { second: (seen.start + second - half - 1.2 / own).max(0.0), frames: frames.min(MOST_AROUND) }
}

fn told(bounds: &Bounds, distance: &Distance, second: f64) -> Check {
    let share = bounds.share(distance);
    let near = if (NEAR..=1.0).contains(&share) { ", near the bound" } else { "" };
    let measured = format!("{distance} at {second:.1} s{near}");
    Check::new("seen", share <= 1.0, format!("as its source: {bounds}"), measured)
}

/// The small size of a picture.
fn small((width, height): (u32, u32)) -> (u32, u32) {
    let (w, h) = (f64::from(width.max(1)), f64::from(height.max(1)));
    let longer = f64::from(SIDE).min((w.max(h) / 2.0).max(4.0));
    let side = |side: f64| ((side * longer / w.max(h)).round() as u32).clamp(4, SIDE);
    (side(w), side(h))
}

/// How many frames beside the first may be compared.
fn affordable(seen: &SeenExpectation, rate: Option<f64>) -> usize {
    if seen.changing {
        return MOST_MORE;
    }
    let frames = seen.seconds * rate.unwrap_or(25.0);
    ((frames / FRAMES_FOR_ONE_MORE) as usize).min(MOST_MORE)
}

/// The seconds of a product whose frames are compared, in the order of their worth.
fn seconds(seen: &SeenExpectation, rate: Option<f64>) -> Vec<f64> {
    if seen.seconds <= 0.0 {
        return vec![0.0];
    }
    // A little before a frame, so that rounding does not choose the one after it.
    let frame = 1.0 / rate.unwrap_or(25.0).clamp(1.0, 240.0);
    let on = |second: f64| ((second / frame).floor() * frame - frame / 4.0).max(0.0);
    [EARLY.min(seen.seconds / 3.0), seen.seconds / 2.0, seen.seconds * 0.85].map(on).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_products_are_compared_once_and_long_ones_up_to_three_times() {
        let of = |seconds| {
            let seen =
                SeenExpectation { start: 0.0, seconds, stretched: false, changing: false, likeness: Likeness::Encoded };
            affordable(&seen, Some(25.0))
        };
        assert_eq!([of(0.0), of(10.0), of(60.0), of(120.0), of(7200.0)], [0, 0, 1, 2, 2]);
    }

    #[test]
    fn small_pictures_keep_their_shape() {
        assert_eq!(small((1920, 1080)), (48, 27));
        assert_eq!(small((1080, 1920)), (27, 48));
        assert_eq!(small((7680, 2)), (48, 4));
        assert_eq!(small((50, 28)), (25, 14));
        assert_eq!(small((1, 1)), (4, 4));
    }
}
