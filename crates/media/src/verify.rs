//! Measuring a product against what the plan expects: only what passes is a product.

use std::io;
use std::path::Path;

use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::media::{Color, Light, MediaInfo, SampleDepth, VideoInfo, has_alpha};
use reelhook_domain::recipe::Format;
use serde::{Deserialize, Serialize};

use crate::beside::Compared;
use crate::error::MediaError;
use crate::extras::{self, ExtrasExpectation};
use crate::heard::HeardExpectation;
use crate::loudness::Leveled;
use crate::package::{self, MadePart, PackageExpectation};
use crate::pictures::{sequence, webp};
use crate::plain;
use crate::plan::Damage;
use crate::plan::tracks::has_languages;
use crate::probe::{self, Source};
use crate::promise::Promise;
use crate::report::{Report, Stream};
use crate::seen::SeenExpectation;
use crate::tools::Toolbox;

/// What a product has to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Expectation {
    /// Its format.
    pub format: Format,
    /// Its length; absent where the source's own is a guess, and for stills.
    pub duration: Option<Span>,
    /// Its number of frames; absent where the source's is not known.
    pub frames: Option<Frames>,
    /// Its picture; absent where it has none.
    pub video: Option<VideoExpectation>,
    /// Its sound; absent where it has none.
    pub audio: Option<AudioExpectation>,
    /// Whether its picture carries alpha; where it does not have to, it may.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub alpha: bool,
    /// Whether its index comes first.
    pub fast_start: bool,
    /// Its largest size in bytes, where the caller gave one.
    pub max_bytes: Option<u64>,
    /// Whether it may be shorter than it should be.
    pub damage: Damage,
    /// Whether nobody knows what it holds, only that it holds something: then its format and its streams are looked at.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub any_content: bool,
    /// What it has to be as a package, where it is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub package: Option<PackageExpectation>,
    /// What it has to hold beside its picture and its sound, where it carries something.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub extras: Option<ExtrasExpectation>,
    /// What else its recipe promises.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub promise: Option<Promise>,
    /// How its picture relates to that of the source, where it is the same picture.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub seen: Option<SeenExpectation>,
    /// How its sound relates to that of the source, where it is the same sound.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub heard: Option<HeardExpectation>,
    /// Set where the product is the source itself, to the source's size in bytes: then only this is compared.
    pub kept_source: Option<u64>,
}

/// A length with its tolerance, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// How long.
    pub seconds: f64,
    /// How far off it may be, either way.
    pub tolerance: f64,
}

/// A number of frames with its tolerance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frames {
    /// How many.
    pub count: u64,
    /// How far off it may be, either way.
    pub tolerance: u64,
}

/// What a picture stream has to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VideoExpectation {
    /// Codec, by our word for it.
    pub codec: String,
    /// Width as shown, in pixels.
    pub width: u32,
    /// Height as shown, in pixels.
    pub height: u32,
    /// In which colours its numbers are tagged to be; absent where the format has no such tags.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub colors: Option<ColorExpectation>,
    /// How bright it says that it gets, where it has to say so.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub light: Option<Light>,
}

/// In which colours a picture's numbers are tagged to be, by ffmpeg's names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColorExpectation {
    /// The matrix between luma, chroma and red, green and blue.
    pub matrix: String,
    /// The transfer between numbers and light.
    pub transfer: String,
}

impl VideoExpectation {
    /// A picture of that codec and size, with nothing expected of its tags.
    pub(crate) fn new(codec: &str, (width, height): (u32, u32)) -> Self {
        Self { codec: codec.to_owned(), width, height, colors: None, light: None }
    }
}

impl ColorExpectation {
    /// Names that stand for the same numbers are the same.
    ///
    /// # Source
    /// ITU-T H.273, tables 3 and 4.
    fn check(&self, measured: &Color) -> Check {
        let matrix = |name: &str| if matches!(name, "bt470bg" | "smpte170m") { "bt601" } else { name }.to_owned();
        let transfer = |name: &str| {
            let same = matches!(name, "bt709" | "smpte170m" | "bt2020-10" | "bt2020-12");
            if same { "bt709" } else { name }.to_owned()
        };
        let unknown = || "unknown".to_owned();
        let found =
            (measured.matrix.clone().unwrap_or_else(unknown), measured.transfer.clone().unwrap_or_else(unknown));
        let passed = matrix(&self.matrix) == matrix(&found.0) && transfer(&self.transfer) == transfer(&found.1);
        let words = |matrix: &str, transfer: &str| format!("matrix {matrix}, transfer {transfer}");
        Check::new("colors", passed, words(&self.matrix, &self.transfer), words(&found.0, &found.1))
    }
}

/// What an audio stream has to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioExpectation {
    /// Codec, by our word for it.
    pub codec: String,
    /// Number of channels.
    pub channels: u32,
    /// How exact its samples are, where it was encoded by a codec that keeps all of them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub depth: Option<SampleDepth>,
}

/// What a product was found to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// What it holds.
    pub info: MediaInfo,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// What was compared.
    pub checks: Vec<Check>,
    /// How much of the source is missing from it, in seconds, where damage was salvaged.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lost_seconds: Option<f64>,
    /// The files that it names, where it is a package.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub parts: Vec<MadePart>,
    /// How loud it is and its source was, where that is what was asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub loudness: Option<Leveled>,
}

/// One comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What was compared: `size`, `format`, `video`, `audio`, `depth`, `alpha`, `duration`, `frames`, `fast_start`,
    /// `max_bytes`, `streams`, `sounds`, `subtitles`, `attachments`, `covers`, `chapters`, `tags`, `loudness`,
    /// `heard`, `seen`.
    pub name: String,
    /// Whether it is as it has to be.
    pub passed: bool,
    /// How it has to be.
    pub expected: String,
    /// How it is.
    pub measured: String,
}

impl Check {
    pub(crate) fn new(name: &str, passed: bool, expected: impl Into<String>, measured: impl Into<String>) -> Self {
        Self { name: name.to_owned(), passed, expected: expected.into(), measured: measured.into() }
    }
}

pub(crate) async fn verify(
    toolbox: &Toolbox,
    expect: &Expectation,
    file: &Path,
    scratch: &Path,
) -> Result<Receipt, MediaError> {
    measure(toolbox, expect, file, scratch, None).await.map(|(receipt, _)| receipt)
}

/// Refuses a product that is not a plain file. A source that is kept may have other names, which are ours.
fn plain_file(expect: &Expectation, file: &Path) -> Result<(), MediaError> {
    let opened = if expect.kept_source.is_some() { plain::open(file) } else { plain::open_made(file) };
    match opened {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(broken("it is not there")),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(broken(&error.to_string())),
        Err(error) => Err(error.into()),
    }
}

/// The receipt, and what ffprobe told, where it was asked. The renditions of a package are compared with its source here.
pub(crate) async fn measure(
    toolbox: &Toolbox,
    expect: &Expectation,
    file: &Path,
    scratch: &Path,
    compared: Option<Compared<'_>>,
) -> Result<(Receipt, Option<Source>), MediaError> {
    plain_file(expect, file)?;
    if let Some(package) = &expect.package {
        return package::measure(toolbox, expect, package, file, scratch, compared)
            .await
            .map(|receipt| (receipt, None));
    }
    if let Some(promise) = &expect.promise
        && promise.is_measured_whole()
    {
        return Ok((toolbox.reader(file, scratch).measure(expect, promise, file).await?, None));
    }
    if matches!(expect.format, Format::PngSequence | Format::Webp)
        && let Some((info, size_bytes)) = toolbox.reader(file, scratch).measure_pictures(expect.format, file).await?
    {
        return receipt(expect, info, size_bytes, Vec::new()).map(|receipt| (receipt, None));
    }
    let path = file.to_owned();
    let seen = tokio::task::spawn_blocking(move || probe::look(&path)).await.map_err(io::Error::other)?;
    let look = match seen {
        Ok(look) => look,
        Err(MediaError::Io(error)) if error.kind() == io::ErrorKind::NotFound => return Err(broken("it is not there")),
        Err(MediaError::Rejected(failure) | MediaError::Failed(failure)) => return Err(broken(&failure.message)),
        Err(other) => return Err(other),
    };
    // Containers that do not tell their number of frames are read through; nothing is decoded.
    let bare = expect.format == Format::Adts && expect.kept_source.is_none();
    let counted =
        bare || (matches!(expect.format, Format::Webm | Format::Mkv | Format::Gif) && expect.frames.is_some());
    let more: &[&str] = if counted { &["-count_packets"] } else { &[] };
    let Some(report) = toolbox.report(file, scratch, look.kind.demuxer, more).await? else {
        return Err(broken("it cannot be read"));
    };
    let mut measured = match probe::judge(&look, &report) {
        Ok(source) if bare => with_counted_length(source, &report),
        Ok(source) => source,
        Err(MediaError::Rejected(failure)) => return Err(broken(&failure.message)),
        Err(other) => return Err(other),
    };
    if expect.duration.is_some() && measured.info.duration_seconds.is_none() {
        // A copy of what was streamed tells its length no more than the source did.
        let survey = toolbox.survey(file, scratch, look.kind.demuxer, &[]).await?;
        measured.info.duration_seconds = survey.and_then(|survey| survey.seconds());
    }
    let shown = shown(&measured);
    if let Some(damage) = measured.damage.as_ref().filter(|_| expect.kept_source.is_none()) {
        return Err(broken(&damage.message));
    }
    if let (Some(_), Some(video)) = (expect.video.as_ref().and_then(|video| video.light), &mut measured.info.video) {
        probe::learn_light(toolbox, file, scratch, look.kind.demuxer, video).await?;
    }
    let mut info = measured.info.clone();
    let more = match &expect.extras {
        Some(expected) => {
            // A further track or subtitles that go on make the file longer than what was planned for.
            info.duration_seconds = shown.or(info.duration_seconds);
            extras::checks(expected, &measured.extras, has_languages(expect.format))
        }
        None => Vec::new(),
    };
    let receipt = receipt(expect, info, measured.size_bytes, more)?;
    let receipt = match &expect.promise {
        Some(promise) => promise.keep(toolbox, file, scratch, receipt).await?,
        None => receipt,
    };
    Ok((receipt, Some(measured)))
}

/// How long it is from where the first of its picture and its sound begins to where the last ends, where both tell.
fn shown(source: &Source) -> Option<f64> {
    let video = source.info.video.as_ref().map(|video| (source.video_start, video.duration_seconds));
    let audio = source.info.audio.as_ref().map(|audio| (source.audio_start, audio.duration_seconds));
    let mut begins = f64::MAX;
    let mut ends: f64 = 0.0;
    for (start, length) in [video, audio].into_iter().flatten() {
        begins = begins.min(start);
        ends = ends.max(start + length?);
    }
    (ends > begins).then_some(ends - begins)
}

/// What holds many pictures and is no media to ffprobe, measured by our own reading of it.
pub(crate) fn read_pictures(format: Format, file: &Path) -> Result<Option<(MediaInfo, u64)>, MediaError> {
    let read = match format {
        Format::PngSequence => sequence::measure,
        Format::Webp => webp::measure,
        _ => return Ok(None),
    };
    let measured = plain::open_made(file).and_then(|mut file| {
        let size_bytes = file.metadata()?.len();
        Ok(read(&mut file)?.map(|info| (info, size_bytes)))
    });
    match measured {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(broken("it is not there")),
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) => {
            Err(broken(&error.to_string()))
        }
        other => Ok(other?),
    }
}

fn receipt(expect: &Expectation, info: MediaInfo, size_bytes: u64, more: Vec<Check>) -> Result<Receipt, MediaError> {
    let mut checks = compare(expect, &info, size_bytes);
    if expect.kept_source.is_none() {
        checks.extend(more);
    }
    if let Some(failure) = failure(&checks) {
        return Err(MediaError::Failed(failure));
    }
    let lost_seconds = lost(expect, &info);
    Ok(Receipt { info, size_bytes, checks, lost_seconds, parts: Vec::new(), loudness: None })
}

/// A bare stream has no index to tell its length by; its packets of 1024 samples do.
fn with_counted_length(mut source: Source, report: &Report) -> Source {
    let packets = report.streams.first().and_then(Stream::read_packets);
    if let (Some(packets), Some(audio)) = (packets, &mut source.info.audio) {
        let seconds = packets as f64 * 1024.0 / f64::from(audio.sample_rate.max(1));
        audio.duration_seconds = Some(seconds);
        source.info.duration_seconds = Some(seconds);
    }
    source
}

/// All comparisons that the expectation calls for.
fn compare(expect: &Expectation, info: &MediaInfo, size_bytes: u64) -> Vec<Check> {
    if let Some(source) = expect.kept_source {
        return vec![Check::new(
            "size",
            size_bytes == source,
            format!("{source} bytes"),
            format!("{size_bytes} bytes"),
        )];
    }
    let mut checks = vec![
        Check::new("size", size_bytes > 0, "more than 0 bytes", format!("{size_bytes} bytes")),
        Check::new("format", info.format == container(expect.format), container(expect.format), &*info.format),
    ];
    if expect.any_content {
        let holds = info.video.is_some() || info.audio.is_some();
        checks.push(Check::new("streams", holds, "a picture or sound", if holds { "there" } else { "none" }));
        return checks;
    }
    let picture = |codec: &str, width, height| format!("{codec} {width}x{height}");
    let expected = expect.video.as_ref().map(|video| picture(&video.codec, video.width, video.height));
    let measured = info.video.as_ref().map(|video| picture(&video.codec, video.width, video.height));
    checks.push(alike("video", expected, measured));
    let sound = |codec: &str, channels| format!("{codec}, {channels} channels");
    let expected = expect.audio.as_ref().map(|audio| sound(&audio.codec, audio.channels));
    let measured = info.audio.as_ref().map(|audio| sound(&audio.codec, audio.channels));
    checks.push(alike("audio", expected, measured));
    if let Some(depth) = expect.audio.as_ref().and_then(|audio| audio.depth) {
        let measured = info.audio.as_ref().and_then(|audio| audio.depth);
        let words = |depth: SampleDepth| depth.to_string();
        checks.push(alike("depth", Some(words(depth)), measured.map(words)));
    }
    if expect.alpha {
        let samples = info.video.as_ref().and_then(|video| video.pixel_format.clone());
        let passed = samples.as_deref().is_some_and(has_alpha);
        checks.push(Check::new("alpha", passed, "samples with alpha", samples.unwrap_or_else(|| "unknown".to_owned())));
    }
    checks.extend(expect.duration.map(|span| {
        let check = duration(expect, span, info.duration_seconds);
        if is_unchanging(expect, info) {
            Check { passed: true, measured: UNCHANGING.to_owned(), ..check }
        } else {
            check
        }
    }));
    if let (Some(expected), Some(video)) = (expect.frames, &info.video) {
        checks.push(frames("frames", expected, video.frames));
    }
    if expect.fast_start {
        checks.push(Check::new(
            "fast_start",
            info.fast_start == Some(true),
            "index first",
            match info.fast_start {
                Some(true) => "index first",
                Some(false) => "index last",
                None => "no index",
            },
        ));
    }
    if let (Some(expected), Some(measured)) = (&expect.video, &info.video) {
        checks.extend(looks("", expected, measured));
    }
    if let Some(most) = expect.max_bytes {
        let expected = format!("at most {most} bytes");
        checks.push(Check::new("max_bytes", size_bytes <= most, expected, format!("{size_bytes} bytes")));
    }
    checks
}

/// The comparisons of a picture's tags; their names begin with `called`.
pub(crate) fn looks(called: &str, expected: &VideoExpectation, measured: &VideoInfo) -> Vec<Check> {
    let mut checks = Vec::new();
    checks.extend(expected.colors.as_ref().map(|colors| colors.check(&measured.color)));
    checks.extend(expected.light.map(|light| {
        let words = |light: Option<Light>| light.map_or_else(|| "not told".to_owned(), |light| light_words(&light));
        Check::new("light", measured.light == Some(light), words(Some(light)), words(measured.light))
    }));
    checks.into_iter().map(|check| Check { name: format!("{called}{}", check.name), ..check }).collect()
}

fn light_words(light: &Light) -> String {
    let number = |number: Option<u32>| number.map_or_else(|| "?".to_owned(), |number| number.to_string());
    let display = light.mastering_display.map_or_else(
        || "no mastering display".to_owned(),
        |display| {
            let nits = |luminance: u32| f64::from(luminance) / 10_000.0;
            format!("mastering display of {} to {} cd/m2", nits(display.min_luminance), nits(display.max_luminance))
        },
    );
    format!("{display}, MaxCLL {}, MaxFALL {}", number(light.max_content), number(light.max_average))
}

/// How long a picture is shown that nothing follows.
const UNCHANGING: &str = "one picture, as nothing in it changes";

/// Whether it is an animation of one picture: the encoder of WebP makes one of all that are the same, and a still of one.
fn is_unchanging(expect: &Expectation, info: &MediaInfo) -> bool {
    let frames = info.video.as_ref().and_then(|video| video.frames);
    expect.format == Format::Webp && expect.frames.is_none() && frames == Some(1)
}

pub(crate) fn frames(name: &str, expected: Frames, measured: Option<u64>) -> Check {
    let passed = measured.is_some_and(|frames| frames.abs_diff(expected.count) <= expected.tolerance);
    let measured = measured.map_or_else(|| "unknown".to_owned(), |frames| frames.to_string());
    Check::new(name, passed, within(expected.count, expected.tolerance), measured)
}

pub(crate) fn alike(name: &str, expected: Option<String>, measured: Option<String>) -> Check {
    let passed = expected == measured;
    let words = |side: Option<String>| side.unwrap_or_else(|| "none".to_owned());
    Check::new(name, passed, words(expected), words(measured))
}

fn within(count: u64, tolerance: u64) -> String {
    if tolerance == 0 { count.to_string() } else { format!("{count} +- {tolerance}") }
}

pub(crate) fn duration(expect: &Expectation, span: Span, measured: Option<f64>) -> Check {
    let passed = measured.is_some_and(|seconds| {
        let close = (seconds - span.seconds).abs() <= span.tolerance;
        close || (expect.damage == Damage::Salvage && seconds > 0.0 && seconds < span.seconds)
    });
    let expected = format!("{:.3} s +- {:.3}", span.seconds, span.tolerance);
    let measured = measured.map_or_else(|| "unknown".to_owned(), |seconds| format!("{seconds:.3} s"));
    Check::new("duration", passed, expected, measured)
}

/// How much is missing, where something may be.
pub(crate) fn lost(expect: &Expectation, info: &MediaInfo) -> Option<f64> {
    let (span, seconds) = (expect.duration?, info.duration_seconds?);
    let lost = span.seconds - seconds;
    (expect.damage == Damage::Salvage && lost > span.tolerance).then_some((lost * 1000.0).round() / 1000.0)
}

/// The first check that did not pass, as a failure.
pub(crate) fn failure(checks: &[Check]) -> Option<JobFailure> {
    let check = checks.iter().find(|check| !check.passed)?;
    let Check { name, expected, measured, .. } = check;
    let message = format!("the output's {name} is {measured}; it should be {expected}");
    // Checks of packages begin with the name of the rendition.
    Some(match name.rsplit(' ').next().unwrap_or(name) {
        "max_bytes" => JobFailure::request(Stage::Verifying, "target_too_small", message),
        // The tools succeeded and yet something is missing: the source has a hole that they did not notice.
        "duration" | "frames" => JobFailure::input(Stage::Verifying, "output_invalid", message),
        _ => JobFailure::server(Stage::Verifying, "output_invalid", message),
    })
}

pub(crate) fn broken(why: &str) -> MediaError {
    let message = format!("the output is not usable: {why}");
    MediaError::Failed(JobFailure::server(Stage::Verifying, "output_invalid", message))
}

/// Our word for the container of a format.
const fn container(format: Format) -> &'static str {
    match format {
        Format::Aac => "mp4",
        // What a bare stream is called by our look at its bytes.
        Format::Adts => "aac",
        Format::Opus | Format::Ogg => "ogg",
        Format::PngSequence => "zip",
        other => other.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::samples;

    fn expectation() -> Expectation {
        Expectation {
            format: Format::Mp4,
            duration: Some(Span { seconds: 10.0, tolerance: 0.1 }),
            frames: Some(Frames { count: 250, tolerance: 0 }),
            video: Some(VideoExpectation::new("h264", (1920, 1080))),
            audio: Some(AudioExpectation { codec: "aac".to_owned(), channels: 2, depth: None }),
            alpha: false,
            fast_start: true,
            max_bytes: None,
            damage: Damage::Strict,
            any_content: false,
            package: None,
            extras: None,
            heard: None,
            promise: None,
            seen: None,
            kept_source: None,
        }
    }

    fn failing(expect: &Expectation, change: impl FnOnce(&mut MediaInfo)) -> Vec<String> {
        let mut info = samples::clip().info;
        change(&mut info);
        let checks = compare(expect, &info, 1000);
        checks.into_iter().filter(|check| !check.passed).map(|check| check.name).collect()
    }

    #[test]
    fn what_is_as_planned_passes() {
        assert!(failing(&expectation(), |_| {}).is_empty());
    }

    #[test]
    fn every_deviation_is_named() {
        let expect = expectation();
        assert_eq!(failing(&expect, |info| info.duration_seconds = Some(9.8)), ["duration"]);
        assert_eq!(failing(&expect, |info| info.duration_seconds = None), ["duration"]);
        assert_eq!(failing(&expect, |info| info.audio = None), ["audio"]);
        assert_eq!(failing(&expect, |info| info.fast_start = Some(false)), ["fast_start"]);
        assert_eq!(failing(&expect, |info| info.format = "mov".to_owned()), ["format"]);
        assert_eq!(failing(&expect, |info| info.video.as_mut().unwrap().frames = Some(249)), ["frames"]);
        assert_eq!(failing(&expect, |info| info.video.as_mut().unwrap().width = 1918), ["video"]);
        assert_eq!(failing(&Expectation { max_bytes: Some(999), ..expect }, |_| {}), ["max_bytes"]);
    }

    #[test]
    fn sixteen_bits_are_not_twenty_four() {
        let depth = Some(SampleDepth::integer(24));
        let audio = Some(AudioExpectation { codec: "aac".to_owned(), channels: 2, depth });
        let expect = Expectation { audio, ..expectation() };
        let with = |depth| failing(&expect, |info| info.audio.as_mut().unwrap().depth = depth);
        assert_eq!(with(depth), [""; 0]);
        assert_eq!(with(Some(SampleDepth::integer(16))), ["depth"]);
        assert_eq!(with(Some(SampleDepth { bits: 24, float: true })), ["depth"]);
        assert_eq!(with(None), ["depth"]);
    }

    #[test]
    fn what_was_salvaged_may_be_shorter_and_says_by_how_much() {
        let expect = Expectation { damage: Damage::Salvage, frames: None, ..expectation() };
        assert!(failing(&expect, |info| info.duration_seconds = Some(6.25)).is_empty());
        let info = MediaInfo { duration_seconds: Some(6.25), ..samples::clip().info };
        assert_eq!(lost(&expect, &info), Some(3.75));
    }
}
