//! Events a second, one by one and in batches.

use super::load::{self, Post};
use super::plain;
use super::receiver::{Manner, Receiver};
use super::rig::{CONNECTIONS, Rates, Rig};
use crate::commands::bench::Effort;
use crate::commands::bench::page::{Figure, Section, Target, median};

const BATCH: usize = 100;

pub(super) async fn measure(effort: Effort) -> anyhow::Result<Section> {
    let rounds = effort.pick(1, 3);
    let counts = [effort.pick(2_000, 10_000), effort.pick(4_000, 20_000), effort.pick(20_000, 60_000)];
    let [single_count, batch_count, bare_count] = counts.map(|count| count as u32);
    let mut rig = Rig::with_one_endpoint().await?;
    let sync = 1.0 / plain::sync(rig.folder.path())?.as_secs_f64();
    let (receiver, mut bare, mut raw) = (Receiver::start()?, Vec::new(), Vec::new());
    let straight = receiver.listen(Manner::Answers)?;
    let (mut singles, mut batches) = (Vec::new(), Vec::new());
    // The first ones open connections and make plans of statements.
    rig.rates(500, 1).await?;
    for _ in 0..rounds {
        bare.push(plain::rate(&straight, bare_count, CONNECTIONS).await?);
        let span = load::closed(Post::straight(&straight, 0)?, 0..bare_count, CONNECTIONS).await?;
        raw.push(f64::from(bare_count) / (span.answered - span.begun).as_secs_f64());
        singles.push(rig.rates(single_count, 1).await?);
        batches.push(rig.rates(batch_count, BATCH).await?);
    }
    rig.server.stop().await?;

    let middle = |rates: &[Rates], of: fn(&Rates) -> f64| median(rates.iter().map(of).collect());
    let (bare, raw) = (median(bare), median(raw));
    let delivered = |name: &str, rates: &[Rates]| {
        Figure::new(name, middle(rates, |rates| rates.delivered), "a second", "plain HTTP client", bare)
    };
    let accepted = |name: &str, rates: &[Rates]| {
        let value = middle(rates, |rates| rates.accepted);
        Figure::new(name, value, "a second", "one `fdatasync` after another", sync)
    };
    let cpu = |rates: &[Rates]| middle(rates, |rates| rates.cpu);
    let again: usize = singles.iter().chain(&batches).map(|rates| rates.again).sum();
    let figures = vec![
        delivered("One event per request, accepted to delivered", &singles)
            .target(Target::RatioFrom(0.12))
            .aim(Target::RatioFrom(0.20)),
        delivered("Batches of 100, accepted to delivered", &batches)
            .target(Target::RatioFrom(0.25))
            .aim(Target::RatioFrom(0.40)),
        accepted("One event per request, accepted", &singles),
        accepted("Batches of 100, accepted", &batches),
        Figure::new(
            "CPU of the server for an event posted alone",
            cpu(&singles),
            "us",
            "one in a batch",
            cpu(&batches),
        ),
        Figure::new("The load generator straight to the receiver", raw, "a second", "plain HTTP client", bare),
    ];
    let method = vec![
        format!(
            "One endpoint, {CONNECTIONS} connections that each send the next request once they have the answer: \
             {single_count} events one by one, then {batch_count} in batches of {BATCH}; {rounds} times in turns, the \
             median. Accepted counts from the first request to the last answer, delivered from the first request to the \
             last webhook at the receiver. {again} webhooks came more than once."
        ),
        format!(
            "The plain HTTP client is hyper's, posting {bare_count} payloads of 1 KiB over {CONNECTIONS} kept \
             connections straight to the same receiver in the same rounds. The load generator is cheaper than that (its \
             requests are written once, its answers searched for their end only), and is shown for comparison. The \
             `fdatasync` baseline is 100 appends of 4 KiB, each synced, in the same folder."
        ),
    ];
    Ok(Section { title: "Delivery: throughput", figures, method })
}
