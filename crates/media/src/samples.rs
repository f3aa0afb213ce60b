//! What is decoded of a file to compare it: small frames, parts of a sound.
//!
//! Starting ffmpeg costs more than decoding the little that is compared. So one run takes all that is known to be wanted
//! of a file ([`Samples::take`]), and what was taken is kept: most products of a job are compared with the same frames and
//! the same parts of the sound of their source.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::Path;
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
        let missing: Vec<&Tap> = {
            let known = self.lock();
            taps.iter().filter(|tap| !known.contains_key(tap)).collect()
        };
        if !missing.is_empty() {
            let given = match run(toolbox, file, &missing, scratch).await? {
                Some(given) => given,
                // One that cannot be decoded keeps nothing from the others.
                None => {
                    let mut given = Vec::with_capacity(missing.len());
                    for tap in &missing {
                        let alone = run(toolbox, file, &[tap], scratch).await?;
                        given.push(alone.and_then(|mut given| given.pop()).unwrap_or_default());
                    }
                    given
                }
            };
            self.lock().extend(missing.into_iter().cloned().zip(given));
        }
        let known = self.lock();
        Ok(taps.iter().map(|tap| known.get(tap).cloned().unwrap_or_default()).collect())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Tap, Arc<[u8]>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One run of ffmpeg for all of them. Each reads the file by itself, so that none decodes more for another one's sake.
/// `None` where several were asked for and ffmpeg complained.
async fn run(
    toolbox: &Toolbox,
    file: &Path,
    taps: &[&Tap],
    scratch: &Path,
) -> Result<Option<Vec<Arc<[u8]>>>, MediaError> {
    let file = std::path::absolute(file)?;
    let mut arguments: Vec<OsString> =
        ["-nostdin", "-hide_banner", "-nostats", "-loglevel", "error", "-y"].map(Into::into).into();
    for tap in taps {
        arguments.extend(tap.input.iter().cloned());
        option(&mut arguments, "-protocol_whitelist", "file,pipe");
        let mut operand = OsString::from("file:");
        operand.push(&file);
        option(&mut arguments, "-i", operand);
    }
    for (number, tap) in taps.iter().enumerate() {
        option(&mut arguments, "-filter_complex", format!("[{number}:{}]{}[t{number}]", tap.stream, tap.filters));
    }
    let names: Vec<String> = (0..taps.len()).map(|number| format!("sample-{number}.raw")).collect();
    for (number, (tap, name)) in taps.iter().zip(&names).enumerate() {
        option(&mut arguments, "-map", format!("[t{number}]"));
        arguments.extend(tap.output.iter().map(Into::into));
        arguments.push(format!("file:{name}").into());
    }
    let errand = Errand {
        program: toolbox.ffmpeg(),
        arguments,
        inputs: vec![&file],
        scratch,
        writes: Writes::Scratch,
        wall: PATIENCE,
        stall: PATIENCE,
    };
    let ended = toolbox.start(errand, &mut Collector::new(4096), &CancellationToken::new()).await?;
    if ended.ending != Ending::Exited(0) {
        tracing::info!(ending = ?ended.ending, said = ended.stderr.last_line(), "a file could not be decoded to be compared");
    }
    tracing::debug!(cpu = ?ended.cpu, taps = taps.len(), "samples were taken");
    let mut given = Vec::with_capacity(names.len());
    for name in names {
        let path = scratch.join(name);
        let taken = path.clone();
        let read = tokio::task::spawn_blocking(move || plain::read(&taken, plain::SAMPLE));
        given.push(read.await.map_err(std::io::Error::other)?.unwrap_or_default().into());
        crate::run::remove(&path)?;
    }
    Ok((taps.len() == 1 || ended.ending == Ending::Exited(0)).then_some(given))
}
