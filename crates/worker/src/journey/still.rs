//! How pictures reach whoever reads them: HEIF is decoded first, and tools are never given a picture of a stranger but
//! what stands in for it.

use std::path::Path;

use reelhook_domain::failure::Stage;
use reelhook_domain::media::MediaInfo;
use reelhook_media::image::{self, Origin};
use reelhook_media::{MediaError, Source, heif};

use super::Walk;
use super::fetch::{Developed, Input};
use super::route::Kind;
use super::trouble::{Trouble, ffmpeg_missing, machine_failed};

/// The word for a format that tools read as well as we do, frames, times and all.
const READ_BY_TOOLS: &str = "gif";

impl Walk<'_> {
    /// Decodes the inputs that come in a format for which there is no decoder in process.
    pub(super) async fn develop(&mut self, inputs: &mut [Input], scratch: &Path) -> Result<(), Trouble> {
        for (number, input) in inputs.iter_mut().enumerate() {
            let path = input.path.clone();
            let look = move || heif::is_heif(&path).map_err(MediaError::Io);
            if !self.aside(Stage::Probing, look).await? {
                continue;
            }
            let Some(toolbox) = &self.means.toolbox else {
                return Err(Trouble::Failed(ffmpeg_missing(Stage::Probing)));
            };
            let folder = scratch.join(format!("heif-{number}"));
            let created = tokio::fs::create_dir(&folder).await;
            created.map_err(|error| Trouble::Failed(machine_failed(Stage::Probing, &error)))?;
            let (limits, cancel) = (&self.means.settings.image, &self.seat.cancel);
            let decoding = toolbox.decode_heif(&input.path, &folder, limits, cancel);
            let decoded = self.unless_interrupted(decoding).await?;
            let path = decoded.map_err(|error| Trouble::with_media(Stage::Probing, error))?;
            let origin = Origin { format: heif::HEIC, size_bytes: input.facts.size_bytes };
            input.developed = Some(Developed { path, origin });
        }
        Ok(())
    }

    /// Whether the first input is a picture that is made in process.
    pub(super) async fn is_picture(&self, inputs: &[Input]) -> Result<bool, Trouble> {
        let Some(first) = inputs.first() else { return Ok(false) };
        let path = first.path.clone();
        let kind = self.aside(Stage::Probing, move || Kind::of(&path).map_err(MediaError::Io)).await?;
        Ok(kind == Kind::Picture)
    }

    /// Writes what stands in for a picture where tools read it to `file`, and gives what the picture is; `None` for what
    /// tools read themselves.
    pub(super) async fn stand_in(&self, input: &mut Input, file: &Path) -> Result<Option<MediaInfo>, Trouble> {
        let (original, path, to) = (input.path.clone(), input.as_picture().to_owned(), file.to_owned());
        let (limits, cancel) = (self.means.settings.image.clone(), self.seat.cancel.clone());
        let work = move || {
            if Kind::of(&original)? != Kind::Picture || image::format(&path)? == READ_BY_TOOLS {
                return Ok(None);
            }
            image::stand_in(&path, &to, &limits, &cancel).map(|found| Some(found.info()))
        };
        let Some(known) = self.aside(Stage::Probing, work).await? else { return Ok(None) };
        input.stand_in = Some(file.to_owned());
        Ok(Some(told(known, input)))
    }
}

/// What is told of a picture: of the one that came, not of what was made of it to read it.
pub(super) fn told(mut known: MediaInfo, input: &Input) -> MediaInfo {
    let Some(origin) = input.origin() else { return known };
    known.format = origin.format.to_owned();
    if let Some(video) = &mut known.video {
        "hevc".clone_into(&mut video.codec);
    }
    known
}

/// Makes of the probe of what stands in for a picture the source that plans speak of, and gives what is told of it.
pub(super) fn stand_for(mut known: MediaInfo, source: &mut Source, size_bytes: u64) -> MediaInfo {
    source.size_bytes = size_bytes;
    source.info.format.clone_from(&known.format);
    // Not every header tells how long its animation is.
    known.duration_seconds = known.duration_seconds.or(source.info.duration_seconds);
    if let (Some(known), Some(probed)) = (&mut known.video, &source.info.video) {
        known.frame_rate = known.frame_rate.or(probed.frame_rate);
    }
    known
}
