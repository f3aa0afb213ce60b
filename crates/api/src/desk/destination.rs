//! Where outputs of a job are written: its origin, and a path in it for each.

use std::collections::BTreeSet;

use reelhook_dialects::{BelievedPlace, DestinationPaths, DestinationRequest, xora};
use reelhook_domain::form::Violation;
use reelhook_domain::id::OriginId;
use reelhook_domain::job::{Addresses, Destination, Dialect, Job};
use reelhook_domain::object_path::{ObjectPath, PathFacts, PathTemplate};
use reelhook_domain::origin::{Origin, OriginStatus, Place};
use reelhook_domain::recipe::{Format, Recipe, Size};
use reelhook_store::StoreError;

use super::{Caller, Desk};
use crate::problem::Problem;

/// What an origin is named for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Reading an input.
    Read,
    /// Writing outputs.
    Write,
}

impl Desk {
    /// An origin that may be used so, or what is wrong with it.
    pub(super) async fn usable_origin(
        &self,
        caller: Caller,
        id: OriginId,
        usage: Use,
        path: &str,
    ) -> Result<Result<Origin, Violation>, Problem> {
        let refuse = |message: &str| {
            Ok(Err(Violation { path: path.to_owned(), value: id.to_string().into(), message: message.to_owned() }))
        };
        match self.store().origin(caller.account, id).await {
            Err(StoreError::NotFound) => refuse("is not an origin of this account"),
            Err(error) => Err(error.into()),
            Ok(origin) if origin.status == OriginStatus::Archived => refuse("is an origin that was archived"),
            Ok(origin) if usage == Use::Read && !origin.permissions.read => {
                refuse("is an origin without the permission to read")
            }
            Ok(origin) if usage == Use::Write && !origin.permissions.write => {
                refuse("is an origin without the permission to write")
            }
            Ok(origin) => Ok(Ok(origin)),
        }
    }

    /// The origin of a destination, or what is wrong with what was said of it.
    pub(super) async fn destination_origin(
        &self,
        caller: Caller,
        asked: &DestinationRequest,
    ) -> Result<Result<Origin, Violation>, Problem> {
        let usable = self.usable_origin(caller, asked.origin, Use::Write, "destination.origin").await?;
        Ok(usable.and_then(|origin| is_there(&origin.place, &asked.believed).map(|()| origin)))
    }

    /// The path of each output of a new job. Two that would be the same are told apart by a number.
    pub(super) fn destination(
        &self,
        origin: &Origin,
        request: &DestinationRequest,
        job: &Job,
    ) -> Result<Destination, Problem> {
        let (prefix, each) = match &request.paths {
            DestinationPaths::Templates { prefix, each } => (prefix.as_ref(), each),
            DestinationPaths::Folder(folder) => {
                let folder = match folder.as_str().trim_end_matches('/') {
                    "" => String::new(),
                    folder => format!("{folder}/"),
                };
                let paths = vec![folder; job.outputs.len()];
                return Ok(Destination { origin: origin.id, paths, open_ended: Vec::new(), addresses: Addresses::Web });
            }
        };
        let job_id = match job.spec.dialect {
            Dialect::Xora => xora::spell(job.id),
            _ => job.id.to_string(),
        };
        let mut taken = BTreeSet::new();
        let (mut paths, mut open_ended) = (Vec::with_capacity(job.outputs.len()), Vec::new());
        for (place, output) in job.outputs.iter().enumerate() {
            let output_id = output.spec.id.to_string();
            let (codec, size) = picture(&output.spec.recipe);
            let (codec, resolution) = (codec.as_deref(), size.as_deref());
            let facts = PathFacts { at: job.created_at, job_id: &job_id, output_id: &output_id, codec, resolution };
            let template = each.get(place).and_then(Option::as_ref).unwrap_or(&origin.path_template);
            let extension = extension(&output.spec.recipe);
            if extension.is_empty() && !is_package(&output.spec.recipe) {
                open_ended.push(place);
            }
            let path = joined(prefix, template, &facts, extension, origin)
                .map_err(|message| Problem::violation("destination.prefix", template.as_str().into(), message))?;
            let mut told_apart = path.clone();
            let mut number = 2;
            while !taken.insert(told_apart.clone()) {
                told_apart = numbered(&path, extension, number);
                number += 1;
            }
            paths.push(told_apart);
        }
        Ok(Destination { origin: origin.id, paths, open_ended, addresses: Addresses::Bucket })
    }
}

/// Whether an origin is where its caller takes it to be: who names the wrong one would look for the file in vain.
fn is_there(place: &Place, believed: &BelievedPlace) -> Result<(), Violation> {
    let region = match place {
        Place::S3 { region, .. } => Some(region.as_str()),
        Place::Http { .. } | Place::R2 { .. } | Place::Gcs { .. } => None,
    };
    for (path, believed, is) in
        [("destination.bucket", &believed.bucket, place.bucket()), ("destination.region", &believed.region, region)]
    {
        if let (Some(believed), Some(is)) = (believed, is.filter(|is| believed.as_deref() != Some(is))) {
            let message = format!("must be {is}, the location of the origin, or be omitted");
            return Err(Violation { path: path.to_owned(), value: believed.as_str().into(), message });
        }
    }
    Ok(())
}

fn joined(
    prefix: Option<&PathTemplate>,
    template: &PathTemplate,
    facts: &PathFacts<'_>,
    extension: &str,
    origin: &Origin,
) -> Result<String, String> {
    let path = template.path(facts, extension).map_err(|error| error.to_string())?;
    let path = match prefix {
        None => path,
        Some(prefix) => {
            let prefix = prefix.path(facts, "").map_err(|error| error.to_string())?;
            format!("{prefix}/{path}").parse::<ObjectPath>().map_err(|error| error.to_string())?
        }
    };
    origin.whole_path(&path).map_err(|error| error.to_string())?;
    Ok(path.to_string())
}

fn numbered(path: &str, extension: &str, number: u32) -> String {
    match path.strip_suffix(&format!(".{extension}")) {
        Some(stem) if !extension.is_empty() => format!("{stem}-{number}.{extension}"),
        _ => format!("{path}-{number}"),
    }
}

/// The ending of an output's file; none for a package (a storyboard and a waveform are ones), whose path is a folder, and where only the source tells.
fn extension(recipe: &Recipe) -> &'static str {
    match recipe {
        Recipe::Compress(compress) => compress.format.extension(),
        Recipe::Convert(convert) => convert.format.extension(),
        Recipe::Resize(resize) => resize.format.extension(),
        Recipe::Trim(trim) => trim.format.extension(),
        Recipe::Thumbnail(thumbnail) => thumbnail.format.extension(),
        Recipe::ExtractAudio(audio) => audio.format.map_or("", Format::extension),
        Recipe::WebReady(_) | Recipe::Proxy(_) => Format::Mp4.extension(),
        Recipe::Concat(concat) => concat.format.extension(),
        Recipe::NormalizeAudio(wish) => wish.format.map_or("", Format::extension),
        Recipe::Preview(preview) => preview.format.extension(),
        Recipe::Watermark(watermark) => watermark.format.map_or("", Format::extension),
        // A picture of a sound has its peaks beside it, and is a package.
        Recipe::Waveform(waveform) if waveform.format == Format::Json => waveform.format.extension(),
        Recipe::Ffmpeg(command) => command.format.extension(),
        _ => "",
    }
}

/// Whether an output is a file with those that it names beside it.
const fn is_package(recipe: &Recipe) -> bool {
    matches!(recipe, Recipe::Package(_) | Recipe::Sprite(_) | Recipe::Waveform(_))
}

/// Codec and size in the words of paths, such as `h264` and `1080p`.
fn picture(recipe: &Recipe) -> (Option<String>, Option<String>) {
    let name = |size: &Size| match (size.resolution, size.width, size.height) {
        (Some(resolution), ..) => Some(resolution.to_string()),
        (None, Some(width), Some(height)) => Some(format!("{width}x{height}")),
        (None, ..) => None,
    };
    match recipe {
        Recipe::Compress(compress) => (Some(compress.codec.to_string()), None),
        Recipe::Convert(convert) => (convert.codec.map(|codec| codec.to_string()), name(&convert.size)),
        Recipe::Resize(resize) => (Some(resize.codec.to_string()), name(&resize.size)),
        Recipe::Watermark(watermark) => (watermark.codec.map(|codec| codec.to_string()), None),
        Recipe::Package(package) => (package.video.first().map(|first| first.codec.to_string()), None),
        _ => (None, None),
    }
}
