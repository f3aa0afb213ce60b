//! Where inputs are made: by ffmpeg out of nothing, or byte by byte.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, ensure};

use super::case::{Case, Input};
use crate::settings::Settings;

/// The tools of this installation, and a folder to work in.
#[derive(Debug)]
pub(super) struct Workshop {
    ffmpeg: String,
    ffprobe: String,
    folder: PathBuf,
}

impl Workshop {
    pub(super) fn new(settings: &Settings, folder: &Path) -> anyhow::Result<Self> {
        let (ffmpeg, ffprobe) = (settings.media.ffmpeg.clone(), settings.media.ffprobe.clone());
        let workshop = Self { ffmpeg, ffprobe, folder: folder.join("files") };
        std::fs::create_dir(&workshop.folder)?;
        std::fs::write(workshop.patches(), patches())?;
        Ok(workshop)
    }

    /// A folder of its own in which nothing lies.
    pub(super) fn room(&self) -> anyhow::Result<PathBuf> {
        Ok(tempfile::Builder::new().prefix("case-").tempdir_in(&self.folder)?.keep())
    }

    /// Makes the input of a case.
    pub(super) fn make(&self, case: &Case) -> anyhow::Result<Vec<u8>> {
        match &case.input {
            Input::Ffmpeg(arguments) => self.film(arguments, case.file),
            Input::Built(build) => build(self),
        }
    }

    /// The bytes of a file of that name, made by ffmpeg. `{patches}` among the arguments is the picture of four colours,
    /// `{room}` a folder of its own.
    pub(super) fn film(&self, arguments: &str, file: &str) -> anyhow::Result<Vec<u8>> {
        let room = self.room()?;
        let place = |word: &str| {
            word.replace("{patches}", &self.patches().to_string_lossy()).replace("{room}", &room.to_string_lossy())
        };
        let path = room.join(file);
        let mut words: Vec<_> = arguments.split_whitespace().map(place).collect();
        words.push(path.to_string_lossy().into_owned());
        self.ffmpeg(&words)?;
        std::fs::read(&path).context("ffmpeg wrote no file")
    }

    /// What ffmpeg writes to stdout with these arguments.
    pub(super) fn ffmpeg(&self, arguments: &[impl AsRef<str>]) -> anyhow::Result<Vec<u8>> {
        let quiet = ["-nostdin", "-hide_banner", "-v", "error", "-y"];
        start(&self.ffmpeg, quiet.into_iter().chain(arguments.iter().map(AsRef::as_ref)))
    }

    /// What ffprobe writes to stdout with these arguments.
    pub(super) fn ffprobe(&self, arguments: &[impl AsRef<str>]) -> anyhow::Result<Vec<u8>> {
        start(&self.ffprobe, ["-v", "error"].into_iter().chain(arguments.iter().map(AsRef::as_ref)))
    }

    fn patches(&self) -> PathBuf {
        self.folder.join("patches.ppm")
    }
}

/// Not through `media::run::process`: what is measured must not be measured by the means that made it, and nothing here
/// was sent by anybody.
fn start<'a>(program: &str, arguments: impl Iterator<Item = &'a str>) -> anyhow::Result<Vec<u8>> {
    #[expect(clippy::disallowed_methods, reason = "no input of anybody is touched: all of it was made here")]
    let mut command = std::process::Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    let ended =
        command.output().with_context(|| format!("{program} cannot be started; `reelhook doctor` says more"))?;
    let said = String::from_utf8_lossy(&ended.stderr);
    ensure!(ended.status.success(), "{program} failed: {}", said.trim());
    Ok(ended.stdout)
}

/// A picture of 320 x 240 in four colours: red and green above blue and yellow.
fn patches() -> Vec<u8> {
    let (width, height) = (320, 240);
    let mut picture = format!("P6 {width} {height} 255\n").into_bytes();
    for y in 0..height {
        for x in 0..width {
            picture.extend(match (x < width / 2, y < height / 2) {
                (true, true) => [255, 0, 0],
                (false, true) => [0, 255, 0],
                (true, false) => [0, 0, 255],
                (false, false) => [255, 255, 0],
            });
        }
    }
    picture
}
