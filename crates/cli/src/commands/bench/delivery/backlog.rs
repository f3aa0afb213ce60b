//! A server that is far behind: what it still accepts and delivers, and what it takes.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use reelhook_domain::endpoint::EndpointState;
use reelhook_domain::id::EndpointId;
use reelhook_store::{Accounts as _, EndpointChange, Endpoints as _};
use serde_json::json;
use tokio::time::sleep;
use url::Url;

use super::load;
use super::plain;
use super::receiver::{Arrival, Manner};
use super::rig::{CONNECTIONS, KIND, Rates, Rig};
use crate::ambient;
use crate::commands::bench::Effort;
use crate::commands::bench::page::{Figure, Section, Target};
use crate::data_folder::DataFolder;
use crate::output;

const MB: f64 = 1e6;
const LATE: &str = "bench.late";
const MARK: &str = "bench.mark";
/// Events in a request that makes the backlog.
const BATCH: usize = 500;
/// Connections that make it.
const MAKERS: u32 = 8;
/// How long making the backlog may take.
const PATIENCE: Duration = Duration::from_secs(3600);
/// How long is looked at how fast it is worked off with nothing else to do.
const DRAIN: Duration = Duration::from_secs(5);

pub(super) async fn measure(effort: Effort, backlog: Option<u32>) -> anyhow::Result<Section> {
    let backlog = backlog.unwrap_or(effort.pick(50_000, 1_000_000) as u32);
    let count = effort.pick(2_000, 20_000) as u32;
    let (mut calm, mut rig) = (Rig::with_one_endpoint().await?, Rig::with_one_endpoint().await?);
    let url = rig.receiver.listen(Manner::Answers)?;
    let bare = plain::rate(&url, effort.pick(10_000, 30_000) as u32, CONNECTIONS).await?;
    calm.rates(500, 1).await?;
    let before = calm.rates(count, 1).await?;

    let late = make(&mut rig, &url, backlog).await?;
    rig.server.stop().await?;
    enable(&rig, &late).await?;
    rig.receiver.clear();
    let begun = Instant::now();
    rig.restart().await?;
    let first = rig.receiver.reach(1, PATIENCE).await?[0].at;

    let (post, numbers) = (rig.post(&[KIND])?, rig.numbers(count));
    let span = load::closed(post, numbers, CONNECTIONS).await?;
    let busy = rate(&rig.receiver.arrivals(), span.begun, span.answered);
    let accepted = f64::from(count) / (span.answered - span.begun).as_secs_f64();
    // The last of those events are on their way still.
    sleep(DRAIN / 5).await;
    let from = Instant::now();
    sleep(DRAIN).await;
    let drained = rate(&rig.receiver.arrivals(), from, Instant::now());
    let left = (backlog + count) as usize - rig.receiver.distinct().min((backlog + count) as usize);
    anyhow::ensure!(left > 0, "the backlog was worked off before all was measured; give a larger --backlog");
    let peak = rig.server.peak_bytes()? as f64 / MB;
    rig.server.kill().await?;
    let after = calm.rates(count, 1).await?;
    calm.server.kill().await?;
    let none = |of: fn(&Rates) -> f64| f64::midpoint(of(&before), of(&after));

    let figures = vec![
        Figure::new(
            "Accepted, one event per request, beside the backlog",
            accepted,
            "a second",
            "with none",
            none(|rates| rates.accepted),
        )
        .target(Target::RatioFrom(0.8)),
        Figure::new(
            "Delivered meanwhile, backlog and new events",
            busy,
            "a second",
            "with none",
            none(|rates| rates.delivered),
        )
        .target(Target::RatioFrom(0.8)),
        Figure::new("Backlog worked off with nothing else to do", drained, "a second", "plain HTTP client", bare),
        Figure::alone("Memory, the most there was (VmHWM)", peak, "MB").target(Target::Value(300.0)),
        Figure::alone("Start to first delivery", (first - begun).as_secs_f64(), "s").target(Target::Value(2.0)),
    ];
    let method = vec![
        format!(
            "{backlog} events are published through the API in batches of {BATCH} to a disabled endpoint, so that their \
             deliveries are held; the server is stopped and the endpoint enabled in its database, which makes all of them \
             due. Start is before the process of the second server exists."
        ),
        format!(
            "Then {count} events for another endpoint are published one by one over {CONNECTIONS} connections while the \
             backlog is worked off. Delivered counts all webhooks between the first request and the last answer. The \
             baseline is another server without a backlog, before and after, the mean of both. {left} deliveries were left \
             when all was measured."
        ),
    ];
    Ok(Section { title: "Delivery: backlog", figures, method })
}

/// Makes held deliveries to an endpoint that is disabled; gives its id.
async fn make(rig: &mut Rig, url: &Url, backlog: u32) -> anyhow::Result<String> {
    let late = rig.endpoint(&url.join("1")?, LATE).await?;
    rig.api.post(&["endpoints", &late, "disable"], &json!({})).await?;
    rig.endpoint(&url.join("2")?, MARK).await?;
    let (begun, post, numbers) = (Instant::now(), rig.post(&[LATE; BATCH])?, rig.numbers(backlog));
    load::closed(post, numbers, MAKERS).await?;
    rig.receiver.clear();
    // Events are fanned out in order: once this one comes, those before it have their deliveries.
    let (post, mark) = (rig.post(&[MARK])?, rig.numbers(1));
    load::closed(post, mark, 1).await?;
    rig.receiver.reach(1, PATIENCE).await?;
    output::note(format_args!("made the backlog in {} s", begun.elapsed().as_secs()));
    Ok(late)
}

/// Enables an endpoint in the database of a server that does not run.
async fn enable(rig: &Rig, endpoint: &str) -> anyhow::Result<()> {
    let (store, _) = DataFolder::create(&rig.data())?.open(&ambient::system()).await?;
    let account = store.first_account().await?.id;
    let id: EndpointId = endpoint.parse().ok().context("the id of an endpoint cannot be read")?;
    let change = EndpointChange { state: Some((EndpointState::Enabled, None)), ..EndpointChange::default() };
    store.change_endpoint(account, id, change).await?;
    store.close().await;
    Ok(())
}

/// Webhooks a second that came between two moments.
fn rate(arrivals: &[Arrival], from: Instant, to: Instant) -> f64 {
    let came = arrivals.iter().filter(|arrival| (from..to).contains(&arrival.at)).count();
    came as f64 / (to - from).as_secs_f64()
}
