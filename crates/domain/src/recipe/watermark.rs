//! The recipe `watermark`.

use serde::{Deserialize, Serialize};

use super::format::*;
use crate::choice;
use crate::form::Form;

choice! {
    /// Where a mark lies on a picture.
    MarkPlace {
        /// The top left corner.
        TopLeft = "top_left",
        /// The middle of the top edge.
        Top = "top",
        /// The top right corner.
        TopRight = "top_right",
        /// The middle of the left edge.
        Left = "left",
        /// The middle.
        Center = "center",
        /// The middle of the right edge.
        Right = "right",
        /// The bottom left corner.
        BottomLeft = "bottom_left",
        /// The middle of the bottom edge.
        Bottom = "bottom",
        /// The bottom right corner.
        BottomRight = "bottom_right",
    }
}

/// How far a mark stays from the edges.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub enum Margin {
    /// In hundredths of the picture's shorter side.
    #[serde(rename = "margin_percent")]
    Percent(f64),
    /// In pixels.
    #[serde(rename = "margin_pixels")]
    Pixels(u32),
}

/// `watermark`: an image laid over a video or another image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Watermark {
    /// Name of the input that is the watermark: a still image, whose alpha is kept.
    pub image: String,
    /// Place of the watermark.
    pub place: MarkPlace,
    /// How far from the edges.
    #[serde(flatten)]
    pub margin: Margin,
    /// Opacity of the watermark, from 0 (invisible) to 1 (unchanged).
    pub opacity: f64,
    /// Width of the watermark, in per cent of the width of the video or image. Its aspect ratio is kept.
    pub width_percent: f64,
    /// Format of the result. By default mp4 for a video; for an image its own format, or png.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub format: Option<Format>,
    /// Video codec; absent for images.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub codec: Option<VideoCodec>,
    /// Quality tier of a video.
    pub quality: Quality,
}

impl Watermark {
    pub(super) fn read(form: &mut Form) -> Option<Self> {
        let image = form.text("image", 64);
        let image = form.require("image", image);
        let place = form.choice_or("place", MarkPlace::BottomRight);
        let percent = form.number("margin_percent", 0.0..=50.0);
        let pixels = form.integer32("margin_pixels", 0..=LARGEST_SIDE);
        if percent.is_some() && pixels.is_some() {
            form.refuse_whole("takes margin_percent or margin_pixels, not both");
        }
        let margin = pixels.map_or(Margin::Percent(percent.unwrap_or(3.0)), Margin::Pixels);
        let opacity = form.number_or("opacity", 0.0..=1.0, 1.0);
        let width_percent = form.number_or("width_percent", 0.1..=100.0, 15.0);
        let quality = form.choice_or("quality", Quality::Standard);
        let fits = |format: Format| format.is_video() || matches!(format, Format::Jpg | Format::Png | Format::Webp);
        let (format, codec) = if form.has("format") {
            let (format, codec) = read_container(form, fits)?;
            (Some(format), codec)
        } else {
            (form.choice_where("format", fits), form.choice("codec"))
        };
        if let (None, Some(codec)) = (format, codec)
            && !Format::Mp4.codecs().contains(&codec)
        {
            form.refuse("codec", codec.as_str().into(), "cannot be combined with format mp4");
        }
        Some(Self { image: image?, place, margin, opacity, width_percent, format, codec, quality })
    }
}
