//! The recipe `remove_background`.

use serde::{Deserialize, Serialize};

use super::format::*;
use crate::choice;
use crate::form::Form;

/// A colour: red, green and blue, 0 to 255 each. In JSON: `#rrggbb`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, utoipa::ToSchema)]
#[schema(value_type = String, example = "#00ff00")]
pub struct Rgb(pub [u8; 3]);

/// The text is not a colour.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a colour such as #00ff00")]
pub struct NotAColor;

impl std::str::FromStr for Rgb {
    type Err = NotAColor;

    fn from_str(text: &str) -> Result<Self, NotAColor> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6 && digits.is_ascii()).ok_or(NotAColor)?;
        let part = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| NotAColor);
        Ok(Self([part(0)?, part(2)?, part(4)?]))
    }
}

impl std::fmt::Display for Rgb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

impl Serialize for Rgb {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rgb {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What stands behind the subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Background {
    /// Nothing: the format carries alpha.
    Transparent,
    /// A colour.
    Color {
        /// Which.
        color: Rgb,
    },
    /// A picture: another input of the job, scaled to cover the canvas.
    Image {
        /// The name of that input.
        input: String,
    },
}

choice! {
    /// The point of the canvas and of the subject's picture that lie on each other.
    Anchor {
        /// The middle.
        Center = "center",
        /// The top edge's middle.
        Top = "top",
        /// The top left corner.
        TopLeft = "top-left",
        /// The top right corner.
        TopRight = "top-right",
        /// The left edge's middle.
        Left = "left",
        /// The right edge's middle.
        Right = "right",
        /// The bottom edge's middle.
        Bottom = "bottom",
        /// The bottom left corner.
        BottomLeft = "bottom-left",
        /// The bottom right corner.
        BottomRight = "bottom-right",
    }
}

choice! {
    /// How the matte of a model is refined.
    #[derive(Default)]
    Refine {
        /// Not at all: the mask as the model gives it.
        None = "none",
        /// On the part of the picture where the subject is, with its edges drawn again.
        Fast = "fast",
        /// The same, steady from frame to frame, with the subject's own colours at its edge.
        #[default]
        Full = "full",
    }
}

/// Where the subject's picture lies on a canvas.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Composition {
    /// Width of the canvas, in pixels; the source's when absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub canvas_width: Option<u32>,
    /// Height of the canvas, in pixels; the source's when absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub canvas_height: Option<u32>,
    /// Which points lie on each other.
    pub anchor: Anchor,
    /// Size of the subject's picture relative to its own, 0.01 to 10.
    pub scale: f64,
    /// How far to the right of the anchor, in pixels.
    pub offset_x: i32,
    /// How far below the anchor, in pixels.
    pub offset_y: i32,
}

/// `remove_background`: the subject alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RemoveBackground {
    /// `chroma`, `auto`, or the name of an installed model.
    pub model: String,
    /// How the matte of a model is refined.
    #[serde(default)]
    pub refine: Refine,
    /// Whether the output fails with `no_subject` where a model finds no subject in any frame.
    #[serde(default)]
    pub require_subject: bool,
    /// The colour of the screen that `chroma` keys out; green when absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key_color: Option<Rgb>,
    /// What stands behind the subject.
    pub background: Background,
    /// What to write: webm, mov, mp4, gif, webp or png_sequence; of a still picture png or webp.
    pub format: Format,
    /// How much work goes into the encoding.
    #[serde(default = "standard")]
    pub quality: Quality,
    /// Where the subject's picture lies; as it was when absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub composition: Option<Composition>,
}

/// The formats that `remove_background` writes; mp4 alone carries no alpha.
pub const MATTED_FORMATS: &[Format] =
    &[Format::Webm, Format::Mov, Format::Mp4, Format::Gif, Format::Webp, Format::PngSequence];
/// The format that `remove_background` writes of a still picture, beside webp.
pub const MATTED_STILL: Format = Format::Png;
/// The model that needs no model file.
pub const CHROMA: &str = "chroma";
/// `chroma` where a screen is seen, [`HUMAN`] elsewhere.
pub const AUTO: &str = "auto";
/// The model of people that [`AUTO`] takes.
pub const HUMAN: &str = "human";

const fn standard() -> Quality {
    Quality::Standard
}

impl RemoveBackground {
    pub(super) fn read(form: &mut Form) -> Option<Self> {
        let model = form.text("model", 64);
        let key_color = color(form, "key_color");
        // Who names the colour of a screen means the keyer.
        let usual = if key_color.is_some() { CHROMA } else { AUTO };
        let model = form.or("model", model, usual.to_owned());
        let refine = form.choice_or("refine", Refine::Full);
        let require_subject = form.boolean_or("require_subject", false);
        if require_subject && model == CHROMA {
            form.refuse("require_subject", true.into(), "needs a model; chroma keys a screen and knows no subject");
        }
        let had_background = form.has("background");
        let background = form.object("background", background);
        let background = if had_background { background } else { Some(Background::Transparent) };
        let format = form.choice_where("format", |format| MATTED_FORMATS.contains(&format) || format == MATTED_STILL);
        let format = form.or("format", format, Format::Webm);
        if format == Format::Mp4 && background == Some(Background::Transparent) {
            form.refuse("background", "transparent".into(), "must be a colour or an image: mp4 carries no alpha");
        }
        let quality = form.choice_or("quality", Quality::Standard);
        let composition = form.object("composition", |form| Some(composition(form)));
        Some(Self { model, refine, require_subject, key_color, background: background?, format, quality, composition })
    }
}

/// Takes a colour such as `#33cc66`.
pub(super) fn color(form: &mut Form, name: &'static str) -> Option<Rgb> {
    form.pattern(name, "^#[0-9a-fA-F]{6}$");
    form.parsed(name)
}

fn background(form: &mut Form) -> Option<Background> {
    form.variant("type", &["transparent", "color", "image"], |form, kind| match kind {
        "color" => {
            let color = color(form, "color");
            form.require("color", color).map(|color| Background::Color { color })
        }
        "image" => {
            let input = form.text("input", 64);
            form.require("input", input).map(|input| Background::Image { input })
        }
        _ => Some(Background::Transparent),
    })
}

fn composition(form: &mut Form) -> Composition {
    let mut offset = |name| form.number(name, -7680.0..=7680.0).map_or(0, |pixels| pixels.round() as i32);
    let (offset_x, offset_y) = (offset("offset_x"), offset("offset_y"));
    Composition {
        canvas_width: form.integer32("canvas_width", 2..=LARGEST_SIDE),
        canvas_height: form.integer32("canvas_height", 2..=LARGEST_SIDE),
        anchor: form.choice_or("anchor", Anchor::Center),
        scale: form.number_or("scale", 0.01..=10.0, 1.0),
        offset_x,
        offset_y,
    }
}
