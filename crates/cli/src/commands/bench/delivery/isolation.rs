//! Whether endpoints that never answer are felt by those that do.

use std::ops::Range;
use std::time::Duration;

use anyhow::Context as _;

use super::load::Sent;
use super::receiver::{Arrival, Manner};
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
    let count = effort.pick(1_000, 3_000) as u32;
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
    let method = vec![format!(
        "Ten endpoints, each with a port, a lane and an event type of its own, and 100 events a second for each in turn: \
         once with an account for each, then, on a fresh server, with all of them in one account. First {count} events \
         with all ten healthy, then {} while five accept connections and never answer, from before their first request \
         until well after their first timeouts, then {count} with all ten healthy again. From the request to the webhook, \
         of the same five endpoints throughout; the two healthy runs are one baseline.",
        2 * count
    )];
    Ok(Section { title: "Delivery: isolation", figures, method })
}

async fn run(spread: Spread, count: u32) -> anyhow::Result<Times> {
    let mut rig = Rig::start().await?;
    let tenants = match spread {
        Spread::OneAccount => rig.tenants(1).await?,
        Spread::TenAccounts => rig.tenants(ENDPOINTS).await?,
    };
    let posts: Vec<_> = owners(&tenants)
        .map(|(endpoint, tenant)| rig.post_as(tenant, &kind(endpoint)))
        .collect::<anyhow::Result<_>>()?;
    let paced = async |rig: &mut Rig, count, wanted| {
        anyhow::Ok(healthy(rig.paced_posts(posts.clone(), count, PACE, wanted as usize).await?))
    };
    register(&rig, &tenants, 0..HEALTHY, Manner::Answers).await?;
    let others = register(&rig, &tenants, HEALTHY..ENDPOINTS, Manner::Answers).await?;
    paced(&mut rig, WARM_UP, WARM_UP).await?;
    let mut without = paced(&mut rig, count, count).await?;
    delete(others).await?;
    let holes = register(&rig, &tenants, HEALTHY..ENDPOINTS, Manner::Silent).await?;
    let with = paced(&mut rig, 2 * count, count).await?;
    delete(holes).await?;
    register(&rig, &tenants, HEALTHY..ENDPOINTS, Manner::Answers).await?;
    without.extend(paced(&mut rig, count, count).await?);
    rig.server.kill().await?;
    Ok(Times { with, without })
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

fn healthy((sent, mut arrivals): (Vec<Sent>, Vec<Arrival>)) -> Vec<f64> {
    arrivals.retain(|arrival| arrival.endpoint < HEALTHY);
    latencies(&sent, &arrivals)
}
