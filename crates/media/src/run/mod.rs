//! Doing a step: starting the tools, listening to them, and saying what went wrong.
//!
//! Nothing is decided here about the media. What may happen more than once is a matter of the machine: a run that
//! stalled is repeated once; a product that came out over the caller's cap is made again with fewer bits, as
//! [`crate::plan`] computes them.

mod blame;
mod cut;
mod launch;
mod loudness;
pub(crate) mod process;
mod progress;
mod ring;
mod screen;
mod style;
mod subtitles;
mod survivors;
mod waveform;

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::iter;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use reelhook_domain::recipe::{AUTO, CHROMA, Format, HUMAN, Rgb};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use self::process::{Ended, Ending};
use self::progress::Meter;
pub use self::progress::Progress;
pub use self::survivors::end_left_by;
use crate::error::MediaError;
use crate::extras::{CHAPTERS, chapter_file};
use crate::further::Further;
use crate::matte::{self, MatteReport};
use crate::package;
use crate::pictures::sequence;
use crate::plain;
use crate::plan::{GREEN, keyed, tightened};
use crate::probe::Source;
use crate::promise::Promise;
use crate::spell::{SCRIPT, script};
use crate::step::{Before, BesideFile, Step};
use crate::style::MeasuredStyle;
use crate::tools::{Errand, Toolbox, Writes};

/// Who wants to know how a step gets on, and may end it.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// Canceled when the step is no longer wanted; its tools are gone within two seconds.
    pub cancel: &'a CancellationToken,
    /// Told of progress a few times a second.
    pub progress: &'a (dyn Fn(Progress) + Send + Sync),
}

impl fmt::Debug for Watch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("cancel", &self.cancel).finish_non_exhaustive()
    }
}

/// What a step took.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct StepReport {
    /// Time that passed.
    pub wall: Duration,
    /// CPU time of its tools, user and system.
    pub cpu: Duration,
    /// The style that was measured, where the step is about one: the template's, or else the input's.
    pub style: Option<MeasuredStyle>,
    /// How the subject was cut out, where that is what the step is about.
    pub cut_out: Option<CutOut>,
}

/// How a subject was cut out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum CutOut {
    /// From a screen of this colour.
    Keyed(Rgb),
    /// By the model of the step, which saw this.
    Model(MatteReport),
}

impl CutOut {
    /// Whether a model saw no subject in any frame.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Model(report) if cut::is_empty(report))
    }

    /// What receipts tell, of a recipe that asked for that model.
    pub fn document(&self, asked: &str) -> Value {
        match self {
            Self::Keyed(color) => json!({"model": CHROMA, "key_color": color}),
            Self::Model(report) => {
                let mut told = json!(report);
                told["model"] = json!(if asked == AUTO { HUMAN } else { asked });
                told
            }
        }
    }
}

/// How often a product that came out too large is made again.
const TIGHTENINGS: u32 = 3;
/// Failures of a run that may come from subtitles that are no UTF-8.
pub(super) const SUBTITLES_MAY_BE_WHY: &[&str] = &["encoder_failed", "input_damaged"];

pub(crate) async fn run(
    toolbox: &Toolbox,
    step: &Step,
    input: &Path,
    further: &[Further],
    scratch: &Path,
    source: &Source,
    watch: Watch<'_>,
) -> Result<StepReport, MediaError> {
    let began = Instant::now();
    let input = std::path::absolute(input)?;
    if step.keeps_source() {
        keep(step, input, scratch).await?;
        return Ok(StepReport { wall: began.elapsed(), ..StepReport::default() });
    }
    let cut_out = Mutex::default();
    let job = Job { toolbox, input: &input, further, scratch, source, watch, cut_out: &cut_out };
    if let Some(Before::Loudness { aim, mix, .. }) = &step.before {
        let cpu = job.level(step, *aim, *mix).await?;
        return Ok(StepReport { wall: began.elapsed(), cpu, ..StepReport::default() });
    }
    if let Some(drawing) = step.drawing() {
        let cpu = job.draw(step, drawing).await?;
        return Ok(StepReport { wall: began.elapsed(), cpu, ..StepReport::default() });
    }
    let Prepared { mut step, done, cpu, style } = job.prepared(step).await?;
    let mut cpu = cpu + job.attempt(&step, done).await?;
    for _ in 0..TIGHTENINGS {
        let Some(tighter) = tightened(&step, size(&step, scratch)) else { break };
        tracing::info!("the output is over its cap; it is made again with fewer bits");
        cpu += job.attempt(&tighter, done).await?;
        step = tighter;
    }
    Ok(StepReport { wall: began.elapsed(), cpu, style, cut_out: job.noted() })
}

struct Job<'a> {
    toolbox: &'a Toolbox,
    input: &'a Path,
    further: &'a [Further],
    scratch: &'a Path,
    source: &'a Source,
    watch: Watch<'a>,
    cut_out: &'a Mutex<Option<CutOut>>,
}

/// A step with all done that comes before it.
struct Prepared {
    step: Step,
    /// Which share of the work that was.
    done: f64,
    cpu: Duration,
    style: Option<MeasuredStyle>,
}

impl Job<'_> {
    async fn prepared(&self, step: &Step) -> Result<Prepared, MediaError> {
        let prepared = |step, done, cpu| Ok(Prepared { step, done, cpu, style: None });
        match &step.before {
            // A loudness is brought about by runs of its own.
            None | Some(Before::Loudness { .. }) => prepared(step.clone(), 0.0, Duration::ZERO),
            Some(Before::Screen { .. }) => {
                let (color, cpu) = self.screen(step).await?;
                let models = &self.toolbox.settings().models;
                let step = keyed(step, color, |model| matte::is_installed(models, model));
                if step.cutting.is_none() {
                    self.note(CutOut::Keyed(color.map_or(GREEN, Rgb)));
                }
                prepared(step, 0.0, cpu)
            }
            Some(Before::Style { weights, template, .. }) => self.style(step, *weights, template.as_ref()).await,
            Some(Before::Subtitles { index, fonts }) => {
                let cpu = self.subtitles(step, *index, fonts).await?;
                prepared(Step { before: None, ..step.clone() }, 0.0, cpu)
            }
        }
    }

    /// All runs of a step. Subtitles that turn out to be no UTF-8 are read in another code page the second time.
    async fn attempt(&self, step: &Step, done: f64) -> Result<Duration, MediaError> {
        match (self.attempt_once(step, done).await, step.with_legacy_text()) {
            (Err(MediaError::Failed(failure)), Some(step)) if SUBTITLES_MAY_BE_WHY.contains(&&*failure.code) => {
                tracing::info!(?failure, "subtitles are read again in another code page");
                self.attempt_once(&step, done).await
            }
            (outcome, _) => outcome,
        }
    }

    /// All runs of a step, each repeated once when it stalls; `done` is the share of the work that was done before. Gives
    /// the CPU time.
    async fn attempt_once(&self, step: &Step, done: f64) -> Result<Duration, MediaError> {
        // What an earlier attempt left may be another name for the input, which must not be written over.
        for product in &step.products {
            remove(&self.scratch.join(&product.file_name))?;
        }
        self.write_script(step).await?;
        if !step.chapters().is_empty() {
            plain::write(&self.scratch.join(CHAPTERS), chapter_file(step.chapters()))?;
        }
        let mut runs = vec![step.arguments(self.input, self.further)];
        runs.splice(..0, step.first_pass(self.input, self.further));
        let share = (1.0 - done) / runs.len() as f64;
        let mut cpu = Duration::ZERO;
        for (number, arguments) in runs.into_iter().enumerate() {
            let from = done + share * number as f64;
            cpu += self.finished(step, arguments, (from, from + share)).await?;
        }
        self.pack(step).await?;
        (self.watch.progress)(Progress { fraction: 1.0, rate: None, frames: 0 });
        Ok(cpu)
    }

    /// One run, repeated once when it stalls. Gives the CPU time.
    async fn finished(&self, step: &Step, arguments: Vec<OsString>, share: (f64, f64)) -> Result<Duration, MediaError> {
        if let Some(cutting) = &step.cutting {
            return Box::pin(self.cut(step, cutting, arguments, share)).await;
        }
        let mut ended = self.once(step, arguments.clone(), share).await?;
        let mut cpu = ended.cpu;
        if ended.ending == Ending::Stalled {
            tracing::warn!(said = ended.stderr.last_line(), "ffmpeg made no progress and is started again");
            ended = self.once(step, arguments, share).await?;
            cpu += ended.cpu;
        }
        if ended.ending != Ending::Exited(0) {
            return Err(self.blame(step, &ended).await);
        }
        Ok(cpu)
    }

    /// Packs the pictures of products that are archives of them, and finishes packages and storyboards.
    async fn pack(&self, step: &Step) -> Result<(), MediaError> {
        for package in step.products.iter().filter_map(|product| product.expect.package.as_ref()) {
            let bytes = package::finish(self.toolbox, package, self.scratch).await?;
            if bytes > self.toolbox.settings().limits.output_bytes {
                return Err(self.too_large());
            }
        }
        for product in &step.products {
            if let Some(Promise::Storyboard(board)) = &product.expect.promise {
                board.write(self.scratch)?;
            }
        }
        for product in step.products.iter().filter(|product| product.format == Format::PngSequence) {
            let (pictures, archive) =
                (self.scratch.join(product.bare_pictures()), self.scratch.join(&product.file_name));
            let cap = self.toolbox.settings().limits.output_bytes;
            let work = move || sequence::pack(&pictures, &archive, cap);
            match tokio::task::spawn_blocking(work).await.map_err(io::Error::other)? {
                Ok(frames) => tracing::debug!(frames, "pictures were packed"),
                Err(error) if error.kind() == io::ErrorKind::FileTooLarge => return Err(self.too_large()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Writes which files are read one after another, where that is how they are read.
    async fn write_script(&self, step: &Step) -> Result<(), MediaError> {
        let Some(lengths) = step.join.as_ref().and_then(|join| join.copied.as_ref()) else { return Ok(()) };
        let first = (self.input, self.source.demuxer);
        let files = iter::once(first).chain(self.further_inputs(step).map(|(path, source)| (path, source.demuxer)));
        let files = files.zip(lengths).map(|((path, demuxer), &length)| (path, demuxer, length));
        let script = script(files).ok_or_else(|| io::Error::other("a path of ours cannot be written in a script"))?;
        Ok(plain::write(&self.scratch.join(SCRIPT), script)?)
    }

    async fn once(&self, step: &Step, arguments: Vec<OsString>, share: (f64, f64)) -> Result<Ended, MediaError> {
        let wall = self.wall(step);
        let mut meter = Meter::new(step.timeline, share, self.watch.progress);
        tracing::debug!(?arguments, "ffmpeg starts");
        let (program, stall) = (self.toolbox.ffmpeg(), self.toolbox.settings().stall);
        let errand = Errand {
            program,
            arguments,
            inputs: self.reads(step),
            scratch: self.scratch,
            writes: Writes::Outputs(step.products.len()),
            wall,
            stall,
        };
        let ended = self.toolbox.start(errand, &mut meter, self.watch.cancel).await?;
        tracing::debug!(ending = ?ended.ending, wall = ?ended.wall, cpu = ?ended.cpu, "ffmpeg ended");
        Ok(ended)
    }

    /// The further inputs that a step reads.
    fn further_inputs(&self, step: &Step) -> impl Iterator<Item = (&Path, &Source)> {
        let places = step.beside.iter().filter_map(|beside| match beside.file {
            BesideFile::Further(place) => Some(place),
            BesideFile::CutOut | BesideFile::Again => None,
        });
        places.filter_map(|place| self.further.get(place)).map(|further| (&*further.path, &further.source))
    }

    fn note(&self, cut_out: CutOut) {
        *self.cut_out.lock().unwrap_or_else(PoisonError::into_inner) = Some(cut_out);
    }

    fn noted(&self) -> Option<CutOut> {
        *self.cut_out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The files that a step reads.
    fn reads(&self, step: &Step) -> Vec<&Path> {
        iter::once(self.input).chain(self.further_inputs(step).map(|(path, _)| path)).collect()
    }

    fn wall(&self, step: &Step) -> Duration {
        let seconds = self.source.info.duration_seconds.unwrap_or(0.0).max(step.timeline);
        self.toolbox.settings().limits.wall(seconds, step.products.len().max(1))
    }
}

/// The input as the product: a second name for the same bytes where the file system can, else a copy.
async fn keep(step: &Step, input: PathBuf, scratch: &Path) -> Result<(), MediaError> {
    let targets: Vec<PathBuf> = step.products.iter().map(|product| scratch.join(&product.file_name)).collect();
    let work = move || -> io::Result<()> {
        let input = input.canonicalize()?;
        for target in targets {
            remove(&target)?;
            if std::fs::hard_link(&input, &target).is_err() {
                std::fs::copy(&input, &target)?;
            }
        }
        Ok(())
    };
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)??;
    Ok(())
}

pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Size of a step's product, in bytes; zero where it is not there.
fn size(step: &Step, scratch: &Path) -> u64 {
    let Some(product) = step.products.first() else { return 0 };
    plain::size(&scratch.join(&product.file_name)).unwrap_or(0)
}
