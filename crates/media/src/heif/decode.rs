//! One HEIF picture, decoded by libheif's program in the sandbox.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reelhook_domain::failure::{JobFailure, Stage};
use tokio_util::sync::CancellationToken;

use super::{HEIC, PACKAGE, boxes, chunks};
use crate::error::MediaError;
use crate::image::ImageLimits;
use crate::plain;
use crate::run::process::{Collector, Ended, Ending};
use crate::tools::{Errand, Toolbox, Writes};

/// The copy that the tool reads, in its scratch folder.
const COPY: &str = "copy.heic";
/// What it writes. Some versions number the files where they find several pictures.
const WRITTEN: [&str; 2] = ["picture.png", "picture-1.png"];
/// What is read from then on.
const PLAIN: &str = "plain.png";
/// How long a picture may take.
const WALL: Duration = Duration::from_secs(300);

/// The program, and what it says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeifTool {
    pub(crate) program: PathBuf,
    pub(crate) version: String,
}

/// Decodes the primary picture of the HEIF file at `input` into a PNG in `scratch`, upright, and gives its path.
pub(crate) async fn decode(
    toolbox: &Toolbox,
    input: &Path,
    scratch: &Path,
    limits: &ImageLimits,
    cancel: &CancellationToken,
) -> Result<PathBuf, MediaError> {
    let Some(tool) = toolbox.heif() else {
        let message = format!("HEIC needs heif-convert (Debian: {PACKAGE}), which is not installed on this server");
        return Err(rejected("unsupported_media", message));
    };
    let (from, to, limits) = (input.to_owned(), scratch.join(COPY), *limits);
    let most_pixels = limits.pixels;
    let colors = blocking(move || copy(&from, &to, &limits)).await?;
    let errand = Errand {
        program: &tool.program,
        arguments: vec![COPY.into(), WRITTEN[0].into()],
        inputs: Vec::new(),
        scratch,
        writes: Writes::Scratch,
        wall: WALL,
        stall: toolbox.settings().stall,
    };
    let mut said = Collector::new(64 << 10);
    let ended = toolbox.start(errand, &mut said, cancel).await?;
    if ended.ending != Ending::Exited(0) {
        return Err(blame(&ended, toolbox.settings().stall));
    }
    let folder = scratch.to_owned();
    // Four channels of two bytes, filters of lines and all else that a PNG holds.
    let most = most_pixels.saturating_mul(8).saturating_mul(2).saturating_add(1 << 20);
    blocking(move || plain_png(&folder, colors, most)).await
}

/// Copies the file for the tool, unless it is over a limit. Gives what the colours are, where no profile says it.
fn copy(from: &Path, to: &Path, limits: &ImageLimits) -> Result<Option<boxes::Nclx>, MediaError> {
    let mut bytes = crate::image::read(from, limits)?;
    let found = boxes::read(&bytes);
    if found.pixels > limits.pixels {
        let message = format!("the input has {} pixels; the limit is {}", found.pixels, limits.pixels);
        return Err(rejected("too_many_pixels", message));
    }
    found.leave_primary(&mut bytes);
    plain::write(to, bytes)?;
    Ok(found.colors.filter(|_| !found.profile))
}

/// Makes the PNG plain that the tool wrote, and removes what else there is.
fn plain_png(folder: &Path, colors: Option<boxes::Nclx>, most: u64) -> Result<PathBuf, MediaError> {
    let written = WRITTEN.into_iter().map(|name| folder.join(name)).find(|path| path.symlink_metadata().is_ok());
    let png = written.map(|path| plain::read(&path, most)).transpose()?.and_then(|png| chunks::plain(&png, colors));
    let Some(png) = png else { return Err(damaged("it has no image that can be decoded")) };
    for name in [COPY, WRITTEN[0], WRITTEN[1]] {
        match std::fs::remove_file(folder.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    let path = folder.join(PLAIN);
    plain::write(&path, png)?;
    Ok(path)
}

fn blame(ended: &Ended, stall: Duration) -> MediaError {
    tracing::info!(ending = ?ended.ending, said = ended.stderr.last_line(), "heif-convert could not read an image");
    let server = |code, message: String| MediaError::Failed(JobFailure::server(Stage::Probing, code, message));
    match ended.ending {
        Ending::Canceled => MediaError::Canceled,
        Ending::Stalled => {
            let seconds = stall.as_secs_f64();
            server("stalled", format!("the decoder of HEIC made no progress for {seconds} seconds"))
        }
        Ending::TimedOut => {
            server("timed_out", format!("the decoder of HEIC took longer than {} seconds", WALL.as_secs()))
        }
        Ending::OverMemory | Ending::OverProcesses | Ending::OverSize => {
            let message = "the decoder of HEIC needed more memory, threads or disk than the server allows";
            MediaError::Failed(JobFailure::request(Stage::Probing, "over_limit", message))
        }
        // It has no exit code for a reason; what ends a decoder is nearly always what it decodes.
        Ending::Exited(_) | Ending::Killed(_) => damaged("it cannot be decoded"),
    }
}

fn damaged(why: &str) -> MediaError {
    let message = format!("the input cannot be read as {HEIC}: {why}");
    MediaError::Failed(JobFailure::input(Stage::Probing, "input_damaged", message))
}

fn rejected(code: &str, message: String) -> MediaError {
    MediaError::Rejected(JobFailure::input(Stage::Probing, code, message))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, MediaError> + Send + 'static,
) -> Result<T, MediaError> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
