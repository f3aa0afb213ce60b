//! Outputs of the recipe `image`: made in process, one after another; no tool is started for them.

use std::path::Path;

use fail::fail_point;
use reelhook_domain::failure::Stage;
use reelhook_domain::job::OutputSpec;
use reelhook_domain::media::MediaInfo;
use reelhook_domain::recipe::{Image, Recipe};
use reelhook_media::image::{self, ImageLimits, Made, Wish};
use reelhook_media::{MediaError, StepReport};
use reelhook_store::OutputEnd;
use serde_json::{Value, json};

use super::Walk;
use super::fetch::Input;
use super::make;
use super::trouble::{Trouble, machine_failed};
use crate::progress::ENCODED;

/// Whether an output is made here.
pub(super) const fn is_picture(spec: &OutputSpec) -> bool {
    matches!(spec.recipe, Recipe::Image(_))
}

impl Walk<'_> {
    /// Looks at the header of a picture.
    pub(super) async fn inspect(&self, input: &Path) -> Result<MediaInfo, Trouble> {
        let input = input.to_owned();
        let inspected = self.aside(Stage::Probing, move || image::inspect(&input, &ImageLimits::default())).await?;
        Ok(inspected.info())
    }

    /// Makes the pictures that no earlier run made; how each ended is noted in `ends`.
    pub(super) async fn make_pictures(&mut self, input: &Input, scratch: &Path) -> Result<(), Trouble> {
        let job = self.job;
        for place in self.open().collect::<Vec<_>>() {
            let spec = &job.outputs[place].spec;
            let Recipe::Image(recipe) = &spec.recipe else { continue };
            match self.picture(spec, recipe, input, &scratch.join(format!("picture-{place}"))).await {
                Ok(end) => self.ends[place] = Some(end),
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
        input: &Input,
        file: &Path,
    ) -> Result<OutputEnd, Trouble> {
        self.seat.gauge.note_output(Stage::Encoding, spec.id, 0.0);
        let (from, to, wish) = (input.path.clone(), file.to_owned(), Wish::from(recipe));
        let cancel = self.seat.cancel.clone();
        let limits = ImageLimits::default();
        let work = move || image::make(&from, &wish, &to, &limits, &cancel);
        let Made { format, info, plan, checks, decoding, encoding, wall, .. } =
            self.aside(Stage::Encoding, work).await?;
        fail_point!("worker.encoded");
        self.seat.gauge.note_output(Stage::Verifying, spec.id, ENCODED);
        fail_point!("worker.verified");
        let (extension, mime_type) = (format.format().extension(), format.format().mime_type());
        let made = make::Made { file, media: &info, extension, mime_type, plan: json!(plan), checks: json!(checks) };
        let report = StepReport { wall, cpu: decoding + encoding };
        let end = self.keep(&input.facts, spec, made, report, 1).await?;
        fail_point!("worker.stored_one");
        Ok(end)
    }

    /// Does `work` where blocking is allowed, unless it is not wanted any more: then it ends by itself, at the next
    /// place where it looks.
    async fn aside<T: Send + 'static>(
        &self,
        stage: Stage,
        work: impl FnOnce() -> Result<T, MediaError> + Send + 'static,
    ) -> Result<T, Trouble> {
        let done = self.unless_interrupted(tokio::task::spawn_blocking(work)).await?;
        let done = done.map_err(|error| Trouble::Failed(machine_failed(stage, &std::io::Error::other(error))))?;
        done.map_err(|error| Trouble::with_media(stage, error))
    }
}
