//! Clipzy: the API of the Clipzy ML Engine.
//!
//! # Source
//! Its page on webhooks, and the other pages of its documentation where the calls need them; `docs/services/clipzy.md`
//! says what is followed, and what was decided where nothing is documented.

pub mod error;
pub mod event;
pub mod headers;
pub mod reply;
pub mod request;

#[cfg(test)]
mod tests;

use reelhook_domain::id::{Kind, UploadId, UploadKind};

/// The name of the one output of a job of this service.
pub const OUTPUT: &str = "output";
/// The name of the input whose style is taken.
pub const TEMPLATE: &str = "template";

/// An upload's id as the service spells it.
pub fn video_id(upload: UploadId) -> String {
    format!("vid_{}", upload.bare())
}

/// The upload of exactly that spelling.
pub fn video_of(text: &str) -> Option<UploadId> {
    format!("{}_{}", UploadKind::PREFIX, text.strip_prefix("vid_")?).parse().ok()
}
