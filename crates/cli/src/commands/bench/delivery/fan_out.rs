//! One event to many endpoints.

use std::time::Duration;

use tokio::time::sleep;

use super::plain;
use super::receiver::Manner;
use super::rig::{CONNECTIONS, Rig, latencies, percentile};
use crate::commands::bench::Effort;
use crate::commands::bench::page::{Figure, Section, Target, median};

/// Between two events, so that what is left to do for one is not counted for the next.
const REST: Duration = Duration::from_millis(200);
const WARM_UP: usize = 3;

pub(super) async fn measure(effort: Effort) -> anyhow::Result<Section> {
    let times = effort.pick(5, 20);
    let mut rig = Rig::start().await?;
    let mut figures = Vec::new();
    for (kind, endpoints, must) in [("bench.hundred", 100, 8.0), ("bench.thousand", 1_000, 80.0)] {
        let url = rig.receiver.listen(Manner::Answers)?;
        rig.endpoints(&url, kind, endpoints).await?;
        let (mut took, mut bare) = (Vec::new(), Vec::new());
        for time in 0..WARM_UP + times {
            let (sent, arrivals) = rig.paced(&[kind], 1, REST, endpoints as usize).await?;
            let last = percentile(&latencies(&sent, &arrivals), 1.0);
            let rate = plain::rate(&url, endpoints, CONNECTIONS).await?;
            if time >= WARM_UP {
                took.push(last);
                bare.push(f64::from(endpoints) / rate * 1e3);
            }
            sleep(REST).await;
        }
        let bare = median(bare);
        let figure = |name, value| {
            let name = format!("One event to {endpoints} endpoints, {name}");
            Figure::new(name, value, "ms", "as many posts of the plain HTTP client", bare)
        };
        figures.push(figure("median", median(took.clone())).target(Target::Value(must)).aim(Target::Value(must / 2.0)));
        figures.push(figure("worst", percentile(&took, 1.0)));
    }
    rig.server.stop().await?;
    let method = vec![format!(
        "The endpoints differ in their path only, so their requests may share kept connections. From the request that \
         publishes the event to the last of its webhooks; {times} events one at a time, {} ms apart, after {WARM_UP} \
         that are not counted.",
        REST.as_millis()
    )];
    Ok(Section { title: "Delivery: fan-out", figures, method })
}
