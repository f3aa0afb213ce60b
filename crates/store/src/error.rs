//! Why the store could not do its part.

use reelhook_domain::id::EndpointId;
use reelhook_domain::quota::QuotaExceeded;
use reelhook_domain::time::Timestamp;
use reelhook_domain::{delivery, job};

/// Why the store could not do its part, by what the caller does next.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such thing, or it is another account's.
    #[error("not found")]
    NotFound,
    /// The claim is no longer held: somebody else has the row, or it came to its end. Stop working on it.
    #[error("the lease was lost")]
    LeaseLost,
    /// The job's state does not allow that.
    #[error(transparent)]
    IllegalJobStep(#[from] job::IllegalStep),
    /// The delivery's state does not allow that.
    #[error(transparent)]
    IllegalDeliveryStep(#[from] delivery::IllegalStep),
    /// What it carried is no longer kept.
    #[error("its body is no longer kept")]
    BodyGone,
    /// Where it would be sent was deleted.
    #[error("its endpoint {0} was deleted")]
    EndpointGone(EndpointId),
    /// As many old secrets sign as may beside a new one.
    #[error("too many old secrets sign until {until}")]
    TooManySecrets {
        /// When the first of them ends.
        until: Timestamp,
    },
    /// The name is taken.
    #[error("already exists")]
    AlreadyExists,
    /// A stored value cannot be read: written by a newer version, or damaged.
    #[error("stored {what} cannot be read: {why}")]
    Corrupt {
        /// Which value.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The account has as much as it may have; nothing was changed.
    #[error(transparent)]
    Quota(#[from] QuotaExceeded),
    /// The disk is full; nothing was changed.
    #[error("the database has no room left")]
    Full,
    /// This process lacks descriptors or memory at the moment; nothing was changed.
    #[error("the process lacks descriptors or memory: {0}")]
    OutOfResources(#[source] std::io::Error),
    /// The database did not do its part.
    #[error("database: {0}")]
    Database(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    /// The same error for one more of those who shared a commit. The cause is kept as text.
    pub(crate) fn shared(&self) -> Self {
        match self {
            Self::Full => Self::Full,
            Self::Quota(exceeded) => Self::Quota(*exceeded),
            other => Self::Database(other.to_string().into()),
        }
    }

    /// A value that cannot be read, with the reason as text.
    pub(crate) fn corrupt(what: &'static str, why: &dyn std::fmt::Display) -> Self {
        Self::Corrupt { what, why: why.to_string() }
    }
}

/// Codes of SQLite that say that the disk is full.
///
/// # Source
/// SQLite result codes: 13 is `SQLITE_FULL`; 4874 is `SQLITE_IOERR_SHMSIZE`, which is what growing the write-ahead log's
/// index says on a full disk.
const FULL: [i32; 2] = [13, 4874];

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ffi::{SQLITE_CONSTRAINT_FOREIGNKEY, SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE};
        match error.sqlite_error().map(|refusal| refusal.extended_code) {
            Some(code) if FULL.contains(&code) => Self::Full,
            Some(SQLITE_CONSTRAINT_UNIQUE | SQLITE_CONSTRAINT_PRIMARYKEY) => Self::AlreadyExists,
            Some(SQLITE_CONSTRAINT_FOREIGNKEY) => Self::NotFound,
            _ => Self::Database(Box::new(error)),
        }
    }
}
