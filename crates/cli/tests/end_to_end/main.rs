//! The real program, driven over HTTP, with the machine's ffmpeg.
//!
//! Each test has a server, a data folder and, where it needs them, a receiver and an origin of its own. What happens
//! inside the server is waited for by its event stream; only what it does not tell is asked for again and again.

mod addresses;
mod bad_days;
mod bad_input;
mod bombs;
mod cage;
mod contract;
#[cfg(feature = "failpoints")]
mod crashes;
mod cutters;
mod disk;
mod foreign;
mod hosts;
mod inbox;
mod journey;
mod kills;
mod links;
mod logs;
mod metrics;
#[allow(dead_code, reason = "shared with the tests of media")]
#[path = "../../../media/tests/media/onnx.rs"]
mod onnx;
mod package;
mod pictures;
mod plan;
#[allow(dead_code, reason = "shared with the tests of services")]
mod player;
mod process;
#[cfg(feature = "failpoints")]
mod publishing;
mod quotas;
mod readers;
mod receivers;
mod samples;
mod small_disk;
mod sockets;
mod streams;
mod traces;
#[allow(dead_code, reason = "shared with the tests of services")]
mod world;
