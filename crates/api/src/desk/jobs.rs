//! Verbs of jobs.

use reelhook_dialects::native::reply::{JobDeliveryReply, JobReply, WaitingReply};
use reelhook_dialects::{InputRequest, JobRequest, NamedInput, OutputRequest};
use reelhook_domain::endpoint::EndpointRole;
use reelhook_domain::form::{Violation, hint};
use reelhook_domain::id::JobId;
use reelhook_domain::job::{InputSource, InputSpec, Job, JobSpec, JobState, JobWebhook, ONLY_INPUT, OutputSpec};
use reelhook_domain::object_path::ObjectPath;
use reelhook_domain::recipe::{AUTO, CHROMA, Recipe};
use reelhook_domain::trace::Span;
use reelhook_store::{
    DeliveryFilter, FetchHeaders, Idempotency, JobEndpoint, JobFilter, Page, Retry, Submission, Submitted, Upload,
};
use serde_json::Value;

use super::destination::Use;
use super::endpoints::timeout_ms;
use super::{Caller, Desk};
use crate::problem::{Problem, missing};

/// Where the bytes of a job come from, once the request was read.
#[derive(Debug, Clone)]
pub(crate) enum JobInput {
    /// As the request says.
    Asked,
    /// They came with the request, and are noted with the job.
    Kept(Box<Upload>),
}

impl Desk {
    /// Keeps a job. The answer is durable.
    ///
    /// What is wrong with the request is named by the native paths (`input.url`, `webhook.url`, ...); a dialect spells them
    /// its own way.
    pub(crate) async fn submit(
        &self,
        caller: Caller,
        mut request: JobRequest,
        input: JobInput,
        idempotency: Option<Idempotency>,
    ) -> Result<Submitted, Problem> {
        self.check_room()?;
        let began = self.ambient().now();
        let (draft, fetch_headers) = (request.draft, fetch_headers(&request));
        let upload = match &input {
            JobInput::Kept(upload) => Some(Upload::clone(upload)),
            JobInput::Asked => None,
        };
        let destination = request.destination.take();
        let origin = match &destination {
            Some(asked) => Some(self.destination_origin(caller, asked).await?),
            None => None,
        };
        if let Some(Err(violation)) = origin {
            // With whatever else is wrong.
            let mut violations = vec![violation];
            violations.extend(request.webhook.as_ref().and_then(|webhook| self.judge("webhook.url", &webhook.url)));
            self.inputs(caller, request.inputs, input, &mut violations).await?;
            return Err(Problem::invalid(violations));
        }
        let spec = self.job_spec(caller, request, input).await?;
        let mut job = Job::new(self.ambient().id(), caller.account, spec, self.ambient().now());
        if let (Some(Ok(origin)), Some(asked)) = (&origin, &destination) {
            job.spec.destination = Some(self.destination(origin, asked, &job)?);
        }
        if draft {
            job.state = JobState::Draft;
        }
        fail::fail_point!("api.before_submit");
        let submitted = self.store().submit(Submission { job, fetch_headers, idempotency, upload }).await?;
        fail::fail_point!("api.after_submit");
        if let Submitted::New(job) = &submitted {
            self.tracer().tell(|| {
                let (id, took) = (u64::from_be_bytes(self.ambient().random()), self.ambient().now().since(began));
                Span::of_job(job.id, id.max(1), "submit", began, took)
                    .with("job.dialect", job.spec.dialect.as_str())
                    .with("account.id", job.account)
            });
        }
        Ok(submitted)
    }

    /// What a job shall do, once everything was checked that only the server knows.
    pub(crate) async fn job_spec(
        &self,
        caller: Caller,
        request: JobRequest,
        input: JobInput,
    ) -> Result<JobSpec, Problem> {
        let mut violations = Vec::new();
        let inputs = self.inputs(caller, request.inputs, input, &mut violations).await?;
        violations.extend(request.webhook.as_ref().and_then(|webhook| self.judge("webhook.url", &webhook.url)));
        violations.extend(self.missing_models(&request.outputs));
        if !violations.is_empty() {
            return Err(Problem::invalid(violations));
        }
        self.check_credits(caller, request.credit_rate, &inputs).await?;
        let webhook = match request.webhook {
            None => None,
            Some(webhook) => {
                self.ensure_account_secrets(caller).await?;
                let wanted = JobEndpoint {
                    account: caller.account,
                    role: EndpointRole::Job,
                    url: webhook.url,
                    dialect: request.dialect,
                    timeout_ms: timeout_ms(request.dialect),
                    headers: webhook.headers,
                    tls: webhook.tls,
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
        Ok(JobSpec {
            inputs,
            outputs,
            webhook,
            metadata: request.metadata,
            priority: request.priority,
            on_damage: request.on_damage,
            dialect: request.dialect,
            confirm: request.confirm,
            destination: None,
            credit_rate: request.credit_rate,
            said: request.said,
        })
    }

    /// The models that outputs ask for and that are not installed.
    fn missing_models(&self, outputs: &[OutputRequest]) -> Vec<Violation> {
        let asked = outputs.iter().enumerate().filter_map(|(index, output)| match &output.recipe {
            Recipe::RemoveBackground(wish) if wish.model != CHROMA && wish.model != AUTO => Some((index, &wish.model)),
            _ => None,
        });
        let asked: Vec<_> = asked.collect();
        if asked.is_empty() {
            return Vec::new();
        }
        let installed = (self.services().removebgvideo)().installed;
        let missing = asked.into_iter().filter(|(_, model)| !installed.contains(model));
        let violation = |(index, model): (usize, &String)| Violation {
            path: format!("outputs[{index}].model"),
            value: model.as_str().into(),
            message: format!(
                "is not installed on this server{}; known are {}",
                hint(model, installed.iter().map(String::as_str)),
                installed.join(", ")
            ),
        };
        missing.map(violation).collect()
    }

    /// Where the bytes come from; what is wrong with what was said of it goes into `violations`.
    async fn inputs(
        &self,
        caller: Caller,
        asked: Vec<NamedInput>,
        input: JobInput,
        violations: &mut Vec<Violation>,
    ) -> Result<Vec<InputSpec>, Problem> {
        let sent = match input {
            JobInput::Asked => None,
            JobInput::Kept(upload) => Some(upload.id),
        };
        match (asked.is_empty(), sent) {
            (true, Some(upload)) => {
                return Ok(vec![InputSpec { name: ONLY_INPUT.to_owned(), source: InputSource::Upload(upload) }]);
            }
            (false, Some(_)) => {
                violations.push(whole_input("must be omitted if the request contains the file"));
                return Ok(Vec::new());
            }
            (true, None) => {
                violations.push(whole_input("is required"));
                return Ok(Vec::new());
            }
            (false, None) => {}
        }
        let single = asked.len() == 1;
        let mut inputs = Vec::with_capacity(asked.len());
        for (index, NamedInput { name, source, .. }) in asked.into_iter().enumerate() {
            let path = |field: &str| if single { format!("input.{field}") } else { format!("inputs[{index}].{field}") };
            let source = match source {
                InputRequest::Url(url) => {
                    violations.extend(self.judge(&path("url"), &url));
                    InputSource::Url(url)
                }
                InputRequest::Upload(id) => {
                    match self.store().upload(caller.account, id).await {
                        Ok(_) => {}
                        Err(reelhook_store::StoreError::NotFound) => {
                            let message = "is not an upload of this account, or it has expired".to_owned();
                            violations.push(Violation { path: path("upload"), value: id.to_string().into(), message });
                        }
                        Err(error) => return Err(error.into()),
                    }
                    InputSource::Upload(id)
                }
                InputRequest::Origin(id, object) => {
                    violations.extend(self.usable_origin(caller, id, Use::Read, &path("origin")).await?.err());
                    if let Err(error) = object.parse::<ObjectPath>() {
                        let value = object.as_str().into();
                        violations.push(Violation { path: path("path"), value, message: error.to_string() });
                    }
                    InputSource::Origin { origin: id, path: object }
                }
            };
            inputs.push(InputSpec { name, source });
        }
        Ok(inputs)
    }

    /// One job with its deliveries and, while it waits, why.
    pub(crate) async fn show_job(&self, caller: Caller, id: JobId) -> Result<JobReply, Problem> {
        let job = self.store().job(caller.account, id).await.map_err(missing("job"))?;
        let mut reply = self.job_reply(&job).await?;
        let filter = DeliveryFilter { job: Some(id), ..DeliveryFilter::default() };
        let page = Page { before: None, limit: 100 };
        let deliveries = self.store().list_deliveries(caller.account, &filter, page).await?;
        let around = self.around(&deliveries).await?;
        let shown = deliveries.iter().rev().map(|delivery| JobDeliveryReply::of(delivery, around.of(delivery)));
        reply.deliveries = shown.collect();
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
        JobReply::of(job, self.link_to())
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

    /// Accepts the estimate of a job that asked.
    pub(crate) async fn confirm_job(&self, caller: Caller, id: JobId) -> Result<JobReply, Problem> {
        let job = self.store().confirm_job(caller.account, id).await.map_err(missing("job"))?;
        self.job_reply(&job).await
    }

    /// Starts a draft.
    pub(crate) async fn start_job(&self, caller: Caller, id: JobId) -> Result<JobReply, Problem> {
        let job = self.store().start_job(caller.account, id, None).await.map_err(missing("job"))?;
        self.job_reply(&job).await
    }

    /// Starts a draft that is said anew. Without a webhook of its own it keeps the draft's.
    pub(crate) async fn start_job_as(&self, caller: Caller, draft: &Job, request: JobRequest) -> Result<Job, Problem> {
        let mut spec = self.job_spec(caller, request, JobInput::Asked).await?;
        spec.webhook = spec.webhook.or_else(|| draft.spec.webhook.clone());
        self.store().start_job(caller.account, draft.id, Some(spec)).await.map_err(missing("job"))
    }

    /// Queues a job again that did not end well.
    pub(crate) async fn retry_job(&self, caller: Caller, id: JobId, what: Retry) -> Result<JobReply, Problem> {
        let job = self.store().retry_job(caller.account, id, what).await.map_err(missing("job"))?;
        self.job_reply(&job).await
    }
}

/// The headers for downloads, by the input's name.
pub(super) fn fetch_headers(request: &JobRequest) -> FetchHeaders {
    let with_headers = request.inputs.iter().filter(|input| !input.headers.is_empty());
    with_headers.map(|input| (input.name.clone(), input.headers.clone())).collect()
}

fn whole_input(message: &str) -> Violation {
    Violation { path: "input".to_owned(), value: Value::Null, message: message.to_owned() }
}
