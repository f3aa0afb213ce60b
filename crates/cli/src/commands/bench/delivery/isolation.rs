//! Whether endpoints that never answer are felt by those that do.

use std::ops::Range;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::Barrier;
use tokio::time::sleep;

use super::receiver::Manner;
use super::rig::{Rig, Tenant, latencies, percentile};
use crate::commands::bench::Effort;
use crate::commands::bench::page::{Figure, Section, Target};

/// 100 events a second.
const PACE: Duration = Duration::from_millis(10);
const ENDPOINTS: u32 = 10;
/// The first ones are healthy throughout.
const HEALTHY: u32 = 5;
/// Events that are not counted.
const WARM_UP: u32 = 200;

/// Whose the endpoints are.
#[derive(Debug, Clone, Copy)]
enum Spread {
    OneAccount,
    TenAccounts,
}

/// Milliseconds from request to webhook, of the healthy endpoints.
struct Times {
    with: Vec<f64>,
    without: Vec<f64>,
}

pub(super) async fn measure(effort: Effort) -> anyhow::Result<Section> {
    let count = effort.pick(2_000, 6_000) as u32;
    let mut figures = Vec::new();
    for (spread, whose) in [(Spread::TenAccounts, "ten accounts"), (Spread::OneAccount, "one account")] {
        let Times { with, without } = run(spread, count).await.context(whose)?;
        let figure = |part, name| {
            let name = format!("Healthy endpoints beside five black holes, {whose}, {name}");
            Figure::new(name, percentile(&with, part), "ms", "all ten healthy", percentile(&without, part))
        };
        figures.push(figure(0.5, "p50"));
        figures.push(figure(0.99, "p99").target(Target::Ratio(1.2)).aim(Target::Ratio(1.05)));
    }
    let method = vec![
        format!(
            "Ten endpoints, each with a port, a lane and an event type of its own, and 100 events a second for each in \
             turn: once with an account for each, then, on fresh servers, with all of them in one account. Five accept \
             connections and never answer; {count} events, from before their first request until well after their first \
             timeouts. From the request to the webhook, of the five that answer."
        ),
        "The baseline is the same five endpoints of a second server at the same time, with a folder, a receiver and a \
         load of its own, that has ten endpoints that all answer. One after the other would compare the disk with \
         itself: the p99 of its syncs, which is most of this p99, drifts by more than the bound within a minute."
            .to_owned(),
    ];
    Ok(Section { title: "Delivery: isolation", figures, method })
}

/// Both servers at once, their events half a pace apart, so that they do not meet at the disk by rule.
async fn run(spread: Spread, count: u32) -> anyhow::Result<Times> {
    let start = Barrier::new(2);
    let (with, without) = tokio::try_join!(
        healthy(spread, Manner::Silent, count, (&start, Duration::ZERO)),
        healthy(spread, Manner::Answers, count, (&start, PACE / 2))
    )?;
    Ok(Times { with, without })
}

/// The latencies of the healthy endpoints of a server whose others are of that manner. Its events begin so long after both
/// servers are ready.
async fn healthy(
    spread: Spread,
    others: Manner,
    count: u32,
    (start, after): (&Barrier, Duration),
) -> anyhow::Result<Vec<f64>> {
    let mut rig = Rig::start().await?;
    let tenants = match spread {
        Spread::OneAccount => rig.tenants(1).await?,
        Spread::TenAccounts => rig.tenants(ENDPOINTS).await?,
    };
    let posts: Vec<_> = owners(&tenants)
        .map(|(endpoint, tenant)| rig.post_as(tenant, &kind(endpoint)))
        .collect::<anyhow::Result<_>>()?;
    register(&rig, &tenants, 0..HEALTHY, Manner::Answers).await?;
    let warm = register(&rig, &tenants, HEALTHY..ENDPOINTS, Manner::Answers).await?;
    rig.paced_posts(posts.clone(), WARM_UP, PACE, WARM_UP as usize).await?;
    delete(warm).await?;
    register(&rig, &tenants, HEALTHY..ENDPOINTS, others).await?;

    let wanted = if others == Manner::Silent { count * HEALTHY / ENDPOINTS } else { count };
    start.wait().await;
    sleep(after).await;
    let (sent, mut arrivals) = rig.paced_posts(posts, count, PACE, wanted as usize).await?;
    rig.server.kill().await?;
    arrivals.retain(|arrival| arrival.endpoint < HEALTHY);
    Ok(latencies(&sent, &arrivals))
}

/// The type of the events for an endpoint.
fn kind(endpoint: u32) -> String {
    format!("bench.endpoint{endpoint}")
}

/// Each endpoint with its owner.
fn owners(tenants: &[Tenant]) -> impl Iterator<Item = (u32, &Tenant)> {
    (0..ENDPOINTS).zip(tenants.iter().cycle())
}

/// Registers these endpoints, each with a listener of its own; gives their owners and ids.
async fn register<'a>(
    rig: &Rig,
    tenants: &'a [Tenant],
    endpoints: Range<u32>,
    manner: Manner,
) -> anyhow::Result<Vec<(&'a Tenant, String)>> {
    let mut made = Vec::new();
    for (endpoint, tenant) in owners(tenants).filter(|(endpoint, _)| endpoints.contains(endpoint)) {
        let url = rig.receiver.listen(manner)?.join(&endpoint.to_string())?;
        made.push((tenant, tenant.endpoint(&url, &kind(endpoint)).await?));
    }
    Ok(made)
}

async fn delete(endpoints: Vec<(&Tenant, String)>) -> anyhow::Result<()> {
    for (tenant, id) in endpoints {
        tenant.api.delete(&["endpoints", &id]).await?;
    }
    Ok(())
}
