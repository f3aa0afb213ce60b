//! What the numbers of a picture mean where no ICC profile says it: the colour chunks of PNG, and colours that are named by
//! the numbers of H.273 (in PNG and in AVIF).
//!
//! Other primaries than those of sRGB become an ICC profile that goes with the picture; another curve alone is applied to
//! the numbers; high dynamic range is mapped to what a page can show ([`super::tone`]), unless it stays PNG.
//!
//! # Source
//! PNG (Third Edition), 4.3 (which chunk counts) and 11.3.2 (`cHRM`, `gAMA`, `sRGB`, `cICP`, `mDCV`, `cLLI`). Primaries and
//! curves: ITU-T H.273, 8.1 and 8.2. BT.709 and its likes are shown with the curve of sRGB, as browsers show them.

use image::DynamicImage;
use moxcms::{
    Chromaticity, ColorPrimaries, ColorProfile, LocalizableString, Matrix3d, ProfileText, ToneReprCurve, XyY,
};

use super::chunks::chunks;
use super::tone::{self, Light};

/// What the numbers mean.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) enum Meaning {
    /// sRGB, or what the profile says.
    #[default]
    Plain,
    /// Shares of white in other colours.
    Space(Space),
    /// Light, of which white is only a part.
    Hdr(Hdr),
}

/// Shares of white.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Space {
    /// Absent: those of sRGB.
    primaries: Option<Primaries>,
    curve: Curve,
    /// Whether black is at 16 of 255 and white at 235.
    narrow: bool,
}

/// High dynamic range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Hdr {
    primaries: Primaries,
    light: Light,
    /// The brightest that is shown, in nits.
    peak: f32,
    narrow: bool,
    /// The chunks that say so in a PNG; another container has none of them.
    pub(crate) tags: Option<Tags>,
}

/// Contents of the chunks `cICP`, `mDCV` and `cLLI`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tags {
    pub(crate) code_points: [u8; 4],
    pub(crate) mastering: Option<[u8; 24]>,
    pub(crate) light_levels: Option<[u8; 8]>,
}

/// How numbers become light.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Curve {
    Srgb,
    /// Light is the number to the power of this.
    Power(f32),
}

/// The white and the three colours, as x and y.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Primaries {
    name: Option<&'static str>,
    white: (f32, f32),
    red: (f32, f32),
    green: (f32, f32),
    blue: (f32, f32),
}

const D65: (f32, f32) = (0.3127, 0.3290);

const fn named(name: &'static str, white: (f32, f32), sides: [(f32, f32); 3]) -> Primaries {
    Primaries { name: Some(name), white, red: sides[0], green: sides[1], blue: sides[2] }
}

const SRGB: Primaries = named("sRGB", D65, [(0.64, 0.33), (0.30, 0.60), (0.15, 0.06)]);

impl Primaries {
    /// Those that H.273 numbers; the names are what people call them.
    const fn numbered(number: u8) -> Option<Self> {
        Some(match number {
            1 | 2 => SRGB,
            4 => named("BT.470 M", (0.310, 0.316), [(0.67, 0.33), (0.21, 0.71), (0.14, 0.08)]),
            5 => named("BT.470 BG", D65, [(0.64, 0.33), (0.29, 0.60), (0.15, 0.06)]),
            6 | 7 => named("BT.601", D65, [(0.630, 0.340), (0.310, 0.595), (0.155, 0.070)]),
            9 => named("BT.2020", D65, [(0.708, 0.292), (0.170, 0.797), (0.131, 0.046)]),
            11 => named("DCI P3", (0.314, 0.351), [(0.680, 0.320), (0.265, 0.690), (0.150, 0.060)]),
            12 => named("Display P3", D65, [(0.680, 0.320), (0.265, 0.690), (0.150, 0.060)]),
            22 => named("EBU 3213", D65, [(0.630, 0.340), (0.295, 0.605), (0.155, 0.077)]),
            _ => return None,
        })
    }

    /// The content of `cHRM`: eight numbers in hundred thousandths. `None` where they span nothing.
    fn written(content: &[u8]) -> Option<Self> {
        let pair = |at: usize| {
            let number =
                |at: usize| Some(u32::from_be_bytes(content.get(at..at + 4)?.try_into().ok()?) as f32 / 100_000.0);
            let (x, y) = (number(at)?, number(at + 4)?);
            (x <= 1.0 && y > 0.0 && x + y <= 1.0).then_some((x, y))
        };
        let (white, red, green, blue) = (pair(0)?, pair(8)?, pair(16)?, pair(24)?);
        let area = (red.0 - blue.0) * (green.1 - blue.1) - (green.0 - blue.0) * (red.1 - blue.1);
        (area.abs() > 0.01).then_some(Self { name: None, white, red, green, blue })
    }

    /// Whether they are those of sRGB, but for rounding.
    fn are_plain(&self) -> bool {
        let pairs = |p: &Self| [p.white, p.red, p.green, p.blue];
        let near = |a: f32, b: f32| (a - b).abs() <= 0.01;
        pairs(self).iter().zip(pairs(&SRGB)).all(|(a, b)| near(a.0, b.0) && near(a.1, b.1))
    }

    /// Light to the connection space of profiles, white to white.
    fn to_xyz(self) -> Matrix3d {
        ColorProfile::colorants_matrix(self.white_point(), self.sides())
    }

    fn white_point(self) -> XyY {
        XyY { x: f64::from(self.white.0), y: f64::from(self.white.1), yb: 1.0 }
    }

    const fn sides(self) -> ColorPrimaries {
        ColorPrimaries {
            red: Chromaticity::new(self.red.0, self.red.1),
            green: Chromaticity::new(self.green.0, self.green.1),
            blue: Chromaticity::new(self.blue.0, self.blue.1),
        }
    }

    /// Light in these colours to light in those of sRGB.
    fn to_srgb(self) -> [[f32; 3]; 3] {
        SRGB.to_xyz().inverse().mat_mul(self.to_xyz()).v.map(|row| row.map(|share| share as f32))
    }
}

impl Meaning {
    /// What the chunks of a PNG say; `None` where that is left to its ICC profile, or to nothing.
    pub(crate) fn of_png(bytes: &[u8]) -> Option<Self> {
        let before: Vec<_> = chunks(bytes).take_while(|(name, _)| *name != b"IDAT").collect();
        let find = |wanted: &[u8; 4]| before.iter().find(|(name, _)| name == wanted).map(|(_, content)| *content);
        if let Some(&[primaries, transfer, 0, range]) = find(b"cICP") {
            let tags = Tags {
                code_points: [primaries, transfer, 0, range],
                mastering: find(b"mDCV").and_then(|content| content.try_into().ok()),
                light_levels: find(b"cLLI").and_then(|content| content.try_into().ok()),
            };
            if let Some(meaning) = Self::numbered(primaries, transfer, range == 0, Some(tags)) {
                return Some(meaning);
            }
        }
        if find(b"iCCP").is_some() {
            return None;
        }
        if find(b"sRGB").is_some() {
            return Some(Self::Plain);
        }
        let gamma =
            find(b"gAMA").and_then(|content| Some(u32::from_be_bytes(content.try_into().ok()?) as f32 / 100_000.0));
        let curve = match gamma {
            // What is within a twentieth of 1/2.2 was meant to be sRGB; so libpng has it.
            Some(gamma) if (0.01..=10.0).contains(&gamma) && (gamma * 2.2 - 1.0).abs() > 0.05 => {
                Curve::Power(1.0 / gamma)
            }
            _ => Curve::Srgb,
        };
        let primaries = find(b"cHRM").and_then(Primaries::written).filter(|primaries| !primaries.are_plain());
        Some(Self::space(Space { primaries, curve, narrow: false }))
    }

    /// Colours that are named by numbers; `None` where one of them names nothing that is known.
    pub(crate) fn numbered(primaries: u8, transfer: u8, narrow: bool, tags: Option<Tags>) -> Option<Self> {
        let primaries = Primaries::numbered(primaries)?;
        let curve = match transfer {
            1 | 2 | 6 | 7 | 11..=15 => Curve::Srgb,
            4 => Curve::Power(2.2),
            5 => Curve::Power(2.8),
            8 => Curve::Power(1.0),
            17 => Curve::Power(2.6),
            16 | 18 => {
                let light = if transfer == 16 { Light::Pq } else { Light::Hlg };
                return Some(Self::Hdr(Hdr { primaries, light, peak: peak(tags), narrow, tags }));
            }
            _ => return None,
        };
        let primaries = Some(primaries).filter(|primaries| !primaries.are_plain());
        Some(Self::space(Space { primaries, curve, narrow }))
    }

    fn space(space: Space) -> Self {
        let plain = Space { primaries: None, curve: Curve::Srgb, narrow: false };
        if space == plain { Self::Plain } else { Self::Space(space) }
    }

    /// Makes of the numbers those of sRGB, or of the profile that is returned.
    pub(crate) fn settle(&self, pixels: &mut DynamicImage) -> Option<Vec<u8>> {
        match self {
            Self::Plain => None,
            Self::Space(space) => {
                let is_grey = pixels.color().channel_count() < 3;
                let wide = space.primaries.filter(|_| !is_grey);
                let profile = wide.and_then(|primaries| profile(primaries, space.curve));
                let curve = if profile.is_some() { Curve::Srgb } else { space.curve };
                tone::each_number(pixels, |number| {
                    let number = if space.narrow { widened(number) } else { number };
                    match curve {
                        Curve::Srgb => number,
                        Curve::Power(power) => tone::srgb(number.powf(power)),
                    }
                });
                profile
            }
            Self::Hdr(hdr) => {
                let light = |number: f32| hdr.light.of(if hdr.narrow { widened(number) } else { number });
                tone::map(pixels, light, hdr.light, hdr.primaries.to_srgb(), hdr.peak);
                None
            }
        }
    }

    /// Whether the picture in another format, or made anew, has other colours than sRGB.
    pub(crate) const fn is_plain(&self) -> bool {
        matches!(self, Self::Plain)
    }

    /// What is done to colours, for the plan; `profile`: whether the result can carry one.
    pub(crate) fn told(&self, carries_profile: bool) -> Option<String> {
        match self {
            Self::Plain => None,
            Self::Space(Space { primaries: Some(primaries), .. }) => {
                let name = primaries.name.unwrap_or("its own primaries");
                let became = if carries_profile { "kept by a profile" } else { "converted to sRGB" };
                Some(format!("the colours of {name}, which it had by numbers, {became}"))
            }
            Self::Space(Space { curve: Curve::Power(power), .. }) => {
                Some(format!("its gamma of {:.2} converted to the curve of sRGB", 1.0 / power))
            }
            Self::Space(_) => Some("narrow range widened".to_owned()),
            Self::Hdr(hdr) => {
                Some(format!("high dynamic range ({}) mapped to sRGB, white at 203 nits", hdr.light.name()))
            }
        }
    }
}

/// Brightest light of the picture in nits, where it tells; what most are mastered for otherwise.
fn peak(tags: Option<Tags>) -> f32 {
    let nits = |bytes: &[u8]| {
        let number = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        (number > 0).then_some(number as f32 / 10_000.0)
    };
    let told = tags.and_then(|tags| {
        let light = tags.light_levels.and_then(|levels| nits(&levels[..4]));
        light.or_else(|| tags.mastering.and_then(|mastering| nits(&mastering[16..20])))
    });
    told.unwrap_or(1000.0).clamp(203.0, 10_000.0)
}

/// 16 to 235 of 255 over the whole range.
fn widened(number: f32) -> f32 {
    ((number * 255.0 - 16.0) / 219.0).clamp(0.0, 1.0)
}

/// Always the same bytes for the same colours: no time is written into it.
fn profile(primaries: Primaries, curve: Curve) -> Option<Vec<u8>> {
    let mut profile = ColorProfile::new_srgb();
    profile.update_rgb_colorimetry(primaries.white_point(), primaries.sides());
    if let Curve::Power(power) = curve {
        let curve = Some(ToneReprCurve::Parametric(vec![power]));
        (profile.red_trc, profile.green_trc, profile.blue_trc) = (curve.clone(), curve.clone(), curve);
    }
    let text =
        |text: &str| ProfileText::Localizable(vec![LocalizableString::new("en".into(), "US".into(), text.into())]);
    profile.description = Some(text(primaries.name.unwrap_or("Colours of the picture")));
    let moment = &mut profile.creation_date_time;
    (moment.year, moment.month, moment.day_of_the_month) = (2020, 1, 1);
    (moment.hours, moment.minutes, moment.seconds) = (0, 0, 0);
    profile.encode().ok()
}

/// The connection space of profiles to light in the colours of sRGB.
pub(crate) fn from_connection_space() -> [[f32; 3]; 3] {
    static MATRIX: std::sync::LazyLock<[[f32; 3]; 3]> =
        std::sync::LazyLock::new(|| SRGB.to_xyz().inverse().v.map(|row| row.map(|share| share as f32)));
    *MATRIX
}
