//! What a picture shows, small: to tell whether a result shows what its source does.
//!
//! Both are brought to a square canvas of 32 x 32, each in its own shape, upright, in sRGB, over white. A result that is
//! turned, mirrored, squashed, in other colours or of another picture is far off; what a lossy codec does is not.
//!
//! # Cost
//! At most 16 x 16 samples a cell are looked at, so it does not grow with the picture. Results are ours, so a JPEG is read
//! by libjpeg at an eighth of its size.
//!
//! # Bounds
//! Measured over a photograph, a drawing, letters and noise of 300 to 400 pixels, at all levels, in their size and smaller
//! (the test `lossy_codecs_stay_far_below_the_bound`): below 4, GIF below 5. A photograph that is mirrored is at 20, with red
//! for blue at 25, turned, squashed or cut above 70. Of small pictures, and where a cap on bytes rules, codecs leave little
//! (80 x 60 pixels at `ultra`, made of their own result again: 8), so only gross mistakes are caught there.

use image::{DynamicImage, Rgb, RgbImage, RgbaImage};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;

use super::decode::{self, Channels, Picture};
use super::guard::not_encoded;
use super::header::{Inspected, jpeg_options};
use super::meaning::Meaning;
use super::{ImageFormat, ImageLimits, color};
use crate::error::MediaError;

/// Most cells of the canvas a side.
const SIDE: usize = 32;

/// Fewest pixels of a result a side of a cell: what a codec does within a block evens out.
const FEWEST: u32 = 8;

/// Samples of a cell a side.
const SAMPLES: usize = 16;

/// A shorter side than this is too much rounded to say which shape a picture has.
const SHORTEST: u32 = 16;

/// What a picture shows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sketch {
    /// Channel means of a picture that fills its part of the canvas, row after row.
    cells: Vec<[f32; 3]>,
    /// Cells of it in width and height.
    shape: (usize, usize),
    /// Cells of the canvas a side.
    side: usize,
}

/// Cells a side for a result of a size.
pub(crate) fn canvas((width, height): (u32, u32)) -> usize {
    ((width.max(height) / FEWEST) as usize).clamp(4, SIDE)
}

/// How a picture is drawn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Drawn {
    /// Decides the shape.
    pub(crate) size: (u32, u32),
    /// Whether each pixel is wholly there or not at all.
    pub(crate) solid: bool,
    /// Cells of the canvas a side.
    pub(crate) side: usize,
}

/// A longer side than this evens out what a codec does.
const LARGE: u32 = 160;

/// How far apart a result of a size and its source may be, of 255 in the mean of all channels; `is_capped`: where a cap on
/// bytes rules.
pub(crate) fn bound(format: ImageFormat, (width, height): (u32, u32), is_capped: bool) -> f64 {
    if is_capped || width.max(height) < LARGE {
        return 24.0;
    }
    match format {
        ImageFormat::Gif => 10.0,
        ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::Webp | ImageFormat::Avif => 8.0,
    }
}

impl Sketch {
    /// Of pixels as they were decoded.
    pub(crate) fn of(picture: &Picture, drawn: Drawn) -> Self {
        Self::of_pixels(&picture.pixels, picture.channels, picture.profile.as_deref(), &picture.meaning, drawn)
    }

    /// Of a frame, whose profile is told apart.
    pub(crate) fn of_frame(pixels: &DynamicImage, profile: Option<&[u8]>, drawn: Drawn) -> Self {
        Self::of_pixels(pixels, Channels::Plain, profile, &Meaning::Plain, drawn)
    }

    fn of_pixels(
        pixels: &DynamicImage,
        channels: Channels,
        profile: Option<&[u8]>,
        meaning: &Meaning,
        drawn: Drawn,
    ) -> Self {
        let mut few = sampled(pixels);
        if channels == Channels::Ycc {
            ycc_to_rgb(&mut few);
        }
        let made = meaning.settle(&mut few);
        if let Some(profile) = made.as_deref().or(profile) {
            if pixels.color().channel_count() < 3 {
                few = DynamicImage::ImageLumaA8(few.into_luma_alpha8());
            }
            color::to_srgb(&mut few, profile);
        }
        let flat = over_white(&few.to_rgba8(), drawn.solid);
        let shape = shape(drawn.size, drawn.side);
        Self { cells: cells(&flat, shape), shape, side: drawn.side }
    }

    /// Of a result of ours; `source` is how its source was drawn.
    pub(crate) fn of_result(
        bytes: &[u8],
        found: &Inspected,
        limits: &ImageLimits,
        source: Drawn,
    ) -> Result<Self, MediaError> {
        let size = if found.width.min(found.height) < SHORTEST { source.size } else { (found.width, found.height) };
        let picture = match found.format() {
            Some(ImageFormat::Jpeg) => small_jpeg(bytes, found)?,
            _ => decode::decode(bytes, found, Channels::Plain, limits)?,
        };
        Ok(Self::of(&picture, Drawn { size, solid: false, ..source }))
    }

    /// The mean difference over the whole canvas, of which what is outside of a picture is white; only cells that one of
    /// both fills count.
    pub(crate) fn distance(&self, other: &Self) -> f64 {
        let (a, b) = (self.spread(), other.spread());
        let (mut sum, mut count) = (0.0, 0.0);
        for (a, b) in a.iter().zip(&b).filter(|(a, b)| a.is_some() || b.is_some()) {
            let (a, b) = (a.unwrap_or([255.0; 3]), b.unwrap_or([255.0; 3]));
            sum += a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs())).sum::<f64>() / 3.0;
            count += 1.0;
        }
        sum / f64::max(count, 1.0)
    }

    fn spread(&self) -> Vec<Option<[f32; 3]>> {
        let mut canvas = vec![None; self.side * self.side];
        for (index, cell) in self.cells.iter().enumerate() {
            canvas[index / self.shape.0 * self.side + index % self.shape.0] = Some(*cell);
        }
        canvas
    }
}

/// How many cells a picture fills: its longer side all of them.
fn shape((width, height): (u32, u32), cells: usize) -> (usize, usize) {
    let longer = f64::from(width.max(height).max(1));
    let side = |side: u32| ((f64::from(side) / longer * cells as f64).round() as usize).clamp(1, cells);
    (side(width), side(height))
}

/// Every so many pixels of a picture, as 8 bits with transparency.
fn sampled(pixels: &DynamicImage) -> DynamicImage {
    let (width, height) = (pixels.width() as usize, pixels.height() as usize);
    let (wide, high) = shape((pixels.width(), pixels.height()), SIDE);
    let (columns, rows) = (width.min(wide * SAMPLES), height.min(high * SAMPLES));
    let color = pixels.color();
    let channels = usize::from(color.channel_count());
    let size = usize::from(color.bytes_per_pixel());
    let deep = size / channels > 1;
    let bytes = pixels.as_bytes();
    let at = |index: usize, channel: usize| {
        let at = index * size;
        match deep {
            false => bytes[at + channel],
            true => u16::from_ne_bytes([bytes[at + channel * 2], bytes[at + channel * 2 + 1]]).to_be_bytes()[0],
        }
    };
    let mut made = Vec::with_capacity(columns * rows * 4);
    for row in 0..rows {
        let start = (row * 2 + 1) * height / (rows * 2) * width;
        for column in 0..columns {
            let index = start + (column * 2 + 1) * width / (columns * 2);
            made.extend(match channels {
                1 => [at(index, 0), at(index, 0), at(index, 0), 255],
                2 => [at(index, 0), at(index, 0), at(index, 0), at(index, 1)],
                3 => [at(index, 0), at(index, 1), at(index, 2), 255],
                _ => [at(index, 0), at(index, 1), at(index, 2), at(index, 3)],
            });
        }
    }
    let made = RgbaImage::from_raw(columns as u32, rows as u32, made);
    DynamicImage::ImageRgba8(made.unwrap_or_else(|| RgbaImage::new(1, 1)))
}

fn ycc_to_rgb(pixels: &mut DynamicImage) {
    let DynamicImage::ImageRgba8(pixels) = pixels else { return };
    for pixel in pixels.pixels_mut() {
        let [luma, u, v] = [0, 1, 2].map(|channel| f32::from(pixel.0[channel]));
        let (u, v) = (u - 128.0, v - 128.0);
        let rgb = [luma + 1.402 * v, luma - 0.344_136 * u - 0.714_136 * v, luma + 1.772 * u];
        // A cast from float saturates.
        pixel.0[..3].copy_from_slice(&rgb.map(|channel| (channel + 0.5) as u8));
    }
}

fn over_white(pixels: &RgbaImage, solid: bool) -> RgbImage {
    RgbImage::from_fn(pixels.width(), pixels.height(), |x, y| {
        let [red, green, blue, alpha] = pixels.get_pixel(x, y).0.map(u16::from);
        let alpha = if solid { if alpha < 128 { 0 } else { 255 } } else { alpha };
        Rgb([red, green, blue].map(|channel| ((channel * alpha + 255 * (255 - alpha) + 127) / 255) as u8))
    })
}

/// Means over the cells. A pixel at the edge of two counts for each by its share, so that a picture in another size has the
/// same means.
fn cells(pixels: &RgbImage, (wide, high): (usize, usize)) -> Vec<[f32; 3]> {
    let (width, height) = (pixels.width() as usize, pixels.height() as usize);
    let (columns, rows) = (shares(width, wide), shares(height, high));
    // First the means of each row, then those of the columns of means.
    let means: Vec<[f32; 3]> = pixels
        .as_raw()
        .chunks_exact(width.max(1) * 3)
        .flat_map(|row| {
            columns.iter().map(move |(from, shares)| {
                let mut mean = [0.0; 3];
                for (share, pixel) in shares.iter().zip(row[from * 3..].chunks_exact(3)) {
                    mean.iter_mut().zip(pixel).for_each(|(mean, &channel)| *mean += share * f32::from(channel));
                }
                mean
            })
        })
        .collect();
    let cell = |index: usize| {
        let (from, shares) = &rows[index / wide];
        let mut mean = [0.0; 3];
        for (row, share) in (*from..).zip(shares) {
            let part = means[row * wide + index % wide];
            mean.iter_mut().zip(part).for_each(|(mean, part)| *mean += share * part);
        }
        mean
    };
    (0..wide * high).map(cell).collect()
}

/// For each cell of an axis the first pixel that it covers, and which share of the cell each pixel from there on is.
fn shares(side: usize, cells: usize) -> Vec<(usize, Vec<f32>)> {
    let length = side as f32 / cells as f32;
    let cell = |cell: usize| {
        let (from, to) = (cell as f32 * length, (cell + 1) as f32 * length);
        let (first, last) = (from as usize, (to.ceil() as usize).min(side));
        let share = |pixel: usize| (to.min((pixel + 1) as f32) - from.max(pixel as f32)).max(0.0) / length;
        (first, (first..last).map(share).collect())
    };
    (0..cells).map(cell).collect()
}

/// Our own JPEG, as small as it needs to be: libjpeg sums each block up.
fn small_jpeg(bytes: &[u8], found: &Inspected) -> Result<Picture, MediaError> {
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), jpeg_options());
    decoder.decode_headers().map_err(not_encoded)?;
    let profile = decoder.icc_profile();
    let mut small = mozjpeg::Decompress::new_mem(bytes).map_err(not_encoded)?;
    let wanted = (SIDE * SAMPLES / 2) as u32;
    let eighths = (wanted * 8).div_ceil(found.width.max(found.height)).clamp(1, 8);
    small.scale(eighths as u8);
    let is_grey = small.components().len() == 1;
    let mut started = if is_grey { small.grayscale() } else { small.rgb() }.map_err(not_encoded)?;
    let (width, height) = (started.width() as u32, started.height() as u32);
    let samples: Vec<u8> = started.read_scanlines().map_err(not_encoded)?;
    let mut pixels = decode::pixels(width, height, samples, if is_grey { 1 } else { 3 })?;
    // A source that is kept keeps its orientation.
    pixels.apply_orientation(found.turned());
    Ok(Picture::plain(pixels, profile))
}

/// The same of bytes that were not decoded yet.
pub(crate) fn of_source(
    bytes: &[u8],
    found: &Inspected,
    limits: &ImageLimits,
    drawn: Drawn,
) -> Result<Sketch, MediaError> {
    let picture = decode::decode(bytes, found, Channels::Plain, limits)?;
    Ok(Sketch::of(&picture, drawn))
}
