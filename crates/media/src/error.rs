//! What can come of probing, running and verifying, by what the caller does next.

use std::io;

use reelhook_domain::failure::{JobFailure, Stage};
use serde::{Deserialize, Serialize};

use crate::plain::NotPlain;

/// An error of the operating system on its way from a child to the server: its number, if it has one, and in words.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct MachineError(Option<i32>, String);

impl From<io::Error> for MachineError {
    fn from(error: io::Error) -> Self {
        Self(error.raw_os_error(), error.to_string())
    }
}

impl From<MachineError> for io::Error {
    fn from(MachineError(number, words): MachineError) -> Self {
        number.map_or_else(|| Self::other(words), Self::from_raw_os_error)
    }
}

/// Why a tool's work came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// The input was refused before any work: it is not media, or is over a limit. A value for the caller.
    #[error("refused: {}: {}", .0.code, .0.message)]
    Rejected(JobFailure),
    /// The media, or the work on it, failed. A value for the caller.
    #[error("failed: {}: {}", .0.code, .0.message)]
    Failed(JobFailure),
    /// The work was ended because it was no longer wanted.
    #[error("canceled")]
    Canceled,
    /// A program that is needed is not on this machine, or is too old. For the operator.
    #[error("cannot use {program}: {hint}")]
    ToolMissing {
        /// The program as the settings name it.
        program: String,
        /// What to do about it.
        hint: String,
    },
    /// The sandbox is required and this machine lacks a layer of it, or the launcher cannot be started.
    #[error("the sandbox cannot be entered: {reason}")]
    Sandbox {
        /// What is missing.
        reason: String,
    },
    /// The machine failed us: a folder or a pipe.
    #[error("the machine failed")]
    Io(#[source] io::Error),
}

impl From<io::Error> for MediaError {
    /// A tool that left something else than a plain file did not do its work, which is not the machine's failure.
    fn from(error: io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<NotPlain>()) {
            Some(reason) => Self::Failed(JobFailure::server(
                Stage::Verifying,
                "output_invalid",
                format!("the output is not usable: {reason}"),
            )),
            None => Self::Io(error),
        }
    }
}

impl MediaError {
    /// What the caller is told, where the caller is to be told something: of a refusal or a failure.
    pub const fn failure(&self) -> Option<&JobFailure> {
        match self {
            Self::Rejected(failure) | Self::Failed(failure) => Some(failure),
            Self::Canceled | Self::ToolMissing { .. } | Self::Sandbox { .. } | Self::Io(_) => None,
        }
    }
}
