//! How a picture stream is encoded: encoder, rate, filters, and what the result will be.

use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::media::VideoInfo;
use reelhook_domain::recipe::{Format, Quality, VideoCodec};

use super::Desk;
use super::color::{self, Alpha, Hdr, Meaning};
use super::geometry::{Samples, Target};
use crate::seen::Likeness;
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

/// Fewer bits than this for a pixel leave little of a picture.
const FEW_BITS: f64 = 0.06;

impl Wish {
    /// How close the result comes to its source at that rate.
    pub(super) fn likeness(&self, video: &VideoInfo) -> Likeness {
        let rough = match self.rate {
            Rate::Factor(crf) => match self.codec {
                VideoCodec::H264 | VideoCodec::H265 => crf > 40,
                VideoCodec::Vp9 | VideoCodec::Av1 => crf > 52,
            },
            Rate::Bits(kbps) | Rate::Budget(kbps) => {
                let rate = self.frame_rate.or(video.frame_rate).unwrap_or(25.0).max(1.0);
                let pixels = f64::from(self.size.0) * f64::from(self.size.1) * rate;
                f64::from(kbps) * 1000.0 / pixels < FEW_BITS
            }
        };
        if rough { Likeness::Rough } else { Likeness::Encoded }
    }
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

/// How the source's picture is encoded, and what it will be.
#[derive(Debug, Clone)]
pub(super) struct Encoding {
    pub(super) track: VideoTrack,
    pub(super) expect: VideoExpectation,
    /// Whether it carries transparency.
    pub(super) alpha: bool,
    pub(super) plan: StreamPlan,
}

/// Plans the encoding of the source's picture.
///
/// # Errors
/// `encoder_missing` where this machine has none for the codec, `target_too_small` where it does not take the size.
pub(super) fn encode(desk: &Desk<'_>, video: &VideoInfo, wish: &Wish) -> Result<Encoding, JobFailure> {
    let name = choose(desk, wish)?;
    let hdr = Hdr::of(desk, video, wish.codec);
    let carries = wish.codec == VideoCodec::Vp9 && matches!(wish.format, Format::Webm | Format::Mkv);
    let alpha = Alpha::of(video.has_alpha(), carries, Alpha::OnBlack);
    let deep = color::depth(video) > 8;
    let keeps_depth = deep && alpha == Alpha::None && matches!(wish.codec, VideoCodec::H265 | VideoCodec::Av1);
    let samples = match (alpha, keeps_depth || hdr == Hdr::Kept) {
        (Alpha::Kept, _) => "yuva420p",
        (_, true) => "yuv420p10le",
        (_, false) => "yuv420p",
    };
    let target = Target { frame_rate: wish.frame_rate, size: wish.size, samples: Samples::Video(samples), hdr, alpha };
    let (filters, mut notes) = target.filters(desk, video);
    notes.insert(0, wish.reason.clone());
    match (deep, keeps_depth) {
        (true, true) if hdr == Hdr::None => notes.push("10 bits kept".to_owned()),
        (true, false) if hdr == Hdr::None => {
            notes.push(format!("{} bits brought to 8, as players of {} expect", color::depth(video), wish.codec));
        }
        _ => {}
    }
    let mut options = rate_options(name, wish);
    if wish.codec == VideoCodec::H265 && matches!(wish.format, Format::Mp4 | Format::Mov) {
        // Apple's players take no other tag.
        options.extend(words(&["-tag:v", "hvc1"]));
    }
    if alpha == Alpha::Kept {
        // With the frames that are never shown alpha and colour would not stay together.
        options.extend(words(&["-auto-alt-ref", "0"]));
    }
    let light = video.light.filter(|_| hdr == Hdr::Kept);
    let written = light.map(|light| color::light_parameters(name, &light)).unwrap_or_default();
    if let Some(option) = private_parameters(name).filter(|_| !written.is_empty()) {
        options.extend(words(&[option, &written.join(":")]));
        notes.push("its light levels kept".to_owned());
    }
    options.extend(match wish.keys {
        Keys::Free => Vec::new(),
        Keys::EverySecond => words(&["-force_key_frames:v", "expr:gte(t,n_forced)"]),
        Keys::EveryFrame => words(&["-g:v", "1", "-keyint_min:v", "1"]),
        Keys::Segments(grid) => grid.options(name),
    });
    let encoder = Encoder { name: name.to_owned(), options };
    let uneven = video.variable_frame_rate && wish.frame_rate.is_none();
    let expect = VideoExpectation {
        colors: Some(if hdr == Hdr::Mapped { Meaning::bt709() } else { Meaning::of(video) }.expectation()),
        light: light.filter(|_| !written.is_empty()),
        ..VideoExpectation::new(wish.codec.as_str(), wish.size)
    };
    let track = VideoTrack::Encode { filters, encoder, uneven, palette: false };
    let plan = StreamPlan::new("video", "encode", notes.join("; "));
    Ok(Encoding { track, expect, alpha: alpha == Alpha::Kept, plan })
}

/// The option of an encoder that holds parameters of its own, separated by colons.
pub(crate) fn private_parameters(encoder: &str) -> Option<&'static str> {
    match encoder {
        "libx265" => Some("-x265-params"),
        "libsvtav1" => Some("-svtav1-params"),
        _ => None,
    }
}

/// The shortest side that an encoder takes.
fn shortest_side(encoder: &str) -> u32 {
    match encoder {
        "libsvtav1" => 64,
        "libx265" => 16,
        _ => 2,
    }
}

fn choose(desk: &Desk<'_>, wish: &Wish) -> Result<&'static str, JobFailure> {
    let candidates: &[&'static str] = match wish.codec {
        VideoCodec::H264 => &["libx264"],
        VideoCodec::H265 => &["libx265"],
        VideoCodec::Vp9 => &["libvpx-vp9"],
        // The second takes any size, slowly.
        VideoCodec::Av1 => &["libsvtav1", "libaom-av1"],
    };
    let there: Vec<_> = candidates.iter().copied().filter(|name| desk.capabilities.encodes(name)).collect();
    let (width, height) = wish.size;
    let least = there.iter().map(|name| shortest_side(name)).min().ok_or_else(|| missing(wish.codec.as_str()))?;
    there.into_iter().find(|name| width.min(height) >= shortest_side(name)).ok_or_else(|| {
        let message = format!("the video would be {width}x{height}; {} needs at least {least}x{least}", wish.codec);
        JobFailure::request(Stage::Planning, "target_too_small", message)
    })
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

pub(super) fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
