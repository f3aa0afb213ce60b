//! Whether forgetting what is old is felt by what is new.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use reelhook_domain::ambient::Ambient;
use reelhook_domain::circuit::Circuit;
use reelhook_domain::delivery::{Attempt, AttemptTimings, Outcome};
use reelhook_domain::id::{AccountId, EndpointId};
use reelhook_domain::job::Dialect;
use reelhook_domain::retry::Verdict;
use reelhook_store::{
    Accounts as _, Body, ClaimedDelivery, Deliveries as _, Events as _, FanOut, NewDelivery, NewEvent, Settlement,
    Start,
};
use serde_json::json;

use super::receiver::Manner;
use super::rig::{Rates, Rig};
use crate::ambient;
use crate::commands::bench::Effort;
use crate::commands::bench::page::{Figure, Section, Target};
use crate::data_folder::DataFolder;
use crate::output;

const OLD: &str = "bench.old";
/// How long ago the old deliveries were made: longer than they are kept, and not as long.
const OVER: Duration = Duration::from_secs(40 * 24 * 3600);
const KEPT: Duration = Duration::from_secs(20 * 24 * 3600);
/// Deliveries in a transaction that makes old ones.
const BATCH: u32 = 500;
const LEASE: Duration = Duration::from_secs(60);
/// Events that are not counted.
const WARM_UP: u32 = 500;
/// Bytes of a payload.
const PAYLOAD: usize = 1024;

pub(super) async fn measure(effort: Effort) -> anyhow::Result<Section> {
    let old = effort.pick(30_000, 300_000) as u32;
    let count = effort.pick(2_000, 20_000) as u32;
    let mut calm = stopped(old, KEPT).await?;
    let mut sweeping = stopped(old, OVER).await?;

    calm.restart().await?;
    // The first ones open connections and make plans of statements.
    calm.rates(WARM_UP, 1).await?;
    let before = calm.rates(count, 1).await?;
    sweeping.restart().await?;
    sweeping.rates(WARM_UP, 1).await?;
    let (known, begun) = (left(&sweeping, WARM_UP).await?, Instant::now());
    let with = sweeping.rates(count, 1).await?;
    let took = begun.elapsed().as_secs_f64();
    let still = left(&sweeping, WARM_UP + count).await?;
    sweeping.server.kill().await?;
    let after = calm.rates(count, 1).await?;
    calm.server.kill().await?;
    anyhow::ensure!(0 < still && still < known, "not swept throughout: {known} old deliveries before, {still} after");

    let figure = |name: &str, of: fn(&Rates) -> f64| {
        let without = f64::midpoint(of(&before), of(&after));
        Figure::new(name, of(&with), "a second", "with nothing to remove", without).target(Target::RatioFrom(0.9))
    };
    let figures = vec![
        figure("Accepted, one event per request, while old deliveries are removed", |rates| rates.accepted),
        figure("Delivered, accepted to delivered, meanwhile", |rates| rates.delivered),
        Figure::alone("Old deliveries removed meanwhile", (known - still) as f64 / took, "a second"),
    ];
    let method = vec![format!(
        "{old} deliveries that were made and delivered 40 days ago, each with its event of 1 KiB and an attempt, \
         are written to the database of a server that does not run. It starts, and forgets what is older than 30 days \
         from its first moment on; meanwhile {count} events are published one by one over 64 connections and delivered. \
         The baseline is another server whose deliveries, as many, were made 20 days ago, so that nothing is to be \
         removed, before and after, the mean of both. {still} old deliveries were left when all was measured."
    )];
    Ok(Section { title: "Delivery: retention", figures, method })
}

/// A server that does not run, with that many deliveries that ended so long ago.
async fn stopped(count: u32, ago: Duration) -> anyhow::Result<Rig> {
    let mut rig = Rig::with_one_endpoint().await?;
    let url = rig.receiver.listen(Manner::Answers)?;
    let endpoint = rig.endpoint(&url, OLD).await?.parse().ok().context("the id of an endpoint cannot be read")?;
    rig.server.stop().await?;
    let begun = Instant::now();
    make(&rig, endpoint, count, ago).await?;
    output::note(format_args!("made what is old in {} s", begun.elapsed().as_secs()));
    Ok(rig)
}

/// Makes deliveries that ended so long ago, as an engine would have, in the database of a server that does not run.
async fn make(rig: &Rig, endpoint: EndpointId, count: u32, ago: Duration) -> anyhow::Result<()> {
    let past = ambient::standing_at(ambient::system().now() - ago);
    let (store, _) = DataFolder::at(&rig.data())?.open(&past).await?;
    let account = store.first_account().await?.id;
    let mut made = 0;
    while made < count {
        store.publish((0..BATCH.min(count - made)).map(|_| event(&past, account)).collect()).await?;
        let outbox = store.outbox(BATCH).await?;
        let last = outbox.events.last().context("what was published is in the outbox")?;
        let up_to = last.event.sequence;
        let deliveries: Vec<_> = outbox
            .events
            .iter()
            .map(|outgoing| NewDelivery {
                id: past.id(),
                account,
                event: outgoing.event.id,
                event_type: OLD.to_owned(),
                job: None,
                endpoint,
                dialect: Dialect::Native,
                body: Body::of(&outgoing.event, Dialect::Native, outgoing.event.envelope()),
                start: Start::Claimed,
            })
            .collect();
        made += u32::try_from(deliveries.len())?;
        let claimed = store.fan_out(FanOut { after: outbox.after, up_to, deliveries }, LEASE).await?;
        store.settle(claimed.iter().map(|work| delivered(&past, work)).collect()).await?;
    }
    store.close().await;
    Ok(())
}

fn event(past: &Ambient, account: AccountId) -> NewEvent {
    let kind = OLD.parse().expect("it is a type of events");
    NewEvent { id: past.id(), account, kind, data: json!("x".repeat(PAYLOAD)).into(), only: None }
}

fn delivered(past: &Ambient, work: &ClaimedDelivery) -> Settlement {
    let attempt = Attempt {
        id: past.id(),
        number: 1,
        at: past.now(),
        outcome: Outcome::Status { status: 200, retry_after_ms: None },
        address: None,
        timings_ms: AttemptTimings::default(),
        response_headers: Vec::new(),
        response_body: String::new(),
    };
    Settlement {
        delivery: work.delivery.id,
        token: work.token,
        attempt: Some(attempt),
        verdict: Verdict::Delivered,
        endpoint: work.delivery.endpoint,
        circuit: Circuit::default(),
        failing: None,
        disable: None,
    }
}

/// How many deliveries there are beside so many new ones.
async fn left(rig: &Rig, new: u32) -> anyhow::Result<u64> {
    let (store, _) = DataFolder::at(&rig.data())?.open(&ambient::system()).await?;
    let counts = store.count_deliveries().await?;
    store.close().await;
    let all: u64 = counts.into_iter().map(|(_, count)| count).sum();
    all.checked_sub(u64::from(new)).context("what is new was removed too")
}
