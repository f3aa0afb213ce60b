//! Thumbnails of a request: one still for each point in time.

use reelhook_domain::choice;
use reelhook_domain::form::Form;
use reelhook_domain::recipe::{Format, LATEST_SECOND, Recipe, Size, Thumbnail};
use serde_json::Value;

use super::output::{Wanted, refuse_undone};

/// What the service takes where nothing is said, and the only one that is taken here.
const QUALITY: u64 = 80;
/// Most points in time of one entry.
const MOST_TIMESTAMPS: usize = 20;

choice! {
    /// Which frames are taken.
    Mode {
        /// One.
        Single = "single",
        /// Those at the given times.
        Timestamps = "timestamps",
    }
}

choice! {
    /// How stills are written.
    Picture {
        /// JPEG.
        Jpeg = "jpeg",
        /// PNG.
        Png = "png",
        /// WebP.
        Webp = "webp",
    }
}

pub(super) fn read(form: &mut Form, from: usize) -> Option<Vec<Wanted>> {
    let mode = form.choice::<Mode>("mode");
    let mode = form.require("mode", mode);
    let format = match form.choice("format").unwrap_or(Picture::Jpeg) {
        Picture::Jpeg => Format::Jpg,
        Picture::Png => Format::Png,
        Picture::Webp => Format::Webp,
    };
    let width = form.integer32("width", 16..=3840);
    let height = form.integer32("height", 16..=2160);
    if let Some(quality) = form.integer("quality", 1..=100).filter(|quality| *quality != QUALITY) {
        form.refuse("quality", quality.into(), format_args!("must be {QUALITY}, the only one that is made here"));
    }
    let timestamp = form.number("timestamp", 0.0..=LATEST_SECOND);
    let timestamps = timestamps(form);
    refuse_undone(form, &["interval_seconds", "sprite_columns"]);
    form.ignore_rest();
    let seconds = match mode? {
        Mode::Single => vec![timestamp.unwrap_or(0.0)],
        Mode::Timestamps => form.require("timestamps", timestamps)?,
    };
    let size = Size { resolution: None, width, height, enlarge: false };
    let wanted = |at_seconds: f64| Wanted {
        name: "thumbnail".to_owned(),
        recipe: Recipe::Thumbnail(Thumbnail { at_seconds, format, size: size.clone() }),
        template: None,
        from,
        entry: None,
        is_thumbnail: true,
    };
    Some(seconds.into_iter().map(wanted).collect())
}

fn timestamps(form: &mut Form) -> Option<Vec<f64>> {
    let value = form.value("timestamps")?;
    let number = |value: &Value| value.as_f64().filter(|second| (0.0..=LATEST_SECOND).contains(second));
    let seconds: Option<Vec<f64>> = value.as_array().and_then(|items| items.iter().map(number).collect());
    let seconds = seconds.filter(|seconds| (1..=MOST_TIMESTAMPS).contains(&seconds.len()));
    if seconds.is_none() {
        let message = format!("must be 1 to {MOST_TIMESTAMPS} numbers of seconds, 0 to {LATEST_SECOND}");
        form.refuse("timestamps", value, message);
    }
    seconds
}
