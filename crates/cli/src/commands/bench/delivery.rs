//! Webhooks: events accepted and delivered a second, beside the bare HTTP client and the disk.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use reelhook_egress::Request;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::Effort;
use super::page::{Figure, Section, median};
use super::receiver::Receiver;
use super::subject::Subject;
use crate::client::{self, Api};

/// Connections at once.
const CONNECTIONS: usize = 64;
/// Events in a batch.
const BATCH: usize = 100;
/// How long all deliveries of one run may take.
const PATIENCE: Duration = Duration::from_secs(120);
const KIND: &str = "bench.measured";

/// What one run of events came to.
#[derive(Debug, Clone, Copy)]
struct Rates {
    accepted: f64,
    delivered: f64,
    /// Microseconds of the server's CPU for each event, all in all.
    cpu: f64,
}

pub(super) async fn measure(effort: Effort) -> anyhow::Result<Section> {
    let folder = tempfile::tempdir()?;
    let sync = sync(folder.path())?;
    let mut receiver = Receiver::start().await?;
    let server = Subject::start(&folder.path().join("data")).await?;
    let api = Api::new(server.base.clone(), server.key.as_deref().context("the server made no key")?)?;
    let endpoint = json!({"url": receiver.url, "events": [KIND]});

    let (raw_count, single_count) = (effort.pick(5_000, 20_000), effort.pick(1_000, 5_000));
    let batch_count = effort.pick(5_000, 20_000);
    let raw = raw(&receiver, raw_count).await?;
    api.post(&["endpoints"], &endpoint).await?;
    let (alone, raw_alone) = one_at_a_time(&api, &mut receiver, effort.pick(50, 200)).await?;
    let single = events(&api, &server, &mut receiver, single_count, 1).await.context("single events")?;
    let batch = events(&api, &server, &mut receiver, batch_count, BATCH).await.context("batches")?;
    let expected = raw_count + single_count + batch_count + 2 * effort.pick(50, 200);
    let extra = receiver.count().saturating_sub(expected as u64);
    server.stop().await?;

    let bare = "bare egress client, same receiver";
    let one = "one `fdatasync` after another";
    let rate = |name: &str, value| Figure::new(name, value, "a second", bare, raw);
    let durable = |name: &str, value| Figure::new(name, value, "a second", one, 1.0 / sync.as_secs_f64());
    let figures = vec![
        rate("Delivered, events posted one by one", single.delivered),
        rate("Delivered, batches of 100", batch.delivered),
        durable("Accepted, events posted one by one", single.accepted),
        durable("Accepted, batches of 100", batch.accepted),
        Figure::new("From `POST` to the receiver, idle server (median)", alone, "ms", bare, raw_alone),
        Figure::new("CPU of the server for an event posted alone", single.cpu, "us", "one in a batch", batch.cpu),
    ];
    let method = vec![
        format!(
            "Events of 1 KiB, one endpoint, loopback, SQLite with every commit synced before the answer. \
             {single_count} events over {CONNECTIONS} connections, then {batch_count} in batches of {BATCH} over as many. \
             Accepted counts to the last answer, delivered from the first request to the last webhook at the receiver; \
             {extra} webhooks came more than once."
        ),
        format!(
            "Baselines: {raw_count} posts of 1 KiB by the server's own HTTP client over {CONNECTIONS} kept connections \
             straight to the same receiver; 100 appends of 4 KiB, each synced, in the same folder ({:.2} ms each, median).",
            sync.as_secs_f64() * 1e3
        ),
        "The poster and the receiver share one process and the machine's cores with the server: with a poster and a \
         receiver elsewhere the rates are higher."
            .to_owned(),
    ];
    Ok(Section { title: "Delivery", figures, method })
}

/// A payload that makes 1 KiB of JSON.
fn payload() -> Value {
    json!({"filler": "x".repeat(1024 - r#"{"filler":""}"#.len())})
}

/// How long one durable append takes here.
fn sync(folder: &Path) -> anyhow::Result<Duration> {
    let mut file = File::create(folder.join("sync"))?;
    let mut times = Vec::new();
    for _ in 0..100 {
        let begun = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        times.push(begun.elapsed().as_secs_f64());
    }
    Ok(Duration::from_secs_f64(median(times)))
}

/// Posts a second of the bare client.
async fn raw(receiver: &Receiver, count: usize) -> anyhow::Result<f64> {
    let http = client::unrestricted()?;
    let body = Bytes::from(serde_json::to_vec(&payload())?);
    let url = receiver.url.clone();
    let begun = Instant::now();
    at_once(count, move || {
        let (http, request) = (http.clone(), Request::post(url.clone(), body.clone()));
        async move { http.send(request).await.map(drop).map_err(anyhow::Error::new) }
    })
    .await?;
    Ok(count as f64 / begun.elapsed().as_secs_f64())
}

/// Milliseconds from the post of an event to its webhook, and of a bare post; medians.
async fn one_at_a_time(api: &Api, receiver: &mut Receiver, count: usize) -> anyhow::Result<(f64, f64)> {
    let http = client::unrestricted()?;
    let body = Bytes::from(serde_json::to_vec(&payload())?);
    let event = json!({"type": KIND, "payload": payload()});
    let (mut through, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let (before, begun) = (receiver.count(), Instant::now());
        http.send(Request::post(receiver.url.clone(), body.clone())).await?;
        receiver.reach(before + 1, PATIENCE).await?;
        bare.push(begun.elapsed().as_secs_f64() * 1e3);
        let (before, begun) = (receiver.count(), Instant::now());
        api.post(&["events"], &event).await?;
        receiver.reach(before + 1, PATIENCE).await?;
        through.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    Ok((median(through), median(bare)))
}

/// Posts `count` events, `batch` a request, and waits until all were received.
async fn events(
    api: &Api,
    server: &Subject,
    receiver: &mut Receiver,
    count: usize,
    batch: usize,
) -> anyhow::Result<Rates> {
    let event = json!({"type": KIND, "payload": payload()});
    let request = Arc::new(if batch == 1 { event } else { json!({"events": vec![event; batch]}) });
    let (before, cpu_before, begun) = (receiver.count(), server.cpu()?, Instant::now());
    let api = api.clone();
    at_once(count / batch, move || {
        let (api, request) = (api.clone(), request.clone());
        async move { api.post(&["events"], &request).await.map(drop) }
    })
    .await?;
    let accepted = begun.elapsed();
    receiver.reach(before + count as u64, PATIENCE).await?;
    let delivered = begun.elapsed();
    let cpu = server.cpu()?.saturating_sub(cpu_before);
    Ok(Rates {
        accepted: count as f64 / accepted.as_secs_f64(),
        delivered: count as f64 / delivered.as_secs_f64(),
        cpu: cpu.as_secs_f64() * 1e6 / count as f64,
    })
}

/// Does something `count` times, on all connections at once. The first failure ends it.
async fn at_once<F, W>(count: usize, work: W) -> anyhow::Result<()>
where
    W: Fn() -> F + Clone + Send + 'static,
    F: Future<Output = anyhow::Result<()>> + Send,
{
    let taken = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..CONNECTIONS.min(count) {
        let (taken, work) = (taken.clone(), work.clone());
        tasks.spawn(async move {
            while taken.fetch_add(1, Ordering::Relaxed) < count {
                work().await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}
