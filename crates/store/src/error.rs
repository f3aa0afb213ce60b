//! Why the store could not do its part.

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
    /// The disk is full; nothing was changed.
    #[error("the database has no room left")]
    Full,
    /// The database did not do its part.
    #[error("database: {0}")]
    Database(#[source] Box<dyn std::error::Error + Send + Sync>),
}
