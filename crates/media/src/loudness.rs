//! Loudness: how loud a sound is, what brings it to an aim, and whether a product is there.
//!
//! A sound is measured, changed by one gain, and the product measured in its turn. Where the gain would lift true peaks
//! over the cap, a limiter that looks ahead holds them, at several times the sample rate, as what is between two samples
//! counts too. A limiter and a lossy encoder both miss a little, so the product is corrected and made again until it is
//! there, a few times at most ([`Level::corrected`]).
//!
//! What is softer than -70 LUFS counts as silence and is not changed: no gain would make anything of it.
//!
//! # Source
//! ITU-R BS.1770-5 and EBU R 128, as ffmpeg's filter `ebur128` has them. It counts blocks of 400 ms, so a shorter sound
//! is measured with silence behind it, which gives its momentary loudness.

use std::ffi::OsString;
use std::io::{self, SeekFrom};
use std::path::Path;
use std::time::Duration;

use reelhook_domain::failure::{JobFailure, Stage};
use serde::{Deserialize, Serialize};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::sync::CancellationToken;

use crate::error::MediaError;
use crate::plain;
use crate::probe::Source;
use crate::run::process::{Ended, Ending, Listener, option};
use crate::spell::seconds;
use crate::tools::{Errand, Toolbox, Writes};
use crate::verify::{self, Check, Receipt};

/// What is printed while listening, in the scratch folder.
const MEASURED: &str = "loudness.txt";
/// How loud the source is, in the scratch folder.
pub(crate) const BEFORE: &str = "loudness.json";
/// Bytes at the end of what is printed that surely hold the last frame of it.
const TAIL: u64 = 8192;
/// At this loudness or softer, in LUFS, is silence.
const SILENCE: f64 = -70.0;
/// How far off the loudness of a product may be, in LU.
const TOLERANCE: f64 = 1.0;
/// How far over the cap a true peak may be, in dB.
const PEAK_TOLERANCE: f64 = 0.5;
/// A product is corrected where it is further off than this, in LU and dB.
const CLOSE: f64 = 0.3;
/// How far below the cap the limiter holds peaks, in dB: coming back to the sample rate lifts some a little.
const HEADROOM: f64 = 0.2;
/// The least that the limiter can hold peaks at, in dBTP.
const LOWEST_LIMIT: f64 = -24.0;
/// Most gain, in dB: from silence to the loudest aim.
const MOST_GAIN: f64 = 65.0;
/// Highest sample rate at which peaks are held.
const FASTEST: u32 = 192_000;

/// How loud a product has to be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Aim {
    /// Integrated loudness, in LUFS.
    pub lufs: f64,
    /// Highest true peak, in dBTP.
    pub true_peak_dbtp: f64,
}

/// How loud a sound is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Loudness {
    /// Integrated loudness, in LUFS; absent for silence.
    pub lufs: Option<f64>,
    /// Highest true peak, in dBTP; absent where every sample is zero.
    pub true_peak_dbtp: Option<f64>,
    /// Loudness range, in LU.
    pub range_lu: f64,
}

/// The loudness of a product, and that of its source.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Leveled {
    /// Of the source.
    pub before: Loudness,
    /// Of the product.
    pub after: Loudness,
}

/// What is listened to.
pub(crate) struct Listening<'a> {
    pub(crate) file: &'a Path,
    pub(crate) demuxer: &'a str,
    /// Options that the demuxer always gets.
    pub(crate) demuxer_options: &'static [&'static str],
    /// Which stream.
    pub(crate) index: u32,
    /// The channels that it is mixed to first, where it is.
    pub(crate) mix: Option<&'static str>,
    /// Whether damage ends it.
    pub(crate) strict: bool,
    pub(crate) wall: Duration,
}

impl Listening<'_> {
    fn arguments(&self) -> Vec<OsString> {
        let mut line: Vec<OsString> =
            ["-nostdin", "-hide_banner", "-nostats", "-loglevel", "error", "-y"].map(Into::into).into();
        line.extend(if self.strict { vec!["-xerror".into()] } else { vec!["-max_error_rate".into(), "1".into()] });
        option(&mut line, "-progress", "pipe:1");
        line.extend(self.demuxer_options.iter().map(Into::into));
        option(&mut line, "-protocol_whitelist", "file,pipe");
        option(&mut line, "-f", self.demuxer);
        let mut operand = OsString::from("file:");
        operand.push(self.file);
        option(&mut line, "-i", operand);
        option(&mut line, "-map", format!("0:{}", self.index));
        let mix = self.mix.map_or_else(String::new, |mix| format!("{},", mixed(mix)));
        let filters =
            format!("{mix}apad=whole_dur=0.5,ebur128=metadata=1:peak=true,ametadata=mode=print:file={MEASURED}");
        option(&mut line, "-af", filters);
        line.extend(["-f", "null", "-"].map(Into::into));
        line
    }

    /// Listens to all of it. The loudness is absent where ffmpeg did not come to the end.
    pub(crate) async fn measure(
        self,
        toolbox: &Toolbox,
        scratch: &Path,
        listener: &mut dyn Listener,
        cancel: &CancellationToken,
    ) -> Result<(Ended, Option<Loudness>), MediaError> {
        let printed = scratch.join(MEASURED);
        let errand = Errand {
            program: toolbox.ffmpeg(),
            arguments: self.arguments(),
            inputs: vec![self.file],
            scratch,
            writes: Writes::Scratch,
            wall: self.wall,
            stall: toolbox.settings().stall,
        };
        let ended = toolbox.start(errand, listener, cancel).await?;
        let measured = if ended.ending == Ending::Exited(0) { Some(read(&printed).await?) } else { None };
        match tokio::fs::remove_file(&printed).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok((ended, measured)),
        }
    }
}

/// The filter that mixes to these channels.
fn mixed(channels: &str) -> String {
    format!("aformat=channel_layouts={channels}")
}

/// What was printed last: the loudness of all of it.
async fn read(file: &Path) -> io::Result<Loudness> {
    let mut file = match plain::open_made(file).map(File::from_std) {
        // Nothing is printed where there is nothing to hear.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Loudness { lufs: None, true_peak_dbtp: None, range_lu: 0.0 });
        }
        file => file?,
    };
    let length = file.metadata().await?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL))).await?;
    let mut text = Vec::new();
    file.take(TAIL).read_to_end(&mut text).await?;
    Ok(Loudness::printed(&String::from_utf8_lossy(&text)))
}

impl Loudness {
    fn printed(text: &str) -> Self {
        let last = |key: &str| {
            let value = |line: &str| line.strip_prefix(key)?.strip_prefix('=')?.trim().parse::<f64>().ok();
            text.lines().rev().find_map(value).filter(|value| value.is_finite())
        };
        let decibels = |peak: f64| (peak > 0.0).then(|| 20.0 * peak.log10());
        Self {
            lufs: last("lavfi.r128.I").filter(|&lufs| lufs > SILENCE).map(rounded),
            true_peak_dbtp: last("lavfi.r128.true_peak").and_then(decibels).map(rounded),
            range_lu: rounded(last("lavfi.r128.LRA").unwrap_or(0.0)),
        }
    }

    fn words(&self) -> String {
        let lufs = self.lufs.map_or_else(|| "silence".to_owned(), |lufs| format!("{lufs:.1} LUFS"));
        let peak = self.true_peak_dbtp.map_or_else(String::new, |peak| format!(", true peak {peak:.1} dBTP"));
        format!("{lufs}{peak}")
    }
}

/// To the hundredth: nobody hears, and no filter keeps, more.
fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// What brings a sound to its aim.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Level {
    /// In dB.
    gain: f64,
    /// Where peaks are held, in dBTP; absent where none is in the way.
    limit: Option<f64>,
}

impl Level {
    /// From how loud a sound is; none for silence.
    pub(crate) fn between(before: &Loudness, aim: Aim) -> Option<Self> {
        let gain = (aim.lufs - before.lufs?).clamp(-MOST_GAIN, MOST_GAIN);
        let peak = before.true_peak_dbtp.unwrap_or(0.0) + gain;
        Some(Self { gain, limit: (peak > aim.true_peak_dbtp).then_some(aim.true_peak_dbtp - HEADROOM) })
    }

    /// What comes closer, from how loud the product of this level is; none where it is there.
    pub(crate) fn corrected(self, after: &Loudness, aim: Aim) -> Option<Self> {
        let off = aim.lufs - after.lufs?;
        let over = after.true_peak_dbtp.map_or(0.0, |peak| peak - aim.true_peak_dbtp);
        if off.abs() <= CLOSE && over <= CLOSE {
            return None;
        }
        let held = self.limit.unwrap_or(aim.true_peak_dbtp);
        let limit = if over > 0.0 { Some((held - over - 0.1).max(LOWEST_LIMIT)) } else { self.limit };
        Some(Self { gain: (self.gain + off).clamp(-MOST_GAIN, MOST_GAIN), limit })
    }

    /// As filters of sound with that sample rate, which it keeps.
    pub(crate) fn filter(self, sample_rate: u32) -> String {
        let gain = format!("volume={}dB", seconds(self.gain));
        let Some(limit) = self.limit else { return gain };
        let times = (1..=4).rev().find(|times| sample_rate.saturating_mul(*times) <= FASTEST).unwrap_or(1);
        let limit = 10_f64.powf(limit / 20.0);
        let limiter = format!("alimiter=limit={limit:.6}:attack=5:release=50:level=0:latency=1");
        format!("{gain},aresample={},{limiter},aresample={sample_rate}", sample_rate.saturating_mul(times))
    }
}

/// The filters of a product: mixed to its channels, where it has fewer, and brought to its level.
pub(crate) fn filters(mix: Option<&str>, level: Option<Level>, sample_rate: u32) -> String {
    let level = level.map_or_else(|| "anull".to_owned(), |level| level.filter(sample_rate));
    mix.map_or_else(|| level.clone(), |mix| format!("{},{level}", mixed(mix)))
}

/// Measures a product, and holds it against its aim.
pub(crate) async fn verify(
    toolbox: &Toolbox,
    aim: Aim,
    file: &Path,
    scratch: &Path,
    mut receipt: Receipt,
) -> Result<Receipt, MediaError> {
    let before = plain::read(&scratch.join(BEFORE), plain::LIST)?;
    let before: Loudness = serde_json::from_slice(&before).map_err(io::Error::from)?;
    let after = of_product(toolbox, file, scratch, &mut Deaf, &CancellationToken::new()).await?;
    receipt.checks.push(check(&before, &after, aim));
    if let Some(failure) = verify::failure(&receipt.checks) {
        return Err(MediaError::Failed(failure));
    }
    receipt.loudness = Some(Leveled { before, after });
    Ok(receipt)
}

/// Hears nothing of how it gets on.
struct Deaf;

impl Listener for Deaf {
    fn hear(&mut self, _: &[u8]) {}

    fn mark(&self) -> [u64; 3] {
        [0; 3]
    }
}

/// How loud a product is.
pub(crate) async fn of_product(
    toolbox: &Toolbox,
    file: &Path,
    scratch: &Path,
    listener: &mut dyn Listener,
    cancel: &CancellationToken,
) -> Result<Loudness, MediaError> {
    let file = std::path::absolute(file)?;
    let source = toolbox.probe(&file, scratch).await.map_err(|error| match error {
        MediaError::Rejected(failure) | MediaError::Failed(failure) => verify::broken(&failure.message),
        other => other,
    })?;
    let index = source.audio_index.ok_or_else(|| verify::broken("it has no audio"))?;
    let wall = toolbox.settings().limits.wall(source.info.duration_seconds.unwrap_or(0.0), 1);
    let Source { demuxer, demuxer_options, lenient, .. } = source;
    let listening = Listening { file: &file, demuxer, demuxer_options, index, mix: None, strict: !lenient, wall };
    let (ended, measured) = listening.measure(toolbox, scratch, listener, cancel).await?;
    match measured {
        Some(loudness) => Ok(loudness),
        None if ended.ending == Ending::Canceled => Err(MediaError::Canceled),
        None => Err(verify::broken("its audio cannot be decoded")),
    }
}

/// Loudness and true peak at once: a product that is too soft is right where its peaks are at the cap, as more gain
/// would only distort.
fn check(before: &Loudness, after: &Loudness, aim: Aim) -> Check {
    let Aim { lufs: target, true_peak_dbtp: cap } = aim;
    let expected = format!(
        "{target:.1} LUFS +- {TOLERANCE:.1} with true peaks up to {cap:.1} dBTP + {PEAK_TOLERANCE:.1}, or softer \
         with a true peak within {TOLERANCE:.1} of that cap"
    );
    let passed = match (before.lufs, after.lufs) {
        (None, None) => true,
        (None, Some(_)) | (Some(_), None) => false,
        (Some(_), Some(lufs)) => {
            let peak = after.true_peak_dbtp.unwrap_or(f64::NEG_INFINITY);
            let as_loud_as_it_gets = lufs < target && peak >= cap - TOLERANCE;
            ((lufs - target).abs() <= TOLERANCE || as_loud_as_it_gets) && peak <= cap + PEAK_TOLERANCE
        }
    };
    let expected = if before.lufs.is_none() { "silence, as the source".to_owned() } else { expected };
    Check::new("loudness", passed, expected, after.words())
}

/// The failure of a source of which nothing can be heard because it cannot be decoded.
pub(crate) fn unheard() -> MediaError {
    let message = "the input has no audio that can be decoded";
    MediaError::Failed(JobFailure::input(Stage::Encoding, "input_damaged", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AIM: Aim = Aim { lufs: -16.0, true_peak_dbtp: -1.5 };

    fn loud(lufs: f64, peak: f64) -> Loudness {
        Loudness { lufs: Some(lufs), true_peak_dbtp: Some(peak), range_lu: 0.0 }
    }

    const SILENT: Loudness = Loudness { lufs: None, true_peak_dbtp: None, range_lu: 0.0 };

    #[test]
    fn what_is_printed_last_counts_and_silence_has_no_loudness() {
        let text = "frame:1\nlavfi.r128.I=-30.5\nlavfi.r128.LRA=2.000\nlavfi.r128.true_peaks_ch0=0.100\n\
            lavfi.r128.true_peak=0.100\nframe:2\nlavfi.r128.I=-21.760\nlavfi.r128.LRA=3.000\nlavfi.r128.LRA.low=-1\n\
            lavfi.r128.true_peaks_ch0=0.2\nlavfi.r128.true_peak=0.500\n";
        let heard = Loudness::printed(text);
        assert_eq!(heard, Loudness { lufs: Some(-21.76), true_peak_dbtp: Some(-6.02), range_lu: 3.0 });
        let silent = "lavfi.r128.I=-70.000\nlavfi.r128.LRA=0.000\nlavfi.r128.true_peak=0.000\n";
        assert_eq!(Loudness::printed(silent), SILENT);
        assert_eq!(Loudness::printed("lavfi.r128.I=-inf\nlavfi.r128.true_peak=nan"), SILENT);
    }

    #[test]
    fn one_gain_does_where_no_peak_is_in_the_way() {
        let level = Level::between(&loud(-26.0, -20.0), AIM).unwrap();
        assert_eq!(level.filter(48_000), "volume=10dB");
        let level = Level::between(&loud(-8.0, 0.5), AIM).unwrap();
        assert_eq!(level.filter(48_000), "volume=-8dB");
    }

    #[test]
    fn peaks_are_held_at_several_times_the_sample_rate() {
        let level = Level::between(&loud(-26.0, -6.0), AIM).unwrap();
        let limiter = "alimiter=limit=0.822243:attack=5:release=50:level=0:latency=1";
        assert_eq!(level.filter(44_100), format!("volume=10dB,aresample=176400,{limiter},aresample=44100"));
        assert_eq!(level.filter(96_000), format!("volume=10dB,aresample=192000,{limiter},aresample=96000"));
        assert_eq!(level.filter(384_000), format!("volume=10dB,aresample=384000,{limiter},aresample=384000"));
    }

    #[test]
    fn a_product_that_is_off_is_corrected_by_as_much() {
        let level = Level { gain: 10.0, limit: Some(-1.7) };
        assert_eq!(level.corrected(&loud(-16.2, -1.6), AIM), None);
        assert_eq!(level.corrected(&loud(-17.0, -1.6), AIM), Some(Level { gain: 11.0, limit: Some(-1.7) }));
        let Level { gain, limit } = level.corrected(&loud(-16.0, -0.5), AIM).unwrap();
        assert!((gain - 10.0).abs() < 1e-9 && (limit.unwrap() + 2.8).abs() < 1e-9, "{gain} {limit:?}");
        assert_eq!(level.corrected(&SILENT, AIM), None);
    }

    #[test]
    fn silence_gets_no_gain() {
        assert_eq!(Level::between(&SILENT, AIM), None);
        assert_eq!(filters(Some("stereo"), None, 48_000), "aformat=channel_layouts=stereo,anull");
    }

    #[test]
    fn a_product_that_is_elsewhere_does_not_pass() {
        let before = loud(-30.0, -12.0);
        let passes = |after: &Loudness| check(&before, after, AIM).passed;
        assert!(passes(&loud(-16.9, -6.0)) && passes(&loud(-15.1, -1.1)) && passes(&loud(-20.0, -1.4)));
        assert!(!passes(&loud(-17.1, -6.0)), "too soft, with room to spare");
        assert!(!passes(&loud(-14.9, -6.0)), "too loud");
        assert!(!passes(&loud(-16.0, -0.9)), "peaks over the cap");
        assert!(!passes(&SILENT), "nothing left");
        assert!(check(&SILENT, &SILENT, AIM).passed && !check(&SILENT, &before, AIM).passed);
    }
}
