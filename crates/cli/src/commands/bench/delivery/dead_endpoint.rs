//! Whether one dead endpoint among a thousand is felt by the others.

use std::time::Duration;

use super::receiver::Manner;
use super::rig::{KIND, Rig, latencies, percentile};
use crate::commands::bench::Effort;
use crate::commands::bench::page::{Figure, Section, Target};

const ENDPOINTS: u32 = 1_000;
/// 500 webhooks a second.
const PACE: Duration = Duration::from_secs(2);
/// What two runs without any difference may differ by.
const NOISE: f64 = 1.1;

pub(super) async fn measure(effort: Effort) -> anyhow::Result<Section> {
    let count = effort.pick(3, 10) as u32;
    let others = (count * (ENDPOINTS - 1)) as usize;
    let mut rig = Rig::start().await?;
    rig.endpoints(&rig.receiver.listen(Manner::Answers)?, KIND, ENDPOINTS - 1).await?;
    rig.paced(&[KIND], 3, PACE, 3 * (ENDPOINTS - 1) as usize).await?;

    let well = rig.endpoint(&rig.receiver.listen(Manner::Answers)?.join("1000")?, KIND).await?;
    let mut without = Vec::new();
    let (sent, arrivals) = rig.paced(&[KIND], count, PACE, others + count as usize).await?;
    without.extend(latencies(&sent, &arrivals));
    rig.api.delete(&["endpoints", &well]).await?;
    let dead = rig.endpoint(&rig.receiver.listen(Manner::Silent)?, KIND).await?;
    let (sent, arrivals) = rig.paced(&[KIND], 2 * count, PACE, 2 * others).await?;
    let with = latencies(&sent, &arrivals);
    rig.api.delete(&["endpoints", &dead]).await?;
    rig.endpoint(&rig.receiver.listen(Manner::Answers)?.join("1000")?, KIND).await?;
    let (sent, arrivals) = rig.paced(&[KIND], count, PACE, others + count as usize).await?;
    without.extend(latencies(&sent, &arrivals));
    rig.server.kill().await?;

    let figure = |name: &str, part| {
        Figure::new(name, percentile(&with, part), "ms", "with none dead", percentile(&without, part))
    };
    let figures = vec![
        figure("The others beside one black hole among 1,000, p50", 0.5).target(Target::Ratio(NOISE)),
        figure("The others beside one black hole among 1,000, p99", 0.99).target(Target::Ratio(NOISE)),
    ];
    let method = vec![format!(
        "Every event goes to all {ENDPOINTS} endpoints, one event each 2 s. First {count} events with all of them well, \
         then {} while one accepts connections and never answers, then {count} with all well again. From the request to \
         each webhook; unchanged means within {NOISE} x, which is what two equal runs may differ by.",
        2 * count
    )];
    Ok(Section { title: "Delivery: dead endpoint", figures, method })
}
