//! Pictures, made smaller by our own code: no tool is started.
//!
//! ```text
//! bytes --kind, header--> Inspected --decode--> pixels --turn, resize, colours--> pixels --encode--> bytes --header--> Made
//! ```
//!
//! [`inspect`] reads headers only and refuses what is over a limit before a pixel is decoded; [`make`] does the rest.
//! The server calls none of this itself: it starts a sandboxed child that does, a [`Reader`](crate::Reader). [`make`] also
//! waits for memory, of which all pictures in work have one budget. What strangers send is decoded by memory-safe Rust;
//! libraries in C only ever see pixels that are ours already. A codec that panics costs its own picture and nothing else.
//!
//! # Levels
//!
//! | Format | `medium` | `high` | `ultra` |
//! | --- | --- | --- | --- |
//! | jpeg (mozjpeg, progressive, trellis) | quality 85, the source's chroma sampling | quality 75, 4:2:0 | quality 60, 4:2:0 |
//! | webp (libwebp) | quality 85; a lossless source stays exact | quality 75; near-lossless 60 | quality 58; near-lossless 40 |
//! | avif (rav1e) | quality 78 | quality 62 | quality 45 |
//! | png (oxipng) | exact, preset 2 | preset 2; a palette of 256 colours where it stays within 40 dB of the source | preset 4; within 34 dB |
//! | gif | all colours of each frame | 256 colours, pixels that change by less than 4 stay | 96 colours, less than 10 |
//!
//! Each level is at most as large as the one before. A JPEG's quality is never set above that of the source. Pictures of
//! few colours become lossless webp where that is smaller.
//!
//! # What is kept and what is dropped
//! EXIF, XMP, comments and thumbnails are dropped; the EXIF orientation is applied to the pixels first. An ICC profile is
//! kept in jpeg, png and webp, and applied (the colours converted to sRGB) for avif and gif. Where neither format nor size
//! change and the result would not be smaller, the input's own pixels are kept as they are encoded, still without its
//! metadata; of that only the orientation stays, where it is not upright. The report says so.
//!
//! An animation stays one in gif and webp; of any other format it becomes the first frame, and the report says so. An
//! animated AVIF is refused: its frames are not read, and nobody asked for the first one alone.

mod animation;
mod avif;
mod budget;
mod chunks;
mod color;
mod cut;
mod decode;
mod encode;
mod fit;
mod frames;
mod grid;
mod guard;
mod header;
mod ico;
mod ifd;
mod items;
mod jpeg;
mod kind;
mod lab;
mod level;
mod make;
mod meaning;
mod profile;
pub(crate) mod raw;
#[cfg(test)]
mod samples;
mod seen;
mod stand_in;
mod strip;
#[cfg(test)]
mod tests;
mod thumbnail;
mod tiff;
mod tone;

use std::time::Duration;

use reelhook_domain::media::MediaInfo;
use reelhook_domain::recipe::{Format, Image};
use serde::{Deserialize, Serialize};

use crate::machine;
use crate::plan::Damage;
use crate::step::StreamPlan;
use crate::verify::Check;

pub use budget::{Claim, unclaimed};
pub(crate) use header::read;
pub use header::{Inspected, inspect};
pub use kind::is_picture;
pub use make::make;
pub use reelhook_domain::recipe::Level;
pub use stand_in::stand_in;
pub use thumbnail::thumbnail;

/// A format of pictures that we write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageFormat {
    /// JPEG.
    Jpeg,
    /// PNG.
    Png,
    /// WebP.
    Webp,
    /// AVIF.
    Avif,
    /// GIF.
    Gif,
}

impl ImageFormat {
    /// The same among all formats.
    pub const fn format(self) -> Format {
        match self {
            Self::Jpeg => Format::Jpg,
            Self::Png => Format::Png,
            Self::Webp => Format::Webp,
            Self::Avif => Format::Avif,
            Self::Gif => Format::Gif,
        }
    }

    fn of(format: Format) -> Option<Self> {
        [Self::Jpeg, Self::Png, Self::Webp, Self::Avif, Self::Gif].into_iter().find(|own| own.format() == format)
    }

    /// The word for it in [`MediaInfo::format`], which is also the usual file extension.
    pub const fn extension(self) -> &'static str {
        self.format().as_str()
    }

    /// Longest side that the format can hold, in pixels.
    const fn longest_side(self) -> u32 {
        match self {
            Self::Jpeg | Self::Gif | Self::Avif => 65_535,
            Self::Webp => 16_383,
            Self::Png => i32::MAX as u32,
        }
    }

    /// Whether it can hold several frames here.
    const fn is_animated(self) -> bool {
        matches!(self, Self::Gif | Self::Webp)
    }
}

/// A box that the picture is fitted into. Its shape stays and it is never enlarged; a side that is absent is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Fit {
    /// Most pixels in width.
    pub width: Option<u32>,
    /// Most pixels in height.
    pub height: Option<u32>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// How small.
    pub level: Level,
    /// Absent: the input's own; png where we do not write that (bmp, tiff, ico).
    pub format: Option<ImageFormat>,
    /// Absent: the size stays.
    pub fit: Option<Fit>,
    /// Most bytes of the result. Quality is lowered below the level's until it fits.
    pub max_bytes: Option<u64>,
    /// What the input is a copy of, where it is one.
    pub origin: Option<Origin>,
    /// What is done where the end of the input is missing.
    pub damage: Damage,
}

/// What a picture was made of that is read in its place: one in a format that a tool decodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Its format.
    pub format: OriginFormat,
    /// Its size in bytes.
    pub size_bytes: u64,
}

/// A format that a tool decodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OriginFormat {
    /// HEIF with pictures in HEVC.
    Heic,
}

impl OriginFormat {
    /// The word for it in [`MediaInfo::format`].
    pub const fn word(self) -> &'static str {
        match self {
            Self::Heic => crate::heif::HEIC,
        }
    }
}

impl Default for Wish {
    fn default() -> Self {
        Self { level: Level::High, format: None, fit: None, max_bytes: None, origin: None, damage: Damage::Strict }
    }
}

impl From<&Image> for Wish {
    fn from(recipe: &Image) -> Self {
        let Image { level, width, height, max_bytes, .. } = *recipe;
        let fit = (width.is_some() || height.is_some()).then_some(Fit { width, height });
        let format = recipe.format.and_then(ImageFormat::of);
        Self { level, format, fit, max_bytes, ..Self::default() }
    }
}

/// How much a picture may be and take. An input over one of them is refused before any work.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ImageLimits {
    /// Most pixels of a picture or of a frame.
    pub pixels: u64,
    /// Most frames of an animation.
    pub frames: u32,
    /// Most pixels of all frames of an animation together.
    pub animation_pixels: u64,
    /// Largest input, in bytes; it is held in memory.
    pub input_bytes: u64,
    /// Most bytes of memory for all pictures in work together; 0 is a quarter of the machine's.
    pub memory_bytes: u64,
    /// After this much time no better result is searched for and no further frame begun.
    pub time: Duration,
    /// Threads that one picture may use; 0 leaves it to the encoder.
    pub threads: usize,
    /// Whether what a result shows is compared with its source.
    pub compare: bool,
}

impl Default for ImageLimits {
    fn default() -> Self {
        Self {
            pixels: 100_000_000,
            frames: 2_000,
            animation_pixels: 1_000_000_000,
            input_bytes: 256 << 20,
            memory_bytes: 0,
            time: Duration::from_secs(300),
            threads: 0,
            compare: true,
        }
    }
}

impl ImageLimits {
    pub(crate) fn memory(&self) -> u64 {
        if self.memory_bytes == 0 { machine::memory_bytes() / 4 } else { self.memory_bytes }
    }

    /// The same for the decoder of a picture whose header was read, which needs no memory for a larger one.
    fn of(&self, found: &Inspected) -> Self {
        let pixels = u64::from(found.width) * u64::from(found.height);
        Self { pixels: self.pixels.min(pixels), ..*self }
    }
}

/// A picture that was made, measured and written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Made {
    /// Its format.
    pub format: ImageFormat,
    /// What it holds.
    pub info: MediaInfo,
    /// Whether it is the input, its metadata aside.
    pub kept: bool,
    /// Size of the input in bytes.
    pub input_bytes: u64,
    /// Its own size in bytes.
    pub output_bytes: u64,
    /// What of the source is not in it, where there is more: `the first of 3 pages`.
    pub lost: Option<String>,
    /// How much of a damaged source is missing: of its pixels, of the detail of a progressive JPEG, or of the bytes of an
    /// animation; above 0, at most 1.
    pub missing: Option<f64>,
    /// What was done and why.
    pub plan: Vec<StreamPlan>,
    /// What was compared after it was written.
    pub checks: Vec<Check>,
    /// Time that went into decoding.
    pub decoding: Duration,
    /// Time that went into encoding.
    pub encoding: Duration,
    /// Time that all of it took.
    pub wall: Duration,
}
