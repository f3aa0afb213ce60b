//! Transcodely: the API of transcodely.com.

pub mod error;
pub mod event;
pub mod headers;
pub mod reply;
pub mod request;
#[cfg(test)]
mod tests;
