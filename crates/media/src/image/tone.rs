//! Light and the numbers that stand for it: high dynamic range mapped to what a page can show.
//!
//! Up to three quarters of white nothing changes; what is brighter is pressed together so that the brightest light of the
//! picture is full. White of a page (203 nits) comes out at 240 of 255. The ratio of the three colours stays, so hues do.
//!
//! # Source
//! PQ and HLG: ITU-R BT.2100-2, tables 4 and 5; reference white: ITU-R BT.2408-5, 2.2. sRGB: IEC 61966-2-1.

use image::{DynamicImage, ImageBuffer, Pixel};

/// How numbers stand for light.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Light {
    Pq,
    Hlg,
}

/// Light of a white page, in nits.
const WHITE: f32 = 203.0;

/// The screen that HLG is meant for, in nits.
const HLG_PEAK: f32 = 1000.0;

/// Where pressing begins, as a share of white.
const KNEE: f32 = 0.75;

impl Light {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Pq => "PQ",
            Self::Hlg => "HLG",
        }
    }

    /// The light of a number: of PQ as a share of white, of HLG as a share of the scene's brightest.
    pub(crate) fn of(self, number: f32) -> f32 {
        match self {
            Self::Pq => {
                let (m1, m2) = (2610.0 / 16384.0, 2523.0 / 32.0);
                let (c1, c2, c3) = (3424.0 / 4096.0, 2413.0 / 128.0, 2392.0 / 128.0);
                let root = number.max(0.0).powf(1.0 / m2);
                ((root - c1).max(0.0) / (c2 - c3 * root)).powf(1.0 / m1) * 10_000.0 / WHITE
            }
            Self::Hlg => {
                let (a, b, c) = (0.178_832_77_f32, 0.284_668_92, 0.559_910_7);
                if number <= 0.5 { number * number / 3.0 } else { (((number - c) / a).exp() + b) / 12.0 }
            }
        }
    }

    /// What a screen makes of the light of a scene, as shares of white; the shares of luminance are those of BT.2020.
    fn shown(self, light: [f32; 3]) -> [f32; 3] {
        match self {
            Self::Pq => light,
            Self::Hlg => {
                let luminance = 0.2627 * light[0] + 0.6780 * light[1] + 0.0593 * light[2];
                let gain = HLG_PEAK / WHITE * luminance.max(1e-6).powf(0.2);
                light.map(|light| light * gain)
            }
        }
    }
}

/// The number of sRGB for a share of white.
pub(crate) fn srgb(light: f32) -> f32 {
    let light = light.clamp(0.0, 1.0);
    if light <= 0.003_130_8 { light * 12.92 } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 }
}

/// Presses what is brighter than the knee so that `peak` becomes full.
fn pressed(light: f32, peak: f32) -> f32 {
    if light <= KNEE || peak <= 1.0 {
        return light.min(1.0);
    }
    let over = (light.min(peak) - KNEE) / (1.0 - KNEE);
    let most = (peak - KNEE) / (1.0 - KNEE);
    KNEE + (1.0 - KNEE) * over * (1.0 + over / (most * most)) / (1.0 + over)
}

/// Maps a picture to sRGB. `of`: the light of a number; `to_srgb`: of its colours to those of sRGB; `peak` in nits.
pub(crate) fn map(pixels: &mut DynamicImage, of: impl Fn(f32) -> f32, light: Light, to_srgb: [[f32; 3]; 3], peak: f32) {
    let peak = if light == Light::Hlg { HLG_PEAK } else { peak } / WHITE;
    let most = if is_deep(pixels) { u16::MAX } else { u16::from(u8::MAX) };
    let table: Vec<f32> = (0..=most).map(|number| of(f32::from(number) / f32::from(most))).collect();
    let at = |number: f32| table[((number * f32::from(most)).round() as usize).min(usize::from(most))];
    each_pixel(pixels, |numbers| {
        let linear = match *numbers {
            [red, green, blue] => light.shown([at(red), at(green), at(blue)]),
            [grey] => light.shown([at(grey); 3]),
            _ => return,
        };
        let mixed = |row: &[f32; 3]| row.iter().zip(linear).map(|(share, light)| share * light).sum::<f32>();
        let mapped =
            if numbers.len() == 1 { linear } else { [mixed(&to_srgb[0]), mixed(&to_srgb[1]), mixed(&to_srgb[2])] };
        let brightest = mapped.iter().copied().fold(0.0, f32::max);
        let gain = if brightest > 0.0 { pressed(brightest, peak) / brightest } else { 1.0 };
        numbers.iter_mut().zip(mapped).for_each(|(number, light)| *number = srgb(light * gain));
    });
}

/// Changes each number of a colour by itself; transparency stays.
pub(crate) fn each_number(pixels: &mut DynamicImage, by: impl Fn(f32) -> f32) {
    let most = if is_deep(pixels) { u16::MAX } else { u16::from(u8::MAX) };
    let table: Vec<f32> = (0..=most).map(|number| by(f32::from(number) / f32::from(most))).collect();
    each_pixel(pixels, |numbers| {
        for number in numbers {
            *number = table[((*number * f32::from(most)).round() as usize).min(usize::from(most))];
        }
    });
}

fn is_deep(pixels: &DynamicImage) -> bool {
    pixels.color().bytes_per_pixel() / pixels.color().channel_count() > 1
}

/// A sample of 8 or 16 bits.
trait Sample: Copy {
    fn share(self) -> f32;
    fn of(share: f32) -> Self;
}

impl Sample for u8 {
    fn share(self) -> f32 {
        f32::from(self) / 255.0
    }

    fn of(share: f32) -> Self {
        // A cast from float saturates.
        (share * 255.0 + 0.5) as Self
    }
}

impl Sample for u16 {
    fn share(self) -> f32 {
        f32::from(self) / 65_535.0
    }

    fn of(share: f32) -> Self {
        (share * 65_535.0 + 0.5) as Self
    }
}

/// The colours of each pixel as shares of the most that they can be, one or three.
fn each_pixel(pixels: &mut DynamicImage, by: impl FnMut(&mut [f32])) {
    match pixels {
        DynamicImage::ImageLuma8(buffer) => each(buffer, 1, by),
        DynamicImage::ImageLumaA8(buffer) => each(buffer, 1, by),
        DynamicImage::ImageRgb8(buffer) => each(buffer, 3, by),
        DynamicImage::ImageRgba8(buffer) => each(buffer, 3, by),
        DynamicImage::ImageLuma16(buffer) => each(buffer, 1, by),
        DynamicImage::ImageLumaA16(buffer) => each(buffer, 1, by),
        DynamicImage::ImageRgb16(buffer) => each(buffer, 3, by),
        DynamicImage::ImageRgba16(buffer) => each(buffer, 3, by),
        // Nothing else leaves the decoders.
        _ => {}
    }
}

fn each<P: Pixel<Subpixel: Sample>>(
    buffer: &mut ImageBuffer<P, Vec<P::Subpixel>>,
    colors: usize,
    mut by: impl FnMut(&mut [f32]),
) {
    let mut shares = [0.0; 3];
    for pixel in buffer.pixels_mut() {
        let samples = &mut pixel.channels_mut()[..colors];
        shares.iter_mut().zip(samples.iter()).for_each(|(share, sample)| *share = sample.share());
        by(&mut shares[..colors]);
        samples.iter_mut().zip(shares).for_each(|(sample, share)| *sample = P::Subpixel::of(share));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_of_a_page_is_nearly_full_and_the_brightest_is_full() {
        // 203 nits are 0.5807 in PQ and 0.75 in HLG. Source: BT.2408-5, table 1.
        assert!((Light::Pq.of(0.580_69) - 1.0).abs() < 0.01);
        let hlg = Light::Hlg.shown([Light::Hlg.of(0.75); 3])[0];
        assert!((hlg - 1.0).abs() < 0.01, "{hlg}");
        let number = |light: f32, peak: f32| (srgb(pressed(light, peak)) * 255.0).round();
        assert_eq!((number(1.0, 1000.0 / 203.0), number(1000.0 / 203.0, 1000.0 / 203.0)), (240.0, 255.0));
        // Where nothing is brighter than white, white is full.
        assert_eq!(number(1.0, 1.0), 255.0);
        // Up to the knee nothing changes.
        assert_eq!(number(0.18, 10.0), (srgb(0.18) * 255.0).round());
        assert!((0..1000).all(|n| pressed(n as f32 / 100.0, 5.0) <= pressed((n + 1) as f32 / 100.0, 5.0)));
    }
}
