//! Transcodely: the API of transcodely.com.

pub mod error;
pub mod event;
pub mod headers;
