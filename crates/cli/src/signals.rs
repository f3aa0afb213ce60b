//! SIGINT and SIGTERM: the first asks to stop, the second means it.

use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How a program ended that a signal ended: 128 and the number of SIGINT.
pub(crate) const INTERRUPTED: u8 = 130;

/// The signals that ask this program to stop.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
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
