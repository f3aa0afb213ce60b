//! Outputs that are pictures of a picture (`image`, `thumbnail`, `auto`): made by the job's reader, one after another; no
//! tool is started for them.

use std::path::Path;
use std::time::Duration;

use fail::fail_point;
use reelhook_domain::failure::Stage;
use reelhook_domain::job::OutputSpec;
use reelhook_domain::media::MediaInfo;
use reelhook_domain::recipe::{Image, Thumbnail};
use reelhook_media::image::{Made, Wish};
use reelhook_media::{MediaError, StepReport, StreamPlan};
use reelhook_store::{Lease, OutputEnd};
use serde_json::{Value, json};

use super::fetch::Input;
use super::make::{self, Kept, kept_as, kept_plan};
use super::route::Route;
use super::trouble::{Trouble, machine_failed};
use super::{Walk, Way, still};
use crate::progress::ENCODED;

/// What becomes of a result that is not smaller than its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WhenLarger {
    /// It is taken where it is another format or size, as was asked.
    Taken,
    /// The source is kept.
    SourceKept,
}

impl Walk<'_> {
    /// The walk of outputs that are pictures made by the job's reader.
    pub(super) async fn walk_pictures(
        &mut self,
        lease: &Lease,
        routes: &[Route],
        inputs: &[Input],
        scratch: &Path,
    ) -> Result<Way, Trouble> {
        self.inspect_all(inputs).await?;
        fail_point!("worker.probed");
        let estimate = self.estimate_pictures();
        if self.asks() {
            return Ok(Way::Ask(estimate));
        }
        // Nobody has to wait for the note that it was begun: somebody may be waiting for the picture.
        self.check_credits().await?;
        self.fail_strays(routes);
        let starting = Self::note_start(self.means, lease, self.inputs.clone(), Some(estimate));
        if let Some(first) = inputs.first() {
            let (started, made) = tokio::join!(starting, self.make_pictures(routes, first, scratch));
            started?;
            made?;
        }
        self.deliver(scratch).await?;
        Ok(Way::End(self.signal(None)))
    }

    /// Looks at the pictures that are not known yet.
    pub(super) async fn inspect_all(&mut self, inputs: &[Input]) -> Result<(), Trouble> {
        for (number, input) in inputs.iter().enumerate() {
            if self.inputs[number].media.is_none() {
                self.inputs[number].media = Some(self.inspect(input).await?);
            }
        }
        Ok(())
    }

    /// Looks at the header of a picture.
    async fn inspect(&self, input: &Input) -> Result<MediaInfo, Trouble> {
        let known = self.media_work(Stage::Probing, self.reader.inspect(input.as_picture())).await?;
        Ok(still::told(known, input))
    }

    /// Makes the pictures that no earlier run made; how each ended is noted in `ends`.
    pub(super) async fn make_pictures(
        &mut self,
        routes: &[Route],
        input: &Input,
        scratch: &Path,
    ) -> Result<(), Trouble> {
        let job = self.job;
        for place in self.open().collect::<Vec<_>>() {
            let spec = &job.outputs[place].spec;
            let file = scratch.join(format!("picture-{place}"));
            let ended = match routes.get(place) {
                Some(Route::Picture(recipe)) => self.picture(spec, recipe, WhenLarger::Taken, input, &file).await,
                Some(Route::AutoPicture(recipe)) => {
                    self.picture(spec, recipe, WhenLarger::SourceKept, input, &file).await
                }
                Some(Route::Thumbnail(recipe)) => self.thumbnail(spec, recipe, input, &file).await,
                Some(Route::Tools | Route::Archive(..) | Route::Nowhere(_)) | None => continue,
            };
            match ended {
                Ok(end) => {
                    let missing = end.receipt["missing"].as_f64().unwrap_or(0.0);
                    self.missing_share = self.missing_share.max(missing);
                    self.ends[place] = Some(end);
                }
                Err(Trouble::Failed(failure) | Trouble::Rejected(failure)) => {
                    self.fail(place, Value::Array(Vec::new()), failure);
                }
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }

    async fn picture(
        &self,
        spec: &OutputSpec,
        recipe: &Image,
        when_larger: WhenLarger,
        input: &Input,
        file: &Path,
    ) -> Result<OutputEnd, Trouble> {
        self.seat.gauge.note_output(Stage::Encoding, spec.id, 0.0);
        let wish = Wish { origin: input.origin(), damage: self.damage(), ..Wish::from(recipe) };
        let made = self.media_work(Stage::Encoding, self.reader.make(input.as_picture(), &wish, file)).await?;
        self.keep_picture(spec, made, when_larger, input, file).await
    }

    async fn thumbnail(
        &self,
        spec: &OutputSpec,
        recipe: &Thumbnail,
        input: &Input,
        file: &Path,
    ) -> Result<OutputEnd, Trouble> {
        self.seat.gauge.note_output(Stage::Encoding, spec.id, 0.0);
        let making = self.reader.thumbnail(input.as_picture(), recipe, input.origin(), file);
        let made = self.media_work(Stage::Encoding, making).await?;
        self.keep_picture(spec, made, WhenLarger::Taken, input, file).await
    }

    /// Keeps a picture that was made and measured, or its source where that is smaller and as good.
    async fn keep_picture(
        &self,
        spec: &OutputSpec,
        made: Made,
        when_larger: WhenLarger,
        input: &Input,
        file: &Path,
    ) -> Result<OutputEnd, Trouble> {
        let Made {
            format,
            info,
            plan,
            checks,
            decoding,
            encoding,
            wall,
            input_bytes,
            output_bytes,
            kept,
            lost,
            missing,
        } = made;
        fail_point!("worker.encoded");
        self.seat.gauge.note_output(Stage::Verifying, spec.id, ENCODED);
        fail_point!("worker.verified");
        let (extension, mime_type) = (format.format().extension(), format.format().mime_type());
        let (media, parts) = (&info, &[][..]);
        let mut made = make::Made {
            file: Kept::Product(file),
            media,
            extension,
            mime_type,
            plan: json!(plan),
            checks: json!(checks),
            parts,
        };
        let source = self.inputs.first().and_then(|input| input.media.as_ref());
        if let (WhenLarger::SourceKept, Some(source)) = (when_larger, source)
            && (output_bytes >= input_bytes && !kept || lost.is_some())
        {
            made.plan = match lost {
                Some(lost) => kept_whole(&plan, &lost),
                None => kept_plan(&plan, output_bytes, input_bytes),
            };
            (made.extension, made.mime_type) = kept_as(source);
            (made.file, made.media) = (Kept::Source(&input.path), source);
        }
        let report = StepReport { wall, cpu: decoding + encoding, ..StepReport::default() };
        let mut end = self.keep(&input.facts, spec, made, report, 1).await?;
        // What is left of the time that a caller waited is ours.
        end.receipt["decode_ms"] = json!(tenths(decoding));
        end.receipt["encode_ms"] = json!(tenths(encoding));
        if let Some(missing) = missing {
            end.receipt["missing"] = json!((missing * 1000.0).ceil() / 1000.0);
        }
        fail_point!("worker.stored_one");
        Ok(end)
    }

    /// Waits for a reader's work unless it is not wanted any more; then the reader is killed.
    pub(super) async fn media_work<T>(
        &self,
        stage: Stage,
        work: impl Future<Output = Result<T, MediaError>>,
    ) -> Result<T, Trouble> {
        self.unless_interrupted(work).await?.map_err(|error| Trouble::with_media(stage, error))
    }

    /// Does `work` where blocking is allowed, unless it is not wanted any more: then it ends by itself, at the next
    /// place where it looks.
    pub(super) async fn aside<T: Send + 'static>(
        &self,
        stage: Stage,
        work: impl FnOnce() -> Result<T, MediaError> + Send + 'static,
    ) -> Result<T, Trouble> {
        let done = self.unless_interrupted(tokio::task::spawn_blocking(work)).await?;
        let done = done.map_err(|error| Trouble::Failed(machine_failed(stage, &std::io::Error::other(error))))?;
        done.map_err(|error| Trouble::with_media(stage, error))
    }
}

/// The plan of a picture that would hold only a part of its source.
fn kept_whole(streams: &[StreamPlan], lost: &str) -> Value {
    let reason = format!("the result would hold only {lost}; the source is kept");
    let kept = |stream: &StreamPlan| StreamPlan { action: "keep".to_owned(), reason: reason.clone(), ..stream.clone() };
    json!(streams.iter().map(kept).collect::<Vec<_>>())
}

/// Milliseconds to one place: a small picture takes few of them.
fn tenths(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}
