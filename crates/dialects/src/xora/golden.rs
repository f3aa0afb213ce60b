//! Golden files: every shape of request, reply, refusal and payload.

use reelhook_domain::event::{Event, EventType};
use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::form::Violation;
use reelhook_domain::id::{EventId, OutputId, RequestId};
use reelhook_domain::job::{Job, JobState, Output, OutputState};
use reelhook_domain::time::Timestamp;
use serde_json::{Value, json};

use super::request::{self, Wrong};
use super::tests::{finished, link};
use super::{error, event, provider, reply};
use crate::Refusal;

/// What is asked for, or what is wrong with it, in lines.
fn read(value: Value) -> String {
    let violations = |all: Vec<Violation>| {
        let line = |violation: &Violation| format!("{}: {}", violation.path, violation.message);
        all.iter().map(line).collect::<Vec<_>>().join("\n")
    };
    match request::job(value) {
        Err(Wrong::Invalid(all)) => violations(all),
        Err(Wrong::Unsupported(message)) => format!("unsupported: {message}"),
        Ok(job) => {
            let inputs = job.inputs.iter().map(|input| format!("{}: {:?}", input.name, input.source));
            let outputs = job.outputs.iter().map(|output| format!("{}: {}", output.name, json!(output.recipe)));
            let mut lines: Vec<_> = inputs.chain(outputs).collect();
            lines.extend(job.webhook.map(|webhook| format!("webhook: {} {}", webhook.url, json!(webhook.events))));
            if !job.said.is_null() {
                lines.push(format!("said: {}", job.said));
            }
            lines.join("\n")
        }
    }
}

fn all_read(requests: impl IntoIterator<Item = Value>) -> String {
    let shown = |request: Value| format!("{request}\n{}\n", read(request.clone()));
    requests.into_iter().map(shown).collect::<Vec<_>>().join("\n")
}

const URL: &str = "https://example.com/a.mp4";

#[test]
fn every_shape_of_a_request_is_read() {
    let input = json!({"url": URL});
    let with = |recipe: Value, format: &str| json!({"input": input, "output": {"format": format}, "recipe": recipe});
    let ffmpeg = |rest: Value, args: Value| {
        let mut request = rest;
        request["mode"] = "ffmpeg".into();
        request["ffmpeg"] = json!({"args": args});
        request
    };
    insta::assert_snapshot!(all_read([
        json!({"mode": "recipe", "input": input, "output": {"format": "mp4"}, "recipe": {"name": "compress", "crf": 28},
            "webhookUrl": "https://example.com/hook", "stageInput": false, "labelOfNextYear": 1}),
        with(json!({"name": "compress"}), "webm"),
        with(json!({"name": "transcode"}), "wav"),
        with(json!({"name": "resize", "width": 1280, "height": 720}), "mov"),
        with(json!({"name": "resize", "height": 360}), "mp4"),
        with(json!({"name": "trim", "startSeconds": 1.5, "durationSeconds": 10}), "mp4"),
        with(json!({"name": "thumbnail"}), "jpg"),
        with(json!({"name": "extractAudio", "startSeconds": 1, "durationSeconds": 2}), "wav"),
        with(json!({"name": "webReady", "bitrateKbps": 2500, "scaleDown": true}), "mp4"),
        with(json!({"name": "proxy"}), "mp4"),
        with(json!({"name": "proxy", "width": 640, "crf": 20, "gop": "all_intra", "startSeconds": 1}), "mp4"),
        json!({"recipe": {"name": "concat"}, "input_files": {"in_2": "https://example.com/b", "in_1": URL}}),
        ffmpeg(json!({"input": input, "output": {"format": "mp3"}}), json!(["-i", "{{input}}", "-vn", "{{output}}"])),
        ffmpeg(
            json!({"input_files": {"in_a": URL}, "output_files": {"out_x": "x.mp4", "out_y": "y.jpeg"}}),
            json!(["-i", "{{in_a}}", "{{out_x}}", "-frames:v", "1", "{{out_y}}"]),
        ),
        json!({"presetId": "gif-preview", "input": input}),
        json!({"presetId": "preset_resize-hd", "input": input, "output": {"format": "webm"}}),
    ]));
}

#[test]
fn everything_wrong_with_a_request_is_named() {
    let input = json!({"url": URL});
    insta::assert_snapshot!(all_read([
        json!({}),
        json!({"mode": "magic", "input": input}),
        json!({"input": {}, "recipe": {"name": "compress", "crf": 99}}),
        json!({"input": {"url": "example.com"}, "webhookUrl": "/hook", "recipe": {"name": "compress"}}),
        json!({"input": input, "output": {"format": "mkv"}, "recipe": {"name": "compress"}}),
        json!({"input": input, "output": {"format": "gif"}, "recipe": {"name": "transcode"}}),
        json!({"input": input, "output": {"format": "mp4"}, "recipe": {"name": "thumbnail", "seekSeconds": -1}}),
        json!({"input": input, "recipe": {"name": "resize"}}),
        json!({"input": input, "recipe": {"name": "explode"}}),
        json!({"input": input, "input_files": {"in_1": URL}, "recipe": {"name": "concat"}}),
        json!({"input_files": {"in_1": URL}, "recipe": {"name": "concat"}}),
        json!({"input_files": {"first": URL, "in_a.b": URL}, "recipe": {"name": "concat"}}),
        json!({"input_files": {"in_1": URL}, "recipe": {"name": "trim"}}),
        json!({"input": input, "output_files": {"out_x": "x.mp4"}, "recipe": {"name": "trim"}}),
        json!({"input": input, "mode": "ffmpeg"}),
        json!({"input": input, "mode": "ffmpeg", "ffmpeg": {"args": []}}),
        json!({"input": input, "mode": "ffmpeg", "ffmpeg": {"args": ["-i", "{{in_9}}", "{{out_9}}"]}}),
        json!({"input_files": {"in_1": URL}, "output_files": {"out_x": "../x.mp4", "y": "y.mp4", "out_z": "z.exe"},
            "mode": "ffmpeg", "ffmpeg": {"args": ["-i", "{{in_1}}", "{{out_x}}"]}}),
        json!({"input": input, "mode": "ffmpeg", "ffmpeg": {"args": ["-i", "/etc/passwd", "{{output}}"]}}),
        json!({"input": input, "mode": "ffmpeg", "ffmpeg": {"args": ["-i", "{{input}}", "-f", "tee", "{{output}}"]}}),
        json!({"presetId": "nosuch", "input": input}),
    ]));
}

/// The job in each state that there is.
fn states() -> Vec<Job> {
    let failure = JobFailure::server(Stage::Encoding, "encoder_failed", "the encoder ended with an error");
    let unfit = JobFailure::input(Stage::Probing, "unsupported_media", "the input is not media");
    let bare = |state: JobState, progress: u8| {
        let mut job = finished();
        (job.state, job.progress) = (state, progress);
        job.outputs[0].file = None;
        job
    };
    let at = |stage: Stage| Job { stage: Some(stage), ..bare(JobState::Processing, 35) };
    let mut several = finished();
    several.outputs[0].spec.name = "out_sound".to_owned();
    several.spec.said = json!({"files": {"out_sound": "sound.aac", "out_other": "other.aac"}});
    let mut other: Output = several.outputs[0].clone();
    (other.spec.id, other.spec.name) = (OutputId::from_bits(4), "out_other".to_owned());
    several.outputs.push(other);
    let mut partial = several.clone();
    (partial.state, partial.progress) = (JobState::Partial { error: failure.clone() }, 100);
    (partial.outputs[1].state, partial.outputs[1].file) = (OutputState::Failed, None);
    vec![
        bare(JobState::Queued, 0),
        bare(JobState::Probing, 0),
        at(Stage::Planning),
        at(Stage::Encoding),
        at(Stage::Storing),
        finished(),
        several,
        partial,
        bare(JobState::Failed { error: failure }, 35),
        bare(JobState::Rejected { error: unfit }, 0),
        bare(JobState::Canceled, 35),
    ]
}

#[test]
fn a_job_is_shown_in_each_of_its_states() {
    let shown: Vec<_> = states().iter().map(|job| format!("{:#}", reply::job(job, &link))).collect();
    insta::assert_snapshot!(shown.join("\n"));
    let first = &states()[..1];
    insta::assert_snapshot!(format!("{:#}", reply::jobs(first, Some("next"), &link)));
    insta::assert_snapshot!(reply::accepted(&first[0]).to_string());
}

#[test]
fn each_end_of_a_job_is_told_and_nothing_else() {
    let told = |kind: &'static str, job: &Job, data: Value| {
        let event = Event {
            id: EventId::from_bits(3),
            sequence: 1,
            account: job.account,
            kind: EventType::ours(kind),
            at: Timestamp::from_millis(1_780_567_200_000),
            job: (kind != EventType::WEBHOOK_TEST).then_some(job.id),
            data: data.into(),
        };
        event::payload(&event, &link).unwrap()
    };
    let mut bodies = Vec::new();
    for job in states() {
        let kind = match job.state {
            JobState::Completed => EventType::JOB_COMPLETED,
            JobState::Partial { .. } => EventType::JOB_PARTIAL,
            JobState::Failed { .. } => EventType::JOB_FAILED,
            JobState::Rejected { .. } => EventType::JOB_REJECTED,
            JobState::Canceled => EventType::JOB_CANCELED,
            _ => EventType::JOB_PROGRESS,
        };
        let body = told(kind, &job, json!(job));
        assert_eq!(body.is_some(), job.state.is_terminal(), "{kind}");
        bodies.extend(body);
    }
    bodies.extend(told(EventType::WEBHOOK_TEST, &finished(), json!({"message": "a test"})));
    insta::assert_snapshot!(bodies.join("\n"));
}

#[test]
fn a_storage_provider_is_read_and_never_repeats_its_keys() {
    let shown = |value: Value| match provider::read(&value) {
        Ok(read) => format!("{read:#?}"),
        Err(all) => {
            all.iter().map(|one| format!("{}: {} {}", one.path, one.message, one.value)).collect::<Vec<_>>().join("\n")
        }
    };
    let full = json!({"name": "Results", "provider": "r2", "accountId": "0123456789abcdef0123456789abcdef", "bucket": "media",
        "prefix": "xora", "accessKeyId": "AKID", "secretAccessKey": "in-the-clear", "makeDefault": true});
    let without = |names: &[&str]| {
        let mut value = full.clone();
        names.iter().for_each(|name| drop(value.as_object_mut().unwrap().remove(*name)));
        value
    };
    let mut odd = full.clone();
    (odd["bucket"], odd["secretAccessKey"], odd["prefix"]) =
        ("NO BUCKET".into(), "in the clear".into(), "../up".into());
    let all = [
        full.clone(),
        without(&["accountId", "name", "prefix", "makeDefault"]),
        without(&["bucket", "accessKeyId", "secretAccessKey"]),
        without(&["provider"]),
        odd,
        json!([]),
    ];
    let lines = all.map(shown).join("\n\n");
    assert!(!lines.contains("in-the-clear") && !lines.contains("in the clear"), "{lines}");
    insta::assert_snapshot!(lines);
}

#[test]
fn refusals_are_in_the_services_codes() {
    let refusals = [
        (401, "unauthorized"),
        (403, "forbidden"),
        (404, "not_found"),
        (405, "method_not_allowed"),
        (409, "job_ended"),
        (413, "too_large"),
        (415, "unsupported_media_type"),
        (422, "invalid_request"),
        (400, "malformed_request"),
        (400, "unsupported_command"),
        (500, "internal"),
        (503, "overloaded"),
    ];
    let lines = refusals.map(|(status, code)| {
        let request = RequestId::from_bits(1);
        let (answered, body) = error::of(&Refusal { status, code, detail: "what was wrong", violations: &[], request });
        format!("{status} {code}: {answered} {body}")
    });
    insta::assert_snapshot!(lines.join("\n"));
}
