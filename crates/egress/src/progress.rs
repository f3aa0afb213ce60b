//! How far one exchange has come: kept outside the work itself, so that it is still there when the deadline cuts the work off.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::failure::{Failure, Phase, Timings};
use crate::fault::Fault;
use crate::wire::Meter;

/// Longer than any exchange; added instead of a deadline that the clock cannot hold.
const FAR: Duration = Duration::from_secs(60 * 60 * 24 * 365);

#[derive(Debug)]
pub(crate) struct Progress {
    started: Instant,
    phase: Phase,
    phase_started: Instant,
    timings: Timings,
    meter: Option<Arc<Meter>>,
    sent_before: bool,
    pub(crate) address: Option<SocketAddr>,
    pub(crate) reused: bool,
}

impl Progress {
    pub(crate) fn start() -> Self {
        let now = Instant::now();
        Self {
            started: now,
            phase: Phase::Url,
            phase_started: now,
            timings: Timings::default(),
            meter: None,
            sent_before: false,
            address: None,
            reused: false,
        }
    }

    pub(crate) fn deadline(&self, after: Duration) -> Instant {
        self.started.checked_add(after).unwrap_or(self.started + FAR)
    }

    /// Ends the phase before and starts this one.
    pub(crate) fn enter(&mut self, phase: Phase) {
        let now = Instant::now();
        self.book(now);
        self.phase = phase;
        self.phase_started = now;
    }

    /// A request starts on this connection.
    pub(crate) fn send_on(&mut self, meter: &Arc<Meter>, address: SocketAddr) {
        self.enter(Phase::Send);
        self.sent_before |= self.meter.as_ref().is_some_and(|meter| meter.has_written());
        self.meter = Some(Arc::clone(meter));
        self.address = Some(address);
        self.timings.first_byte = Duration::ZERO;
    }

    pub(crate) fn timings(&self) -> Timings {
        Timings { total: self.started.elapsed(), ..self.timings }
    }

    pub(crate) fn fail(&mut self, fault: impl Into<Fault>, detail: String) -> Failure {
        let Fault { kind, tls } = fault.into();
        self.book(Instant::now());
        let meter = self.meter.as_ref();
        let phase = match self.phase {
            Phase::Send if meter.is_some_and(|meter| meter.has_sent_request()) => Phase::FirstByte,
            phase => phase,
        };
        Failure {
            phase,
            kind,
            tls,
            detail,
            address: self.address,
            timings: self.timings(),
            sent_bytes: self.sent_before || meter.is_some_and(|meter| meter.has_written()),
        }
    }

    fn book(&mut self, now: Instant) {
        let spent = now - self.phase_started;
        match self.phase {
            Phase::Dns => self.timings.dns += spent,
            Phase::Connect => self.timings.connect += spent,
            Phase::Tls => self.timings.tls += spent,
            Phase::Send | Phase::FirstByte => self.timings.first_byte += spent,
            Phase::Url | Phase::Body => {}
        }
        self.phase_started = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::FailureKind;

    #[test]
    fn bytes_sent_on_an_earlier_connection_are_not_forgotten() {
        let (first, second) = (Arc::new(Meter::default()), Arc::new(Meter::default()));
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        let mut progress = Progress::start();
        progress.send_on(&first, address);
        assert!(!progress.fail(FailureKind::Reset, String::new()).sent_bytes);
        first.wrote(1);
        progress.send_on(&second, address);
        assert!(progress.fail(FailureKind::Reset, String::new()).sent_bytes);
    }

    #[test]
    fn a_deadline_the_clock_cannot_hold_is_far_away() {
        let progress = Progress::start();
        assert_eq!(progress.deadline(Duration::MAX), progress.started + FAR);
    }
}
