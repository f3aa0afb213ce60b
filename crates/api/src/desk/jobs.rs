//! Verbs of jobs.

use reelhook_dialects::native::reply::{JobDeliveryReply, JobReply, WaitingReply};
use reelhook_dialects::{InputRequest, JobRequest};
use reelhook_domain::endpoint::EndpointRole;
use reelhook_domain::form::Violation;
use reelhook_domain::id::{JobId, UploadId};
use reelhook_domain::job::{Dialect, InputSource, Job, JobSpec, JobState, JobWebhook, OutputSpec};
use reelhook_store::{DeliveryFilter, Idempotency, JobEndpoint, JobFilter, Page, Retry, Submitted};
use serde_json::Value;

use super::{Caller, Desk};
use crate::problem::{Problem, missing};

/// Where the bytes of a job come from, once the request was read.
#[derive(Debug, Clone)]
pub(crate) enum JobInput {
    /// As the request says.
    Asked,
    /// They came with the request.
    Sent(UploadId),
}

impl Desk {
    /// Keeps a job. The answer is durable.
    pub(crate) async fn submit(
        &self,
        caller: Caller,
        request: JobRequest,
        input: JobInput,
        idempotency: Option<Idempotency>,
    ) -> Result<Submitted, Problem> {
        let input = self.input_source(caller, request.input, input).await?;
        let webhook_violation = request.webhook.as_ref().and_then(|webhook| self.judge("webhook.url", &webhook.url));
        let input = match (input, webhook_violation) {
            (Ok(input), None) => input,
            (input, webhook) => return Err(Problem::invalid(input.err().into_iter().chain(webhook).collect())),
        };
        let webhook = match request.webhook {
            None => None,
            Some(webhook) => {
                self.ensure_account_secrets(caller).await?;
                let wanted = JobEndpoint {
                    account: caller.account,
                    role: EndpointRole::Job,
                    url: webhook.url,
                    dialect: Dialect::Native,
                };
                let endpoint = self.store().endpoint_for(wanted).await?;
                Some(JobWebhook { endpoint: endpoint.id, events: webhook.events })
            }
        };
        let outputs = request
            .outputs
            .into_iter()
            .map(|output| OutputSpec { id: self.ambient().id(), name: output.name, recipe: output.recipe })
            .collect();
        let spec = JobSpec {
            input,
            outputs,
            webhook,
            metadata: request.metadata,
            priority: request.priority,
            on_damage: request.on_damage,
            dialect: Dialect::Native,
        };
        let job = Job::new(self.ambient().id(), caller.account, spec, self.ambient().now());
        fail::fail_point!("api.before_submit");
        let submitted = self.store().submit(job, idempotency).await?;
        fail::fail_point!("api.after_submit");
        Ok(submitted)
    }

    /// Where the bytes come from, or what is wrong with what was said of it.
    async fn input_source(
        &self,
        caller: Caller,
        asked: Option<InputRequest>,
        input: JobInput,
    ) -> Result<Result<InputSource, Violation>, Problem> {
        let wrong = |path: &str, value: Value, message: &str| {
            Ok(Err(Violation { path: path.to_owned(), value, message: message.to_owned() }))
        };
        match (asked, input) {
            (None, JobInput::Sent(upload)) => Ok(Ok(InputSource::Upload(upload))),
            (Some(_), JobInput::Sent(_)) => {
                wrong("input", Value::Null, "must be left out when the file comes with the request")
            }
            (None, JobInput::Asked) => wrong("input", Value::Null, "is required"),
            (Some(InputRequest::Url(url)), JobInput::Asked) => {
                Ok(self.judge("input.url", &url).map_or(Ok(InputSource::Url(url)), Err))
            }
            (Some(InputRequest::Upload(id)), JobInput::Asked) => match self.store().upload(caller.account, id).await {
                Ok(upload) => Ok(Ok(InputSource::Upload(upload.id))),
                Err(reelhook_store::StoreError::NotFound) => {
                    let message = "is not an upload of this account, or it has expired";
                    wrong("input.upload", id.to_string().into(), message)
                }
                Err(error) => Err(error.into()),
            },
        }
    }

    /// One job with its deliveries and, while it waits, why.
    pub(crate) async fn show_job(&self, caller: Caller, id: JobId) -> Result<JobReply, Problem> {
        let job = self.store().job(caller.account, id).await.map_err(missing("job"))?;
        let mut reply = self.job_reply(&job).await?;
        let filter = DeliveryFilter { job: Some(id), ..DeliveryFilter::default() };
        let page = Page { before: None, limit: 100 };
        let deliveries = self.store().list_deliveries(caller.account, &filter, page).await?;
        reply.deliveries = deliveries.iter().rev().map(JobDeliveryReply::of).collect();
        Ok(reply)
    }

    /// A job as it is shown, without its deliveries.
    pub(crate) async fn job_reply(&self, job: &Job) -> Result<JobReply, Problem> {
        let mut reply = self.job_reply_without_waiting(job);
        if job.state == JobState::Queued {
            let ahead = self.store().queue(Some(job.id)).await?.ahead;
            let reason = match ahead {
                0 => "next in the queue".to_owned(),
                1 => "queued behind 1 job".to_owned(),
                more => format!("queued behind {more} jobs"),
            };
            reply.waiting = Some(WaitingReply { reason, until: None });
        }
        Ok(reply)
    }

    /// A job as it is shown in lists.
    pub(crate) fn job_reply_without_waiting(&self, job: &Job) -> JobReply {
        JobReply::of(job, &|job, name| self.link(job, name))
    }

    /// A page of jobs, newest first.
    pub(crate) async fn list_jobs(&self, caller: Caller, filter: &JobFilter, page: Page) -> Result<Vec<Job>, Problem> {
        Ok(self.store().list_jobs(caller.account, filter, page).await?)
    }

    /// Cancels a job.
    pub(crate) async fn cancel_job(&self, caller: Caller, id: JobId) -> Result<JobReply, Problem> {
        let job = self.store().cancel_job(caller.account, id).await.map_err(missing("job"))?;
        Ok(self.job_reply_without_waiting(&job))
    }

    /// Queues a job again that did not end well.
    pub(crate) async fn retry_job(&self, caller: Caller, id: JobId, what: Retry) -> Result<JobReply, Problem> {
        let job = self.store().retry_job(caller.account, id, what).await.map_err(missing("job"))?;
        self.job_reply(&job).await
    }
}
