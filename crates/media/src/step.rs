//! A step: one run of ffmpeg that reads the input once and makes one or several products; or no run at all, where
//! the input already is the product.
//!
//! Everything is decided; [`crate::spell`] only spells it as arguments.

use std::ffi::OsString;
use std::path::Path;

use reelhook_domain::recipe::{Format, Refine};
use serde::{Deserialize, Serialize};

use crate::extras::{Carried, Chapter};
use crate::further::Further;
use crate::loudness::Aim;
use crate::package::Packaging;
use crate::plan::{Damage, Rate};
use crate::probe::Source;
use crate::spell::Pass;
use crate::style::Weights;
use crate::verify::Expectation;
use crate::waveform::Drawing;

/// One run of a tool, or none.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What it makes.
    pub products: Vec<Product>,
    pub(crate) reading: Reading,
    /// What has to be known or made first.
    pub(crate) before: Option<Before>,
    /// How the subject is cut out between decoding and encoding, where a model does that.
    pub(crate) cutting: Option<Cutting>,
    /// The caller's own command, which is run instead of all that is planned otherwise.
    pub(crate) command: Option<Commanded>,
    /// What is read beside the main input: ffmpeg's inputs 1, 2, ...
    pub(crate) beside: Vec<Beside>,
    /// How its inputs become one timeline, where they do.
    pub(crate) join: Option<Join>,
    /// Filters that all pictures pass first.
    pub(crate) shared_filters: Vec<String>,
    pub(crate) passes: Passes,
    /// Seconds of media that it walks; zero when nobody knows.
    pub(crate) timeline: f64,
    pub(crate) threads: u32,
    /// Whether text subtitles are read in the code page of old files rather than as UTF-8.
    pub(crate) legacy_text: bool,
}

/// One file that a step makes.
#[derive(Debug, Clone, PartialEq)]
pub struct Product {
    /// Index of the output that it is.
    pub output: usize,
    /// Its name inside the scratch folder: letters, digits, `-` and one dot.
    pub file_name: String,
    /// Its format. Where the source is kept ([`Step::keeps_source`], or because the product came out larger), the
    /// source's own format holds instead.
    pub format: Format,
    /// What becomes of each stream, and why.
    pub streams: Vec<StreamPlan>,
    /// What it is measured against.
    pub expect: Expectation,
    /// Whether the source is the better product when this one is not smaller.
    pub keep_source_if_larger: bool,
    /// How it is made; `None` keeps the source.
    pub(crate) making: Option<Making>,
    /// What it carries beside its picture and its sound.
    pub(crate) carried: Carried,
}

impl Product {
    /// The file in which ffmpeg leaves the pictures of a [`Format::PngSequence`], one after the other.
    pub(crate) fn bare_pictures(&self) -> String {
        format!("pictures-{}.png", self.output)
    }
}

/// What becomes of one stream of the source, in words for the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamPlan {
    /// `video`, `audio`, `subtitle`, `cover`, `attachment`, `data`, `chapters` or `tags`.
    pub stream: String,
    /// `encode`, `copy`, `draw`, `drop` or `keep`.
    pub action: String,
    /// Why.
    pub reason: String,
}

impl StreamPlan {
    pub(crate) fn new(stream: &str, action: &str, reason: impl Into<String>) -> Self {
        Self { stream: stream.to_owned(), action: action.to_owned(), reason: reason.into() }
    }
}

/// What has to be known or made before a step can run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Before {
    /// The colour of the screen behind the subject; [`crate::plan::keyed`] takes it.
    Screen {
        /// Filters that bring the frames into the colours that are keyed.
        frames: Vec<String>,
        /// What is done where there is no screen; the usual green is keyed where that cannot be done either.
        otherwise: Option<Box<Otherwise>>,
    },
    /// How the input looks and sounds, and the template; [`crate::plan::styled`] takes it.
    Style {
        /// Filters that bring the frames to the range of light that is measured.
        frames: Vec<String>,
        /// Of the picture that is changed.
        weights: Weights,
        /// Its place among the further inputs, and a step that measures it.
        template: Option<(usize, Box<Step>)>,
    },
    /// How loud the input is; [`crate::plan::leveled`] takes what follows.
    Loudness {
        aim: Aim,
        /// The channels that it is mixed to.
        mix: Option<&'static str>,
        sample_rate: u32,
    },
    /// Subtitles as a file of their own, and the fonts that the source brings for them, by their tracks.
    Subtitles { index: u32, fonts: Vec<u32> },
}

/// A subject that a model cuts out of each frame, on its way from one tool to the other.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cutting {
    pub(crate) model: String,
    pub(crate) refine: Refine,
    /// Whether it is a failure that there is no subject.
    pub(crate) require_subject: bool,
    /// Filters that bring the frames to their rate, colours and size.
    pub(crate) frames: Vec<String>,
    /// Width and height of the frames, in pixels.
    pub(crate) size: (u32, u32),
    pub(crate) rate: Rate,
}

/// The same product by a model.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Otherwise {
    pub(crate) cutting: Cutting,
    /// The filters of its picture.
    pub(crate) filters: Vec<String>,
    pub(crate) beside: Vec<Beside>,
}

/// A caller's command with the files that stand behind its placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Commanded {
    pub(crate) inputs: Vec<CommandedInput>,
    /// Options that stand between inputs and outputs.
    pub(crate) options: Vec<String>,
    /// Options of each output, and which product it is; none where it was made before.
    pub(crate) outputs: Vec<(Vec<String>, Option<usize>)>,
}

/// One input of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommandedInput {
    pub(crate) options: Vec<String>,
    pub(crate) demuxer: &'static str,
    /// Options that the demuxer always gets.
    pub(crate) demuxer_options: &'static [&'static str],
    /// Its place among the further inputs; none for the main one.
    pub(crate) further: Option<usize>,
}

/// A file that is read beside the main input, whole.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Beside {
    pub(crate) file: BesideFile,
    pub(crate) demuxer: &'static str,
    /// Options that the demuxer always gets.
    pub(crate) demuxer_options: &'static [&'static str],
    /// Whether ffmpeg's complaints about it are no damage.
    pub(crate) lenient: bool,
    /// Options of the demuxer and decoder, before its name.
    pub(crate) options: Vec<String>,
}

impl Beside {
    /// A file read as it was found to be.
    pub(crate) fn of(file: BesideFile, source: &Source) -> Self {
        let Source { demuxer, demuxer_options, lenient, .. } = *source;
        Self { file, demuxer, demuxer_options, lenient, options: Vec::new() }
    }

    /// The frames of a [`Cutting`].
    pub(crate) fn cut_out((width, height): (u32, u32), rate: Rate) -> Self {
        let size = format!("{width}x{height}");
        let options = ["-pixel_format", "rgba", "-video_size", &size, "-framerate", &rate.to_string()];
        let options = options.map(str::to_owned).into();
        Self { file: BesideFile::CutOut, demuxer: "rawvideo", demuxer_options: &[], lenient: false, options }
    }
}

/// Which file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BesideFile {
    /// A further input of the job, by its place among them.
    Further(usize),
    /// The frames that a model cut out, on standard input.
    CutOut,
    /// The main input once more, at another part.
    Again,
}

/// Several inputs as one timeline.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Join {
    /// The whole graph, which ends in `[v0]` and `[a0]` where it makes a picture and a sound.
    pub(crate) graph: Option<String>,
    /// How long the picture of each input is, in seconds, where pictures are copied one after another.
    pub(crate) copied: Option<Vec<f64>>,
    /// How long all are together, in seconds; zero when nobody knows.
    pub(crate) seconds: f64,
}

/// How the input is read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reading {
    pub(crate) demuxer: &'static str,
    /// ffmpeg's name of the decoder of the picture, where its own does not see all of it.
    pub(crate) decoder: Option<&'static str>,
    /// Whether the filters take frames of changing sizes, so that they are not started again.
    pub(crate) canvas: bool,
    /// Options that the demuxer always gets.
    pub(crate) demuxer_options: &'static [&'static str],
    /// Whether ffmpeg's complaints about it are no damage.
    pub(crate) lenient: bool,
    /// Filters that every picture passes before all others: they leave out what cannot be shown and set the times right.
    pub(crate) first_filters: Vec<String>,
    pub(crate) damage: Damage,
    pub(crate) video: Option<u32>,
    pub(crate) audio: Option<u32>,
    /// How long after the beginning of the file picture and sound begin, in seconds.
    pub(crate) video_start: f64,
    pub(crate) audio_start: f64,
    pub(crate) window: Window,
}

/// Which part of the timeline is read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Window {
    /// All of it.
    Whole,
    /// A part, after a jump to the key frame before it.
    Jump { start: f64, length: f64 },
    /// A part, reading all that comes before: for containers without an index, where a jump lands anywhere.
    Walk { start: f64, length: f64 },
    /// From the key frame before that point on; frames before the point have negative times.
    From { start: f64 },
}

/// How often the input is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passes {
    One,
    /// The first time to learn where bits are needed; the step has one product.
    Bitrate,
    /// The first time to choose a palette; the step has one product.
    Palette,
}

/// How a product is made.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Making {
    pub(crate) video: VideoTrack,
    pub(crate) audio: AudioTrack,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum VideoTrack {
    None,
    Copy,
    /// Copied from all inputs, one after another.
    Joined,
    Encode {
        filters: Vec<String>,
        encoder: Encoder,
        /// Whether frames come at uneven times, which the encoder's usual time base (one frame) would round.
        uneven: bool,
        /// Whether the picture gets a palette of its own.
        palette: bool,
    },
    /// Encoded several times, cut into segments.
    Package(Packaging),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum AudioTrack {
    None,
    Copy,
    /// Encoded from what the graph of a [`Join`] makes of all inputs.
    Joined {
        options: Vec<String>,
    },
    Encode {
        options: Vec<String>,
    },
    /// Decoded for us to read, and drawn.
    Drawn(Drawing),
}

/// A video encoder with its options.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Encoder {
    pub(crate) name: String,
    pub(crate) options: Vec<String>,
}

impl Step {
    /// Whether nothing is run: the input itself is the product.
    pub fn keeps_source(&self) -> bool {
        self.command.is_none() && self.products.iter().all(|product| product.making.is_none())
    }

    /// The model that cuts the subject out, where one does.
    pub fn model(&self) -> Option<&str> {
        self.cutting.as_ref().map(|cutting| &*cutting.model)
    }

    /// What is drawn of its sound, where that is all it does.
    pub(crate) fn drawing(&self) -> Option<Drawing> {
        match self.products.first()?.making.as_ref()?.audio {
            AudioTrack::Drawn(drawing) => Some(drawing),
            _ => None,
        }
    }

    /// The arguments of ffmpeg's (last) run over `input`, which must be absolute, and the further inputs that the plan
    /// was made with.
    pub fn arguments(&self, input: &Path, further: &[Further]) -> Vec<OsString> {
        self.spell(input, further, Pass::Last)
    }

    /// The arguments of the run before that, where there is one.
    pub fn first_pass(&self, input: &Path, further: &[Further]) -> Option<Vec<OsString>> {
        (self.passes != Passes::One).then(|| self.spell(input, further, Pass::First))
    }

    /// The chapters that its products carry: those of one timeline, so that all have the same.
    pub(crate) fn chapters(&self) -> &[Chapter] {
        let carried = self.products.iter().map(|product| &*product.carried.chapters);
        carried.into_iter().find(|chapters| !chapters.is_empty()).unwrap_or(&[])
    }

    /// The same step with its subtitles read in the code page of old files, where it reads some as text; for when they
    /// are no UTF-8.
    pub(crate) fn with_legacy_text(&self) -> Option<Self> {
        let converts = self.products.iter().any(|product| product.carried.converts_text());
        (converts && !self.legacy_text).then(|| Self { legacy_text: true, ..self.clone() })
    }

    /// One step for each product, for when the shared one failed: what can be made is made. None for a command, which
    /// makes all or nothing.
    pub fn alone(&self) -> Vec<Self> {
        if self.command.is_some() {
            return Vec::new();
        }
        let alone = |product: &Product| Self { products: vec![product.clone()], ..self.clone() };
        self.products.iter().map(alone).collect()
    }
}
