//! Pictures for tests, made here: nothing is read from disk.

use std::sync::LazyLock;

use image::{DynamicImage, ExtendedColorType, ImageEncoder as _, Rgb, RgbImage, Rgba, RgbaImage};
use moxcms::ColorProfile;
use mozjpeg::{ColorSpace, Compress};

use super::animation::Frame;
use super::encode::{self, gif, webp};
use super::guard::Deadline;
use super::level::settings;
use super::{ImageFormat, Level, decode::Picture};

/// Something like a photograph: smooth light, a few edges, grain.
pub(crate) fn photo(width: u32, height: u32) -> RgbImage {
    let mut state = 12_345_u32;
    RgbImage::from_fn(width, height, |x, y| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let grain = f64::from(state >> 24) / 256.0 * 8.0 - 4.0;
        let (u, v) = (f64::from(x) / f64::from(width), f64::from(y) / f64::from(height));
        let hill = if v > 0.55 + 0.1 * (u * 9.0).sin() { 70.0 } else { 0.0 };
        let sun = 90.0 * (-((u - 0.7).powi(2) + (v - 0.3).powi(2)) * 30.0).exp();
        let leaf = 20.0 * ((u * 61.0).sin() * (v * 47.0).cos());
        let channel = |base: f64, slope: f64| (base + slope * v + sun - hill + leaf + grain).clamp(0.0, 255.0) as u8;
        Rgb([channel(120.0, 60.0), channel(140.0, 30.0), channel(200.0, -90.0)])
    })
}

/// Something like a drawing: flat areas, soft edges, transparent around.
pub(crate) fn drawing(width: u32, height: u32) -> RgbaImage {
    RgbaImage::from_fn(width, height, |x, y| {
        let (dx, dy) = (f64::from(x) - f64::from(width) / 2.0, f64::from(y) - f64::from(height) / 2.0);
        let far = dx.hypot(dy) / f64::from(width.min(height)) * 2.0;
        let alpha = ((0.95 - far) * f64::from(width) / 4.0).clamp(0.0, 1.0) * 255.0;
        let shade = (x * 200 / width) as u8;
        if far < 0.5 { Rgba([220, 40, shade, alpha as u8]) } else { Rgba([20, 90, 180, alpha as u8]) }
    })
}

/// Four quarters: red, green, blue, white, from left to right and top to bottom.
pub(crate) fn quarters(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| match (x < width / 2, y < height / 2) {
        (true, true) => Rgb([255, 0, 0]),
        (false, true) => Rgb([0, 255, 0]),
        (true, false) => Rgb([0, 0, 255]),
        (false, false) => Rgb([255, 255, 255]),
    })
}

/// A JPEG as a camera writes it: baseline, high quality, full of nothing special.
pub(crate) fn jpeg(pixels: &[u8], size: (u32, u32), space: ColorSpace, quality: f32, progressive: bool) -> Vec<u8> {
    let mut compress = Compress::new(space);
    compress.set_fastest_defaults();
    compress.set_size(size.0 as usize, size.1 as usize);
    compress.set_quality(quality);
    if space == ColorSpace::JCS_CMYK {
        compress.set_color_space(ColorSpace::JCS_CMYK);
    }
    if progressive {
        compress.set_progressive_mode();
    }
    let mut started = compress.start_compress(Vec::new()).unwrap();
    started.write_scanlines(pixels).unwrap();
    started.finish().unwrap()
}

pub(crate) fn camera(pixels: &RgbImage) -> Vec<u8> {
    jpeg(pixels.as_raw(), pixels.dimensions(), ColorSpace::JCS_RGB, 95.0, false)
}

pub(crate) fn png(pixels: &DynamicImage) -> Vec<u8> {
    png_with(pixels, None)
}

pub(crate) fn png_with(pixels: &DynamicImage, profile: Option<Vec<u8>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::png::PngEncoder::new(&mut bytes);
    if let Some(profile) = profile {
        encoder.set_icc_profile(profile).unwrap();
    }
    let kind: ExtendedColorType = pixels.color().into();
    encoder.write_image(pixels.as_bytes(), pixels.width(), pixels.height(), kind).unwrap();
    bytes
}

/// By the encoders of `image`: bmp, tiff, ico.
pub(crate) fn other(pixels: &DynamicImage, format: image::ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    pixels.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// By our own encoders.
pub(crate) fn own(pixels: DynamicImage, format: ImageFormat, profile: Option<Vec<u8>>) -> Vec<u8> {
    let time = std::time::Duration::from_secs(600);
    let deadline = Deadline { began: std::time::Instant::now(), time };
    let picture = encode::prepare(Picture::plain(pixels, profile), format);
    let mut best = settings(Level::Medium);
    (best.jpeg_quality, best.webp_quality, best.avif_quality) = (95.0, 95.0, 95.0);
    encode::still(&picture, format, &best, 1, deadline).unwrap().bytes
}

/// A profile with wider colours than sRGB; always the same bytes, though the time is written into one that is made.
pub(crate) fn wide_profile() -> Vec<u8> {
    static PROFILE: LazyLock<Vec<u8>> = LazyLock::new(|| ColorProfile::new_display_p3().encode().unwrap());
    PROFILE.clone()
}

/// The JPEG with an EXIF block that tells an orientation.
pub(crate) fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let mut exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    segment(jpeg, 0xE1, &exif)
}

/// The JPEG with one more segment in front.
pub(crate) fn segment(jpeg: &[u8], marker: u8, content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xFF, marker], &length, content, &jpeg[2..]].concat()
}

/// Frames of a square that walks over a field and is gone in the last one; delays of 70, 80, 90 ... milliseconds.
pub(crate) fn walk(size: u32, count: u32, alpha: bool) -> Vec<Frame> {
    let field = if alpha { Rgba([0, 0, 0, 0]) } else { Rgba([30, 60, 90, 255]) };
    let frame = |number: u32| {
        let pixels = RgbaImage::from_fn(size, size, |x, y| {
            let inside = number + 1 < count && x / 8 == number && y / 8 == number;
            if inside { Rgba([250, (number * 20) as u8, 10, 255]) } else { field }
        });
        Frame { pixels: DynamicImage::ImageRgba8(pixels), delay: 70 + 10 * number }
    };
    (0..count).map(frame).collect()
}

pub(crate) fn animated_gif(frames: &[Frame], plays: u16) -> Vec<u8> {
    let size = (frames[0].pixels.width(), frames[0].pixels.height());
    let mut reel = gif::Reel::new(size, plays, &settings(Level::Medium)).unwrap();
    frames.iter().for_each(|frame| reel.add(frame.clone()).unwrap());
    reel.finish().unwrap()
}

pub(crate) fn animated_webp(frames: &[Frame], plays: u16, profile: Option<&[u8]>) -> Vec<u8> {
    let size = (frames[0].pixels.width(), frames[0].pixels.height());
    let settings = super::level::Settings { webp_lossless: true, ..settings(Level::Medium) };
    let mut reel = webp::Reel::new(size, plays, profile, &settings);
    frames.iter().for_each(|frame| reel.add(frame.clone()).unwrap());
    reel.finish()
}

/// How close two pictures are, in dB over what shows on black.
pub(crate) fn psnr(a: &DynamicImage, b: &DynamicImage) -> f64 {
    assert_eq!((a.width(), a.height()), (b.width(), b.height()));
    let shown = |pixels: &DynamicImage| -> Vec<f64> {
        let rgba = pixels.to_rgba8();
        let channels = |p: &Rgba<u8>| [0, 1, 2].map(|c| f64::from(p.0[c]) * f64::from(p.0[3]) / 255.0);
        rgba.pixels().flat_map(channels).collect()
    };
    let (a, b) = (shown(a), shown(b));
    let sum: f64 = a.iter().zip(&b).map(|(a, b)| (a - b).powi(2)).sum();
    10.0 * (255.0 * 255.0 / (sum / a.len() as f64).max(1e-9)).log10()
}
