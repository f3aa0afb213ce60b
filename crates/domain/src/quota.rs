//! Quotas: how much one account may have, or do in a minute, so that what it does costs the others little.

use std::fmt;

/// What is counted for each account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quota {
    /// Endpoints that it registered, and those of its default webhooks.
    Endpoints,
    /// API keys that work.
    Keys,
    /// Origins that were not deleted.
    Origins,
    /// Secrets that sign: its own, those of services, and those of its endpoints.
    Secrets,
    /// Bytes of its uploads that are kept.
    UploadBytes,
    /// Jobs that wait: queued, drafts, and those that ask for confirmation.
    QueuedJobs,
    /// Deliveries that come of the events that it publishes, in a minute.
    EventDeliveries,
}

impl Quota {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::Endpoints,
        Self::Keys,
        Self::Origins,
        Self::Secrets,
        Self::UploadBytes,
        Self::QueuedJobs,
        Self::EventDeliveries,
    ];

    /// Its name in JSON, in metrics, and in the settings, there with `quota.` before it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Endpoints => "endpoints",
            Self::Keys => "keys",
            Self::Origins => "origins",
            Self::Secrets => "secrets",
            Self::UploadBytes => "upload_bytes",
            Self::QueuedJobs => "queued_jobs",
            Self::EventDeliveries => "event_deliveries_per_minute",
        }
    }
}

/// The most of each that one account may have; `None` is no limit. By default nothing is limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quotas {
    /// See [`Quota::Endpoints`].
    pub endpoints: Option<u64>,
    /// See [`Quota::Keys`].
    pub keys: Option<u64>,
    /// See [`Quota::Origins`].
    pub origins: Option<u64>,
    /// See [`Quota::Secrets`].
    pub secrets: Option<u64>,
    /// See [`Quota::UploadBytes`].
    pub upload_bytes: Option<u64>,
    /// See [`Quota::QueuedJobs`].
    pub queued_jobs: Option<u64>,
    /// See [`Quota::EventDeliveries`].
    pub event_deliveries_per_minute: Option<u64>,
}

impl Quotas {
    /// The limit of one of them.
    pub const fn limit(&self, quota: Quota) -> Option<u64> {
        match quota {
            Quota::Endpoints => self.endpoints,
            Quota::Keys => self.keys,
            Quota::Origins => self.origins,
            Quota::Secrets => self.secrets,
            Quota::UploadBytes => self.upload_bytes,
            Quota::QueuedJobs => self.queued_jobs,
            Quota::EventDeliveries => self.event_deliveries_per_minute,
        }
    }

    /// Whether an account that has `present` may have `more` beside that.
    ///
    /// # Errors
    /// The quota that would be exceeded.
    pub fn check(&self, quota: Quota, present: u64, more: u64) -> Result<(), QuotaExceeded> {
        match self.limit(quota) {
            Some(limit) if present.saturating_add(more) > limit => Err(QuotaExceeded { quota, limit, present, more }),
            Some(_) | None => Ok(()),
        }
    }
}

/// A quota that a request would exceed. Its text is for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaExceeded {
    /// Which quota.
    pub quota: Quota,
    /// The most that the account may have.
    pub limit: u64,
    /// What the account has.
    pub present: u64,
    /// What the request would add.
    pub more: u64,
}

impl fmt::Display for QuotaExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { quota, limit, present, more } = self;
        let has = |things: &str| format!("the account has {present} {things}; the limit is {limit} (quota.{quota})");
        match quota {
            Quota::Endpoints => write!(f, "{}; delete one first", has("endpoints")),
            Quota::Keys => write!(f, "{}; revoke one first", has("API keys")),
            Quota::Origins => write!(f, "{}; delete one first", has("origins")),
            Quota::Secrets => write!(f, "{}; revoke one, or wait until a rotation is over", has("signing secrets")),
            Quota::UploadBytes => write!(
                f,
                "{}; this upload has at least {more}; uploads are removed when they expire",
                has("bytes of uploads")
            ),
            Quota::QueuedJobs => write!(f, "{}; try again once some of them have run", has("waiting jobs")),
            Quota::EventDeliveries => write!(
                f,
                "these events make {more} deliveries, after {present} in the last minute; the limit is {limit} per minute (quota.{quota})"
            ),
        }
    }
}

impl std::error::Error for QuotaExceeded {}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_lets_in_exactly_as_many_as_it_says() {
        let quotas = Quotas { keys: Some(3), ..Quotas::default() };
        assert!(quotas.check(Quota::Keys, 2, 1).is_ok());
        let exceeded = QuotaExceeded { quota: Quota::Keys, limit: 3, present: 3, more: 1 };
        assert_eq!(quotas.check(Quota::Keys, 3, 1), Err(exceeded));
        assert!(quotas.check(Quota::Keys, u64::MAX, u64::MAX).is_err());
        assert!(quotas.check(Quota::Endpoints, u64::MAX, u64::MAX).is_ok());
    }

    #[test]
    fn every_refusal_names_the_quota_its_limit_and_the_present_number() {
        for &quota in Quota::ALL {
            let text = QuotaExceeded { quota, limit: 70, present: 69, more: 5 }.to_string();
            for expected in [&*format!("quota.{quota}"), "70", "69"] {
                assert!(text.contains(expected), "{expected} is not in {text:?}");
            }
        }
    }
}
