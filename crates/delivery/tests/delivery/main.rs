//! The engine against a real SQLite store and a scripted receiver, with a clock that moves when told.

#![expect(clippy::unwrap_used, reason = "what a test sets up must work; the panic says where it did not")]

mod attempts;
mod clipzy;
mod clock;
mod compressor;
mod durability;
mod endpoints;
mod interest;
mod isolation;
mod removebgvideo;
mod retention;
mod transcodely;
mod two_engines;
mod world;
mod xora;
