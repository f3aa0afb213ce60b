//! What tools are given instead of a picture: the same pixels in a form that every version of them reads alike.
//!
//! A picture of a stranger is never decoded by a tool. Its pixels are, by our own decoders: with orientation, profile,
//! pages and alpha as they should be, and formats that the tool does not know. What the tool reads is a plain PNG in the
//! colours of sRGB, eight bits a channel, upright; for an animation an animated PNG of whole frames with their times.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use image::DynamicImage;
use png::{BitDepth, BlendOp, ColorType, Compression, DisposeOp, Encoder, EncodingError};
use tokio_util::sync::CancellationToken;

use super::decode::{self, Channels};
use super::frames::Shown;
use super::guard::{Watchman, not_encoded};
use super::header::{self, Inspected, header};
use super::thumbnail::upright;
use super::{ImageLimits, color, encode};
use crate::error::MediaError;

/// Writes what stands in for the picture at `input` to `output`, and tells what the picture is. Blocks.
///
/// # Errors
/// What [`inspect`](super::inspect) refuses; [`MediaError::Failed`] with `input_damaged` or `timed_out`;
/// [`MediaError::Canceled`] soon after `cancel` was canceled.
pub fn stand_in(
    input: &Path,
    output: &Path,
    limits: &ImageLimits,
    cancel: &CancellationToken,
) -> Result<Inspected, MediaError> {
    let watchman = Watchman { cancel, began: Instant::now(), time: limits.time };
    let bytes = header::read(input, limits)?;
    let found = header(&bytes, limits)?;
    let file = BufWriter::with_capacity(1 << 16, File::create(output)?);
    if found.frames > 1 {
        animation(&bytes, &found, limits, watchman, file)?;
    } else {
        still(&bytes, &found, limits, file)?;
    }
    Ok(found)
}

fn still(bytes: &[u8], found: &Inspected, limits: &ImageLimits, file: impl Write) -> Result<(), MediaError> {
    let picture = decode::decode(bytes, found, Channels::Plain, limits)?;
    let mut pixels = encode::eight_bits(picture.pixels);
    if let Some(profile) = &picture.profile {
        color::to_srgb(&mut pixels, profile);
    }
    let (pixels, color) = if pixels.color().has_alpha() {
        (DynamicImage::ImageRgba8(pixels.into_rgba8()), ColorType::Rgba)
    } else {
        (DynamicImage::ImageRgb8(pixels.into_rgb8()), ColorType::Rgb)
    };
    let encoder = encoder(file, (pixels.width(), pixels.height()), color);
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(pixels.as_bytes()).map_err(failed)?;
    writer.finish().map_err(failed)
}

fn animation(
    bytes: &[u8],
    found: &Inspected,
    limits: &ImageLimits,
    watchman: Watchman<'_>,
    file: impl Write,
) -> Result<(), MediaError> {
    let mut shown = Shown::open(bytes, found, limits)?;
    let profile = shown.profile();
    let mut encoder = encoder(file, (found.width, found.height), ColorType::Rgba);
    encoder.set_animated(found.frames, shown.plays().into()).map_err(failed)?;
    let mut writer = encoder.write_header().map_err(failed)?;
    while let Some(frame) = shown.next()? {
        watchman.go_on()?;
        let mut pixels = upright(frame.pixels, found);
        if let Some(profile) = &profile {
            color::to_srgb(&mut pixels, profile);
        }
        let (numerator, denominator) = seconds(frame.length);
        writer.set_frame_delay(numerator, denominator).map_err(failed)?;
        // Each frame is the whole picture, whatever was shown before.
        writer.set_blend_op(BlendOp::Source).map_err(failed)?;
        writer.set_dispose_op(DisposeOp::None).map_err(failed)?;
        writer.write_image_data(pixels.to_rgba8().as_raw()).map_err(failed)?;
    }
    writer.finish().map_err(failed)
}

fn encoder<W: Write>(file: W, (width, height): (u32, u32), color: ColorType) -> Encoder<'static, W> {
    let mut encoder = Encoder::new(file, width, height);
    encoder.set_color(color);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::Fast);
    encoder
}

/// Milliseconds as the fraction of a second that a frame of a PNG has room for.
fn seconds(length: u32) -> (u16, u16) {
    match u16::try_from(length) {
        Ok(length) => (length, 1000),
        // Longer than a minute: whole seconds are close enough.
        Err(_) => (u16::try_from(length.div_ceil(1000)).unwrap_or(u16::MAX), 1),
    }
}

fn failed(error: EncodingError) -> MediaError {
    match error {
        EncodingError::IoError(error) => MediaError::Io(io::Error::new(error.kind(), error)),
        other => not_encoded(other),
    }
}

#[cfg(test)]
mod tests;
