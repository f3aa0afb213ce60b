//! Waiting for a job, for services that answer with the result.

use std::time::Duration;

use reelhook_domain::id::JobId;
use reelhook_domain::job::Job;
use reelhook_store::Topic;
use tokio::time::Instant;

use super::{Caller, Desk};
use crate::problem::{Problem, missing};

impl Desk {
    /// Waits until a job is as wanted, the time is over, or the server stops; gives the job as it is then.
    ///
    /// Nothing is asked again and again: every look follows a wake-up of the store.
    ///
    /// # Cancel safety
    /// The job goes on when nobody waits for it.
    pub(crate) async fn job_when(
        &self,
        caller: Caller,
        id: JobId,
        patience: Duration,
        wanted: impl Fn(&Job) -> bool + Send,
    ) -> Result<Job, Problem> {
        let until = Instant::now() + patience;
        // Armed before the first look, so that nothing slips between a look and the wait.
        let mut changed = self.store().wakes().listen(Topic::JobChanged);
        loop {
            let job = self.store().job(caller.account, id).await.map_err(missing("job"))?;
            if wanted(&job) || Instant::now() >= until {
                return Ok(job);
            }
            tokio::select! {
                () = changed.wait() => {}
                () = tokio::time::sleep_until(until) => {}
                () = self.stop().cancelled() => return Ok(job),
            }
        }
    }
}
