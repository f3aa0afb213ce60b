//! What tools are given instead of a picture: the same pixels in a form that every version of them reads alike.
//!
//! A picture of a stranger is never decoded by a tool. Its pixels are, by our own decoders: with orientation, profile,
//! pages and alpha as they should be, and formats that the tool does not know. What the tool reads is a plain PNG in the
//! colours of sRGB, eight bits a channel, upright; for an animation an animated PNG of whole frames with their times.
//!
//! **The end of an animation.** Encoders know when a frame begins, and versions of ffmpeg before 6 do not tell them how long
//! the last one is: by container it is shown for as long as the one before, or as a frame is at the guessed rate. Where that
//! is not so, the end of the last frame is written as two short frames more, and the animation ends when it should whatever
//! is guessed. A GIF, which every version reads well, is left to the tool unless its end is such a one.

use std::fs::File;
use std::io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write};
use std::path::Path;
use std::time::Instant;

use image::DynamicImage;
use png::{BitDepth, BlendOp, ColorType, Compression, DisposeOp, Encoder, EncodingError};

use super::budget::{self, Claim};
use super::decode::{self, Channels};
use super::frames::{Shown, shown_for};
use super::guard::{Deadline, not_encoded};
use super::header::{self, Inspected, header};
use super::kind::{Kind, kind};
use super::thumbnail::upright;
use super::{ImageLimits, color, cut, encode};
use crate::error::MediaError;

/// How long each of the short frames is at the end of an animation, in milliseconds: the least that a GIF may have.
const TAIL: u32 = 20;

/// Writes what stands in for the picture at `input` to `output`, and tells what the picture is; `None` where the tool may
/// have the picture itself. Blocks.
///
/// # Errors
/// What [`inspect`](super::inspect) refuses; [`MediaError::Failed`] with `input_damaged` or `timed_out`.
pub fn stand_in(
    input: &Path,
    output: &Path,
    limits: &ImageLimits,
    claim: Claim<'_>,
) -> Result<Option<Inspected>, MediaError> {
    let bytes = header::read(input, limits)?;
    if kind(&bytes)? == Kind::Gif && !ends_unevenly(&bytes, limits) {
        return Ok(None);
    }
    budget::claim(&cut::expected(&bytes, limits)?, limits, claim)?;
    let deadline = Deadline { began: Instant::now(), time: limits.time };
    let bytes = cut::whole(&bytes, limits)?;
    let found = header(&bytes, limits)?;
    let file = BufWriter::with_capacity(1 << 16, File::options().read(true).write(true).create_new(true).open(output)?);
    if found.is_reel() {
        // Not every header tells how long the animation is, and none tells how long it is shown.
        let duration_ms = Some(animation(&bytes, &found, limits, deadline, file)?);
        return Ok(Some(Inspected { duration_ms, ..found }));
    }
    still(&bytes, &found, limits, file)?;
    Ok(Some(found))
}

fn still(bytes: &[u8], found: &Inspected, limits: &ImageLimits, file: impl Write) -> Result<(), MediaError> {
    let mut picture = decode::decode(bytes, found, Channels::Plain, limits)?;
    let named = picture.meaning.settle(&mut picture.pixels);
    let mut pixels = encode::eight_bits(picture.pixels);
    if let Some(profile) = named.or(picture.profile) {
        color::to_srgb(&mut pixels, &profile);
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

/// Writes the frames, and gives for how many milliseconds they are shown together.
fn animation(
    bytes: &[u8],
    found: &Inspected,
    limits: &ImageLimits,
    deadline: Deadline,
    mut file: BufWriter<File>,
) -> Result<u64, MediaError> {
    let mut shown = Shown::open(bytes, found, limits)?;
    let profile = shown.profile();
    let mut encoder = encoder(&mut file, (found.width, found.height), ColorType::Rgba);
    // More than there are, perhaps; in the end they are counted.
    encoder.set_animated(found.frames.saturating_add(2), shown.plays().into()).map_err(failed)?;
    let mut writer = encoder.write_header().map_err(failed)?;
    let (mut whole, mut before, mut written) = (0, None, 0_u32);
    // Each frame is the whole picture, whatever was shown before.
    writer.set_blend_op(BlendOp::Source).map_err(failed)?;
    writer.set_dispose_op(DisposeOp::None).map_err(failed)?;
    let mut next = shown.next()?;
    while let Some(frame) = next {
        deadline.check()?;
        next = shown.next()?;
        let mut pixels = upright(frame.pixels, found);
        if let Some(profile) = &profile {
            color::to_srgb(&mut pixels, profile);
        }
        let pixels = pixels.to_rgba8();
        let is_odd = next.is_none() && before.is_some_and(|before| is_uneven(before, frame.length));
        let tail = if is_odd { &[TAIL, TAIL][..] } else { &[] };
        let rest = frame.length - tail.iter().sum::<u32>();
        for &length in [rest].iter().chain(tail) {
            let (numerator, denominator) = seconds(length);
            writer.set_frame_delay(numerator, denominator).map_err(failed)?;
            writer.write_image_data(pixels.as_raw()).map_err(failed)?;
            written += 1;
        }
        whole = frame.begin + u64::from(frame.length);
        before = Some(frame.length);
    }
    writer.finish().map_err(failed)?;
    count(file.into_inner().map_err(io::IntoInnerError::into_error)?, written)?;
    Ok(whole)
}

/// Writes into the header how many frames there are.
fn count(mut file: File, frames: u32) -> io::Result<()> {
    let mut head = [0; 256];
    file.seek(SeekFrom::Start(0))?;
    let length = file.read(&mut head)?;
    let Some(at) = head[..length].windows(4).position(|name| name == b"acTL").filter(|at| at + 16 <= length) else {
        return Err(io::Error::other("an animated PNG does not say that it is one"));
    };
    head[at + 4..at + 8].copy_from_slice(&frames.to_be_bytes());
    let mut crc = flate2::Crc::new();
    crc.update(&head[at..at + 12]);
    head[at + 12..at + 16].copy_from_slice(&crc.sum().to_be_bytes());
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&head[..length])
}

/// Whether the last frame of a GIF is shown for longer or shorter than the one before. One that has more frames than are
/// held here, or makes no sense, is for the tool to read.
fn ends_unevenly(bytes: &[u8], limits: &ImageLimits) -> bool {
    if header(bytes, limits).is_err() {
        return false;
    }
    let mut options = gif::DecodeOptions::new();
    options.skip_frame_decoding(true);
    let Ok(mut decoder) = options.read_info(bytes) else { return false };
    let mut last = (None, None);
    while let Ok(Some(frame)) = decoder.next_frame_info() {
        last = (last.1, Some(shown_for(u32::from(frame.delay) * 10)));
    }
    matches!(last, (Some(before), Some(last)) if is_uneven(before, last))
}

/// Whether the end of an animation has to be written out: its last frame is not as long as the one before, and long enough.
const fn is_uneven(before: u32, last: u32) -> bool {
    before != last && last >= 3 * TAIL
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
