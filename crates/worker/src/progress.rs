//! How far a running job is, as its journey tells it and its heartbeat reads it: the latest wins, and it never goes back.

use std::sync::{Mutex, MutexGuard, PoisonError};

use reelhook_domain::failure::Stage;
use reelhook_domain::id::OutputId;

use crate::stage_clock::StageClock;

/// What the percents of a whole job are made of: up to where each stage leads.
pub(crate) const FETCHED: f64 = 5.0;
pub(crate) const ENCODED: f64 = 95.0;
/// The last percent belongs to the end of the job.
const MOST: f64 = 99.0;

/// A place to note progress. One for each running job.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    reading: Mutex<Option<Reading>>,
    /// Told of each stage.
    clock: Option<StageClock>,
}

/// How far a job is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reading {
    pub(crate) stage: Stage,
    pub(crate) progress: u8,
    pub(crate) outputs: Vec<(OutputId, u8)>,
    is_news: bool,
}

impl Gauge {
    /// A gauge that tells the clock of each stage.
    pub(crate) fn with_clock(clock: StageClock) -> Self {
        Self { clock: Some(clock), ..Self::default() }
    }

    /// Nothing more is noted.
    pub(crate) fn stop(&self) {
        if let Some(clock) = &self.clock {
            clock.stop();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Reading>> {
        // A number that was half updated when somebody panicked is still a number.
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, stage: Stage, change: impl FnOnce(&mut Reading)) {
        if let Some(clock) = &self.clock {
            clock.enter(stage);
        }
        let mut kept = self.lock();
        let fresh = || Reading { stage, progress: 0, outputs: Vec::new(), is_news: true };
        let reading = kept.get_or_insert_with(fresh);
        let before = reading.clone();
        reading.stage = stage;
        change(reading);
        reading.is_news |= *reading != before;
    }

    /// The journey is in `stage`, at `percent` of the whole job.
    pub(crate) fn note(&self, stage: Stage, percent: f64) {
        self.change(stage, |reading| reading.progress = reading.progress.max(whole(percent)));
    }

    /// One output is at `percent` of its own.
    pub(crate) fn note_output(&self, stage: Stage, output: OutputId, percent: f64) {
        self.change(stage, |reading| match reading.outputs.iter_mut().find(|(id, _)| *id == output) {
            Some((_, progress)) => *progress = (*progress).max(whole(percent)),
            None => reading.outputs.push((output, whole(percent))),
        });
    }

    /// How far it is, if that changed since this was last asked.
    pub(crate) fn take_news(&self) -> Option<Reading> {
        let mut kept = self.lock();
        let reading = kept.as_mut().filter(|reading| reading.is_news)?;
        reading.is_news = false;
        Some(reading.clone())
    }
}

/// A percentage below the end, rounded down.
fn whole(percent: f64) -> u8 {
    percent.clamp(0.0, MOST) as u8
}

/// The share of the encoding that one step has, of steps that count alike.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Share {
    from: f64,
    to: f64,
}

impl Share {
    /// The share of step `number` of `steps`.
    pub(crate) fn of(number: usize, steps: usize) -> Self {
        let width = (ENCODED - FETCHED) / steps.max(1) as f64;
        let from = width.mul_add(number as f64, FETCHED);
        Self { from, to: from + width }
    }

    /// The percents of the whole job at `fraction` of this step.
    pub(crate) fn at(self, fraction: f64) -> f64 {
        (self.to - self.from).mul_add(fraction.clamp(0.0, 1.0), self.from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_never_goes_back_and_never_says_a_hundred() {
        let gauge = Gauge::default();
        let output = OutputId::from_bits(1);
        gauge.note(Stage::Encoding, 40.0);
        gauge.note(Stage::Verifying, 30.0);
        gauge.note_output(Stage::Verifying, output, 120.0);
        gauge.note_output(Stage::Verifying, output, 50.0);
        let reading = gauge.take_news().unwrap();
        assert_eq!((reading.stage, reading.progress, reading.outputs), (Stage::Verifying, 40, vec![(output, 99)]));
    }

    #[test]
    fn what_did_not_change_is_no_news() {
        let gauge = Gauge::default();
        assert_eq!(gauge.take_news(), None);
        gauge.note(Stage::Fetching, 1.0);
        assert!(gauge.take_news().is_some());
        gauge.note(Stage::Fetching, 1.4);
        assert_eq!(gauge.take_news(), None);
        gauge.note(Stage::Fetching, 2.0);
        assert!(gauge.take_news().is_some());
    }

    #[test]
    fn steps_share_the_encoding_without_a_gap() {
        assert_eq!(Share::of(0, 2).at(0.0), FETCHED);
        assert_eq!(Share::of(0, 2).at(1.0), Share::of(1, 2).at(0.0));
        assert_eq!(Share::of(1, 2).at(7.0), ENCODED);
    }
}
