//! WebP: pictures by libwebp, the container by ourselves, because frames are written one by one and a profile has its
//! place before them.
//!
//! # Source
//! RFC 9649, section 2: chunks, `VP8X`, `ANIM`, `ANMF`.

use image::DynamicImage;
use webp::{Encoder, PixelLayout, WebPConfig};

use super::super::animation::Frame;
use super::super::decode::Picture;
use super::super::guard::not_encoded;
use super::super::level::Settings;
use super::{Encoded, palette};
use crate::error::MediaError;

/// Which of the two codecs of WebP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Lossy,
    /// 100 is exact.
    Near(i32),
}

pub(crate) fn encode(picture: &Picture, settings: &Settings) -> Result<Encoded, MediaError> {
    let pixels = &picture.pixels;
    let near = Coding::Near(settings.webp_near_lossless);
    let near_words = || match settings.webp_near_lossless {
        100 => "lossless, exact".to_owned(),
        near => format!("near-lossless {near}"),
    };
    let (file, how) = if settings.webp_lossless {
        (bitstream(pixels, settings, near)?, near_words())
    } else {
        let lossy = bitstream(pixels, settings, Coding::Lossy)?;
        let lossless =
            if has_few_colors(pixels) { Some(bitstream(pixels, settings, Coding::Near(100))?) } else { None };
        match lossless.filter(|lossless| lossless.len() <= lossy.len()) {
            Some(lossless) => (lossless, "lossless: it has few colours".to_owned()),
            None => (lossy, format!("quality {:.0}", settings.webp_quality)),
        }
    };
    let Some(profile) = &picture.profile else { return Ok(Encoded::new(file, how)) };
    let flags = PROFILE | if pixels.color().has_alpha() { ALPHA } else { 0 };
    let mut body = extended(flags, pixels.width(), pixels.height());
    chunk(&mut body, b"ICCP", profile);
    for (name, content) in chunks(&file).filter(|(name, _)| *name != b"VP8X") {
        chunk(&mut body, name, content);
    }
    Ok(Encoded::new(riff(&body), how))
}

/// Whether the lossless codec has a chance to be the smaller one.
fn has_few_colors(pixels: &DynamicImage) -> bool {
    let rgba = pixels.to_rgba8();
    let flat: Vec<[u8; 4]> = rgba.pixels().map(|pixel| pixel.0).collect();
    palette::exact(&flat, 256).is_some()
}

/// A file with nothing but the picture.
fn bitstream(pixels: &DynamicImage, settings: &Settings, coding: Coding) -> Result<Vec<u8>, MediaError> {
    let mut config = WebPConfig::new().map_err(|()| not_encoded("libwebp does not start"))?;
    config.method = settings.webp_method;
    match coding {
        Coding::Lossy => config.quality = settings.webp_quality,
        Coding::Near(near) => {
            config.lossless = 1;
            config.near_lossless = near;
            // How hard to try.
            config.quality = 75.0;
        }
    }
    let (width, height) = (pixels.width(), pixels.height());
    let made = if pixels.color().has_alpha() {
        let rgba = pixels.to_rgba8();
        Encoder::new(rgba.as_raw(), PixelLayout::Rgba, width, height).encode_advanced(&config)
    } else if let DynamicImage::ImageRgb8(rgb) = pixels {
        Encoder::new(rgb.as_raw(), PixelLayout::Rgb, width, height).encode_advanced(&config)
    } else {
        Encoder::new(pixels.to_rgb8().as_raw(), PixelLayout::Rgb, width, height).encode_advanced(&config)
    };
    Ok(made.map_err(|error| not_encoded(format!("{error:?}")))?.to_vec())
}

const ANIMATION: u8 = 0x02;
const ALPHA: u8 = 0x10;
const PROFILE: u8 = 0x20;

fn chunk(body: &mut Vec<u8>, name: &[u8], content: &[u8]) {
    body.extend_from_slice(name);
    body.extend_from_slice(&(content.len() as u32).to_le_bytes());
    body.extend_from_slice(content);
    if content.len() % 2 == 1 {
        body.push(0);
    }
}

fn extended(flags: u8, width: u32, height: u32) -> Vec<u8> {
    let mut content = vec![flags, 0, 0, 0];
    content.extend_from_slice(&(width - 1).to_le_bytes()[..3]);
    content.extend_from_slice(&(height - 1).to_le_bytes()[..3]);
    let mut body = Vec::new();
    chunk(&mut body, b"VP8X", &content);
    body
}

fn riff(body: &[u8]) -> Vec<u8> {
    let mut file = Vec::with_capacity(body.len() + 12);
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&(body.len() as u32 + 4).to_le_bytes());
    file.extend_from_slice(b"WEBP");
    file.extend_from_slice(body);
    file
}

/// The chunks of a file that we made: their names and contents.
fn chunks(file: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = file.get(12..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (name, size) = (rest.get(..4)?, rest.get(4..8)?);
        let size = u32::from_le_bytes([size[0], size[1], size[2], size[3]]) as usize;
        let content = rest.get(8..8 + size)?;
        rest = rest.get(8 + size + size % 2..).unwrap_or_default();
        Some((name, content))
    })
}

/// An animation in the making. Each frame is the box around what changed, and replaces what was there.
#[derive(Debug)]
pub(crate) struct Reel {
    settings: Settings,
    body: Vec<u8>,
    before: Option<image::RgbaImage>,
    /// The frame that was added last; the same picture again makes it last longer.
    pending: Option<(Vec<u8>, u32)>,
}

impl Reel {
    pub(crate) fn new(size: (u32, u32), plays: u16, profile: Option<&[u8]>, settings: &Settings) -> Self {
        let flags = ANIMATION | ALPHA | if profile.is_some() { PROFILE } else { 0 };
        let mut body = extended(flags, size.0, size.1);
        if let Some(profile) = profile {
            chunk(&mut body, b"ICCP", profile);
        }
        let [low, high] = plays.to_le_bytes();
        chunk(&mut body, b"ANIM", &[0, 0, 0, 0, low, high]);
        Self { settings: *settings, body, before: None, pending: None }
    }

    pub(crate) fn add(&mut self, frame: Frame) -> Result<(), MediaError> {
        let pixels = frame.pixels.into_rgba8();
        let area = match &self.before {
            None => Some((0, 0, pixels.width(), pixels.height())),
            Some(before) => changed(before, &pixels),
        };
        let Some((x, y, width, height)) = area else {
            if let Some((_, delay)) = &mut self.pending {
                *delay = delay.saturating_add(frame.delay);
            }
            return Ok(());
        };
        self.flush();
        let part = DynamicImage::ImageRgba8(image::imageops::crop_imm(&pixels, x, y, width, height).to_image());
        let part = if super::is_opaque(&part) { super::without_alpha(part) } else { part };
        let part = Picture::plain(part, None);
        let file = encode(&part, &self.settings)?.bytes;
        let mut content = Vec::with_capacity(file.len() + 16);
        for number in [x / 2, y / 2, width - 1, height - 1, 0] {
            content.extend_from_slice(&number.to_le_bytes()[..3]);
        }
        // Not blended: what is transparent in the frame is so on the canvas.
        content.push(0x02);
        for (name, bytes) in chunks(&file).filter(|(name, _)| matches!(*name, b"ALPH" | b"VP8 " | b"VP8L")) {
            chunk(&mut content, name, bytes);
        }
        self.pending = Some((content, frame.delay));
        self.before = Some(pixels);
        Ok(())
    }

    fn flush(&mut self) {
        if let Some((mut content, delay)) = self.pending.take() {
            content[12..15].copy_from_slice(&delay.min(0xFF_FFFF).to_le_bytes()[..3]);
            chunk(&mut self.body, b"ANMF", &content);
        }
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.flush();
        riff(&self.body)
    }
}

/// The box around all pixels that differ, its corner on even numbers as the format has it.
fn changed(before: &image::RgbaImage, after: &image::RgbaImage) -> Option<(u32, u32, u32, u32)> {
    let (left, top, right, bottom) = bounds(
        before.width(),
        |index| {
            let at = index * 4;
            before.as_raw()[at..at + 4] != after.as_raw()[at..at + 4]
        },
        before.as_raw().len() / 4,
    )?;
    let (left, top) = (left & !1, top & !1);
    Some((left, top, right + 1 - left, bottom + 1 - top))
}

/// The outermost columns and rows (left, top, right, bottom) of the pixels for which `differs` holds.
pub(crate) fn bounds(width: u32, differs: impl Fn(usize) -> bool, pixels: usize) -> Option<(u32, u32, u32, u32)> {
    let mut found: Option<(u32, u32, u32, u32)> = None;
    for index in (0..pixels).filter(|&index| differs(index)) {
        let (x, y) = (index as u32 % width, index as u32 / width);
        found = Some(match found {
            None => (x, y, x, y),
            Some((left, top, right, bottom)) => (left.min(x), top.min(y), right.max(x), bottom.max(y)),
        });
    }
    found
}
