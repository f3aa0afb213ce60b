//! How pictures reach whoever reads them: HEIF is decoded first, and tools are never given a picture of a stranger but
//! what stands in for it.

use std::path::Path;

use reelhook_domain::failure::Stage;
use reelhook_domain::media::MediaInfo;
use reelhook_media::image::{Origin, OriginFormat};
use reelhook_media::{MediaError, Source, heif};

use super::fetch::{Developed, Input};
use super::route::Kind;
use super::trouble::{Trouble, ffmpeg_missing};
use super::{Walk, make_folder};

impl Walk<'_> {
    /// Decodes the inputs that come in a format for which we have no decoder of our own.
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
            make_folder(&folder, Stage::Probing).await?;
            let (limits, cancel) = (self.means.readers.image_limits(), &self.seat.cancel);
            let decoding = toolbox.decode_heif(&input.path, &folder, limits, cancel);
            let decoded = self.unless_interrupted(decoding).await?;
            let path = decoded.map_err(|error| Trouble::with_media(Stage::Probing, error))?;
            let origin = Origin { format: OriginFormat::Heic, size_bytes: input.facts.size_bytes };
            input.developed = Some(Developed { path, origin });
        }
        Ok(())
    }

    /// Whether the first input is a picture that its reader makes.
    pub(super) async fn is_picture(&self, inputs: &[Input]) -> Result<bool, Trouble> {
        let Some(first) = inputs.first() else { return Ok(false) };
        let path = first.path.clone();
        let kind = self.aside(Stage::Probing, move || Kind::of(&path).map_err(MediaError::Io)).await?;
        Ok(kind == Kind::Picture)
    }

    /// Writes what stands in for a picture where tools read it to `file`, and gives what the picture is; `None` for what
    /// the tool that probes it next tells itself.
    pub(super) async fn stand_in(&self, input: &mut Input, file: &Path) -> Result<Option<MediaInfo>, Trouble> {
        let (original, to) = (input.path.clone(), file.to_owned());
        let look = move || {
            let kind = Kind::of(&original)?;
            if kind == Kind::Sequence {
                heif::without_items(&original, &to)?;
            }
            Ok(kind)
        };
        let kind = self.aside(Stage::Probing, look).await?;
        let known = match kind {
            Kind::Picture => self.media_work(Stage::Probing, self.reader.stand_in(input.as_picture(), file)).await?,
            Kind::Sequence | Kind::Other => None,
        };
        let stands = known.is_some() || kind == Kind::Sequence;
        input.stand_in = stands.then(|| file.to_owned());
        Ok(known.map(|known| told(known, input)))
    }
}

/// What is told of a picture: of the one that came, not of what was made of it to read it.
pub(super) fn told(mut known: MediaInfo, input: &Input) -> MediaInfo {
    let Some(origin) = input.origin() else { return known };
    known.format = origin.format.word().to_owned();
    if let Some(video) = &mut known.video {
        "hevc".clone_into(&mut video.codec);
    }
    known
}

/// What is told of an input that tools probed: of its length too, where only its picture tells that.
pub(super) fn timed(mut info: MediaInfo) -> MediaInfo {
    let picture = info.video.as_ref().and_then(|video| video.duration_seconds);
    info.duration_seconds = info.duration_seconds.or(picture);
    info
}

/// Makes of the probe of what stands in for a picture the source that plans speak of, and gives what is told of it.
pub(super) fn stand_for(known: MediaInfo, source: &mut Source, size_bytes: u64) -> MediaInfo {
    source.size_bytes = size_bytes;
    source.info.format.clone_from(&known.format);
    // The tool does not tell how long an animation is; we wrote each of its frames and know.
    if let Some(seconds) = known.duration_seconds {
        source.info.duration_seconds = Some(seconds);
        source.measured = true;
        if let Some(video) = &mut source.info.video {
            video.duration_seconds = Some(seconds);
            video.frames = known.video.as_ref().and_then(|video| video.frames);
            video.frame_rate = known.video.as_ref().and_then(|video| video.frame_rate).or(video.frame_rate);
        }
    }
    known
}
