//! Icons and cursors: the largest picture in them, which is a PNG or the inside of a bitmap with a mask.
//!
//! # Source
//! The ICONDIR of Microsoft's "Icons" (1995); bitmaps: BITMAPINFOHEADER; a bitmap of 32 bits whose transparency is nowhere
//! set is opaque but for its mask, as Windows shows it.

use std::io::Cursor;

use image::codecs::ico::IcoDecoder;
use image::codecs::png::PngDecoder;
use image::{DynamicImage, ImageDecoder as _};

use super::decode::{Picture, png};
use super::guard::damaged;
use super::header::{Inspected, bad, header_memory, still};
use super::kind::Kind;
use super::{ImageLimits, profile};
use crate::error::MediaError;

const KIND: Kind = Kind::Ico;

/// Most pictures that are looked at.
const MOST: usize = 256;

/// One picture of an icon.
#[derive(Debug, Clone, Copy)]
struct Entry<'a> {
    bytes: &'a [u8],
    width: u32,
    height: u32,
    bits: u16,
}

impl Entry<'_> {
    fn is_png(&self) -> bool {
        is_png(self.bytes)
    }
}

fn is_png(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x89PNG\r\n\x1A\n")
}

/// Those that lie within the file and say how large they are.
fn entries(file: &[u8]) -> Vec<Entry<'_>> {
    let count = file.get(4..6).map_or(0, |count| usize::from(u16::from_le_bytes([count[0], count[1]])));
    let heads = file.get(6..).unwrap_or_default().chunks_exact(16).take(count.min(MOST));
    let number = |bytes: &[u8], at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let entry = |head: &[u8]| {
        let (length, from) = (number(head, 8)? as usize, number(head, 12)? as usize);
        let bytes = file.get(from..from.checked_add(length)?)?;
        // The directory's own sides are a byte each, and of cursors it does not tell the depth.
        if is_png(bytes) {
            let side = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
            return Some(Entry { bytes, width: side(16)?, height: side(20)?, bits: 32 });
        }
        let (width, height) = (number(bytes, 4)?, number(bytes, 8)? / 2);
        let bits = bytes.get(14..16)?;
        Some(Entry { bytes, width, height, bits: u16::from_le_bytes([bits[0], bits[1]]) })
    };
    heads.filter_map(entry).collect()
}

/// The largest, and of those the deepest.
fn best(file: &[u8]) -> Result<Entry<'_>, MediaError> {
    let all = entries(file).into_iter();
    let best = all.max_by_key(|entry| (u64::from(entry.width) * u64::from(entry.height), entry.bits));
    best.ok_or_else(|| damaged(KIND, "it contains no image"))
}

/// The header alone.
pub(crate) fn header(file: &[u8]) -> Result<Inspected, MediaError> {
    let (best, count) = (best(file)?, entries(file).len());
    let frames = u32::try_from(count).unwrap_or(1);
    if !best.is_png() {
        if best.width > 4096 || best.height > 4096 {
            return Err(damaged(KIND, "a bitmap in it is larger than any icon"));
        }
        return Ok(Inspected { frames, alpha: true, ..still(KIND, (best.width, best.height), 1) });
    }
    profile::within(Kind::Png, best.bytes)?;
    let mut decoder =
        PngDecoder::with_limits(Cursor::new(best.bytes), header_memory()).map_err(|error| bad(KIND, &error))?;
    let alpha = decoder.color_type().has_alpha();
    let profile = decoder.icc_profile().ok().flatten().is_some();
    Ok(Inspected { frames, alpha, profile, ..still(KIND, decoder.dimensions(), 1) })
}

/// The largest picture.
pub(crate) fn decode(file: &[u8], limits: &ImageLimits) -> Result<Picture, MediaError> {
    let best = best(file)?;
    if best.is_png() {
        return png(best.bytes, limits);
    }
    let pixels = bitmap(&best, best.bytes)?;
    let is_clear =
        |pixels: &DynamicImage| pixels.as_rgba8().is_some_and(|pixels| pixels.pixels().all(|pixel| pixel.0[3] == 0));
    if best.bits != 32 || !is_clear(&pixels) {
        return Ok(Picture::plain(pixels, None));
    }
    let mut opaque = best.bytes.to_vec();
    let head = best.bytes.get(..4).map_or(40, |size| u32::from_le_bytes([size[0], size[1], size[2], size[3]]) as usize);
    let count = best.width as usize * best.height as usize * 4;
    if let Some(colors) = opaque.get_mut(head..head.saturating_add(count)) {
        colors.iter_mut().skip(3).step_by(4).for_each(|alpha| *alpha = u8::MAX);
    }
    Ok(Picture::plain(bitmap(&best, &opaque)?, None))
}

/// A bitmap and its mask, as an icon of one picture.
fn bitmap(entry: &Entry<'_>, bytes: &[u8]) -> Result<DynamicImage, MediaError> {
    let side = |side: u32| u8::try_from(side).unwrap_or(0);
    let length = u32::try_from(bytes.len()).map_err(|error| damaged(KIND, error))?;
    let mut file = vec![0, 0, 1, 0, 1, 0, side(entry.width), side(entry.height), 0, 0, 1, 0];
    file.extend(entry.bits.to_le_bytes());
    file.extend(length.to_le_bytes());
    file.extend(22_u32.to_le_bytes());
    file.extend_from_slice(bytes);
    let decoder = IcoDecoder::new(Cursor::new(&file[..])).map_err(|error| bad(KIND, &error))?;
    DynamicImage::from_decoder(decoder).map_err(|error| bad(KIND, &error))
}
