//! Compressor: the API of compressor.app.

pub mod error;
pub mod event;
pub mod headers;
