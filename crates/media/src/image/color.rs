//! Colour profiles: kept as they are where the format has room for them, applied where it has none.

use image::DynamicImage;
use moxcms::{ColorProfile, DataColorSpace, Layout, TransformOptions};

/// Converts to sRGB in place. A profile that is broken or of another colour space changes nothing: then the numbers are
/// shown as everybody shows numbers without a profile, as sRGB. Tells whether the profile was applied.
pub(crate) fn to_srgb(pixels: &mut DynamicImage, profile: &[u8]) -> bool {
    let Ok(source) = ColorProfile::new_from_slice(profile) else { return false };
    apply(pixels, &source)
}

/// The same with a profile that is at hand.
pub(crate) fn apply(pixels: &mut DynamicImage, source: &ColorProfile) -> bool {
    let (from, to) = match (source.color_space, pixels.color().has_alpha()) {
        (DataColorSpace::Rgb, false) => (Layout::Rgb, Layout::Rgb),
        (DataColorSpace::Rgb, true) => (Layout::Rgba, Layout::Rgba),
        (DataColorSpace::Gray, false) if pixels.color().channel_count() == 1 => (Layout::Gray, Layout::Rgb),
        (DataColorSpace::Gray, true) if pixels.color().channel_count() == 2 => (Layout::GrayAlpha, Layout::Rgba),
        _ => return false,
    };
    let srgb = ColorProfile::new_srgb();
    let Ok(transform) = source.create_transform_8bit(from, &srgb, to, TransformOptions::default()) else {
        return false;
    };
    let input = match from {
        Layout::Gray => pixels.to_luma8().into_raw(),
        Layout::GrayAlpha => pixels.to_luma_alpha8().into_raw(),
        Layout::Rgba => pixels.to_rgba8().into_raw(),
        _ => pixels.to_rgb8().into_raw(),
    };
    let (width, height) = (pixels.width(), pixels.height());
    let channels = if matches!(to, Layout::Rgba) { 4 } else { 3 };
    let mut output = vec![0; width as usize * height as usize * channels];
    if transform.transform(&input, &mut output).is_err() {
        return false;
    }
    let converted = match to {
        Layout::Rgba => image::RgbaImage::from_raw(width, height, output).map(DynamicImage::ImageRgba8),
        _ => image::RgbImage::from_raw(width, height, output).map(DynamicImage::ImageRgb8),
    };
    if let Some(converted) = converted {
        *pixels = converted;
    }
    true
}

/// Inks to sRGB: by the profile where there is one for inks, otherwise by multiplying.
pub(crate) fn inks_to_rgb(inks: &[u8], profile: Option<&[u8]>) -> Vec<u8> {
    let mut rgb = vec![0; inks.len() / 4 * 3];
    let profile = profile.and_then(|profile| ColorProfile::new_from_slice(profile).ok());
    if let Some(profile) = profile.filter(|profile| profile.color_space == DataColorSpace::Cmyk) {
        let srgb = ColorProfile::new_srgb();
        let options = TransformOptions::default();
        if let Ok(transform) = profile.create_transform_8bit(Layout::Rgba, &srgb, Layout::Rgb, options)
            && transform.transform(inks, &mut rgb).is_ok()
        {
            return rgb;
        }
    }
    let paper = |ink: u8, black: u8| (u16::from(255 - ink) * u16::from(255 - black) / 255) as u8;
    for (ink, pixel) in inks.chunks_exact(4).zip(rgb.chunks_exact_mut(3)) {
        for channel in 0..3 {
            pixel[channel] = paper(ink[channel], ink[3]);
        }
    }
    rgb
}

/// Whether a profile describes the channels that the pixels have; another one would only confuse whoever shows them.
pub(crate) fn fits(profile: &[u8], grey: bool) -> bool {
    // Bytes 16 to 19 of the header name the colour space. Source: ICC.1:2022, 7.2.6.
    matches!((profile.get(16..20), grey), (Some(b"RGB "), false) | (Some(b"GRAY"), true))
}
