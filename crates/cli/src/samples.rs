//! Lifelike events for `reelhook trigger`.
//!
//! One job that completed is kept as JSON, in the shape of the domain; the job at any other point of its life is made from
//! it by taking away what was not yet so; a test of the program compares each with what it really sends. What is sent is rendered by the same code that renders real events.

use reelhook_dialects::{Link, LinkTo, native};
use reelhook_domain::ambient::Ambient;
use reelhook_domain::event::{Event, EventType};
use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::job::{Job, JobState, OutputState};
use reelhook_domain::price::Cost;
use reelhook_domain::time::Timestamp;
use serde_json::{Value, json};

const JOB: &str = include_str!("../samples/job.json");
const ENDPOINT: &str = include_str!("../samples/endpoint.json");
const WEBHOOK_TEST: &str = include_str!("../samples/webhook_test.json");

/// Where the links of the sample job lead: nowhere.
const LINK: LinkTo<'static> = &|link| match link {
    Link::Output { job, name } => {
        format!("https://media.example.com/v1/jobs/{job}/outputs/{name}?expires=0&signature=sample")
    }
    Link::File { job, output, path } => format!("https://media.example.com/files/0.sample/{job}/{output}/{path}"),
    Link::Dated { service, job, name, .. } => {
        format!("https://media.example.com/{service}/0/{}/{name}", job.hyphenated())
    }
    Link::Upload { upload, name } => format!("https://media.example.com/uploads/0.sample/{upload}/{name}"),
};

/// A sample event of that type, as the store would keep it: a new id, and now.
pub(crate) fn event(kind: EventType, ambient: &Ambient) -> anyhow::Result<Event> {
    let now = ambient.now();
    let job = kind.as_str().strip_prefix("job.").map(|_| job(&kind, now)).transpose()?;
    let mut data = match (&job, kind.as_str()) {
        (Some(job), _) => serde_json::to_value(job)?,
        (None, EventType::ENDPOINT_DISABLED | EventType::ENDPOINT_ENABLED) => serde_json::from_str(ENDPOINT)?,
        (None, EventType::WEBHOOK_TEST) => serde_json::from_str(WEBHOOK_TEST)?,
        (None, _) => json!({"sample": true}),
    };
    if kind.as_str() == EventType::ENDPOINT_ENABLED {
        data["reason"] = Value::Null;
    }
    let account = job.as_ref().map_or_else(|| ambient.id(), |job| job.account);
    Ok(Event { id: ambient.id(), sequence: 1, account, kind, at: now, job: job.map(|job| job.id), data: data.into() })
}

/// What a webhook with that event carries in `data`.
pub(crate) fn payload(event: &Event) -> anyhow::Result<Value> {
    Ok(native::event::value(event, LINK)?["data"].take())
}

/// The whole body of a webhook with that event.
pub(crate) fn body(event: &Event) -> anyhow::Result<String> {
    Ok(native::event::payload(event, LINK)?)
}

/// The sample job as it is when an event of that type tells of it.
fn job(kind: &EventType, now: Timestamp) -> anyhow::Result<Job> {
    let mut job: Job = serde_json::from_str(JOB)?;
    // The times of the sample, moved so that it ends now.
    let end = job.finished_at.unwrap_or(job.created_at);
    let moved = |at: Timestamp| now - end.since(at);
    (job.created_at, job.started_at, job.finished_at) = (moved(job.created_at), job.started_at.map(moved), Some(now));
    let error = JobFailure::input(Stage::Probing, "input_truncated", "the input ends after 12.3 of 31.4 seconds");
    match kind.as_str() {
        EventType::JOB_CREATED => {
            (job.started_at, job.inputs, job.estimate) = (None, Vec::new(), None);
            rewind(&mut job, JobState::Queued, OutputState::Waiting, 0);
        }
        EventType::JOB_STARTED => rewind(&mut job, JobState::Processing, OutputState::Processing, 0),
        EventType::JOB_PROGRESS => rewind(&mut job, JobState::Processing, OutputState::Processing, 42),
        EventType::JOB_AWAITING_CONFIRMATION => {
            let until = now + std::time::Duration::from_secs(24 * 3600);
            rewind(&mut job, JobState::AwaitingConfirmation { until }, OutputState::Waiting, 0);
        }
        EventType::JOB_PARTIAL => {
            if let Some(last) = job.outputs.last_mut() {
                (last.state, last.progress, last.file, last.error) =
                    (OutputState::Failed, 0, None, Some(error.clone()));
                (last.plan, last.receipt) = (json!([]), Value::Null);
            }
            job.state = JobState::Partial { error };
        }
        EventType::JOB_FAILED => {
            end_badly(&mut job, JobState::Failed { error }, OutputState::Failed, now);
            unread(&mut job);
        }
        EventType::JOB_REJECTED => {
            let error = JobFailure::input(
                Stage::Probing,
                "input_unsupported",
                "the input is a playlist; send the media itself",
            );
            end_badly(&mut job, JobState::Rejected { error }, OutputState::Failed, now);
            unread(&mut job);
        }
        EventType::JOB_CANCELED => end_badly(&mut job, JobState::Canceled, OutputState::Canceled, now),
        _ => {}
    }
    Ok(job)
}

/// The input was not understood: nothing is known of its media, and nothing was made of it or has to be paid.
fn unread(job: &mut Job) {
    job.estimate = None;
    for input in &mut job.inputs {
        input.media = None;
    }
    job.cost = job.cost.take().map(|cost| Cost { amount: 0.0, outputs: vec![0.0; job.outputs.len()], ..cost });
}

fn end_badly(job: &mut Job, state: JobState, outputs: OutputState, now: Timestamp) {
    let error = state.error().cloned();
    let cost = job.cost.take();
    rewind(job, state, outputs, 42);
    job.cost = cost.filter(|_| error.is_some());
    (job.stage, job.finished_at) = (None, Some(now));
    for output in &mut job.outputs {
        output.error = error.clone();
    }
}

/// Takes away what was not yet so at that point.
fn rewind(job: &mut Job, state: JobState, outputs: OutputState, progress: u8) {
    job.stage = matches!(state, JobState::Processing).then_some(Stage::Encoding);
    (job.state, job.progress, job.finished_at, job.cost) = (state, progress, None, None);
    for output in &mut job.outputs {
        (output.state, output.progress, output.file, output.receipt) = (outputs, progress, None, Value::Null);
        output.plan = json!([]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ambient;

    #[test]
    fn every_type_of_ours_has_a_sample_in_the_state_it_tells_of() {
        for &name in EventType::OURS {
            let event = event(EventType::ours(name), &ambient::system()).unwrap();
            let payload = payload(&event).unwrap();
            if let Some(state) = name.strip_prefix("job.") {
                let state = match state {
                    "created" => "queued",
                    "started" | "progress" => "processing",
                    other => other,
                };
                assert_eq!(payload["state"], state, "{name}");
                let failed = matches!(state, "partial" | "failed" | "rejected");
                assert_eq!(payload["error"].is_object(), failed, "{name}");
            }
            assert!(body(&event).unwrap().contains(&format!("\"type\":\"{name}\"")));
        }
    }

    #[test]
    fn an_unknown_job_event_is_of_the_completed_job_and_a_callers_own_says_that_it_is_a_sample() {
        let ambient = ambient::system();
        let invoice = event("invoice.paid".parse().unwrap(), &ambient).unwrap();
        assert_eq!(payload(&invoice).unwrap(), json!({"sample": true}));
        let completed = event(EventType::ours(EventType::JOB_COMPLETED), &ambient).unwrap();
        assert_eq!(payload(&completed).unwrap()["outputs"].as_array().unwrap().len(), 2);
    }
}
