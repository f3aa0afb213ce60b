//! From the request that publishes an event to the receiver, at a steady rate far below what the server can do.

use std::time::Duration;

use super::load::{self, Post, Sent};
use super::plain;
use super::receiver::{Manner, Receiver};
use super::rig::{KIND, PATIENCE, Rig, latencies, percentile};
use crate::commands::bench::Effort;
use crate::commands::bench::page::{Figure, Section, Target};

/// 100 events a second.
pub(super) const PACE: Duration = Duration::from_millis(10);
const WARM_UP: u32 = 100;

pub(super) async fn measure(effort: Effort) -> anyhow::Result<Section> {
    let (count, bare_count) = (effort.pick(500, 3_000) as u32, effort.pick(200, 1_000) as u32);
    let receiver = Receiver::start()?;
    let straight = vec![Post::straight(&receiver.listen(Manner::Answers)?, 0)?];
    let sent = load::open(straight, 0, bare_count, PACE).await?;
    let bare = latencies(&sent, &receiver.reach(bare_count as usize, PATIENCE).await?);

    let mut rig = Rig::with_one_endpoint().await?;
    let mut syncs = plain::syncs(rig.folder.path(), bare_count, PACE).await?;
    rig.paced(&[KIND], WARM_UP, PACE, WARM_UP as usize).await?;
    let (sent, arrivals) = rig.paced(&[KIND], count, PACE, count as usize).await?;
    rig.server.stop().await?;
    syncs.extend(plain::syncs(rig.folder.path(), bare_count, PACE).await?);
    let through = latencies(&sent, &arrivals);
    let answers: Vec<f64> = sent.iter().map(answered).collect();

    let figure = |name: &str, part| {
        let baseline = "load generator straight to the receiver";
        Figure::new(name, percentile(&through, part), "ms", baseline, percentile(&bare, part))
    };
    let answer = |name: &str, part| {
        Figure::new(name, percentile(&answers, part), "ms", "sent to received", percentile(&through, part))
    };
    let figures = vec![
        figure("Request sent to webhook received, p50", 0.5).target(Target::Value(2.0)).aim(Target::Value(1.0)),
        figure("Request sent to webhook received, p99", 0.99).target(Target::Value(3.5)).aim(Target::Value(2.5)),
        answer("Request sent to answer read, p50", 0.5),
        answer("Request sent to answer read, p99", 0.99),
        Figure::alone("A synced write to the same disk, p50", percentile(&syncs, 0.5), "ms"),
        Figure::alone("A synced write to the same disk, p99", percentile(&syncs, 0.99), "ms"),
    ];
    let method = vec![
        format!(
            "One endpoint; {count} events, one each {} ms whether those before were answered or not, after {WARM_UP} that are \
             not counted. From just before the first byte of the request is written to the moment the receiver has read the \
             last byte of the webhook. The baseline is {bare_count} payloads sent the same way, without a server between.",
            PACE.as_millis()
        ),
        format!(
            "The disk by itself: {} writes of 48 KiB, about what the commit of an event writes, each followed by `fdatasync`, at \
             the same rate, half of them before the events and half after. Each event waits for at least one of these.",
            syncs.len()
        ),
    ];
    Ok(Section { title: "Delivery: latency", figures, method })
}

fn answered(sent: &Sent) -> f64 {
    (sent.answered - sent.at).as_secs_f64() * 1e3
}
