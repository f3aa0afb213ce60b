//! SIGINT, SIGTERM and SIGHUP: the first asks to stop, the second means it.
//!
//! A terminal that is closed sends SIGHUP, and there is nothing to load anew: it asks to stop like the others. SIGUSR1,
//! SIGUSR2 and SIGXFSZ, which a log file over its limit sends, end a program that does not take them over; here they change nothing.

use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::exit::Exit;
use crate::logging;

const HANG_UP: i32 = rustix::process::Signal::HUP.as_raw();
const FILE_TOO_LARGE: i32 = rustix::process::Signal::XFSZ.as_raw();

/// How a program ended that a signal ended.
pub(crate) const INTERRUPTED: u8 = Exit::Interrupted.code();

/// The signals that ask this program to stop.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// Nothing under `nohup`, which asks that it changes nothing.
    hang_up: Option<Signal>,
}

impl Signals {
    /// Takes the signals over: from now on they do not end the program by themselves.
    pub(crate) fn take() -> std::io::Result<Self> {
        // Taken over for as long as the program lives, whether anybody waits for them or not.
        for kind in [SignalKind::user_defined1(), SignalKind::user_defined2(), SignalKind::from_raw(FILE_TOO_LARGE)] {
            drop(signal(kind)?);
        }
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: if is_ignored(HANG_UP) { None } else { Some(signal(SignalKind::hangup())?) },
        })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        let hang_up = async {
            match &mut self.hang_up {
                Some(hang_up) => drop(hang_up.recv().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            () = hang_up => {}
        }
    }

    /// Waits for one that insists. SIGHUP does not: systemd sends it right after SIGTERM, and a shell after its terminal.
    pub(crate) async fn insisted(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Runs `work` until it ends or a signal comes. The work is dropped then, and the program shall end.
    pub(crate) async fn unless(
        &mut self,
        work: impl Future<Output = anyhow::Result<ExitCode>>,
    ) -> anyhow::Result<ExitCode> {
        tokio::select! {
            result = work => result,
            () = self.next() => Ok(ExitCode::from(INTERRUPTED)),
        }
    }

    /// Cancels `stop` at the first signal, and ends the program at the second.
    pub(crate) async fn stop_then_exit(mut self, stop: CancellationToken) {
        self.next().await;
        stop.cancel();
        tracing::info!("stopping: work is put back and deliveries in flight end; a second signal stops at once");
        self.insisted().await;
        logging::flush();
        std::process::exit(i32::from(INTERRUPTED));
    }
}

/// Whether this program was started with that signal ignored.
///
/// # Source
/// proc_pid_status(5): `SigIgn` is a mask in hexadecimal, of which the lowest bit is signal 1.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}
