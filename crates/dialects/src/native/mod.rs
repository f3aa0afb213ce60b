//! Native: our own API, `docs/` and `/openapi.json` describe it.

pub mod event;
pub mod headers;
pub mod judge;
pub mod origin;
pub mod publication;
pub mod reply;
pub mod request;
pub mod tls;
mod waiting;
