//! Bytes to pixels, upright.

use std::io::Cursor;

use image::codecs::{bmp::BmpDecoder, gif::GifDecoder, png::PngDecoder};
use image::{DynamicImage, ImageDecoder, ImageResult};
use image_webp::WebPDecoder;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;

use super::guard::{damaged, decoding, not_encoded};
use super::header::{Inspected, bad, jpeg_options, memory, memory_bytes};
use super::jpeg::{Markers, markers};
use super::kind::Kind;
use super::meaning::Meaning;
use super::{ImageLimits, avif, color, ico, tiff};
use crate::error::MediaError;

/// What the three channels of a picture mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channels {
    /// What their type says.
    Plain,
    /// Luma and chroma as a JPEG holds them: they go into another JPEG without being converted twice.
    Ycc,
}

/// Pixels.
#[derive(Debug, Clone)]
pub(crate) struct Picture {
    pub(crate) pixels: DynamicImage,
    pub(crate) channels: Channels,
    /// The colour profile of the pixels.
    pub(crate) profile: Option<Vec<u8>>,
    /// What the numbers mean where there is no profile.
    pub(crate) meaning: Meaning,
}

impl Picture {
    pub(crate) const fn plain(pixels: DynamicImage, profile: Option<Vec<u8>>) -> Self {
        Self { pixels, channels: Channels::Plain, profile, meaning: Meaning::Plain }
    }
}

/// Decodes the picture or, of an animation, its first frame, and turns it upright.
///
/// `channels` is what the encoder would like best; it may get [`Channels::Plain`] all the same.
pub(crate) fn decode(
    bytes: &[u8],
    found: &Inspected,
    channels: Channels,
    limits: &ImageLimits,
) -> Result<Picture, MediaError> {
    let own = &limits.of(found);
    let picture = decoding(found.kind, || match found.kind {
        Kind::Jpeg => jpeg(bytes, channels),
        Kind::Avif => avif::decode(bytes, limits),
        Kind::Webp => webp(bytes, own),
        Kind::Png => png(bytes, own),
        Kind::Gif => plain(found.kind, own, GifDecoder::new(Cursor::new(bytes))),
        Kind::Bmp => plain(found.kind, own, BmpDecoder::new(Cursor::new(bytes))),
        Kind::Tiff => tiff::decode(bytes, own),
        Kind::Ico => ico::decode(bytes, own),
    })?;
    upright(picture, found)
}

/// The picture turned as its header says.
pub(crate) fn upright(mut picture: Picture, found: &Inspected) -> Result<Picture, MediaError> {
    picture.pixels.apply_orientation(found.turned());
    let grey = picture.pixels.color().channel_count() < 3;
    picture.profile = picture.profile.filter(|profile| color::fits(profile, grey));
    if (picture.pixels.width(), picture.pixels.height()) != (found.width, found.height) {
        return Err(damaged(found.kind, "its pixels do not have the size in its header"));
    }
    Ok(picture)
}

fn plain(kind: Kind, limits: &ImageLimits, decoder: ImageResult<impl ImageDecoder>) -> Result<Picture, MediaError> {
    let work = || {
        let mut decoder = decoder?;
        decoder.set_limits(memory(limits))?;
        let profile = decoder.icc_profile().ok().flatten();
        let pixels = DynamicImage::from_decoder(decoder)?;
        Ok(Picture::plain(narrow(pixels), profile))
    };
    work().map_err(|error| bad(kind, &error))
}

/// A PNG in the colours that its chunks name.
pub(crate) fn png(bytes: &[u8], limits: &ImageLimits) -> Result<Picture, MediaError> {
    let picture = plain(Kind::Png, limits, PngDecoder::with_limits(Cursor::new(bytes), memory(limits)))?;
    Ok(match Meaning::of_png(bytes) {
        Some(meaning) => Picture { profile: None, meaning, ..picture },
        None => picture,
    })
}

/// Samples that no format of ours holds are made 16 bits.
fn narrow(pixels: DynamicImage) -> DynamicImage {
    match pixels {
        DynamicImage::ImageRgb32F(_) => DynamicImage::ImageRgb16(pixels.into_rgb16()),
        DynamicImage::ImageRgba32F(_) => DynamicImage::ImageRgba16(pixels.into_rgba16()),
        other => other,
    }
}

pub(crate) fn webp(bytes: &[u8], limits: &ImageLimits) -> Result<Picture, MediaError> {
    let wrong = |error| damaged(Kind::Webp, error);
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(wrong)?;
    decoder.set_memory_limit(memory_bytes(limits));
    let profile = decoder.icc_profile().ok().flatten();
    let size = decoder.output_buffer_size().ok_or_else(|| damaged(Kind::Webp, "it is too large"))?;
    let mut buffer = vec![0; size];
    decoder.read_image(&mut buffer).map_err(wrong)?;
    let (width, height) = decoder.dimensions();
    pixels(width, height, buffer, if decoder.has_alpha() { 4 } else { 3 }).map(|pixels| Picture::plain(pixels, profile))
}

/// Pixels from 1, 3 or 4 channels of bytes.
pub(crate) fn pixels(width: u32, height: u32, bytes: Vec<u8>, channels: u8) -> Result<DynamicImage, MediaError> {
    let made = match channels {
        1 => image::GrayImage::from_raw(width, height, bytes).map(DynamicImage::ImageLuma8),
        3 => image::RgbImage::from_raw(width, height, bytes).map(DynamicImage::ImageRgb8),
        _ => image::RgbaImage::from_raw(width, height, bytes).map(DynamicImage::ImageRgba8),
    };
    made.ok_or_else(|| not_encoded("a decoder returned an image of another size"))
}

/// The decoder is asked for the channels as they are stored; colours are ours to convert. It takes the Adobe marker's word
/// for what they are, so that word is set to "as stored" first.
pub(crate) fn jpeg(bytes: &[u8], wanted: Channels) -> Result<Picture, MediaError> {
    let markers = markers(bytes);
    if !markers.has_end {
        return Err(damaged(Kind::Jpeg, "its end is missing"));
    }
    let ycc = !markers.is_rgb && wanted == Channels::Ycc;
    let (stored, channels) = match markers.components {
        1 => (ColorSpace::Luma, 1),
        4 => (ColorSpace::CMYK, 4),
        _ if markers.is_rgb || ycc => (ColorSpace::YCbCr, 3),
        _ => (ColorSpace::RGB, 3),
    };
    let changed = as_stored(bytes, &markers);
    let source = changed.as_deref().unwrap_or(bytes);
    let options = jpeg_options().jpeg_set_out_colorspace(stored);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(source), options);
    let buffer = decoder.decode().map_err(|error| damaged(Kind::Jpeg, error))?;
    let info = decoder.info().ok_or_else(|| damaged(Kind::Jpeg, "it has no frame"))?;
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    let profile = decoder.icc_profile();
    if channels == 4 {
        let rgb = color::inks_to_rgb(&inks(buffer, &markers), profile.as_deref());
        return pixels(width, height, rgb, 3).map(|pixels| Picture::plain(pixels, None));
    }
    let pixels = pixels(width, height, buffer, channels)?;
    let channels = if ycc && channels == 3 { Channels::Ycc } else { Channels::Plain };
    Ok(Picture { channels, ..Picture::plain(pixels, profile) })
}

fn as_stored(bytes: &[u8], markers: &Markers) -> Option<Vec<u8>> {
    let at = markers.adobe_transform?;
    let word = match markers.components {
        3 if markers.is_rgb => 1,
        4 => 0,
        _ => return None,
    };
    let mut changed = bytes.to_vec();
    *changed.get_mut(at)? = word;
    Some(changed)
}

/// How much of each ink: Adobe stores how much of the paper stays white, and of the first three perhaps luma and chroma.
fn inks(mut stored: Vec<u8>, markers: &Markers) -> Vec<u8> {
    for pixel in stored.chunks_exact_mut(4) {
        if markers.transform == Some(2) {
            let (luma, blue, red) = (f32::from(pixel[0]), f32::from(pixel[1]) - 128.0, f32::from(pixel[2]) - 128.0);
            pixel[0] = 255 - (luma + 1.402 * red).round() as u8;
            pixel[1] = 255 - (luma - 0.344_136 * blue - 0.714_136 * red).round() as u8;
            pixel[2] = 255 - (luma + 1.772 * blue).round() as u8;
        }
        if markers.transform.is_some() {
            pixel.iter_mut().for_each(|ink| *ink = 255 - *ink);
        }
    }
    stored
}
