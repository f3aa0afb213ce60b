//! A PNG without its last chunk: cut within its picture, or behind it.

use std::borrow::Cow;
use std::io::Cursor;

use ::image::{DynamicImage, ImageBuffer};
use ::png::{BitDepth, ColorType, Decoder, Limits, Transformations};

use super::super::ImageLimits;
use super::super::chunks::{chunks, control};
use super::super::decode::Picture;
use super::super::guard::not_encoded;
use super::super::header::{bad_png, memory_bytes};
use super::super::kind::Kind;
use super::super::meaning::Meaning;
use super::super::strip::png_chunk;
use super::{Loss, Seen, blank, nothing, of_pixels, partly, percent, same};
use crate::error::MediaError;

const END: &[u8] = b"\0\0\0\0IEND\xAE\x42\x60\x82";

/// An animation up to its last whole frame; `None` for one of which no further frame than the first is whole, and for a
/// file that has its end.
pub(super) fn ended(bytes: &[u8]) -> Option<(Vec<u8>, Loss)> {
    let all = control(bytes)?;
    if super::super::chunks::has_end(bytes) {
        return None;
    }
    let found: Vec<_> = chunks(bytes).collect();
    // A frame is whole when the control of the next one stands behind it.
    let controls: Vec<usize> = (0..found.len()).filter(|&index| found[index].0 == b"fcTL").collect();
    let (&last, whole) = (controls.last()?, controls.len().checked_sub(1)?);
    let holds_all = whole + 1 == all.frames as usize && found.last().is_some_and(|(name, _)| *name == b"fdAT");
    if whole < 2 || holds_all {
        return None;
    }
    let mut made = bytes.get(..8)?.to_vec();
    for (name, content) in &found[..last] {
        let count = (whole as u32).to_be_bytes();
        match *name {
            b"acTL" => made.extend(png_chunk(name, &[&count, content.get(4..8)?].concat())),
            _ => made.extend(png_chunk(name, content)),
        }
    }
    made.extend_from_slice(END);
    let share = 1.0 - whole as f64 / f64::from(all.frames.max(1));
    Some((made, Loss { share, words: format!("{} of {} frames", all.frames as usize - whole, all.frames) }))
}

pub(super) fn look<'a>(bytes: &'a [u8], limits: &ImageLimits) -> Result<Seen<'a>, MediaError> {
    if let Some((ended, loss)) = ended(bytes) {
        return Ok(Seen { bytes: ended.into(), pixels: None, loss: Some(loss) });
    }
    let (mut first, is_interlaced) = filled(bytes, 0, limits)?;
    let (second, _) = filled(bytes, 0xFF, limits)?;
    let same = same(&first.pixels, &second.pixels);
    let missing = same.iter().filter(|same| !**same).count();
    if missing == same.len() {
        return Err(nothing(Kind::Png));
    }
    let is_reel = control(bytes).is_some_and(|control| control.frames > 1);
    if missing == 0 && !is_reel {
        // All pixels are there: with its last chunk it is as it was, unless another one is cut too.
        let length = 8 + chunks(bytes).map(|(_, content)| content.len() + 12).sum::<usize>();
        if length == bytes.len() && chunks(bytes).last().is_some_and(|(name, _)| name == b"IDAT") {
            return Ok(Seen { bytes: [bytes, END].concat().into(), pixels: None, loss: None });
        }
        return partly(Cow::Borrowed(bytes), first, None, limits);
    }
    let width = first.pixels.width() as usize;
    if is_interlaced {
        spread(&mut first.pixels, &same, width);
    } else {
        blank(&mut first.pixels, |index| same[index]);
    }
    let mut loss = of_pixels(missing, same.len());
    if is_reel {
        loss = Loss {
            share: loss.share.max(0.5),
            words: format!("all frames but the first, and {} of that", percent(loss.share)),
        };
    }
    partly(Cow::Borrowed(bytes), first, Some(loss), limits)
}

/// The picture with a byte in place of what is missing; and whether it is interlaced.
fn filled(bytes: &[u8], filling: u8, limits: &ImageLimits) -> Result<(Picture, bool), MediaError> {
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: memory_bytes(limits) });
    decoder.set_transformations(Transformations::EXPAND);
    let mut reader = decoder.read_info().map_err(|error| bad_png(&error))?;
    let size = reader.output_buffer_size().ok_or_else(|| nothing(Kind::Png))?;
    let mut buffer = vec![filling; size];
    // Where it fails, what came before is in the buffer.
    let _ = reader.next_frame(&mut buffer);
    let (width, height) = reader.info().size();
    let (color, depth) = reader.output_color_type();
    let profile = reader.info().icc_profile.as_ref().map(|profile| profile.to_vec());
    let words = || buffer.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect::<Vec<_>>();
    let pixels = match (color, depth) {
        (ColorType::Grayscale, BitDepth::Sixteen) => {
            ImageBuffer::from_raw(width, height, words()).map(DynamicImage::ImageLuma16)
        }
        (ColorType::GrayscaleAlpha, BitDepth::Sixteen) => {
            ImageBuffer::from_raw(width, height, words()).map(DynamicImage::ImageLumaA16)
        }
        (ColorType::Rgb, BitDepth::Sixteen) => {
            ImageBuffer::from_raw(width, height, words()).map(DynamicImage::ImageRgb16)
        }
        (ColorType::Rgba, BitDepth::Sixteen) => {
            ImageBuffer::from_raw(width, height, words()).map(DynamicImage::ImageRgba16)
        }
        (ColorType::Grayscale, _) => ImageBuffer::from_raw(width, height, buffer).map(DynamicImage::ImageLuma8),
        (ColorType::GrayscaleAlpha, _) => ImageBuffer::from_raw(width, height, buffer).map(DynamicImage::ImageLumaA8),
        (ColorType::Rgba, _) => ImageBuffer::from_raw(width, height, buffer).map(DynamicImage::ImageRgba8),
        _ => ImageBuffer::from_raw(width, height, buffer).map(DynamicImage::ImageRgb8),
    };
    let pixels = pixels.ok_or_else(|| not_encoded("a PNG has the wrong size"))?;
    let picture = match Meaning::of_png(bytes) {
        Some(meaning) => Picture { meaning, ..Picture::plain(pixels, None) },
        None => Picture::plain(pixels, profile),
    };
    Ok((picture, reader.info().interlaced))
}

/// What is missing between the pixels of the passes that are there shows the nearest of them, up and to the left.
fn spread(picture: &mut DynamicImage, same: &[bool], width: usize) {
    let source = picture.clone();
    let size = usize::from(source.color().bytes_per_pixel());
    let nearest = |index: usize| {
        let (x, y) = (index % width, index / width);
        let coarser = [(1_usize, 0_usize), (1, 1), (3, 1), (3, 3), (7, 3), (7, 7)];
        coarser.iter().map(|(right, down)| (y & !down) * width + (x & !right)).find(|&index| same[index])
    };
    blank(picture, |index| same[index]);
    let bytes = source.as_bytes();
    let mut filled: Vec<u8> = picture.as_bytes().to_vec();
    for index in (0..same.len()).filter(|&index| !same[index]) {
        if let Some(from) = nearest(index) {
            filled[index * size..(index + 1) * size].copy_from_slice(&bytes[from * size..(from + 1) * size]);
        }
    }
    let words = || filled.chunks_exact(2).map(|pair| u16::from_ne_bytes([pair[0], pair[1]])).collect::<Vec<_>>();
    match picture {
        DynamicImage::ImageLuma8(buffer) => buffer.copy_from_slice(&filled),
        DynamicImage::ImageLumaA8(buffer) => buffer.copy_from_slice(&filled),
        DynamicImage::ImageRgb8(buffer) => buffer.copy_from_slice(&filled),
        DynamicImage::ImageRgba8(buffer) => buffer.copy_from_slice(&filled),
        DynamicImage::ImageLuma16(buffer) => buffer.copy_from_slice(&words()),
        DynamicImage::ImageLumaA16(buffer) => buffer.copy_from_slice(&words()),
        DynamicImage::ImageRgb16(buffer) => buffer.copy_from_slice(&words()),
        DynamicImage::ImageRgba16(buffer) => buffer.copy_from_slice(&words()),
        _ => {}
    }
}
