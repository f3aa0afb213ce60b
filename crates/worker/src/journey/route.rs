//! Which route an output takes: through the tools, through the pictures that a reader makes, or through an archive.

use std::io;
use std::path::Path;

use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::recipe::{Auto, AutoImage, AutoVideo, Format, Image, Recipe, Thumbnail};
use reelhook_media::{archive, heif, image};

/// Which route an output takes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Route {
    /// Through ffmpeg.
    Tools,
    /// Through a picture that a reader makes.
    Picture(Image),
    /// The same, small, and made fast.
    Thumbnail(Thumbnail),
    /// The same, where the source itself does when the result is not smaller.
    AutoPicture(Image),
    /// Through an archive, whose members go the way of `auto`; its format where another is asked for.
    Archive(Option<Format>, Auto),
    /// None: its recipe does not read what the input is, and that of another output does.
    Nowhere(JobFailure),
}

/// What an input is, as far as routes part there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A picture that our own code decodes, perhaps after a tool unwrapped it.
    Picture,
    /// Pictures on a timeline that only tools read.
    Sequence,
    /// None.
    Other,
}

impl Kind {
    /// The kind of the file at `path`. Blocks for a moment.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        Ok(if heif::is_avif_sequence(path)? {
            Self::Sequence
        } else if image::is_picture(path)? || heif::is_heif(path)? {
            Self::Picture
        } else {
            Self::Other
        })
    }
}

impl Route {
    /// The routes of the recipes of one job over the input at `path`, an archive of the format `opened` or none. Blocks for
    /// a moment.
    ///
    /// An archive is read by other recipes than all else. Where the outputs want both, those that fit the input are made;
    /// where none of them fits, they keep their routes, at whose beginning the whole job is refused.
    pub(super) fn of_all(recipes: &[Recipe], path: &Path, opened: Option<Format>) -> io::Result<Vec<Self>> {
        let kind = Kind::of(path)?;
        let routes: Vec<_> = recipes.iter().map(|recipe| Self::of(recipe, kind, opened)).collect();
        let fits = |route: &Self| route.is_archive() == opened.is_some();
        if !routes.iter().any(fits) {
            return Ok(routes);
        }
        let not_opened = if opened.is_none() { archive::not_opened(path)? } else { String::new() };
        let nowhere = |recipe: &Recipe| {
            let message = match opened {
                Some(format) => {
                    format!(
                        "the input is a {format} archive; {} does not read archives, archive and auto do",
                        recipe.name()
                    )
                }
                None => not_opened.clone(),
            };
            Self::Nowhere(JobFailure::input(Stage::Probing, "unsupported_media", message))
        };
        let routes = routes.into_iter().zip(recipes);
        Ok(routes.map(|(route, recipe)| if fits(&route) { route } else { nowhere(recipe) }).collect())
    }

    fn of(recipe: &Recipe, kind: Kind, opened: Option<Format>) -> Self {
        match recipe {
            Recipe::Image(image) => Self::Picture(image.clone()),
            Recipe::Archive(archive) => {
                let image = AutoImage { level: archive.level, width: None, height: None };
                Self::Archive(archive.format, Auto { image, video: AutoVideo::default() })
            }
            Recipe::Auto(auto) if opened.is_some() => Self::Archive(None, auto.clone()),
            Recipe::Auto(auto) if kind != Kind::Other => Self::AutoPicture(auto.for_picture()),
            Recipe::Thumbnail(thumbnail) if kind == Kind::Picture => Self::Thumbnail(thumbnail.clone()),
            _ => Self::Tools,
        }
    }

    /// The routes where tools lead nowhere because of `failure`; `None` where nothing else is left.
    pub(super) fn without_tools(routes: &[Self], failure: &JobFailure) -> Option<Vec<Self>> {
        let without = |route: &Self| match route {
            Self::Tools => Self::Nowhere(failure.clone()),
            other => other.clone(),
        };
        routes.iter().any(Self::is_picture).then(|| routes.iter().map(without).collect())
    }

    /// Whether it is made without tools, from a picture.
    pub(super) const fn is_picture(&self) -> bool {
        matches!(self, Self::Picture(_) | Self::AutoPicture(_) | Self::Thumbnail(_))
    }

    /// Whether an archive is taken apart for it.
    pub(super) const fn is_archive(&self) -> bool {
        matches!(self, Self::Archive(..))
    }

    /// Whether all that lead somewhere are as wanted.
    pub(super) fn all(routes: &[Self], wanted: fn(&Self) -> bool) -> bool {
        routes.iter().filter(|route| !matches!(route, Self::Nowhere(_))).all(wanted)
    }
}
