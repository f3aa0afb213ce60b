//! What is decoded of a file to compare it: small frames, parts of a sound.
//!
//! Starting ffmpeg costs more than decoding the little that is compared. So one run takes all that is known to be wanted
//! of both files ([`take_all`]), and what was taken is kept: most products of a job are compared with the same frames and
//! the same parts of the sound of their source.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::error::MediaError;
use crate::plain;
use crate::run::process::{Collector, Ending, option};
use crate::tools::{Errand, Toolbox, Writes};

/// How long decoding a few frames and parts of a sound may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// What is decoded of one stream: read with these options, passed through these filters, written in this form.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Tap {
    /// Options of the input, its demuxer among them.
    pub(crate) input: Vec<OsString>,
    /// The stream, as ffmpeg names it within its file.
    pub(crate) stream: String,
    /// Filters, one after the other. They bound what comes out.
    pub(crate) filters: String,
    /// Options of the output, its format among them.
    pub(crate) output: &'static [&'static str],
}

/// What was taken of one file.
#[derive(Debug, Default)]
pub struct Samples(Mutex<HashMap<Tap, Arc<[u8]>>>);

impl Samples {
    /// What these taps give of `file`, in their order: empty where it could not be decoded. What was taken before is not
    /// decoded again.
    pub(crate) async fn take(
        &self,
        toolbox: &Toolbox,
        file: &Path,
        taps: &[Tap],
        scratch: &Path,
    ) -> Result<Vec<Arc<[u8]>>, MediaError> {
        take_all(toolbox, &[Wanted { samples: self, file, taps: taps.to_vec() }], scratch).await?;
        let known = self.lock();
        Ok(taps.iter().map(|tap| known.get(tap).cloned().unwrap_or_default()).collect())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Tap, Arc<[u8]>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is wanted of a file.
pub(crate) struct Wanted<'a> {
    pub(crate) samples: &'a Samples,
    pub(crate) file: &'a Path,
    pub(crate) taps: Vec<Tap>,
}

/// One thing that is wanted, and where it is kept.
#[derive(Clone, Copy)]
struct Missing<'a> {
    samples: &'a Samples,
    file: &'a Path,
    tap: &'a Tap,
}

impl Missing<'_> {
    /// Whether another one is the same.
    fn is(&self, other: &Missing<'_>) -> bool {
        std::ptr::eq(self.samples, other.samples) && self.tap == other.tap
    }
}

/// Takes all that is wanted of several files and was not taken before.
pub(crate) async fn take_all(toolbox: &Toolbox, wanted: &[Wanted<'_>], scratch: &Path) -> Result<(), MediaError> {
    let mut missing = Vec::new();
    for Wanted { samples, file, taps } in wanted {
        let known = samples.lock();
        for tap in taps.iter().filter(|tap| !known.contains_key(*tap)) {
            let one = Missing { samples, file, tap };
            if !missing.iter().any(|other| one.is(other)) {
                missing.push(one);
            }
        }
    }
    if missing.is_empty() || run(toolbox, &missing, scratch).await? {
        return Ok(());
    }
    // One that cannot be decoded keeps nothing from the others.
    for one in missing {
        run(toolbox, &[one], scratch).await?;
    }
    Ok(())
}

/// One run of ffmpeg for all of them. Each reads its file by itself, so that none decodes more for another one's sake.
/// False, with nothing kept, where several were asked for and ffmpeg complained.
async fn run(toolbox: &Toolbox, missing: &[Missing<'_>], scratch: &Path) -> Result<bool, MediaError> {
    let absolute = |one: &Missing<'_>| std::path::absolute(one.file);
    let files = missing.iter().map(absolute).collect::<Result<Vec<PathBuf>, _>>()?;
    let mut arguments: Vec<OsString> =
        ["-nostdin", "-hide_banner", "-nostats", "-loglevel", "error", "-y"].map(Into::into).into();
    for (Missing { tap, .. }, file) in missing.iter().zip(&files) {
        arguments.extend(tap.input.iter().cloned());
        option(&mut arguments, "-protocol_whitelist", "file,pipe");
        let mut operand = OsString::from("file:");
        operand.push(file);
        option(&mut arguments, "-i", operand);
    }
    for (number, Missing { tap, .. }) in missing.iter().enumerate() {
        option(&mut arguments, "-filter_complex", format!("[{number}:{}]{}[t{number}]", tap.stream, tap.filters));
    }
    let names: Vec<String> = (0..missing.len()).map(|number| format!("sample-{number}.raw")).collect();
    for (number, (Missing { tap, .. }, name)) in missing.iter().zip(&names).enumerate() {
        option(&mut arguments, "-map", format!("[t{number}]"));
        arguments.extend(tap.output.iter().map(Into::into));
        arguments.push(format!("file:{name}").into());
    }
    let errand = Errand {
        program: toolbox.ffmpeg(),
        arguments,
        inputs: files.iter().map(PathBuf::as_path).collect(),
        scratch,
        writes: Writes::Scratch,
        wall: PATIENCE,
        stall: PATIENCE,
    };
    let ended = toolbox.start(errand, &mut Collector::new(4096), &CancellationToken::new()).await?;
    if ended.ending != Ending::Exited(0) {
        tracing::info!(ending = ?ended.ending, said = ended.stderr.last_line(), "a file could not be decoded to be compared");
    }
    tracing::debug!(cpu = ?ended.cpu, taps = missing.len(), "samples were taken");
    let keeps = missing.len() == 1 || ended.ending == Ending::Exited(0);
    for (Missing { samples, tap, .. }, name) in missing.iter().zip(names) {
        let path = scratch.join(name);
        if keeps {
            let taken = path.clone();
            let read = tokio::task::spawn_blocking(move || plain::read(&taken, plain::SAMPLE));
            let given = read.await.map_err(std::io::Error::other)?.unwrap_or_default();
            samples.lock().insert((*tap).clone(), given.into());
        }
        crate::run::remove(&path)?;
    }
    Ok(keeps)
}
