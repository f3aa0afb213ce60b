//! How a format is written. What is clear is of one colour, which encoders take less time and fewer bytes for; still it is
//! they that take most of the time, so that the fast ones of their settings are the usual ones.

use reelhook_domain::failure::JobFailure;
use reelhook_domain::recipe::{Format, Quality, RemoveBackground};

use crate::plan::Desk;
use crate::plan::video::{missing, words};

/// How a format is written.
pub(super) struct Look {
    pub(super) encoder: &'static str,
    pub(super) codec: &'static str,
    pub(super) options: Vec<String>,
    /// Filters that make the samples that the encoder takes.
    pub(super) samples: &'static [&'static str],
    pub(super) note: String,
}

/// RGB to video samples, tagged as what they are.
const TAGS: &str = "setparams=range=tv:colorspace=bt709:color_primaries=bt709:color_trc=bt709";
const TO_VIDEO: &str = "scale=out_color_matrix=bt709:out_range=tv:flags=bicubic+accurate_rnd";
const TO_WEBP: &str = "scale=out_color_matrix=bt601:out_range=tv:flags=bicubic+accurate_rnd";

/// The look of an output, by the first of its encoders that is there.
pub(super) fn of(desk: &Desk<'_>, wish: &RemoveBackground, alpha: bool) -> Result<Look, JobFailure> {
    let looks = match (wish.format, alpha) {
        (Format::Webm, true) => vec![vp9(wish.quality, &[TO_VIDEO, "format=yuva420p", TAGS], "vp9 with alpha", true)],
        (Format::Webm, false) => vec![vp9(wish.quality, &[TO_VIDEO, "format=yuv420p", TAGS], "vp9", false)],
        (Format::Mov, true) => vec![
            look(
                ("prores_ks", "prores"),
                &["-profile:v", "4", "-alpha_bits", "16", "-vendor", "apl0"],
                &[TO_VIDEO, "format=yuva444p10le", TAGS],
                "prores 4444 with alpha",
            ),
            look(("qtrle", "qtrle"), &[], &["format=argb"], "quicktime animation with alpha"),
        ],
        (Format::Gif, _) => vec![look(("gif", "gif"), &[], &[], "gif with a palette of its own")],
        (Format::Webp, _) => vec![webp(desk.source.still, wish.quality, alpha)],
        (Format::Png, true) => vec![look(("png", "png"), &[], &["format=rgba"], "png with alpha")],
        (Format::Png, false) => vec![look(("png", "png"), &[], &["format=rgb24"], "png")],
        (Format::PngSequence, true) => {
            vec![look(("png", "png"), &[], &["format=rgba"], "a png with alpha a frame")]
        }
        (Format::PngSequence, false) => vec![look(("png", "png"), &[], &["format=rgb24"], "a png a frame")],
        _ => vec![h264(wish.quality)],
    };
    let codec = looks.first().map_or("video", |look| look.codec);
    looks.into_iter().find(|look| desk.capabilities.encodes(look.encoder)).ok_or_else(|| missing(codec))
}

fn look(
    (encoder, codec): (&'static str, &'static str),
    options: &[&'static str],
    samples: &'static [&'static str],
    note: &str,
) -> Look {
    Look { encoder, codec, options: words(options), samples, note: note.to_owned() }
}

fn vp9(quality: Quality, samples: &'static [&'static str], note: &str, alpha: bool) -> Look {
    let (deadline, speed, crf) = match quality {
        Quality::Economy => ("realtime", "8", "30"),
        Quality::Standard => ("realtime", "7", "20"),
        Quality::Premium => ("good", "4", "24"),
    };
    let note = format!("{note} {deadline}, crf {crf}");
    let mut options = vec!["-deadline", deadline, "-cpu-used", speed, "-row-mt", "1", "-crf", crf, "-b:v", "0"];
    if alpha {
        // With the frames that are never shown alpha and colour would not stay together.
        options.extend(["-auto-alt-ref", "0"]);
    }
    look(("libvpx-vp9", "vp9"), &options, samples, &note)
}

fn h264(quality: Quality) -> Look {
    let (preset, crf) = match quality {
        Quality::Economy => ("superfast", "24"),
        Quality::Standard => ("veryfast", "20"),
        Quality::Premium => ("medium", "18"),
    };
    let note = format!("h264 preset {preset}, crf {crf}");
    let samples = &[TO_VIDEO, "format=yuv420p", TAGS];
    look(("libx264", "h264"), &["-preset", preset, "-crf", crf], samples, &note)
}

fn webp(still: bool, quality: Quality, alpha: bool) -> Look {
    let of_100 = match quality {
        Quality::Economy => "70",
        Quality::Standard => "80",
        Quality::Premium => "92",
    };
    let samples: &[&str] = match (still, alpha) {
        (true, _) => &["format=bgra"],
        (false, true) => &[TO_WEBP, "format=yuva420p"],
        (false, false) => &[TO_WEBP, "format=yuv420p"],
    };
    let (encoder, kind) = if still { ("libwebp", "webp") } else { ("libwebp_anim", "animated webp") };
    let note = format!("{kind}{}, quality {of_100}", if alpha { " with alpha" } else { "" });
    look((encoder, "webp"), &["-quality", of_100], samples, &note)
}
