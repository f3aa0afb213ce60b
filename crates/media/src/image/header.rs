//! What a picture is, from its header: nothing is decoded, and what is over a limit goes no further.

use std::io::{Cursor, Read as _};
use std::path::Path;

use image::codecs::{bmp::BmpDecoder, png::PngDecoder};
use image::metadata::Orientation;
use image::{ImageDecoder, ImageResult};
use image_webp::WebPDecoder;
use reelhook_domain::media::{MediaInfo, VideoInfo};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::guard::{damaged, decoding, rejected, unsupported};
use super::kind::{Kind, kind};
use super::meaning::Meaning;
use super::{ImageFormat, ImageLimits, avif, chunks, cut, ico, profile, tiff};
use crate::error::MediaError;
use crate::plain;

/// A picture whose header was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspected {
    pub(crate) kind: Kind,
    /// Width in pixels as shown: orientation applied.
    pub width: u32,
    /// Height in pixels as shown: orientation applied.
    pub height: u32,
    /// Number of frames; 1 for a still. Of a TIFF: of pages, as far as they are counted.
    pub frames: u32,
    /// How long the animation is, in milliseconds, where the header tells.
    pub duration_ms: Option<u64>,
    /// Whether pixels can be transparent.
    pub alpha: bool,
    /// How the stored pixels are turned before they are shown: 1 to 8, as EXIF counts.
    pub orientation: u8,
    /// Whether it brings a colour profile.
    pub profile: bool,
    /// What its numbers mean where there is no profile.
    pub(crate) meaning: Meaning,
    /// Its size in bytes.
    pub size_bytes: u64,
}

impl Inspected {
    /// Its format where it is one that we write; `None` for bmp, tiff and ico.
    pub const fn format(&self) -> Option<ImageFormat> {
        self.kind.written()
    }

    /// The same in the words of every other input.
    pub fn info(&self) -> MediaInfo {
        let seconds = self.duration_ms.filter(|_| self.frames > 1).map(|duration| duration as f64 / 1000.0);
        let rate = seconds.filter(|&seconds| seconds > 0.0).map(|seconds| f64::from(self.frames) / seconds);
        let video = VideoInfo {
            codec: self.kind.codec().to_owned(),
            profile: None,
            level: None,
            width: self.width,
            height: self.height,
            frame_rate: rate,
            frames: Some(u64::from(self.frames)),
            rotation: [0, 0, 180, 180, 90, 90, 270, 270][usize::from(self.orientation.clamp(1, 8)) - 1],
            variable_frame_rate: false,
            pixel_format: None,
            square_pixels: true,
            color: reelhook_domain::media::Color::default(),
            light: None,
            interlaced: false,
            bit_rate: None,
            duration_seconds: None,
        };
        MediaInfo {
            format: self.kind.word().to_owned(),
            duration_seconds: seconds,
            bit_rate: None,
            video: Some(video),
            audio: None,
            streams: 1,
            fast_start: None,
        }
    }

    /// Whether its frames are shown one after another.
    pub(crate) const fn is_reel(&self) -> bool {
        self.frames > 1 && !matches!(self.kind, Kind::Tiff | Kind::Ico)
    }

    pub(crate) fn turned(&self) -> Orientation {
        Orientation::from_exif(self.orientation).unwrap_or(Orientation::NoTransforms)
    }
}

/// Looks at the picture at `path`. Blocks; reads the file but decodes nothing.
///
/// # Errors
/// [`MediaError::Rejected`] for what is no picture that we read (`unsupported_media`, `empty_file`), has too many pixels
/// (`too_many_pixels`) or is over another limit (`over_limit`); [`MediaError::Failed`] with `input_damaged` for a header
/// that makes no sense.
pub fn inspect(path: &Path, limits: &ImageLimits) -> Result<Inspected, MediaError> {
    header(&cut::ended(&read(path, limits)?), limits)
}

/// The bytes of the file, unless they are too many.
pub(crate) fn read(path: &Path, limits: &ImageLimits) -> Result<Vec<u8>, MediaError> {
    let mut file = plain::open(path)?;
    let size = file.metadata()?.len();
    if size > limits.input_bytes {
        let message = format!("the input has {size} bytes; the limit for images is {}", limits.input_bytes);
        return Err(rejected("over_limit", message));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    file.by_ref().take(limits.input_bytes).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads the header and holds it against the limits.
pub(crate) fn header(bytes: &[u8], limits: &ImageLimits) -> Result<Inspected, MediaError> {
    let kind = kind(bytes)?;
    profile::within(kind, bytes)?;
    let found = decoding(kind, || match kind {
        Kind::Jpeg => jpeg(bytes),
        Kind::Png => png(bytes),
        Kind::Webp => webp(bytes),
        Kind::Avif => avif::header(bytes, limits),
        Kind::Gif => gif(bytes, limits),
        Kind::Bmp => plain(kind, BmpDecoder::new(Cursor::new(bytes))),
        Kind::Tiff => tiff::header(bytes, limits),
        Kind::Ico => ico::header(bytes),
    })?;
    let found = Inspected { size_bytes: bytes.len() as u64, ..found };
    within(&found, limits)?;
    Ok(found)
}

pub(crate) fn within(found: &Inspected, limits: &ImageLimits) -> Result<(), MediaError> {
    let Inspected { width, height, frames, .. } = *found;
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 {
        return Err(damaged(found.kind, "it has no pixels"));
    }
    if pixels > limits.pixels {
        let message = format!("the input has {width} x {height} = {pixels} pixels; the limit is {}", limits.pixels);
        return Err(rejected("too_many_pixels", message));
    }
    if found.is_reel() && frames > limits.frames {
        return Err(rejected("over_limit", format!("the input has {frames} frames; the limit is {}", limits.frames)));
    }
    // Of pages, the first is decoded.
    let all = if found.is_reel() { pixels * u64::from(frames) } else { pixels };
    if all > limits.animation_pixels.max(limits.pixels) {
        let most = limits.animation_pixels;
        let message = format!("the input has {frames} frames with {all} pixels together; the limit is {most}");
        return Err(rejected("too_many_pixels", message));
    }
    Ok(())
}

/// A still whose stored size is `width` x `height`.
pub(crate) fn still(kind: Kind, (width, height): (u32, u32), orientation: u8) -> Inspected {
    let (width, height) = if orientation >= 5 { (height, width) } else { (width, height) };
    Inspected {
        kind,
        width,
        height,
        frames: 1,
        duration_ms: None,
        alpha: false,
        orientation,
        profile: false,
        meaning: Meaning::Plain,
        size_bytes: 0,
    }
}

/// The orientation that an EXIF block tells; upright where it tells none.
pub(crate) fn orientation(exif: Option<&[u8]>) -> u8 {
    exif.and_then(Orientation::from_exif_chunk).map_or(1, Orientation::to_exif)
}

/// How JPEGs are read. More scans than this are an attack on the decoder's time.
pub(crate) fn jpeg_options() -> DecoderOptions {
    let side = usize::from(u16::MAX);
    DecoderOptions::default().set_max_width(side).set_max_height(side).jpeg_set_max_scans(100)
}

fn jpeg(bytes: &[u8]) -> Result<Inspected, MediaError> {
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), jpeg_options());
    decoder.decode_headers().map_err(|error| damaged(Kind::Jpeg, error))?;
    let info = decoder.info().ok_or_else(|| damaged(Kind::Jpeg, "it has no frame"))?;
    let orientation = orientation(decoder.exif().map(Vec::as_slice));
    let size = (u32::from(info.width), u32::from(info.height));
    Ok(Inspected { profile: decoder.icc_profile().is_some(), ..still(Kind::Jpeg, size, orientation) })
}

fn png(bytes: &[u8]) -> Result<Inspected, MediaError> {
    let mut decoder =
        PngDecoder::with_limits(Cursor::new(bytes), header_memory()).map_err(|error| bad(Kind::Png, &error))?;
    let exif = decoder.exif_metadata().ok().flatten();
    let size = decoder.dimensions();
    let frames = chunks::control(bytes).map_or(1, |control| control.frames.max(1));
    let meaning = Meaning::of_png(bytes);
    let played = || chunks::delays(bytes).take(frames as usize).map(u64::from).sum();
    Ok(Inspected {
        frames,
        duration_ms: (frames > 1).then(played),
        alpha: decoder.color_type().has_alpha(),
        profile: meaning.is_none() && decoder.icc_profile().ok().flatten().is_some(),
        meaning: meaning.unwrap_or_default(),
        ..still(Kind::Png, size, orientation(exif.as_deref()))
    })
}

fn webp(bytes: &[u8]) -> Result<Inspected, MediaError> {
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(|error| damaged(Kind::Webp, error))?;
    decoder.set_memory_limit(HEADER_MEMORY);
    let exif = decoder.exif_metadata().ok().flatten();
    let found = Inspected {
        alpha: decoder.has_alpha(),
        profile: decoder.icc_profile().ok().flatten().is_some(),
        ..still(Kind::Webp, decoder.dimensions(), orientation(exif.as_deref()))
    };
    if !decoder.is_animated() {
        return Ok(found);
    }
    Ok(Inspected { frames: decoder.num_frames().max(1), duration_ms: Some(decoder.loop_duration()), ..found })
}

fn gif(bytes: &[u8], limits: &ImageLimits) -> Result<Inspected, MediaError> {
    let mut options = gif::DecodeOptions::new();
    options.skip_frame_decoding(true);
    let mut decoder = options.read_info(Cursor::new(bytes)).map_err(|error| damaged(Kind::Gif, error))?;
    let size = (u32::from(decoder.width()), u32::from(decoder.height()));
    let (mut frames, mut duration_ms) = (0_u32, 0_u64);
    let mut alpha = false;
    while let Some(frame) = decoder.next_frame_info().map_err(|error| damaged(Kind::Gif, error))? {
        frames += 1;
        duration_ms += u64::from(frame.delay) * 10;
        alpha |= frame.transparent.is_some();
        if frames > limits.frames {
            break;
        }
    }
    if frames == 0 {
        return Err(damaged(Kind::Gif, "it has no frame"));
    }
    let profile = decoder.icc_profile();
    profile::sane("a colour profile", profile.map_or(0, |profile| profile.len() as u64))?;
    let profile = profile.is_some();
    Ok(Inspected { frames, duration_ms: Some(duration_ms), alpha, profile, ..still(Kind::Gif, size, 1) })
}

fn plain(kind: Kind, decoder: ImageResult<impl ImageDecoder>) -> Result<Inspected, MediaError> {
    let mut decoder = decoder.map_err(|error| bad(kind, &error))?;
    let orientation = decoder.orientation().map_or(1, Orientation::to_exif);
    let profile = decoder.icc_profile().ok().flatten().is_some();
    let alpha = decoder.color_type().has_alpha();
    Ok(Inspected { alpha, profile, ..still(kind, decoder.dimensions(), orientation) })
}

/// What `image` says of a picture: some are whole, but of a sort that nobody decodes.
pub(crate) fn bad(kind: Kind, error: &image::ImageError) -> MediaError {
    match error {
        image::ImageError::Unsupported(_) => unsupported(kind, "of an unusual kind"),
        other => damaged(kind, other),
    }
}

/// The same of a decoder of PNG that is asked for rows.
pub(crate) fn bad_png(error: &png::DecodingError) -> MediaError {
    damaged(Kind::Png, error)
}

/// What a decoder may allocate while it reads a header: rows and tables, no picture.
const HEADER_MEMORY: usize = 32 << 20;

pub(crate) fn header_memory() -> image::Limits {
    let mut memory = image::Limits::no_limits();
    memory.max_alloc = Some(HEADER_MEMORY as u64);
    memory
}

/// What a decoder may allocate: all pixels at 16 bits and four channels, and some room for tables.
pub(crate) fn memory_bytes(limits: &ImageLimits) -> usize {
    usize::try_from(limits.pixels.saturating_mul(8).saturating_add(64 << 20)).unwrap_or(usize::MAX)
}

pub(crate) fn memory(limits: &ImageLimits) -> image::Limits {
    let mut memory = image::Limits::no_limits();
    memory.max_alloc = Some(memory_bytes(limits) as u64);
    memory
}
