//! Xora: the API of xora.sh.
//!
//! # Source
//! The service's webhook guide, and its pages on jobs, recipes, formats and errors. `docs/services/xora.md` says what was
//! decided where they are silent.

pub mod error;
pub mod event;
#[cfg(test)]
mod golden;
pub mod headers;
mod presets;
pub mod provider;
mod recipe;
pub mod reply;
pub mod request;
#[cfg(test)]
mod tests;

use reelhook_domain::id::{Id, JobId, OriginId};

/// An id as the service spells it: 26 upper-case letters and digits without a prefix.
pub fn spell<K>(id: Id<K>) -> String {
    id.bare().to_ascii_uppercase()
}

/// The job of that spelling. Other services' spellings, and other cases of this one, name nothing.
pub fn job_id(text: &str) -> Option<JobId> {
    ours(text).and_then(|bare| format!("job_{bare}").parse().ok())
}

/// The storage provider of that spelling.
pub fn provider_id(text: &str) -> Option<OriginId> {
    ours(text).and_then(|bare| format!("ori_{bare}").parse().ok())
}

/// Our spelling of what the service spells, without a prefix.
fn ours(text: &str) -> Option<String> {
    let is_spelled = text.len() == 26 && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    is_spelled.then(|| text.to_ascii_lowercase())
}
