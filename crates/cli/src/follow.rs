//! Following a job to its end.
//!
//! The event stream says when to look again, and what it carries is shown; that the job has ended is believed only when
//! `GET` says so. A stream that breaks is opened again after the last event seen; a server without streams is asked
//! every half second.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::StreamExt as _;
use http::StatusCode;
use indicatif::ProgressBar;
use reelhook_domain::time::Timestamp;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::ambient;
use crate::client::{Api, Problem};
use crate::exit;
use crate::output::{self, Bars};
use crate::progress::Progress;
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
                if failures > 0 {
                    output::note("connected again");
                }
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
                return Err(failure).context("the server does not answer; the job goes on there");
            }
            _ => {
                if failures == 0 {
                    output::note(format_args!("{}; trying again, the job goes on", exit::sentence(&failure)));
                }
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

/// The progress of a job: bars, or plain lines where stderr is not a terminal.
#[derive(Debug)]
pub(crate) struct JobBars {
    bars: Bars,
    drawn: Vec<ProgressBar>,
    progress: Arc<Mutex<Progress>>,
    began: Instant,
    /// How long the job ran before this program looked at it; known from the first look on.
    before: Option<Duration>,
    /// What plain lines said last: of each output its stage, and of the whole a step of ten per cent.
    said: (Vec<&'static str>, u64),
}

impl JobBars {
    /// Shows a job among `bars`.
    pub(crate) fn new(bars: Bars) -> Self {
        let began = Instant::now();
        Self { bars, drawn: Vec::new(), progress: Arc::default(), began, before: None, said: Default::default() }
    }

    /// Shows how far the job is.
    pub(crate) fn show(&mut self, job: &Value) {
        let progress = Arc::clone(&self.progress);
        let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
        if self.before.is_none() {
            // First as it was when it began, so that the time is counted from there.
            self.before = Some(ran(job));
            progress.see(&json!({"started_at": job["started_at"]}), Duration::ZERO);
        }
        let before = self.before.unwrap_or_default();
        let now = before + self.began.elapsed();
        progress.see(job, now);
        if !self.bars.are_seen() {
            return self.say(job, &mut progress, now);
        }
        for line in self.drawn.len()..progress.lines() {
            let (progress, began) = (Arc::clone(&self.progress), self.began);
            self.drawn.push(self.bars.live(move || {
                let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
                progress.line(line, before + began.elapsed())
            }));
        }
    }

    fn say(&mut self, job: &Value, progress: &mut Progress, now: Duration) {
        let (stages, step) = &mut self.said;
        for (index, (name, stage)) in progress.stages().enumerate() {
            if stages.get(index) != Some(&stage) {
                stages.resize(stages.len().max(index + 1), "");
                stages[index] = stage;
                self.bars.note(format_args!("{name}: {stage}"));
            }
        }
        let reached = job["progress"].as_u64().unwrap_or(0) / 10;
        if reached > *step && !has_ended(job) {
            *step = reached;
            self.bars.note(progress.summary(now));
        }
    }

    /// Leaves the bars as they are.
    pub(crate) fn finish(self) {
        for bar in self.drawn {
            bar.abandon();
        }
    }
}

/// How long a job runs already, by the clocks of the server and of this machine.
fn ran(job: &Value) -> Duration {
    const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);
    let started: Option<Timestamp> = job["started_at"].as_str().and_then(|text| text.parse().ok());
    let ran = started.map_or(Duration::ZERO, |started| ambient::system().now().since(started));
    // Clocks that differ so much say nothing.
    if ran < MONTH { ran } else { Duration::ZERO }
}
