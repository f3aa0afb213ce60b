//! A GIF without its trailer: cut within a frame, or behind the last.
//!
//! # Source
//! GIF89a, 15 (data sub-blocks) and 20 to 27.

use std::borrow::Cow;
use std::io::Cursor;

use ::image::{DynamicImage, RgbaImage};

use super::super::ImageLimits;
use super::super::decode::Picture;
use super::super::guard::damaged;
use super::super::kind::Kind;
use super::{Loss, Seen, nothing, of_pixels, partly};
use crate::error::MediaError;

const END: u8 = 0x3B;

/// How far the blocks of a file reach.
struct Blocks {
    /// Where the blocks end that are whole frames, with all before them.
    frames: Vec<usize>,
    /// Whether the trailer is there.
    has_end: bool,
    /// Whether what lies behind the last whole frame begins another one.
    begins_another: bool,
    /// The length byte of the piece that is cut, and how many of its bytes are there.
    broken: Option<(usize, usize)>,
}

/// `None` for what is no GIF by its blocks; the decoder says why.
fn blocks(bytes: &[u8]) -> Option<Blocks> {
    let table = |flags: u8| if flags & 0x80 == 0 { 0 } else { 3_usize << ((flags & 7) + 1) };
    let mut at = 13 + table(*bytes.get(10)?);
    let mut found = Blocks { frames: Vec::new(), has_end: false, begins_another: false, broken: None };
    while let Some(&kind) = bytes.get(at) {
        let head = match kind {
            END => {
                found.has_end = true;
                break;
            }
            0x2C => {
                found.begins_another = true;
                match bytes.get(at + 9) {
                    Some(&flags) => 11 + table(flags),
                    None => break,
                }
            }
            0x21 => {
                found.begins_another |= bytes.get(at + 1) == Some(&0xF9);
                2
            }
            _ => return None,
        };
        let mut end = at + head;
        let is_whole = loop {
            let Some(&length) = bytes.get(end) else { break false };
            let there = bytes.len() - end - 1;
            if there < usize::from(length) {
                found.broken = Some((end, there));
                break false;
            }
            end += 1 + usize::from(length);
            if length == 0 {
                break true;
            }
        };
        if !is_whole {
            break;
        }
        if kind == 0x2C {
            found.frames.push(end);
            found.begins_another = false;
        }
        at = end;
    }
    Some(found)
}

/// The whole frames of a file that is cut, and its trailer.
pub(super) fn ended(bytes: &[u8]) -> Option<(Vec<u8>, Option<Loss>)> {
    let blocks = blocks(bytes).filter(|blocks| !blocks.has_end)?;
    let &end = blocks.frames.last()?;
    let loss = blocks.begins_another.then(|| {
        let count = blocks.frames.len();
        let words = format!("all behind the first {count} {}", if count == 1 { "frame" } else { "frames" });
        Loss { share: (bytes.len() - end) as f64 / bytes.len() as f64, words }
    });
    Some(([&bytes[..end], &[END]].concat(), loss))
}

pub(super) fn look<'a>(bytes: &'a [u8], limits: &ImageLimits) -> Result<Seen<'a>, MediaError> {
    let whole = Seen { bytes: Cow::Borrowed(bytes), pixels: None, loss: None };
    let Some(blocks) = blocks(bytes).filter(|blocks| !blocks.has_end) else { return Ok(whole) };
    if let Some((ended, loss)) = ended(bytes) {
        return Ok(Seen { bytes: ended.into(), pixels: None, loss });
    }
    // Within the first frame: the piece that is cut is made as long as what is there of it.
    let mut closed = bytes.to_vec();
    if let Some((at, there)) = blocks.broken {
        closed[at] = u8::try_from(there).unwrap_or(u8::MAX);
    }
    if blocks.broken.is_none_or(|(_, there)| there > 0) {
        closed.push(0);
    }
    closed.push(END);
    let (picture, missing) = first_rows(&closed, limits)?;
    let all = picture.pixels.width() as usize * picture.pixels.height() as usize;
    partly(closed.into(), picture, Some(of_pixels(missing, all)), limits)
}

/// The rows of the first frame that are there; and how many pixels are not.
fn first_rows(bytes: &[u8], limits: &ImageLimits) -> Result<(Picture, usize), MediaError> {
    let wrong = |error| damaged(Kind::Gif, error);
    super::super::header::header(bytes, limits)?;
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::RGBA);
    let mut decoder = options.read_info(Cursor::new(bytes)).map_err(wrong)?;
    let (width, height) = (u32::from(decoder.width()), u32::from(decoder.height()));
    let frame = decoder.next_frame_info().map_err(wrong)?.ok_or_else(|| nothing(Kind::Gif))?;
    let (left, top, wide, high) = (frame.left, frame.top, frame.width, frame.height);
    if frame.interlaced {
        return Err(damaged(Kind::Gif, "its end is missing, and its rows are interlaced"));
    }
    let mut pixels = RgbaImage::new(width, height);
    let mut row = vec![0; usize::from(wide) * 4];
    let mut there = 0;
    for y in 0..u32::from(high) {
        row.fill(0);
        if !matches!(decoder.fill_buffer(&mut row), Ok(true)) {
            break;
        }
        there += 1;
        for (x, pixel) in (u32::from(left)..).zip(row.as_chunks::<4>().0) {
            if x < width && u32::from(top) + y < height {
                pixels.put_pixel(x, u32::from(top) + y, ::image::Rgba(*pixel));
            }
        }
    }
    if there == 0 {
        return Err(nothing(Kind::Gif));
    }
    let missing = (usize::from(high) - there) * usize::from(wide);
    Ok((Picture::plain(DynamicImage::ImageRgba8(pixels), None), missing))
}
