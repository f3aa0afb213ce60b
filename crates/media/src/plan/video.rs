//! How a picture stream is encoded: encoder, rate, filters, and what the result will be.

use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::media::VideoInfo;
use reelhook_domain::recipe::{Format, Quality, VideoCodec};

use super::Desk;
use crate::spell::seconds;
use crate::step::{Encoder, StreamPlan, VideoTrack};
use crate::verify::VideoExpectation;

/// What a recipe wants of the picture.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub(super) codec: VideoCodec,
    pub(super) format: Format,
    pub(super) quality: Quality,
    pub(super) rate: Rate,
    pub(super) size: (u32, u32),
    pub(super) frame_rate: Option<f64>,
    pub(super) keys: Keys,
    /// Why it is encoded, for the caller.
    pub(super) reason: String,
}

/// How many bits the picture gets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Rate {
    /// As many as this constant quality takes, in the encoder's own scale.
    Factor(u32),
    /// This many thousand a second, with peaks half again as high.
    Bits(u32),
    /// This many thousand a second, never more over a second or two.
    Budget(u32),
}

/// Where players can jump to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Keys {
    /// Where the encoder likes.
    Free,
    /// At least once a second.
    EverySecond,
    /// At every frame.
    EveryFrame,
    /// Where segments begin, and nowhere else.
    Segments(Grid),
}

/// Where segments begin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Grid {
    /// Length of a segment, in frames of this picture.
    pub(super) frames: u32,
    /// The same in seconds.
    pub(super) seconds: f64,
    /// Whether the two are the same, or the frames only the nearest number.
    pub(super) exact: bool,
}

impl Grid {
    /// The options that put key frames there. Segments are counted from the first frame, as pictures may begin late.
    fn options(self, encoder: &str) -> Vec<String> {
        // A group that could be longer by a frame never ends before the frame where it is made to.
        let most = if self.exact || encoder == "libsvtav1" { self.frames } else { self.frames + 2 };
        let mut options = words(&["-g", &most.to_string(), "-keyint_min", &self.frames.to_string()]);
        if encoder == "libsvtav1" {
            // It makes no key frame where it is told to.
            return options;
        }
        let early = 0.25 * self.seconds / f64::from(self.frames);
        let due = format!("expr:if(eq(n,0),st(0,t)*0+1,gte(t,ld(0)+n_forced*{:.9}-{early:.6}))", self.seconds);
        options.extend(words(&["-force_key_frames:v", &due]));
        match encoder {
            "libx264" => options.extend(words(&["-sc_threshold", "0", "-forced-idr", "1"])),
            "libx265" => options.extend(words(&["-forced-idr", "1"])),
            _ => {}
        }
        options
    }
}

/// The tiers of MEDIA.md: encoder preset (or speed) and rate factor.
pub(super) const fn tier(codec: VideoCodec, quality: Quality) -> (&'static str, u32) {
    use Quality::{Economy, Premium, Standard};
    match (codec, quality) {
        (VideoCodec::H264, Economy) => ("veryfast", 26),
        (VideoCodec::H264, Standard) => ("medium", 23),
        (VideoCodec::H264, Premium) => ("slow", 20),
        (VideoCodec::H265, Economy) => ("veryfast", 32),
        (VideoCodec::H265, Standard) => ("medium", 26),
        (VideoCodec::H265, Premium) => ("slow", 22),
        (VideoCodec::Vp9, Economy) => ("8", 50),
        (VideoCodec::Vp9, Standard) => ("6", 40),
        (VideoCodec::Vp9, Premium) => ("4", 30),
        (VideoCodec::Av1, Economy) => ("10", 45),
        (VideoCodec::Av1, Standard) => ("6", 35),
        (VideoCodec::Av1, Premium) => ("4", 28),
    }
}

/// A tier in words, for the caller.
pub(super) fn tier_words(codec: VideoCodec, quality: Quality) -> String {
    let (preset, crf) = tier(codec, quality);
    let kind = if matches!(codec, VideoCodec::H264 | VideoCodec::H265) { "preset" } else { "speed" };
    format!("{quality} tier: {codec} {kind} {preset}, crf {crf}")
}

/// Plans the encoding of the source's picture.
///
/// # Errors
/// `encoder_missing` where this machine has none for the codec, `target_too_small` where it does not take the size.
pub(super) fn encode(
    desk: &Desk<'_>,
    video: &VideoInfo,
    wish: &Wish,
) -> Result<(VideoTrack, VideoExpectation, StreamPlan), JobFailure> {
    let name = choose(desk, wish)?;
    let hdr = Hdr::of(desk, video, wish.codec);
    let (mut filters, mut notes) = frames_and_size(video, wish.frame_rate, wish.size, Geometry::Video);
    notes.insert(0, wish.reason.clone());
    filters.extend(hdr.filters(video));
    notes.extend(hdr.note());
    filters.push(format!("format={}", if hdr == Hdr::Kept { "yuv420p10le" } else { "yuv420p" }));
    let mut options = rate_options(name, wish);
    if wish.codec == VideoCodec::H265 && matches!(wish.format, Format::Mp4 | Format::Mov) {
        // Apple's players take no other tag.
        options.extend(words(&["-tag:v", "hvc1"]));
    }
    options.extend(match wish.keys {
        Keys::Free => Vec::new(),
        Keys::EverySecond => words(&["-force_key_frames:v", "expr:gte(t,n_forced)"]),
        Keys::EveryFrame => words(&["-g:v", "1", "-keyint_min:v", "1"]),
        Keys::Segments(grid) => grid.options(name),
    });
    let encoder = Encoder { name: name.to_owned(), options };
    let uneven = video.variable_frame_rate && wish.frame_rate.is_none();
    let expect = VideoExpectation { codec: wish.codec.as_str().to_owned(), width: wish.size.0, height: wish.size.1 };
    let track = VideoTrack::Encode { filters, encoder, uneven, palette: false };
    Ok((track, expect, StreamPlan::new("video", "encode", notes.join("; "))))
}

fn choose(desk: &Desk<'_>, wish: &Wish) -> Result<&'static str, JobFailure> {
    // SVT-AV1 refuses pictures under 64 pixels; libaom takes any, slowly.
    let small = wish.size.0 < 64 || wish.size.1 < 64;
    let candidates: &[&'static str] = match wish.codec {
        VideoCodec::H264 => &["libx264"],
        VideoCodec::H265 => &["libx265"],
        VideoCodec::Vp9 => &["libvpx-vp9"],
        VideoCodec::Av1 if small => &["libaom-av1"],
        VideoCodec::Av1 => &["libsvtav1", "libaom-av1"],
    };
    if let Some(name) = desk.capabilities.first_of(candidates) {
        return Ok(name);
    }
    if wish.codec == VideoCodec::Av1 && desk.capabilities.encodes("libsvtav1") {
        let message = format!("the picture would be {}x{}; av1 here needs at least 64x64", wish.size.0, wish.size.1);
        return Err(JobFailure::request(Stage::Planning, "target_too_small", message));
    }
    Err(missing(wish.codec.as_str()))
}

/// The refusal of what this machine's ffmpeg cannot write.
pub(super) fn missing(codec: &str) -> JobFailure {
    let message = format!("this server's ffmpeg has no encoder for {codec}");
    JobFailure { retryable: false, ..JobFailure::server(Stage::Planning, "encoder_missing", message) }
}

fn rate_options(encoder: &str, wish: &Wish) -> Vec<String> {
    let (preset, _) = tier(wish.codec, wish.quality);
    let mut options = match encoder {
        "libvpx-vp9" => {
            // Speeds above 5 mean something only to the realtime mode, and there nothing looks ahead; the standard
            // tier's 6 is the good mode's fastest.
            let deadline = if wish.quality == Quality::Economy { "realtime" } else { "good" };
            words(&["-deadline", deadline, "-cpu-used", preset, "-row-mt", "1"])
        }
        "libaom-av1" => words(&["-cpu-used", if preset == "10" { "8" } else { preset }, "-row-mt", "1"]),
        _ => words(&["-preset", preset]),
    };
    let kilo = |number: u32| format!("{number}k");
    match wish.rate {
        Rate::Factor(crf) => {
            options.extend(words(&["-crf", &crf.to_string()]));
            if matches!(encoder, "libvpx-vp9" | "libaom-av1") {
                options.extend(words(&["-b:v", "0"]));
            }
        }
        Rate::Bits(kbps) | Rate::Budget(kbps) => {
            options.extend(words(&["-b:v", &kilo(kbps)]));
            if matches!(encoder, "libx264" | "libx265") {
                let peak = if matches!(wish.rate, Rate::Budget(_)) { kbps } else { kbps + kbps / 2 };
                options.extend(words(&["-maxrate:v", &kilo(peak), "-bufsize:v", &kilo(kbps * 2)]));
            }
        }
    }
    options
}

/// What the samples are for: video in limited range, or a still in full range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Geometry {
    /// Limited range; the matrix stays, or is BT.709 where the source has none.
    Video,
    /// RGB samples, by the source's own matrix.
    Rgb,
    /// JPEG's: full range and the matrix of BT.601.
    Jfif,
    /// Limited range and the matrix of BT.601, as in WebP.
    Webp,
}

/// Filters for the rate and the size, and what they do in words. A picture that is only odd loses its last line
/// rather than being resampled.
pub(super) fn frames_and_size(
    video: &VideoInfo,
    frame_rate: Option<f64>,
    (width, height): (u32, u32),
    geometry: Geometry,
) -> (Vec<String>, Vec<String>) {
    let (mut filters, mut notes) = (Vec::new(), Vec::new());
    if let Some(rate) = frame_rate {
        filters.push(format!("fps={}", seconds(rate)));
        notes.push(format!("{} frames per second", seconds(rate)));
    }
    let full_range = video.color.range.as_deref() == Some("pc") || video.pixel_format.as_deref().is_some_and(is_full);
    let rgb = video.pixel_format.as_deref().is_some_and(is_rgb);
    let shown = (video.width, video.height) == (width, height) && video.square_pixels;
    let trimmed = video.square_pixels && (width, height) == (video.width & !1, video.height & !1);
    let mut scale = Vec::new();
    match geometry {
        Geometry::Video if rgb => scale.extend(["out_color_matrix=bt709", "out_range=tv"]),
        Geometry::Video if full_range => scale.push("out_range=tv"),
        Geometry::Jfif => scale.extend(["out_color_matrix=bt601", "out_range=pc"]),
        Geometry::Webp => scale.extend(["out_color_matrix=bt601", "out_range=tv"]),
        Geometry::Video | Geometry::Rgb => {}
    }
    if trimmed && !shown && scale.is_empty() {
        filters.push(format!("crop={width}:{height}:0:0"));
        notes.push(format!("cut to {width}x{height}, as sides must be even"));
    } else if !shown || !scale.is_empty() {
        let size = format!("scale={width}:{height}");
        filters.push([vec![size.as_str()], scale].concat().join(":"));
        // Sides that were rounded, or a box of another shape, would make pixels oblong to keep the aspect.
        filters.push("setsar=1".to_owned());
        if !shown {
            notes.push(format!("{width}x{height}"));
        }
    }
    if geometry == Geometry::Video && rgb {
        filters.push("setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709".to_owned());
    }
    (filters, notes)
}

fn is_full(pixel_format: &str) -> bool {
    pixel_format.starts_with("yuvj")
}

fn is_rgb(pixel_format: &str) -> bool {
    ["rgb", "bgr", "gbr", "argb", "abgr", "0rgb", "0bgr", "pal8"].iter().any(|name| pixel_format.starts_with(name))
}

/// What becomes of high dynamic range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hdr {
    /// The source has none.
    None,
    /// Ten bits and the tags are carried on.
    Kept,
    /// Mapped to standard range.
    Mapped,
    /// This machine cannot map it: the tags are carried on in eight bits.
    Tagged,
}

impl Hdr {
    /// H.265 and AV1 carry high dynamic range to players that show it; H.264 and VP9 here have eight bits.
    pub(super) fn of(desk: &Desk<'_>, video: &VideoInfo, codec: VideoCodec) -> Self {
        match codec {
            _ if !video.color.is_hdr() => Self::None,
            VideoCodec::H265 | VideoCodec::Av1 => Self::Kept,
            VideoCodec::H264 | VideoCodec::Vp9 => Self::standard(desk, video),
        }
    }

    /// For a target that has standard range only.
    pub(super) fn standard(desk: &Desk<'_>, video: &VideoInfo) -> Self {
        match (video.color.is_hdr(), desk.capabilities.tone_maps()) {
            (false, _) => Self::None,
            (true, true) => Self::Mapped,
            (true, false) => Self::Tagged,
        }
    }

    pub(super) fn filters(self, video: &VideoInfo) -> Vec<String> {
        if self != Self::Mapped {
            return Vec::new();
        }
        let transfer = video.color.transfer.as_deref().unwrap_or("smpte2084");
        // Sources that say PQ or HLG and nothing else mean BT.2020.
        let linear = format!("zscale=tin={transfer}:pin=bt2020:min=bt2020nc:rin=tv:t=linear:npl=100");
        [&linear, "format=gbrpf32le", "zscale=p=bt709", "tonemap=tonemap=hable:desat=0", "zscale=t=bt709:m=bt709:r=tv"]
            .map(str::to_owned)
            .into()
    }

    pub(super) fn note(self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Kept => Some("high dynamic range kept".to_owned()),
            Self::Mapped => Some("high dynamic range mapped to standard".to_owned()),
            Self::Tagged => Some("high dynamic range kept in eight bits, as this server cannot map it".to_owned()),
        }
    }
}

pub(super) fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
