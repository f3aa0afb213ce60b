//! Recipes: one operation each, with its parameters and their limits.
//!
//! To add one: a struct with its `read`, a variant of [`Recipe`] with its line in the macro at the end of it, and a
//! planner of the same name in `media::plan`.

use serde::{Deserialize, Serialize};

use crate::choice;
use crate::form::Form;

choice! {
    /// A video codec that we encode.
    VideoCodec {
        /// H.264 / AVC.
        H264 = "h264",
        /// H.265 / HEVC.
        H265 = "h265",
        /// VP9.
        Vp9 = "vp9",
        /// AV1.
        Av1 = "av1",
    }
}

choice! {
    /// A container or bare format that we write.
    Format {
        /// ISO base media with the index first.
        Mp4 = "mp4",
        /// WebM.
        Webm = "webm",
        /// Matroska.
        Mkv = "mkv",
        /// QuickTime.
        Mov = "mov",
        /// Animated GIF.
        Gif = "gif",
        /// MPEG layer 3 audio.
        Mp3 = "mp3",
        /// AAC audio in an MP4 container (`.m4a`).
        Aac = "aac",
        /// 16-bit PCM audio.
        Wav = "wav",
        /// FLAC audio.
        Flac = "flac",
        /// Opus audio in Ogg.
        Opus = "opus",
        /// A JPEG still.
        Jpg = "jpg",
        /// A PNG still.
        Png = "png",
        /// A WebP still.
        Webp = "webp",
    }
}

impl Format {
    /// Whether it holds video with audio.
    pub const fn is_video(self) -> bool {
        matches!(self, Self::Mp4 | Self::Webm | Self::Mkv | Self::Mov)
    }

    /// Whether it holds audio alone.
    pub const fn is_audio(self) -> bool {
        matches!(self, Self::Mp3 | Self::Aac | Self::Wav | Self::Flac | Self::Opus)
    }

    /// Whether it holds one still picture.
    pub const fn is_still(self) -> bool {
        matches!(self, Self::Jpg | Self::Png | Self::Webp)
    }

    /// The usual file extension, without the dot.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Aac => "m4a",
            Self::Mp4
            | Self::Webm
            | Self::Mkv
            | Self::Mov
            | Self::Gif
            | Self::Mp3
            | Self::Wav
            | Self::Flac
            | Self::Opus
            | Self::Jpg
            | Self::Png
            | Self::Webp => self.as_str(),
        }
    }

    /// The media type. Source: the IANA media types registry, and MDN's list where it has none.
    pub const fn mime_type(self) -> &'static str {
        match self {
            Self::Mp4 => "video/mp4",
            Self::Webm => "video/webm",
            Self::Mkv => "video/x-matroska",
            Self::Mov => "video/quicktime",
            Self::Gif => "image/gif",
            Self::Mp3 => "audio/mpeg",
            Self::Aac => "audio/mp4",
            Self::Wav => "audio/wav",
            Self::Flac => "audio/flac",
            Self::Opus => "audio/ogg",
            Self::Jpg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
        }
    }

    /// The codecs that this container is widely played with; empty where it holds no video stream of ours.
    pub const fn codecs(self) -> &'static [VideoCodec] {
        use VideoCodec::{Av1, H264, H265, Vp9};
        match self {
            Self::Mp4 => &[H264, H265, Av1, Vp9],
            Self::Mkv => &[H264, H265, Vp9, Av1],
            Self::Mov => &[H264, H265],
            Self::Webm => &[Vp9, Av1],
            Self::Gif
            | Self::Mp3
            | Self::Aac
            | Self::Wav
            | Self::Flac
            | Self::Opus
            | Self::Jpg
            | Self::Png
            | Self::Webp => &[],
        }
    }
}

choice! {
    /// How much work goes into an encoding: a tier of encoder preset and rate factor.
    Quality {
        /// Fast and small.
        Economy = "economy",
        /// The middle.
        Standard = "standard",
        /// Slow and good.
        Premium = "premium",
    }
}

choice! {
    /// A named frame size; the number is the height of a landscape picture, the shorter side of any other.
    Resolution {
        /// 480 lines.
        P480 = "480p",
        /// 720 lines.
        P720 = "720p",
        /// 1080 lines.
        P1080 = "1080p",
        /// 1440 lines.
        P1440 = "1440p",
        /// 2160 lines.
        P2160 = "2160p",
        /// 4320 lines.
        P4320 = "4320p",
    }
}

impl Resolution {
    /// Length of the shorter side in pixels.
    pub const fn lines(self) -> u32 {
        match self {
            Self::P480 => 480,
            Self::P720 => 720,
            Self::P1080 => 1080,
            Self::P1440 => 1440,
            Self::P2160 => 2160,
            Self::P4320 => 4320,
        }
    }
}

choice! {
    /// How a picture meets a box of another shape.
    Fit {
        /// As large as fits inside; the aspect is kept.
        Inside = "inside",
        /// Exactly the box; the aspect is not kept.
        Exact = "exact",
    }
}

/// Longest side of a picture that we make, in pixels.
pub const LARGEST_SIDE: u32 = 7680;
/// Latest point in a source that can be named, in seconds (a week).
pub const LATEST_SECOND: f64 = 604_800.0;

/// `compress`: a smaller file, never larger than the source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Compress {
    /// Rate factor, 0 (best) to 51 (smallest). Excludes `max_bytes` and `quality`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub crf: Option<u32>,
    /// Largest size of the result, in bytes; two passes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max_bytes: Option<u64>,
    /// Tier instead of a rate factor.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub quality: Option<Quality>,
    /// Video codec.
    pub codec: VideoCodec,
    /// Container.
    pub format: Format,
}

/// Rate factor of `compress` where the caller says nothing.
pub const DEFAULT_CRF: u32 = 28;

impl Compress {
    fn read(form: &mut Form) -> Option<Self> {
        let crf = form.integer32("crf", 0..=51);
        let max_bytes = form.integer("max_bytes", 10_000..=1 << 40);
        let quality = form.choice("quality");
        if [crf.is_some(), max_bytes.is_some(), quality.is_some()].into_iter().filter(|&given| given).count() > 1 {
            form.refuse_whole("takes only one of crf, max_bytes and quality");
        }
        let (format, codec) = read_container(form, Format::is_video, "mp4, webm, mkv, mov")?;
        Some(Self { crf, max_bytes, quality, codec: codec?, format })
    }
}

/// `convert`: the same content in another container, codec or size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Convert {
    /// What to write.
    pub format: Format,
    /// Video codec; absent for formats without a choice.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub codec: Option<VideoCodec>,
    /// Size of the picture.
    #[serde(flatten)]
    pub size: Size,
    /// Frames per second.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub frame_rate: Option<f64>,
    /// Target of the video stream (of the audio stream where there is no video), in thousands of bits per second.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bitrate_kbps: Option<u32>,
    /// Tier of effort.
    pub quality: Quality,
}

impl Convert {
    fn read(form: &mut Form) -> Option<Self> {
        let required = form.has("format");
        if !required {
            form.refuse("format", serde_json::Value::Null, "is required");
        }
        let (format, codec) =
            read_container(form, |format| !format.is_still(), "mp4, webm, mkv, mov, gif, mp3, aac, wav, flac, opus")?;
        let size = Size::read(form);
        let frame_rate = form.number("frame_rate", 1.0..=240.0);
        let bitrate_kbps = form.integer32("bitrate_kbps", 8..=400_000);
        let quality = form.choice("quality").unwrap_or(Quality::Standard);
        if format.is_audio() && (frame_rate.is_some() || size != Size::default()) {
            form.refuse_whole(format_args!(
                "format {format} has no picture: leave out resolution, width, height and frame_rate"
            ));
        }
        Some(Self { format, codec, size, frame_rate, bitrate_kbps, quality })
    }
}

/// The size that a picture shall have; nothing said keeps the source's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Size {
    /// A named size. Excludes `width` and `height`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub resolution: Option<Resolution>,
    /// Width of the box, in pixels.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub width: Option<u32>,
    /// Height of the box, in pixels.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub height: Option<u32>,
    /// Whether a smaller source is enlarged.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub enlarge: bool,
}

impl Size {
    fn read(form: &mut Form) -> Self {
        let resolution = form.choice("resolution");
        let width = form.integer32("width", 2..=LARGEST_SIDE);
        let height = form.integer32("height", 2..=LARGEST_SIDE);
        let enlarge = form.boolean("enlarge").unwrap_or(false);
        if resolution.is_some() && (width.is_some() || height.is_some()) {
            form.refuse_whole("takes either resolution or width and height, not both");
        }
        Self { resolution, width, height, enlarge }
    }
}

/// `resize`: another picture size, everything else as good as it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Resize {
    /// The box; at least one of its sides or a named size is given.
    #[serde(flatten)]
    pub size: Size,
    /// How the picture meets the box.
    pub fit: Fit,
    /// Container.
    pub format: Format,
    /// Video codec.
    pub codec: VideoCodec,
    /// Tier of effort.
    pub quality: Quality,
}

impl Resize {
    fn read(form: &mut Form) -> Option<Self> {
        let asked = form.has("resolution") || form.has("width") || form.has("height");
        let size = Size::read(form);
        if !asked {
            form.refuse_whole("needs width, height or resolution");
        }
        let fit = form.choice("fit").unwrap_or(Fit::Inside);
        if fit == Fit::Exact && asked && (size.width.is_none() || size.height.is_none()) {
            form.refuse_whole("needs both width and height when fit is exact");
        }
        let quality = form.choice("quality").unwrap_or(Quality::Standard);
        let (format, codec) = read_container(form, Format::is_video, "mp4, webm, mkv, mov")?;
        Some(Self { size, fit, format, codec: codec?, quality })
    }
}

/// `trim`: a part of the source, cut to the frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Trim {
    /// Where the part begins, in seconds.
    pub start_seconds: f64,
    /// How long it is, in seconds; to the end when absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub duration_seconds: Option<f64>,
    /// What to write: a video or an audio format.
    pub format: Format,
    /// Video codec; absent for audio formats.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub codec: Option<VideoCodec>,
    /// Tier of effort.
    pub quality: Quality,
}

impl Trim {
    fn read(form: &mut Form) -> Option<Self> {
        let start_seconds = form.number("start_seconds", 0.0..=LATEST_SECOND).unwrap_or(0.0);
        let mut duration_seconds = form.number("duration_seconds", 0.001..=LATEST_SECOND);
        if let Some(end) = form.number("end_seconds", 0.001..=LATEST_SECOND) {
            if duration_seconds.is_some() {
                form.refuse_whole("takes duration_seconds or end_seconds, not both");
            } else if end <= start_seconds {
                form.refuse("end_seconds", end.into(), format_args!("must be after start_seconds ({start_seconds})"));
            }
            duration_seconds = Some(end - start_seconds);
        }
        let quality = form.choice("quality").unwrap_or(Quality::Standard);
        let (format, codec) = read_container(
            form,
            |format| format.is_video() || format.is_audio(),
            "mp4, webm, mkv, mov, mp3, aac, wav, flac, opus",
        )?;
        Some(Self { start_seconds, duration_seconds, format, codec, quality })
    }
}

/// `thumbnail`: one frame as a still picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Thumbnail {
    /// Which frame: the one shown at that second.
    pub at_seconds: f64,
    /// Picture format.
    pub format: Format,
    /// The box; never enlarged.
    #[serde(flatten)]
    pub size: Size,
}

impl Thumbnail {
    fn read(form: &mut Form) -> Option<Self> {
        let at_seconds = form.number("at_seconds", 0.0..=LATEST_SECOND).unwrap_or(0.0);
        let size = Size::read(form);
        let format = form.choice("format").unwrap_or(Format::Jpg);
        if !format.is_still() {
            form.refuse("format", format.as_str().into(), "must be one of jpg, png, webp");
        }
        Some(Self { at_seconds, format, size })
    }
}

/// `extract_audio`: the audio alone, copied where the format takes it as it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ExtractAudio {
    /// What to write; absent keeps the source's codec in its usual container, or mp3 where it has none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub format: Option<Format>,
    /// Bits per second, in thousands; forces an encoding.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bitrate_kbps: Option<u32>,
}

impl ExtractAudio {
    fn read(form: &mut Form) -> Option<Self> {
        let format: Option<Format> = form.choice("format");
        if let Some(format) = format.filter(|format| !format.is_audio()) {
            form.refuse("format", format.as_str().into(), "must be one of mp3, aac, wav, flac, opus");
        }
        Some(Self { format, bitrate_kbps: form.integer32("bitrate_kbps", 8..=512) })
    }
}

/// `web_ready`: an mp4 that plays in any browser while it loads, by the cheapest way that gets there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WebReady {
    /// Rate factor; forces an encoding.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub crf: Option<u32>,
    /// Bits per second of the video, in thousands; forces an encoding.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bitrate_kbps: Option<u32>,
    /// The box; a source that is larger is encoded.
    #[serde(flatten)]
    pub size: Size,
}

impl WebReady {
    fn read(form: &mut Form) -> Option<Self> {
        let crf = form.integer32("crf", 0..=51);
        let bitrate_kbps = form.integer32("bitrate_kbps", 50..=400_000);
        if crf.is_some() && bitrate_kbps.is_some() {
            form.refuse_whole("takes only one of crf and bitrate_kbps");
        }
        Some(Self { crf, bitrate_kbps, size: Size::read(form) })
    }
}

/// Takes `format` (mp4 where absent) and `codec` (the container's first where absent), and checks that they go together.
fn read_container(form: &mut Form, fits: fn(Format) -> bool, allowed: &str) -> Option<(Format, Option<VideoCodec>)> {
    let had_format = form.has("format");
    let format: Option<Format> = form.choice("format");
    let codec: Option<VideoCodec> = form.choice("codec");
    let format = if had_format { format? } else { Format::Mp4 };
    if !fits(format) {
        form.refuse("format", format.as_str().into(), format_args!("must be one of {allowed}"));
        return None;
    }
    match codec {
        Some(codec) if !format.codecs().contains(&codec) => {
            let words: Vec<_> = format.codecs().iter().map(|codec| codec.as_str()).collect();
            let message = if words.is_empty() {
                format!("does not go with format {format}, which has no choice of video codec")
            } else {
                format!("does not go with format {format}, which takes {}", words.join(", "))
            };
            form.refuse("codec", codec.as_str().into(), message);
            None
        }
        Some(codec) => Some((format, Some(codec))),
        None => Some((format, format.codecs().first().copied())),
    }
}

macro_rules! recipes {
    ($($(#[$doc:meta])* $variant:ident = $word:literal,)+) => {
        /// One operation with its parameters. In JSON: the field `recipe` names it, beside its parameters.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(tag = "recipe")]
        pub enum Recipe {
            $($(#[$doc])* #[serde(rename = $word)] $variant($variant),)+
        }

        impl Recipe {
            /// The names of all recipes.
            pub const NAMES: &'static [&'static str] = &[$($word),+];

            /// The name in JSON.
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $word),+ }
            }

            /// Takes `recipe` and its parameters from an output of a request.
            pub fn read(form: &mut Form) -> Option<Self> {
                let name = form.text("recipe", 64);
                let name = form.require("recipe", name)?;
                match name.as_str() {
                    $($word => $variant::read(form).map(Self::$variant),)+
                    _ => {
                        form.refuse("recipe", name.into(), format_args!("must be one of {}", Self::NAMES.join(", ")));
                        None
                    }
                }
            }
        }
    };
}

recipes! {
    /// A smaller file.
    Compress = "compress",
    /// Another format, codec or size.
    Convert = "convert",
    /// Another picture size.
    Resize = "resize",
    /// A part of the source.
    Trim = "trim",
    /// One frame.
    Thumbnail = "thumbnail",
    /// The audio alone.
    ExtractAudio = "extract_audio",
    /// An mp4 for browsers.
    WebReady = "web_ready",
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(value: Value) -> Result<Recipe, Vec<String>> {
        Form::read(value, Recipe::read)
            .map_err(|violations| violations.into_iter().map(|v| format!("{}: {}", v.path, v.message)).collect())
    }

    #[test]
    fn defaults_are_those_of_the_recipe() {
        let recipe = read(json!({"recipe": "compress"})).unwrap();
        assert_eq!(
            serde_json::to_value(&recipe).unwrap(),
            json!({"recipe": "compress", "codec": "h264", "format": "mp4"})
        );
        let recipe = read(json!({"recipe": "convert", "format": "webm"})).unwrap();
        assert_eq!(
            serde_json::to_value(&recipe).unwrap(),
            json!({"recipe": "convert", "format": "webm", "codec": "vp9", "quality": "standard"})
        );
    }

    #[test]
    fn every_recipe_survives_storage() {
        for value in [
            json!({"recipe": "compress", "crf": 30, "format": "webm", "codec": "av1"}),
            json!({"recipe": "convert", "format": "mp4", "resolution": "720p", "frame_rate": 25}),
            json!({"recipe": "resize", "width": 640, "enlarge": true}),
            json!({"recipe": "trim", "start_seconds": 1.5, "end_seconds": 3}),
            json!({"recipe": "thumbnail", "at_seconds": 1, "format": "webp"}),
            json!({"recipe": "extract_audio", "format": "opus"}),
            json!({"recipe": "web_ready", "crf": 23}),
        ] {
            let recipe = read(value).unwrap();
            let stored = serde_json::to_string(&recipe).unwrap();
            assert_eq!(serde_json::from_str::<Recipe>(&stored).unwrap(), recipe);
        }
    }

    #[test]
    fn what_does_not_go_together_is_refused_by_name() {
        let refusals = |value| read(value).unwrap_err().join("; ");
        insta::assert_snapshot!(
            [
                refusals(json!({"recipe": "compress", "crf": 99, "quality": "best"})),
                refusals(json!({"recipe": "compress", "crf": 20, "max_bytes": 100_000})),
                refusals(json!({"recipe": "convert"})),
                refusals(json!({"recipe": "convert", "format": "webm", "codec": "h264"})),
                refusals(json!({"recipe": "convert", "format": "mp3", "width": 640})),
                refusals(json!({"recipe": "resize"})),
                refusals(json!({"recipe": "resize", "width": 9000})),
                refusals(json!({"recipe": "trim", "start_seconds": 5, "end_seconds": 5})),
                refusals(json!({"recipe": "thumbnail", "format": "mp4"})),
                refusals(json!({"recipe": "explode"})),
                refusals(json!({"recipe": "compress", "cfr": 28})),
            ]
            .join("\n")
        );
    }
}
