//! What the writer counts.

use std::time::Duration;

use reelhook_domain::measure::{Count, Family, Spread};

/// The numbers of one writer.
#[derive(Debug)]
pub(super) struct Meter {
    batch: Spread,
    time: Spread,
    failed: Count,
}

impl Default for Meter {
    fn default() -> Self {
        Self { batch: Spread::sizes(), time: Spread::short_times(), failed: Count::default() }
    }
}

impl Meter {
    /// So many pieces of work went together and took so long, their commit included; whether it was kept.
    pub(super) fn wrote(&self, pieces: usize, took: Duration, kept: bool) {
        self.batch.note_size(pieces);
        self.time.note(took);
        if !kept {
            self.failed.bump();
        }
    }

    pub(super) fn families(&self) -> Vec<Family> {
        vec![
            Family::histogram("store_commit_pieces", "Pieces of work that shared one commit", &self.batch),
            Family::histogram(
                "store_commit_seconds",
                "Time of one transaction, from its start to the disk",
                &self.time,
            ),
            Family::counter("store_commit_failures", "Transactions that failed and were rolled back", &self.failed),
        ]
    }
}
