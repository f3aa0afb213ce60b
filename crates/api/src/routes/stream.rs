//! Server-sent events.
//!
//! A stream arms its wake-up, reads what is new, sends it, and waits; so nothing slips between the look and the wait. A
//! reader that falls behind misses nothing either: it reads the store, not a queue.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event as Frame, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{Stream, stream};
use http::HeaderName;
use http::header::{CACHE_CONTROL, HeaderValue};
use reelhook_dialects::native;
use reelhook_domain::event::{Event, EventType};
use reelhook_domain::id::JobId;
use reelhook_domain::job::Job;
use reelhook_store::{Topic, Wake};
use serde_json::{Value, json};

use crate::desk::{Caller, Desk};
use crate::problem::{Problem, missing};

/// How often a quiet stream says that it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What keeps nginx, and what took its word over, from gathering a stream before passing it on.
///
/// # Source
/// nginx, `ngx_http_proxy_module`, `proxy_buffering`.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Names under which a browser's `EventSource` reports its own connection: no event of ours has one of them.
const NAMES_OF_EVENT_SOURCE: [&str; 2] = ["error", "open"];

/// How the frames of a stream are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FrameNames {
    /// After the type of their event.
    Types,
    /// Not at all: to a browser they are all `message`.
    None,
}

impl std::str::FromStr for FrameNames {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "types" => Ok(Self::Types),
            "none" => Ok(Self::None),
            _ => Err("must be types or none"),
        }
    }
}

impl FrameNames {
    /// A frame of that type.
    pub(super) fn frame(self, kind: &str) -> Frame {
        match self {
            Self::Types if !NAMES_OF_EVENT_SOURCE.contains(&kind) => Frame::default().event(kind),
            Self::Types | Self::None => Frame::default(),
        }
    }
}

/// Says to whatever lies between us and the caller that a stream is passed on as it comes.
pub(super) fn passed_on_at_once(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    response
}

/// The answer that sends frames as they come.
pub(super) fn answer<S>(frames: S) -> Response
where
    S: Stream<Item = Result<Frame, Infallible>> + Send + 'static,
{
    passed_on_at_once(Sse::new(frames).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

/// An event as the API shows it: the body of its webhook, and its id.
pub(super) fn value(desk: &Desk, event: &Event) -> Result<Value, Problem> {
    let mut value = native::event::value(event, desk.link_to()).map_err(|error| {
        tracing::error!(error = %error, "a stored event cannot be shown");
        Problem::internal()
    })?;
    value["id"] = event.id.to_string().into();
    Ok(value)
}

struct Follower {
    desk: Desk,
    caller: Caller,
    job: JobId,
    after: i64,
    names: FrameNames,
    told: Option<Value>,
    wake: Wake,
    ended: bool,
    fresh: bool,
}

/// Streams the events of one job after that sequence number, and its progress, until it ends or the key is revoked.
pub(super) async fn job(
    desk: &Desk,
    caller: Caller,
    job: JobId,
    after: i64,
    names: FrameNames,
) -> Result<Response, Problem> {
    desk.store().job(caller.account, job).await.map_err(missing("job"))?;
    let wake = desk.store().wakes().listen(Topic::JobChanged);
    let follower =
        Follower { desk: desk.clone(), caller, job, after, names, told: None, wake, ended: false, fresh: true };
    let frames = stream::unfold(follower, |mut follower| async move {
        let frames = follower.next().await?;
        Some((stream::iter(frames.into_iter().map(Ok::<_, Infallible>)), follower))
    });
    let frames = desk.attended(caller, futures::StreamExt::flatten(frames))?;
    Ok(answer(frames))
}

impl Follower {
    /// The next frames; none when the job has ended or the server stops.
    async fn next(&mut self) -> Option<Vec<Frame>> {
        loop {
            if self.ended {
                return None;
            }
            if !std::mem::take(&mut self.fresh) {
                tokio::select! {
                    () = self.wake.wait() => {}
                    () = self.desk.stop().cancelled() => return None,
                }
            }
            match self.look().await {
                Ok(frames) if frames.is_empty() => {}
                Ok(frames) => return Some(frames),
                Err(error) => {
                    tracing::warn!(error = %error, job.id = %self.job, "a stream of events ended early");
                    return None;
                }
            }
        }
    }

    async fn look(&mut self) -> Result<Vec<Frame>, reelhook_store::StoreError> {
        // The job first: should it end between the two reads, its last event is only sent with the next look, and the
        // stream goes on until then.
        let job = self.desk.store().job(self.caller.account, self.job).await?;
        let events = self.desk.store().job_events(self.caller.account, self.job, self.after).await?;
        let mut frames = Vec::with_capacity(events.len() + 1);
        for event in events {
            self.after = event.sequence;
            if event.kind.as_str() == EventType::JOB_PROGRESS {
                continue;
            }
            if let Ok(value) = value(&self.desk, &event) {
                let frame = self.names.frame(event.kind.as_str());
                frames.push(frame.id(event.sequence.to_string()).data(value.to_string()));
            }
        }
        let progress = progress(&job);
        if self.told.as_ref() != Some(&progress) && !job.state.is_terminal() {
            frames.push(self.names.frame(EventType::JOB_PROGRESS).data(progress.to_string()));
            self.told = Some(progress);
        }
        self.ended = job.state.is_terminal();
        Ok(frames)
    }
}

fn progress(job: &Job) -> Value {
    let outputs: Vec<_> = job
        .outputs
        .iter()
        .map(|output| json!({"name": output.spec.name, "state": output.state, "progress": output.progress}))
        .collect();
    json!({
        "type": EventType::JOB_PROGRESS, "id": job.id, "state": job.state.name(), "stage": job.stage, "progress": job.progress, "outputs": outputs,
    })
}
