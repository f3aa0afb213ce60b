//! What can come in the way of a journey.

use std::io;

use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_egress::is_shortage;
use reelhook_files::FilesError;
use reelhook_media::MediaError;
use reelhook_store::StoreError;

/// Why a journey does not go on.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The job ends with this.
    Failed(JobFailure),
    /// The job is refused with this.
    Rejected(JobFailure),
    /// Nobody wants the work any more: the lease is lost, or the worker stops.
    Interrupted,
    /// The store did not do its part: the job is tried again when its lease has run out.
    Store(StoreError),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::LeaseLost => Self::Interrupted,
            error => Self::Store(error),
        }
    }
}

impl Trouble {
    /// Trouble with the tools in `stage`.
    pub(super) fn with_media(stage: Stage, error: MediaError) -> Self {
        match error {
            MediaError::Rejected(failure) => Self::Rejected(failure),
            MediaError::Failed(failure) => Self::Failed(failure),
            MediaError::Canceled => Self::Interrupted,
            MediaError::ToolMissing { program, hint } => {
                tracing::error!(program, hint, "a program that jobs need is missing");
                Self::Failed(ffmpeg_missing(stage))
            }
            MediaError::Sandbox { reason } => {
                tracing::error!(reason, "the sandbox cannot be entered");
                let message = "the server cannot run its tools safely; its log has the reason";
                Self::Failed(JobFailure::server(stage, "sandbox_unavailable", message))
            }
            MediaError::Io(error) => Self::Failed(machine_failed(stage, &error)),
        }
    }

    /// Trouble with files in `stage`.
    pub(super) fn with_files(stage: Stage, error: &FilesError) -> Self {
        match error {
            FilesError::Full => Self::Failed(out_of_disk(stage)),
            error if is_shortage(error) => Self::Failed(short_of_resources(stage, error)),
            error => {
                tracing::error!(%error, stage = stage.as_str(), "a file could not be kept or read");
                Self::Failed(server_failed(stage))
            }
        }
    }
}

/// There is no ffmpeg here.
pub(super) fn ffmpeg_missing(stage: Stage) -> JobFailure {
    JobFailure::server(stage, "ffmpeg_missing", "the server has no usable ffmpeg; its log has the reason")
}

/// The code that `media` uses too.
pub(super) const OUT_OF_DISK: &str = "out_of_disk";

/// There is no room left.
pub(crate) fn out_of_disk(stage: Stage) -> JobFailure {
    JobFailure::server(stage, OUT_OF_DISK, "the server's disk is full; try again later")
}

fn server_failed(stage: Stage) -> JobFailure {
    JobFailure::server(stage, "server_failed", "the server failed; its log has the reason")
}

/// The code of what ends no job: it goes back into the queue.
pub(super) const OUT_OF_RESOURCES: &str = "out_of_resources";

/// This process lacks descriptors, memory, processes or ports.
pub(super) fn out_of_resources(stage: Stage) -> JobFailure {
    JobFailure::server(stage, OUT_OF_RESOURCES, "the server lacks resources for the job; try again later").retryable()
}

fn short_of_resources(stage: Stage, error: &(dyn std::error::Error + 'static)) -> JobFailure {
    tracing::info!(error, stage = stage.as_str(), "the process lacks what a job takes");
    out_of_resources(stage)
}

/// The operating system said no in `stage`.
pub(super) fn machine_failed(stage: Stage, error: &io::Error) -> JobFailure {
    if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        return out_of_disk(stage);
    }
    if is_shortage(error) {
        return short_of_resources(stage, error);
    }
    tracing::error!(%error, stage = stage.as_str(), "the machine failed a job");
    server_failed(stage)
}
