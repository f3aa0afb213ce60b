//! AVIF by rav1e.

use ravif::{BitDepth, Encoder, Img, RGB8, RGBA8};

use super::super::decode::Picture;
use super::super::guard::not_encoded;
use super::super::level::Settings;
use super::Encoded;
use crate::error::MediaError;

pub(crate) fn encode(picture: &Picture, settings: &Settings, threads: usize) -> Result<Encoded, MediaError> {
    let (width, height) = (picture.pixels.width() as usize, picture.pixels.height() as usize);
    let encoder = Encoder::new()
        .with_quality(settings.avif_quality)
        .with_alpha_quality((settings.avif_quality + 10.0).min(100.0))
        .with_speed(settings.avif_speed)
        // 8 bits are shown everywhere and take half the time.
        .with_bit_depth(BitDepth::Eight)
        .with_num_threads((threads > 0).then_some(threads));
    let made = if picture.pixels.color().has_alpha() {
        let pixels = picture.pixels.to_rgba8();
        let pixels: Vec<RGBA8> = pixels.pixels().map(|pixel| pixel.0.into()).collect();
        encoder.encode_rgba(Img::new(&pixels, width, height))
    } else {
        let pixels = picture.pixels.to_rgb8();
        let pixels: Vec<RGB8> = pixels.pixels().map(|pixel| pixel.0.into()).collect();
        encoder.encode_rgb(Img::new(&pixels, width, height))
    };
    let bytes = made.map_err(not_encoded)?.avif_file;
    Ok(Encoded::new(bytes, format!("quality {:.0}, speed {}", settings.avif_quality, settings.avif_speed)))
}
