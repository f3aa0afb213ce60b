//! JPEG by mozjpeg with its own defaults: progressive, scans optimised, trellis quantisation.

use std::io;

use image::DynamicImage;
use mozjpeg::{ColorSpace, Compress, Marker};

use super::super::decode::{Channels, Picture};
use super::super::guard::{Deadline, not_encoded};
use super::super::level::Settings;
use super::Encoded;
use crate::error::MediaError;

/// Rows between two questions whether to go on.
const ROWS: usize = 256;

pub(crate) fn encode(picture: &Picture, settings: &Settings, deadline: Deadline) -> Result<Encoded, MediaError> {
    let flat;
    let pixels = if picture.pixels.color().has_alpha() {
        flat = DynamicImage::ImageRgb8(on_white(&picture.pixels));
        &flat
    } else {
        &picture.pixels
    };
    let (space, channels) = space(pixels, picture.channels);
    let mut compress = Compress::new(space);
    compress.set_size(pixels.width() as usize, pixels.height() as usize);
    compress.set_quality(settings.jpeg_quality);
    if channels == 3 {
        let chroma = if settings.keep_chroma { (1, 1) } else { (2, 2) };
        compress.set_chroma_sampling_pixel_sizes(chroma, chroma);
    }
    let bytes = write(compress, pixels, channels, picture.profile.as_deref(), deadline)?;
    let chroma = if channels == 3 && settings.keep_chroma { ", full chroma" } else { "" };
    Ok(Encoded::new(bytes, format!("progressive at quality {:.0}{chroma}", settings.jpeg_quality)))
}

/// Encodes without looking for the smallest file: baseline, with Huffman tables made for the picture.
pub(crate) fn fast(picture: &Picture, quality: f32, deadline: Deadline) -> Result<Encoded, MediaError> {
    let flat = picture.pixels.color().has_alpha().then(|| DynamicImage::ImageRgb8(on_white(&picture.pixels)));
    let pixels = flat.as_ref().unwrap_or(&picture.pixels);
    let (space, channels) = space(pixels, picture.channels);
    let mut compress = Compress::new(space);
    compress.set_fastest_defaults();
    compress.set_size(pixels.width() as usize, pixels.height() as usize);
    compress.set_optimize_coding(true);
    compress.set_quality(quality);
    if channels == 3 {
        compress.set_chroma_sampling_pixel_sizes((2, 2), (2, 2));
    }
    let bytes = write(compress, pixels, channels, picture.profile.as_deref(), deadline)?;
    Ok(Encoded::new(bytes, format!("baseline at quality {quality:.0}")))
}

fn space(pixels: &DynamicImage, channels: Channels) -> (ColorSpace, usize) {
    match (pixels, channels) {
        (DynamicImage::ImageLuma8(_), _) => (ColorSpace::JCS_GRAYSCALE, 1),
        (_, Channels::Ycc) => (ColorSpace::JCS_YCbCr, 3),
        _ => (ColorSpace::JCS_RGB, 3),
    }
}

fn write(
    compress: Compress,
    pixels: &DynamicImage,
    channels: usize,
    profile: Option<&[u8]>,
    deadline: Deadline,
) -> Result<Vec<u8>, MediaError> {
    let failed = |error: io::Error| not_encoded(error);
    let mut started = compress.start_compress(Vec::with_capacity(pixels.as_bytes().len() / 8)).map_err(failed)?;
    if let Some(profile) = profile {
        for segment in profile_segments(profile) {
            started.write_marker(Marker::APP(2), &segment);
        }
    }
    for rows in pixels.as_bytes().chunks(pixels.width() as usize * channels * ROWS) {
        deadline.check()?;
        started.write_scanlines(rows).map_err(failed)?;
    }
    started.finish().map_err(failed)
}

/// The profile in as many segments as it takes, numbered from 1. Source: ICC.1:2022, annex B.4. (The wrapper's own way
/// numbers them from 0, which readers refuse.)
fn profile_segments(profile: &[u8]) -> Vec<Vec<u8>> {
    let parts = profile.chunks(65_533 - 14);
    // One that is longer than a JPEG can hold is left out.
    let Ok(count) = u8::try_from(parts.len()) else { return Vec::new() };
    (1..=count).zip(parts).map(|(number, part)| [b"ICC_PROFILE\0", &[number, count][..], part].concat()).collect()
}

/// What shows where the picture is transparent is white, as on most pages.
fn on_white(pixels: &DynamicImage) -> image::RgbImage {
    let mut flat = image::RgbImage::new(pixels.width(), pixels.height());
    for (pixel, source) in flat.pixels_mut().zip(pixels.to_rgba8().pixels()) {
        let [red, green, blue, alpha] = source.0.map(u16::from);
        pixel.0 = [red, green, blue].map(|channel| ((channel * alpha + 255 * (255 - alpha) + 127) / 255) as u8);
    }
    flat
}
