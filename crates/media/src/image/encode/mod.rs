//! Pixels to bytes, one file a format.

pub(crate) mod avif;
pub(crate) mod gif;
pub(crate) mod jpeg;
pub(crate) mod palette;
pub(crate) mod png;
pub(crate) mod webp;

use image::DynamicImage;

use super::ImageFormat;
use super::decode::{Channels, Picture};
use super::guard::{Deadline, encoding};
use super::level::Settings;
use super::meaning::{Hdr, Meaning};
use crate::error::MediaError;

/// An encoded picture, and how it was done in words for the caller.
#[derive(Debug, Clone)]
pub(crate) struct Encoded {
    pub(crate) bytes: Vec<u8>,
    pub(crate) how: String,
    /// Whether it is the source packed again, all that its numbers mean included.
    pub(crate) repacked: bool,
}

impl Encoded {
    /// One that was made from pixels.
    pub(crate) const fn new(bytes: Vec<u8>, how: String) -> Self {
        Self { bytes, how, repacked: false }
    }
}

/// Encodes one still.
pub(crate) fn still(
    picture: &Picture,
    format: ImageFormat,
    settings: &Settings,
    threads: usize,
    deadline: Deadline,
) -> Result<Encoded, MediaError> {
    deadline.check()?;
    encoding(|| match format {
        ImageFormat::Jpeg => jpeg::encode(picture, settings, deadline),
        ImageFormat::Png => png::encode(picture, settings, deadline),
        ImageFormat::Webp => webp::encode(picture, settings),
        ImageFormat::Avif => avif::encode(picture, settings, threads),
        ImageFormat::Gif => gif::still(picture, settings),
    })
}

/// Makes of a decoded picture what the encoder of `format` takes best: 8 bits where it has no more, no transparency where
/// nothing is transparent, and the colours of sRGB where it has no room for a profile.
pub(crate) fn prepare(mut picture: Picture, format: ImageFormat) -> Picture {
    if picture.channels == Channels::Ycc {
        return picture;
    }
    let stays = format == ImageFormat::Png && matches!(picture.meaning, Meaning::Hdr(Hdr { tags: Some(_), .. }));
    if !stays {
        let meaning = std::mem::take(&mut picture.meaning);
        picture.profile = meaning.settle(&mut picture.pixels).or(picture.profile);
    }
    if format != ImageFormat::Png {
        picture.pixels = eight_bits(picture.pixels);
    }
    if !matches!(format, ImageFormat::Jpeg) && picture.pixels.color().has_alpha() && is_opaque(&picture.pixels) {
        picture.pixels = without_alpha(picture.pixels);
    }
    if matches!(format, ImageFormat::Avif | ImageFormat::Gif)
        && let Some(profile) = picture.profile.take()
    {
        super::color::to_srgb(&mut picture.pixels, &profile);
    }
    // WebP has no grey; a profile for grey does not fit what it holds.
    if format == ImageFormat::Webp
        && picture.pixels.color().channel_count() < 3
        && let Some(profile) = picture.profile.take()
    {
        super::color::to_srgb(&mut picture.pixels, &profile);
    }
    picture
}

/// The same with eight bits a channel.
pub(crate) fn eight_bits(pixels: DynamicImage) -> DynamicImage {
    match pixels {
        DynamicImage::ImageLuma16(_) => DynamicImage::ImageLuma8(pixels.into_luma8()),
        DynamicImage::ImageLumaA16(_) => DynamicImage::ImageLumaA8(pixels.into_luma_alpha8()),
        DynamicImage::ImageRgb16(_) => DynamicImage::ImageRgb8(pixels.into_rgb8()),
        DynamicImage::ImageRgba16(_) => DynamicImage::ImageRgba8(pixels.into_rgba8()),
        other => other,
    }
}

fn is_opaque(pixels: &DynamicImage) -> bool {
    match pixels {
        DynamicImage::ImageLumaA8(pixels) => pixels.pixels().all(|pixel| pixel.0[1] == u8::MAX),
        DynamicImage::ImageRgba8(pixels) => pixels.pixels().all(|pixel| pixel.0[3] == u8::MAX),
        DynamicImage::ImageLumaA16(pixels) => pixels.pixels().all(|pixel| pixel.0[1] == u16::MAX),
        DynamicImage::ImageRgba16(pixels) => pixels.pixels().all(|pixel| pixel.0[3] == u16::MAX),
        _ => false,
    }
}

fn without_alpha(pixels: DynamicImage) -> DynamicImage {
    match pixels {
        DynamicImage::ImageLumaA8(_) => DynamicImage::ImageLuma8(pixels.into_luma8()),
        DynamicImage::ImageLumaA16(_) => DynamicImage::ImageLuma16(pixels.into_luma16()),
        DynamicImage::ImageRgba16(_) => DynamicImage::ImageRgb16(pixels.into_rgb16()),
        other => DynamicImage::ImageRgb8(other.into_rgb8()),
    }
}
