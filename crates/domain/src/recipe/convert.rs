//! The recipe `convert`.

use serde::{Deserialize, Serialize};

use super::format::*;
use crate::choice;
use crate::form::Form;

/// `convert`: the same content in another container, codec or size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Convert {
    /// Format of the result.
    pub format: Format,
    /// Video codec; absent for formats without a choice.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub codec: Option<VideoCodec>,
    /// Size of the picture.
    #[serde(flatten)]
    pub size: Size,
    /// Frames per second.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub frame_rate: Option<f64>,
    /// Target bit rate of the video stream (of the audio stream if there is no video), in thousands of bits per second.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bitrate_kbps: Option<u32>,
    /// Quality tier.
    pub quality: Quality,
    /// How subtitles are handled.
    #[serde(skip_serializing_if = "Subtitles::is_default", default)]
    pub subtitles: Subtitles,
    /// Language of the subtitles to keep or burn, two or three letters of ISO 639. By default all languages, or for `burn`
    /// the first subtitles.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub subtitle_language: Option<String>,
}

choice! {
    /// How subtitles are handled.
    #[derive(Default)]
    Subtitles {
        /// Kept as they are or as the container has them; dropped where it has no place for them.
        #[default]
        Keep = "keep",
        /// Left out.
        Drop = "drop",
        /// Drawn into the picture.
        Burn = "burn",
    }
}

impl Subtitles {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Convert {
    pub(super) fn read(form: &mut Form) -> Option<Self> {
        let given = form.has("format").then_some(());
        form.require("format", given);
        let (format, codec) =
            read_container(form, |format| format.is_video() || format.is_audio() || format == Format::Gif)?;
        let size = Size::read(form);
        let frame_rate = form.number("frame_rate", 1.0..=240.0);
        let bitrate_kbps = form.integer32("bitrate_kbps", 8..=400_000);
        let quality = form.choice_or("quality", Quality::Standard);
        if format.is_audio() && (frame_rate.is_some() || size != Size::default()) {
            form.refuse_whole(format_args!(
                "format {format} has no video; remove resolution, width, height and frame_rate"
            ));
        }
        let subtitles = form.choice("subtitles");
        if subtitles.is_some() && !format.is_video() {
            form.refuse_whole(format_args!("format {format} cannot hold subtitles; remove subtitles"));
        }
        let is_code = |code: &str| code.len() >= 2 && code.bytes().all(|byte| byte.is_ascii_lowercase());
        let allowed = "must be two or three lower-case letters, such as en";
        let subtitle_language = form.text_like("subtitle_language", 3, "^[a-z]{2,3}$", allowed, is_code);
        let subtitles = subtitles.unwrap_or_default();
        Some(Self { format, codec, size, frame_rate, bitrate_kbps, quality, subtitles, subtitle_language })
    }
}
