//! What can go wrong in a codec, as values; and the questions that are asked between two pieces of work.

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use reelhook_domain::failure::{JobFailure, Stage};

use super::kind::Kind;
use crate::error::MediaError;

/// How long the work on a picture may go on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    pub(crate) began: Instant,
    pub(crate) time: Duration,
}

impl Deadline {
    /// Asked between two pieces of work.
    pub(crate) fn check(&self) -> Result<(), MediaError> {
        if self.is_late() {
            let message = format!("the image took longer than {} seconds", self.time.as_secs());
            return Err(MediaError::Failed(JobFailure::server(Stage::Encoding, "timed_out", message)));
        }
        Ok(())
    }

    pub(crate) fn is_late(&self) -> bool {
        self.began.elapsed() >= self.time
    }

    pub(crate) fn left(&self) -> Duration {
        self.time.saturating_sub(self.began.elapsed())
    }
}

/// Decodes; what the codec says or a panic of it is the picture's fault.
pub(crate) fn decoding<T>(kind: Kind, work: impl FnOnce() -> Result<T, MediaError>) -> Result<T, MediaError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(damaged(kind, "the decoder failed")))
}

/// Encodes; a panic of the codec is our fault.
pub(crate) fn encoding<T>(work: impl FnOnce() -> Result<T, MediaError>) -> Result<T, MediaError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(not_encoded("the encoder failed")))
}

pub(crate) fn damaged(kind: Kind, why: impl Display) -> MediaError {
    let message = format!("the input cannot be read as {}: {why}", kind.word());
    MediaError::Failed(JobFailure::input(Stage::Probing, "input_damaged", message))
}

pub(crate) fn unsupported(kind: Kind, what: impl Display) -> MediaError {
    let message = format!("the input is {} {what}, which is not supported", kind.word());
    MediaError::Rejected(JobFailure::input(Stage::Probing, "unsupported_media", message))
}

pub(crate) fn rejected(code: &str, what: impl Into<String>) -> MediaError {
    MediaError::Rejected(JobFailure::input(Stage::Probing, code, what))
}

pub(crate) fn not_encoded(why: impl Display) -> MediaError {
    let message = format!("the image could not be encoded: {why}");
    MediaError::Failed(JobFailure::server(Stage::Encoding, "encoding_failed", message))
}
