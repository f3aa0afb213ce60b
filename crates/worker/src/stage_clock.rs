//! How long a journey was in each stage, for the meter and the trace of its job.

use std::sync::{Arc, Mutex, PoisonError};

use reelhook_domain::ambient::Ambient;
use reelhook_domain::failure::Stage;
use reelhook_domain::id::JobId;
use reelhook_domain::time::Timestamp;
use reelhook_domain::trace::{Span, Tracer};

use crate::meter::{Meter, stage_word};

/// What a stage is told to when it is over.
#[derive(Debug)]
pub(crate) struct StageClock {
    job: JobId,
    ambient: Ambient,
    meter: Arc<Meter>,
    tracer: Tracer,
    current: Mutex<Option<(Stage, Timestamp)>>,
}

impl StageClock {
    /// For the journey of that job.
    pub(crate) const fn new(job: JobId, ambient: Ambient, meter: Arc<Meter>, tracer: Tracer) -> Self {
        Self { job, ambient, meter, tracer, current: Mutex::new(None) }
    }

    /// The journey is in that stage now, if it was not already.
    pub(crate) fn enter(&self, stage: Stage) {
        let now = self.ambient.now();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.is_none_or(|(known, _)| known != stage) {
            let left = current.replace((stage, now));
            drop(current);
            self.tell(left, now);
        }
    }

    /// The journey is over.
    pub(crate) fn stop(&self) {
        let left = self.current.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.tell(left, self.ambient.now());
    }

    fn tell(&self, left: Option<(Stage, Timestamp)>, now: Timestamp) {
        let Some((stage, began)) = left else { return };
        let took = now.since(began);
        self.meter.left(stage, took);
        // Random: a job that is begun again goes through its stages again.
        self.tracer.tell(|| {
            let id = u64::from_be_bytes(self.ambient.random());
            Span::of_job(self.job, id.max(1), stage_word(stage), began, took)
        });
    }
}

#[cfg(test)]
mod tests {
    use reelhook_testkit::system_ambient;

    use super::*;

    #[test]
    fn each_stretch_of_a_stage_is_told_once_when_it_is_over() {
        let told: Arc<Mutex<Vec<Span>>> = Arc::default();
        let listener = Arc::clone(&told);
        let tracer = Tracer::new(move |span| listener.lock().unwrap().push(span));
        let (job, meter) = (JobId::from_bits(77), Arc::new(Meter::default()));
        let clock = StageClock::new(job, system_ambient(), Arc::clone(&meter), tracer);
        for stage in [Stage::Fetching, Stage::Encoding, Stage::Encoding, Stage::Verifying, Stage::Encoding] {
            clock.enter(stage);
        }
        clock.stop();
        clock.stop();
        let told = told.lock().unwrap();
        let names: Vec<_> = told.iter().map(|span| span.name).collect();
        assert_eq!(names, ["fetch", "run", "verify", "run"]);
        assert!(told.iter().all(|span| (span.trace, span.parent) == (77, Some(77))));
        assert_eq!(told[1].tags, [("job.id", job.into())]);
    }
}
