//! Quotas: what accounts have, and whether they may have more.
//!
//! Checked in the transaction that adds, and one transaction writes at a time, so no two requests can pass together where
//! only one may. What is counted by rows is bounded by the quota itself; what may be many is kept as a sum (`tallies`).

use std::sync::{PoisonError, RwLock};

use reelhook_domain::id::AccountId;
use reelhook_domain::measure::{Count, Family};
use reelhook_domain::quota::{Quota, Quotas};

use super::rows::{count, key};
use super::sql::query;
use super::writer::Tx;
use crate::Result;

pub(super) const ENDPOINTS: &str =
    "select count(*) as present from endpoints where account = ? and role in ('registered', 'default')";
pub(super) const KEYS: &str = "select count(*) as present from api_keys where account = ? and revoked_at is null";
pub(super) const ORIGINS: &str = "select count(*) as present from origins where account = ? and status <> 'archived'";
pub(super) const SECRETS: &str = "
    select (select count(*) from secrets where account = ?1)
        + (select count(*) from endpoints cross join secrets on secrets.endpoint = endpoints.id
            where endpoints.account = ?1 and endpoints.role = 'registered') as present";
pub(super) const UPLOAD_BYTES: &str =
    "select coalesce((select upload_bytes from tallies where account = ?), 0) as present";
pub(super) const WAITING: &str = "select coalesce((select waiting from tallies where account = ?), 0) as present";

/// What an upload counts for at least, as the triggers of `tallies` count it.
pub(super) const LEAST_UPLOAD: u64 = 4096;

/// How to count what an account has; none for what is not kept here.
pub(super) const fn counted(quota: Quota) -> Option<&'static str> {
    match quota {
        Quota::Endpoints => Some(ENDPOINTS),
        Quota::Keys => Some(KEYS),
        Quota::Origins => Some(ORIGINS),
        Quota::Secrets => Some(SECRETS),
        Quota::UploadBytes => Some(UPLOAD_BYTES),
        Quota::QueuedJobs => Some(WAITING),
        Quota::EventDeliveries => None,
    }
}

/// The quotas, and how often each refused something.
#[derive(Debug, Default)]
pub(super) struct Limits {
    quotas: RwLock<Quotas>,
    refused: [Count; Quota::ALL.len()],
}

impl Limits {
    pub(super) fn set(&self, quotas: Quotas) {
        // Every change is one assignment, so a panic elsewhere leaves it whole.
        *self.quotas.write().unwrap_or_else(PoisonError::into_inner) = quotas;
    }

    pub(super) fn get(&self) -> Quotas {
        *self.quotas.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn check(&self, quota: Quota, present: u64, more: u64) -> Result<()> {
        let checked = self.get().check(quota, present, more);
        if checked.is_err() {
            let counts = Quota::ALL.iter().zip(&self.refused);
            counts.filter(|(known, _)| **known == quota).for_each(|(_, count)| count.bump());
        }
        Ok(checked?)
    }

    pub(super) fn family(&self) -> Family {
        let counts = Quota::ALL.iter().zip(&self.refused).map(|(quota, count)| (quota.as_str(), count));
        Family::counters(
            "quota_refusals",
            "Requests refused because their account has all it may have",
            "quota",
            counts,
        )
    }
}

/// Goes on when the account may have `more` of it.
pub(super) fn check(tx: &mut Tx, quota: Quota, account: AccountId, more: u64) -> Result<()> {
    let limits = std::sync::Arc::clone(&tx.partners().limits);
    let (Some(_), Some(counted)) = (limits.get().limit(quota), counted(quota)) else { return Ok(()) };
    let present = count(&query(counted).bind(key(account)).one(tx)?, "present")?;
    limits.check(quota, present, more)
}
