//! Recipes: one operation each, with its parameters and their limits.
//!
//! To add one: a file with its struct and `read`, a line in [`Recipe`]'s table below, and a planner of the same name in
//! `media::plan`. `format.rs` holds the words that they share.

mod archive;
mod auto;
mod compress;
mod concat;
mod convert;
mod extract_audio;
mod ffmpeg;
mod format;
mod image;
mod normalize_audio;
mod package;
mod preview;
mod proxy;
mod remove_background;
mod resize;
mod sprite;
mod style;
mod thumbnail;
mod trim;
mod watermark;
mod waveform;
mod web_ready;

use serde::{Deserialize, Serialize};

use crate::form::Form;

pub use archive::*;
pub use auto::*;
pub use compress::*;
pub use concat::*;
pub use convert::*;
pub use extract_audio::*;
pub use ffmpeg::*;
pub use format::*;
pub use image::*;
pub use normalize_audio::*;
pub use package::*;
pub use preview::*;
pub use proxy::*;
pub use remove_background::*;
pub use resize::*;
pub use sprite::*;
pub use style::*;
pub use thumbnail::*;
pub use trim::*;
pub use watermark::*;
pub use waveform::*;
pub use web_ready::*;

macro_rules! recipes {
    ($($(#[$doc:meta])* $variant:ident = $word:literal,)+) => {
        /// One operation with its parameters. In JSON: the field `recipe` names it, beside its parameters.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(tag = "recipe")]
        pub enum Recipe {
            $($(#[$doc])* #[serde(rename = $word)] $variant($variant),)+
        }

        impl Recipe {
            /// The names of all recipes.
            pub const NAMES: &'static [&'static str] = &[$($word),+];

            /// The name in JSON.
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $word),+ }
            }

            /// Takes `recipe` and its parameters from an output of a request.
            pub fn read(form: &mut Form) -> Option<Self> {
                form.variant("recipe", Self::NAMES, |form, name| match name {
                    $($word => $variant::read(form).map(Self::$variant),)+
                    _ => None,
                })
            }
        }
    };
}

recipes! {
    /// A smaller file of the same kind.
    Auto = "auto",
    /// A smaller file.
    Compress = "compress",
    /// Another format, codec or size.
    Convert = "convert",
    /// Another picture size.
    Resize = "resize",
    /// A part of the source.
    Trim = "trim",
    /// One frame.
    Thumbnail = "thumbnail",
    /// The audio alone.
    ExtractAudio = "extract_audio",
    /// An mp4 for browsers.
    WebReady = "web_ready",
    /// The inputs one after another.
    Concat = "concat",
    /// A video that is easy to edit.
    Proxy = "proxy",
    /// Segments and manifests for adaptive streaming.
    Package = "package",
    /// A smaller picture.
    Image = "image",
    /// An archive with smaller members.
    Archive = "archive",
    /// The subject alone.
    RemoveBackground = "remove_background",
    /// The style of another video.
    Style = "style",
    /// The sound at a loudness.
    NormalizeAudio = "normalize_audio",
    /// A picture of the sound.
    Waveform = "waveform",
    /// Thumbnails of the whole, tiled, with their times.
    Sprite = "sprite",
    /// A short animation of a few moments.
    Preview = "preview",
    /// Another picture laid on the picture.
    Watermark = "watermark",
    /// A command of the caller's own.
    Ffmpeg = "ffmpeg",
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(value: Value) -> Result<Recipe, Vec<String>> {
        Form::read(value, Recipe::read)
            .map_err(|violations| violations.into_iter().map(|v| format!("{}: {}", v.path, v.message)).collect())
    }

    #[test]
    fn defaults_are_those_of_the_recipe() {
        let recipe = read(json!({"recipe": "compress"})).unwrap();
        assert_eq!(
            serde_json::to_value(&recipe).unwrap(),
            json!({"recipe": "compress", "codec": "h264", "format": "mp4"})
        );
        let recipe = read(json!({"recipe": "convert", "format": "webm"})).unwrap();
        assert_eq!(
            serde_json::to_value(&recipe).unwrap(),
            json!({"recipe": "convert", "format": "webm", "codec": "vp9", "quality": "standard"})
        );
        let recipe = read(json!({"recipe": "watermark", "image": "logo"})).unwrap();
        assert_eq!(
            serde_json::to_value(&recipe).unwrap(),
            json!({"recipe": "watermark", "image": "logo", "place": "bottom_right", "margin_percent": 3.0,
                "opacity": 1.0, "width_percent": 15.0, "quality": "standard"})
        );
    }

    #[test]
    fn every_recipe_survives_storage() {
        for value in [
            json!({"recipe": "auto", "image": {"level": "ultra", "width": 64}, "video": {"height": 480}}),
            json!({"recipe": "compress", "crf": 30, "format": "webm", "codec": "av1"}),
            json!({"recipe": "convert", "format": "mp4", "resolution": "720p", "frame_rate": 25}),
            json!({"recipe": "resize", "width": 640, "enlarge": true}),
            json!({"recipe": "trim", "start_seconds": 1.5, "end_seconds": 3}),
            json!({"recipe": "thumbnail", "at_seconds": 1, "format": "webp"}),
            json!({"recipe": "extract_audio", "format": "opus"}),
            json!({"recipe": "web_ready", "crf": 23}),
            json!({"recipe": "normalize_audio", "target_lufs": -23, "format": "flac"}),
            json!({"recipe": "waveform", "format": "svg", "channels": "split", "background": "#ffffff"}),
            json!({"recipe": "sprite", "interval_seconds": 2.5, "rows": 4}),
            json!({"recipe": "preview", "format": "gif", "start_seconds": 1}),
            json!({"recipe": "watermark", "image": "logo", "margin_pixels": 8, "format": "webm"}),
            json!({"recipe": "remove_background", "model": "human", "refine": "fast", "require_subject": true}),
        ] {
            let recipe = read(value).unwrap();
            let stored = serde_json::to_string(&recipe).unwrap();
            assert_eq!(serde_json::from_str::<Recipe>(&stored).unwrap(), recipe);
        }
    }

    #[test]
    fn a_recipe_that_was_stored_before_a_field_came_has_its_default() {
        let stored = json!({"recipe": "remove_background", "model": "chroma", "background": {"type": "transparent"},
            "format": "webm"});
        let Recipe::RemoveBackground(recipe) = serde_json::from_value(stored).unwrap() else { panic!() };
        assert_eq!((recipe.refine, recipe.require_subject, recipe.quality), (Refine::Full, false, Quality::Standard));
    }

    #[test]
    fn a_screen_whose_colour_is_named_is_keyed() {
        let model = |value| {
            let Recipe::RemoveBackground(recipe) = read(value).unwrap() else { panic!() };
            recipe.model
        };
        assert_eq!(model(json!({"recipe": "remove_background"})), AUTO);
        assert_eq!(model(json!({"recipe": "remove_background", "key_color": "#00ff00"})), CHROMA);
        let refused = read(json!({"recipe": "remove_background", "model": "chroma", "require_subject": true}));
        assert!(refused.unwrap_err()[0].starts_with("require_subject"));
    }

    #[test]
    fn what_does_not_go_together_is_refused_by_name() {
        let refusals = |value| read(value).unwrap_err().join("; ");
        insta::assert_snapshot!(
            [
                refusals(json!({"recipe": "compress", "crf": 99, "quality": "best"})),
                refusals(json!({"recipe": "compress", "crf": 20, "max_bytes": 100_000})),
                refusals(json!({"recipe": "convert"})),
                refusals(json!({"recipe": "convert", "format": "webm", "codec": "h264"})),
                refusals(json!({"recipe": "convert", "format": "mp3", "width": 640})),
                refusals(json!({"recipe": "resize"})),
                refusals(json!({"recipe": "resize", "width": 9000})),
                refusals(json!({"recipe": "trim", "start_seconds": 5, "end_seconds": 5})),
                refusals(json!({"recipe": "thumbnail", "format": "mp4"})),
                refusals(json!({"recipe": "normalize_audio", "target_lufs": 0, "true_peak_dbtp": 1, "format": "png"})),
                refusals(json!({"recipe": "waveform", "format": "json", "height": 64, "color": "#ff0000", "width": 1})),
                refusals(json!({"recipe": "waveform", "color": "red", "background": "none", "channels": 2})),
                refusals(json!({"recipe": "sprite", "interval_seconds": 0, "columns": 21, "format": "gif"})),
                refusals(json!({"recipe": "preview", "duration_seconds": 0.2, "segments": 3, "format": "mp4"})),
                refusals(json!({"recipe": "watermark", "margin_percent": 2, "margin_pixels": 8, "opacity": 2})),
                refusals(json!({"recipe": "watermark", "image": "logo", "format": "png", "codec": "h264"})),
                refusals(json!({"recipe": "explode"})),
                refusals(json!({"recipe": "compress", "cfr": 28})),
            ]
            .join("\n")
        );
    }
}
