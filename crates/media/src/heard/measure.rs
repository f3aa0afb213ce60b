//! Decoding the same parts of a source and of a product, and comparing them.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::envelope::{self, Difference, RATE};
use super::{HeardExpectation, Part, parts};
use crate::error::MediaError;
use crate::probe::{self, Source};
use crate::run::process::{Collector, Ending, option};
use crate::spell::{on_file_time, seconds};
use crate::tools::{Errand, Toolbox, Writes};
use crate::verify::{Check, Compared};

/// How long decoding a few parts may take.
const WALL: Duration = Duration::from_secs(300);

/// A file and what is known of it.
#[derive(Debug, Clone, Copy)]
struct Sounding<'a> {
    file: &'a Path,
    source: &'a Source,
    /// Mixed to two channels first, as the product was.
    stereo: bool,
}

/// Compares a product with its source. `None` where there is nothing to compare: no sound, or hardly any.
pub(crate) async fn check(
    toolbox: &Toolbox,
    expect: HeardExpectation,
    Compared { input, source }: Compared<'_>,
    file: &Path,
    scratch: &Path,
) -> Result<Option<Check>, MediaError> {
    let product = &probe::probe(toolbox, file, scratch).await?;
    let (Some(own), Some(made)) = (&source.info.audio, &product.info.audio) else { return Ok(None) };
    let stereo = own.channels > made.channels && made.channels == 2;
    let parts = parts(expect.seconds, [source.demuxer, product.demuxer]);
    let moved: Vec<Part> = parts.iter().map(|part| Part { start: part.start + expect.start, ..*part }).collect();
    let before = Sounding { file: input, source, stereo };
    let after = Sounding { file, source: product, stereo: false };
    let before = decoded(toolbox, before, &moved, scratch).await?;
    let after = decoded(toolbox, after, &parts, scratch).await?;
    if before.iter().any(|part| !part.is_empty()) && after.iter().all(Vec::is_empty) {
        return Ok(Some(Check::new("heard", false, "the source's sound", "nothing that can be decoded")));
    }
    let loudness = |samples: &Vec<f32>| envelope::loudness(samples, expect.beyond_full_scale);
    let found = before.iter().zip(&after).filter_map(|(a, b)| envelope::difference(&loudness(a), &loudness(b)));
    let worst = found.max_by(|a, b| badness(a).total_cmp(&badness(b)));
    Ok(worst.map(|worst| Check::new("heard", worst.is_the_same(), "the source's sound", words(worst))))
}

fn badness(difference: &Difference) -> f64 {
    if difference.shift.is_some() { f64::MAX } else { difference.decibels.max(difference.worst / 4.0) }
}

fn words(difference: Difference) -> String {
    match difference.shift {
        Some(shift) => format!("shifted by {shift:.2} s"),
        None => format!("{:.1} dB from it, {:.1} dB in its worst half second", difference.decibels, difference.worst),
    }
}

/// The samples of some parts of a file: mono, at a low rate, from where the part begins, silence included.
async fn decoded(
    toolbox: &Toolbox,
    Sounding { file, source, stereo }: Sounding<'_>,
    parts: &[Part],
    scratch: &Path,
) -> Result<Vec<Vec<f32>>, MediaError> {
    let file = std::path::absolute(file)?;
    let mut arguments: Vec<OsString> =
        ["-nostdin", "-hide_banner", "-nostats", "-loglevel", "error", "-y"].map(Into::into).into();
    for Part { start, length } in parts {
        if *start > 0.0 {
            option(&mut arguments, "-ss", seconds(*start));
        }
        option(&mut arguments, "-t", seconds(*length));
        arguments.extend(source.demuxer_options.iter().map(Into::into));
        option(&mut arguments, "-protocol_whitelist", "file,pipe");
        option(&mut arguments, "-f", source.demuxer);
        let mut operand = OsString::from("file:");
        operand.push(&file);
        option(&mut arguments, "-i", operand);
    }
    let mix = if stereo { "aformat=channel_layouts=stereo," } else { "" };
    let index = source.audio_index.unwrap_or(0);
    let whole = |length: f64| (length * f64::from(RATE)) as u64;
    let mut graph = Vec::new();
    for (number, Part { start, length }) in parts.iter().enumerate() {
        let samples = whole(*length).max(1);
        // Where the file is read from its beginning, ffmpeg counts from the first packet of this stream or of another one.
        let times = match *start > 0.0 {
            true => String::new(),
            false => format!("{},", on_file_time("asetpts", &seconds(source.audio_start))),
        };
        graph.push(format!(
            "[{number}:{index}]{times}{mix}aformat=sample_fmts=fltp,aresample={RATE}:async=1:first_pts=0,\
             aformat=sample_fmts=flt:channel_layouts=mono,apad=whole_len={samples},atrim=end_sample={samples}[h{number}]"
        ));
    }
    option(&mut arguments, "-filter_complex", graph.join(";"));
    let names: Vec<String> = (0..parts.len()).map(|number| format!("heard-{number}.f32")).collect();
    for (number, name) in names.iter().enumerate() {
        option(&mut arguments, "-map", format!("[h{number}]"));
        arguments.extend(["-c:a", "pcm_f32le", "-f", "f32le"].map(Into::into));
        arguments.push(format!("file:{name}").into());
    }
    let errand = Errand {
        program: toolbox.ffmpeg(),
        arguments,
        inputs: vec![&file],
        scratch,
        writes: Writes::Scratch,
        wall: WALL,
        stall: WALL,
    };
    let mut said = Collector::new(4096);
    let ended = toolbox.start(errand, &mut said, &CancellationToken::new()).await?;
    if ended.ending != Ending::Exited(0) {
        tracing::info!(ending = ?ended.ending, said = ended.stderr.last_line(), "a sound could not be compared");
    }
    tracing::debug!(cpu = ?ended.cpu, parts = parts.len(), "a sound was decoded to be compared");
    let mut all = Vec::with_capacity(names.len());
    for name in names {
        let path = scratch.join(name);
        let bytes = tokio::fs::read(&path).await.unwrap_or_default();
        crate::run::remove(&path)?;
        let samples = bytes.chunks_exact(4).filter_map(|bytes| bytes.try_into().ok().map(f32::from_le_bytes));
        all.push(samples.collect());
    }
    Ok(all)
}
