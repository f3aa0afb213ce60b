//! A server of its own for each mode, a receiver, and events of fresh numbers.

use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::{StreamExt as _, stream};
use reelhook_store::Accounts as _;
use serde_json::json;
use tempfile::TempDir;
use url::Url;

use super::load::{self, Post, Sent, Span};
use super::receiver::{Arrival, Manner, Receiver};
use crate::client::Api;
use crate::commands::bench::subject::Subject;
use crate::data_folder::DataFolder;
use crate::{ambient, api_key};

/// Connections of the load.
pub(in crate::commands::bench) const CONNECTIONS: u32 = 64;
/// The event type where there is but one.
pub(in crate::commands::bench) const KIND: &str = "bench.measured";
/// How long all deliveries of one run may take.
pub(in crate::commands::bench) const PATIENCE: Duration = Duration::from_secs(300);

/// Server, receiver, and the way to both.
#[derive(Debug)]
pub(in crate::commands::bench) struct Rig {
    pub(in crate::commands::bench) receiver: Receiver,
    pub(in crate::commands::bench) server: Subject,
    pub(in crate::commands::bench) api: Api,
    pub(in crate::commands::bench) key: String,
    pub(in crate::commands::bench) folder: TempDir,
    next: u32,
}

/// An account, as its caller sees the server.
#[derive(Debug)]
pub(in crate::commands::bench) struct Tenant {
    key: String,
    pub(in crate::commands::bench) api: Api,
}

impl Tenant {
    /// Registers an endpoint of this account for events of one type; gives its id.
    pub(in crate::commands::bench) async fn endpoint(&self, url: &Url, kind: &str) -> anyhow::Result<String> {
        endpoint(&self.api, url, kind).await
    }
}

/// What one load came to.
#[derive(Debug, Clone, Copy)]
pub(in crate::commands::bench) struct Rates {
    /// Events a second, from the first request to the last answer.
    pub(in crate::commands::bench) accepted: f64,
    /// Events a second, from the first request to the last webhook at the receiver.
    pub(in crate::commands::bench) delivered: f64,
    /// Microseconds of the server's CPU for each event, all in all.
    pub(in crate::commands::bench) cpu: f64,
    /// Webhooks that came again.
    pub(in crate::commands::bench) again: usize,
}

impl Rig {
    /// A fresh server and a receiver without listeners.
    pub(in crate::commands::bench) async fn start() -> anyhow::Result<Self> {
        Self::start_with(&[]).await
    }

    /// The same with settings, each as `--set` takes it.
    pub(in crate::commands::bench) async fn start_with(settings: &[&str]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let server = Subject::start_with(&folder.path().join("data"), settings).await?;
        let key = server.key.clone().context("the server created no key")?;
        let api = Api::new(server.base.clone(), &key)?;
        Ok(Self { receiver: Receiver::start()?, server, api, key, folder, next: 0 })
    }

    /// The server's folder.
    pub(in crate::commands::bench) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Starts the server anew, after it ended.
    pub(in crate::commands::bench) async fn restart(&mut self) -> anyhow::Result<()> {
        self.server = Subject::start(&self.data()).await?;
        self.api = Api::new(self.server.base.clone(), &self.key)?;
        Ok(())
    }

    /// Makes that many accounts beside the first, which has no part in what they do.
    pub(in crate::commands::bench) async fn tenants(&self, count: u32) -> anyhow::Result<Vec<Tenant>> {
        let ambient = ambient::system();
        let (store, _) = DataFolder::at(&self.data())?.open(&ambient).await?;
        let mut tenants = Vec::new();
        for number in 0..count {
            let account = store.create_account(&format!("tenant{number}")).await?;
            let (key, _) = api_key::create(&*store, &ambient, account.id, "bench").await?;
            tenants.push(Tenant { api: Api::new(self.server.base.clone(), &key)?, key });
        }
        store.close().await;
        Ok(tenants)
    }

    /// Registers an endpoint for events of one type; gives its id.
    pub(in crate::commands::bench) async fn endpoint(&self, url: &Url, kind: &str) -> anyhow::Result<String> {
        endpoint(&self.api, url, kind).await
    }

    /// Registers endpoints for events of one type that differ in their path: `/1`, `/2`, ...
    pub(in crate::commands::bench) async fn endpoints(&self, url: &Url, kind: &str, count: u32) -> anyhow::Result<()> {
        let mut made = stream::iter(1..=count)
            .map(|endpoint| async move { self.endpoint(&url.join(&endpoint.to_string())?, kind).await })
            .buffer_unordered(16);
        while let Some(id) = made.next().await {
            id?;
        }
        Ok(())
    }

    /// A rig with one endpoint that answers.
    pub(in crate::commands::bench) async fn with_one_endpoint() -> anyhow::Result<Self> {
        let rig = Self::start().await?;
        rig.endpoint(&rig.receiver.listen(Manner::Answers)?, KIND).await?;
        Ok(rig)
    }

    /// A request that publishes one event of each of these types.
    pub(in crate::commands::bench) fn post(&self, kinds: &[&str]) -> anyhow::Result<Post> {
        Post::publish(&self.server.base, &self.key, kinds)
    }

    /// A request of that account that publishes one event.
    pub(in crate::commands::bench) fn post_as(&self, tenant: &Tenant, kind: &str) -> anyhow::Result<Post> {
        Post::publish(&self.server.base, &tenant.key, &[kind])
    }

    /// Numbers that no event has had.
    pub(in crate::commands::bench) fn numbers(&mut self, count: u32) -> Range<u32> {
        let first = self.next;
        self.next += count;
        first..self.next
    }

    /// Publishes that many events as fast as they are accepted, `batch` a request, and waits until all were received.
    pub(in crate::commands::bench) async fn rates(&mut self, count: u32, batch: usize) -> anyhow::Result<Rates> {
        self.receiver.clear();
        let (post, numbers, cpu) = (self.post(&vec![KIND; batch])?, self.numbers(count), self.server.cpu()?);
        let Span { begun, answered } = load::closed(post, numbers, CONNECTIONS).await?;
        let arrivals = self.receiver.reach(count as usize, PATIENCE).await?;
        let last = arrivals.last().map_or(answered, |arrival| arrival.at);
        let cpu = self.server.cpu()?.saturating_sub(cpu);
        let count = f64::from(count);
        Ok(Rates {
            accepted: count / (answered - begun).as_secs_f64(),
            delivered: count / (last - begun).as_secs_f64(),
            cpu: cpu.as_secs_f64() * 1e6 / count,
            again: arrivals.len() - self.receiver.distinct(),
        })
    }

    /// Publishes `count` events, one each `pace`, of these types in turn. Gives all requests and waits until as many
    /// webhooks as `wanted` came.
    pub(in crate::commands::bench) async fn paced(
        &mut self,
        kinds: &[&str],
        count: u32,
        pace: Duration,
        wanted: usize,
    ) -> anyhow::Result<(Vec<Sent>, Vec<Arrival>)> {
        let posts = kinds.iter().map(|kind| self.post(&[kind])).collect::<anyhow::Result<_>>()?;
        self.paced_posts(posts, count, pace, wanted).await
    }

    /// The same with these requests in turn.
    pub(in crate::commands::bench) async fn paced_posts(
        &mut self,
        posts: Vec<Post>,
        count: u32,
        pace: Duration,
        wanted: usize,
    ) -> anyhow::Result<(Vec<Sent>, Vec<Arrival>)> {
        self.receiver.clear();
        let first = self.numbers(count).start;
        let sent = load::open(posts, first, count, pace).await?;
        let arrivals = self.receiver.reach(wanted, PATIENCE).await?;
        Ok((sent, arrivals))
    }
}

async fn endpoint(api: &Api, url: &Url, kind: &str) -> anyhow::Result<String> {
    let made = api.post(&["endpoints"], &json!({"url": url, "events": [kind]})).await?;
    Ok(made["id"].as_str().context("an endpoint has no id")?.to_owned())
}

/// Milliseconds from the moment a request was sent until each of its webhooks came the first time.
pub(in crate::commands::bench) fn latencies(sent: &[Sent], arrivals: &[Arrival]) -> Vec<f64> {
    let sent: HashMap<u32, Instant> = sent.iter().map(|sent| (sent.number, sent.at)).collect();
    let mut first: HashMap<(u32, u32), f64> = HashMap::new();
    for arrival in arrivals {
        let Some(at) = sent.get(&arrival.number) else { continue };
        let took = arrival.at.saturating_duration_since(*at).as_secs_f64() * 1e3;
        first.entry((arrival.number, arrival.endpoint)).or_insert(took);
    }
    first.into_values().collect()
}

/// The value that so large a part, 0 to 1, does not exceed.
pub(in crate::commands::bench) fn percentile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() as f64 * part).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        let values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        for (part, value) in [(0.0, 1.0), (0.5, 100.0), (0.99, 198.0), (0.995, 199.0), (1.0, 200.0)] {
            assert!((percentile(&values, part) - value).abs() < 1e-9, "{part}");
        }
        assert!(percentile(&[], 0.5).is_nan());
    }

    #[test]
    fn a_latency_ends_with_the_first_arrival() {
        let at = Instant::now();
        let arrival = |number, after| Arrival { number, endpoint: 0, at: at + Duration::from_millis(after) };
        let sent = [Sent { number: 1, at, answered: at }];
        assert_eq!(latencies(&sent, &[arrival(1, 5), arrival(1, 9), arrival(2, 1)]), [5.0]);
    }
}
