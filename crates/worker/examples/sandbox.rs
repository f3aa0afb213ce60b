//! The launcher that puts the sandbox on, for this crate's tests: examples are built beside them, at a known place.

use std::process::ExitCode;

fn main() -> ExitCode {
    reelhook_media::sandbox::enter(std::env::args_os().skip(1))
}
