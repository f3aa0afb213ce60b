//! The program `reelhook`: parse, resolve, wire, run.
//!
//! Everything happens in [`commands`], one file a command; [`wiring`] puts the server together for `serve` and `demo`.

use std::process::ExitCode;

use clap::Parser as _;
use rustix::thread::disable_transparent_huge_pages;

mod address;
mod ambient;
mod api_key;
mod args;
mod client;
mod commands;
#[cfg(feature = "failpoints")]
mod crash;
mod data_folder;
mod descriptors;
mod download;
mod event_type;
mod exit;
mod follow;
mod link_key;
mod logging;
mod master_key;
mod otlp;
mod output;
mod progress;
mod samples;
mod service_manager;
mod settings;
mod signals;
mod sse;
mod wiring;

/// Requests, rows and webhooks are many small pieces that one thread makes and another drops: the system's allocator took
/// an eighth of the CPU of a delivery.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    // Before all else: each child process of a job passes through here on its way into the sandbox.
    if words.next().is_some_and(|word| word == "sandbox-exec") {
        return reelhook_media::sandbox::enter(words);
    }
    // A server at rest takes 34 MB with pages of 4 KiB and 55 MB with pages of 2 MiB. Children have them back. A kernel that
    // cannot switch them off has none.
    let _ = disable_transparent_huge_pages(true);
    let code = match commands::run(args::Cli::parse()) {
        Ok(code) => code,
        Err(error) if error.is::<output::Gone>() => ExitCode::SUCCESS,
        Err(error) => {
            output::note(format_args!("reelhook: {}", exit::sentence(&error)));
            exit::Exit::of(&error).into()
        }
    };
    logging::flush();
    code
}
