//! Compressor: the API of compressor.app.
//!
//! # Source
//! Its page on webhooks, and the other pages of its documentation where the calls need them; `docs/services/compressor.md`
//! says what is followed, and what was decided where nothing is documented.

pub mod error;
pub mod event;
pub mod headers;
pub mod reply;
pub mod request;

#[cfg(test)]
mod tests;

/// The name of the one output of a job of this service.
pub const OUTPUT: &str = "result";
/// Inputs over this many bytes are never answered within the request.
///
/// # Source
/// "Asynchronous processing": over 32 MB.
pub const LARGEST_SYNCHRONOUS: u64 = 32 << 20;
