//! `JobService/Watch`: a job as it goes on, as a stream of Connect.
//!
//! # Theory of operation
//! The stream arms its wake-up, reads the job, sends what is new, and waits; so nothing slips between the look and the
//! wait, and one that falls behind sends the latest. The first message is a snapshot; a message says what kind of change
//! it tells of; a heartbeat says that a quiet stream is alive. After the message of a terminal state comes the end.
//!
//! The bad day: a call that is refused is answered within the stream, with HTTP 200, if it came as one; a client that
//! sent plain JSON gets a plain refusal.
//!
//! # Source
//! The Connect protocol, "Streaming RPCs": each message has five bytes in front, flags and a big-endian length; flag 1 is
//! for compressed ones, flag 2 for the last, which holds the error if there was one.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequestParts as _, Request, State};
use axum::response::{IntoResponse as _, Response};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderValue};
use reelhook_dialects::transcodely::{error, reply};
use reelhook_domain::id::{JobId, RequestId};
use reelhook_domain::job::Job;
use reelhook_store::{Topic, Wake};
use serde_json::{Value, json};

use super::jobs::job_id;
use crate::auth::ServiceCaller;
use crate::body;
use crate::desk::{Caller, Desk};
use crate::problem::{Problem, missing};
use crate::routes::stream::passed_on_at_once;

/// The media type of a stream of JSON.
const STREAM: HeaderValue = HeaderValue::from_static("application/connect+json");
/// How often a quiet stream says that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(15);
const COMPRESSED: u8 = 1;
const LAST: u8 = 2;

/// Streams a job until it has ended or the key is revoked.
pub(super) async fn watch(State(desk): State<Desk>, request: Request) -> Response {
    let id: Option<RequestId> = request.extensions().get().copied();
    let framed = request.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(STREAM.as_bytes()));
    match follow(&desk, request).await.and_then(stream) {
        Ok(response) => response,
        Err(problem) if framed => {
            let refusal = problem.refusal(id.unwrap_or_else(|| desk.ambient().id()));
            let (_, code) = error::code(&refusal);
            streamed(Body::from(frame(LAST, &json!({"error": error::body(&refusal, code)}))))
        }
        Err(problem) => problem.into_response(),
    }
}

async fn follow(desk: &Desk, request: Request) -> Result<Follower, Problem> {
    let (mut parts, body) = request.into_parts();
    let ServiceCaller(caller) = ServiceCaller::from_request_parts(&mut parts, desk).await?;
    let bytes = body::read(body, desk.limits().body_bytes).await?;
    let job = job_id(body::parse(&message(bytes)?)?)?;
    let wake = desk.store().wakes().listen(Topic::JobChanged);
    desk.store().job(caller.account, job).await.map_err(missing("job"))?;
    Ok(Follower { desk: desk.clone(), caller, job, wake, told: None, ended: false })
}

/// The one message of a request, with or without its envelope.
fn message(mut bytes: Bytes) -> Result<Bytes, Problem> {
    if bytes.first().is_none_or(|first| !matches!(first, 0..=LAST)) {
        return Ok(bytes);
    }
    let cut_short = || Problem::malformed("the envelope of the message is cut short");
    if bytes.len() < 5 {
        return Err(cut_short());
    }
    let (flags, length) = (bytes.get_u8(), bytes.get_u32() as usize);
    if flags & COMPRESSED != 0 {
        return Err(Problem::malformed("the message is compressed; send it as it is"));
    }
    if bytes.len() < length { Err(cut_short()) } else { Ok(bytes.split_to(length)) }
}

fn frame(flags: u8, message: &Value) -> Bytes {
    let text = message.to_string();
    let mut frame = BytesMut::with_capacity(5 + text.len());
    frame.put_u8(flags);
    frame.put_u32(u32::try_from(text.len()).expect("a job in JSON is far below 4 GiB"));
    frame.put_slice(text.as_bytes());
    frame.freeze()
}

fn stream(follower: Follower) -> Result<Response, Problem> {
    let (desk, caller) = (follower.desk.clone(), follower.caller);
    let frames = futures::stream::unfold(Some(follower), |follower| async {
        let mut follower = follower?;
        match follower.next().await {
            Some(message) => Some((Ok::<_, std::convert::Infallible>(frame(0, &message)), Some(follower))),
            None => Some((Ok(frame(LAST, &json!({}))), None)),
        }
    });
    Ok(streamed(Body::from_stream(desk.attended(caller, frames)?)))
}

fn streamed(body: Body) -> Response {
    passed_on_at_once(([(CONTENT_TYPE, STREAM)], body).into_response())
}

struct Follower {
    desk: Desk,
    caller: Caller,
    job: JobId,
    wake: Wake,
    /// The status, and how far all of it was, as told last.
    told: Option<(&'static str, Vec<u8>)>,
    ended: bool,
}

impl Follower {
    /// The next message; none when the job has ended or the server stops.
    async fn next(&mut self) -> Option<Value> {
        let heartbeat = tokio::time::Instant::now() + HEARTBEAT;
        loop {
            if self.ended {
                return None;
            }
            let job = match self.desk.store().job(self.caller.account, self.job).await {
                Ok(job) => job,
                Err(error) => {
                    tracing::warn!(error = %error, job.id = %self.job, "a stream of a job ended early");
                    return None;
                }
            };
            let now = (reply::status(&job), progress(&job));
            self.ended = job.state.is_terminal();
            let event = match &self.told {
                None => Some("snapshot"),
                Some(_) if self.ended => Some("completed"),
                Some((status, _)) if *status != now.0 => Some("status_change"),
                Some((_, progress)) if *progress != now.1 => Some("progress"),
                Some(_) => None,
            };
            if let Some(event) = event {
                self.told = Some(now);
                return Some(self.message(&job, event));
            }
            tokio::select! {
                () = self.wake.wait() => {}
                () = tokio::time::sleep_until(heartbeat) => return Some(self.message(&job, "heartbeat")),
                () = self.desk.stop().cancelled() => return None,
            }
        }
    }

    fn message(&self, job: &Job, event: &str) -> Value {
        let server_time = reply::time(self.desk.ambient().now());
        json!({"job": reply::job(job, self.desk.link_to()), "event": event, "server_time": server_time})
    }
}

fn progress(job: &Job) -> Vec<u8> {
    std::iter::once(job.progress).chain(job.outputs.iter().map(|output| output.progress)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_with_and_without_its_envelope() {
        let plain = Bytes::from_static(b"{\"id\":\"job_1\"}");
        assert_eq!(message(plain.clone()).unwrap(), plain);
        let framed = frame(0, &json!({"id": "job_1"}));
        assert_eq!(&framed[..5], [0, 0, 0, 0, 14]);
        assert_eq!(message(framed.clone()).unwrap(), plain);
        assert!(message(framed.slice(..3)).is_err());
        assert!(message(framed.slice(..10)).is_err());
        assert!(message(frame(COMPRESSED, &json!({}))).is_err());
    }
}
