//! Whether endpoints that never answer are felt by those that do.

use std::ops::Range;
use std::time::Duration;

use super::load::Sent;
use super::receiver::{Arrival, Manner};
use super::rig::{Rig, latencies, percentile};
use crate::commands::bench::Effort;
use crate::commands::bench::page::{Figure, Section, Target};

/// 100 events a second.
const PACE: Duration = Duration::from_millis(10);
const ENDPOINTS: u32 = 10;
/// The first ones are healthy throughout.
const HEALTHY: u32 = 5;

pub(super) async fn measure(effort: Effort) -> anyhow::Result<Section> {
    let count = effort.pick(1_000, 3_000) as u32;
    let mut rig = Rig::start().await?;
    let kinds: Vec<String> = (0..ENDPOINTS).map(|endpoint| format!("bench.tenant{endpoint}")).collect();
    let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
    register(&rig, &kinds, 0..HEALTHY, Manner::Answers).await?;

    let others = register(&rig, &kinds, HEALTHY..ENDPOINTS, Manner::Answers).await?;
    rig.paced(&kinds, 200, PACE, 200).await?;
    let mut without = healthy(rig.paced(&kinds, count, PACE, count as usize).await?);
    delete(&rig, others).await?;
    let holes = register(&rig, &kinds, HEALTHY..ENDPOINTS, Manner::Silent).await?;
    let with = healthy(rig.paced(&kinds, 2 * count, PACE, count as usize).await?);
    delete(&rig, holes).await?;
    register(&rig, &kinds, HEALTHY..ENDPOINTS, Manner::Answers).await?;
    without.extend(healthy(rig.paced(&kinds, count, PACE, count as usize).await?));
    rig.server.kill().await?;

    let figure = |name: &str, part| {
        Figure::new(name, percentile(&with, part), "ms", "all ten healthy", percentile(&without, part))
    };
    let figures = vec![
        figure("Healthy endpoints beside five black holes, p50", 0.5),
        figure("Healthy endpoints beside five black holes, p99", 0.99)
            .target(Target::Ratio(1.2))
            .aim(Target::Ratio(1.05)),
    ];
    let method = vec![format!(
        "Ten endpoints, each with a port, a lane and an event type of its own, and 100 events a second for each in turn. \
         First {count} events with all ten healthy, then {} while five accept connections and never answer, from before \
         their first request until well after their first timeouts, then {count} with all ten healthy again. From the \
         request to the webhook, of the same five endpoints throughout; the two healthy runs are one baseline.",
        2 * count
    )];
    Ok(Section { title: "Delivery: isolation", figures, method })
}

/// Registers these endpoints, each with a listener of its own; gives their ids.
async fn register(rig: &Rig, kinds: &[&str], endpoints: Range<u32>, manner: Manner) -> anyhow::Result<Vec<String>> {
    let mut ids = Vec::new();
    for endpoint in endpoints {
        let url = rig.receiver.listen(manner)?.join(&endpoint.to_string())?;
        ids.push(rig.endpoint(&url, kinds[endpoint as usize]).await?);
    }
    Ok(ids)
}

async fn delete(rig: &Rig, ids: Vec<String>) -> anyhow::Result<()> {
    for id in ids {
        rig.api.delete(&["endpoints", &id]).await?;
    }
    Ok(())
}

fn healthy((sent, mut arrivals): (Vec<Sent>, Vec<Arrival>)) -> Vec<f64> {
    arrivals.retain(|arrival| arrival.endpoint < HEALTHY);
    latencies(&sent, &arrivals)
}
