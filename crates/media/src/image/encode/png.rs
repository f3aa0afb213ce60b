//! PNG by oxipng: exact, or with a palette where that is hard to see.
//!
//! A palette is taken only where it was measured to stay close to the source and is smaller: smooth photographs stay
//! exact, drawings and screenshots shrink to a third.

use image::DynamicImage;
use oxipng::{BitDepth, ColorType, Options, PngError, RGBA8, RawImage, StripChunks};

use super::super::decode::Picture;
use super::super::guard::{Deadline, damaged, not_encoded};
use super::super::kind::Kind;
use super::super::level::Settings;
use super::super::meaning::{Hdr, Meaning};
use super::Encoded;
use super::palette::{self, Indexed};
use crate::error::MediaError;

/// Chunks without which the pixels would look different, or stand still.
const KEPT: [[u8; 4]; 10] =
    [*b"iCCP", *b"sRGB", *b"gAMA", *b"cHRM", *b"cICP", *b"mDCV", *b"cLLI", *b"acTL", *b"fcTL", *b"fdAT"];

fn options(settings: &Settings, deadline: Deadline) -> Options {
    Options {
        strip: StripChunks::Keep(KEPT.into_iter().collect()),
        optimize_alpha: settings.png_palette_floor.is_some(),
        force: true,
        timeout: Some(deadline.left()),
        ..Options::from_preset(settings.png_preset)
    }
}

/// Packs a PNG better that stays as it is, animated ones included.
pub(crate) fn repack(
    bytes: &[u8],
    settings: &Settings,
    most: usize,
    deadline: Deadline,
) -> Result<Encoded, MediaError> {
    let options = Options { max_decompressed_size: Some(most), ..options(settings, deadline) };
    let bytes = oxipng::optimize_from_memory(bytes, &options).map_err(|error| match error {
        PngError::Other(_) => not_encoded(error),
        error => damaged(Kind::Png, error),
    })?;
    Ok(Encoded { bytes, how: format!("packed exactly with preset {}", settings.png_preset), repacked: true })
}

pub(crate) fn encode(picture: &Picture, settings: &Settings, deadline: Deadline) -> Result<Encoded, MediaError> {
    let exact = |preset: u8| {
        let settings = Settings { png_preset: preset, ..*settings };
        let bytes = pack(raw(&picture.pixels)?, picture, &settings, deadline)?;
        Ok(Encoded::new(bytes, format!("packed exactly with preset {preset}")))
    };
    let Some(reduced) = reduced(picture, settings, deadline)? else { return exact(settings.png_preset) };
    // The exact one is small where little is in the picture; there is no need to look hard for it.
    let exact = exact(settings.png_preset.min(2))?;
    Ok(if exact.bytes.len() <= reduced.bytes.len() { exact } else { reduced })
}

/// Encodes exactly and fast, without looking for the smallest file.
pub(crate) fn fast(picture: &Picture) -> Result<Encoded, MediaError> {
    let pixels = &picture.pixels;
    let color = match pixels {
        DynamicImage::ImageLuma8(_) => png::ColorType::Grayscale,
        DynamicImage::ImageLumaA8(_) => png::ColorType::GrayscaleAlpha,
        DynamicImage::ImageRgb8(_) => png::ColorType::Rgb,
        DynamicImage::ImageRgba8(_) => png::ColorType::Rgba,
        _ => return Err(not_encoded("its samples are not of eight bits")),
    };
    let mut info = png::Info::with_size(pixels.width(), pixels.height());
    (info.color_type, info.bit_depth) = (color, png::BitDepth::Eight);
    info.icc_profile = picture.profile.as_deref().map(Into::into);
    let mut bytes = Vec::new();
    let write = |bytes: &mut Vec<u8>| {
        let mut encoder = png::Encoder::with_info(bytes, info)?;
        encoder.set_compression(png::Compression::Balanced);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(pixels.as_bytes())?;
        writer.finish()
    };
    write(&mut bytes).map_err(not_encoded)?;
    Ok(Encoded::new(bytes, "exact".to_owned()))
}

/// The picture with a palette, where the level allows one and it stays close to the source.
pub(crate) fn reduced(
    picture: &Picture,
    settings: &Settings,
    deadline: Deadline,
) -> Result<Option<Encoded>, MediaError> {
    let Some(floor) = settings.png_palette_floor else { return Ok(None) };
    // How far colours are apart is measured as sRGB shows them.
    if !picture.meaning.is_plain() {
        return Ok(None);
    }
    let pixels = picture.pixels.to_rgba8();
    deadline.check()?;
    let Some(Indexed { colors, indices, .. }) = palette::reduce(&pixels, settings.png_colors) else { return Ok(None) };
    let distance = palette::psnr(&pixels, &colors, &indices);
    if distance < floor {
        return Ok(None);
    }
    deadline.check()?;
    let colors: Vec<RGBA8> = colors.iter().map(|&[r, g, b, a]| RGBA8::new(r, g, b, a)).collect();
    let how = format!("a palette of {} colours, {distance:.1} dB from the source", colors.len());
    let kind = ColorType::Indexed { palette: colors };
    let raw = RawImage::new(pixels.width(), pixels.height(), kind, BitDepth::Eight, indices).map_err(not_encoded)?;
    let bytes = pack(raw, picture, settings, deadline)?;
    Ok(Some(Encoded::new(bytes, how)))
}

fn pack(mut raw: RawImage, picture: &Picture, settings: &Settings, deadline: Deadline) -> Result<Vec<u8>, MediaError> {
    if let Some(profile) = &picture.profile {
        raw.add_icc_profile(profile);
    }
    if let Meaning::Hdr(Hdr { tags: Some(tags), .. }) = &picture.meaning {
        raw.add_png_chunk(*b"cICP", tags.code_points.to_vec());
        tags.mastering.iter().for_each(|content| raw.add_png_chunk(*b"mDCV", content.to_vec()));
        tags.light_levels.iter().for_each(|content| raw.add_png_chunk(*b"cLLI", content.to_vec()));
    }
    raw.create_optimized_png(&options(settings, deadline)).map_err(not_encoded)
}

fn raw(pixels: &DynamicImage) -> Result<RawImage, MediaError> {
    let (kind, depth) = match pixels {
        DynamicImage::ImageLuma8(_) => (ColorType::Grayscale { transparent_shade: None }, BitDepth::Eight),
        DynamicImage::ImageLumaA8(_) => (ColorType::GrayscaleAlpha, BitDepth::Eight),
        DynamicImage::ImageRgba8(_) => (ColorType::RGBA, BitDepth::Eight),
        DynamicImage::ImageLuma16(_) => (ColorType::Grayscale { transparent_shade: None }, BitDepth::Sixteen),
        DynamicImage::ImageLumaA16(_) => (ColorType::GrayscaleAlpha, BitDepth::Sixteen),
        DynamicImage::ImageRgb16(_) => (ColorType::RGB { transparent_color: None }, BitDepth::Sixteen),
        DynamicImage::ImageRgba16(_) => (ColorType::RGBA, BitDepth::Sixteen),
        _ => (ColorType::RGB { transparent_color: None }, BitDepth::Eight),
    };
    let data = match depth {
        BitDepth::Sixteen => {
            let wide = pixels.as_bytes().chunks_exact(2).map(|pair| u16::from_ne_bytes([pair[0], pair[1]]));
            wide.flat_map(u16::to_be_bytes).collect()
        }
        _ => pixels.as_bytes().to_vec(),
    };
    RawImage::new(pixels.width(), pixels.height(), kind, depth, data).map_err(not_encoded)
}
