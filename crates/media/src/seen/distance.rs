//! How far two small pictures are apart, and how far they may be.
//!
//! Four numbers, for four kinds of faults. The mean difference of all samples catches what is black, green or in the wrong
//! place; the mean of a channel a cast that is too small for that; the mean of a channel in a part of the picture colours
//! that are wrong only where they are strong, which noise and dithering do not change; and the correlation of brightness
//! what is squashed, mirrored or shifted in a picture of little contrast.
//!
//! # Source
//! The bounds are ours: `docs/media.md`, "What is seen", has the distances of right results that they were set from.

use std::cmp::Ordering;
use std::fmt;

use reelhook_domain::media::VideoInfo;

use super::Likeness;
use super::sample::Frame;

/// Brightness that varies by less than this, of 255, has no shape to compare.
const FLAT: f64 = 12.0;
/// Into how many parts a picture is divided, across and down.
const PARTS: (usize, usize) = (4, 3);
/// A picture with a side of fewer pixels has more room, for it is resampled more coarsely and a sample of its colours covers
/// more of what is seen: in proportion, up to twice the room at half of these pixels.
const SMALL: u32 = 96;

/// How far two pictures are apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Distance {
    /// Mean absolute difference of all samples, 0 to 255.
    mean: f64,
    /// Largest difference between the means of a channel, 0 to 255.
    cast: f64,
    /// The same in the part of the picture where it is largest.
    local: f64,
    /// Correlation of brightness, -1 to 1; absent where one of them has no shape.
    correlation: Option<f64>,
}

impl Distance {
    pub(super) fn between(one: &Frame, other: &Frame) -> Self {
        let samples = one.rgb.len().max(1) as f64;
        let difference = |(a, b): (&u8, &u8)| f64::from(a.abs_diff(*b));
        let mean = one.rgb.iter().zip(&other.rgb).map(difference).sum::<f64>() / samples;
        let all = |_: usize, _: usize| true;
        let cast = one.means(all).apart(&other.means(all));
        let height = one.rgb.len() / 3 / one.width.max(1);
        let part = |column: usize, row: usize| {
            let (across, down) = (one.width.div_ceil(PARTS.0).max(1), height.div_ceil(PARTS.1).max(1));
            let within = move |x: usize, y: usize| (x / across, y / down) == (column, row);
            one.means(within).apart(&other.means(within))
        };
        let parts = (0..PARTS.1).flat_map(|row| (0..PARTS.0).map(move |column| (column, row)));
        let local = parts.map(|(column, row)| part(column, row)).fold(0.0, f64::max);
        Self { mean, cast, local, correlation: correlation(&one.brightness(), &other.brightness()) }
    }

    pub(super) fn order(one: &Self, other: &Self) -> Ordering {
        one.mean.total_cmp(&other.mean)
    }
}

/// The mean of each channel.
struct Means([f64; 3]);

impl Means {
    /// The largest difference of a channel.
    fn apart(&self, other: &Self) -> f64 {
        self.0.iter().zip(other.0).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    }
}

impl Frame {
    /// The means of the pixels at the places that `within` takes.
    fn means(&self, within: impl Fn(usize, usize) -> bool) -> Means {
        let (mut sums, mut count) = ([0.0; 3], 0.0_f64);
        for (number, pixel) in self.rgb.chunks_exact(3).enumerate() {
            if within(number % self.width.max(1), number / self.width.max(1)) {
                count += 1.0;
                sums.iter_mut().zip(pixel).for_each(|(sum, &sample)| *sum += f64::from(sample));
            }
        }
        Means(sums.map(|sum| sum / count.max(1.0)))
    }
}

impl fmt::Display for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "difference {:.1}, cast {:.1}, locally {:.1}", self.mean, self.cast, self.local)?;
        match self.correlation {
            Some(correlation) => write!(f, ", correlation {correlation:.3}"),
            None => Ok(()),
        }
    }
}

/// Standard deviation.
pub(super) fn deviation(values: &[f64]) -> f64 {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt()
}

fn correlation(one: &[f64], other: &[f64]) -> Option<f64> {
    let (spread, other_spread) = (deviation(one), deviation(other));
    if spread < FLAT {
        return None;
    }
    if other_spread < f64::EPSILON {
        return Some(0.0);
    }
    let count = one.len().max(1) as f64;
    let (mean, other_mean) = (one.iter().sum::<f64>() / count, other.iter().sum::<f64>() / count);
    let together = one.iter().zip(other).map(|(a, b)| (a - mean) * (b - other_mean)).sum::<f64>() / count;
    Some(together / (spread * other_spread))
}

/// How far a product may be from its source.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bounds {
    mean: f64,
    cast: f64,
    local: f64,
    correlation: f64,
}

impl Bounds {
    pub(super) fn of(likeness: Likeness, product: &VideoInfo) -> Self {
        let bounds = match likeness {
            Likeness::Still => Self { mean: 8.0, cast: 2.2, local: 13.0, correlation: 0.95 },
            Likeness::Encoded => Self { mean: 16.0, cast: 6.0, local: 16.0, correlation: 0.9 },
            Likeness::Rough => Self { mean: 60.0, cast: 36.0, local: 80.0, correlation: -0.5 },
            Likeness::Palette => Self { mean: 16.0, cast: 10.0, local: 12.0, correlation: 0.9 },
            Likeness::Shapes => Self { mean: 255.0, cast: 255.0, local: 255.0, correlation: 0.6 },
        };
        let side = f64::from(product.width.min(product.height).max(1));
        let room = (f64::from(SMALL) / side).clamp(1.0, 2.0);
        let tenths = |bound: f64| (bound * room * 10.0).round() / 10.0;
        Self {
            mean: tenths(bounds.mean),
            cast: tenths(bounds.cast),
            local: tenths(bounds.local),
            correlation: ((bounds.correlation - 0.2 * (room - 1.0)) * 100.0).round() / 100.0,
        }
    }

    /// How much of what is allowed a distance takes; more than one is too far.
    pub(super) fn share(&self, distance: &Distance) -> f64 {
        let shape = distance.correlation.map_or(0.0, |found| (1.0 - found) / (1.0 - self.correlation));
        let colors = (distance.cast / self.cast).max(distance.local / self.local);
        (distance.mean / self.mean).max(colors).max(shape)
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mean, cast, local, correlation } = self;
        if *mean < 255.0 {
            write!(f, "difference at most {mean}, cast at most {cast}, locally {local}, ")?;
        }
        write!(f, "correlation at least {correlation}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::samples;

    /// A picture whose pixel at `(x, y)` is what `color` says.
    fn frame(color: impl Fn(usize, usize) -> [u8; 3]) -> Frame {
        let pixels = (0..27).flat_map(|y| (0..48).map(move |x| (x, y)));
        Frame { width: 48, rgb: pixels.flat_map(|(x, y)| color(x, y)).collect() }
    }

    fn scene(x: usize, y: usize) -> [u8; 3] {
        if x > 30 && y < 12 { [200, 60, 40] } else { [60 + 3 * x as u8, 90 + x as u8, 130 + y as u8] }
    }

    fn fails(likeness: Likeness, other: &Frame) -> bool {
        let bounds = Bounds::of(likeness, &samples::video(1920, 1080));
        bounds.share(&Distance::between(&frame(scene), other)) > 1.0
    }

    #[test]
    fn what_is_wrong_to_the_eye_is_too_far() {
        let kinds = [Likeness::Still, Likeness::Encoded, Likeness::Palette];
        for likeness in kinds {
            assert!(fails(likeness, &frame(|_, _| [0; 3])), "black");
            assert!(fails(likeness, &frame(|_, _| [0, 135, 0])), "green");
            assert!(fails(likeness, &frame(|x, y| scene(47 - x, y))), "mirrored");
            assert!(fails(likeness, &frame(|x, y| scene(x, 26 - y))), "upside down");
            assert!(fails(likeness, &frame(|x, y| scene((x + 12) % 48, y))), "shifted");
            let squashed = |x: usize, y: usize| if (12..36).contains(&x) { scene((x - 12) * 2, y) } else { [0; 3] };
            assert!(fails(likeness, &frame(squashed)), "squashed");
        }
        assert!(fails(Likeness::Shapes, &frame(|x, y| scene(47 - x, y))));
        assert!(fails(Likeness::Still, &frame(|x, y| scene(x, y).map(|c| c.saturating_sub(3)))), "a cast of three");
    }

    #[test]
    fn what_a_codec_changes_is_not() {
        let noisy = frame(|x, y| scene(x, y).map(|c| c.saturating_add(((x * 7 + y * 13) % 5) as u8).saturating_sub(2)));
        for likeness in [Likeness::Still, Likeness::Encoded, Likeness::Palette, Likeness::Shapes] {
            assert!(!fails(likeness, &noisy), "{likeness:?}");
        }
        let graded = frame(|x, y| scene(x, y).map(|c| c / 2 + 20));
        assert!(fails(Likeness::Encoded, &graded) && !fails(Likeness::Shapes, &graded));
    }
}
