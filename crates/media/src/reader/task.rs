//! What a reader is asked and what it says: a line of JSON each.
//!
//! ```text
//! server --Task--> reader
//! server <--Said::Claim(bytes)-- reader      at most once a task; the reader waits for an empty line
//! server <--Said::Answer(..)-- reader
//! ```

use std::io;
use std::path::PathBuf;

use reelhook_domain::failure::JobFailure;
use reelhook_domain::recipe::{Format, Thumbnail};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::archive::ArchiveLimits;
use crate::error::{MachineError, MediaError};
use crate::image::{ImageLimits, Origin, Wish};
use crate::promise::Promise;
use crate::verify::Expectation;

/// What a reader is asked to do.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Task {
    /// The header of a picture. Answer: its [`MediaInfo`](reelhook_domain::media::MediaInfo).
    Inspect { picture: PathBuf, limits: ImageLimits },
    /// A picture. Answer: [`Made`](crate::image::Made).
    Make { input: PathBuf, wish: Wish, output: PathBuf, limits: ImageLimits },
    /// The same, small. Answer: [`Made`](crate::image::Made).
    Thumbnail { input: PathBuf, wish: Thumbnail, origin: Option<Origin>, output: PathBuf, limits: ImageLimits },
    /// What stands in for a picture. Answer: its `MediaInfo`, or `null` where nothing does.
    StandIn { input: PathBuf, output: PathBuf, limits: ImageLimits },
    /// Whether there is a tar in a compressed file. Answer: a boolean.
    HoldsTar { path: PathBuf, format: Format },
    /// Taking an archive apart; the reader remembers it. Answer: [`Listing`](crate::archive::Listing).
    Open { archive: PathBuf, folder: PathBuf, limits: ArchiveLimits },
    /// Putting the archive that was opened together again, and taking that apart in `again`. Answer: `null`.
    Pack { instead: Vec<Option<PathBuf>>, format: Format, output: PathBuf, again: PathBuf, limits: ArchiveLimits },
    /// Measuring a product by what was promised of it. Answer: [`Receipt`](crate::Receipt).
    Measure { expect: Box<Expectation>, promise: Promise, product: PathBuf },
    /// Measuring a file of many pictures. Answer: its `MediaInfo` and size in bytes, or `null` where it is none.
    MeasurePictures { format: Format, product: PathBuf },
}

/// What a reader says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Said {
    /// It needs that many bytes of memory to go on.
    Claim(u64),
    /// The task is done.
    Done(Box<RawValue>),
    /// The task came to nothing.
    Refused(Refusal),
}

/// A [`MediaError`] of a reader.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Refusal {
    Rejected(JobFailure),
    Failed(JobFailure),
    /// The operating system said no.
    Machine(MachineError),
}

impl From<MediaError> for Refusal {
    fn from(error: MediaError) -> Self {
        match error {
            MediaError::Rejected(failure) => Self::Rejected(failure),
            MediaError::Failed(failure) => Self::Failed(failure),
            MediaError::Io(error) => Self::Machine(error.into()),
            other @ (MediaError::Canceled | MediaError::ToolMissing { .. } | MediaError::Sandbox { .. }) => {
                Self::Machine(io::Error::other(other.to_string()).into())
            }
        }
    }
}

impl From<Refusal> for MediaError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Rejected(failure) => Self::Rejected(failure),
            Refusal::Failed(failure) => Self::Failed(failure),
            Refusal::Machine(error) => Self::Io(error.into()),
        }
    }
}
