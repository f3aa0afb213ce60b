//! Decoding the same parts of a source and of a product, and comparing them.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use super::envelope::{self, Difference, RATE};
use super::{HeardExpectation, Part, parts};
use crate::beside::Compared;
use crate::error::MediaError;
use crate::probe::Source;
use crate::run::process::option;
use crate::samples::{Samples, Tap};
use crate::spell::{on_file_time, seconds};
use crate::tools::Toolbox;
use crate::verify::Check;

/// The sound of a product beside that of its source.
pub(crate) struct Hearing<'a> {
    beyond_full_scale: bool,
    before: Sounding<'a>,
    after: Sounding<'a>,
}

/// A file, and what is decoded of it.
struct Sounding<'a> {
    file: &'a Path,
    samples: &'a Samples,
    taps: Vec<Tap>,
}

impl<'a> Hearing<'a> {
    /// None where there is nothing to compare: no sound.
    pub(crate) fn of(
        expect: HeardExpectation,
        Compared { input, source, samples }: Compared<'a>,
        (file, of_product): (&'a Path, &'a Samples),
        product: &Source,
    ) -> Option<Self> {
        let (own, made) = (source.info.audio.as_ref()?, product.info.audio.as_ref()?);
        let stereo = own.channels > made.channels && made.channels == 2;
        let parts = parts(expect.seconds, [source.demuxer, product.demuxer]);
        let moved = parts.iter().map(|part| Part { start: part.start + expect.start, ..*part });
        let before = moved.map(|part| tap(source, part, stereo)).collect();
        let after = parts.iter().map(|&part| tap(product, part, false)).collect();
        Some(Self {
            beyond_full_scale: expect.beyond_full_scale,
            before: Sounding { file: input, samples, taps: before },
            after: Sounding { file, samples: of_product, taps: after },
        })
    }

    /// What is decoded of the source and of the product.
    pub(crate) fn taps(&self) -> (&[Tap], &[Tap]) {
        (&self.before.taps, &self.after.taps)
    }

    /// Compares them. None where there is hardly any sound.
    pub(crate) async fn check(&self, toolbox: &Toolbox, scratch: &Path) -> Result<Option<Check>, MediaError> {
        let before = self.before.parts(toolbox, scratch).await?;
        let after = self.after.parts(toolbox, scratch).await?;
        if before.iter().any(|part| !part.is_empty()) && after.iter().all(|part| part.is_empty()) {
            return Ok(Some(Check::new("heard", false, "the source's sound", "nothing that can be decoded")));
        }
        let loudness = |bytes: &Arc<[u8]>| envelope::loudness(&samples(bytes), self.beyond_full_scale);
        let found = before.iter().zip(&after).filter_map(|(a, b)| envelope::difference(&loudness(a), &loudness(b)));
        let worst = found.max_by(|a, b| badness(a).total_cmp(&badness(b)));
        Ok(worst.map(|worst| Check::new("heard", worst.is_the_same(), "the source's sound", words(worst))))
    }
}

impl Sounding<'_> {
    async fn parts(&self, toolbox: &Toolbox, scratch: &Path) -> Result<Vec<Arc<[u8]>>, MediaError> {
        self.samples.take(toolbox, self.file, &self.taps, scratch).await
    }
}

/// Samples between -1 and 1, but where they go beyond full scale.
fn samples(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).filter_map(|bytes| bytes.try_into().ok().map(f32::from_le_bytes)).collect()
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

/// How a part of a sound is decoded: mono, at a low rate, from where it begins, silence included. `stereo` is whether it is
/// mixed to two channels first, as the product was.
fn tap(source: &Source, Part { start, length }: Part, stereo: bool) -> Tap {
    let mut input = Vec::<OsString>::new();
    if start > 0.0 {
        option(&mut input, "-ss", seconds(start));
    }
    option(&mut input, "-t", seconds(length));
    input.extend(source.demuxer_options.iter().map(Into::into));
    option(&mut input, "-f", source.demuxer);
    // Where the file is read from its beginning, ffmpeg counts from the first packet of this stream or of another one.
    let times = match start > 0.0 {
        true => String::new(),
        false => format!("{},", on_file_time("asetpts", &seconds(source.audio_start))),
    };
    let mix = if stereo { "aformat=channel_layouts=stereo," } else { "" };
    let samples = ((length * f64::from(RATE)) as u64).max(1);
    Tap {
        input,
        stream: source.audio_index.unwrap_or(0).to_string(),
        filters: format!(
            "{times}{mix}aformat=sample_fmts=fltp,aresample={RATE}:async=1:first_pts=0,\
             aformat=sample_fmts=flt:channel_layouts=mono,apad=whole_len={samples},atrim=end_sample={samples}"
        ),
        output: &["-c:a", "pcm_f32le", "-f", "f32le"],
    }
}
