//! What is known of a piece of media after it was probed.

use serde::{Deserialize, Serialize};

use crate::recipe::Format;

/// The media in a file, as probed by `ffprobe` and by the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MediaInfo {
    /// Short name of the container, one word: `mp4`, `mov`, `webm`, `mkv`, `mp3`, `png`, ...
    pub format: String,
    /// Length in seconds; absent for images, and if the container has no length.
    pub duration_seconds: Option<f64>,
    /// Overall bits per second.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bit_rate: Option<u64>,
    /// The video stream that players choose, if any. The cover of an audio file does not count.
    pub video: Option<VideoInfo>,
    /// The audio stream that players choose, if any.
    pub audio: Option<AudioInfo>,
    /// Number of streams of any kind.
    #[serde(default)]
    pub streams: u32,
    /// Whether an mp4 or mov has its index before its media (`moov` first), so that it plays while it loads.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fast_start: Option<bool>,
}

impl MediaInfo {
    /// The usual extension of a file that holds this, by which it is also known: `jpeg` and not `jpg`, `m4a` for an mp4
    /// with sound alone.
    pub fn usual_extension(&self) -> &str {
        match (self.format.as_str(), self.video.is_some()) {
            ("jpg", _) => "jpeg",
            ("mp4", false) => "m4a",
            ("mkv", false) => "mka",
            ("ogg", true) => "ogv",
            ("mpegts", _) => "ts",
            (other, _) => other,
        }
    }

    /// What a file that holds this is called when it was made from one of that name: its name with the usual extension.
    pub fn named_after(&self, source: &str) -> String {
        // `v1.2` has none.
        let is_extension = |text: &str| {
            text.len() <= 5
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
                && text.bytes().any(|byte| byte.is_ascii_alphabetic())
        };
        let stem = match source.rsplit_once('.') {
            Some((stem, extension)) if !stem.is_empty() && is_extension(extension) => stem,
            _ => source,
        };
        // Some archives have two: `photos.tar.gz`.
        let is_archive = Format::from_word(&self.format).is_some_and(Format::is_archive);
        let first = stem.strip_suffix(".tar").filter(|stem| is_archive && !stem.is_empty());
        format!("{}.{}", first.unwrap_or(stem), self.usual_extension())
    }
}

/// A video stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct VideoInfo {
    /// Codec by its usual short name: `h264`, `h265`, `vp9`, `av1`, ...
    pub codec: String,
    /// Codec profile, as ffprobe names it (`High`, `Main 10`).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub profile: Option<String>,
    /// Codec level times ten, as ffprobe gives it (41 is 4.1).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub level: Option<i64>,
    /// Width in pixels as shown: rotation and pixel aspect applied.
    pub width: u32,
    /// Height in pixels as shown: rotation and pixel aspect applied.
    pub height: u32,
    /// Mean frames per second.
    pub frame_rate: Option<f64>,
    /// Number of frames, if the container has it or they were counted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub frames: Option<u64>,
    /// Clockwise turn that a player applies, in degrees: 0, 90, 180 or 270.
    #[serde(default)]
    pub rotation: u16,
    /// Whether the intervals between frames vary.
    #[serde(default)]
    pub variable_frame_rate: bool,
    /// Sample layout, such as `yuv420p`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pixel_format: Option<String>,
    /// Whether pixels are square.
    #[serde(default = "yes")]
    pub square_pixels: bool,
    /// Colour primaries, transfer, matrix and range, as ffprobe names them.
    #[serde(skip_serializing_if = "Color::is_empty", default)]
    pub color: Color,
    /// Brightness of a high dynamic range video, if the file specifies it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub light: Option<Light>,
    /// Whether samples are interlaced.
    #[serde(default)]
    pub interlaced: bool,
    /// Bits per second of this stream.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bit_rate: Option<u64>,
    /// Length of this stream in seconds, if it differs from the file's or the stream has one of its own.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub duration_seconds: Option<f64>,
}

const fn yes() -> bool {
    true
}

/// Colour description of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Color {
    /// `bt709`, `bt2020`, ...
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub primaries: Option<String>,
    /// `bt709`, `smpte2084` (PQ), `arib-std-b67` (HLG), ...
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub transfer: Option<String>,
    /// `bt709`, `bt2020nc`, ...
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub matrix: Option<String>,
    /// `tv` or `pc`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub range: Option<String>,
}

impl Color {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the transfer is one of the high-dynamic-range curves (PQ, HLG).
    pub fn is_hdr(&self) -> bool {
        matches!(self.transfer.as_deref(), Some("smpte2084" | "arib-std-b67"))
    }
}

impl VideoInfo {
    /// Whether its samples carry transparency.
    pub fn has_alpha(&self) -> bool {
        self.pixel_format.as_deref().is_some_and(has_alpha)
    }
}

/// Whether samples of that layout, named as ffmpeg does, carry transparency.
pub fn has_alpha(pixel_format: &str) -> bool {
    ["yuva", "gbrap", "rgba", "bgra", "argb", "abgr", "ya8", "ya16"].iter().any(|name| pixel_format.starts_with(name))
}

/// Brightness of a high dynamic range video and of the display it was graded on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Light {
    /// The display on which the video was graded.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mastering_display: Option<MasteringDisplay>,
    /// Brightest pixel of all frames (MaxCLL), in cd/m2.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max_content: Option<u32>,
    /// Brightest mean of a frame (MaxFALL), in cd/m2.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max_average: Option<u32>,
}

impl Light {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The brightest that the picture gets, in cd/m2, as far as that is known.
    pub fn peak(&self) -> Option<f64> {
        let content = self.max_content.filter(|&nits| nits > 0).map(f64::from);
        content.or(self.mastering_display.map(|display| f64::from(display.max_luminance) / 10_000.0))
    }
}

/// Colour volume of a display.
///
/// # Source
/// ITU-T H.265, D.3.28: coordinates in units of 0.00002, luminance in units of 0.0001 cd/m2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MasteringDisplay {
    /// Chromaticity of red, x and y.
    pub red: [u32; 2],
    /// Chromaticity of green, x and y.
    pub green: [u32; 2],
    /// Chromaticity of blue, x and y.
    pub blue: [u32; 2],
    /// Chromaticity of white, x and y.
    pub white_point: [u32; 2],
    /// Highest luminance.
    pub max_luminance: u32,
    /// Lowest luminance.
    pub min_luminance: u32,
}

/// An audio stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AudioInfo {
    /// Codec by its usual short name: `aac`, `mp3`, `opus`, `vorbis`, `flac`, `pcm_s16le`, ...
    pub codec: String,
    /// Number of channels.
    pub channels: u32,
    /// Samples per second.
    pub sample_rate: u32,
    /// Bits per second of this stream.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bit_rate: Option<u64>,
    /// Length of this stream in seconds, if the stream has one of its own.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub duration_seconds: Option<f64>,
    /// Sample format; absent for lossy codecs, whose samples have no depth of their own.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub depth: Option<SampleDepth>,
}

/// Sample format of an audio stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SampleDepth {
    /// Bits of each sample: 8 to 64, or 1 for DSD.
    pub bits: u32,
    /// Whether samples are floating point, which can exceed full scale.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub float: bool,
}

impl SampleDepth {
    /// Whole numbers of so many bits.
    pub const fn integer(bits: u32) -> Self {
        Self { bits, float: false }
    }

    /// The smallest depth that both fit into.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        let float = self.float || other.float;
        // The mantissa of a 32 bit float has 24 bits.
        let exact = |depth: Self| if float && !depth.float && depth.bits > 24 { 64 } else { depth.bits };
        let least = if float { 32 } else { 0 };
        Self { bits: exact(self).max(exact(other)).max(least), float }
    }
}

impl std::fmt::Display for SampleDepth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bit", self.bits)?;
        if self.float { f.write_str(" float") } else { Ok(()) }
    }
}
