//! What the server takes while nothing happens.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::rig::Rig;
use crate::commands::bench::Effort;
use crate::commands::bench::page::{Figure, Section, Target};

const MB: f64 = 1e6;
/// After the last webhook, until the server is looked at.
const REST: Duration = Duration::from_secs(5);

pub(super) async fn measure(effort: Effort) -> anyhow::Result<Section> {
    let (seconds, events) = (effort.pick(15, 60), 100);
    let mut rig = Rig::with_one_endpoint().await?;
    rig.rates(events, 1).await?;
    sleep(REST).await;
    let (cpu, wakes, begun) = (rig.server.cpu()?, rig.server.wakes()?, Instant::now());
    sleep(Duration::from_secs(seconds as u64)).await;
    let took = begun.elapsed().as_secs_f64();
    let cpu = rig.server.cpu()?.saturating_sub(cpu).as_secs_f64() / took * 100.0;
    // Threads that ended meanwhile took their count with them.
    let wakes = rig.server.wakes()?.saturating_sub(wakes) as f64 / took;
    let resident = rig.server.resident_bytes()? as f64 / MB;
    rig.server.stop().await?;
    let figures = vec![
        Figure::alone("Memory (VmRSS)", resident, "MB").target(Target::Value(40.0)).aim(Target::Value(25.0)),
        Figure::alone("CPU, of one core", cpu, "%").target(Target::Value(0.5)),
        Figure::alone("Wake-ups of all threads", wakes, "a second"),
    ];
    let method = vec![format!(
        "{seconds} s without a request, {} s after {events} webhooks were delivered. CPU is user and system \
         time of the process (`/proc/PID/stat`, to 10 ms), wake-ups are the voluntary context switches of its threads: \
         each loop that looks once a second makes several. MB are 10^6 bytes.",
        REST.as_secs()
    )];
    Ok(Section { title: "Delivery: idle", figures, method })
}
