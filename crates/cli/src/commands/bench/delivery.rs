//! Webhooks: how fast, how even, and what is left of that on bad days.
//!
//! Receiver, load and server run on this machine: the server in a process of its own as its operator would start it, the
//! receiver and the load in this one, each on one thread and as cheap as they can be made, for they take from the same
//! cores. Each mode has a fresh server and is a section of the page.

use anyhow::Context as _;

use super::Effort;
use super::page::{Page, Section};
use crate::output;

mod backlog;
mod crash;
mod dead_endpoint;
mod fan_out;
mod idle;
mod isolation;
mod latency;
pub(super) mod load;
mod plain;
pub(super) mod receiver;
mod retention;
pub(super) mod rig;
mod throughput;

/// What is measured of delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(super) enum Mode {
    /// Events a second, one by one and in batches
    Throughput,
    /// From request to receiver at 100 events a second
    Latency,
    /// One event to 100 and to 1,000 endpoints
    FanOut,
    /// Healthy endpoints beside five that never answer
    Isolation,
    /// 999 endpoints beside one that never answers
    DeadEndpoint,
    /// A million deliveries that are due
    Backlog,
    /// Old deliveries that are being removed
    Retention,
    /// Killed with 10,000 deliveries to go
    Crash,
    /// Memory, CPU and wake-ups of a server at rest
    Idle,
}

impl Mode {
    /// The word on the command line.
    fn name(self) -> String {
        clap::ValueEnum::to_possible_value(&self).map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// Measures these modes, all when there is none, and adds each to the page.
pub(super) async fn measure(
    effort: Effort,
    modes: &[Mode],
    backlog: Option<u32>,
    page: &mut Page,
) -> anyhow::Result<()> {
    let all = <Mode as clap::ValueEnum>::value_variants();
    for &mode in all.iter().filter(|mode| modes.is_empty() || modes.contains(mode)) {
        let name = mode.name();
        output::note(format_args!("measuring: delivery, {name}"));
        page.add(one(effort, mode, backlog).await.context(name)?);
    }
    Ok(())
}

async fn one(effort: Effort, mode: Mode, backlog: Option<u32>) -> anyhow::Result<Section> {
    match mode {
        Mode::Throughput => throughput::measure(effort).await,
        Mode::Latency => latency::measure(effort).await,
        Mode::FanOut => fan_out::measure(effort).await,
        Mode::Isolation => isolation::measure(effort).await,
        Mode::DeadEndpoint => dead_endpoint::measure(effort).await,
        Mode::Backlog => backlog::measure(effort, backlog).await,
        Mode::Retention => retention::measure(effort).await,
        Mode::Crash => crash::measure(effort).await,
        Mode::Idle => idle::measure(effort).await,
    }
}
