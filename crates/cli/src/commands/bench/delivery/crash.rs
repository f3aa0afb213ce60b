//! The server is killed with a full queue: how long until all is delivered, and how much came twice.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use reelhook_store::Deliveries as _;

use super::load;
use super::receiver::Arrival;
use super::rig::{CONNECTIONS, KIND, PATIENCE, Rig};
use crate::ambient;
use crate::commands::bench::Effort;
use crate::commands::bench::page::{Figure, Section, Target, median};
use crate::data_folder::DataFolder;

/// Events that are left when the server is killed.
const QUEUED: u32 = 10_000;
/// Events that are received before, so that it is killed at full speed.
const BEFORE: u32 = 600;
const BATCH: usize = 100;

/// What one crash came to.
#[derive(Debug, Clone, Copy)]
struct Crash {
    /// Seconds from the start of the second server.
    until_all: f64,
    /// Webhooks that came twice.
    again: f64,
    /// Received when the server was killed, and not noted as delivered in its database.
    in_flight: f64,
}

pub(super) async fn measure(effort: Effort) -> anyhow::Result<Section> {
    let times = effort.pick(1, 5);
    let mut crashes = Vec::new();
    for _ in 0..times {
        crashes.push(crash().await?);
    }
    let middle = |of: fn(&Crash) -> f64| median(crashes.iter().map(of).collect());
    let in_flight = middle(|crash| crash.in_flight);
    let is_bounded = crashes.iter().all(|crash| crash.again <= crash.in_flight);
    let bound = if is_bounded { in_flight } else { 0.0 };
    let figures = vec![
        Figure::alone("Restart to all of 10,000 delivered", middle(|crash| crash.until_all), "s")
            .target(Target::Value(3.0))
            .aim(Target::Value(1.0)),
        Figure::new("Webhooks that came twice", middle(|crash| crash.again), "of 10,000", "in flight", in_flight)
            .target(Target::Value(bound)),
    ];
    let method = vec![format!(
        "The receiver holds its answers until all events are accepted; then {BEFORE} are delivered, and the server gets \
         SIGKILL with {QUEUED} left. From before the process of the second server exists to the last event that had not \
         come; {times} times, the median. In flight is what the receiver had read and the database of the killed server, \
         looked at in a copy, did not yet have as delivered; no crash had more duplicates than that. Every event came.",
    )];
    Ok(Section { title: "Delivery: crash", figures, method })
}

async fn crash() -> anyhow::Result<Crash> {
    let mut rig = Rig::with_one_endpoint().await?;
    let all = (QUEUED + BEFORE) as usize;
    rig.receiver.set_open(false);
    let (post, numbers) = (rig.post(&[KIND; BATCH])?, rig.numbers(QUEUED + BEFORE));
    load::closed(post, numbers, CONNECTIONS).await?;
    rig.receiver.set_open(true);
    rig.receiver.reach(BEFORE as usize, PATIENCE).await?;
    rig.server.kill().await?;

    let came = rig.receiver.arrivals().len();
    let noted = delivered(&rig.data(), &rig.folder.path().join("copy")).await?;
    let begun = Instant::now();
    rig.restart().await?;
    let arrivals = rig.receiver.reach(all, PATIENCE).await?;
    rig.server.stop().await?;
    let last = first_arrivals(&arrivals).into_values().max().context("nothing came")?;
    Ok(Crash {
        until_all: last.saturating_duration_since(begun).as_secs_f64(),
        again: (rig.receiver.arrivals().len() - all) as f64,
        in_flight: (came as f64) - noted as f64,
    })
}

/// When each event came the first time.
fn first_arrivals(arrivals: &[Arrival]) -> HashMap<u32, Instant> {
    let mut first = HashMap::new();
    for arrival in arrivals {
        first.entry(arrival.number).or_insert(arrival.at);
    }
    first
}

/// How many deliveries a server that was killed has noted as delivered: in a copy, lest the looking spare its successor
/// the work.
async fn delivered(data: &Path, copy: &Path) -> anyhow::Result<u64> {
    let folder = DataFolder::create(copy)?;
    for entry in fs::read_dir(data)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), copy.join(entry.file_name()))?;
        }
    }
    let (store, _) = folder.open(&ambient::system()).await?;
    let counts = store.count_deliveries().await?;
    store.close().await;
    Ok(counts.into_iter().find(|(state, _)| state == "delivered").map_or(0, |(_, count)| count))
}
