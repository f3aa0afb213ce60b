//! The words that recipes share: codecs, formats, tiers, sizes.

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
        /// AAC audio as a bare stream (ADTS).
        Adts = "adts",
        /// Uncompressed (PCM) audio.
        Wav = "wav",
        /// FLAC audio.
        Flac = "flac",
        /// Opus audio in Ogg.
        Opus = "opus",
        /// Vorbis audio in Ogg.
        Ogg = "ogg",
        /// A JPEG still.
        Jpg = "jpg",
        /// A PNG still.
        Png = "png",
        /// A WebP still, or an animated WebP.
        Webp = "webp",
        /// An AVIF still.
        Avif = "avif",
        /// A ZIP archive.
        Zip = "zip",
        /// A tar archive, not compressed.
        Tar = "tar",
        /// A tar archive, compressed by gzip.
        TarGz = "tar.gz",
        /// A tar archive, compressed by bzip2.
        TarBz2 = "tar.bz2",
        /// A tar archive, compressed by XZ.
        TarXz = "tar.xz",
        /// A tar archive, compressed by Zstandard.
        TarZst = "tar.zst",
        /// An HLS playlist with its segments.
        Hls = "hls",
        /// A DASH manifest with its segments.
        Dash = "dash",
        /// A ZIP archive of PNG stills, one a frame.
        PngSequence = "png_sequence",
        /// A vector picture.
        Svg = "svg",
        /// Peaks of a sound as JSON.
        Json = "json",
        /// A WebVTT file with the sheets that it names.
        Vtt = "vtt",
    }
}

impl Format {
    /// Whether it holds video with audio.
    pub const fn is_video(self) -> bool {
        matches!(self, Self::Mp4 | Self::Webm | Self::Mkv | Self::Mov)
    }

    /// Whether it holds audio alone.
    pub const fn is_audio(self) -> bool {
        matches!(self, Self::Mp3 | Self::Aac | Self::Adts | Self::Wav | Self::Flac | Self::Opus | Self::Ogg)
    }

    /// Whether it holds one still picture.
    pub const fn is_still(self) -> bool {
        matches!(self, Self::Jpg | Self::Png | Self::Webp | Self::Avif)
    }

    /// Whether it holds files of other kinds.
    pub const fn is_archive(self) -> bool {
        matches!(self, Self::Zip | Self::Tar | Self::TarGz | Self::TarBz2 | Self::TarXz | Self::TarZst)
    }

    /// The usual file extension, without the dot.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Aac => "m4a",
            Self::Adts => "aac",
            Self::PngSequence => "zip",
            Self::Hls => "m3u8",
            Self::Dash => "mpd",
            Self::Mp4
            | Self::Webm
            | Self::Mkv
            | Self::Mov
            | Self::Gif
            | Self::Mp3
            | Self::Wav
            | Self::Flac
            | Self::Opus
            | Self::Ogg
            | Self::Jpg
            | Self::Png
            | Self::Webp
            | Self::Avif
            | Self::Zip
            | Self::Tar
            | Self::TarGz
            | Self::TarBz2
            | Self::TarXz
            | Self::TarZst
            | Self::Svg
            | Self::Json
            | Self::Vtt => self.as_str(),
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
            Self::Adts => "audio/aac",
            Self::Wav => "audio/wav",
            Self::Flac => "audio/flac",
            Self::Opus | Self::Ogg => "audio/ogg",
            Self::Jpg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
            Self::Avif => "image/avif",
            Self::Zip | Self::PngSequence => "application/zip",
            Self::Tar => "application/x-tar",
            Self::TarGz => "application/gzip",
            Self::TarBz2 => "application/x-bzip2",
            Self::TarXz => "application/x-xz",
            Self::TarZst => "application/zstd",
            Self::Hls => "application/vnd.apple.mpegurl",
            Self::Dash => "application/dash+xml",
            Self::Svg => "image/svg+xml",
            Self::Json => "application/json",
            Self::Vtt => "text/vtt",
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
            | Self::Adts
            | Self::Wav
            | Self::Flac
            | Self::Opus
            | Self::Ogg
            | Self::Jpg
            | Self::Png
            | Self::Webp
            | Self::Avif
            | Self::Zip
            | Self::Tar
            | Self::TarGz
            | Self::TarBz2
            | Self::TarXz
            | Self::TarZst
            | Self::Hls
            | Self::Dash
            | Self::PngSequence
            | Self::Svg
            | Self::Json
            | Self::Vtt => &[],
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
    pub(super) fn read(form: &mut Form) -> Self {
        let resolution = form.choice("resolution");
        let width = form.integer32("width", 2..=LARGEST_SIDE);
        let height = form.integer32("height", 2..=LARGEST_SIDE);
        let enlarge = form.boolean_or("enlarge", false);
        if resolution.is_some() && (width.is_some() || height.is_some()) {
            form.refuse_whole("takes either resolution or width and height, not both");
        }
        Self { resolution, width, height, enlarge }
    }
}

/// Takes `format` (mp4 where absent) and `codec` (the container's first where absent), and checks that they go together.
pub(super) fn read_container(form: &mut Form, fits: fn(Format) -> bool) -> Option<(Format, Option<VideoCodec>)> {
    let had_format = form.has("format");
    let format = form.choice_where("format", fits);
    let codec: Option<VideoCodec> = form.choice("codec");
    let format = if had_format { format? } else { form.or("format", None, Format::Mp4) };
    match codec {
        Some(codec) if !format.codecs().contains(&codec) => {
            let words: Vec<_> = format.codecs().iter().map(|codec| codec.as_str()).collect();
            let message = if words.is_empty() {
                format!("cannot be combined with format {format}, which has no choice of video codec")
            } else {
                format!("cannot be combined with format {format}, which takes {}", words.join(", "))
            };
            form.refuse("codec", codec.as_str().into(), message);
            None
        }
        Some(codec) => Some((format, Some(codec))),
        None => Some((format, format.codecs().first().copied())),
    }
}
