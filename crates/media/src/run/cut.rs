//! A step in which a model cuts the subject out: three children, joined by pipes.
//!
//! ```text
//! ffmpeg decodes --rgb24--> cutter --rgba--> ffmpeg encodes, with the sound of the input
//! ```
//!
//! Colour and alpha leave the cutter as one frame, so they cannot drift apart, and nothing of the clip is on the disk but
//! the result. Each pipe holds less than a frame or two, so that the slowest of the three sets the pace.
//!
//! **Endings.** When one ends, its neighbours notice by their pipes: an end of frames downstream, a broken pipe upstream.
//! Upstream trouble therefore looks like a short clip further down, and downstream trouble like a failure to write further
//! up; who is to blame is told from that order, not from what happened to be noticed first. A neighbour that does not look
//! at its pipes is ended after a while.
//!
//! **Stalls.** They share a [`Pulse`]: one that waits for another is as alive as that is. Where none gets on, all are ended
//! and the run is repeated once.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use reelhook_domain::failure::{JobFailure, Stage};
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use tokio_util::sync::CancellationToken;

use super::process::{self, Ended, Ending, Ends, Listener, Order, Pulse};
use super::progress::Meter;
use super::{CutOut, Job};
use crate::cutter::{REFUSED, Refusal, Task, UNREAD};
use crate::error::MediaError;
use crate::matte::MatteReport;
use crate::sandbox::LAUNCH_FAILED;
use crate::step::{Cutting, Step};
use crate::tools::{Errand, Writes};

/// What a pipe may hold, in bytes, where the kernel lets us say so.
const PIPE_BYTES: usize = 1 << 20;
/// How long those that are left may take to notice that one of them ended badly.
const GRACE: Duration = Duration::from_secs(2);
/// A frame whose subject is smaller is one without, and a clip with more such frames than this, of one, has none.
const NOBODY: f64 = 0.999_999;

/// How the three ended, in the order of the pipes.
struct Three {
    decoder: Ended,
    cutter: Ended,
    encoder: Ended,
}

impl Three {
    fn all(&self) -> [&Ended; 3] {
        [&self.decoder, &self.cutter, &self.encoder]
    }

    fn any(&self, ending: Ending) -> bool {
        self.all().iter().any(|ended| ended.ending == ending)
    }

    fn cpu(&self) -> Duration {
        self.all().iter().map(|ended| ended.cpu).sum()
    }
}

impl Job<'_> {
    /// One run, repeated once when it stalls. Gives the CPU time.
    pub(super) async fn cut(
        &self,
        step: &Step,
        cutting: &Cutting,
        encoding: Vec<OsString>,
        share: (f64, f64),
    ) -> Result<Duration, MediaError> {
        let mut three = self.cut_once(step, cutting, encoding.clone(), share).await?;
        let mut cpu = three.cpu();
        if three.any(Ending::Stalled) {
            tracing::warn!("decoder, model and encoder make no progress and are started again");
            three = self.cut_once(step, cutting, encoding, share).await?;
            cpu += three.cpu();
        }
        let report = self.judged(step, cutting, &three).await?;
        if report.frames == 0 {
            let message = "the input has no frame that can be decoded";
            return Err(MediaError::Failed(JobFailure::input(Stage::Encoding, "input_damaged", message)));
        }
        if three.encoder.ending != Ending::Exited(0) {
            return Err(self.blame(step, &three.encoder).await);
        }
        if cutting.require_subject && is_empty(&report) {
            let message = format!("the model {} found no subject in any frame", cutting.model);
            return Err(MediaError::Failed(JobFailure::input(Stage::Encoding, "no_subject", message)));
        }
        tracing::debug!(?report, "the subject was cut out");
        self.note(CutOut::Model(report));
        Ok(cpu)
    }

    async fn cut_once(
        &self,
        step: &Step,
        cutting: &Cutting,
        encoding: Vec<OsString>,
        share: (f64, f64),
    ) -> Result<Three, MediaError> {
        let (toolbox, wall, stall) = (self.toolbox, self.wall(step), self.toolbox.settings().stall);
        let task = Task {
            folder: toolbox.settings().models.clone(),
            model: cutting.model.clone(),
            refine: cutting.refine,
            size: cutting.size,
        };
        let pulse = Pulse::default();
        let errand = |arguments, inputs, writes| Errand {
            program: toolbox.ffmpeg(),
            arguments,
            inputs,
            scratch: self.scratch,
            writes,
            wall,
            stall,
        };
        let decoding = errand(step.frame_arguments(self.input, cutting), vec![self.input], Writes::Nothing);
        let decoding = toolbox.order(decoding, pulse.by_cpu())?;
        let cutter = toolbox.cutter(task, self.scratch, wall, pulse.by_cpu())?;
        // The encoder uses a little CPU time while it waits for frames; that does not count as progress.
        let encoding = errand(encoding, self.reads(step), Writes::Outputs(step.products.len()));
        let encoding = toolbox.order(encoding, pulse)?;

        let ((from_decoder, to_cutter), (from_cutter, to_encoder)) = (joint()?, joint()?);
        let stop = self.watch.cancel.child_token();
        let trouble = CancellationToken::new();
        let mut meter = Meter::new(step.timeline, share, self.watch.progress);
        let (mut silent, mut quiet) = (Silent, Silent);
        // On the heap: three at once are more than a stack has room for.
        let child = |order, ends, listener| Box::pin(self.child(order, ends, listener, &stop, &trouble));
        let decoder = child(&decoding, Ends { stdin: None, stdout: Some(to_cutter) }, &mut silent as _);
        let cutter = child(&cutter, Ends { stdin: Some(from_decoder), stdout: Some(to_encoder) }, &mut quiet as _);
        let encoder = child(&encoding, Ends { stdin: Some(from_cutter), stdout: None }, &mut meter as _);
        let guard = async {
            trouble.cancelled().await;
            tokio::time::sleep(GRACE).await;
            stop.cancel();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            ended = async { tokio::try_join!(decoder, cutter, encoder) } => {
                let (decoder, cutter, encoder) = ended?;
                for (what, ended) in [("decoder", &decoder), ("cutter", &cutter), ("encoder", &encoder)] {
                    tracing::debug!(what, ending = ?ended.ending, wall = ?ended.wall, cpu = ?ended.cpu, "a child ended");
                }
                Ok(Three { decoder, cutter, encoder })
            }
            () = guard => Err(MediaError::Canceled),
        }
    }

    /// Starts one of the three and stays with it.
    async fn child(
        &self,
        order: &Order,
        ends: Ends,
        listener: &mut dyn Listener,
        stop: &CancellationToken,
        trouble: &CancellationToken,
    ) -> Result<Ended, MediaError> {
        let started = self.toolbox.start_between(order, ends).await?;
        let ended = process::stay(started, order, listener, stop).await?;
        match ended.ending {
            Ending::Exited(0) => {}
            Ending::Exited(LAUNCH_FAILED) => return Err(MediaError::Sandbox { reason: ended.stderr.last_line() }),
            _ => trouble.cancel(),
        }
        Ok(ended)
    }

    /// What the cutter saw, unless it or what comes before it is to blame. The encoder is looked at by itself.
    async fn judged(&self, step: &Step, cutting: &Cutting, three: &Three) -> Result<MatteReport, MediaError> {
        let Three { decoder, cutter, encoder } = three;
        if self.watch.cancel.is_cancelled() && three.any(Ending::Canceled) {
            return Err(MediaError::Canceled);
        }
        if three.any(Ending::Stalled) {
            let stalled = three.all().into_iter().find(|ended| ended.ending == Ending::Stalled);
            return Err(self.blame(step, stalled.unwrap_or(encoder)).await);
        }
        match cutter.ending {
            // It saw the end of the frames: if that came too early, the decoder is why.
            Ending::Exited(0) if decoder.ending != Ending::Exited(0) => Err(self.blame_decoder(step, decoder).await),
            Ending::Exited(0) => Ok(serde_json::from_str(&cutter.stderr.last_line()).map_err(io::Error::from)?),
            Ending::Exited(UNREAD) => Err(self.blame(step, encoder).await),
            // Ended by us, for it did not notice that a neighbour was gone.
            Ending::Canceled => {
                if is_consequence(encoder.ending) {
                    Err(self.blame_decoder(step, decoder).await)
                } else {
                    Err(self.blame(step, encoder).await)
                }
            }
            _ => Err(self.blame_model(step, cutting, cutter)),
        }
    }

    /// What the caller is told of a decoder that ended badly.
    async fn blame_decoder(&self, step: &Step, ended: &Ended) -> MediaError {
        match self.blame(step, ended).await {
            MediaError::Failed(mut failure) => {
                failure.message = failure.message.replacen("the encoder", "the decoder", 1);
                MediaError::Failed(failure)
            }
            other => other,
        }
    }

    /// What the caller is told of a cutter that ended badly.
    fn blame_model(&self, step: &Step, cutting: &Cutting, ended: &Ended) -> MediaError {
        let said = ended.stderr.last_line();
        let model = &cutting.model;
        tracing::error!(ending = ?ended.ending, said, model, "a model could not be run");
        let failed =
            |message| JobFailure { retryable: false, ..JobFailure::server(Stage::Encoding, "model_failed", message) };
        MediaError::Failed(match ended.ending {
            Ending::Exited(REFUSED) => match serde_json::from_str(&said) {
                Ok(Refusal::Missing) => missing(model),
                Ok(Refusal::Broken(message)) => failed(message),
                Ok(Refusal::Machine(error)) => return io::Error::from(error).into(),
                Err(error) => return io::Error::from(error).into(),
            },
            Ending::TimedOut | Ending::Killed(libc::SIGXCPU) => self.timed_out(step),
            Ending::OverMemory => self.model_over_memory(model),
            Ending::OverProcesses => self.over_processes(),
            _ if ended.stderr.text().contains("memory allocation of") => self.model_over_memory(model),
            Ending::Killed(libc::SIGKILL) => {
                let message = format!("the model {model} was killed, as the kernel does where memory runs out");
                JobFailure::server(Stage::Encoding, "server_failed", message)
            }
            Ending::Killed(signal) => failed(format!("the model {model} crashed (signal {signal})")),
            _ => failed(format!("the model {model} crashed")),
        })
    }

    fn model_over_memory(&self, model: &str) -> JobFailure {
        self.toolbox.settings().limits.over_memory(Stage::Encoding, &format!("the model {model}"))
    }
}

/// The failure of a model that is not there.
pub(super) fn missing(model: &str) -> JobFailure {
    let message = format!("the model {model} is not installed on this server");
    JobFailure::request(Stage::Planning, "model_not_installed", message)
}

/// Whether no subject was seen in any frame.
pub(crate) fn is_empty(report: &MatteReport) -> bool {
    report.frames > 0 && report.without_subject > NOBODY
}

/// Whether a neighbour is why the child ended so.
const fn is_consequence(ending: Ending) -> bool {
    matches!(ending, Ending::Exited(0) | Ending::Canceled)
}

/// A pipe: the end that is read, and the one that is written.
fn joint() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reads, writes) = pipe_with(PipeFlags::CLOEXEC)?;
    // A user with many pipes gets small ones, which is slower and no reason to refuse.
    let _ = fcntl_setpipe_size(&writes, PIPE_BYTES);
    Ok((reads, writes))
}

/// Hears nothing: what the tool says goes to another one.
struct Silent;

impl Listener for Silent {
    fn hear(&mut self, _said: &[u8]) {}

    fn mark(&self) -> [u64; 3] {
        [0; 3]
    }
}
