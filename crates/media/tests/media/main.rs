//! The whole way with the real tools: clips are made with ffmpeg, go through probe, plan, run and verify, and what
//! comes out is measured by other means than the crate's own.

#![expect(clippy::unwrap_used, reason = "what a test sets up must work; the panic says where it did not")]

mod clips;
mod cutouts;
mod damage;
mod field;
mod joined;
mod kinds;
mod machine;
mod models;
mod onnx;
mod package;
mod proxy;
mod recipes;
mod remove_background;
mod rig;
mod sandbox;
mod streaming;
mod style;
