//! The five services, each driven as a client of it would drive it: the real program, real media, real receivers.
//!
//! One file a service. The world (a server, a data folder, a client) and the inbox (a receiver) are those of the end to
//! end tests.

#![allow(clippy::unwrap_used, reason = "these are tests: a panic is how they fail")]

#[allow(dead_code, reason = "shared with the end to end tests")]
#[path = "../end_to_end/inbox.rs"]
mod inbox;
#[path = "../end_to_end/player.rs"]
mod player;
#[allow(dead_code, unused_imports, clippy::unwrap_used, reason = "shared with the tests of origins")]
#[path = "../../../files/tests/origin/s3_server.rs"]
mod s3_server;
#[path = "../end_to_end/small_disk.rs"]
mod small_disk;
#[allow(dead_code, reason = "shared with the end to end tests")]
#[path = "../end_to_end/world.rs"]
mod world;

mod clipzy;
mod compressor;
mod listeners;
mod quotas;
mod removebgvideo;
mod secrets;
mod transcodely;
mod xora;
