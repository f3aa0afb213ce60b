//! Finding out what would become of a job, without making it.
//!
//! The first half of its journey is walked (fetch, probe, plan) over a job that is nowhere kept, and what was fetched is
//! thrown away. So few of these walks go on at once that a server that is asked for plans still has room for jobs: who
//! comes while all places are taken is told to come again.

use std::sync::Arc;

use reelhook_domain::ambient::Ambient;
use reelhook_domain::job::Job;
use reelhook_domain::outline::Outline;
use reelhook_egress::Client;
use reelhook_files::Files;
use reelhook_store::{FetchHeaders, Store, StoreError};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::held::Seat;
use crate::journey::{Means, outline};
use crate::settings::{Tools, WorkerSettings};

/// Most walks at once.
pub const MOST_PLANS: usize = 2;

/// Finds out what would become of jobs.
#[derive(Debug)]
pub struct Planner {
    means: Means,
    places: Semaphore,
    stop: CancellationToken,
}

/// Why nothing was found out. That a job would fail is an [`Outline`] that says so.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// All places are taken.
    #[error("the server works on {MOST_PLANS} plans already, which is the limit; try again in a moment")]
    Busy,
    /// This process lacks what a plan takes.
    #[error("the server is too busy to make a plan; try again later")]
    Short,
    /// The server stops.
    #[error("the server is stopping")]
    Stopping,
    /// The store did not do its part.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Planner {
    /// A planner that works as a [`Worker`](crate::Worker) of the same parts would, until `stop`.
    pub fn new(
        store: Arc<dyn Store>,
        files: Files,
        egress: Client,
        tools: Tools,
        ambient: Ambient,
        settings: WorkerSettings,
        stop: CancellationToken,
    ) -> Self {
        let Tools { toolbox, readers } = tools;
        let means = Means { store, files, egress, toolbox, readers, ambient, settings, meter: Arc::default() };
        Self { means, places: Semaphore::new(MOST_PLANS), stop }
    }

    /// What would become of `job`.
    ///
    /// # Errors
    /// When nothing was found out, for no reason of the job's.
    ///
    /// # Cancel safety
    /// Dropping the future ends the walk, its tools too, and removes what was fetched.
    pub async fn outline(&self, job: &Job, fetch_headers: &FetchHeaders) -> Result<Outline, PlanError> {
        let _place = self.places.try_acquire().map_err(|_| PlanError::Busy)?;
        let seat = Seat::without_lease(self.stop.child_token());
        outline(&self.means, job, fetch_headers, &seat).await
    }
}
