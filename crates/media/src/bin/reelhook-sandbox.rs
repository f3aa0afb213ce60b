//! The launcher alone, for tests and for whoever wants to see what a sandboxed tool sees.
//!
//! In production the `reelhook` program is its own launcher, through a hidden command that calls the same function.

use std::process::ExitCode;

fn main() -> ExitCode {
    reelhook_media::sandbox::enter(std::env::args_os().skip(1))
}
