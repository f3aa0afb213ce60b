//! TIFF: the first page, in whichever colours it is stored.
//!
//! The crate `tiff` unpacks the samples; what they mean is read from the tags here. What the crate refuses for its colours
//! alone (palettes, Lab, subsampled chroma) is given to it under the name of something plain, in a copy of the tags.
//!
//! # Source
//! TIFF 6.0: sections 5 (palettes), 16 (CMYK), 18 (extra samples), 21 (YCbCr), 23 (CIE L*a*b*); Adobe Photoshop TIFF
//! Technical Notes for ICC L*a*b*. Orientation: section 8.

use std::borrow::Cow;
use std::io::Cursor;

use ::tiff::decoder::{Decoder, DecodingResult, Limits};
use ::tiff::{ColorType, TiffError};
use image::{DynamicImage, ImageBuffer};

use super::decode::Picture;
use super::guard::{damaged, not_encoded, unsupported};
use super::header::{Inspected, memory_bytes, still};
use super::ifd::{COMPRESSION, Directory, NEW_SUBFILE_TYPE, PHOTOMETRIC, Tiff};
use super::kind::Kind;
use super::profile::sane;
use super::{ImageLimits, color, lab};
use crate::error::MediaError;

const KIND: Kind = Kind::Tiff;

const WIDTH: u16 = 256;
const HEIGHT: u16 = 257;
const BITS: u16 = 258;
const ORIENTATION: u16 = 274;
const SAMPLES: u16 = 277;
const ROWS_PER_STRIP: u16 = 278;
const PREDICTOR: u16 = 317;
const COLOR_MAP: u16 = 320;
const INK_SET: u16 = 332;
const EXTRA_SAMPLES: u16 = 338;
const SAMPLE_FORMAT: u16 = 339;
const COEFFICIENTS: u16 = 529;
const SUBSAMPLING: u16 = 530;
const PROFILE: u16 = 34675;

/// How the colours of a page are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colors {
    Grey {
        white_is_zero: bool,
    },
    Rgb,
    Palette,
    Inks,
    /// Luma and chroma; chroma for each so many columns and rows.
    Ycc {
        columns: usize,
        rows: usize,
    },
    /// `signed`: whether a and b are.
    Lab {
        signed: bool,
    },
}

/// The page that is shown.
struct Page<'a> {
    directory: Directory<'a>,
    index: usize,
    size: (u32, u32),
    colors: Colors,
    /// Whether the first sample beside the colours is transparency, and the colours were multiplied by it.
    alpha: Option<bool>,
}

/// A picture that only stands for another one, or a mask, is not the page.
fn page(bytes: &[u8]) -> Result<Page<'_>, MediaError> {
    let wrong = || damaged(KIND, "its directory is invalid");
    let tiff = Tiff::open(bytes).ok_or_else(wrong)?;
    let is_page = |directory: &Directory<'_>| directory.number(NEW_SUBFILE_TYPE).unwrap_or(0) & 5 == 0;
    let mut found = tiff.directories().enumerate().take(64).find(|(_, directory)| is_page(directory));
    found = found.or_else(|| tiff.directories().enumerate().next());
    let (index, directory) = found.ok_or_else(wrong)?;
    let side = |tag| directory.number(tag).and_then(|side| u32::try_from(side).ok()).ok_or_else(wrong);
    let size = (side(WIDTH)?, side(HEIGHT)?);
    let colors = colors(&directory)?;
    let alpha = match directory.number(EXTRA_SAMPLES) {
        Some(1) => Some(true),
        Some(2) => Some(false),
        // Four samples of which nothing is said are taken for colours and transparency, as everywhere.
        None if colors == Colors::Rgb && directory.number(SAMPLES) == Some(4) => Some(false),
        _ => None,
    };
    Ok(Page { directory, index, size, colors, alpha })
}

fn colors(directory: &Directory<'_>) -> Result<Colors, MediaError> {
    let is_jpeg = directory.number(COMPRESSION) == Some(7);
    if directory.number(COMPRESSION) == Some(6) {
        return Err(unsupported(KIND, "with JPEG compression in the style of before 1995"));
    }
    Ok(match directory.number(PHOTOMETRIC) {
        Some(0) => Colors::Grey { white_is_zero: true },
        Some(1) | None => Colors::Grey { white_is_zero: false },
        Some(2) => Colors::Rgb,
        Some(3) => Colors::Palette,
        Some(5) if directory.number(INK_SET).unwrap_or(1) == 1 => Colors::Inks,
        Some(5) => return Err(unsupported(KIND, "in inks other than cyan, magenta, yellow and black")),
        // The decoder of JPEG brings the chroma to the size of the luma.
        Some(6) if is_jpeg => Colors::Ycc { columns: 1, rows: 1 },
        Some(6) => match directory.numbers(SUBSAMPLING)[..] {
            [columns @ (1 | 2 | 4), rows @ (1 | 2 | 4), ..] => {
                Colors::Ycc { columns: columns as usize, rows: rows as usize }
            }
            [] => Colors::Ycc { columns: 2, rows: 2 },
            _ => return Err(damaged(KIND, "its chroma layout is invalid")),
        },
        Some(8) => Colors::Lab { signed: true },
        Some(9) => Colors::Lab { signed: false },
        Some(other) => return Err(unsupported(KIND, format!("with unusual colours ({other})"))),
    })
}

/// The header alone.
pub(crate) fn header(bytes: &[u8], limits: &ImageLimits) -> Result<Inspected, MediaError> {
    let page = page(bytes)?;
    let orientation = page.directory.number(ORIENTATION).filter(|turned| (1..=8).contains(turned)).unwrap_or(1) as u8;
    let pages = Tiff::open(bytes).map_or(1, |tiff| tiff.pages(limits.frames.max(1)));
    let is_converted = matches!(page.colors, Colors::Inks | Colors::Lab { .. });
    sane("a colour profile", page.directory.bytes(PROFILE).map_or(0, |profile| profile.len() as u64))?;
    Ok(Inspected {
        frames: pages,
        alpha: page.alpha.is_some(),
        profile: !is_converted && page.directory.count(PROFILE) > 0,
        ..still(KIND, page.size, orientation)
    })
}

/// The page, not turned yet.
pub(crate) fn decode(bytes: &[u8], limits: &ImageLimits) -> Result<Picture, MediaError> {
    let page = page(bytes)?;
    let samples = read(bytes, &page, limits)?;
    let profile = page.directory.bytes(PROFILE).map(<[u8]>::to_vec);
    let (width, height) = page.size;
    let pixels = match page.colors {
        Colors::Grey { white_is_zero } => {
            let samples = if white_is_zero { samples.inverted() } else { samples };
            samples.into_pixels(page.size, 1, page.alpha)?
        }
        Colors::Rgb => samples.into_pixels(page.size, 3, page.alpha)?,
        Colors::Palette => {
            let colors = palette(&page.directory)?;
            let Samples::Eight { bytes, .. } = &samples else {
                return Err(unsupported(KIND, "with an unusual palette"));
            };
            let picked = bytes.iter().flat_map(|&index| colors.get(usize::from(index)).copied().unwrap_or([0; 3]));
            Samples::Eight { bytes: picked.collect(), channels: 3 }.into_pixels(page.size, 3, None)?
        }
        Colors::Inks => {
            let channels = samples.channels();
            let inks = samples.eight();
            let flat: Vec<u8> =
                inks.chunks_exact(channels).flat_map(|pixel| pixel[..4.min(channels)].iter().copied()).collect();
            let rgb = color::inks_to_rgb(&flat, profile.as_deref());
            let bytes = match page.alpha {
                Some(_) if channels > 4 => rgb
                    .chunks_exact(3)
                    .zip(inks.chunks_exact(channels))
                    .flat_map(|(rgb, ink)| [rgb[0], rgb[1], rgb[2], ink[4]])
                    .collect(),
                _ => rgb,
            };
            let channels = bytes.len() / (width as usize * height as usize).max(1);
            let pixels =
                Samples::Eight { bytes, channels }.into_pixels(page.size, 3, page.alpha.filter(|_| channels == 4))?;
            return Ok(Picture::plain(pixels, None));
        }
        Colors::Ycc { columns, rows } => {
            let bytes = if (columns, rows) == (1, 1) {
                samples.eight().into_owned()
            } else {
                spread(&samples.eight(), page.size, columns, rows)
            };
            let rgb = ycc_to_rgb(bytes, &page.directory);
            Samples::Eight { bytes: rgb, channels: 3 }.into_pixels(page.size, 3, None)?
        }
        Colors::Lab { signed } => {
            let pixels = samples.map_three(|lab| lab::to_srgb(lab, signed)).into_pixels(page.size, 3, page.alpha)?;
            return Ok(Picture::plain(pixels, None));
        }
    };
    Ok(Picture::plain(pixels, profile))
}

/// The samples of a page, pixel after pixel.
fn read(bytes: &[u8], page: &Page<'_>, limits: &ImageLimits) -> Result<Samples, MediaError> {
    let plain = named_plain(bytes, page)?;
    let mut decoder = Decoder::new(Cursor::new(&plain[..])).map_err(wrong)?.with_limits({
        let mut most = Limits::default();
        // Samples may be floats, which are twice as wide as the widest that are kept.
        most.decoding_buffer_size = memory_bytes(limits).saturating_mul(2);
        most.intermediate_buffer_size = most.decoding_buffer_size;
        most
    });
    decoder.seek_to_image(page.index).map_err(wrong)?;
    let (width, height) = decoder.dimensions().map_err(wrong)?;
    let color = decoder.colortype().map_err(wrong)?;
    let mut result = DecodingResult::U8(Vec::new());
    let layout = decoder.read_image_to_buffer(&mut result).map_err(wrong)?;
    if result.as_buffer(0).as_bytes().len() < layout.complete_len {
        return Err(damaged(KIND, "it is too large"));
    }
    let (channels, count) = (usize::from(color.num_samples()), width as usize * height as usize);
    let planes = layout.planes;
    let samples = match result {
        DecodingResult::U8(bytes) if depth(color) < 8 => Samples::Eight {
            bytes: spelled_out(&bytes, width, height, color, matches!(page.colors, Colors::Palette)),
            channels,
        },
        DecodingResult::U8(bytes) => Samples::Eight { bytes: woven(bytes, channels, count, planes), channels },
        DecodingResult::U16(words) => Samples::Sixteen { words: woven(words, channels, count, planes), channels },
        DecodingResult::F32(shares) => {
            let words = shares.iter().map(|share| (share.clamp(0.0, 1.0) * 65_535.0 + 0.5) as u16).collect();
            Samples::Sixteen { words: woven(words, channels, count, planes), channels }
        }
        _ => return Err(unsupported(KIND, "with unusual samples")),
    };
    if samples.len() < count * channels {
        return Err(damaged(KIND, "it has too few samples"));
    }
    Ok(samples)
}

fn wrong(error: TiffError) -> MediaError {
    match error {
        TiffError::UnsupportedError(what) => unsupported(KIND, format!("of an unusual kind ({what})")),
        other => damaged(KIND, other),
    }
}

/// The file with tags by which the crate reads the samples as they are stored.
fn named_plain<'a>(bytes: &'a [u8], page: &Page<'_>) -> Result<Cow<'a, [u8]>, MediaError> {
    let directory = &page.directory;
    let changes: Vec<(u16, u64)> = match page.colors {
        Colors::Grey { white_is_zero: false } | Colors::Rgb | Colors::Inks | Colors::Ycc { columns: 1, rows: 1 } => {
            Vec::new()
        }
        Colors::Grey { white_is_zero: true } | Colors::Palette => vec![(PHOTOMETRIC, 1)],
        Colors::Lab { .. } => vec![(PHOTOMETRIC, 2), (SAMPLE_FORMAT, 1)],
        Colors::Ycc { columns, rows } => {
            // Luma of a block, then its chroma: rows of bytes.
            let (width, height) = (page.size.0 as usize, page.size.1 as usize);
            let strip = directory.number(ROWS_PER_STRIP).map_or(height, |strip| (strip as usize).min(height)).max(1);
            if strip < height && !strip.is_multiple_of(rows) || directory.number(BITS) != Some(8) {
                return Err(unsupported(KIND, "with an unusual chroma layout"));
            }
            vec![
                (PHOTOMETRIC, 1),
                (SAMPLES, 1),
                (BITS, 8),
                (PREDICTOR, 1),
                (WIDTH, (width.div_ceil(columns) * (columns * rows + 2)) as u64),
                (HEIGHT, height.div_ceil(rows) as u64),
                (ROWS_PER_STRIP, strip.div_ceil(rows) as u64),
            ]
        }
    };
    if changes.is_empty() {
        return Ok(Cow::Borrowed(bytes));
    }
    let mut changed = bytes.to_vec();
    for (tag, number) in changes {
        directory.overwrite(&mut changed, tag, number);
    }
    Ok(Cow::Owned(changed))
}

const fn depth(color: ColorType) -> u8 {
    match color {
        ColorType::Gray(bits) | ColorType::Multiband { bit_depth: bits, .. } => bits,
        _ => 8,
    }
}

/// Samples of less than a byte, one in a byte; `as_index`: their numbers, rather than shares of 255.
fn spelled_out(bytes: &[u8], width: u32, height: u32, color: ColorType, as_index: bool) -> Vec<u8> {
    let bits = usize::from(depth(color)).max(1);
    let wide = width as usize * usize::from(color.num_samples());
    let most = (1_u16 << bits) - 1;
    let sample = |row: &[u8], index: usize| {
        let at = index * bits;
        // 3, 5, 6 and 7 bits go over the edge of a byte.
        let pair = u16::from(row[at / 8]) << 8 | row.get(at / 8 + 1).copied().map_or(0, u16::from);
        let value = pair >> (16 - at % 8 - bits) & most;
        if as_index { value as u8 } else { (value * 255 / most) as u8 }
    };
    let rows = bytes.chunks_exact((wide * bits).div_ceil(8).max(1)).take(height as usize);
    rows.flat_map(|row| (0..wide).map(move |index| sample(row, index))).collect()
}

/// Planes one after another, woven into pixels.
fn woven<T: Copy>(samples: Vec<T>, channels: usize, count: usize, planes: usize) -> Vec<T> {
    if planes < 2 || samples.len() < channels * count {
        return samples;
    }
    (0..count).flat_map(|pixel| (0..channels).map(move |plane| plane * count + pixel)).map(|at| samples[at]).collect()
}

/// Three rows of 16 bits: all reds, all greens, all blues.
fn palette(directory: &Directory<'_>) -> Result<Vec<[u8; 3]>, MediaError> {
    let numbers = directory.all_numbers(COLOR_MAP, 3 * 65_536);
    let third = numbers.len() / 3;
    if third == 0 {
        return Err(damaged(KIND, "it has no palette"));
    }
    // Some writers fill 8 bits of the 16.
    let is_narrow = numbers.iter().all(|&number| number < 256);
    let byte = |number: u64| if is_narrow { number as u8 } else { (number >> 8) as u8 };
    Ok((0..third).map(|index| [0, 1, 2].map(|row| byte(numbers[row * third + index]))).collect())
}

/// Blocks of luma with one chroma to three bytes a pixel.
fn spread(bytes: &[u8], (width, height): (u32, u32), columns: usize, rows: usize) -> Vec<u8> {
    let (width, height) = (width as usize, height as usize);
    let block = columns * rows + 2;
    let line = width.div_ceil(columns) * block;
    let mut pixels = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            let at = y / rows * line + x / columns * block;
            let luma = at + y % rows * columns + x % columns;
            pixels.extend([luma, at + block - 2, at + block - 1].map(|at| bytes.get(at).copied().unwrap_or(128)));
        }
    }
    pixels
}

/// By the coefficients of the file, full range.
fn ycc_to_rgb(mut bytes: Vec<u8>, directory: &Directory<'_>) -> Vec<u8> {
    let told = directory.ratios(COEFFICIENTS);
    let (red, blue) = match told[..] {
        [red, green, blue] if red > 0.0 && blue > 0.0 && green > 0.0 && (red + green + blue - 1.0).abs() < 0.01 => {
            (red, blue)
        }
        _ => (0.299, 0.114),
    };
    let green = 1.0 - red - blue;
    for pixel in bytes.chunks_exact_mut(3) {
        let (luma, u, v) = (f32::from(pixel[0]), f32::from(pixel[1]) - 128.0, f32::from(pixel[2]) - 128.0);
        let (of_red, of_blue) = (2.0 * (1.0 - red) * v, 2.0 * (1.0 - blue) * u);
        let channels = [luma + of_red, luma - (of_red * red + of_blue * blue) / green, luma + of_blue];
        // A cast from float saturates.
        pixel.copy_from_slice(&channels.map(|channel| (channel + 0.5) as u8));
    }
    bytes
}

/// Samples, pixel after pixel.
enum Samples {
    Eight { bytes: Vec<u8>, channels: usize },
    Sixteen { words: Vec<u16>, channels: usize },
}

impl Samples {
    const fn channels(&self) -> usize {
        match self {
            Self::Eight { channels, .. } | Self::Sixteen { channels, .. } => *channels,
        }
    }

    const fn len(&self) -> usize {
        match self {
            Self::Eight { bytes, .. } => bytes.len(),
            Self::Sixteen { words, .. } => words.len(),
        }
    }

    /// The same with 8 bits.
    fn eight(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Eight { bytes, .. } => Cow::Borrowed(bytes),
            Self::Sixteen { words, .. } => Cow::Owned(words.iter().map(|word| (word >> 8) as u8).collect()),
        }
    }

    /// Black for white; transparency stays.
    fn inverted(mut self) -> Self {
        match &mut self {
            Self::Eight { bytes, channels } => bytes.iter_mut().step_by(*channels).for_each(|byte| *byte = !*byte),
            Self::Sixteen { words, channels } => words.iter_mut().step_by(*channels).for_each(|word| *word = !*word),
        }
        self
    }

    /// Changes three colours, given as whole numbers of 8 or 16 bits brought to 0 to 1.
    fn map_three(mut self, by: impl Fn([f32; 3]) -> [f32; 3]) -> Self {
        match &mut self {
            Self::Eight { bytes, channels } => {
                for pixel in bytes.chunks_exact_mut((*channels).max(3)) {
                    let made = by([pixel[0], pixel[1], pixel[2]].map(|byte| f32::from(byte) / 255.0));
                    pixel[..3].copy_from_slice(&made.map(|share| (share * 255.0 + 0.5) as u8));
                }
            }
            Self::Sixteen { words, channels } => {
                for pixel in words.chunks_exact_mut((*channels).max(3)) {
                    let made = by([pixel[0], pixel[1], pixel[2]].map(|word| f32::from(word) / 65_535.0));
                    pixel[..3].copy_from_slice(&made.map(|share| (share * 65_535.0 + 0.5) as u16));
                }
            }
        }
        self
    }

    /// A picture of so many `colors`; further samples are dropped, but for transparency.
    fn into_pixels(
        self,
        (width, height): (u32, u32),
        colors: usize,
        alpha: Option<bool>,
    ) -> Result<DynamicImage, MediaError> {
        let stored = self.channels();
        let alpha = alpha.filter(|_| stored > colors);
        let channels = colors + usize::from(alpha.is_some());
        if stored < colors {
            return Err(damaged(KIND, "it has too few samples"));
        }
        let made = match self {
            Self::Eight { bytes, .. } => {
                let mut bytes = kept(bytes, stored, channels);
                if alpha == Some(true) {
                    divided(&mut bytes, channels, u8::MAX);
                }
                match channels {
                    1 => ImageBuffer::from_raw(width, height, bytes).map(DynamicImage::ImageLuma8),
                    2 => ImageBuffer::from_raw(width, height, bytes).map(DynamicImage::ImageLumaA8),
                    3 => ImageBuffer::from_raw(width, height, bytes).map(DynamicImage::ImageRgb8),
                    _ => ImageBuffer::from_raw(width, height, bytes).map(DynamicImage::ImageRgba8),
                }
            }
            Self::Sixteen { words, .. } => {
                let mut words = kept(words, stored, channels);
                if alpha == Some(true) {
                    divided(&mut words, channels, u16::MAX);
                }
                match channels {
                    1 => ImageBuffer::from_raw(width, height, words).map(DynamicImage::ImageLuma16),
                    2 => ImageBuffer::from_raw(width, height, words).map(DynamicImage::ImageLumaA16),
                    3 => ImageBuffer::from_raw(width, height, words).map(DynamicImage::ImageRgb16),
                    _ => ImageBuffer::from_raw(width, height, words).map(DynamicImage::ImageRgba16),
                }
            }
        };
        made.ok_or_else(|| not_encoded("a page has the wrong size"))
    }
}

fn kept<T: Copy>(samples: Vec<T>, stored: usize, wanted: usize) -> Vec<T> {
    if stored == wanted {
        return samples;
    }
    samples.chunks_exact(stored).flat_map(|pixel| pixel[..wanted].iter().copied()).collect()
}

/// Colours that were multiplied by transparency, undone.
fn divided<T: Copy + Into<u64> + TryFrom<u64>>(samples: &mut [T], channels: usize, most: T) {
    for pixel in samples.chunks_exact_mut(channels) {
        let Some((alpha, colors)) = pixel.split_last_mut() else { continue };
        let (alpha, full): (u64, u64) = ((*alpha).into(), most.into());
        for color in colors.iter_mut().filter(|_| alpha > 0) {
            let whole = ((*color).into() * full / alpha).min(full);
            *color = T::try_from(whole).unwrap_or(most);
        }
    }
}
