//! Errors as `application/problem+json`.
//!
//! # Source
//! RFC 9457. `code` and `violations` are extension members.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use reelhook_dialects::Refusal;
use reelhook_domain::form::Violation;
use reelhook_domain::id::RequestId;
use reelhook_domain::quota::QuotaExceeded;
use reelhook_egress::is_shortage;
use reelhook_files::FilesError;
use reelhook_store::{MOST_OLD_SECRETS, StoreError};
use serde::Serialize;
use utoipa::ToSchema;

/// An error response, as its caller sees it. Small, because it is in every `Result` of this crate.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(transparent)]
pub struct Problem(Box<ProblemDetails>);

/// The members of a problem document.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ProblemDetails {
    /// Link to the explanation of the code.
    #[serde(rename = "type")]
    kind: String,
    /// Short description of the code.
    title: String,
    /// HTTP status.
    status: u16,
    /// Stable error code.
    code: &'static str,
    /// What was wrong, and what is allowed.
    detail: String,
    /// All violations of the request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    violations: Vec<Violation>,
    /// Id of the request in the server's log; also the header `x-request-id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    /// The quota that the request would exceed.
    #[serde(skip_serializing_if = "Option::is_none")]
    quota: Option<QuotaReply>,
    #[serde(skip)]
    retry_after_seconds: Option<u32>,
}

/// A quota of an account and its use.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Quota)]
pub(crate) struct QuotaReply {
    /// Name of the quota; the setting of the server is `quota.NAME`.
    pub(crate) name: &'static str,
    /// The limit; null if the server sets none.
    pub(crate) limit: Option<u64>,
    /// The present value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) used: Option<u64>,
}

impl Problem {
    /// A refusal with that status and code.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self(Box::new(ProblemDetails {
            kind: format!("/docs/errors#{code}"),
            title: code.replace('_', " "),
            status: status.as_u16(),
            code,
            detail: detail.into(),
            violations: Vec::new(),
            request_id: None,
            quota: None,
            retry_after_seconds: None,
        }))
    }

    /// 400: the bytes cannot be read.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed_request", detail)
    }

    /// 401.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    }

    /// 404: there is none, or it is another account's.
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("there is no such {what}"))
    }

    /// 409: what is asked does not go with the state.
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 422: everything that is wrong with the request.
    pub fn invalid(violations: Vec<Violation>) -> Self {
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", summary(&violations));
        problem.0.violations = violations;
        problem
    }

    /// 422 with one violation.
    pub fn violation(path: &str, value: serde_json::Value, message: impl Into<String>) -> Self {
        Self::invalid(vec![Violation { path: path.to_owned(), value, message: message.into() }])
    }

    /// The same, with one more thing that is wrong where it already lists such.
    pub(crate) fn with_violation(mut self, violation: Violation) -> Self {
        if !self.0.violations.is_empty() {
            self.0.violations.push(violation);
            self.0.detail = summary(&self.0.violations);
        }
        self
    }

    /// 429: the account has all that it may have.
    pub(crate) fn quota_exceeded(exceeded: QuotaExceeded) -> Self {
        let mut problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "quota_exceeded", exceeded.to_string());
        let QuotaExceeded { quota, limit, present, .. } = exceeded;
        problem.0.quota = Some(QuotaReply { name: quota.as_str(), limit: Some(limit), used: Some(present) });
        problem
    }

    /// 413.
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
    }

    /// 503: try again in a moment.
    pub fn unavailable(code: &'static str, detail: impl Into<String>) -> Self {
        let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail);
        problem.0.retry_after_seconds = Some(5);
        problem
    }

    /// 503: this process has no descriptor or no memory to spare.
    fn out_of_resources(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::warn!(error, "this process lacks descriptors or memory; a request was refused");
        let detail = "the server lacks descriptors or memory at the moment; nothing was done";
        Self::unavailable("out_of_resources", detail)
    }

    /// The same, saying when to try again; to the second, never sooner.
    pub(crate) fn retry_after(mut self, wait: std::time::Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.0.retry_after_seconds = Some(u32::try_from(seconds).unwrap_or(u32::MAX));
        self
    }

    /// The same, naming the request it answers.
    pub(crate) fn of_request(mut self, id: String) -> Self {
        self.0.request_id = Some(id);
        self
    }

    /// Whether its caller was refused, and nothing was done: not so after an error of ours, of which nobody knows how far
    /// it went.
    pub(crate) fn is_refusal(&self) -> bool {
        (400..500).contains(&self.0.status)
    }

    /// What a dialect puts into its own words.
    pub(crate) fn refusal(&self, request: RequestId) -> Refusal<'_> {
        let ProblemDetails { status, code, detail, violations, .. } = &*self.0;
        Refusal { status: *status, code, detail, violations, request }
    }

    /// The same, with each violation's path spelled by `spell`, as a dialect calls the field.
    pub(crate) fn with_paths(mut self, spell: impl Fn(&str) -> String) -> Self {
        if self.0.violations.is_empty() {
            return self;
        }
        for violation in &mut self.0.violations {
            violation.path = spell(&violation.path);
        }
        self.0.detail = summary(&self.0.violations);
        self
    }

    /// 500: our fault; the log has the reason.
    pub fn internal() -> Self {
        let detail = "something went wrong on our side; the server's log has the reason under this request's id";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }
}

/// The first few of them in one line.
fn summary(violations: &[Violation]) -> String {
    let named = |violation: &Violation| format!("{} {}", violation.path, violation.message).trim_start().to_owned();
    violations.iter().take(5).map(named).collect::<Vec<_>>().join("; ")
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.0.retry_after_seconds;
        let copy = self.clone();
        let mut response = (status, Json(self)).into_response();
        // The middleware adds the request's id, which is not known here.
        response.extensions_mut().insert(copy);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound => Self::not_found("thing"),
            StoreError::IllegalJobStep(error) => Self::conflict("state_conflict", error.to_string()),
            StoreError::IllegalDeliveryStep(error) => Self::conflict("state_conflict", error.to_string()),
            StoreError::BodyGone => {
                Self::conflict("body_gone", "its body is no longer stored: the retention period has ended")
            }
            StoreError::EndpointGone(endpoint) => Self::conflict(
                "endpoint_deleted",
                format!(
                    "its endpoint {endpoint} was deleted; to send the event elsewhere, replay it to another endpoint"
                ),
            ),
            StoreError::TooManySecrets { until } => Self::conflict(
                "too_many_secrets",
                format!(
                    "{MOST_OLD_SECRETS} old secrets sign beside the present one, which is the limit; the first of them ends at {until}, \
                     and overlap_seconds 0 ends all of them at once"
                ),
            ),
            StoreError::AlreadyExists => Self::conflict("already_exists", "it already exists"),
            StoreError::Quota(exceeded) => Self::quota_exceeded(exceeded),
            StoreError::Full => Self::unavailable("out_of_disk", "the server's disk is full; nothing was stored"),
            StoreError::OutOfResources(error) => Self::out_of_resources(&error),
            error @ (StoreError::LeaseLost | StoreError::Corrupt { .. } | StoreError::Database(_)) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the store failed a request");
                Self::internal()
            }
        }
    }
}

impl From<FilesError> for Problem {
    fn from(error: FilesError) -> Self {
        match error {
            FilesError::NotFound => Self::not_found("file"),
            FilesError::TooLarge { cap } => Self::too_large(format!("a file may have at most {cap} bytes")),
            FilesError::Full => Self::unavailable("out_of_disk", "the server's disk is full; nothing was stored"),
            FilesError::Broken(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                let detail = "no byte of the upload arrived for 60 seconds; nothing was stored";
                Self::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", detail)
            }
            FilesError::Broken(_) => Self::malformed("the upload ended too early; nothing was stored"),
            error if is_shortage(&error) => Self::out_of_resources(&error),
            error => {
                tracing::error!(error = &error as &dyn std::error::Error, "the files failed a request");
                Self::internal()
            }
        }
    }
}

/// Says what was not found, where the store only says that something was not.
pub(crate) fn missing(what: &'static str) -> impl FnOnce(StoreError) -> Problem {
    move |error| match error {
        StoreError::NotFound => Problem::not_found(what),
        error => error.into(),
    }
}
