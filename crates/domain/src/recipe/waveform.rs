//! The recipe `waveform`.

use serde::{Deserialize, Serialize};

use super::format::*;
use super::remove_background::Rgb;
use crate::choice;
use crate::form::Form;

choice! {
    /// How the channels of a sound are drawn.
    WaveformChannels {
        /// As one: from the lowest to the highest sample of all of them.
        Mono = "mono",
        /// Each in a band of its own, from top to bottom.
        Split = "split",
    }
}

/// `waveform`: one picture of all of the sound, with its peaks as JSON beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Waveform {
    /// What to write: `png`, `svg`, or `json` for the peaks alone.
    pub format: Format,
    /// Width of the picture in pixels, and the most peaks that there are.
    pub width: u32,
    /// Height of the picture in pixels.
    pub height: u32,
    /// Of the wave.
    pub color: Rgb,
    /// Behind the wave; transparent when absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub background: Option<Rgb>,
    /// How channels are drawn.
    pub channels: WaveformChannels,
}

impl Waveform {
    pub(super) fn read(form: &mut Form) -> Option<Self> {
        let format: Format = form.choice("format").unwrap_or(Format::Png);
        if !matches!(format, Format::Png | Format::Svg | Format::Json) {
            form.refuse("format", format.as_str().into(), "must be one of png, svg, json");
        }
        if format == Format::Json {
            for name in ["height", "color", "background"].into_iter().filter(|name| form.has(name)) {
                form.refuse(name, serde_json::Value::Null, "does not go with format json, which holds no picture");
            }
        }
        let color = form.parsed("color").unwrap_or(Rgb([0x33, 0x66, 0xcc]));
        let background: Option<Rgb> = form.parsed("background");
        if background == Some(color) {
            form.refuse("background", color.to_string().into(), "must not be the colour of the wave");
        }
        Some(Self {
            format,
            width: form.integer32("width", 16..=LARGEST_SIDE).unwrap_or(1800),
            height: form.integer32("height", 16..=4320).unwrap_or(280),
            color,
            background,
            channels: form.choice("channels").unwrap_or(WaveformChannels::Mono),
        })
    }
}
