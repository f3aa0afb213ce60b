//! How exact the samples of an encoded sound are: as exact as the source's, where the format has room for that.

use reelhook_domain::media::SampleDepth;
use reelhook_domain::recipe::Format;

use super::video::words;

/// How samples are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Samples {
    /// The codec, by our word and by that of its encoder.
    pub(super) codec: &'static str,
    /// What the encoder is told beside that.
    pub(super) options: Vec<String>,
    /// How exact they are then.
    pub(super) depth: SampleDepth,
    /// What is lost, in words.
    pub(super) loss: Option<String>,
}

/// What samples of no depth of their own (lossy, companded) become: nothing that is heard is lost.
const USUAL: SampleDepth = SampleDepth::integer(16);
/// What one bit at millions of samples a second is decoded to.
const DECODED_DSD: SampleDepth = SampleDepth::integer(24);
/// The most that FLAC decoders agree on.
const FLAC: SampleDepth = SampleDepth::integer(24);

/// How samples of that depth are written in `format`; none where the format's codec is lossy.
pub(super) fn samples(format: Format, source: Option<SampleDepth>) -> Option<Samples> {
    let depth = match source {
        Some(SampleDepth { bits: 1, .. }) => DECODED_DSD,
        Some(depth) => depth,
        None => USUAL,
    };
    match format {
        Format::Wav => Some(wave(depth)),
        Format::Flac => Some(flac(depth)),
        _ => None,
    }
}

/// Whether FLAC holds samples of that depth without a loss.
pub(super) fn fits_flac(depth: Option<SampleDepth>) -> bool {
    depth.is_none_or(|depth| !depth.float && (2..=FLAC.bits).contains(&depth.bits))
}

fn wave(depth: SampleDepth) -> Samples {
    let (codec, bits) = match (depth.float, depth.bits) {
        (true, ..=32) => ("pcm_f32le", 32),
        (true, _) => ("pcm_f64le", 64),
        (false, ..=8) => ("pcm_u8", 8),
        (false, ..=16) => ("pcm_s16le", 16),
        (false, ..=24) => ("pcm_s24le", 24),
        (false, _) => ("pcm_s32le", 32),
    };
    let written = SampleDepth { bits, float: depth.float };
    let loss = (depth.bits > bits).then(|| format!("{depth} samples become {written}, the most that wav holds"));
    Samples { codec, options: Vec::new(), depth: written, loss }
}

fn flac(depth: SampleDepth) -> Samples {
    let loss = match (depth.float, depth.bits) {
        (true, _) => Some(format!(
            "{depth} samples become {FLAC}, the most that flac holds; what is louder than full scale is cut off"
        )),
        (false, bits) if bits > FLAC.bits => Some(format!("{depth} samples become {FLAC}, the most that flac holds")),
        _ => None,
    };
    let deep = depth.float || depth.bits > USUAL.bits;
    let options = if deep {
        words(&["-sample_fmt", "s32", "-bits_per_raw_sample", "24"])
    } else {
        words(&["-sample_fmt", "s16"])
    };
    Samples { codec: "flac", options, depth: if deep { FLAC } else { USUAL }, loss }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wav_is_as_exact_as_its_source() {
        let float = |bits| SampleDepth { bits, float: true };
        let whole = SampleDepth::integer;
        for (source, codec) in [
            (None, "pcm_s16le"),
            (Some(whole(8)), "pcm_u8"),
            (Some(whole(16)), "pcm_s16le"),
            (Some(whole(20)), "pcm_s24le"),
            (Some(whole(24)), "pcm_s24le"),
            (Some(whole(32)), "pcm_s32le"),
            (Some(float(32)), "pcm_f32le"),
            (Some(float(64)), "pcm_f64le"),
            (Some(whole(1)), "pcm_s24le"),
        ] {
            let made = wave_of(source);
            assert_eq!((made.codec, made.loss), (codec, None), "{source:?}");
        }
        assert!(wave_of(Some(whole(64))).loss.is_some());
    }

    fn wave_of(source: Option<SampleDepth>) -> Samples {
        samples(Format::Wav, source).expect("wav has a depth")
    }

    #[test]
    fn flac_says_what_it_cannot_hold() {
        for (source, bits, loses) in [
            (None, 16, false),
            (Some(SampleDepth::integer(8)), 16, false),
            (Some(SampleDepth::integer(20)), 24, false),
            (Some(SampleDepth::integer(32)), 24, true),
            (Some(SampleDepth { bits: 32, float: true }), 24, true),
        ] {
            let made = samples(Format::Flac, source).expect("flac has a depth");
            assert_eq!((made.depth.bits, made.loss.is_some()), (bits, loses), "{source:?}");
            assert_eq!(fits_flac(source), !loses, "{source:?}");
        }
    }
}
