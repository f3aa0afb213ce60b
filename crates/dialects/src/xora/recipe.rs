//! The service's recipes, as recipes of ours.

use reelhook_domain::form::Form;
use reelhook_domain::recipe::{
    Compress, Concat, Convert, DEFAULT_PROXY_CRF, ExtractAudio, Fit, Format, Gop, LARGEST_SIDE, LATEST_SECOND, Proxy,
    Quality, Recipe, Resize, Resolution, Size, Subtitles, Thumbnail, Trim, VideoCodec, WebReady,
};

/// The formats of the service, by its words. Its `aac` is a bare stream.
pub(super) const FORMATS: &[(&str, Format)] = &[
    ("mp4", Format::Mp4),
    ("webm", Format::Webm),
    ("mov", Format::Mov),
    ("gif", Format::Gif),
    ("mp3", Format::Mp3),
    ("aac", Format::Adts),
    ("wav", Format::Wav),
    ("jpg", Format::Jpg),
    ("png", Format::Png),
];
/// The names of the recipes.
const NAMES: &str = "compress, transcode, resize, trim, thumbnail, extractAudio, concat, webReady, proxy";
const VIDEO: &[Format] = &[Format::Mp4, Format::Webm, Format::Mov];
const SOUND: &[Format] = &[Format::Mp3, Format::Adts, Format::Wav];
/// Thousand bits a second of AAC that `extractAudio` encodes.
const AAC_KBPS: u32 = 192;
/// Rate factor of `webReady` where an encoding is asked for by its size alone.
const WEB_CRF: u32 = 23;

/// A recipe and the word for its format.
type Read = Option<Recipe>;

/// Takes `name` and the parameters. `format` is what `output.format` says; what does not go with the recipe is noted
/// through `refuse`.
pub(super) fn read(form: &mut Form, format: Option<Format>, refuse: &dyn Fn(String)) -> Read {
    let name = form.text("name", 64);
    let name = form.require("name", name)?;
    // The first of those that a recipe writes is its default.
    let among = |lists: &[&[Format]]| {
        let allowed: Vec<Format> = lists.concat();
        let chosen = format.unwrap_or(allowed[0]);
        if allowed.contains(&chosen) {
            return Some(chosen);
        }
        let words = FORMATS.iter().filter(|(_, format)| allowed.contains(format)).map(|(word, _)| *word);
        refuse(format!("must be one of {} for {name}", words.collect::<Vec<_>>().join(", ")));
        None
    };
    let recipe = match name.as_str() {
        "compress" => {
            let crf = form.integer32("crf", 0..=51);
            let format = among(&[VIDEO])?;
            Recipe::Compress(Compress { crf, max_bytes: None, quality: None, codec: codec(format)?, format })
        }
        "transcode" => {
            let format = among(&[VIDEO, SOUND])?;
            Recipe::Convert(Convert {
                format,
                codec: codec(format),
                size: Size::default(),
                frame_rate: None,
                bitrate_kbps: None,
                quality: Quality::Standard,
                subtitles: Subtitles::default(),
                subtitle_language: None,
            })
        }
        "resize" => {
            let (width, height) = sides(form);
            if width.is_none() && height.is_none() {
                form.refuse_whole("needs width, height or both");
                return None;
            }
            let fit = if width.is_some() && height.is_some() { Fit::Exact } else { Fit::Inside };
            let format = among(&[VIDEO])?;
            let size = Size { resolution: None, width, height, enlarge: true };
            Recipe::Resize(Resize { size, fit, format, codec: codec(format)?, quality: Quality::Standard })
        }
        "trim" => {
            let (start, duration_seconds) = part(form);
            let format = among(&[VIDEO, SOUND])?;
            let start_seconds = start.unwrap_or(0.0);
            let codec = codec(format);
            Recipe::Trim(Trim { start_seconds, duration_seconds, format, codec, quality: Quality::Standard })
        }
        "thumbnail" => {
            let at_seconds = form.number("seekSeconds", 0.0..=LATEST_SECOND).unwrap_or(0.0);
            let format = among(&[&[Format::Jpg, Format::Png]])?;
            Recipe::Thumbnail(Thumbnail { at_seconds, format, size: Size::default() })
        }
        "extractAudio" => {
            let (start_seconds, duration_seconds) = part(form);
            // What is no sound falls back to mp3.
            let fallback = format.filter(|format| SOUND.contains(format)).unwrap_or(Format::Mp3);
            Recipe::ExtractAudio(ExtractAudio {
                format: None,
                fallback: Some(fallback),
                bare: true,
                bitrate_kbps: (fallback == Format::Adts).then_some(AAC_KBPS),
                start_seconds,
                duration_seconds,
            })
        }
        "concat" => {
            let format = among(&[VIDEO, SOUND])?;
            Recipe::Concat(Concat { format, codec: codec(format), quality: Quality::Standard })
        }
        "webReady" => {
            let crf = form.integer32("crf", 0..=51);
            let bitrate_kbps = form.integer32("bitrateKbps", 50..=400_000);
            let size = scaled(form);
            among(&[&[Format::Mp4]])?;
            let resized = size != Size::default();
            // Any setting asks for an encoding; a bit rate goes before a rate factor.
            let crf = crf.or(resized.then_some(WEB_CRF)).filter(|_| bitrate_kbps.is_none());
            Recipe::WebReady(WebReady { crf, bitrate_kbps, size })
        }
        "proxy" => {
            let (start_seconds, duration_seconds) = part(form);
            let proxy = Proxy {
                crf: form.integer32("crf", 0..=51).unwrap_or(DEFAULT_PROXY_CRF),
                bitrate_kbps: form.integer32("bitrateKbps", 50..=400_000),
                gop: form.choice("gop").unwrap_or(Gop::PerSecond),
                size: scaled(form),
                start_seconds,
                duration_seconds,
            };
            among(&[&[Format::Mp4]])?;
            Recipe::Proxy(proxy)
        }
        _ => {
            form.refuse("name", name.into(), format_args!("must be one of {NAMES}"));
            return None;
        }
    };
    Some(recipe)
}

/// The first codec of a container; none for sound.
fn codec(format: Format) -> Option<VideoCodec> {
    format.codecs().first().copied()
}

fn sides(form: &mut Form) -> (Option<u32>, Option<u32>) {
    (form.integer32("width", 2..=LARGEST_SIDE), form.integer32("height", 2..=LARGEST_SIDE))
}

fn part(form: &mut Form) -> (Option<f64>, Option<f64>) {
    let start = form.number("startSeconds", 0.0..=LATEST_SECOND);
    (start, form.number("durationSeconds", 0.001..=LATEST_SECOND))
}

/// `scaleDown`, `width` and `height`: a side alone means `scaleDown`, and `scaleDown` alone means 720 lines.
fn scaled(form: &mut Form) -> Size {
    let (width, height) = sides(form);
    let named = width.is_some() || height.is_some();
    match form.boolean("scaleDown").unwrap_or(named) {
        false => Size::default(),
        true if named => Size { width, height, ..Size::default() },
        true => Size { resolution: Some(Resolution::P720), ..Size::default() },
    }
}
