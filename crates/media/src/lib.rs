//! Probe, plan, run, verify: the way of one input to its products.
//!
//! ```text
//! input --sniff, ffprobe--> Source --plan (pure)--> Plan --run (ffmpeg, sandboxed)--> files --verify--> Receipt
//! ```
//!
//! [`Toolbox`] holds the tools; [`plan`](plan::plan) never touches the machine and `run` never decides. A failure of
//! the media or of what was asked is a value, [`JobFailure`](reelhook_domain::failure::JobFailure), inside
//! [`MediaError::Rejected`] or [`MediaError::Failed`]; every other [`MediaError`] means that we could not do our part.
//!
//! An encoder's exit code proves nothing (it is 0 for a file that ends too early, among others), so nothing is a
//! product until [`Toolbox::verify`] has measured it against the [`Expectation`] that the plan made.

pub mod archive;
mod beside;
mod capabilities;
mod cutter;
mod error;
mod extent;
mod extras;
mod further;
#[cfg(fuzzing)]
pub mod fuzzing;
mod heard;
pub mod heif;
pub mod image;
mod loudness;
mod machine;
pub mod matte;
mod mp4;
mod package;
mod packets;
mod pictures;
pub mod plain;
mod plan;
mod probe;
mod promise;
mod reader;
mod report;
mod run;
mod samples;
pub mod sandbox;
mod seen;
mod settings;
mod sniff;
mod spell;
mod step;
mod storyboard;
mod style;
mod survey;
mod tools;
mod verify;
mod wave;
mod waveform;

pub use beside::Compared;
pub use capabilities::Capabilities;
pub use error::MediaError;
pub use extras::{Chapter, Extras, ExtrasExpectation, Label, Track, TrackKind};
pub use further::Further;
pub use heard::HeardExpectation;
pub use loudness::{Aim, Leveled, Loudness};
pub use package::{MadePart, PackageExpectation, TrackExpectation};
pub use plan::{Damage, Forecast, Plan, forecast, plan};
pub use probe::Source;
pub use promise::Promise;
pub use reader::{Reader, Readers};
pub use run::{CutOut, Progress, StepReport, Watch, end_left_by};
pub use samples::Samples;
pub use sandbox::{Layers, SandboxMode};
pub use seen::{Likeness, SeenExpectation};
pub use settings::{Launcher, Limits, ToolSettings};
pub use step::{Product, Step, StreamPlan};
pub use storyboard::Storyboard;
pub use style::MeasuredStyle;
pub use tools::Toolbox;
pub use verify::{AudioExpectation, Check, Expectation, Frames, Receipt, Span, VideoExpectation};
pub use waveform::WaveformExpectation;
