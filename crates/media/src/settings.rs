//! Which tools are used, and how much they and their inputs may take.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use reelhook_domain::failure::{JobFailure, Stage};

use crate::machine;
use crate::sandbox::SandboxMode;

/// Which tools are used, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolSettings {
    /// The ffmpeg program; a bare name is looked up in `PATH`.
    pub ffmpeg: PathBuf,
    /// The ffprobe program; a bare name is looked up in `PATH`.
    pub ffprobe: PathBuf,
    /// The program that decodes HEIC; a bare name is looked up in `PATH`, with the names that it has elsewhere. Need not be
    /// there.
    pub heif_convert: PathBuf,
    /// What puts the sandbox on and becomes the tool.
    pub launcher: Launcher,
    /// Whether tools run in the sandbox.
    pub sandbox: SandboxMode,
    /// How much an input may be and a tool may take.
    pub limits: Limits,
    /// Threads that one tool may use; 0 leaves it to the tool.
    pub threads: u32,
    /// How long a tool may show no sign of life.
    pub stall: Duration,
    /// Whether products are compared with their sources by what is seen and heard.
    pub compare: bool,
    /// Where the models of [`crate::matte`] are; it need not exist.
    pub models: PathBuf,
}

impl ToolSettings {
    /// The tools in `PATH`, in the sandbox as far as the machine has it.
    pub fn new(launcher: Launcher) -> Self {
        Self {
            ffmpeg: "ffmpeg".into(),
            ffprobe: "ffprobe".into(),
            heif_convert: "heif-convert".into(),
            launcher,
            sandbox: SandboxMode::Auto,
            limits: Limits::default(),
            threads: 0,
            stall: Duration::from_secs(60),
            compare: true,
            models: "models".into(),
        }
    }
}

/// A program that ends in [`sandbox::enter`](crate::sandbox::enter), and the arguments that lead it there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launcher {
    /// The program, usually this one itself.
    pub program: PathBuf,
    /// What comes before the launcher's own arguments, such as a subcommand.
    pub args: Vec<OsString>,
}

/// How much an input may be, and how much a tool may take. An input over one of them is `rejected` before any work.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Most pixels in a frame.
    pub pixels: u64,
    /// Most frames per second.
    pub frame_rate: f64,
    /// Longest input.
    pub duration: Duration,
    /// Most streams of any kind.
    pub streams: u32,
    /// Most chapters.
    pub chapters: u32,
    /// Largest file that a tool may write, in bytes.
    pub output_bytes: u64,
    /// Most memory that a tool may take, in bytes.
    pub memory_bytes: u64,
    /// Most processes and threads that a tool may have.
    pub processes: u64,
    /// Seconds that a tool may take for each second of media and each output.
    pub wall_factor: f64,
    /// What a tool may take in any case.
    pub wall_floor: Duration,
    /// What a tool may take at most, however long the media is.
    pub wall_cap: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pixels: 7680 * 4320,
            frame_rate: 1000.0,
            duration: Duration::from_secs(12 * 3600),
            streams: 64,
            chapters: 10_000,
            output_bytes: 10 << 30,
            memory_bytes: (machine::memory_bytes() / 2).max(1 << 30),
            processes: 4096,
            wall_factor: 120.0,
            wall_floor: Duration::from_secs(600),
            wall_cap: Duration::from_secs(6 * 3600),
        }
    }
}

impl Limits {
    /// The failure of what would be larger than any output may be.
    pub(crate) fn over_size(&self, stage: Stage) -> JobFailure {
        let message = format!(
            "the output would be larger than the limit of {} bytes, which the server sets with media.max_output_bytes",
            self.output_bytes
        );
        JobFailure::request(stage, "over_limit", message)
    }

    /// The failure of a tool that needed too much memory; `what` says which.
    pub(crate) fn over_memory(&self, stage: Stage, what: &str) -> JobFailure {
        let message = format!(
            "{what} needed more memory than the limit of {} bytes, which the server sets with media.max_memory_bytes",
            self.memory_bytes
        );
        JobFailure::request(stage, "over_memory", message)
    }

    /// Longest that a tool may take over `seconds` of media for `outputs` outputs.
    pub(crate) fn wall(&self, seconds: f64, outputs: usize) -> Duration {
        let extra = (seconds * self.wall_factor * outputs as f64).clamp(0.0, 1e9);
        (self.wall_floor + Duration::from_secs_f64(extra)).min(self.wall_cap)
    }
}
