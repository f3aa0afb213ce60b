//! Clipzy: the API of the Clipzy ML Engine.

pub mod error;
pub mod event;
pub mod headers;
