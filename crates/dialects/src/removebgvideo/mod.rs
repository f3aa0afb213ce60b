//! RemoveBGVideo: the API of removebgvideo.com.

pub mod error;
pub mod event;
pub mod headers;
pub mod reply;
pub mod request;
