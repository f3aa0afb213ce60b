//! The style of a video in numbers: what is measured of it, and what brings another one near.
//!
//! Numbers come from a few small frames in RGB. Only what is measured is told as such; what the document names beside it
//! has values that mean "none".
//!
//! # Source
//! Mean and deviation of lightness and of the two colour differences, matched one by one: Reinhard, Ashikhmin, Gooch and
//! Shirley, "Color Transfer between Images", IEEE Computer Graphics and Applications 21(5), 2001.

use reelhook_domain::time::Timestamp;
use serde_json::{Value, json};

use crate::probe::Source;

/// Width and height of the frames that are measured.
pub(crate) const STYLE_SIZE: (u32, u32) = (64, 36);
/// Most frames that are measured.
pub(crate) const STYLE_FRAMES: u32 = 24;

/// Names of usual shapes; a picture within a hundredth of one has that.
const SHAPES: &[(u32, u32)] =
    &[(16, 9), (9, 16), (4, 3), (3, 4), (1, 1), (4, 5), (5, 4), (3, 2), (2, 3), (21, 9), (2, 1), (1, 2)];

/// How much red and blue count in lightness; green has the rest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Weights {
    red: f64,
    blue: f64,
}

impl Weights {
    /// Of high definition.
    pub(crate) const BT709: Self = Self { red: 0.2126, blue: 0.0722 };

    /// Of a matrix, as ffprobe names it. What has none is read as standard definition.
    pub(crate) fn of(matrix: Option<&str>) -> Self {
        match matrix {
            Some("bt709" | "gbr") => Self::BT709,
            Some("bt2020nc" | "bt2020c") => Self { red: 0.2627, blue: 0.0593 },
            _ => Self { red: 0.299, blue: 0.114 },
        }
    }

    /// Lightness from 0 to 1, blue and red difference from -0.5 to 0.5.
    fn split(self, [red, green, blue]: [f64; 3]) -> [f64; 3] {
        let luma = self.red * red + (1.0 - self.red - self.blue) * green + self.blue * blue;
        [luma, (blue - luma) / (2.0 - 2.0 * self.blue), (red - luma) / (2.0 - 2.0 * self.red)]
    }
}

/// What a measuring run brought.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    /// Frames of [`STYLE_SIZE`], three bytes a pixel.
    pub(crate) pixels: Vec<u8>,
    /// Integrated loudness in LUFS, where there is sound that is not silence.
    pub(crate) loudness: Option<f64>,
    /// How often the picture changed at once.
    pub(crate) cuts: u32,
}

/// Mean and standard deviation of one number.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Spread {
    mean: f64,
    deviation: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let count = values.clone().count().max(1) as f64;
        let mean = values.clone().sum::<f64>() / count;
        let variance = values.map(|value| (value - mean).powi(2)).sum::<f64>() / count;
        Self { mean, deviation: variance.sqrt() }
    }
}

impl Seen {
    fn colors(&self) -> impl Iterator<Item = [f64; 3]> + Clone + '_ {
        self.pixels.chunks_exact(3).map(|pixel| [pixel[0], pixel[1], pixel[2]].map(|value| f64::from(value) / 255.0))
    }

    fn parts(&self, weights: Weights) -> [Spread; 3] {
        [0, 1, 2].map(|part| Spread::of(self.colors().map(move |color| weights.split(color)[part])))
    }
}

/// What brings a picture near to another one: lightness and colour differences, each by its mean and around it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Grade {
    /// Means of the picture as it is.
    means: [f64; 3],
    contrast: f64,
    saturation: f64,
    /// How far the means are moved.
    shifts: [f64; 3],
}

impl Grade {
    /// Between what is and what is wished, within bounds that leave a picture a picture: contrast 0.5 to 2, saturation 0.3
    /// to 2.5, brightness 0.3 and colour 0.2 up or down.
    pub(crate) fn between(own: &Seen, wished: &Seen, weights: Weights) -> Self {
        let (own, wished) = (own.parts(weights), wished.parts(weights));
        let ratio = |wished: f64, own: f64, least: f64, most: f64| {
            // Of what does not vary nothing can be made more.
            if own < 0.002 { 1.0 } else { (wished / own).clamp(least, most) }
        };
        let colorful = |parts: &[Spread; 3]| parts[1].deviation.hypot(parts[2].deviation);
        let shift = |part: usize, most: f64| (wished[part].mean - own[part].mean).clamp(-most, most);
        Self {
            means: own.map(|spread| spread.mean),
            contrast: ratio(wished[0].deviation, own[0].deviation, 0.5, 2.0),
            saturation: ratio(colorful(&wished), colorful(&own), 0.3, 2.5),
            shifts: [shift(0, 0.3), shift(1, 0.2), shift(2, 0.2)],
        }
    }

    /// As a filter of video samples, of any depth.
    pub(crate) fn filter(&self) -> String {
        let part = |part: usize, factor: f64, zero: &str| {
            // (value - mean) x factor + mean + shift, with all that is constant in one number.
            let constant = self.means[part].mul_add(1.0 - factor, self.shifts[part]);
            let value = format!("(val-{zero})*{factor:.4}+{zero}+{constant:.5}*(maxval-minval)+0.5");
            format!("'clip({value},minval,maxval)'")
        };
        let middle = "(minval+maxval)/2";
        let (luma, blue, red) =
            (part(0, self.contrast, "minval"), part(1, self.saturation, middle), part(2, self.saturation, middle));
        format!("lutyuv=y={luma}:u={blue}:v={red}")
    }
}

/// The style of a video, measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeasuredStyle {
    /// Blue (-100) to yellow and red (100).
    pub temperature: f64,
    /// Green (-100) to magenta (100).
    pub tint: f64,
    /// Grey (-100) to vivid (100).
    pub saturation: f64,
    /// Flat (-100) to harsh (100).
    pub contrast: f64,
    /// How light the lightest twentieth is.
    pub highlights: f64,
    /// How light the darkest twentieth is.
    pub shadows: f64,
    /// Integrated loudness in LUFS, where there is sound that is not silence.
    pub loudness: Option<f64>,
    /// How often a minute the picture changed at once.
    pub cuts_per_minute: f64,
    /// Frames per second.
    pub frame_rate: f64,
    /// Width as shown.
    pub width: u32,
    /// Height as shown.
    pub height: u32,
    /// Length in seconds, where it is known.
    pub seconds: Option<f64>,
    /// Share of the frames to be measured that there were.
    pub confidence: f64,
}

impl MeasuredStyle {
    pub(crate) fn new(seen: &Seen, source: &Source) -> Self {
        let [red, green, blue] = [0, 1, 2].map(|part| Spread::of(seen.colors().map(move |color| color[part])).mean);
        let luma = |color: [f64; 3]| Weights::BT709.split(color)[0];
        let mut lightness: Vec<f64> = seen.colors().map(luma).collect();
        lightness.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| {
            let place = (lightness.len().saturating_sub(1) as f64 * share).round() as usize;
            lightness.get(place).copied().unwrap_or(0.0)
        };
        let vivid = |[red, green, blue]: [f64; 3]| red.max(green).max(blue) - red.min(green).min(blue);
        let vivid = Spread::of(seen.colors().map(vivid)).mean;
        let video = source.info.video.as_ref();
        let seconds = source.info.duration_seconds;
        let frames = seen.pixels.len() / (STYLE_SIZE.0 * STYLE_SIZE.1 * 3) as usize;
        Self {
            temperature: hundred((red - blue) / 0.5),
            tint: hundred(((red + blue) / 2.0 - green) / 0.5),
            saturation: hundred(vivid / 0.25 - 1.0),
            contrast: hundred(Spread::of(lightness.iter().copied()).deviation / 0.2 - 1.0),
            highlights: hundred((at(0.95) - 0.8) / 0.2),
            shadows: hundred((at(0.05) - 0.1) / 0.1),
            loudness: seen.loudness,
            cuts_per_minute: seconds.map_or(0.0, |seconds| f64::from(seen.cuts) * 60.0 / seconds.max(1.0)),
            frame_rate: video.and_then(|video| video.frame_rate).unwrap_or(0.0),
            width: video.map_or(0, |video| video.width),
            height: video.map_or(0, |video| video.height),
            seconds,
            confidence: (frames as f64 / f64::from(STYLE_FRAMES)).min(1.0),
        }
    }

    /// As the document that callers get. What it names and is not measured has the value that means none.
    pub fn document(&self, created_at: Timestamp) -> Value {
        // From silence at -60 LUFS to 0.
        let level = self.loudness.map_or(0.0, |loudness| ((loudness + 60.0) / 60.0).clamp(0.0, 1.0));
        json!({
            "version": "1.0",
            "color_grade": {
                "temperature": rounded(self.temperature),
                "tint": rounded(self.tint),
                "saturation": rounded(self.saturation),
                "contrast": rounded(self.contrast),
                "highlights": rounded(self.highlights),
                "shadows": rounded(self.shadows),
            },
            "aspect_ratio": shape(self.width, self.height),
            "frame_rate": self.frame_rate.round() as u64,
            "audio_style": {
                "normalization_level": rounded(level),
                "compression_ratio": 1.0,
                "bass_boost": 0,
                "enhance_speech": false,
            },
            "cut_frequency": rounded(self.cuts_per_minute),
            "motion_intensity": 0,
            "zoom_usage": 0,
            "primary_transition": {"type": "cut", "duration_ms": 0, "easing": "linear"},
            "text_overlays": [],
            "use_subtitles": false,
            "detected_beats": [],
            "tempo_bpm": null,
            "music_genre": null,
            "created_at": created_at,
            "source_duration_seconds": self.seconds.map(|seconds| (seconds * 1000.0).round() / 1000.0),
            "extraction_confidence": rounded(self.confidence),
        })
    }
}

/// A share of one, up or down, as a number within a hundred.
fn hundred(share: f64) -> f64 {
    (share * 100.0).clamp(-100.0, 100.0)
}

/// Two decimals, and no negative zero.
fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0 + 0.0
}

fn shape(width: u32, height: u32) -> String {
    let ratio = f64::from(width) / f64::from(height.max(1));
    let near = |(wide, high): &&(u32, u32)| (ratio * f64::from(*high) / f64::from(*wide) - 1.0).abs() < 0.01;
    if let Some((wide, high)) = SHAPES.iter().find(near) {
        return format!("{wide}:{high}");
    }
    let (mut divisor, mut rest) = (width, height);
    while rest > 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    format!("{}:{}", width / divisor.max(1), height / divisor.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::samples;

    fn seen(colors: &[[u8; 3]]) -> Seen {
        let pixels = colors.iter().copied().cycle().take(64 * 36 * 24).flatten().collect();
        Seen { pixels, loudness: Some(-15.0), cuts: 3 }
    }

    #[test]
    fn the_document_is_the_one_that_callers_know() {
        let style = MeasuredStyle::new(&seen(&[[200, 120, 60], [90, 60, 40], [30, 30, 30]]), &samples::clip());
        let document = style.document("2026-11-21T09:00:00Z".parse().unwrap());
        insta::assert_snapshot!(serde_json::to_string_pretty(&document).unwrap());
    }

    #[test]
    fn numbers_point_where_they_say() {
        let of = |colors: &[[u8; 3]]| MeasuredStyle::new(&seen(colors), &samples::clip());
        let (warm, cold) = (of(&[[180, 120, 60]]), of(&[[60, 120, 180]]));
        assert!(warm.temperature > 50.0 && cold.temperature < -50.0);
        assert!(of(&[[60, 180, 60]]).tint < -50.0 && of(&[[180, 60, 180]]).tint > 50.0);
        let (grey, vivid) = (of(&[[100; 3]]), of(&[[250, 20, 20], [20, 250, 20], [20, 20, 250]]));
        assert_eq!((grey.saturation, grey.contrast.round(), vivid.saturation), (-100.0, -100.0, 100.0));
        let harsh = of(&[[0; 3], [255; 3]]);
        assert_eq!([harsh.contrast, harsh.shadows, harsh.highlights].map(f64::round), [100.0, -100.0, 100.0]);
    }

    #[test]
    fn a_grade_stays_within_its_bounds_and_is_nothing_between_equals() {
        let (dark, light) = (seen(&[[10, 10, 30], [14, 14, 14]]), seen(&[[255, 40, 0], [255, 255, 255]]));
        let grade = Grade::between(&dark, &light, Weights::BT709);
        assert_eq!((grade.contrast, grade.saturation, grade.shifts[0]), (2.0, 2.5, 0.3));
        assert!(grade.shifts[1] >= -0.2 && grade.shifts[2] <= 0.2);
        let same = Grade::between(&light, &light, Weights::of(None));
        assert_eq!((same.contrast, same.saturation, same.shifts), (1.0, 1.0, [0.0; 3]));
        // What does not vary is moved, not blown up.
        let flat = Grade::between(&seen(&[[80; 3]]), &light, Weights::BT709);
        assert_eq!((flat.contrast, flat.saturation), (1.0, 1.0));
    }

    #[test]
    fn shapes_have_their_usual_names() {
        for (size, name) in [
            ((1920, 1080), "16:9"),
            ((1080, 1920), "9:16"),
            ((854, 480), "16:9"),
            ((720, 720), "1:1"),
            ((700, 300), "21:9"),
            ((1000, 300), "10:3"),
        ] {
            assert_eq!(shape(size.0, size.1), name);
        }
    }
}
