//! What ffprobe writes, as it writes it (`-of json`), and how its words become ours.
//!
//! # Source
//! <https://ffmpeg.org/ffprobe.html>, and ffmpeg's `fftools/ffprobe.c` for the fields. Numbers of unsure range come as
//! texts; what is unknown is absent, `N/A`, `0/0` or `unknown`.

use std::collections::BTreeMap;

use reelhook_domain::media::{AudioInfo, Color, Light, MasteringDisplay, SampleDepth, VideoInfo};
use serde::Deserialize;

/// Most frames a second that a picture stream without a known mean is believed.
const MOST_LIKELY_RATE: f64 = 240.0;

/// Codecs that give back every sample as it was.
const LOSSLESS: &[&str] = &["flac", "alac", "wavpack", "tta", "ape", "tak", "truehd", "mlp", "shorten", "wmalossless"];
/// Those that keep eight bits of about fourteen, the same on every system.
const COMPANDED: &[&str] = &["pcm_alaw", "pcm_mulaw", "pcm_vidc"];

/// The whole report.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Report {
    #[serde(default)]
    pub(crate) streams: Vec<Stream>,
    #[serde(default)]
    pub(crate) chapters: Vec<ReportChapter>,
    #[serde(default)]
    pub(crate) format: Container,
    /// The first frames, where they were asked for.
    #[serde(default)]
    frames: Vec<Frame>,
    /// The packets, where they were asked for.
    #[serde(default)]
    pub(crate) packets: Vec<Packet>,
}

/// A frame that was decoded.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Frame {
    side_data_list: Vec<SideData>,
}

/// A chapter, as it is told.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ReportChapter {
    pub(crate) start_time: Option<String>,
    pub(crate) end_time: Option<String>,
    pub(crate) tags: BTreeMap<String, String>,
}

/// A packet of a stream.
#[derive(Debug, Deserialize)]
pub(crate) struct Packet {
    pub(crate) stream_index: u32,
    #[serde(default)]
    flags: String,
}

impl Report {
    /// How the first packets are asked for.
    pub(crate) const FIRST_PACKETS: [&str; 3] = ["-show_packets", "-read_intervals", "%+#64"];

    /// The report without the numbers of packets, where only the first ones were read.
    pub(crate) fn of_first_packets(mut self) -> Self {
        self.streams.iter_mut().for_each(|stream| stream.nb_read_packets = None);
        self
    }

    /// Whether the first packet of a stream that plays is a key frame; `None` where it is not among the first packets.
    pub(crate) fn begins_with_key(&self, stream: u32) -> Option<bool> {
        let shown = |packet: &&Packet| packet.stream_index == stream && !packet.flags.contains('D');
        self.packets.iter().find(shown).map(|packet| packet.flags.contains('K'))
    }
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Container {
    start_time: Option<String>,
    duration: Option<String>,
    bit_rate: Option<String>,
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Stream {
    pub(crate) index: u32,
    codec_name: Option<String>,
    pub(crate) codec_type: Option<String>,
    profile: Option<String>,
    level: Option<i64>,
    width: Option<u32>,
    height: Option<u32>,
    sample_aspect_ratio: Option<String>,
    pix_fmt: Option<String>,
    color_range: Option<String>,
    color_space: Option<String>,
    color_transfer: Option<String>,
    color_primaries: Option<String>,
    field_order: Option<String>,
    r_frame_rate: Option<String>,
    avg_frame_rate: Option<String>,
    start_time: Option<String>,
    duration: Option<String>,
    bit_rate: Option<String>,
    nb_frames: Option<String>,
    nb_read_packets: Option<String>,
    channels: Option<u32>,
    sample_rate: Option<String>,
    sample_fmt: Option<String>,
    bits_per_sample: Option<u32>,
    bits_per_raw_sample: Option<String>,
    extradata_hash: Option<String>,
    time_base: Option<String>,
    codec_tag_string: Option<String>,
    has_b_frames: Option<u32>,
    disposition: BTreeMap<String, i64>,
    pub(crate) tags: BTreeMap<String, String>,
    side_data_list: Vec<SideData>,
    /// Whether it was looked for packets and has none.
    #[serde(skip)]
    pub(crate) empty: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SideData {
    rotation: Option<f64>,
    red_x: Option<String>,
    red_y: Option<String>,
    green_x: Option<String>,
    green_y: Option<String>,
    blue_x: Option<String>,
    blue_y: Option<String>,
    white_point_x: Option<String>,
    white_point_y: Option<String>,
    min_luminance: Option<String>,
    max_luminance: Option<String>,
    max_content: Option<u32>,
    max_average: Option<u32>,
}

impl SideData {
    fn mastering_display(&self) -> Option<MasteringDisplay> {
        // In the units of the standard: 0.00002, and 0.0001 cd/m2.
        let of = |text: &Option<String>, units: f64| {
            let value = ratio(text.as_ref(), '/')? * units;
            (value < f64::from(u32::MAX)).then(|| value.round() as u32)
        };
        let point = |x, y| Some([of(x, 50_000.0)?, of(y, 50_000.0)?]);
        Some(MasteringDisplay {
            red: point(&self.red_x, &self.red_y)?,
            green: point(&self.green_x, &self.green_y)?,
            blue: point(&self.blue_x, &self.blue_y)?,
            white_point: point(&self.white_point_x, &self.white_point_y)?,
            max_luminance: of(&self.max_luminance, 10_000.0)?,
            min_luminance: of(&self.min_luminance, 10_000.0).unwrap_or(0),
        })
    }
}

/// How bright a picture gets by what accompanies it.
fn light(side_data: &[SideData]) -> Option<Light> {
    let positive = |nits: Option<u32>| nits.filter(|&nits| nits > 0);
    let light = Light {
        mastering_display: side_data.iter().find_map(SideData::mastering_display),
        max_content: side_data.iter().find_map(|data| positive(data.max_content)),
        max_average: side_data.iter().find_map(|data| positive(data.max_average)),
    };
    (!light.is_empty()).then_some(light)
}

impl Report {
    /// How bright the picture gets by what its first frame says.
    pub(crate) fn light_of_frame(&self) -> Option<Light> {
        self.frames.iter().find_map(|frame| light(&frame.side_data_list))
    }
}

fn number<T: std::str::FromStr>(text: Option<&String>) -> Option<T> {
    text?.trim().parse().ok()
}

fn seconds(text: Option<&String>) -> Option<f64> {
    number(text).filter(|seconds: &f64| seconds.is_finite() && *seconds > 0.0)
}

/// `30000/1001`; `None` for `0/0`.
fn ratio(text: Option<&String>, separator: char) -> Option<f64> {
    let (above, below) = text?.split_once(separator)?;
    let (above, below): (f64, f64) = (above.parse().ok()?, below.parse().ok()?);
    (above > 0.0 && below > 0.0).then(|| above / below)
}

fn known(text: Option<&String>) -> Option<String> {
    text.filter(|text| !matches!(text.as_str(), "" | "unknown" | "N/A" | "reserved")).cloned()
}

/// Our word for a codec; ffmpeg's, except where the world says otherwise.
fn codec(name: Option<&String>) -> String {
    match name.map_or("unknown", String::as_str) {
        "hevc" => "h265".to_owned(),
        name => name.to_owned(),
    }
}

impl Container {
    pub(crate) fn duration_seconds(&self) -> Option<f64> {
        seconds(self.duration.as_ref())
    }

    pub(crate) fn start_seconds(&self) -> f64 {
        number(self.start_time.as_ref()).filter(|start: &f64| start.is_finite()).unwrap_or(0.0)
    }

    pub(crate) fn bit_rate(&self) -> Option<u64> {
        number(self.bit_rate.as_ref())
    }
}

impl Stream {
    pub(crate) fn has(&self, disposition: &str) -> bool {
        self.disposition.get(disposition).is_some_and(|&value| value != 0)
    }

    /// Our word for its codec.
    pub(crate) fn codec(&self) -> String {
        codec(self.codec_name.as_ref())
    }

    /// Whether it is a picture stream that plays: a cover image is not.
    /// What decoders are told beforehand, and the unit of time.
    pub(crate) fn setup(&self) -> Option<String> {
        let (hash, base) = (self.extradata_hash.as_ref()?, self.time_base.as_ref()?);
        Some(format!("{hash}, {base}, {}", self.codec_tag_string.as_deref().unwrap_or_default()))
    }

    pub(crate) fn is_video(&self) -> bool {
        self.codec_type.as_deref() == Some("video")
            && !self.empty
            && !self.has("attached_pic")
            && self.width.is_some_and(|w| w > 0)
    }

    pub(crate) fn is_audio(&self) -> bool {
        self.codec_type.as_deref() == Some("audio") && !self.empty && self.channels.is_some_and(|channels| channels > 0)
    }

    /// Whether it is a picture or sound of which the container does not say that it holds something.
    pub(crate) fn may_be_empty(&self, demuxer: &str) -> bool {
        let plays = matches!(self.codec_type.as_deref(), Some("audio" | "video")) && !self.has("attached_pic");
        let counted = number::<u64>(self.nb_frames.as_ref()).is_some_and(|frames| frames > 0);
        let tagged = |name: &str| {
            self.tags.iter().any(|(tag, value)| tag.starts_with(name) && value.contains(|c| ('1'..='9').contains(&c)))
        };
        match demuxer {
            "mov" => plays && !counted,
            "matroska" => plays && !["DURATION", "NUMBER_OF_FRAMES"].into_iter().any(tagged),
            _ => false,
        }
    }

    /// How many samples the decoder gives at once, beyond those that the container counts.
    pub(crate) fn block(&self) -> u32 {
        let efficient = self.profile.as_deref().is_some_and(|profile| profile.starts_with("HE-AAC"));
        match self.codec_name.as_deref() {
            _ if self.depth().is_some() => 0,
            Some("aac") if efficient => 2048,
            Some("aac") => 1024,
            Some("mp3" | "mp2" | "mp1") => 1152,
            Some("ac3" | "eac3") => 1536,
            Some("opus") => 960,
            Some("amr_nb" | "gsm" | "gsm_ms") => 320,
            Some("amr_wb") => 640,
            Some(codec) if codec.starts_with("pcm_") => 0,
            _ => 2048,
        }
    }

    /// Whether a player would choose it among its like.
    pub(crate) fn is_default(&self) -> bool {
        self.has("default")
    }

    /// Samples as coded, before rotation and pixel aspect: what decoding costs.
    pub(crate) fn coded_pixels(&self) -> u64 {
        u64::from(self.width.unwrap_or(0)) * u64::from(self.height.unwrap_or(0))
    }

    fn rotation(&self) -> u16 {
        // The side data counts counter-clockwise, the old tag clockwise.
        let turned = self.side_data_list.iter().find_map(|data| data.rotation).map(|angle| -angle);
        let clockwise = turned.or_else(|| number(self.tags.get("rotate"))).unwrap_or(0.0).rem_euclid(360.0);
        match clockwise {
            angle if (angle - 90.0).abs() < 1.0 => 90,
            angle if (angle - 180.0).abs() < 1.0 => 180,
            angle if (angle - 270.0).abs() < 1.0 => 270,
            _ => 0,
        }
    }

    /// How many packets there are, where they were counted.
    pub(crate) fn read_packets(&self) -> Option<u64> {
        number(self.nb_read_packets.as_ref())
    }

    /// Whether the decoder gives its frames out in another order than it takes them in.
    pub(crate) fn is_reordered(&self) -> bool {
        self.has_b_frames.is_some_and(|frames| frames > 0)
    }

    /// How long after the beginning of the file this stream begins.
    pub(crate) fn begins_after(&self, container: &Container) -> f64 {
        let start: Option<f64> = number(self.start_time.as_ref()).filter(|start: &f64| start.is_finite());
        start.map_or(0.0, |start| (start - container.start_seconds()).max(0.0))
    }

    /// Length of this stream: its own field, or the tag that Matroska has in its place (`00:00:05.000000000`).
    fn duration_seconds(&self) -> Option<f64> {
        seconds(self.duration.as_ref()).or_else(|| {
            let parts: Vec<f64> = self.tags.get("DURATION")?.split(':').filter_map(|part| part.parse().ok()).collect();
            let [hours, minutes, seconds] = parts[..] else { return None };
            let start: f64 = number(self.start_time.as_ref()).unwrap_or(0.0);
            // The tag tells when the stream ends, from the beginning of the file.
            Some(hours * 3600.0 + minutes * 60.0 + seconds - start.max(0.0)).filter(|length| *length > 0.0)
        })
    }

    pub(crate) fn video(&self) -> VideoInfo {
        let aspect = ratio(self.sample_aspect_ratio.as_ref(), ':').unwrap_or(1.0);
        let square = (aspect - 1.0).abs() < 0.001;
        let (coded_width, height) = (self.width.unwrap_or(0), self.height.unwrap_or(0));
        let width = if square { coded_width } else { (f64::from(coded_width) * aspect).round().clamp(1.0, 1e6) as u32 };
        let rotation = self.rotation();
        let (width, height) = if rotation % 180 == 90 { (height, width) } else { (width, height) };
        let interlaced = matches!(self.field_order.as_deref(), Some("tt" | "bb" | "tb" | "bt"));
        let mean = ratio(self.avg_frame_rate.as_ref(), '/');
        let base = ratio(self.r_frame_rate.as_ref(), '/');
        // Where the mean is not known, the base may be the clock rather than a rate.
        let frame_rate = mean.or(base.filter(|&base| base <= MOST_LIKELY_RATE));
        let uneven = |(mean, base): (f64, f64)| {
            let fields = interlaced && (base / mean - 2.0).abs() < 0.02;
            // Half of what is between 30 and 29.97: phones that miss the grid by less do not miss it.
            (base / mean - 1.0).abs() > 0.0005 && !fields
        };
        VideoInfo {
            codec: codec(self.codec_name.as_ref()),
            profile: known(self.profile.as_ref()),
            level: self.level.filter(|level| *level > 0),
            width,
            height,
            frame_rate,
            frames: number(self.nb_frames.as_ref())
                .or_else(|| number(self.nb_read_packets.as_ref()))
                .filter(|n| *n > 0),
            rotation,
            variable_frame_rate: mean.zip(base).map_or(frame_rate.is_none(), uneven),
            pixel_format: known(self.pix_fmt.as_ref()).map(|samples| self.with_alpha(samples)),
            square_pixels: square,
            color: Color {
                primaries: known(self.color_primaries.as_ref()),
                transfer: known(self.color_transfer.as_ref()),
                matrix: known(self.color_space.as_ref()),
                range: known(self.color_range.as_ref()),
            },
            light: light(&self.side_data_list),
            interlaced,
            bit_rate: number(self.bit_rate.as_ref()),
            duration_seconds: self.duration_seconds(),
        }
    }

    /// VP8 and VP9 keep alpha beside the picture, where a tag of the container tells of it.
    fn with_alpha(&self, samples: String) -> String {
        let tagged = self.tags.iter().any(|(name, value)| name.eq_ignore_ascii_case("alpha_mode") && value == "1");
        if tagged && samples == "yuv420p" { "yuva420p".to_owned() } else { samples }
    }

    pub(crate) fn audio(&self) -> AudioInfo {
        AudioInfo {
            codec: codec(self.codec_name.as_ref()),
            channels: self.channels.unwrap_or(0),
            sample_rate: number(self.sample_rate.as_ref()).unwrap_or(0),
            bit_rate: number(self.bit_rate.as_ref()),
            duration_seconds: self.duration_seconds(),
            depth: self.depth(),
        }
    }

    /// How exact the samples of a lossless codec are.
    fn depth(&self) -> Option<SampleDepth> {
        let codec = self.codec_name.as_deref()?;
        if codec.starts_with("dsd_") {
            return Some(SampleDepth::integer(1));
        }
        // DTS is lossless in one of its profiles.
        let lossless = (codec.starts_with("pcm_") && !COMPANDED.contains(&codec))
            || LOSSLESS.contains(&codec)
            || (codec == "dts" && self.profile.as_deref() == Some("DTS-HD MA"));
        if !lossless {
            return None;
        }
        let layout = self.sample_fmt.as_deref()?.trim_end_matches('p');
        let (held, float) = match layout {
            "u8" => (8, false),
            "s16" => (16, false),
            "flt" => (32, true),
            "dbl" => (64, true),
            "s64" => (64, false),
            _ => (32, false),
        };
        let told = number(self.bits_per_raw_sample.as_ref()).or(self.bits_per_sample);
        let bits = told.filter(|bits| !float && (1..=held).contains(bits)).unwrap_or(held);
        Some(SampleDepth { bits, float })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn video(value: serde_json::Value) -> VideoInfo {
        serde_json::from_value::<Stream>(value).unwrap().video()
    }

    #[test]
    fn a_turned_picture_with_oblong_pixels_is_told_as_shown() {
        let info = video(json!({
            "width": 720, "height": 576, "sample_aspect_ratio": "16:15", "side_data_list": [{"rotation": -90}]
        }));
        assert_eq!((info.width, info.height, info.rotation, info.square_pixels), (576, 768, 90, false));
        let info = video(json!({"width": 64, "height": 32, "tags": {"rotate": "270"}}));
        assert_eq!((info.width, info.height, info.rotation), (32, 64, 270));
    }

    #[test]
    fn uneven_frame_times_are_noticed() {
        let uneven = |mean: &str, base: &str, order: &str| {
            video(json!({"avg_frame_rate": mean, "r_frame_rate": base, "field_order": order})).variable_frame_rate
        };
        assert!(!uneven("25/1", "25/1", "progressive"));
        assert!(!uneven("30000/1001", "30000/1001", "progressive"));
        assert!(uneven("29917/1000", "30/1", "progressive"));
        assert!(uneven("0/0", "1000/1", "unknown"));
        assert!(uneven("75/7", "25/1", "progressive"));
        assert!(!uneven("25/1", "50/1", "tt"));
        assert!(!uneven("0/0", "25/1", "unknown"));
    }

    #[test]
    fn only_what_loses_nothing_has_a_depth() {
        let depth = |value| serde_json::from_value::<Stream>(value).unwrap().audio().depth;
        let whole = |bits| Some(SampleDepth::integer(bits));
        let float = |bits| Some(SampleDepth { bits, float: true });
        assert_eq!(depth(json!({"codec_name": "aac", "sample_fmt": "fltp", "bits_per_sample": 0})), None);
        assert_eq!(depth(json!({"codec_name": "pcm_mulaw", "sample_fmt": "s16", "bits_per_sample": 8})), None);
        assert_eq!(depth(json!({"codec_name": "pcm_s24be", "sample_fmt": "s32", "bits_per_sample": 24})), whole(24));
        assert_eq!(depth(json!({"codec_name": "pcm_u8", "sample_fmt": "u8", "bits_per_sample": 8})), whole(8));
        assert_eq!(depth(json!({"codec_name": "pcm_f64le", "sample_fmt": "dbl", "bits_per_sample": 64})), float(64));
        let flac =
            json!({"codec_name": "flac", "sample_fmt": "s32", "bits_per_sample": 0, "bits_per_raw_sample": "20"});
        assert_eq!(depth(flac), whole(20));
        assert_eq!(
            depth(json!({"codec_name": "wavpack", "sample_fmt": "fltp", "bits_per_raw_sample": "32"})),
            float(32)
        );
        assert_eq!(depth(json!({"codec_name": "alac", "sample_fmt": "s16p"})), whole(16));
        let dts =
            json!({"codec_name": "dts", "profile": "DTS-HD MA", "sample_fmt": "s32p", "bits_per_raw_sample": "24"});
        assert_eq!(depth(dts), whole(24));
        assert_eq!(depth(json!({"codec_name": "dts", "profile": "DTS", "sample_fmt": "fltp"})), None);
    }

    #[test]
    fn matroska_tells_the_length_of_a_stream_in_a_tag() {
        let info = video(json!({"start_time": "0.5", "tags": {"DURATION": "00:01:05.500000000"}}));
        assert_eq!(info.duration_seconds, Some(65.0));
    }
}
