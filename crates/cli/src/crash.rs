//! Crash points for the tests that kill the server between the steps of a walk.
//!
//! `REELHOOK_CRASH_AT=name` or `name:3` makes the first or the third passage of the fail point `name` a SIGKILL of this
//! process: no destructor runs, nothing is flushed, as when the power goes.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, anyhow};
use rustix::process::{Signal, getpid, kill_process};

/// The variable of the environment that names a crash point.
pub(crate) const VARIABLE: &str = "REELHOOK_CRASH_AT";

/// Arms the crash point that the environment names, if it names one.
pub(crate) fn arm() -> anyhow::Result<()> {
    let Ok(text) = std::env::var(VARIABLE) else { return Ok(()) };
    let (name, nth) = text.split_once(':').unwrap_or((&text, "1"));
    let nth: u64 = nth
        .parse()
        .with_context(|| format!("{VARIABLE} is {text}; it must be a name, or a name, a colon and a number"))?;
    let passed = AtomicU64::new(0);
    let crash = move || {
        if passed.fetch_add(1, Ordering::Relaxed) + 1 == nth {
            kill_process(getpid(), Signal::KILL).expect("a process may kill itself");
            // The signal is on its way; nothing more may happen.
            loop {
                std::thread::park();
            }
        }
    };
    fail::cfg_callback(name, crash).map_err(|error| anyhow!("{VARIABLE} is {text}: {error}"))
}
