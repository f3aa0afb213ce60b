//! How many descriptors this process may have open, and who gets how many.
//!
//! Connections of callers, webhooks, files and tools all take descriptors of one limit. The soft limit, which many systems
//! set to 1024 for programs that cannot do with more, is raised to the hard one. Where even that is less than the
//! settings take together, each gets a share, so that callers who only connect leave enough for the work.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::settings::Settings;

/// The database, the log, listeners, the runtime, and uploads and results that are read and written meanwhile.
const FIXED: u64 = 192;
/// A job's input, outputs, and pipes to its tools.
const OF_JOB: u64 = 32;
/// Connections that are accepted beyond the limit, to be asked for the server's health.
const RESERVE: u64 = 64;
/// Most connections at rest to receivers and origins.
const IDLE: u64 = 1024;
/// What is asked for where the hard limit has no end, since the kernel has one.
const ENOUGH: u64 = 1 << 20;

/// Raises the limit as far as it goes, and says how far.
pub(crate) fn raise() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: Some(limit.maximum.unwrap_or(ENOUGH)), ..limit };
    if limit.current.is_some_and(|current| wanted.current > Some(current))
        && let Err(error) = setrlimit(Resource::Nofile, wanted)
    {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// How many descriptors go where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    /// The limit of the process.
    pub(crate) limit: u64,
    /// What the settings take together.
    pub(crate) needed: u64,
    /// Connections of callers.
    pub(crate) connections: usize,
    /// Webhook requests.
    pub(crate) in_flight: usize,
    /// Connections at rest to receivers and origins.
    pub(crate) idle: usize,
}

impl Share {
    /// What those settings get of that limit.
    pub(crate) fn of(limit: u64, settings: &Settings) -> Self {
        let slots = match settings.worker.slots {
            0 => reelhook_worker::WorkerSettings::default().slots,
            slots => slots,
        };
        let (connections, in_flight) = (settings.api.max_connections as u64, settings.delivery.in_flight as u64);
        let work = FIXED + OF_JOB * slots as u64;
        let needed = work + connections + RESERVE + in_flight + IDLE;
        let rest = limit - work.min(limit / 3);
        let part = |wanted: u64, divisor: u64| {
            let part = if limit >= needed { wanted } else { wanted.min(rest / divisor).max(1) };
            usize::try_from(part).unwrap_or(usize::MAX)
        };
        Self { limit, needed, connections: part(connections, 2), in_flight: part(in_flight, 8), idle: part(IDLE, 8) }
    }

    /// Whether the limit is lower than what the settings take.
    pub(crate) const fn is_short(&self) -> bool {
        self.limit < self.needed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_get_what_they_say_where_the_limit_allows_it() {
        let settings = Settings::default();
        let share = Share::of(u64::MAX, &settings);
        assert_eq!((share.connections, share.in_flight, share.is_short()), (4096, 512, false));
        assert_eq!(Share::of(share.needed, &settings), Share { limit: share.needed, ..share });
    }

    #[test]
    fn below_that_each_leaves_something_to_the_others() {
        let settings = Settings::default();
        for limit in [0, 1, 64, 160, 256, 1024, 4096] {
            let share = Share::of(limit, &settings);
            assert!(share.is_short() && share.connections > 0 && share.in_flight > 0 && share.idle > 0, "{share:?}");
            if limit >= 64 {
                let taken = share.connections + share.connections / 4 + share.in_flight + share.idle;
                assert!((taken as u64) < limit, "{share:?}");
            }
        }
    }
}
