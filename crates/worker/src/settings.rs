//! How a worker works.

use std::time::Duration;

use reelhook_domain::price::PriceTable;
use reelhook_media::{Readers, Toolbox};

/// How a worker works. The defaults suit one machine.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerSettings {
    /// Jobs at the same time, at least 1. By default half of the cores: an encoder uses several.
    pub slots: usize,
    /// How long a claim lasts unless it is prolonged. By default 30 s.
    pub lease: Duration,
    /// How often leases are prolonged and progress is written while jobs run; far below `lease`. By default 1 s.
    pub heartbeat: Duration,
    /// How often a job's progress may become an event, for those who ask for such events. By default 5 s.
    pub progress_event: Duration,
    /// How often a worker with free slots looks for jobs without having been woken. By default 30 s; 1 s while jobs are
    /// held by others, whose leases may run out.
    pub look_again: Duration,
    /// How often expired uploads and what dead workers left are removed. By default 5 min.
    pub sweep: Duration,
    /// How inputs are downloaded.
    pub fetch: FetchLimits,
    /// How often a job may be claimed before it is given up. By default 5.
    pub claims_before_giving_up: u32,
    /// How long a question about an estimate stands. By default 24 h.
    pub question: Duration,
    /// What encodings cost.
    pub prices: PriceTable,
    /// Most bytes that one job may have in its scratch folder at once. By default 50 GiB.
    pub scratch_bytes: u64,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            slots: (cores / 2).max(1),
            lease: Duration::from_secs(30),
            heartbeat: Duration::from_secs(1),
            progress_event: Duration::from_secs(5),
            look_again: Duration::from_secs(30),
            sweep: Duration::from_secs(5 * 60),
            fetch: FetchLimits::default(),
            claims_before_giving_up: 5,
            question: Duration::from_secs(24 * 3600),
            prices: PriceTable::default(),
            scratch_bytes: 50 << 30,
        }
    }
}

/// What media is read and made with.
#[derive(Debug, Clone)]
pub struct Tools {
    /// Those of this machine; absent where there is no ffmpeg.
    pub toolbox: Option<Toolbox>,
    /// Those for pictures and archives.
    pub readers: Readers,
}

/// How inputs are downloaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchLimits {
    /// Most bytes of an input. By default 10 GiB.
    pub bytes: u64,
    /// Longest time for all attempts together. By default 1 h.
    pub deadline: Duration,
    /// Longest gap between two pieces. By default 30 s.
    pub stall: Duration,
    /// Most redirects. By default 5.
    pub redirects: u8,
    /// Most requests; those after the first go on where the one before broke off, if the origin can. By default 3.
    pub attempts: u32,
    /// How long to wait before the second request; twice as long before each further one. By default 1 s.
    pub pause: Duration,
}

impl Default for FetchLimits {
    fn default() -> Self {
        Self {
            bytes: 10 << 30,
            deadline: Duration::from_secs(3600),
            stall: Duration::from_secs(30),
            redirects: 5,
            attempts: 3,
            pause: Duration::from_secs(1),
        }
    }
}
