//! What would become of a job, without making it.

use std::sync::Arc;

use futures::future::BoxFuture;
use reelhook_dialects::JobRequest;
use reelhook_dialects::native::reply::PlanReply;
use reelhook_domain::job::Job;
use reelhook_domain::outline::Outline;
use reelhook_store::FetchHeaders;

use super::jobs::fetch_headers;
use super::{Caller, Desk, JobInput};
use crate::problem::Problem;

/// Finds out what would become of a job that is nowhere kept, with the headers to fetch its inputs with.
pub type Planner = Arc<dyn Fn(Job, FetchHeaders) -> BoxFuture<'static, Result<Outline, Problem>> + Send + Sync>;

impl Desk {
    /// Finds out what would become of a job. It is refused where [`Desk::submit`] would refuse it, and nothing is kept.
    pub(crate) async fn plan(&self, caller: Caller, mut request: JobRequest) -> Result<PlanReply, Problem> {
        let headers = fetch_headers(&request);
        // A webhook is judged and not made an endpoint of.
        let webhook = request.webhook.take();
        let judged = webhook.and_then(|webhook| self.judge("webhook.url", &webhook.url));
        let spec = match (self.job_spec(caller, request, JobInput::Asked).await, judged) {
            (Ok(spec), None) => spec,
            (Ok(_), Some(violation)) => return Err(Problem::invalid(vec![violation])),
            (Err(problem), Some(violation)) => return Err(problem.with_violation(violation)),
            (Err(problem), None) => return Err(problem),
        };
        let job = Job::new(self.ambient().id(), caller.account, spec, self.ambient().now());
        let outline = (self.planner())(job.clone(), headers).await?;
        Ok(PlanReply::of(&job, outline))
    }
}
