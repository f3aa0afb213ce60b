//! The heartbeat: keeps the leases of all running jobs, writes their progress, and learns which leases are lost.
//!
//! One call renews all leases and one writes the news of all gauges, however many jobs run. A nudge from the store that
//! some job was taken away renews at once, so that a cancel in this process is seen at once; nudges that come in crowds
//! are answered together. A job that ends before the first beat costs nothing here.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use reelhook_domain::id::JobId;
use reelhook_store::{ProgressUpdate, Topic};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::held::Held;
use crate::journey::Means;

/// Shortest time between two answers to nudges.
const CROWD: Duration = Duration::from_millis(200);

/// Beats until `stop`.
pub(crate) async fn beat(means: Arc<Means>, held: Arc<Held>, stop: CancellationToken) {
    let mut heart = Heart { means: &means, held: &held, announced: HashMap::new() };
    let mut taken = means.store.wakes().listen(Topic::JobTaken);
    let mut next_beat = Instant::now();
    let mut next_answer = Instant::now();
    loop {
        if held.is_empty() {
            tokio::select! {
                () = stop.cancelled() => return,
                () = held.wait() => {}
            }
            // Its lease is new, and a short job ends before anybody wants to know how far it is.
            next_beat = Instant::now() + means.settings.heartbeat;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep_until(next_beat) => {
                heart.renew().await;
                heart.write_progress().await;
                next_beat = Instant::now() + means.settings.heartbeat;
            }
            () = async { sleep_until(next_answer).await; taken.wait().await } => heart.renew().await,
        }
        next_answer = Instant::now() + CROWD;
    }
}

struct Heart<'a> {
    means: &'a Means,
    held: &'a Held,
    /// When a job's progress last became an event.
    announced: HashMap<JobId, Instant>,
}

impl Heart<'_> {
    async fn renew(&self) {
        let leases = self.held.leases();
        if leases.is_empty() {
            return;
        }
        let span = self.means.settings.lease;
        // From before the call: the store counts from when it wrote.
        let until = Instant::now() + span;
        // A store that hangs must not keep leases alive that it never wrote.
        match tokio::time::timeout(span, self.means.store.renew_jobs(&leases, span)).await {
            Ok(Ok(lost)) => self.held.renewed(&leases, &lost, until),
            Ok(Err(error)) => tracing::warn!(%error, "leases could not be renewed"),
            Err(_) => tracing::warn!("leases could not be renewed: the store does not respond"),
        }
        self.held.expire(Instant::now());
    }

    async fn write_progress(&mut self) {
        let gauges = self.held.gauges();
        self.announced.retain(|job, _| gauges.iter().any(|(held, ..)| held == job));
        let mut updates = Vec::new();
        for (job, token, gauge) in gauges {
            let Some(reading) = gauge.take_news() else { continue };
            let announce = self.announces(job);
            let (stage, progress, outputs) = (reading.stage, reading.progress, reading.outputs);
            updates.push(ProgressUpdate { job, token, stage, progress, outputs, announce });
        }
        if updates.is_empty() {
            return;
        }
        if let Err(error) = self.means.store.record_progress(updates).await {
            tracing::warn!(%error, "progress was not written");
        }
    }

    /// Whether this progress of a job shall become an event: not too many of them.
    fn announces(&mut self, job: JobId) -> bool {
        let now = Instant::now();
        let is_due = self.announced.get(&job).is_none_or(|last| now - *last >= self.means.settings.progress_event);
        if is_due {
            self.announced.insert(job, now);
        }
        is_due
    }
}
