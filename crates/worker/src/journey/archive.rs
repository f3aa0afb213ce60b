//! Outputs that are archives: each member made smaller by its kind, and kept as it is where that does not work.
//!
//! An archive was taken apart before the job is processing, so that what is not safe is refused before any work. Members
//! fail one by one: the archive that is made has every member of the source under its name, and the receipt says what
//! became of each.

use std::path::{Path, PathBuf};
use std::time::Instant;

use fail::fail_point;
use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::job::OutputSpec;
use reelhook_domain::media::MediaInfo;
use reelhook_domain::recipe::{Auto, Format, IMAGE_FORMATS, Recipe};
use reelhook_media::archive::{self, Content, Contents, Look, MemberKind};
use reelhook_media::heif;
use reelhook_media::image::{self, Wish};
use reelhook_media::{Compared, Damage, MediaError, Progress, Reader, Samples, StepReport, StreamPlan, Watch, plan};
use reelhook_store::{Lease, OutputEnd};
use serde::Serialize;
use serde_json::{Value, json};

use super::fetch::Input;
use super::make::{self, Kept, kept_plan};
use super::route::Route;
use super::trouble::{Trouble, machine_failed};
use super::{Walk, Way, make_folder};
use crate::progress::{ENCODED, Share};

/// What became of a member, as the receipt tells it.
#[derive(Debug, Serialize)]
struct MemberReceipt<'a> {
    name: &'a str,
    /// `folder`, `image`, `video`, `audio` or `other`.
    kind: &'static str,
    /// `compressed`, `kept` or `failed`; the member is as it was unless it was compressed.
    state: &'static str,
    size_bytes_before: u64,
    size_bytes_after: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<JobFailure>,
}

/// What came of the work on a member.
enum Outcome {
    Compressed(PathBuf, u64),
    Kept,
    Failed(JobFailure),
}

/// An archive that was taken apart, with the reader that remembers how it was.
pub(super) struct Unpacked {
    reader: Reader,
    pub(super) contents: Contents,
}

impl Walk<'_> {
    /// The format of the archive at `path`, where it is one.
    pub(super) async fn archive_format(&self, path: &Path) -> Result<Option<Format>, Trouble> {
        let file = path.to_owned();
        let look = move || archive::look(&file).map_err(MediaError::Io);
        Ok(match self.aside(Stage::Probing, look).await? {
            Look::Archive(format) => Some(format),
            Look::Compressed(format) => {
                self.media_work(Stage::Probing, self.reader.holds_tar(path, format)).await?.then_some(format)
            }
            Look::Other => None,
        })
    }

    /// The walk of outputs that are archives.
    pub(super) async fn walk_archives(
        &mut self,
        lease: &Lease,
        routes: &[Route],
        input: &Input,
        scratch: &Path,
    ) -> Result<Way, Trouble> {
        let unpacked = self.unpack(&input.path, scratch).await?;
        self.inputs[0].media = Some(media_of(unpacked.contents.format));
        fail_point!("worker.probed");
        let estimate = self.estimate_archives(&unpacked.contents);
        if self.asks() {
            return Ok(Way::Ask(estimate));
        }
        self.start(lease, Some(estimate)).await?;
        self.fail_strays(routes);
        self.make_archives(&unpacked, routes, input, scratch).await?;
        self.deliver(scratch).await?;
        Ok(Way::End(self.signal(None)))
    }

    /// Takes an archive apart into a folder in `scratch`. Its reader is one of its own, which outlives a crash over a
    /// picture in it.
    pub(super) async fn unpack(&self, input: &Path, scratch: &Path) -> Result<Unpacked, Trouble> {
        let folder = scratch.join("members");
        make_folder(&folder, Stage::Probing).await?;
        let reader = self.means.readers.reader(vec![input.to_owned()], scratch);
        let contents = self.media_work(Stage::Probing, reader.open(input, &folder)).await?;
        Ok(Unpacked { reader, contents })
    }

    /// Makes the archives that no earlier run made; how each ended is noted in `ends`.
    async fn make_archives(
        &mut self,
        unpacked: &Unpacked,
        routes: &[Route],
        input: &Input,
        scratch: &Path,
    ) -> Result<(), Trouble> {
        let job = self.job;
        for place in self.open() {
            let Some(Route::Archive(format, auto)) = routes.get(place) else { continue };
            let spec = &job.outputs[place].spec;
            let folder = scratch.join(format!("archive-{place}"));
            match self.archive(spec, format.unwrap_or(unpacked.contents.format), auto, unpacked, input, &folder).await {
                Ok(end) => self.ends[place] = Some(end),
                Err(Trouble::Failed(failure) | Trouble::Rejected(failure)) => {
                    self.fail(place, Value::Array(Vec::new()), failure);
                }
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }

    async fn archive(
        &self,
        spec: &OutputSpec,
        format: Format,
        auto: &Auto,
        unpacked: &Unpacked,
        input: &Input,
        folder: &Path,
    ) -> Result<OutputEnd, Trouble> {
        let began = Instant::now();
        make_folder(folder, Stage::Encoding).await?;
        let contents = &unpacked.contents;
        let (mut receipts, mut instead) = (Vec::new(), Vec::new());
        let members = contents.members.len();
        for (number, member) in contents.members.iter().enumerate() {
            self.seat.gauge.note(Stage::Encoding, Share::of(number, members).at(0.0));
            self.seat.gauge.note_output(Stage::Encoding, spec.id, ENCODED * number as f64 / members as f64);
            let (receipt, file) = self.member(auto, member, &folder.join(format!("work-{number}"))).await?;
            receipts.push(receipt);
            instead.push(file);
        }
        let packed = folder.join("packed");
        let again = folder.join("again");
        make_folder(&again, Stage::Verifying).await?;
        self.media_work(Stage::Verifying, unpacked.reader.pack(instead, format, &packed, &again)).await?;
        fail_point!("worker.encoded");
        self.seat.gauge.note_output(Stage::Verifying, spec.id, ENCODED);
        fail_point!("worker.verified");

        let failed = |error| Trouble::Failed(machine_failed(Stage::Encoding, &error));
        let made_bytes = tokio::fs::metadata(&packed).await.map_err(failed)?.len();
        let smaller = receipts.iter().filter(|receipt| receipt.state == "compressed").count();
        let reason = format!("{smaller} of {} files made smaller, packed as {format}", receipts.len());
        let line = |stream: &str, action: &str, reason| StreamPlan {
            stream: stream.to_owned(),
            action: action.to_owned(),
            reason,
        };
        let mut plan = vec![line("archive", "encode", reason)];
        if contents.before > 0 {
            let reason =
                format!("the {} bytes before the archive are a program, which is not packed again", contents.before);
            plan.push(line("program", "drop", reason));
        }
        let is_larger = format == contents.format && made_bytes >= input.facts.size_bytes;
        let media = media_of(format);
        let made = make::Made {
            file: if is_larger { Kept::Source(&input.path) } else { Kept::Product(&packed) },
            media: &media,
            extension: format.extension(),
            mime_type: format.mime_type(),
            plan: if is_larger { kept_plan(&plan, made_bytes, input.facts.size_bytes) } else { json!(plan) },
            checks: json!([]),
            parts: &[],
        };
        if is_larger {
            for receipt in receipts.iter_mut().filter(|receipt| receipt.state == "compressed") {
                (receipt.state, receipt.size_bytes_after) = ("kept", receipt.size_bytes_before);
            }
        }
        let report = StepReport { wall: began.elapsed(), ..StepReport::default() };
        let mut end = self.keep(&input.facts, spec, made, report, 1).await?;
        end.receipt["members"] = json!(receipts);
        fail_point!("worker.stored_one");
        Ok(end)
    }

    /// Makes one member smaller, if that is possible. `folder` is one of its own, made where it is needed.
    async fn member<'m>(
        &self,
        auto: &Auto,
        member: &'m Content,
        folder: &Path,
    ) -> Result<(MemberReceipt<'m>, Option<PathBuf>), Trouble> {
        let receipt = |kind, state, before, after, error| MemberReceipt {
            name: &member.name,
            kind,
            state,
            size_bytes_before: before,
            size_bytes_after: after,
            error,
        };
        let MemberKind::File { path, size_bytes } = &member.kind else {
            return Ok((receipt("folder", "kept", 0, 0, None), None));
        };
        make_folder(folder, Stage::Encoding).await?;
        let failed = |error| Trouble::Failed(machine_failed(Stage::Encoding, &error));
        let (kind, outcome) = if image::is_picture(path).map_err(failed)? {
            ("image", self.picture_member(auto, path, folder.join("picture")).await)
        } else if heif::is_heif(path).map_err(failed)? {
            // Whoever unpacks it expects the format that its name says, and that is not written here.
            ("image", Ok(Outcome::Kept))
        } else {
            self.media_member(auto, path, folder).await
        };
        let outcome = match outcome {
            Err(Trouble::Failed(failure) | Trouble::Rejected(failure)) => Outcome::Failed(failure),
            other => other?,
        };
        Ok(match outcome {
            Outcome::Compressed(file, after) if after < *size_bytes => {
                (receipt(kind, "compressed", *size_bytes, after, None), Some(file))
            }
            Outcome::Compressed(..) | Outcome::Kept => (receipt(kind, "kept", *size_bytes, *size_bytes, None), None),
            Outcome::Failed(failure) => (receipt(kind, "failed", *size_bytes, *size_bytes, Some(failure)), None),
        })
    }

    /// A picture stays in its format, as its name may say it.
    async fn picture_member(&self, auto: &Auto, path: &Path, to: PathBuf) -> Result<Outcome, Trouble> {
        let format = self.media_work(Stage::Encoding, self.reader.inspect(path)).await?.format;
        if !IMAGE_FORMATS.iter().any(|written| written.as_str() == format) {
            return Ok(Outcome::Kept);
        }
        let made =
            self.media_work(Stage::Encoding, self.reader.make(path, &Wish::from(&auto.for_picture()), &to)).await?;
        Ok(Outcome::Compressed(to, made.output_bytes))
    }

    /// Video and sound go the way of a job of their own; they too stay in their format.
    async fn media_member(&self, auto: &Auto, path: &Path, folder: &Path) -> (&'static str, Result<Outcome, Trouble>) {
        let Some(toolbox) = &self.means.toolbox else { return ("other", Ok(Outcome::Kept)) };
        let source = match self.unless_interrupted(toolbox.probe(path, folder)).await {
            Ok(Ok(source)) => source,
            // Texts, documents, archives: not ours to change.
            Ok(Err(MediaError::Rejected(_))) => return ("other", Ok(Outcome::Kept)),
            Ok(Err(error)) => return ("other", Err(Trouble::with_media(Stage::Probing, error))),
            Err(trouble) => return ("other", Err(trouble)),
        };
        let kind = if source.info.video.is_some() { "video" } else { "audio" };
        let recipe = Recipe::Auto(auto.clone());
        let plan = plan(&source, &[], &[&recipe], toolbox.capabilities(), Damage::Strict);
        if let Some((_, failure)) = plan.refused.into_iter().next() {
            return (kind, Ok(Outcome::Failed(failure)));
        }
        let Some(step) = plan.steps.first().filter(|step| !step.keeps_source()) else {
            return (kind, Ok(Outcome::Kept));
        };
        let Some(product) = step.products.first() else { return (kind, Ok(Outcome::Kept)) };
        let container = match product.format {
            Format::Aac => "mp4",
            Format::Opus => "ogg",
            other => other.as_str(),
        };
        if container != source.info.format {
            return (kind, Ok(Outcome::Kept));
        }
        let watch = Watch { cancel: &self.seat.cancel, progress: &|_: Progress| {} };
        let work = async {
            toolbox.run(step, path, &[], folder, &source, watch).await?;
            let file = folder.join(&product.file_name);
            let compared = Compared { input: path, source: &source, samples: &Samples::default() };
            let receipt = toolbox.verify_beside(&product.expect, &file, folder, compared).await?;
            Ok(Outcome::Compressed(file, receipt.size_bytes))
        };
        (kind, work.await.map_err(|error| Trouble::with_media(Stage::Encoding, error)))
    }
}

/// What is told of an archive: its format.
pub(super) fn media_of(format: Format) -> MediaInfo {
    MediaInfo {
        format: format.as_str().to_owned(),
        duration_seconds: None,
        bit_rate: None,
        video: None,
        audio: None,
        streams: 0,
        fast_start: None,
    }
}
