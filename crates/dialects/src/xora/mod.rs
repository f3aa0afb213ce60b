//! Xora: the API of xora.sh.

pub mod error;
pub mod event;
pub mod headers;
