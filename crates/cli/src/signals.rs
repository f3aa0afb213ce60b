//! SIGINT and SIGTERM: the first asks to stop, the second means it.

use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::exit::Exit;

/// How a program ended that a signal ended.
pub(crate) const INTERRUPTED: u8 = Exit::Interrupted.code();

/// The signals that ask this program to stop.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

/// SIGHUP: a terminal sends it when its window is closed.
#[derive(Debug)]
pub(crate) struct HangUp(Option<Signal>);

impl HangUp {
    /// Takes the signal over, unless the program was started to ignore it (`nohup`).
    pub(crate) fn take() -> std::io::Result<Self> {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        Ok(Self(if ignores_hang_up(&status) { None } else { Some(signal(SignalKind::hangup())?) }))
    }

    /// Waits for it.
    pub(crate) async fn next(&mut self) {
        match &mut self.0 {
            Some(signal) => drop(signal.recv().await),
            None => std::future::pending().await,
        }
    }
}

/// Whether the lowest bit of `SigIgn`, which is SIGHUP, is set. Source: `proc_pid_status(5)`.
fn ignores_hang_up(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).map(str::trim);
    mask.and_then(|mask| u64::from_str_radix(mask, 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

impl Signals {
    /// Takes the signals over: from now on they do not end the program by themselves.
    pub(crate) fn take() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
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
        tracing::info!("stopping: work is put back and deliveries in flight end; a second signal stops at once");
        stop.cancel();
        self.next().await;
        std::process::exit(i32::from(INTERRUPTED));
    }
}

#[cfg(test)]
mod tests {
    use super::ignores_hang_up;

    #[test]
    fn nohup_is_seen() {
        assert!(ignores_hang_up("SigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\n"));
        assert!(!ignores_hang_up("SigBlk:\t0000000000000001\nSigIgn:\t0000000000001000\n"));
        assert!(!ignores_hang_up(""));
    }
}
