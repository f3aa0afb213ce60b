//! The clip of the demo: six seconds of moving test picture with a tone, made by ffmpeg out of nothing.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, ensure};

use crate::settings::Settings;

/// What ffmpeg is told, before the name of the file. A near-lossless picture, so that there is something to compress.
pub(super) const ARGUMENTS: &str = "-nostdin -hide_banner -v error \
    -f lavfi -i testsrc2=size=1280x720:rate=30:duration=6 -f lavfi -i sine=frequency=440:sample_rate=48000:duration=6 \
    -c:v libx264 -preset veryfast -crf 16 -pix_fmt yuv420p -c:a aac -b:a 160k -movflags +faststart";

/// Makes the clip in `folder`.
pub(super) async fn make(settings: &Settings, folder: &Path) -> anyhow::Result<PathBuf> {
    let path = folder.join("clip.mp4");
    // Not through `media::run::process`, which reads inputs: here nothing is read, and nobody else's words are run.
    #[expect(clippy::disallowed_methods, reason = "no input of anybody is touched: ffmpeg makes the picture itself")]
    let mut command = tokio::process::Command::new(&settings.media.ffmpeg);
    command.args(ARGUMENTS.split_whitespace()).arg(&path);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let ended = command.output().await.with_context(|| {
        format!("{} cannot be started; install ffmpeg, or give a clip with --input", settings.media.ffmpeg)
    })?;
    let said = String::from_utf8_lossy(&ended.stderr);
    ensure!(ended.status.success(), "ffmpeg could not generate a clip: {}; give one with --input", said.trim());
    Ok(path)
}
