//! Following a job to its end.
//!
//! The event stream says when to look again, and what it carries is shown; that the job has ended is believed only when
//! `GET` says so. A stream that breaks is opened again after the last event seen; a server without streams is asked
//! every half second.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use futures::StreamExt as _;
use http::StatusCode;
use indicatif::ProgressBar;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::client::{Api, Problem};
use crate::output::Bars;
use crate::sse::Parser;

/// How often a server without streams is asked.
const PACE: Duration = Duration::from_millis(500);
/// How long a stream may say nothing before the job is looked at anyway.
const SILENCE: Duration = Duration::from_secs(10);
/// How often in a row the server may be out of reach, a second apart: it may be restarting.
const MOST_FAILURES: u32 = 30;

/// Follows a job until it has ended, showing each new look at it to `seen`. Answers the job as it ended.
pub(crate) async fn to_the_end(api: &Api, id: &str, mut seen: impl FnMut(&Value)) -> anyhow::Result<Value> {
    let mut after = String::new();
    let mut failures = 0;
    loop {
        let failure = match api.get(&["jobs", id], &[]).await {
            Ok(job) => {
                failures = 0;
                seen(&job);
                if has_ended(&job) {
                    return Ok(job);
                }
                match watch(api, id, &mut after, &mut seen).await {
                    Ok(()) => continue,
                    Err(error) => error,
                }
            }
            Err(error) => error,
        };
        match failure.downcast_ref::<Problem>() {
            // The job is there and its stream is not: ask from time to time.
            Some(problem) if problem.status == StatusCode::NOT_ACCEPTABLE => sleep(PACE).await,
            Some(problem) if problem.status == StatusCode::TOO_MANY_REQUESTS => sleep(SILENCE).await,
            Some(problem) if problem.status.is_client_error() => return Err(failure),
            _ if failures >= MOST_FAILURES => {
                return Err(failure).context("the job goes on; the server does not answer");
            }
            _ => {
                failures += 1;
                sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// Whether nothing more will happen to the job by itself.
pub(crate) fn has_ended(job: &Value) -> bool {
    matches!(job["state"].as_str(), Some("completed" | "partial" | "failed" | "rejected" | "canceled"))
}

/// Shows what the stream carries, until it ends, is silent, or tells of an end.
async fn watch(api: &Api, id: &str, after: &mut String, seen: &mut impl FnMut(&Value)) -> anyhow::Result<()> {
    let mut stream = api.open_events(id, after).await?;
    let is_stream = stream
        .headers
        .get(http::header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    let mut parser = Parser::default();
    while is_stream && let Ok(Some(piece)) = timeout(SILENCE, stream.body.next()).await {
        for event in parser.push(&piece?)? {
            event.id.clone_into(after);
            let Ok(data) = serde_json::from_str::<Value>(&event.data) else { continue };
            // An envelope with the job in it, or the job itself.
            let job = if data["data"].is_object() { &data["data"] } else { &data };
            if has_ended(job) {
                return Ok(());
            }
            if job["outputs"].is_array() {
                seen(job);
            }
        }
    }
    // However soon it ended, the server is not asked faster than this.
    sleep(PACE).await;
    Ok(())
}

/// One bar for each output of a job; remarks instead, where nobody sees bars.
#[derive(Debug)]
pub(crate) struct JobBars {
    bars: Bars,
    by_name: BTreeMap<String, (ProgressBar, String)>,
}

impl JobBars {
    /// Shows a job among `bars`.
    pub(crate) fn new(bars: Bars) -> Self {
        Self { bars, by_name: BTreeMap::new() }
    }

    /// Shows how far the job is.
    pub(crate) fn show(&mut self, job: &Value) {
        for output in job["outputs"].as_array().into_iter().flatten() {
            let name = output["name"].as_str().unwrap_or_default();
            let state = output["state"].as_str().unwrap_or_default();
            let bars = &self.bars;
            let (bar, before) =
                self.by_name.entry(name.to_owned()).or_insert_with(|| (bars.percent(name), String::new()));
            bar.set_position(output["progress"].as_u64().unwrap_or(0).max(bar.position()));
            let stage = job["stage"].as_str().filter(|_| matches!(state, "waiting" | "processing")).unwrap_or(state);
            bar.set_message(stage.to_owned());
            if before != stage {
                if !bars.are_seen() {
                    bars.note(format_args!("{name}: {stage}"));
                }
                stage.clone_into(before);
            }
        }
    }

    /// Leaves the bars as they are.
    pub(crate) fn finish(self) {
        for (bar, _) in self.by_name.into_values() {
            bar.abandon();
        }
    }
}
