//! Verbs that forget.

use std::time::Duration;

use reelhook_domain::id::JobId;
use reelhook_files::Key;
use reelhook_store::Erased;
use tokio::time::Instant;

use super::{Caller, Desk};
use crate::problem::{Problem, missing};

/// Most deliveries, or events, that are erased in one transaction.
const STEP: u32 = 100;
/// How long to wait until the last events of a job are fanned out, which takes a moment unless nobody does.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
const DAY: Duration = Duration::from_secs(24 * 3600);

impl Desk {
    /// How many days the account wants its deliveries and events kept, where it said so.
    pub(crate) async fn keep_days(&self, caller: Caller) -> Result<Option<u32>, Problem> {
        let keep = self.store().retention(caller.account).await?;
        Ok(keep.map(|keep| u32::try_from(keep.as_secs() / DAY.as_secs()).unwrap_or(u32::MAX)))
    }

    /// Sets or clears how many days the account wants its deliveries and events kept.
    pub(crate) async fn set_keep_days(&self, caller: Caller, days: Option<u32>) -> Result<(), Problem> {
        Ok(self.store().set_retention(caller.account, days.map(|days| DAY * days)).await?)
    }

    /// Removes a job that has ended and all that is kept of it.
    ///
    /// The job itself goes last: an erasure that was broken off, by a crash or by its caller, is asked for again.
    pub(crate) async fn erase_job(&self, caller: Caller, job: JobId) -> Result<(), Problem> {
        let deadline = Instant::now() + PATIENCE;
        let uploads = loop {
            match self.store().erase_job(caller.account, job, STEP).await.map_err(missing("job"))? {
                Erased::More => fail::fail_point!("api.erasing"),
                Erased::Waits if Instant::now() < deadline => tokio::time::sleep(LOOK_AGAIN).await,
                Erased::Waits => {
                    let detail = "the last events of this job are still on their way; try again in a moment";
                    return Err(Problem::conflict("state_conflict", detail));
                }
                Erased::Told { uploads } => break uploads,
            }
        };
        for upload in uploads {
            self.files().delete(&Key::upload(upload)).await?;
        }
        self.files().delete_job(job).await?;
        fail::fail_point!("api.erased_files");
        self.store().remove_job(caller.account, job).await.map_err(missing("job"))
    }
}
