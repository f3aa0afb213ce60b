//! The recipe `auto`.

use serde::{Deserialize, Serialize};

use super::format::*;
use super::image::{Image, Level};
use crate::form::Form;

/// `auto`: a smaller file of the same kind. If the result would be larger than the source, the source is kept.
///
/// The operation is chosen once the input was probed, and is shown in the plan: `image` for an image, `compress` for a
/// video, a new encoding for audio, `archive` for an archive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Auto {
    /// Parameters for an input that is an image, and for the images in an archive.
    pub image: AutoImage,
    /// Parameters for an input that is a video.
    pub video: AutoVideo,
}

/// What `auto` does with a picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AutoImage {
    /// How strongly the image is compressed.
    pub level: Level,
    /// Width of the box, in pixels; never enlarged.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub width: Option<u32>,
    /// Height of the box, in pixels; never enlarged.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub height: Option<u32>,
}

/// What `auto` does with a video.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AutoVideo {
    /// Width of the box, in pixels; never enlarged.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub width: Option<u32>,
    /// Height of the box, in pixels; never enlarged.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub height: Option<u32>,
}

impl Auto {
    /// What it comes to for a picture.
    pub const fn for_picture(&self) -> Image {
        let AutoImage { level, width, height } = self.image;
        Image { level, format: None, width, height, max_bytes: None }
    }

    pub(super) fn read(form: &mut Form) -> Option<Self> {
        let image = form.object("image", |form| {
            let level = form.choice_or("level", Level::High);
            Some(AutoImage { level, width: side(form, "width", 1), height: side(form, "height", 1) })
        });
        let video = form
            .object("video", |form| Some(AutoVideo { width: side(form, "width", 2), height: side(form, "height", 2) }));
        Some(Self {
            image: image.unwrap_or(AutoImage { level: Level::High, width: None, height: None }),
            video: video.unwrap_or_default(),
        })
    }
}

fn side(form: &mut Form, name: &'static str, least: u32) -> Option<u32> {
    form.integer32(name, least..=LARGEST_SIDE)
}
