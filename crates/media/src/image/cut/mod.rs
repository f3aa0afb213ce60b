//! Pictures whose end is missing: what is there, and how much is not.
//!
//! A file that lacks nothing but its last marker is whole. Of others, whole frames are kept as they are; of a still, the
//! pixels that are there are used. Which those are is found by decoding twice, with different bytes in place of what is
//! missing: a pixel that comes out the same does not depend on them.

mod gif;
mod jpeg;
mod png;
mod webp;

use std::borrow::Cow;

use ::image::DynamicImage;

use super::ImageLimits;
use super::decode::{Picture, upright};
use super::guard::{damaged, decoding};
use super::header::{Inspected, header, still, within};
use super::kind::{Kind, kind};
use crate::error::MediaError;

/// What is missing of a picture.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Loss {
    /// Above 0, at most 1: of the pixels, or of the bytes of an animation.
    pub(crate) share: f64,
    /// The same in words, to follow "its end is missing: ".
    pub(crate) words: String,
}

/// A picture as far as it is there.
pub(crate) struct Seen<'a> {
    /// The file; with its last marker, or up to its last whole frame, where that was missing.
    pub(crate) bytes: Cow<'a, [u8]>,
    /// The pixels of a still that cannot be read from the bytes as they are, upright.
    pub(crate) pixels: Option<Picture>,
    pub(crate) loss: Option<Loss>,
}

/// The file with an end that its header can be read to; nothing is decoded, and a file that is whole is not copied.
pub(crate) fn ended(bytes: &[u8]) -> Cow<'_, [u8]> {
    let ended = match kind(bytes) {
        Ok(Kind::Gif) => gif::ended(bytes).map(|(ended, _)| ended),
        Ok(Kind::Webp) => webp::ended(bytes).map(|(ended, _)| ended),
        Ok(Kind::Png) => png::ended(bytes).map(|(ended, _)| ended),
        _ => None,
    };
    ended.map_or(Cow::Borrowed(bytes), Cow::Owned)
}

/// The file, with its last marker where only that was missing.
///
/// # Errors
/// `input_damaged` where more is missing.
pub(crate) fn whole<'a>(bytes: &'a [u8], limits: &ImageLimits) -> Result<Cow<'a, [u8]>, MediaError> {
    let Ok(kind) = kind(bytes) else { return Ok(Cow::Borrowed(bytes)) };
    let seen = look(bytes, limits)?;
    match (seen.loss, seen.pixels) {
        (None, None) => Ok(seen.bytes),
        (Some(loss), _) => Err(damaged(kind, format!("its end is missing: {}", loss.words))),
        (None, Some(_)) => Err(damaged(kind, "its end is missing")),
    }
}

/// Looks at what of a picture is there. Decodes it only where its end is missing.
///
/// # Errors
/// `input_damaged` where nothing of it can be used.
pub(crate) fn look<'a>(bytes: &'a [u8], limits: &ImageLimits) -> Result<Seen<'a>, MediaError> {
    let whole = Seen { bytes: Cow::Borrowed(bytes), pixels: None, loss: None };
    let Ok(kind) = kind(bytes) else { return Ok(whole) };
    // What is too large is refused before its pixels are touched.
    let narrowed = || header(bytes, limits).map(|found| limits.of(&found));
    match kind {
        Kind::Jpeg if !super::jpeg::markers(bytes).has_end => {
            let limits = narrowed()?;
            decoding(kind, || jpeg::look(bytes, &limits))
        }
        Kind::Png if !super::chunks::has_end(bytes) => {
            let limits = narrowed()?;
            decoding(kind, || png::look(bytes, &limits))
        }
        Kind::Gif => decoding(kind, || gif::look(bytes, limits)),
        Kind::Webp => decoding(kind, || webp::look(bytes, limits)),
        _ => Ok(whole),
    }
}

/// What is known of a picture before it is decided whether its end is missing: what its header says, or where that cannot be
/// read before the end is written anew, what its first bytes say of its size.
///
/// # Errors
/// What a whole header is refused for.
pub(crate) fn expected(bytes: &[u8], limits: &ImageLimits) -> Result<Inspected, MediaError> {
    let number = |at: usize, count: usize| {
        bytes
            .get(at..at + count)
            .map_or(0, |bytes| bytes.iter().rev().fold(0, |number, &byte| number << 8 | u32::from(byte)))
    };
    let size = match (kind(bytes)?, bytes.get(12..16)) {
        (Kind::Gif, _) => (number(6, 2), number(8, 2)),
        (Kind::Webp, Some(b"VP8X")) => (number(24, 3) + 1, number(27, 3) + 1),
        (Kind::Webp, Some(b"VP8 ")) => (number(26, 2) & 0x3FFF, number(28, 2) & 0x3FFF),
        (Kind::Webp, Some(b"VP8L")) => ((number(21, 4) & 0x3FFF) + 1, (number(21, 4) >> 14 & 0x3FFF) + 1),
        _ => return header(bytes, limits),
    };
    let found = Inspected { size_bytes: bytes.len() as u64, ..still(kind(bytes)?, size, 1) };
    within(&found, limits)?;
    Ok(found)
}

/// A still of which a part is missing, turned as its header says.
fn partly<'a>(
    bytes: Cow<'a, [u8]>,
    picture: Picture,
    loss: Option<Loss>,
    limits: &ImageLimits,
) -> Result<Seen<'a>, MediaError> {
    let found = header(&bytes, limits)?;
    Ok(Seen { pixels: Some(upright(picture, &found)?), bytes, loss })
}

fn nothing(kind: Kind) -> MediaError {
    damaged(kind, "its end is missing, and the rest contains no pixels")
}

/// What is missing of `all` pixels.
fn of_pixels(missing: usize, all: usize) -> Loss {
    let share = missing as f64 / all.max(1) as f64;
    Loss { share, words: format!("{} of its pixels", percent(share)) }
}

/// A share in words; what is there at all is not called nothing.
fn percent(share: f64) -> String {
    if share < 0.001 { "less than 0.1 %".to_owned() } else { format!("{:.1} %", share * 100.0) }
}

/// For each pixel whether it is the same in both.
fn same(a: &DynamicImage, b: &DynamicImage) -> Vec<bool> {
    let size = usize::from(a.color().bytes_per_pixel());
    a.as_bytes().chunks_exact(size).zip(b.as_bytes().chunks_exact(size)).map(|(a, b)| a == b).collect()
}

/// Rows in which all pixels are the same, from the top, then pixels of the row behind them.
fn reached(same: &[bool], width: usize) -> usize {
    same.iter().position(|same| !same).map_or(same.len(), |first| first / width.max(1))
}

/// What is not there is grey, or transparent where it can be.
fn blank(picture: &mut DynamicImage, is_there: impl Fn(usize) -> bool) {
    let (size, channels) =
        (usize::from(picture.color().bytes_per_pixel()), usize::from(picture.color().channel_count()));
    let fill = if picture.color().has_alpha() { 0 } else { 0x80 };
    let bytes = match picture {
        DynamicImage::ImageLuma8(buffer) => buffer.as_mut(),
        DynamicImage::ImageLumaA8(buffer) => buffer.as_mut(),
        DynamicImage::ImageRgb8(buffer) => buffer.as_mut(),
        DynamicImage::ImageRgba8(buffer) => buffer.as_mut(),
        DynamicImage::ImageLuma16(buffer) => return blank_words(buffer.as_mut(), channels, fill, is_there),
        DynamicImage::ImageLumaA16(buffer) => return blank_words(buffer.as_mut(), channels, fill, is_there),
        DynamicImage::ImageRgb16(buffer) => return blank_words(buffer.as_mut(), channels, fill, is_there),
        DynamicImage::ImageRgba16(buffer) => return blank_words(buffer.as_mut(), channels, fill, is_there),
        _ => return,
    };
    for (_, pixel) in bytes.chunks_exact_mut(size).enumerate().filter(|(index, _)| !is_there(*index)) {
        pixel.fill(fill);
    }
}

fn blank_words(words: &mut [u16], channels: usize, fill: u8, is_there: impl Fn(usize) -> bool) {
    for (_, pixel) in words.chunks_exact_mut(channels).enumerate().filter(|(index, _)| !is_there(*index)) {
        pixel.fill(u16::from(fill) << 8);
    }
}
