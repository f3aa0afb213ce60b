//! The clips of the demo, made by ffmpeg out of nothing: six seconds of moving test picture with a tone, or a drawn person who
//! moves before a drawn room.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use reelhook_media::matte::drawn::{self, Drawing};

use crate::settings::Settings;

/// What ffmpeg is told, before the name of the file. A near-lossless picture, so that there is something to compress.
pub(in crate::commands) const ARGUMENTS: &str = "-nostdin -hide_banner -v error \
    -f lavfi -i testsrc2=size=1280x720:rate=30:duration=6 -f lavfi -i sine=frequency=440:sample_rate=48000:duration=6 \
    -c:v libx264 -preset veryfast -crf 16 -pix_fmt yuv420p -c:a aac -b:a 160k -movflags +faststart";

/// A camera that is held by hand, a person who sways, the noise of a sensor.
const PERSON: &str = "[0]loop=-1:1,crop=1280:720:40+30*sin(t*0.9):30+12*sin(t*1.7)[room];[1]loop=-1:1[person];\
    [room][person]overlay=(W-w)/2+150*sin(t*1.1):H-h+12+10*sin(t*2.3),noise=alls=7:allf=t";
const PERSON_ENCODED: &str = "-c:v libx264 -preset veryfast -crf 20 -pix_fmt yuv420p -movflags +faststart";

/// Makes the clip of the test picture in `folder`.
pub(in crate::commands) async fn test_picture(settings: &Settings, folder: &Path) -> anyhow::Result<PathBuf> {
    let path = folder.join("clip.mp4");
    let mut words: Vec<OsString> = ARGUMENTS.split_whitespace().map(Into::into).collect();
    words.push(path.clone().into());
    ffmpeg(settings, words).await?;
    Ok(path)
}

/// Makes a clip of the person in `folder`, of 25 frames a second.
pub(in crate::commands) async fn person(settings: &Settings, folder: &Path, seconds: usize) -> anyhow::Result<PathBuf> {
    let path = folder.join("person.mp4");
    let drawings = tokio::task::spawn_blocking(|| [drawn::background(1360, 780), drawn::person(140.0)]).await?;
    let mut words: Vec<OsString> = ["-nostdin", "-hide_banner", "-v", "error"].map(Into::into).into();
    for (name, Drawing { width, height, rgba }) in ["room", "figure"].into_iter().zip(drawings) {
        let raw = folder.join(name);
        tokio::fs::write(&raw, rgba).await?;
        let size = format!("{width}x{height}");
        words.extend(["-f", "rawvideo", "-pix_fmt", "rgba", "-r", "25", "-s", &size, "-i"].map(Into::into));
        words.push(raw.into());
    }
    words.extend(["-filter_complex".into(), PERSON.into(), "-t".into(), seconds.to_string().into()]);
    words.extend(PERSON_ENCODED.split_whitespace().map(Into::into));
    words.push(path.clone().into());
    ffmpeg(settings, words).await?;
    Ok(path)
}

/// Runs ffmpeg, without the sandbox of `media::run::process`: input and arguments are the demo's own.
#[expect(clippy::disallowed_methods, reason = "ffmpeg makes pictures here and reads what the demo itself made")]
pub(in crate::commands) async fn ffmpeg(settings: &Settings, words: Vec<OsString>) -> anyhow::Result<()> {
    let mut command = tokio::process::Command::new(&settings.media.ffmpeg);
    command.args(words);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let ended = command.output().await.with_context(|| {
        format!("{} cannot be started; install ffmpeg, or give a clip with --input", settings.media.ffmpeg)
    })?;
    let said = String::from_utf8_lossy(&ended.stderr);
    ensure!(ended.status.success(), "ffmpeg could not make a picture: {}", said.trim());
    Ok(())
}
