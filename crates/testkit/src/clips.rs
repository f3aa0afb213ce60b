//! Tiny media made by the machine's ffmpeg, once per build folder.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A kind of clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Clip {
    /// Two seconds, 320x180 at 25 frames per second, H.264 and AAC in an mp4 with its index first.
    Video,
    /// The same with the index last.
    SlowStart,
    /// The same without audio.
    Silent,
    /// Two seconds of a sine, AAC in an `.m4a`.
    Audio,
    /// A still, 320x180, PNG.
    Picture,
    /// Twelve seconds of noise at 640x360 in H.264: slow to encode, for tests that interrupt.
    Long,
    /// One second, H.264 at a rate so low that no encoding makes it smaller.
    Squeezed,
    /// [`Clip::Video`] with noise in its picture and sound that is whole.
    Noisy,
    /// Two seconds of a box before a green screen, 320x180 at 25 frames per second, with sound.
    Screen,
    /// A playlist, which is not media here.
    Playlist,
    /// Bytes that are nothing.
    Garbage,
}

impl Clip {
    const fn file_name(self) -> &'static str {
        match self {
            Self::Video => "video.mp4",
            Self::SlowStart => "slow_start.mp4",
            Self::Silent => "silent.mp4",
            Self::Audio => "audio.m4a",
            Self::Picture => "picture.png",
            Self::Long => "long.mp4",
            Self::Squeezed => "squeezed.mp4",
            Self::Noisy => "noisy.mp4",
            Self::Screen => "screen.mp4",
            Self::Playlist => "list.m3u8",
            Self::Garbage => "garbage.bin",
        }
    }

    const fn arguments(self) -> &'static str {
        match self {
            Self::Video => {
                "-f lavfi -i testsrc2=s=320x180:r=25:d=2 -f lavfi -i sine=440:d=2 -c:v libx264 -preset ultrafast \
                 -pix_fmt yuv420p -c:a aac -movflags +faststart"
            }
            Self::SlowStart => {
                "-f lavfi -i testsrc2=s=320x180:r=25:d=2 -f lavfi -i sine=440:d=2 -c:v libx264 -preset ultrafast \
                 -pix_fmt yuv420p -c:a aac"
            }
            Self::Silent => {
                "-f lavfi -i testsrc2=s=320x180:r=25:d=2 -c:v libx264 -preset ultrafast -pix_fmt yuv420p -movflags +faststart"
            }
            Self::Audio => "-f lavfi -i sine=440:d=2 -c:a aac",
            Self::Picture => "-f lavfi -i testsrc2=s=320x180:d=1 -frames:v 1",
            Self::Long => {
                "-f lavfi -i testsrc2=s=640x360:r=25:d=12,noise=alls=40:allf=t -c:v libx264 -preset ultrafast -crf 30 \
                 -pix_fmt yuv420p -movflags +faststart"
            }
            Self::Squeezed => {
                "-f lavfi -i color=gray:s=320x180:r=25:d=1 -c:v libx264 -preset veryslow -crf 51 -pix_fmt yuv420p \
                 -movflags +faststart"
            }
            Self::Noisy => "-c copy -bsf:v noise=amount=3 -movflags +faststart",
            Self::Screen => {
                "-f lavfi -i color=0x00b140:s=320x180:r=25:d=2,drawbox=x=110:y=40:w=100:h=100:color=0xd0a080:t=fill \
                 -f lavfi -i sine=440:d=2 -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac -movflags +faststart"
            }
            Self::Playlist | Self::Garbage => "",
        }
    }
}

/// The path of a clip, which is made when it was not yet. Must not be changed.
///
/// # Panics
/// When ffmpeg is not in `PATH` or does not make it.
pub fn clip(kind: Clip) -> PathBuf {
    let folder = folder();
    let path = folder.join(kind.file_name());
    if path.exists() {
        return path;
    }
    // Other test processes may make the same clip: each makes its own and the last one renamed stays.
    let making = tempfile::Builder::new().prefix("making").tempdir_in(&folder).expect("the folder can be written to");
    let made = making.path().join(kind.file_name());
    match kind {
        Clip::Playlist => {
            fs::write(&made, "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n")
                .expect("the folder can be written to")
        }
        Clip::Garbage => fs::write(&made, [0x5a; 4096]).expect("the folder can be written to"),
        Clip::Noisy => {
            let source = clip(Clip::Video);
            let input = [OsStr::new("-i"), source.as_os_str()];
            ffmpeg(input.into_iter().chain(kind.arguments().split_whitespace().map(OsStr::new)), &made);
        }
        _ => ffmpeg(kind.arguments().split_whitespace(), &made),
    }
    fs::rename(&made, &path).expect("both are in the same folder");
    path
}

/// The bytes of a clip.
pub fn bytes(kind: Clip) -> Vec<u8> {
    fs::read(clip(kind)).expect("the clip was made")
}

/// The first `percent` of the bytes of a clip.
pub fn truncated(kind: Clip, percent: usize) -> Vec<u8> {
    let mut bytes = bytes(kind);
    bytes.truncate(bytes.len() * percent / 100);
    bytes
}

/// Runs ffmpeg with these arguments, the output last.
///
/// # Panics
/// When it is not in `PATH` or fails.
#[expect(clippy::disallowed_methods, reason = "tests make their own media")]
pub fn ffmpeg<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>, output: &Path) {
    let mut command = Command::new("ffmpeg");
    command
        .args(["-nostdin", "-hide_banner", "-loglevel", "error", "-y"])
        .args(arguments)
        .arg(output)
        .stdin(Stdio::null());
    let made = command.output().expect("ffmpeg is in PATH");
    assert!(made.status.success(), "ffmpeg failed: {}", String::from_utf8_lossy(&made.stderr));
}

/// When each frame of a file is shown, in seconds.
///
/// # Panics
/// When ffprobe is not in `PATH` or fails.
#[expect(clippy::disallowed_methods, reason = "tests measure what was made outside of what they test")]
pub fn frame_times(path: &Path) -> Vec<f64> {
    let mut command = Command::new("ffprobe");
    let what = "-v error -select_streams v:0 -show_entries packet=pts_time -of csv=p=0";
    command.args(what.split(' ')).arg(path).stdin(Stdio::null());
    let said = command.output().expect("ffprobe is in PATH");
    assert!(said.status.success(), "ffprobe failed: {}", String::from_utf8_lossy(&said.stderr));
    let said = String::from_utf8_lossy(&said.stdout);
    let mut times: Vec<f64> = said.lines().filter_map(|line| line.split(',').next()?.parse().ok()).collect();
    times.sort_by(f64::total_cmp);
    times
}

/// Runs the encoder of HEIC with these arguments; it comes in the same package as the decoder (`scripts/need.sh
/// heif-convert`).
///
/// # Panics
/// When it is not in `PATH` or fails.
#[expect(clippy::disallowed_methods, reason = "tests make their own media")]
pub fn heif_enc<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>, output: &Path) {
    let mut command = Command::new("heif-enc");
    command.args(arguments).arg("-o").arg(output).stdin(Stdio::null());
    let made = command.output().expect("heif-enc is in PATH");
    assert!(made.status.success(), "heif-enc failed: {}", String::from_utf8_lossy(&made.stderr));
}

/// `target/tmp/clips`, beside the test programs, so that `cargo clean` removes it.
pub(crate) fn folder() -> PathBuf {
    let program = std::env::current_exe().expect("a test knows its own path");
    let target =
        program.ancestors().find(|path| path.ends_with("target")).map_or_else(std::env::temp_dir, Path::to_owned);
    let folder = target.join("tmp").join("clips");
    fs::create_dir_all(&folder).expect("the target folder can be written to");
    folder
}
