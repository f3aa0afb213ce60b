//! The filters between a decoded frame and an encoder: its rate, its size, and the samples that the encoder takes.

use reelhook_domain::media::VideoInfo;

use super::Desk;
use super::color::{Alpha, Hdr, Meaning, is_full_range, is_rgb, narrowed};
use crate::spell::seconds;

/// How a picture is resampled where its colours become others: exact, and with colour at full resolution. Without these
/// ffmpeg's scaler leaves a green cast.
pub(super) const EXACT: &str = "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp";

/// What the encoder takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Samples {
    /// Video in limited range, by ffmpeg's name of the layout; in the colours of the source.
    Video(&'static str),
    /// Red, green and blue, by ffmpeg's name of the layout; in the colours of sRGB.
    Rgb(&'static str),
    /// JPEG's: full range and the matrix of BT.601.
    Jfif,
}

/// What a frame becomes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    /// Frames per second, where they are brought to a rate.
    pub(super) frame_rate: Option<f64>,
    /// Width and height in pixels.
    pub(super) size: (u32, u32),
    pub(super) samples: Samples,
    pub(super) hdr: Hdr,
    pub(super) alpha: Alpha,
}

impl Target {
    /// The filters, and what they do in words.
    pub(super) fn filters(&self, desk: &Desk<'_>, video: &VideoInfo) -> (Vec<String>, Vec<String>) {
        let (mut filters, mut notes) = (Vec::new(), Vec::new());
        if let Some(rate) = self.frame_rate {
            filters.push(format!("fps={}", seconds(rate)));
            notes.push(format!("{} frames per second", seconds(rate)));
        }
        notes.extend(Meaning::note(video));
        let shown = (video.width, video.height) == self.size && video.square_pixels;
        let sizing = self.sizing(video, &mut notes);
        filters.extend(self.alpha.before(!shown).iter().map(|&filter| filter.to_owned()));
        let mut between: Vec<String> = self.alpha.after(!shown).iter().map(|&filter| filter.to_owned()).collect();
        between.extend(self.hdr.filters(video));
        if !matches!(self.samples, Samples::Video(_)) {
            between.extend(narrowed(desk.capabilities, video));
        }
        let options = self.conversion(video);
        if let (Sizing::Scale(size), true) = (&sizing, between.is_empty()) {
            // One pass does both.
            filters.push([vec![size.clone()], options].concat().join(":"));
            filters.push("setsar=1".to_owned());
        } else {
            filters.extend(sizing.filters());
            filters.extend(between);
            if !options.is_empty() {
                filters.push(format!("scale={}", options.join(":")));
            }
        }
        filters.push(format!("format={}", self.layout()));
        if matches!(self.samples, Samples::Video(_)) && self.is_rgb(video) {
            filters.push(Meaning::of(video).tags());
        }
        notes.extend(self.alpha.note().map(str::to_owned));
        notes.extend(self.hdr.note());
        (filters, notes)
    }

    const fn layout(&self) -> &'static str {
        match self.samples {
            Samples::Video(layout) | Samples::Rgb(layout) => layout,
            Samples::Jfif => "yuvj420p",
        }
    }

    /// Whether the picture is in RGB once its transparency was dealt with.
    fn is_rgb(&self, video: &VideoInfo) -> bool {
        let (width, height) = self.size;
        let scaled = (video.width, video.height) != (width, height) || !video.square_pixels;
        is_rgb(video) || !self.alpha.before(scaled).is_empty()
    }

    /// How the picture gets its size. One that is only odd loses its last line rather than being resampled.
    fn sizing(&self, video: &VideoInfo, notes: &mut Vec<String>) -> Sizing {
        let (width, height) = self.size;
        let shown = (video.width, video.height) == self.size && video.square_pixels;
        let trimmed = video.square_pixels && self.size == (video.width & !1, video.height & !1);
        if shown {
            return Sizing::None;
        }
        if trimmed {
            notes.push(format!("cut to {width}x{height}, as sides must be even"));
            return Sizing::Crop(format!("crop={width}:{height}:0:0"));
        }
        notes.push(format!("{width}x{height}"));
        Sizing::Scale(format!("scale={width}:{height}"))
    }

    /// Options of the scaler that make other numbers of the same colours.
    fn conversion(&self, video: &VideoInfo) -> Vec<String> {
        let rgb = self.is_rgb(video);
        let options = match self.samples {
            Samples::Video(_) if rgb => {
                vec![format!("out_color_matrix={}", Meaning::of(video).matrix), "out_range=tv".to_owned()]
            }
            Samples::Video(_) if is_full_range(video) && self.hdr != Hdr::Mapped => vec!["out_range=tv".to_owned()],
            Samples::Video(_) => Vec::new(),
            Samples::Rgb(_) => Vec::new(),
            Samples::Jfif => vec!["out_color_matrix=bt601".to_owned(), "out_range=pc".to_owned()],
        };
        if options.is_empty() && matches!(self.samples, Samples::Video(_)) {
            return options;
        }
        [options, vec![EXACT.to_owned()]].concat()
    }
}

/// How a picture gets its size.
enum Sizing {
    /// It has it.
    None,
    Crop(String),
    Scale(String),
}

impl Sizing {
    fn filters(self) -> Vec<String> {
        match self {
            Self::None => Vec::new(),
            Self::Crop(crop) => vec![crop],
            Self::Scale(scale) => vec![scale, "setsar=1".to_owned()],
        }
    }
}
