//! What a worker counts: atomics, read as [`Family`]s by whoever shows them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reelhook_domain::failure::Stage;
use reelhook_domain::measure::{Count, Family, Level, Spread};

/// The stages in the order of the walk, with the words of traces and metrics for them.
const STAGES: [(Stage, &str); 6] = [
    (Stage::Fetching, "fetch"),
    (Stage::Probing, "probe"),
    (Stage::Planning, "plan"),
    (Stage::Encoding, "run"),
    (Stage::Verifying, "verify"),
    (Stage::Storing, "store"),
];
/// The states that a worker ends jobs in.
const ENDS: [&str; 5] = ["completed", "partial", "failed", "rejected", "canceled"];

/// The word of traces and metrics for a stage.
pub(crate) fn stage_word(stage: Stage) -> &'static str {
    STAGES.iter().find(|(known, _)| *known == stage).map_or("other", |(_, word)| word)
}

/// The numbers of one worker.
#[derive(Debug)]
pub struct Meter {
    ends: [Count; ENDS.len()],
    stages: [Spread; STAGES.len()],
    waits: Spread,
    jobs: Spread,
    running: Level,
    slots: Level,
    is_running: AtomicBool,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            ends: Default::default(),
            stages: std::array::from_fn(|_| Spread::long_times()),
            waits: Spread::long_times(),
            jobs: Spread::long_times(),
            running: Level::default(),
            slots: Level::default(),
            is_running: AtomicBool::new(false),
        }
    }
}

impl Meter {
    /// A worker with so many slots runs in this process; until then there is nothing to show.
    pub(crate) fn begin(&self, slots: usize) {
        self.slots.set(slots);
        self.is_running.store(true, Ordering::Relaxed);
    }

    /// So many journeys are under way.
    pub(crate) fn running(&self, journeys: usize) {
        self.running.set(journeys);
    }

    /// A job was claimed for the first time, so long after it was asked for.
    pub(crate) fn waited(&self, time: Duration) {
        self.waits.note(time);
    }

    /// A stage was left after that time.
    pub(crate) fn left(&self, stage: Stage, time: Duration) {
        if let Some(place) = STAGES.iter().position(|(known, _)| *known == stage) {
            self.stages[place].note(time);
        }
    }

    /// A job ended in that state, so long after it was asked for.
    pub(crate) fn ended(&self, state: &str, time: Duration) {
        if let Some(place) = ENDS.iter().position(|&known| known == state) {
            self.ends[place].bump();
        }
        self.jobs.note(time);
    }

    /// All of it, as it is now; nothing in a process that works on no jobs.
    pub fn families(&self) -> Vec<Family> {
        if !self.is_running.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let stages = STAGES.iter().map(|(_, word)| *word).zip(&self.stages);
        vec![
            Family::counters("jobs_ended", "Jobs that a worker ended", "state", ENDS.into_iter().zip(&self.ends)),
            Family::histogram("job_wait_seconds", "Time from the submission of a job to its first claim", &self.waits),
            Family::histogram("job_seconds", "Time from the submission of a job to its end", &self.jobs),
            Family::histograms("job_stage_seconds", "Time of one pass of a job through a stage", "stage", stages),
            Family::gauge("worker_running", "Jobs that are running", self.running.value() as f64),
            Family::gauge("worker_slots", "Jobs that can run at once", self.slots.value() as f64),
        ]
    }
}
