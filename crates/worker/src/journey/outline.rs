//! The first half of a journey, for its own sake: what would become of a job.

use std::path::Path;

use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::job::Job;
use reelhook_domain::outline::{Outline, OutputOutline};
use reelhook_domain::price::Estimate;
use reelhook_domain::recipe::{Image, Thumbnail};
use reelhook_media::{Plan, StreamPlan};
use reelhook_store::FetchHeaders;
use serde_json::json;
use tempfile::TempDir;

use super::archive::Unpacked;
use super::route::Route;
use super::trouble::{OUT_OF_RESOURCES, Trouble, ffmpeg_missing, machine_failed};
use super::{Means, Walk, archive};
use crate::held::Seat;
use crate::planner::PlanError;

/// What was found out of a job that can be made.
struct Found {
    outputs: Vec<OutputOutline>,
    estimate: Option<Estimate>,
}

/// What would become of `job`, of which the store need not know.
pub(crate) async fn outline(
    means: &Means,
    job: &Job,
    fetch_headers: &FetchHeaders,
    seat: &Seat,
) -> Result<Outline, PlanError> {
    let mut walk = Walk::new(means, job, fetch_headers, seat);
    let (found, error) = match walk.look().await {
        Ok(found) => (found, None),
        Err(Trouble::Failed(failure)) if failure.code == OUT_OF_RESOURCES => return Err(PlanError::Short),
        Err(Trouble::Failed(failure) | Trouble::Rejected(failure)) => {
            let nothing = OutputOutline { plan: json!([]), error: None };
            (Found { outputs: vec![nothing; job.outputs.len()], estimate: None }, Some(failure))
        }
        Err(Trouble::Interrupted) => return Err(PlanError::Stopping),
        Err(Trouble::Store(error)) => return Err(error.into()),
    };
    Ok(Outline { inputs: walk.inputs, outputs: found.outputs, estimate: found.estimate, error })
}

impl Walk<'_> {
    async fn look(&mut self) -> Result<Found, Trouble> {
        let failed = |error| Trouble::Failed(machine_failed(Stage::Fetching, &error));
        let scratch = TempDir::with_prefix_in("plan-", self.means.files.scratch()).map_err(failed)?;
        self.look_within(scratch.path()).await
    }

    async fn look_within(&mut self, scratch: &Path) -> Result<Found, Trouble> {
        let mut inputs = self.take_in(scratch).await?;
        let Some(first) = inputs.first() else {
            let failure = JobFailure::request(Stage::Probing, "no_input", "the job has no input");
            return Err(Trouble::Rejected(failure));
        };
        let routes = self.routes(first).await?;
        if Route::all(&routes, Route::is_archive) {
            let Unpacked { contents, .. } = self.unpack(&first.path, scratch).await?;
            self.inputs[0].media = Some(archive::media_of(contents.format));
            let outputs = routes.iter().map(made_in_process).collect();
            return Ok(Found { outputs, estimate: Some(self.estimate_archives(&contents)) });
        }
        self.develop(&mut inputs, scratch).await?;
        if Route::all(&routes, Route::is_picture) {
            self.inspect_all(&inputs).await?;
            let outputs = routes.iter().map(made_in_process).collect();
            return Ok(Found { outputs, estimate: Some(self.estimate_pictures()) });
        }
        let probed = match &self.means.toolbox {
            Some(toolbox) => self.probe_all(toolbox, &mut inputs, scratch).await.map(|sources| (toolbox, sources)),
            None => Err(Trouble::Failed(ffmpeg_missing(Stage::Probing))),
        };
        let (toolbox, sources) = match probed {
            Ok(probed) => probed,
            Err(Trouble::Failed(failure) | Trouble::Rejected(failure)) if self.is_picture(&inputs).await? => {
                let Some(routes) = Route::without_tools(&routes, &failure) else {
                    return Err(Trouble::Rejected(failure));
                };
                self.inspect_all(&inputs).await?;
                let outputs = routes.iter().map(made_in_process).collect();
                return Ok(Found { outputs, estimate: Some(self.estimate_pictures()) });
            }
            Err(trouble) => return Err(trouble),
        };
        let (estimate, plan) = self.estimate(toolbox, &inputs, &sources)?;
        self.check_credits().await?;
        let outline = |(place, route): (usize, &Route)| match route {
            Route::Tools => made_by_tools(&plan, place),
            Route::Picture(_)
            | Route::AutoPicture(_)
            | Route::Thumbnail(_)
            | Route::Archive(..)
            | Route::Nowhere(_) => made_in_process(route),
        };
        Ok(Found { outputs: routes.iter().enumerate().map(outline).collect(), estimate })
    }
}

fn made_by_tools(plan: &Plan, place: usize) -> OutputOutline {
    let products = plan.steps.iter().flat_map(|step| &step.products);
    let streams = products.filter(|product| product.output == place).flat_map(|product| &product.streams);
    let refused = plan.refused.iter().find(|(output, _)| *output == place);
    OutputOutline { plan: json!(streams.collect::<Vec<_>>()), error: refused.map(|(_, failure)| failure.clone()) }
}

/// How well something packs is known once it was packed, so there is little to say before.
fn made_in_process(route: &Route) -> OutputOutline {
    let (stream, reason) = match route {
        Route::Picture(Image { level, format: Some(format), .. }) => ("image", format!("{format}, level {level}")),
        Route::Picture(Image { level, format: None, .. }) => ("image", format!("its own format, level {level}")),
        Route::AutoPicture(_) => ("image", "its own format; kept as it is where the result is not smaller".to_owned()),
        Route::Thumbnail(Thumbnail { format, .. }) => ("image", format!("{format}, small")),
        Route::Archive(..) => ("archive", "each member is made by its kind".to_owned()),
        Route::Nowhere(failure) => return OutputOutline { plan: json!([]), error: Some(failure.clone()) },
        Route::Tools => return OutputOutline { plan: json!([]), error: None },
    };
    let plan = StreamPlan { stream: stream.to_owned(), action: "encode".to_owned(), reason };
    OutputOutline { plan: json!([plan]), error: None }
}
