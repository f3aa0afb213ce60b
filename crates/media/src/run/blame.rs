//! Why a tool failed, without trusting what it says.
//!
//! Up to version 6 ffmpeg ends with the same exit code whatever happened, and its messages change from version to
//! version. Signals and the file system speak clearly; for the rest the input is decoded once more into nothing: if
//! that fails too, it is the input, otherwise the encoder.

use std::ffi::OsString;
use std::path::Path;

use reelhook_domain::failure::{JobFailure, Stage};

use super::Job;
use super::process::{Ended, Ending, option};
use super::progress::Meter;
use crate::error::MediaError;
use crate::extras::TrackKind;
use crate::plan::Damage;
use crate::probe::Source;
use crate::step::Step;
use crate::tools::{Errand, Writes};

/// ffmpeg's exit code, where it has one for each reason (7 and newer): the low byte of `-ENOSPC`.
const NO_SPACE: i32 = 256 - libc::ENOSPC;
/// The same, of `-ENOMEM`.
const NO_MEMORY: i32 = 256 - libc::ENOMEM;
/// ffmpeg's exit code when a signal asked it to end.
const ASKED_TO_END: i32 = 255;
/// A disk with less room than this is full.
const ROOM: u64 = 1 << 20;

impl Job<'_> {
    /// What the caller is told of a run that did not end well.
    pub(super) async fn blame(&self, step: &Step, ended: &Ended) -> MediaError {
        let said = ended.stderr.last_line();
        tracing::info!(ending = ?ended.ending, said, "ffmpeg failed");
        tracing::debug!(stderr = ended.stderr.text(), "what ffmpeg said");
        let server = |code, message: String| JobFailure::server(Stage::Encoding, code, message);
        let failure = match ended.ending {
            Ending::Canceled => return MediaError::Canceled,
            Ending::Stalled => {
                let seconds = self.toolbox.settings().stall.as_secs_f64();
                server("stalled", format!("the encoder made no progress for {seconds} seconds, twice"))
            }
            Ending::TimedOut | Ending::Killed(libc::SIGXCPU) => self.timed_out(step),
            Ending::Exited(ASKED_TO_END) if ended.cpu >= self.wall(step) => self.timed_out(step),
            Ending::Killed(libc::SIGXFSZ) | Ending::OverSize => return self.too_large(),
            Ending::OverMemory => self.over_memory(),
            Ending::OverProcesses => self.over_processes(),
            _ if ran_out_of_memory(ended) => self.over_memory(),
            _ if self.disk_is_full(ended) => server("out_of_disk", "the server's disk is full".to_owned()),
            Ending::Killed(signal) => server("encoder_failed", format!("the encoder was ended by signal {signal}")),
            Ending::Exited(code) => match self.input_decodes(step).await {
                Ok(true) => server("encoder_failed", format!("the encoder failed with exit code {code}")),
                Ok(false) => {
                    let message = "the input is damaged: it cannot be decoded to its end";
                    JobFailure::input(Stage::Encoding, "input_damaged", message)
                }
                Err(error) => return error,
            },
        };
        MediaError::Failed(failure)
    }

    /// The refusal of what would be larger than any output may be.
    pub(super) fn too_large(&self) -> MediaError {
        MediaError::Failed(self.toolbox.settings().limits.over_size(Stage::Encoding))
    }

    fn over_memory(&self) -> JobFailure {
        self.toolbox.settings().limits.over_memory(Stage::Encoding, "the encoder")
    }

    pub(super) fn over_processes(&self) -> JobFailure {
        let most = self.toolbox.settings().limits.processes;
        let message = format!(
            "the encoder started more processes and threads than the limit of {most}, which the server sets with media.max_processes"
        );
        JobFailure::request(Stage::Encoding, "over_processes", message)
    }

    pub(super) fn timed_out(&self, step: &Step) -> JobFailure {
        let seconds = self.wall(step).as_secs();
        JobFailure::server(Stage::Encoding, "timed_out", format!("the encoder took longer than {seconds} seconds"))
    }

    fn disk_is_full(&self, ended: &Ended) -> bool {
        let full = rustix::fs::statvfs(self.scratch).is_ok_and(|disk| disk.f_bavail * disk.f_frsize < ROOM);
        // The one message that is looked for: a quota or a full inode table leave room, and before version 7 there is
        // no exit code for it. It is the C library's own text, in the locale that we set.
        let says = |text: &str| ended.stderr.text().contains(text);
        full || ended.ending == Ending::Exited(NO_SPACE)
            || says("No space left on device")
            || says("Disk quota exceeded")
    }

    /// Whether the streams that the step decodes, of all its inputs, can be decoded to their end.
    async fn input_decodes(&self, step: &Step) -> Result<bool, MediaError> {
        let mut streams: Vec<u32> = [step.reading.video, step.reading.audio].into_iter().flatten().collect();
        let carried = step.products.iter().flat_map(|product| &product.carried.tracks);
        let decoded = carried.filter(|track| track.kind == TrackKind::Audio && track.is_encoded());
        streams.extend(decoded.map(|track| track.index));
        streams.sort_unstable();
        streams.dedup();
        if !self.decodes(step, self.input, self.source, &streams).await? {
            return Ok(false);
        }
        for (path, source) in self.further_inputs(step) {
            let streams: Vec<u32> = [source.video_index, source.audio_index].into_iter().flatten().collect();
            if !self.decodes(step, path, source, &streams).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether some streams of a file can be decoded to their end.
    async fn decodes(&self, step: &Step, path: &Path, source: &Source, streams: &[u32]) -> Result<bool, MediaError> {
        let mut arguments: Vec<OsString> =
            ["-nostdin", "-hide_banner", "-nostats", "-loglevel", "error"].map(Into::into).into();
        arguments.extend(["-progress", "pipe:1"].map(Into::into));
        if step.reading.damage == Damage::Strict && !source.lenient {
            arguments.extend(["-xerror", "-err_detect:v", "explode"].map(Into::into));
        }
        arguments.extend(source.demuxer_options.iter().map(Into::into));
        option(&mut arguments, "-protocol_whitelist", "file,pipe");
        option(&mut arguments, "-f", source.demuxer);
        let mut operand = OsString::from("file:");
        operand.push(path);
        option(&mut arguments, "-i", operand);
        for index in streams {
            option(&mut arguments, "-map", format!("0:{index}"));
        }
        arguments.extend(["-fps_mode", "passthrough", "-f", "null", "-"].map(Into::into));
        let (program, stall) = (self.toolbox.ffmpeg(), self.toolbox.settings().stall);
        let wall = self.wall(step);
        let errand = Errand {
            program,
            arguments,
            inputs: vec![path],
            scratch: self.scratch,
            writes: Writes::Scratch,
            wall,
            stall,
        };
        let mut meter = Meter::new(0.0, (0.0, 0.0), &|_| {});
        let ended = self.toolbox.start(errand, &mut meter, self.watch.cancel).await?;
        match ended.ending {
            Ending::Canceled => Err(MediaError::Canceled),
            ending => Ok(ending == Ending::Exited(0)),
        }
    }
}

/// Whether a tool was refused the memory that it asked for.
fn ran_out_of_memory(ended: &Ended) -> bool {
    // Before version 7 there is no exit code for it. It is the C library's own text, in the locale that we set.
    let said = ended.stderr.text().contains("Cannot allocate memory");
    ended.ending == Ending::Exited(NO_MEMORY) || (said && ended.ending != Ending::Exited(0))
}
