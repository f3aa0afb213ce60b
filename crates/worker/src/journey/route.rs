//! Which route an output takes: through the tools, through the pictures made in process, or through an archive.

use std::io;
use std::path::Path;

use reelhook_domain::recipe::{Auto, AutoImage, AutoVideo, Format, Image, Recipe};
use reelhook_media::{archive, image};

/// Which route an output takes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Route {
    /// Through ffmpeg.
    Tools,
    /// Through the pictures made in process.
    Picture(Image),
    /// The same, where the source itself does when the result is not smaller.
    AutoPicture(Image),
    /// Through an archive, whose members go the way of `auto`; its format where another is asked for.
    Archive(Option<Format>, Auto),
}

impl Route {
    /// The route of a recipe over the input at `path`, which is looked at where that decides. Blocks for a moment.
    pub(super) fn of(recipe: &Recipe, path: &Path) -> io::Result<Self> {
        Ok(match recipe {
            Recipe::Image(image) => Self::Picture(image.clone()),
            Recipe::Archive(archive) => {
                let image = AutoImage { level: archive.level, width: None, height: None };
                Self::Archive(archive.format, Auto { image, video: AutoVideo::default() })
            }
            Recipe::Auto(auto) if archive::kind(path)?.is_some() => Self::Archive(None, auto.clone()),
            Recipe::Auto(auto) if image::is_picture(path)? => Self::AutoPicture(auto.for_picture()),
            _ => Self::Tools,
        })
    }

    /// Whether it is made without tools, from a picture.
    pub(super) const fn is_picture(&self) -> bool {
        matches!(self, Self::Picture(_) | Self::AutoPicture(_))
    }

    /// Whether an archive is taken apart for it.
    pub(super) const fn is_archive(&self) -> bool {
        matches!(self, Self::Archive(..))
    }
}
