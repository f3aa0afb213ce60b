//! Fitting a picture into a box.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::{DynamicImage, ImageBuffer};

use super::Fit;
use super::guard::not_encoded;
use crate::error::MediaError;

impl Fit {
    /// The size of a picture of `width` x `height` inside the box: its shape kept, never enlarged, no side below 1.
    pub(crate) fn size(self, width: u32, height: u32) -> (u32, u32) {
        let ratio = |most: Option<u32>, side: u32| most.map_or(1.0, |most| f64::from(most) / f64::from(side));
        let scale = ratio(self.width, width).min(ratio(self.height, height)).min(1.0);
        let scaled = |side: u32| ((f64::from(side) * scale).round() as u32).max(1);
        (scaled(width), scaled(height))
    }
}

/// The picture in another size. Transparent pixels weigh nothing.
pub(crate) fn resize(pixels: DynamicImage, (width, height): (u32, u32)) -> Result<DynamicImage, MediaError> {
    if (pixels.width(), pixels.height()) == (width, height) {
        return Ok(pixels);
    }
    let (kind, pixels) = match pixels {
        DynamicImage::ImageLuma8(_) => (PixelType::U8, pixels),
        DynamicImage::ImageLumaA8(_) => (PixelType::U8x2, pixels),
        DynamicImage::ImageRgb8(_) => (PixelType::U8x3, pixels),
        DynamicImage::ImageRgba8(_) => (PixelType::U8x4, pixels),
        DynamicImage::ImageLuma16(_) => (PixelType::U16, pixels),
        DynamicImage::ImageLumaA16(_) => (PixelType::U16x2, pixels),
        DynamicImage::ImageRgb16(_) => (PixelType::U16x3, pixels),
        DynamicImage::ImageRgba16(_) => (PixelType::U16x4, pixels),
        other if other.color().has_alpha() => (PixelType::U8x4, DynamicImage::ImageRgba8(other.into_rgba8())),
        other => (PixelType::U8x3, DynamicImage::ImageRgb8(other.into_rgb8())),
    };
    let source = ImageRef::new(pixels.width(), pixels.height(), pixels.as_bytes(), kind).map_err(not_encoded)?;
    let mut scaled = Image::new(width, height, kind);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3));
    Resizer::new().resize(&source, &mut scaled, &options).map_err(not_encoded)?;
    let bytes = scaled.into_vec();
    let deep = || bytes.chunks_exact(2).map(|pair| u16::from_ne_bytes([pair[0], pair[1]])).collect();
    let made = match kind {
        PixelType::U16 => ImageBuffer::from_raw(width, height, deep()).map(DynamicImage::ImageLuma16),
        PixelType::U16x2 => ImageBuffer::from_raw(width, height, deep()).map(DynamicImage::ImageLumaA16),
        PixelType::U16x3 => ImageBuffer::from_raw(width, height, deep()).map(DynamicImage::ImageRgb16),
        PixelType::U16x4 => ImageBuffer::from_raw(width, height, deep()).map(DynamicImage::ImageRgba16),
        PixelType::U8 => image::GrayImage::from_raw(width, height, bytes).map(DynamicImage::ImageLuma8),
        PixelType::U8x2 => image::GrayAlphaImage::from_raw(width, height, bytes).map(DynamicImage::ImageLumaA8),
        PixelType::U8x3 => image::RgbImage::from_raw(width, height, bytes).map(DynamicImage::ImageRgb8),
        _ => image::RgbaImage::from_raw(width, height, bytes).map(DynamicImage::ImageRgba8),
    };
    made.ok_or_else(|| not_encoded("a resized picture has the wrong size"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_is_kept_and_nothing_is_enlarged() {
        let cases = [
            ((Some(500), Some(500)), (1000, 500), (500, 250)),
            ((Some(500), None), (1000, 500), (500, 250)),
            ((None, Some(100)), (1000, 500), (200, 100)),
            ((Some(4000), Some(4000)), (1000, 500), (1000, 500)),
            ((Some(1), None), (1000, 10), (1, 1)),
            ((None, None), (3, 2), (3, 2)),
        ];
        for ((width, height), (w, h), expected) in cases {
            assert_eq!(Fit { width, height }.size(w, h), expected);
        }
    }
}
