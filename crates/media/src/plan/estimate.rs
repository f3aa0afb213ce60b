//! What a plan is expected to take: encodings to be paid for, time of processors, time that passes, bytes.
//!
//! # The model
//! An encoder takes about the same time for each pixel, whatever the picture shows; how long depends on the codec and
//! the tier. So time = pixels walked x seconds a megapixel: once for decoding in each run that encodes, once for each
//! encoding. Sound, stills and copies add a little that is the same for all. The table was measured with ffmpeg 5.1 and
//! 720p of two kinds (a smooth zoom, and a test picture with film grain; the mean of both) on one core of a server CPU of 2.5 GHz. Real pictures
//! lie within a factor of two of it, other machines further off; it is an order of magnitude for people who plan, not a
//! promise. Sizes come from the bit rate where one was asked for, otherwise from the same measurements.

use reelhook_domain::media::{MediaInfo, VideoInfo};
use reelhook_domain::price::Encoding;
use reelhook_domain::recipe::{Quality, Recipe, VideoCodec};

use super::{Plan, package};
use crate::probe::Source;
use crate::promise::Promise;
use crate::step::{AudioTrack, Making, Product, VideoTrack};

/// What a plan is expected to take.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Forecast {
    /// The encodings of each output, in the order of the recipes; none where nothing is encoded or it is refused.
    pub encodings: Vec<Vec<Encoding>>,
    /// Time of all processors together, in seconds.
    pub cpu_seconds: f64,
    /// Time that passes while the tools run, in seconds.
    pub wall_seconds: f64,
    /// Size of all outputs together.
    pub size_bytes: u64,
}

/// Seconds of one core that decoding takes for a million pixels.
const DECODING: f64 = 0.011;
/// Seconds of one core for a second of sound, decoded and encoded.
const SOUND: f64 = 0.01;
/// Seconds of one core for starting a tool and looking at what it made.
const START: f64 = 0.3;
/// Bits per second of sound that is encoded.
const SOUND_BITS: f64 = 128_000.0;
/// Bytes for each pixel of a still.
const STILL_BYTES: f64 = 0.25;
/// Bytes for each pixel of an animation.
const ANIMATED_BYTES: f64 = 0.15;
/// Bytes for each column of a waveform: as a path or as pixels, with its peaks.
const WAVE_BYTES: f64 = 32.0;
/// Frames a second where nobody knows.
const FRAME_RATE: f64 = 25.0;
/// How much of a further core an encoder turns into speed.
const SPREAD: f64 = 0.75;
/// Beyond so many cores an encoder gains nothing.
const MOST_CORES: usize = 16;

/// Seconds of one core for a million pixels, and bits for each pixel: economy, standard, premium.
const fn effort(codec: VideoCodec) -> [(f64, f64); 3] {
    match codec {
        VideoCodec::H264 => [(0.018, 0.074), (0.070, 0.138), (0.204, 0.41)],
        VideoCodec::H265 => [(0.041, 0.028), (0.087, 0.086), (0.276, 0.152)],
        VideoCodec::Vp9 => [(0.020, 0.044), (0.114, 0.087), (0.151, 0.186)],
        VideoCodec::Av1 => [(0.075, 0.040), (0.326, 0.087), (1.06, 0.128)],
    }
}

const fn effort_of(codec: VideoCodec, quality: Quality) -> (f64, f64) {
    let tiers = effort(codec);
    match quality {
        Quality::Economy => tiers[0],
        Quality::Standard => tiers[1],
        Quality::Premium => tiers[2],
    }
}

/// What `plan`, made for `source` and all of these `recipes`, is expected to take on a machine with that many cores.
pub fn forecast(source: &Source, plan: &Plan, recipes: &[&Recipe], cores: usize) -> Forecast {
    let mut forecast = Forecast { encodings: vec![Vec::new(); recipes.len()], ..Forecast::default() };
    for step in &plan.steps {
        if step.keeps_source() {
            forecast.size_bytes += source.size_bytes * step.products.len() as u64;
            continue;
        }
        let mut decodes = false;
        for product in &step.products {
            let Some(recipe) = recipes.get(product.output) else { continue };
            let encodings = encodings(source, recipe, product);
            decodes |= !encodings.is_empty() || matches!(product.expect.promise, Some(Promise::Storyboard(_)));
            forecast.cpu_seconds += encodings.iter().map(seconds).sum::<f64>() + sound(source, product);
            forecast.size_bytes += bytes(source, recipe, product, &encodings);
            forecast.encodings[product.output] = encodings;
        }
        if let Some(video) = source.info.video.as_ref().filter(|_| decodes) {
            forecast.cpu_seconds += megapixels(video, length(&source.info)) * DECODING;
        }
        forecast.cpu_seconds += START * step.products.len() as f64;
    }
    let cores = cores.clamp(1, MOST_CORES) as f64;
    forecast.wall_seconds = forecast.cpu_seconds / (1.0 + (cores - 1.0) * SPREAD);
    forecast
}

/// The timelines of pictures that a product encodes in a codec that has a price.
fn encodings(source: &Source, recipe: &Recipe, product: &Product) -> Vec<Encoding> {
    let Some(video) = &source.info.video else { return Vec::new() };
    let own_rate = video.frame_rate.unwrap_or(FRAME_RATE);
    let seconds = product.expect.duration.map_or_else(|| length(&source.info), |span| span.seconds);
    if let Recipe::Package(package) = recipe {
        let encoding = |one: &package::Chosen<'_>| {
            let (rendition, (width, height)) = (one.rendition, one.size);
            let frame_rate = rendition.frame_rate.unwrap_or(own_rate);
            Encoding { seconds, codec: rendition.codec, width, height, frame_rate, quality: rendition.quality }
        };
        return package::chosen(video, package).0.iter().map(encoding).collect();
    }
    let encoded = |making: &Making| matches!(making.video, VideoTrack::Encode { .. });
    let expected = product.expect.video.as_ref().filter(|_| product.making.as_ref().is_some_and(encoded));
    // A still or a GIF is no codec of the table.
    let Some((expected, codec)) = expected.and_then(|video| Some((video, VideoCodec::from_word(&video.codec)?))) else {
        return Vec::new();
    };
    let (quality, frame_rate) = wishes(recipe);
    let frame_rate = frame_rate.unwrap_or(own_rate);
    vec![Encoding { seconds, codec, width: expected.width, height: expected.height, frame_rate, quality }]
}

/// Tier and frame rate that a recipe asks for.
fn wishes(recipe: &Recipe) -> (Quality, Option<f64>) {
    match recipe {
        Recipe::Compress(compress) => (compress.quality.unwrap_or(Quality::Standard), None),
        Recipe::Convert(convert) => (convert.quality, convert.frame_rate),
        Recipe::Resize(resize) => (resize.quality, None),
        Recipe::Trim(trim) => (trim.quality, None),
        Recipe::Style(style) => (style.quality, None),
        Recipe::Watermark(watermark) => (watermark.quality, None),
        _ => (Quality::Standard, None),
    }
}

fn seconds(encoding: &Encoding) -> f64 {
    let frames = encoding.seconds * encoding.frame_rate;
    let pixels = f64::from(encoding.width) * f64::from(encoding.height) * frames;
    pixels / 1e6 * effort_of(encoding.codec, encoding.quality).0
}

fn sound(source: &Source, product: &Product) -> f64 {
    let encodes = |making: &Making| matches!(making.audio, AudioTrack::Encode { .. } | AudioTrack::Drawn(_));
    // A loudness is measured before and after.
    let times = if matches!(product.expect.promise, Some(Promise::Loudness(_))) { 3.0 } else { 1.0 };
    if product.making.as_ref().is_some_and(encodes) { length(&source.info) * SOUND * times } else { 0.0 }
}

fn bytes(source: &Source, recipe: &Recipe, product: &Product, encodings: &[Encoding]) -> u64 {
    let whole = length(&source.info);
    let seconds = product.expect.duration.map_or(whole, |span| span.seconds);
    let sound = if product.expect.audio.is_some() { seconds * SOUND_BITS / 8.0 } else { 0.0 };
    let picture = match (recipe, &product.expect.video) {
        _ if let Some(Promise::Storyboard(board)) = &product.expect.promise => {
            f64::from(board.tile.0 * board.tile.1) * f64::from(board.count) * STILL_BYTES
        }
        (Recipe::Preview(preview), Some(video)) => {
            seconds * preview.frame_rate * f64::from(video.width) * f64::from(video.height) * ANIMATED_BYTES
        }
        (Recipe::Waveform(wave), _) => f64::from(wave.width) * WAVE_BYTES,
        (Recipe::Convert(convert), Some(_)) if convert.bitrate_kbps.is_some() => {
            f64::from(convert.bitrate_kbps.unwrap_or_default()) * 125.0 * seconds
        }
        (Recipe::Package(package), _) => {
            let rate = |(one, encoding): (&package::Chosen<'_>, &Encoding)| match one.rendition.bitrate_kbps {
                Some(kbps) => f64::from(kbps) * 125.0 * seconds,
                None => picture_bytes(encoding),
            };
            let chosen = source.info.video.as_ref().map(|video| package::chosen(video, package).0).unwrap_or_default();
            chosen.iter().zip(encodings).map(rate).sum()
        }
        (_, Some(still)) if encodings.is_empty() && product.expect.duration.is_none() => {
            f64::from(still.width) * f64::from(still.height) * STILL_BYTES
        }
        // A copy has its share of the source.
        (_, Some(_)) if encodings.is_empty() => source.size_bytes as f64 * (seconds / whole.max(seconds).max(0.001)),
        _ => encodings.iter().map(picture_bytes).sum(),
    };
    let bytes = (picture + sound).round() as u64;
    let most = product.max_bytes().unwrap_or(u64::MAX);
    bytes.min(most).min(if product.keep_source_if_larger { source.size_bytes } else { u64::MAX })
}

fn picture_bytes(encoding: &Encoding) -> f64 {
    let frames = encoding.seconds * encoding.frame_rate;
    let pixels = f64::from(encoding.width) * f64::from(encoding.height) * frames;
    pixels * effort_of(encoding.codec, encoding.quality).1 / 8.0
}

fn megapixels(video: &VideoInfo, seconds: f64) -> f64 {
    f64::from(video.width) * f64::from(video.height) * video.frame_rate.unwrap_or(FRAME_RATE) * seconds / 1e6
}

fn length(info: &MediaInfo) -> f64 {
    info.duration_seconds.unwrap_or(0.0)
}

impl Product {
    fn max_bytes(&self) -> Option<u64> {
        self.expect.max_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Damage, plan, samples};
    use serde_json::{Value, json};

    fn of(recipes: &[Value], cores: usize) -> Forecast {
        let recipes: Vec<Recipe> =
            recipes.iter().map(|recipe| serde_json::from_value(recipe.clone()).unwrap()).collect();
        let recipes: Vec<&Recipe> = recipes.iter().collect();
        let source = samples::clip();
        let plan = plan(&source, &[], &recipes, &samples::capabilities(), Damage::Strict);
        forecast(&source, &plan, &recipes, cores)
    }

    #[test]
    fn each_encoding_is_named_with_what_its_price_depends_on() {
        let forecast = of(
            &[
                json!({"recipe": "convert", "format": "mp4", "codec": "h264", "resolution": "720p", "quality": "economy"}),
                json!({"recipe": "convert", "format": "mkv", "codec": "av1", "frame_rate": 50, "quality": "premium"}),
                json!({"recipe": "thumbnail", "at_seconds": 1, "format": "jpg"}),
                json!({"recipe": "extract_audio", "format": "mp3"}),
                json!({"recipe": "convert", "format": "gif", "quality": "standard"}),
            ],
            1,
        );
        let said: Vec<Vec<_>> = forecast
            .encodings
            .iter()
            .map(|output| {
                let said =
                    |e: &Encoding| format!("{} {}x{} {} {}", e.codec, e.width, e.height, e.frame_rate, e.quality);
                output.iter().map(said).collect()
            })
            .collect();
        assert_eq!(said[0], ["h264 1280x720 25 economy"]);
        assert_eq!(said[1], ["av1 1920x1080 50 premium"]);
        assert!(said[2..].iter().all(Vec::is_empty), "{said:?}");
        assert!((forecast.encodings[0][0].seconds - 10.0).abs() < 1e-9);
    }

    #[test]
    fn what_is_kept_is_free_and_as_large_as_it_was() {
        let kept = of(&[json!({"recipe": "web_ready"})], 1);
        assert_eq!(kept.encodings, [Vec::new()]);
        assert_eq!((kept.size_bytes, kept.cpu_seconds), (samples::clip().size_bytes, 0.0));
    }

    #[test]
    fn more_and_harder_pixels_take_longer_and_more_cores_less() {
        let convert = |codec: &str, size: &str, quality: &str| json!({"recipe": "convert", "format": "mp4", "codec": codec, "resolution": size, "quality": quality});
        let cpu = |recipes: &[Value]| of(recipes, 1).cpu_seconds;
        let plain = cpu(&[convert("h264", "480p", "economy")]);
        assert!(plain < cpu(&[convert("h264", "1080p", "economy")]));
        assert!(cpu(&[convert("h264", "480p", "standard")]) < cpu(&[convert("h265", "480p", "standard")]));
        assert!(cpu(&[convert("av1", "480p", "standard")]) < cpu(&[convert("av1", "480p", "premium")]));
        let both = [convert("h264", "480p", "economy"), convert("h264", "1080p", "economy")];
        assert!(cpu(&both) < plain + cpu(&both[1..]), "what is decoded once is counted once");
        let (one, many) = (of(&both, 1), of(&both, 8));
        assert!((one.wall_seconds - one.cpu_seconds).abs() < 1e-9 && many.wall_seconds < one.wall_seconds / 4.0);
    }
}
