//! "It failed" as a value: what a caller is told, and what may be done about it.

use serde::{Deserialize, Serialize};

/// A stage of the journey of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The input is being downloaded or read.
    Fetching,
    /// The input is being looked at.
    Probing,
    /// What to run is being decided.
    Planning,
    /// Media is being read and written.
    Encoding,
    /// Outputs are being probed and measured against the plan.
    Verifying,
    /// Outputs are being kept.
    Storing,
}

impl Stage {
    /// The spelling in JSON and SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fetching => "fetching",
            Self::Probing => "probing",
            Self::Planning => "planning",
            Self::Encoding => "encoding",
            Self::Verifying => "verifying",
            Self::Storing => "storing",
        }
    }
}

/// The cause of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The media: another input would work.
    Input,
    /// The request: another job would work.
    Request,
    /// The server that has the input.
    Origin,
    /// Us: the same job may work another time.
    Server,
}

/// Why a job or an output failed, in words for the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct JobFailure {
    /// Stable code, such as `input_truncated`; `docs/errors.md` lists all codes.
    pub code: String,
    /// One sentence: what was wrong and, if it helps, what is allowed. It never contains a path or an address of the server.
    pub message: String,
    /// The stage in which it failed.
    pub stage: Stage,
    /// Whether the same job may succeed if it is tried again.
    pub retryable: bool,
    /// The cause of the failure.
    pub fault: Fault,
}

impl JobFailure {
    fn new(stage: Stage, fault: Fault, code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), stage, retryable: false, fault }
    }

    /// A failure that the media brought with it.
    pub fn input(stage: Stage, code: &str, message: impl Into<String>) -> Self {
        Self::new(stage, Fault::Input, code, message)
    }

    /// A failure of what was asked for.
    pub fn request(stage: Stage, code: &str, message: impl Into<String>) -> Self {
        Self::new(stage, Fault::Request, code, message)
    }

    /// A failure of the server that has the input.
    pub fn origin(stage: Stage, code: &str, message: impl Into<String>) -> Self {
        Self::new(stage, Fault::Origin, code, message)
    }

    /// A failure of this server; retryable.
    pub fn server(stage: Stage, code: &str, message: impl Into<String>) -> Self {
        Self::new(stage, Fault::Server, code, message).retryable()
    }

    /// The same, marked as worth trying again.
    pub fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }
}
