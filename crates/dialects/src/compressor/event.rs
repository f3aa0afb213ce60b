//! The body of a webhook of Compressor.

use reelhook_domain::event::Event;

use crate::{LinkTo, PayloadError};

/// The body; none for events that the service does not tell of.
///
/// # Errors
/// [`PayloadError`] when the stored job cannot be read.
pub fn payload(_event: &Event, _link: LinkTo<'_>) -> Result<Option<String>, PayloadError> {
    Ok(None)
}
