//! What becomes of the sound: copied where the target takes it as it is, encoded otherwise.

use reelhook_domain::failure::JobFailure;
use reelhook_domain::media::AudioInfo;
use reelhook_domain::recipe::{Format, Quality};

use super::video::{missing, words};
use super::{Desk, depth};
use crate::step::{AudioTrack, StreamPlan};
use crate::verify::AudioExpectation;

/// What a recipe wants of the sound.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    pub(super) format: Format,
    pub(super) copy: Copy,
    pub(super) kbps: Option<u32>,
    pub(super) quality: Quality,
}

/// When the sound may be copied.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Copy {
    /// Whenever the container takes it.
    WhereItFits,
    /// When the container takes it and it is at most this many thousand bits a second.
    WhereSmall(u64),
    /// Never, for this reason.
    Never(&'static str),
}

/// Uncompressed samples that a wav file holds as they are.
const WAVE: &[&str] = &["pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le"];

/// Uncompressed samples that QuickTime holds as they are.
const QUICKTIME: &[&str] = &[
    "pcm_s16le",
    "pcm_s16be",
    "pcm_s24le",
    "pcm_s24be",
    "pcm_s32le",
    "pcm_s32be",
    "pcm_f32le",
    "pcm_f32be",
    "pcm_f64le",
    "pcm_f64be",
];
/// What Matroska has a name for.
const MATROSKA: &[&str] = &[
    "aac",
    "mp3",
    "mp2",
    "opus",
    "vorbis",
    "flac",
    "alac",
    "ac3",
    "eac3",
    "dts",
    "truehd",
    "mlp",
    "tta",
    "wavpack",
    "pcm_u8",
    "pcm_s16le",
    "pcm_s24le",
    "pcm_s32le",
    "pcm_s16be",
    "pcm_s24be",
    "pcm_s32be",
    "pcm_f32le",
    "pcm_f64le",
];

/// The codecs that a container takes and players of it play.
pub(super) fn holds(format: Format, codec: &str) -> bool {
    match format {
        Format::Mp4 => matches!(codec, "aac" | "mp3"),
        Format::Mov => matches!(codec, "aac" | "mp3" | "alac") || QUICKTIME.contains(&codec),
        Format::Mkv => MATROSKA.contains(&codec),
        Format::Webm => matches!(codec, "opus" | "vorbis"),
        Format::Mp3 => codec == "mp3",
        Format::Aac | Format::Adts => codec == "aac",
        Format::Wav => WAVE.contains(&codec),
        Format::Flac => codec == "flac",
        Format::Opus => codec == "opus",
        Format::Ogg => codec == "vorbis",
        _ => false,
    }
}

/// The lossy codec that is encoded for a format, its encoders, and thousand bits a second by tier.
const fn encoders(format: Format) -> Option<(&'static str, &'static [&'static str], [u32; 3])> {
    match format {
        Format::Mp4 | Format::Mov | Format::Mkv => Some(("aac", &["aac"], [96, 128, 192])),
        Format::Aac | Format::Adts => Some(("aac", &["aac"], [96, 128, 192])),
        Format::Ogg => Some(("vorbis", &["libvorbis"], [96, 128, 192])),
        Format::Webm | Format::Opus => Some(("opus", &["libopus"], [64, 96, 160])),
        Format::Mp3 => Some(("mp3", &["libmp3lame", "libshine"], [128, 192, 320])),
        // Those that keep every sample are chosen by its depth.
        _ => None,
    }
}

/// Plans the sound of a product.
///
/// # Errors
/// `encoder_missing` where this machine has none for the codec.
pub(super) fn carry(
    desk: &Desk<'_>,
    audio: &AudioInfo,
    wish: Wish,
) -> Result<(AudioTrack, Option<AudioExpectation>, StreamPlan), JobFailure> {
    let fits = holds(wish.format, &audio.codec);
    let why_not = match wish.copy {
        _ if !fits => format!("{} does not go into {}", audio.codec, wish.format),
        Copy::Never(reason) => reason.to_owned(),
        Copy::WhereSmall(most) if audio.bit_rate.is_some_and(|rate| rate > most * 1000) => {
            format!("{} kbit/s is more than {most}", audio.bit_rate.unwrap_or(0) / 1000)
        }
        Copy::WhereItFits | Copy::WhereSmall(_) => {
            let expect = AudioExpectation { codec: audio.codec.clone(), channels: audio.channels, depth: None };
            let reason = format!("copied: already {}", audio.codec);
            return Ok((AudioTrack::Copy, Some(expect), StreamPlan::new("audio", "copy", reason)));
        }
    };
    let samples = depth::samples(wish.format, audio.depth);
    let encoder = match &samples {
        Some(samples) => Some((samples.codec, std::slice::from_ref(&samples.codec), [0, 0, 0])),
        None => encoders(wish.format),
    };
    let Some((codec, names, tiers)) = encoder else {
        let reason = format!("{} cannot hold audio", wish.format);
        return Ok((AudioTrack::None, None, StreamPlan::new("audio", "drop", reason)));
    };
    let name = desk.capabilities.first_of(names).ok_or_else(|| missing(codec))?;
    let mut options = words(&["-c:a", name]);
    let mut notes = vec![why_not];
    let tier = match wish.quality {
        Quality::Economy => tiers[0],
        Quality::Standard => tiers[1],
        Quality::Premium => tiers[2],
    };
    let lossy = tier > 0;
    let channels = if lossy { audio.channels.clamp(1, 2) } else { audio.channels.min(8) };
    if lossy {
        let kbps = wish.kbps.unwrap_or(tier).clamp(8, 512);
        options.extend(words(&["-b:a", &format!("{kbps}k")]));
        notes.push(format!("{codec} at {kbps} kbit/s"));
    } else {
        notes.push(codec.to_owned());
    }
    if let Some(samples) = &samples {
        options.extend(samples.options.iter().cloned());
        notes.extend(samples.loss.clone());
        if let (None, Some(depth)) = (&samples.loss, audio.depth) {
            notes.push(format!("{depth} kept"));
        }
    }
    if channels != audio.channels {
        // Encoders disagree on layouts beyond stereo, and browsers mix them down anyway.
        options.extend(words(&["-ac", &channels.to_string()]));
        notes.push(format!("{} channels mixed to {channels}", audio.channels));
    }
    let expect = AudioExpectation { codec: codec.to_owned(), channels, depth: samples.map(|samples| samples.depth) };
    Ok((AudioTrack::Encode { options }, Some(expect), StreamPlan::new("audio", "encode", notes.join("; "))))
}
