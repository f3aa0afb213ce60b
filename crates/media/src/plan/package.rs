//! `package`: renditions for adaptive streaming, decoded once, with key frames where segments begin.
//!
//! All renditions have segments of the same length: the nearest whole number of frames of the slowest one. Frames come
//! evenly, as encoders can only then be told how many make a segment. The sound is encoded once for all.

use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::media::VideoInfo;
use reelhook_domain::recipe::{Fit, Format, Package, Quality, Rendition, SegmentFormat, Size};

use super::video::{Encoding, Grid, Keys, Rate, Wish, encode, missing, tier, tier_words};
use super::{Design, Desk, Place, audio, size, timeline};
use crate::package::{self, PackageExpectation, Packaging, TrackExpectation};
use crate::plan::Damage;
use crate::probe::Source;
use crate::seen::{Likeness, SeenExpectation};
use crate::step::{AudioTrack, Making, Passes, StreamPlan, VideoTrack, Window};

/// Frames a second where nobody knows.
const FALLBACK_RATE: f64 = 25.0;
/// Most segments of all renditions together: each is a file of its own.
const MOST_SEGMENTS: f64 = 20_000.0;

/// How much of the beginning of a rendition may be looked at, in seconds.
const COMPARED: f64 = 20.0;

/// A rendition that is made.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Chosen<'a> {
    pub(super) rendition: &'a Rendition,
    pub(super) size: (u32, u32),
    /// Whether a larger one was asked for.
    above: bool,
}

/// The renditions that are made of a picture, and why others are not: one above the source is made at the source's size,
/// unless there is one of that size and codec.
pub(super) fn chosen<'a>(video: &VideoInfo, package: &'a Package) -> (Vec<Chosen<'a>>, Vec<String>) {
    let all = package.video.iter().map(|rendition| {
        let of = |wish: &Size| size::target(video, wish, Fit::Inside, size::Sides::Even);
        let size = of(&rendition.size);
        Chosen { rendition, size, above: of(&Size { enlarge: true, ..rendition.size }) != size }
    });
    let all: Vec<Chosen<'_>> = all.collect();
    let (mut kept, mut dropped) = (Vec::<Chosen<'_>>::new(), Vec::new());
    for (place, one) in all.iter().enumerate() {
        let alike = |other: &Chosen<'_>| {
            let (a, b) = (one.rendition, other.rendition);
            a.codec == b.codec && one.size == other.size && a.frame_rate == b.frame_rate
        };
        let repeats = one.above && (kept.iter().any(alike) || all[place + 1..].iter().any(|o| !o.above && alike(o)));
        if repeats {
            let (codec, (width, height)) = (one.rendition.codec, one.size);
            let asked = asked(&one.rendition.size);
            dropped.push(format!("{codec} {asked} is above the source; {width}x{height} is there already"));
        } else {
            kept.push(one.clone());
        }
    }
    (kept, dropped)
}

fn asked(size: &Size) -> String {
    let side = |side: Option<u32>| side.map_or_else(|| "?".to_owned(), |side| side.to_string());
    match size.resolution {
        Some(resolution) => resolution.to_string(),
        None => format!("{}x{}", side(size.width), side(size.height)),
    }
}

pub(super) fn design(desk: &Desk<'_>, package: &Package) -> Result<Design, JobFailure> {
    let info = desk.video()?;
    let muxer = if package.segment_format == SegmentFormat::Ts { "hls" } else { "dash" };
    if !desk.capabilities.muxers.contains(muxer) {
        return Err(missing(muxer));
    }
    let (chosen, dropped) = chosen(info, package);
    let own = info.frame_rate.unwrap_or(FALLBACK_RATE);
    let rate = |one: &Chosen<'_>| one.rendition.frame_rate.unwrap_or(own);
    let slowest = chosen.iter().map(rate).fold(f64::MAX, f64::min);
    let segment_seconds = (f64::from(package.segment_seconds) * slowest).round().max(1.0) / slowest;
    let length = timeline::length(desk.source, true, false);
    few_enough(length.unwrap_or(0.0) / segment_seconds * (chosen.len() + 1) as f64)?;
    let (mut renditions, mut tracks, mut streams) = (Vec::new(), Vec::new(), Vec::new());
    for one in &chosen {
        let name = name(one, &tracks);
        let wish = wish(package, one, segment_seconds, rate(one), info.variable_frame_rate);
        let Encoding { track, expect, plan, .. } = encode(desk, info, &wish)?;
        let VideoTrack::Encode { filters, encoder, .. } = track else { continue };
        renditions.push(package::Rendition { filters, encoder });
        let even = Some(wish.frame_rate);
        tracks.push(TrackExpectation {
            video: Some(expect),
            audio: None,
            frame_rate: Some(rate(one)),
            duration: timeline::span(desk.source, length, Format::Mp4, even, &AudioTrack::None),
            frames: timeline::frames(desk.source, info, wish.frame_rate, desk.damage),
            seen: (desk.damage == Damage::Strict).then(|| seen(desk.source, wish.likeness(info), length)),
            name: name.clone(),
        });
        streams.push(StreamPlan { reason: format!("{name}: {}", plan.reason), ..plan });
    }
    streams.extend(dropped.into_iter().map(|reason| StreamPlan::new("video", "drop", reason)));
    let (sound, sound_expect) = sound(desk, package, &mut streams)?;
    let length = timeline::length(desk.source, false, true);
    tracks.extend(sound_expect.map(|expect| TrackExpectation {
        name: "audio".to_owned(),
        video: None,
        audio: Some(expect),
        frame_rate: None,
        duration: timeline::span(desk.source, length, Format::Mp4, None, &sound),
        frames: None,
        seen: None,
    }));
    let uneven = chosen.iter().any(|one| (rate(one) - slowest).abs() > 1e-6);
    let early = if uneven { 1.5 } else { 0.5 } / slowest;
    let duration = tracks.first().and_then(|track| track.duration);
    let expect = PackageExpectation {
        kind: package.kind,
        segment_format: package.segment_format,
        segment_seconds,
        shape: shape(info),
        tracks,
    };
    Ok(Design {
        making: Some(Making { video: VideoTrack::Package(Packaging { renditions, early }), audio: sound }),
        streams,
        duration,
        package: Some(expect),
        ..Design::new(PackageExpectation::format(package.kind), Place::Own(Window::Whole, Passes::One))
    })
}

/// How the picture of a rendition relates to that of the source, whose first frame is the rendition's first one. Only its
/// beginning is looked at: in joined segments a later frame is found by decoding all before it.
fn seen(source: &Source, likeness: Likeness, length: Option<f64>) -> SeenExpectation {
    let seconds = length.unwrap_or(1.0).min(COMPARED);
    SeenExpectation { start: source.video_start, seconds, stretched: false, changing: false, likeness }
}

/// The shape of a picture in the smallest whole numbers.
fn shape(video: &VideoInfo) -> (u32, u32) {
    let (mut divisor, mut rest) = (video.width.max(1), video.height.max(1));
    while rest > 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    (video.width.max(1) / divisor, video.height.max(1) / divisor)
}

fn few_enough(segments: f64) -> Result<(), JobFailure> {
    if segments <= MOST_SEGMENTS {
        return Ok(());
    }
    let message =
        format!("there would be {segments:.0} segments; the limit is {MOST_SEGMENTS}; increase segment_seconds");
    Err(JobFailure::request(Stage::Planning, "over_limit", message))
}

fn wish(package: &Package, one: &Chosen<'_>, segment_seconds: f64, rate: f64, uneven: bool) -> Wish {
    let Rendition { codec, quality, bitrate_kbps, frame_rate, .. } = *one.rendition;
    let (bits, reason) = match bitrate_kbps {
        Some(kbps) => (Rate::Bits(kbps), format!("{kbps} kbit/s requested")),
        None => (Rate::Factor(tier(codec, quality).1), tier_words(codec, quality)),
    };
    let frames = (segment_seconds * rate).round().max(1.0);
    let exact = (segment_seconds * rate - frames).abs() < 0.01;
    let keys = Keys::Segments(Grid { frames: frames as u32, seconds: segment_seconds, exact });
    // What only mp4 needs is not written into transport streams.
    let format = if package.segment_format == SegmentFormat::Ts { Format::Hls } else { Format::Mp4 };
    let reason = if one.above { format!("{reason}; not enlarged") } else { reason };
    let frame_rate = frame_rate.or(uneven.then_some(rate));
    Wish { codec, format, quality, rate: bits, size: one.size, frame_rate, keys, reason }
}

/// `h264_720p`, and `h264_720p_2` for the second one of that kind.
fn name(one: &Chosen<'_>, others: &[TrackExpectation]) -> String {
    let name = format!("{}_{}p", one.rendition.codec, one.size.0.min(one.size.1));
    let taken = |name: &str| others.iter().any(|other| other.name == name);
    let numbered = (2..).map(|number| format!("{name}_{number}"));
    std::iter::once(name.clone()).chain(numbered).find(|name| !taken(name)).unwrap_or(name)
}

fn sound(
    desk: &Desk<'_>,
    package: &Package,
    streams: &mut Vec<StreamPlan>,
) -> Result<(AudioTrack, Option<crate::verify::AudioExpectation>), JobFailure> {
    let Some(info) = &desk.source.info.audio else { return Ok((AudioTrack::None, None)) };
    let quality = package.video.iter().map(|rendition| rendition.quality).next().unwrap_or(Quality::Standard);
    let copy = audio::Copy::Never("encoded once for all renditions");
    let wish = audio::Wish { format: Format::Mp4, copy, kbps: None, quality };
    let (track, expect, plan) = audio::carry(desk, info, wish)?;
    streams.push(plan);
    Ok((track, expect))
}
