//! Looking at an input: what it is, whether all of it is there, and whether it is within the limits.
//!
//! Nothing is decoded. The kind comes from [`crate::sniff`], the lengths that the container claims from
//! [`crate::mp4`] and [`crate::extent`], the rest from ffprobe, which runs in the sandbox and is forced to the kind.

use std::io::{self, Read as _};
use std::path::Path;

use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::media::{MediaInfo, VideoInfo};

use crate::error::MediaError;
use crate::extent;
use crate::extras::{self, Extras};
use crate::mp4;
use crate::packets::{self, Needed};
use crate::plain;
use crate::report::{Report, Stream};
use crate::settings::Limits;
use crate::sniff::{self, Kind, Sniffed};
use crate::tools::Toolbox;
use crate::wave;

/// An input that was looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// What it holds.
    pub info: MediaInfo,
    /// ffmpeg's name of the demuxer that every tool is forced to.
    pub demuxer: &'static str,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Which stream is [`MediaInfo::video`].
    pub video_index: Option<u32>,
    /// Which stream is [`MediaInfo::audio`].
    pub audio_index: Option<u32>,
    /// How long after the beginning of the file its picture begins, in seconds.
    pub video_start: f64,
    /// How long after the beginning of the file its sound begins, in seconds.
    pub audio_start: f64,
    /// How many samples the decoder of its sound gives at once: a sound may come out longer by as many. Zero where that
    /// is exact.
    pub audio_block: u32,
    /// What it holds beside its picture and its sound.
    pub extras: Extras,
    /// What decoders of its picture are told beforehand, with its unit of time: two pictures with the same one can stand
    /// in one stream. Absent where the container does not tell.
    pub video_setup: Option<String>,
    /// Whether it is one picture rather than a timeline.
    pub still: bool,
    /// Whether its length is measured, by an index or by time stamps, rather than guessed from its bit rate.
    pub measured: bool,
    /// Options that its demuxer always gets.
    pub demuxer_options: &'static [&'static str],
    /// Whether ordinary players play on where ffmpeg complains: streams that are received as they come, and samples whose
    /// number nobody wrote down. Complaints are no damage then; what comes out is counted.
    pub lenient: bool,
    /// How many times its clock jumps, as where recordings were joined.
    pub clock_jumps: u32,
    /// How many frames come before the first one that can be shown, as where it was cut out of a stream.
    pub unshown_frames: u64,
    /// Whether the times of its picture are late by the decoder's delay.
    pub delayed_picture: bool,
    /// What is missing, where the container claims more than there is. Refused when damage is to be strict about.
    pub damage: Option<JobFailure>,
}

/// How many packets are looked at to see which streams hold some.
const FIRST_PACKETS: &str = "%+#500";
/// Containers without an index that would make damage real: players look for the next packet and go on. Samples that are
/// not compressed cannot be damaged at all; what is wrong in them is the header.
const LENIENT: &[&str] = &[
    "mpegts",
    "mpeg",
    "mpegvideo",
    "h264",
    "hevc",
    "m4v",
    "flv",
    "dv",
    "mp3",
    "aac",
    "ac3",
    "eac3",
    "dts",
    "dtshd",
    "amr",
    "wav",
    "w64",
    "au",
    "aiff",
    "caf",
    "voc",
];

/// What our own look at the bytes says.
pub(crate) struct Look {
    pub(crate) kind: Kind,
    size_bytes: u64,
    layout: Option<mp4::Layout>,
    /// Whether it is a WAV that does not say where its samples end.
    pub(crate) open_wave: bool,
    /// How many times as long as what is there a WAV is whose end is missing.
    whole_wave: f64,
    damage: Option<JobFailure>,
}

impl Look {
    /// Whether its media come in fragments, each with an index of its own.
    pub(crate) fn is_fragmented(&self) -> bool {
        self.layout.is_some_and(|layout| layout.fragmented)
    }

    /// Options that the demuxer always gets.
    pub(crate) const fn demuxer_options(&self) -> &'static [&'static str] {
        if self.open_wave { &["-ignore_length", "1"] } else { &[] }
    }
}

pub(crate) async fn probe(toolbox: &Toolbox, input: &Path, scratch: &Path) -> Result<Source, MediaError> {
    let path = input.to_owned();
    let look = tokio::task::spawn_blocking(move || look(&path)).await.map_err(io::Error::other)??;
    let demuxer = look.kind.demuxer;
    let asked = [look.demuxer_options(), &Report::FIRST_PACKETS].concat();
    let report = toolbox.report(input, scratch, demuxer, &asked).await?.map(Report::of_first_packets);
    let Some(mut report) = report else {
        let failure = look.damage.unwrap_or_else(|| {
            let message = format!("the input looks like {} but cannot be parsed", look.kind.format);
            JobFailure::input(Stage::Probing, "input_damaged", message)
        });
        return Err(MediaError::Failed(failure));
    };
    mark_empty(toolbox, input, scratch, &look, &mut report).await?;
    let mut source = judge(&look, &report)?;
    let needed = packets::needed(&look, &source, &report);
    let survey = match needed {
        None => None,
        Some(Needed::Whole) => toolbox.survey(input, scratch, demuxer, look.demuxer_options()).await?,
        Some(Needed::Beginning(stream)) => {
            let stream = stream.to_string();
            let more = ["-select_streams", &stream, "-read_intervals", packets::BEGINNING];
            toolbox.survey(input, scratch, demuxer, &more).await?
        }
    };
    packets::apply(&mut source, &look, &report, needed, survey.as_ref());
    within_limits(&source, &report, &toolbox.settings().limits).map_err(MediaError::Rejected)?;
    if let Some(video) = &mut source.info.video {
        learn_light(toolbox, input, scratch, look.kind.demuxer, video).await?;
    }
    Ok(source)
}

/// How bright a picture of high dynamic range gets often stands in its frames alone, so the first one is looked at.
pub(crate) async fn learn_light(
    toolbox: &Toolbox,
    input: &Path,
    scratch: &Path,
    demuxer: &str,
    video: &mut VideoInfo,
) -> Result<(), MediaError> {
    if video.color.is_hdr() && video.light.is_none() {
        let first = ["-select_streams", "v", "-read_intervals", "%+#1", "-show_frames"];
        let report = toolbox.report(input, scratch, demuxer, &first).await?;
        video.light = report.and_then(|report| report.light_of_frame());
    }
    Ok(())
}

/// Finds the tracks that are declared and hold nothing. Most containers count what they hold; where one does not, its
/// first packets are looked at, and where a track is not among them, the file is read until it comes.
async fn mark_empty(
    toolbox: &Toolbox,
    input: &Path,
    scratch: &Path,
    look: &Look,
    report: &mut Report,
) -> Result<(), MediaError> {
    let demuxer = look.kind.demuxer;
    let mut unsure: Vec<u32> =
        report.streams.iter().filter(|stream| stream.may_be_empty(demuxer)).map(|stream| stream.index).collect();
    let first = ["-show_entries", "packet=stream_index", "-read_intervals", FIRST_PACKETS];
    if !unsure.is_empty() {
        let Some(read) = toolbox.report(input, scratch, demuxer, &first).await? else { return Ok(()) };
        unsure.retain(|index| read.packets.iter().all(|packet| packet.stream_index != *index));
    }
    for index in unsure {
        let index_words = index.to_string();
        let one = ["-show_entries", "packet=stream_index", "-read_intervals", "%+#1", "-select_streams", &index_words];
        let Some(read) = toolbox.report(input, scratch, demuxer, &one).await? else { continue };
        for stream in report.streams.iter_mut().filter(|stream| stream.index == index && read.packets.is_empty()) {
            stream.empty = true;
        }
    }
    Ok(())
}

/// The kind of the file at `path` and what its bytes claim.
pub(crate) fn look(path: &Path) -> Result<Look, MediaError> {
    let mut file = plain::open(path)?;
    let size_bytes = file.metadata()?.len();
    let mut head = Vec::new();
    file.by_ref().take(sniff::HEAD as u64).read_to_end(&mut head)?;
    let kind = match sniff::sniff(&head) {
        Sniffed::Media(kind) => kind,
        Sniffed::Empty => return Err(rejected("empty_file", "the input has no bytes")),
        Sniffed::Other(what) => return Err(rejected("unsupported_media", format!("the input is {what}"))),
    };
    let layout = if kind.demuxer == "mov" { Some(mp4::layout(&mut file, size_bytes)?) } else { None };
    let wave = if kind.demuxer == "wav" { Some(wave::layout(&mut file, size_bytes)?) } else { None };
    let claimed = match (layout, wave) {
        (Some(layout), _) => layout.claimed,
        (None, Some(wave)) => wave.claimed,
        // Programs that write RIFF disagree on whether padding counts.
        (None, None) => extent::claimed(&head, kind.demuxer).filter(|&claimed| claimed > size_bytes + 16),
    };
    let damage = claimed.filter(|&claimed| claimed > size_bytes).map(|claimed| {
        let message = format!("the input ends after {size_bytes} bytes; its {} says {claimed}", kind.format);
        JobFailure::input(Stage::Probing, "input_truncated", message)
    });
    if layout.is_some_and(|layout| !layout.has_index) {
        let message = format!("the input has no index (moov box): the end of the {} is missing", kind.format);
        return Err(MediaError::Failed(JobFailure::input(Stage::Probing, "input_truncated", message)));
    }
    let open_wave = wave.is_some_and(|wave| wave.open);
    let whole_wave = wave.and_then(|wave| {
        let there = size_bytes.checked_sub(wave.start).filter(|&there| there > 0)?;
        Some((wave.claimed? - wave.start) as f64 / there as f64)
    });
    Ok(Look { kind, size_bytes, layout, open_wave, whole_wave: whole_wave.unwrap_or(1.0), damage })
}

/// Joins both looks.
pub(crate) fn judge(look: &Look, report: &Report) -> Result<Source, MediaError> {
    let best = |fits: fn(&Stream) -> bool| {
        let all = || report.streams.iter().filter(|stream| fits(stream));
        all().find(|stream| stream.is_default()).or_else(|| all().next())
    };
    let (video, audio) = (best(Stream::is_video), best(Stream::is_audio));
    if video.is_none() && audio.is_none() {
        return Err(rejected("unsupported_media", "the input has neither a video nor an audio stream"));
    }
    // A still is shown for as long as one likes; ffprobe's answer to that is the length of one frame.
    let duration_seconds = report.format.duration_seconds().filter(|_| !look.kind.still);
    // ffprobe tells how long the samples are that are there.
    let whole = |seconds: f64| seconds * look.whole_wave;
    let mut video_info = video.map(Stream::video);
    if let Some(video) = video_info.as_mut().filter(|_| look.kind.still) {
        (video.frame_rate, video.duration_seconds, video.frames) = (None, None, Some(1));
    }
    let mut audio_info = audio.map(Stream::audio);
    if let Some(audio) = audio_info.as_mut() {
        audio.duration_seconds = audio.duration_seconds.map(whole);
    }
    let info = MediaInfo {
        format: look.kind.format.to_owned(),
        duration_seconds: duration_seconds.map(whole),
        bit_rate: report.format.bit_rate().filter(|_| !look.kind.still),
        video: video_info,
        audio: audio_info,
        streams: u32::try_from(report.streams.len()).unwrap_or(u32::MAX),
        fast_start: look.layout.map(|layout| layout.index_first),
    };
    Ok(Source {
        info,
        demuxer: look.kind.demuxer,
        size_bytes: look.size_bytes,
        video_index: video.map(|stream| stream.index),
        audio_index: audio.map(|stream| stream.index),
        video_start: video.map_or(0.0, |stream| stream.begins_after(&report.format)),
        audio_start: audio.map_or(0.0, |stream| stream.begins_after(&report.format)),
        audio_block: audio.map_or(0, Stream::block),
        extras: extras::extras(report, look.kind.demuxer),
        video_setup: video.and_then(Stream::setup),
        still: look.kind.still,
        measured: look.kind.measured,
        demuxer_options: look.demuxer_options(),
        lenient: LENIENT.contains(&look.kind.demuxer),
        clock_jumps: 0,
        unshown_frames: 0,
        delayed_picture: look.kind.demuxer == "avi" && video.is_some_and(Stream::is_reordered),
        damage: look.damage.clone(),
    })
}

fn within_limits(source: &Source, report: &Report, limits: &Limits) -> Result<(), JobFailure> {
    let over = |what: &str| Err(JobFailure::input(Stage::Probing, "over_limit", format!("the input {what}")));
    let pixels = report.streams.iter().filter(|stream| stream.is_video()).map(Stream::coded_pixels).max();
    if let Some(pixels) = pixels.filter(|&pixels| pixels > limits.pixels) {
        return over(&format!("has {pixels} pixels a frame; the limit is {}", limits.pixels));
    }
    let shown = source.info.video.as_ref().map_or(0, |video| u64::from(video.width) * u64::from(video.height));
    // Absurd pixel aspects make a small picture large.
    if shown > limits.pixels.saturating_mul(2) {
        return over(&format!("is shown with {shown} pixels a frame; the limit is {}", limits.pixels));
    }
    let rate = source.info.video.as_ref().and_then(|video| video.frame_rate);
    if let Some(rate) = rate.filter(|&rate| rate > limits.frame_rate) {
        return over(&format!("has {rate:.2} frames per second; the limit is {}", limits.frame_rate));
    }
    let longest = limits.duration.as_secs_f64();
    if let Some(length) = source.info.duration_seconds.filter(|&length| length > longest) {
        return over(&format!("is {length:.1} seconds long; the limit is {longest}"));
    }
    if source.info.streams > limits.streams {
        return over(&format!("has {} streams; the limit is {}", source.info.streams, limits.streams));
    }
    if report.chapters.len() > limits.chapters as usize {
        return over(&format!("has {} chapters; the limit is {}", report.chapters.len(), limits.chapters));
    }
    Ok(())
}

fn rejected(code: &str, message: impl Into<String>) -> MediaError {
    MediaError::Rejected(JobFailure::input(Stage::Probing, code, message))
}
