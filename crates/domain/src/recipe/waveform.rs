//! The recipe `waveform`.

use serde::{Deserialize, Serialize};

use super::format::*;
use super::remove_background::{Rgb, color};
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

/// `waveform`: one image of the whole audio, with its peaks as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Waveform {
    /// Format of the result: `png`, `svg`, or `json` for the peaks only.
    pub format: Format,
    /// Width of the image in pixels, and the largest number of peaks.
    pub width: u32,
    /// Height of the image in pixels.
    pub height: u32,
    /// Colour of the wave.
    pub color: Rgb,
    /// Background colour; transparent by default.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub background: Option<Rgb>,
    /// How channels are drawn.
    pub channels: WaveformChannels,
}

impl Waveform {
    pub(super) fn read(form: &mut Form) -> Option<Self> {
        let format = form.choice_where("format", |format| matches!(format, Format::Png | Format::Svg | Format::Json));
        let format = form.or("format", format, Format::Png);
        if format == Format::Json {
            for name in ["height", "color", "background"].into_iter().filter(|name| form.has(name)) {
                form.refuse(name, serde_json::Value::Null, "cannot be combined with format json, which has no image");
            }
        }
        let wave = color(form, "color");
        let wave = form.or("color", wave, Rgb([0x33, 0x66, 0xcc]));
        let background = color(form, "background");
        if background == Some(wave) {
            form.refuse("background", wave.to_string().into(), "must not be the colour of the wave");
        }
        Some(Self {
            format,
            width: form.integer32_or("width", 16..=LARGEST_SIDE, 1800),
            height: form.integer32_or("height", 16..=4320, 280),
            color: wave,
            background,
            channels: form.choice_or("channels", WaveformChannels::Mono),
        })
    }
}
