//! How an engine behaves: every bound of it is a number here.

use std::time::Duration;

/// How an engine behaves. Every number bounds something; none of them changes what a receiver is promised.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Most requests at once, to all endpoints together: 1 to 65,536.
    pub in_flight: usize,
    /// Most deliveries that wait in memory for one endpoint; the others wait in the store. From 1.
    pub lane_queue: usize,
    /// How many deliveries wait in memory before lanes are held to a handful each. From 1.
    pub queued: usize,
    /// How many bytes their bodies may have before the same happens. From 1.
    pub queued_bytes: usize,
    /// How long a claim lasts unless renewed, which is done at half of it: 1 s to 1 h.
    pub lease: Duration,
    /// Most events fanned out in one transaction: 1 to 500.
    pub fan_out_batch: u32,
    /// Most deliveries claimed in one transaction: 1 to 500.
    pub claim_batch: u32,
    /// Most attempts settled in one transaction: 1 to 1,000.
    pub settle_batch: usize,
    /// Most bytes of a response that are read and kept.
    pub response_cap: u64,
    /// How long endpoints and secrets are remembered when nobody says that they changed; bounds how late another
    /// process's change is seen.
    pub keyring_ttl: Duration,
    /// How long a lane is kept after its last delivery.
    pub lane_idle: Duration,
    /// How often the store is looked at when nothing happens; bounds how late another process's work is seen.
    pub poll: Duration,
    /// How long links in bodies work; after half of it a body is rendered with new ones.
    pub links_keep: Duration,
    /// How long requests in flight may go on once the engine is told to stop.
    pub stop_within: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            in_flight: 512,
            // What does not wait in memory is written, claimed and read once more: half of a flood's CPU.
            lane_queue: 16 * 1024,
            queued: 64 * 1024,
            queued_bytes: 64 * 1024 * 1024,
            lease: Duration::from_secs(60),
            fan_out_batch: 250,
            claim_batch: 500,
            settle_batch: 256,
            response_cap: 16 * 1024,
            keyring_ttl: Duration::from_secs(10),
            lane_idle: Duration::from_secs(60),
            poll: Duration::from_secs(1),
            links_keep: Duration::from_secs(30 * 24 * 3600),
            stop_within: Duration::from_secs(20),
        }
    }
}
