//! Whoever is asked while something is written, for as long as he lives.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::quotas::Limits;
use crate::{HandOff, JobTaker};

/// A place for one who is asked.
#[derive(Debug)]
pub(super) struct Asked<T: ?Sized>(Arc<Mutex<Option<Weak<T>>>>);

impl<T: ?Sized> Asked<T> {
    pub(super) fn set(&self, who: &Arc<T>) {
        *self.lock() = Some(Arc::downgrade(who));
    }

    pub(super) fn get(&self) -> Option<Arc<T>> {
        self.lock().as_ref()?.upgrade()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Weak<T>>> {
        // Every change is one assignment, so a panic elsewhere leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: ?Sized> Clone for Asked<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: ?Sized> Default for Asked<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

/// All who are asked.
#[derive(Debug, Clone, Default)]
pub(super) struct Partners {
    /// What comes of events.
    pub(super) hand_off: Asked<dyn HandOff>,
    /// Who works on a job.
    pub(super) job_taker: Asked<dyn JobTaker>,
    /// Whether an account may have more.
    pub(super) limits: Arc<Limits>,
}
