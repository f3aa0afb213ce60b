//! Making the outputs: plan, run each step, verify and keep each product.
//!
//! Outputs fail one by one. Where a step makes several products and fails, each is made again alone, so that one bad
//! wish does not cost the others. Trouble that is not an output's own (the disk is full, the tool is gone) also ends only
//! the outputs that met it; what was made before stays.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fail::fail_point;
use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::job::{FilePart, InputFacts, OutputFile, OutputSpec, OutputState};
use reelhook_domain::media::MediaInfo;
use reelhook_domain::recipe::{Format, Recipe};
use reelhook_files::{Key, Stored};
use reelhook_media::heif::HEIC;
use reelhook_media::{
    Compared, Expectation, Further, MadePart, MediaError, Product, Progress, Receipt, Samples, Source, Step,
    StepReport, StreamPlan, Toolbox, Watch, plain, plan,
};
use reelhook_store::OutputEnd;
use serde_json::{Value, json};

use super::fetch::Input;
use super::route::Route;
use super::trouble::{OUT_OF_DISK, Trouble, machine_failed};
use super::{Walk, make_folder};
use crate::progress::{ENCODED, FETCHED, Share};

/// What the steps of one job work on.
struct Bench<'a> {
    toolbox: &'a Toolbox,
    /// The first input, which most recipes read alone, as tools are given it.
    input: &'a Path,
    /// The same as it came, which is what is kept of it.
    original: &'a Path,
    /// What is told of it.
    media: &'a MediaInfo,
    facts: &'a InputFacts,
    source: &'a Source,
    /// What products are compared with.
    samples: &'a Samples,
    /// The others.
    further: &'a [Further],
    scratch: &'a Path,
    /// Which output of the job each output of the plan is.
    places: &'a [usize],
}

/// Where a product lies.
fn made_file(bench: &Bench<'_>, step: &Step, product: &Product, folder: &Path) -> PathBuf {
    if step.keeps_source() { bench.original.to_owned() } else { folder.join(&product.file_name) }
}

/// The file that an output becomes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kept<'a> {
    /// One that was made for it, and has no other name.
    Product(&'a Path),
    /// The source, which may be kept under other names already.
    Source(&'a Path),
}

impl Kept<'_> {
    const fn path(&self) -> &Path {
        match self {
            Self::Product(path) | Self::Source(path) => path,
        }
    }

    /// Opens it. What a tool left in the place of a product is not followed.
    fn open(&self) -> Result<File, Trouble> {
        let opened = match self {
            Self::Product(path) => plain::open_made(path),
            Self::Source(path) => plain::open(path),
        };
        opened.map_err(|error| Trouble::with_media(Stage::Storing, error.into()))
    }
}

/// A product that was verified, and what becomes of it.
pub(super) struct Made<'a> {
    pub(super) file: Kept<'a>,
    pub(super) media: &'a MediaInfo,
    pub(super) extension: &'a str,
    pub(super) mime_type: &'a str,
    pub(super) plan: Value,
    pub(super) checks: Value,
    /// The files that it names, where it is a package.
    pub(super) parts: &'a [MadePart],
}

/// An output that was made.
struct Settled {
    end: OutputEnd,
    /// How much of a damaged source is missing from it.
    lost_seconds: f64,
}

impl Walk<'_> {
    /// Makes the outputs that no earlier run made; how each ended is noted in `ends`.
    pub(super) async fn make(
        &mut self,
        toolbox: &Toolbox,
        routes: &[Route],
        inputs: &[Input],
        sources: &[Source],
        scratch: &Path,
    ) -> Result<(), Trouble> {
        let (Some(first), Some(source)) = (inputs.first(), sources.first()) else {
            let failure = JobFailure::request(Stage::Planning, "no_input", "the job has no input");
            return Err(Trouble::Rejected(failure));
        };
        let places: Vec<usize> = self.open().filter(|&place| routes[place] == Route::Tools).collect();
        let recipes: Vec<_> = places.iter().map(|&place| &self.job.outputs[place].spec.recipe).collect();
        self.seat.gauge.note(Stage::Planning, FETCHED);
        let further = self.further(&inputs[1..], &sources[1..])?;
        let plan = plan(source, &further, &recipes, toolbox.capabilities(), self.damage());
        let media = self.inputs.first().and_then(|input| input.media.clone()).unwrap_or_else(|| source.info.clone());
        let bench = Bench {
            toolbox,
            input: first.for_tools(),
            original: &first.path,
            media: &media,
            facts: &first.facts,
            source,
            samples: &Samples::default(),
            further: &further,
            scratch,
            places: &places,
        };
        for (output, failure) in plan.refused {
            self.fail(bench.places[output], Value::Array(Vec::new()), failure);
        }
        let steps = plan.steps.len();
        for (number, step) in plan.steps.iter().enumerate() {
            self.step(&bench, step, Share::of(number, steps), &format!("step-{number}")).await?;
        }
        Ok(())
    }

    /// The inputs beside the first, as plans and runs name them.
    pub(super) fn further(&self, inputs: &[Input], sources: &[Source]) -> Result<Vec<Further>, Trouble> {
        let names = self.job.spec.inputs.iter().skip(1).map(|input| &input.name);
        let further = names.zip(inputs).zip(sources).map(|((name, input), source)| {
            let path = std::path::absolute(input.for_tools())?;
            Ok(Further { name: name.clone(), path, source: source.clone() })
        });
        let failed = |error| Trouble::Failed(machine_failed(Stage::Planning, &error));
        further.collect::<std::io::Result<_>>().map_err(failed)
    }

    /// Does one step, and where it fails its products one by one.
    async fn step(&mut self, bench: &Bench<'_>, step: &Step, share: Share, name: &str) -> Result<(), Trouble> {
        let failure = match self.attempt(bench, step, share, name).await {
            Err(Trouble::Failed(failure) | Trouble::Rejected(failure)) => failure,
            other => return other,
        };
        // With no room for all there is none for one.
        let alone = step.alone();
        if alone.len() < 2 || failure.code == OUT_OF_DISK {
            self.fail_all(bench, step, &failure);
            return Ok(());
        }
        tracing::info!(
            code = failure.code,
            products = step.products.len(),
            "a shared step failed; each product is made alone"
        );
        for (number, alone) in alone.iter().enumerate() {
            match self.attempt(bench, alone, share, &format!("{name}-{number}")).await {
                Err(Trouble::Failed(failure) | Trouble::Rejected(failure)) => self.fail_all(bench, alone, &failure),
                other => other?,
            }
        }
        Ok(())
    }

    /// Runs a step and settles its products. Trouble of the run is answered; trouble of a product is noted.
    async fn attempt(&mut self, bench: &Bench<'_>, step: &Step, share: Share, name: &str) -> Result<(), Trouble> {
        let folder = bench.scratch.join(name);
        make_folder(&folder, Stage::Encoding).await?;
        let report = self.run(bench, step, share, &folder).await?;
        fail_point!("worker.encoded");
        let verified = self.verify(bench, step, &folder).await?;
        for (product, verified) in step.products.iter().zip(verified) {
            let settled = match verified {
                Ok(receipt) => self.settle(bench, step, product, receipt, report, &folder).await,
                Err(error) => Err(Trouble::with_media(Stage::Verifying, error)),
            };
            match settled {
                Ok(settled) => {
                    self.lost_seconds = self.lost_seconds.max(settled.lost_seconds);
                    self.ends[bench.places[product.output]] = Some(settled.end);
                }
                Err(Trouble::Failed(failure) | Trouble::Rejected(failure)) => {
                    self.fail(bench.places[product.output], planned(product), failure);
                }
                Err(other) => return Err(other),
            }
        }
        // The next step may need the room.
        let _ = tokio::fs::remove_dir_all(&folder).await;
        Ok(())
    }

    async fn run(&self, bench: &Bench<'_>, step: &Step, share: Share, folder: &Path) -> Result<StepReport, Trouble> {
        let gauge = &self.seat.gauge;
        let outputs: Vec<_> = step.products.iter().map(|product| self.spec(bench, product).id).collect();
        let progress = |progress: Progress| {
            gauge.note(Stage::Encoding, share.at(progress.fraction));
            for &output in &outputs {
                gauge.note_output(Stage::Encoding, output, progress.fraction * ENCODED);
            }
        };
        progress(Progress { fraction: 0.0, rate: None, frames: 0 });
        if step.keeps_source() {
            return Ok(StepReport::default());
        }
        let watch = Watch { cancel: &self.seat.cancel, progress: &progress };
        let ran = bench.toolbox.run(step, bench.input, bench.further, folder, bench.source, watch).await;
        ran.map_err(|error| Trouble::with_media(Stage::Encoding, error))
    }

    fn spec(&self, bench: &Bench<'_>, product: &Product) -> &OutputSpec {
        &self.job.outputs[bench.places[product.output]].spec
    }

    /// Verifies the products of a step; the answers are in their order.
    async fn verify(
        &self,
        bench: &Bench<'_>,
        step: &Step,
        folder: &Path,
    ) -> Result<Vec<Result<Receipt, MediaError>>, Trouble> {
        for product in &step.products {
            self.seat.gauge.note_output(Stage::Verifying, self.spec(bench, product).id, ENCODED);
        }
        let files: Vec<PathBuf> = step.products.iter().map(|product| made_file(bench, step, product, folder)).collect();
        let products: Vec<(&Expectation, &Path)> =
            step.products.iter().zip(&files).map(|(product, file)| (&product.expect, file.as_path())).collect();
        let compared = Compared { input: bench.input, source: bench.source, samples: bench.samples };
        self.unless_interrupted(bench.toolbox.verify_all(&products, folder, compared)).await
    }

    /// Keeps a product that was verified, or the source where that is better.
    async fn settle(
        &self,
        bench: &Bench<'_>,
        step: &Step,
        product: &Product,
        receipt: Receipt,
        report: StepReport,
        folder: &Path,
    ) -> Result<Settled, Trouble> {
        fail_point!("worker.verified");
        let spec = self.spec(bench, product);
        let file = made_file(bench, step, product, folder);
        let source_bytes = bench.source.size_bytes;
        let (extension, mime_type) = kept_as(bench.media);
        let is_larger = product.keep_source_if_larger && receipt.size_bytes >= source_bytes;
        let lost_seconds = receipt.lost_seconds.filter(|&lost| lost > 0.0);
        let checks = json!(receipt.checks);
        let made = if is_larger {
            let plan = kept_plan(&product.streams, receipt.size_bytes, source_bytes);
            Made {
                file: Kept::Source(bench.original),
                media: bench.media,
                extension,
                mime_type,
                plan,
                checks,
                parts: &[],
            }
        } else if step.keeps_source() {
            let (media, plan) = (bench.media, planned(product));
            Made { file: Kept::Source(&file), media, extension, mime_type, plan, checks, parts: &[] }
        } else {
            let (extension, mime_type) = (product.format.extension(), product.format.mime_type());
            let (media, plan, parts) = (&receipt.info, planned(product), &receipt.parts[..]);
            Made { file: Kept::Product(&file), media, extension, mime_type, plan, checks, parts }
        };
        let mut end = self.keep(bench.facts, spec, made, report, step.products.len()).await?;
        if let Some(style) = report.style {
            end.receipt["style"] = style.document(self.means.ambient.now());
        }
        if let (Some(cut_out), Recipe::RemoveBackground(wish)) = (report.cut_out, &spec.recipe) {
            end.receipt["matte"] = cut_out.document(&wish.model);
            if cut_out.is_empty() {
                let message = "no subject was found in any frame; the picture is clear, or all background";
                end.receipt["warnings"] = json!([{"code": "no_subject", "message": message}]);
            }
        }
        if let Some(loudness) = receipt.loudness {
            end.receipt["loudness"] = json!(loudness);
        }
        if let Some(lost) = lost_seconds {
            end.receipt["lost_seconds"] = json!(lost);
        }
        fail_point!("worker.stored_one");
        Ok(Settled { end, lost_seconds: lost_seconds.unwrap_or(0.0) })
    }

    /// Keeps a product; `shared_by` is how many outputs the same run made.
    pub(super) async fn keep(
        &self,
        source: &InputFacts,
        spec: &OutputSpec,
        made: Made<'_>,
        report: StepReport,
        shared_by: usize,
    ) -> Result<OutputEnd, Trouble> {
        self.seat.gauge.note_output(Stage::Storing, spec.id, ENCODED + 2.0);
        if self.seat.cancel.is_cancelled() {
            return Err(Trouble::Interrupted);
        }
        // Before the file that names them.
        let parts = self.keep_parts(spec, made.parts).await?;
        let key = Key::output(self.job.id, spec.id);
        let kept = self.means.files.put_file(&key, made.file.open()?).await;
        let Stored { size_bytes, sha256, sha1 } = kept.map_err(|error| Trouble::with_files(Stage::Storing, &error))?;
        self.seat.gauge.note_output(Stage::Storing, spec.id, 99.0);
        let receipt = json!({
            "checks": made.checks,
            "source_bytes": source.size_bytes,
            "output_bytes": size_bytes + parts.iter().map(|part| part.size_bytes).sum::<u64>(),
            "input_sha256": source.sha256,
            "wall_ms": millis(report.wall),
            "cpu_ms": millis(report.cpu),
            // Outputs made by one run share its time.
            "shared_by": shared_by,
        });
        let file = OutputFile {
            // The files of a package keep their names: they name each other.
            name: match made.file.path().file_name() {
                Some(name) if !parts.is_empty() => name.to_string_lossy().into_owned(),
                _ => format!("{}.{}", spec.name, made.extension),
            },
            key: key.to_string(),
            size_bytes,
            sha256,
            sha1,
            mime_type: made.mime_type.to_owned(),
            media: made.media.clone(),
            parts,
            destination_url: None,
        };
        let state = OutputState::Completed;
        Ok(OutputEnd { id: spec.id, state, file: Some(file), plan: made.plan, receipt, error: None })
    }

    /// Keeps the files that an output names.
    async fn keep_parts(&self, spec: &OutputSpec, parts: &[MadePart]) -> Result<Vec<FilePart>, Trouble> {
        let mut kept = Vec::with_capacity(parts.len());
        for (number, part) in (0..).zip(parts) {
            if self.seat.cancel.is_cancelled() {
                return Err(Trouble::Interrupted);
            }
            let key = Key::part(self.job.id, spec.id, number);
            let stored = self.means.files.put_file(&key, Kept::Product(&part.file).open()?).await;
            let Stored { size_bytes, .. } = stored.map_err(|error| Trouble::with_files(Stage::Storing, &error))?;
            let (path, mime_type) = (part.path.clone(), part.mime_type.clone());
            kept.push(FilePart { path, key: key.to_string(), size_bytes, mime_type });
        }
        Ok(kept)
    }

    fn fail_all(&mut self, bench: &Bench<'_>, step: &Step, failure: &JobFailure) {
        for product in &step.products {
            self.fail(bench.places[product.output], planned(product), failure.clone());
        }
    }

    pub(super) fn fail(&mut self, place: usize, plan: Value, failure: JobFailure) {
        let id = self.job.outputs[place].spec.id;
        tracing::info!(output.id = %id, code = failure.code, reason = failure.message, "an output was not made");
        let (state, error) = (OutputState::Failed, Some(failure));
        self.ends[place] = Some(OutputEnd { id, state, file: None, plan, receipt: Value::Null, error });
    }
}

fn planned(product: &Product) -> Value {
    json!(product.streams)
}

/// The plan of a product that was made and then not taken.
pub(super) fn kept_plan(streams: &[StreamPlan], made_bytes: u64, source_bytes: u64) -> Value {
    let reason = format!(
        "the result ({made_bytes} bytes) was not smaller than the source ({source_bytes} bytes); the source is kept"
    );
    let kept = |stream: &StreamPlan| StreamPlan { action: "keep".to_owned(), reason: reason.clone(), ..stream.clone() };
    json!(streams.iter().map(kept).collect::<Vec<_>>())
}

/// Extension and media type of a source that is kept as it is.
pub(super) fn kept_as(source: &MediaInfo) -> (&str, &'static str) {
    match Format::from_word(&source.format) {
        // The word for a bare stream; the format of that word is one in mp4.
        Some(Format::Aac) => (Format::Adts.extension(), Format::Adts.mime_type()),
        Some(format) => (format.extension(), format.mime_type()),
        None => (&source.format, never_written(&source.format)),
    }
}

/// The media type of a picture in a format that is read and not written.
fn never_written(format: &str) -> &'static str {
    match format {
        HEIC => "image/heic",
        "tiff" => "image/tiff",
        "bmp" => "image/bmp",
        "ico" => "image/vnd.microsoft.icon",
        _ => "application/octet-stream",
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
