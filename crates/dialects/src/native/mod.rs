//! Native: our own API, `docs/` and `/openapi.json` describe it.

pub mod event;
pub mod headers;
pub mod origin;
pub mod publication;
pub mod reply;
pub mod request;
mod waiting;
