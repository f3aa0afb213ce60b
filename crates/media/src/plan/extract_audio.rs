//! `extract_audio`: the sound alone, copied where the format takes it as it is.

use reelhook_domain::failure::JobFailure;
use reelhook_domain::recipe::{ExtractAudio, Format, Quality};

use super::{Design, Desk, audio};

pub(super) fn design(desk: &Desk<'_>, extract: &ExtractAudio) -> Result<Design, JobFailure> {
    let info = desk.audio()?;
    let format = extract.format.unwrap_or_else(|| usual(&info.codec));
    let copy = match extract.bitrate_kbps {
        Some(_) => audio::Copy::Never("bitrate asked"),
        None => audio::Copy::WhereItFits,
    };
    desk.sound(audio::Wish { format, copy, kbps: extract.bitrate_kbps, quality: Quality::Standard })
}

/// The usual file of a codec, or mp3 where it has none.
fn usual(codec: &str) -> Format {
    match codec {
        "aac" => Format::Aac,
        "opus" => Format::Opus,
        "flac" => Format::Flac,
        codec if codec.starts_with("pcm_") => Format::Wav,
        _ => Format::Mp3,
    }
}
