//! The recipe `auto`.

use serde::{Deserialize, Serialize};

use super::format::*;
use super::image::{Image, Level};
use crate::form::Form;

/// `auto`: a smaller file of the same kind, whatever it is. Never larger than the source: then the source is kept.
///
/// What is done is decided once the input was fetched and looked at, and stands in the plan: a picture goes the way of
/// `image`, a video that of `compress`, sound is encoded again, an archive goes the way of `archive`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Auto {
    /// Where the input is a picture, and for the pictures in an archive.
    pub image: AutoImage,
    /// Where the input is a video.
    pub video: AutoVideo,
}

/// What `auto` does with a picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AutoImage {
    /// How hard it is squeezed.
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
