//! What the numbers of a picture mean, decided once; and what becomes of light and transparency that a target cannot hold.
//!
//! Files often leave open in which colours their numbers are. That is decided here for everything that follows: the
//! filters are told by [`Meaning::told`], which all pictures pass first, and so the encoders tag what they write.

use reelhook_domain::media::{Color, Light, VideoInfo};
use reelhook_domain::recipe::VideoCodec;

use super::Desk;
use crate::capabilities::Capabilities;
use crate::spell::seconds;
use crate::verify::ColorExpectation;

/// Untagged pictures of at least this many lines, or wider than [`WIDEST_SD`], are in the colours of BT.709.
const FEWEST_HD_LINES: u32 = 720;
/// The widest untagged picture that is taken for BT.601.
const WIDEST_SD: u32 = 1024;
/// Lines of European television, whose primaries differ a little.
const PAL_LINES: &[u32] = &[288, 576];

/// Luminance of diffuse white in high dynamic range, in cd/m2.
///
/// # Source
/// ITU-R BT.2408, section 2.1.
const DIFFUSE_WHITE: f64 = 203.0;
/// Brightest light where a source does not say, in cd/m2: what HLG means and most PQ is graded for.
const USUAL_PEAK: f64 = 1000.0;
/// Brightest light that is mapped; what says more is taken for this.
const HIGHEST_PEAK: f64 = 10_000.0;
/// Up to this share of diffuse white light stays in proportion; above it is compressed. With it white comes out at 228
/// of 255, and light of 1000 cd/m2 at 255.
const LINEAR_SHARE: f64 = 0.5;

/// In which colours the numbers of a picture are, with nothing left open. By ffmpeg's names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Meaning {
    pub(crate) matrix: String,
    pub(crate) primaries: String,
    pub(crate) transfer: String,
    pub(crate) full_range: bool,
}

impl Meaning {
    fn new(matrix: &str, primaries: &str, transfer: &str) -> Self {
        let [matrix, primaries, transfer] = [matrix, primaries, transfer].map(str::to_owned);
        Self { matrix, primaries, transfer, full_range: false }
    }

    /// What the source says, and where it does not, what follows from the rest or from the size.
    pub(crate) fn of(video: &VideoInfo) -> Self {
        let Color { primaries, transfer, matrix, .. } = &video.color;
        let usual = Self::usual(video);
        let said = |said: &Option<String>, usual: String| said.clone().unwrap_or(usual);
        Self {
            // The matrix of RGB is none; it gets one when it becomes video.
            matrix: said(&matrix.clone().filter(|matrix| matrix != "gbr"), usual.matrix),
            primaries: said(primaries, usual.primaries),
            transfer: said(transfer, usual.transfer),
            full_range: is_full_range(video),
        }
    }

    pub(super) fn bt709() -> Self {
        Self::new("bt709", "bt709", "bt709")
    }

    /// What a result in these colours is tagged with.
    pub(super) fn expectation(&self) -> ColorExpectation {
        ColorExpectation { matrix: self.matrix.clone(), transfer: self.transfer.clone() }
    }

    /// What goes with what is said.
    fn usual(video: &VideoInfo) -> Self {
        let Color { primaries, matrix, .. } = &video.color;
        let (hd, pal, ntsc) = (
            Self::bt709(),
            Self::new("bt470bg", "bt470bg", "smpte170m"),
            Self::new("smpte170m", "smpte170m", "smpte170m"),
        );
        let wide = Self::new("bt2020nc", "bt2020", "bt2020-10");
        if is_rgb(video) {
            return hd;
        }
        match (matrix.as_deref(), primaries.as_deref()) {
            _ if video.color.is_hdr() => wide,
            (Some("bt2020nc" | "bt2020c"), _) | (None, Some("bt2020")) => wide,
            (Some("bt470bg"), _) | (None, Some("bt470bg")) => pal,
            (Some("smpte170m" | "fcc" | "smpte240m"), _) | (None, Some("smpte170m" | "smpte240m")) => ntsc,
            (Some("bt709"), _) | (None, Some("bt709")) => hd,
            _ if video.height >= FEWEST_HD_LINES || video.width > WIDEST_SD => hd,
            _ if PAL_LINES.contains(&video.height) => pal,
            _ => ntsc,
        }
    }

    /// The filter that tells all others what the source leaves open; none where it says everything.
    pub(crate) fn told(video: &VideoInfo) -> Option<String> {
        if is_rgb(video) {
            return None;
        }
        let (meaning, Color { primaries, transfer, matrix, range }) = (Self::of(video), &video.color);
        let open = |said: &Option<String>, name: &str, value: &str| said.is_none().then(|| format!("{name}={value}"));
        let parts: Vec<String> = [
            open(range, "range", if meaning.full_range { "pc" } else { "tv" }),
            open(matrix, "colorspace", &meaning.matrix),
            open(primaries, "color_primaries", &meaning.primaries),
            open(transfer, "color_trc", &meaning.transfer),
        ]
        .into_iter()
        .flatten()
        .collect();
        (!parts.is_empty()).then(|| format!("setparams={}", parts.join(":")))
    }

    /// The filter that says what RGB means once it has become video.
    pub(super) fn tags(&self) -> String {
        let Self { matrix, primaries, transfer, .. } = self;
        format!("setparams=range=tv:colorspace={matrix}:color_primaries={primaries}:color_trc={transfer}")
    }

    /// In words for the caller, where the source left the matrix open.
    pub(super) fn note(video: &VideoInfo) -> Option<String> {
        let open = video.color.matrix.is_none() && !is_rgb(video);
        open.then(|| format!("untagged colours, assumed to be {}", Self::of(video).matrix))
    }

    /// Whether its primaries are so wide that its numbers look pale where they are taken for those of sRGB.
    fn is_wide(&self) -> bool {
        matches!(self.primaries.as_str(), "bt2020" | "smpte431" | "smpte432")
    }
}

pub(crate) fn is_full_range(video: &VideoInfo) -> bool {
    video.color.range.as_deref() == Some("pc") || video.pixel_format.as_deref().is_some_and(|f| f.starts_with("yuvj"))
}

pub(crate) fn is_rgb(video: &VideoInfo) -> bool {
    let names = ["rgb", "bgr", "gbr", "argb", "abgr", "0rgb", "0bgr", "x2rgb", "x2bgr", "pal8"];
    video.pixel_format.as_deref().is_some_and(|format| names.iter().any(|name| format.starts_with(name)))
}

/// Bits of a sample, from the name of the layout: `yuv420p10le`, `p010le`, `rgb48be`.
pub(super) fn depth(video: &VideoInfo) -> u32 {
    let Some(layout) = video.pixel_format.as_deref() else { return 8 };
    let digits = layout.strip_suffix("le").or_else(|| layout.strip_suffix("be")).unwrap_or("");
    let start = digits.rfind(|c: char| !c.is_ascii_digit()).map_or(0, |at| at + 1);
    match digits[start..].parse() {
        Ok(bits @ 9..=16) => bits,
        Ok(48 | 64) => 16,
        _ => 8,
    }
}

/// What becomes of high dynamic range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hdr {
    /// The source has none.
    None,
    /// Ten bits and the tags are carried on.
    Kept,
    /// Mapped to standard range.
    Mapped,
    /// This machine cannot map it: the tags are carried on in eight bits.
    Tagged,
}

impl Hdr {
    /// H.265 and AV1 carry high dynamic range to players that show it; H.264 and VP9 here have eight bits.
    pub(super) fn of(desk: &Desk<'_>, video: &VideoInfo, codec: VideoCodec) -> Self {
        match codec {
            _ if !video.color.is_hdr() => Self::None,
            VideoCodec::H265 | VideoCodec::Av1 => Self::Kept,
            VideoCodec::H264 | VideoCodec::Vp9 => Self::standard(desk, video),
        }
    }

    /// For a target that has standard range only.
    pub(super) fn standard(desk: &Desk<'_>, video: &VideoInfo) -> Self {
        match (video.color.is_hdr(), desk.capabilities.tone_maps()) {
            (false, _) => Self::None,
            (true, true) => Self::Mapped,
            (true, false) => Self::Tagged,
        }
    }

    /// Light is measured in diffuse whites, mapped in the primaries of the target, and what is brighter than white is
    /// compressed into the little room above it.
    pub(super) fn filters(self, video: &VideoInfo) -> Vec<String> {
        if self != Self::Mapped {
            return Vec::new();
        }
        let Meaning { matrix, primaries, transfer, full_range } = Meaning::of(video);
        let range = if full_range { "pc" } else { "tv" };
        let brightest = video.light.as_ref().and_then(Light::peak).unwrap_or(USUAL_PEAK);
        let peak = brightest.clamp(DIFFUSE_WHITE * 1.2, HIGHEST_PEAK) / DIFFUSE_WHITE;
        vec![
            format!("zscale=tin={transfer}:pin={primaries}:min={matrix}:rin={range}:t=linear:npl={DIFFUSE_WHITE}"),
            "format=gbrpf32le".to_owned(),
            "zscale=p=bt709".to_owned(),
            format!("tonemap=tonemap=mobius:param={LINEAR_SHARE}:desat=0:peak={}", seconds(peak)),
            "zscale=t=bt709:m=bt709:r=tv".to_owned(),
        ]
    }

    pub(super) fn note(self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Kept => Some("high dynamic range kept".to_owned()),
            Self::Mapped => Some("high dynamic range mapped to standard".to_owned()),
            Self::Tagged => Some("high dynamic range kept in eight bits, as this server cannot map it".to_owned()),
        }
    }
}

/// The filters that bring high dynamic range to standard range, where this machine can.
pub(crate) fn sdr_filters(capabilities: &Capabilities, video: &VideoInfo) -> Vec<String> {
    let maps = video.color.is_hdr() && capabilities.tone_maps();
    if maps { Hdr::Mapped.filters(video) } else { Vec::new() }
}

/// The filter that brings wide colours of standard range into those of sRGB, for pictures that say nothing of theirs.
pub(crate) fn narrowed(capabilities: &Capabilities, video: &VideoInfo) -> Option<String> {
    let meaning = Meaning::of(video);
    let wide = meaning.is_wide() && !video.color.is_hdr() && capabilities.filters("zscale");
    wide.then(|| {
        let Meaning { matrix, primaries, transfer, full_range } = meaning;
        let range = if full_range { "pc" } else { "tv" };
        format!("zscale=tin={transfer}:pin={primaries}:min={matrix}:rin={range}:p=bt709:t=bt709:m=bt709:r=tv")
    })
}

/// The decoder that sees the transparency which VP8 and VP9 keep beside the picture, where there is some; ffmpeg's own skip
/// it.
pub(crate) fn alpha_decoder(capabilities: &Capabilities, video: &VideoInfo) -> Option<&'static str> {
    let name = match video.codec.as_str() {
        "vp8" if video.has_alpha() => "libvpx",
        "vp9" if video.has_alpha() => "libvpx-vp9",
        _ => return None,
    };
    capabilities.decodes(name).then_some(name)
}

/// What becomes of transparency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alpha {
    /// The source has none.
    None,
    Kept,
    /// Laid on black, as players do with video.
    OnBlack,
    /// Laid on white, as browsers do with pictures.
    OnWhite,
}

impl Alpha {
    /// For a target that carries transparency, or whose pictures lie on `ground`.
    pub(super) const fn of(is_there: bool, carries: bool, ground: Self) -> Self {
        match (is_there, carries) {
            (false, _) => Self::None,
            (true, true) => Self::Kept,
            (true, false) => ground,
        }
    }

    /// Filters before the picture is scaled. What is hidden under transparency must not bleed into what is seen, so colours
    /// are weighed by their alpha first.
    pub(super) fn before(self, scaled: bool) -> &'static [&'static str] {
        match self {
            Self::Kept if scaled => &["format=gbrap", "premultiply=inplace=1"],
            Self::None | Self::Kept => &[],
            Self::OnBlack => &["format=gbrap", "premultiply=inplace=1", "format=gbrp"],
            // What lies on white is the negative of what lies on black.
            Self::OnWhite => &["format=gbrap", "negate", "premultiply=inplace=1", "format=gbrp", "negate"],
        }
    }

    /// Filters after that.
    pub(super) fn after(self, scaled: bool) -> &'static [&'static str] {
        if self == Self::Kept && scaled { &["unpremultiply=inplace=1"] } else { &[] }
    }

    pub(super) fn note(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Kept => Some("transparency kept"),
            Self::OnBlack => Some("transparency laid on black"),
            Self::OnWhite => Some("transparency laid on white"),
        }
    }
}

/// The same for encoders: what they write beside the picture, so that displays know how bright it gets.
pub(super) fn light_parameters(encoder: &str, light: &Light) -> Vec<String> {
    let mut parameters = Vec::new();
    let content = light.max_content.map(|content| (content, light.max_average.unwrap_or(0)));
    match encoder {
        "libx265" => {
            parameters.extend(light.mastering_display.map(|display| {
                let point = |[x, y]: [u32; 2]| format!("({x},{y})");
                format!(
                    "master-display=G{}B{}R{}WP{}L({},{})",
                    point(display.green),
                    point(display.blue),
                    point(display.red),
                    point(display.white_point),
                    display.max_luminance,
                    display.min_luminance
                )
            }));
            parameters.extend(content.map(|(content, average)| format!("max-cll={content},{average}")));
        }
        "libsvtav1" => {
            parameters.extend(light.mastering_display.map(|display| {
                let point = |[x, y]: [u32; 2]| {
                    format!("({},{})", seconds(f64::from(x) / 50_000.0), seconds(f64::from(y) / 50_000.0))
                };
                let nits = |luminance: u32| seconds(f64::from(luminance) / 10_000.0);
                format!(
                    "mastering-display=G{}B{}R{}WP{}L({},{})",
                    point(display.green),
                    point(display.blue),
                    point(display.red),
                    point(display.white_point),
                    nits(display.max_luminance),
                    nits(display.min_luminance)
                )
            }));
            parameters.extend(content.map(|(content, average)| format!("content-light={content},{average}")));
        }
        _ => {}
    }
    parameters
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::samples;

    fn meaning(width: u32, height: u32, color: Color) -> String {
        let video = VideoInfo { color, ..samples::video(width, height) };
        let Meaning { matrix, primaries, transfer, .. } = Meaning::of(&video);
        format!("{matrix} {primaries} {transfer}")
    }

    #[test]
    fn what_is_not_said_follows_from_the_size() {
        let of = |width, height| meaning(width, height, Color::default());
        for (width, height) in [(1280, 720), (1920, 1080), (3840, 2160), (1280, 536), (1080, 1920), (480, 854)] {
            assert_eq!(of(width, height), "bt709 bt709 bt709", "{width}x{height}");
        }
        assert_eq!(of(720, 576), "bt470bg bt470bg smpte170m");
        for (width, height) in [(720, 480), (640, 360), (1024, 576 + 2), (320, 240)] {
            assert_eq!(of(width, height), "smpte170m smpte170m smpte170m", "{width}x{height}");
        }
    }

    #[test]
    fn what_is_said_in_part_is_completed_by_what_goes_with_it() {
        let said = |text: &str| Some(text.to_owned());
        let of = |color| meaning(1920, 1080, color);
        assert_eq!(of(Color { matrix: said("smpte170m"), ..Color::default() }), "smpte170m smpte170m smpte170m");
        assert_eq!(of(Color { transfer: said("smpte2084"), ..Color::default() }), "bt2020nc bt2020 smpte2084");
        assert_eq!(of(Color { primaries: said("bt2020"), ..Color::default() }), "bt2020nc bt2020 bt2020-10");
        assert_eq!(of(Color { primaries: said("smpte432"), ..Color::default() }), "bt709 smpte432 bt709");
    }

    #[test]
    fn only_what_is_open_is_told() {
        let video = samples::video(1280, 720);
        let all = "setparams=range=tv:colorspace=bt709:color_primaries=bt709:color_trc=bt709";
        assert_eq!(Meaning::told(&video).as_deref(), Some(all));
        let said = |text: &str| Some(text.to_owned());
        let (bt709, tv) = (said("bt709"), said("tv"));
        let color = Color { primaries: bt709.clone(), transfer: bt709.clone(), matrix: bt709, range: tv };
        assert_eq!(Meaning::told(&VideoInfo { color, ..video.clone() }), None);
        assert_eq!(Meaning::told(&VideoInfo { pixel_format: said("bgra"), ..video }), None);
    }

    #[test]
    fn the_depth_is_told_by_the_layout() {
        let of = |layout: &str| depth(&VideoInfo { pixel_format: Some(layout.to_owned()), ..samples::video(2, 2) });
        for (layout, bits) in
            [("yuv420p", 8), ("yuv420p10le", 10), ("p010le", 10), ("gbrp12be", 12), ("rgb48le", 16), ("nv12", 8)]
        {
            assert_eq!(of(layout), bits, "{layout}");
        }
    }
}
