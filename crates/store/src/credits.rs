//! Credits: balances, and what jobs took from them.

use async_trait::async_trait;
use reelhook_domain::id::{AccountId, JobId};
use reelhook_domain::job::Dialect;
use reelhook_domain::time::Timestamp;
use serde_json::Value;

use crate::Result;

/// What one job took.
#[derive(Debug, Clone, PartialEq)]
pub struct Charge {
    /// Which job.
    pub job: JobId,
    /// How much.
    pub credits: u64,
    /// The length that was paid for, in milliseconds.
    pub duration_ms: u64,
    /// What the job's caller said that only its dialect understands; null once the job is gone.
    pub said: Value,
    /// When.
    pub at: Timestamp,
}

/// How much an account used of one dialect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JobUse {
    /// Jobs made.
    pub jobs: u64,
    /// Those of them that are completed.
    pub completed: u64,
    /// Credits taken.
    pub credits: u64,
}

/// Credits. The end of a job with a credit rate that made something charges for it, once, in the same transaction
/// ([`crate::Jobs::finish_job`]); an account without a balance is charged nothing, and what it used is noted all the same.
#[async_trait]
pub trait Credits: Send + Sync {
    /// What the account has left, which may be less than nothing; none where it has no limit.
    async fn balance(&self, account: AccountId) -> Result<Option<i64>>;
    /// Adds to what the account has, or takes away. The first grant ends its having no limit. Answers the balance.
    async fn grant_credits(&self, account: AccountId, credits: i64) -> Result<i64>;
    /// The account has no limit again.
    async fn lift_credits(&self, account: AccountId) -> Result<()>;
    /// What jobs of that dialect took, newest first.
    async fn charges(&self, account: AccountId, dialect: Dialect, limit: u32) -> Result<Vec<Charge>>;
    /// How much was used of that dialect since then.
    async fn job_use(&self, account: AccountId, dialect: Dialect, since: Timestamp) -> Result<JobUse>;
}
