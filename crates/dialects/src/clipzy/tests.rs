//! Golden requests, replies, errors and payloads.

use reelhook_domain::event::{Event, EventType};
use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::id::{AccountId, EventId, JobId, OutputId, RequestId, UploadId};
use reelhook_domain::job::{Job, JobState};
use reelhook_domain::retry::RetrySchedule;
use reelhook_domain::time::Timestamp;
use serde_json::{Value, json};

use super::reply::{JobReply, ResultReply, UploadReply, page, success};
use super::request::Defaults;
use super::{error, event, headers, request, video_id, video_of};
use crate::{Link, Refusal};

const AT: Timestamp = Timestamp::from_millis(1_750_000_000_000);

fn link(link: Link<'_>) -> String {
    match link {
        Link::File { job, output, path } => format!("https://h.example/files/proof/{job}/{output}/{path}"),
        Link::Upload { upload, name } => format!("https://h.example/uploads/proof/{upload}/{name}"),
        other => panic!("{other:?}"),
    }
}

fn job(state: JobState) -> Job {
    let spec = serde_json::from_value(json!({
        "inputs": [
            {"name": "input", "source": {"upload": UploadId::from_bits(5)}},
            {"name": "template", "source": {"upload": UploadId::from_bits(6)}},
        ],
        "outputs": [{"id": OutputId::from_bits(1), "name": "output", "recipe": "style", "template": "template",
            "quality": "premium", "format": "mp4", "codec": "h264"}],
        "webhook": null, "metadata": {}, "priority": "standard", "on_damage": "strict", "dialect": "clipzy",
    }));
    let mut job = Job::new(JobId::from_bits(9), AccountId::from_bits(1), spec.unwrap(), AT);
    if state != JobState::Queued {
        job.started_at = Some(AT);
        job.progress = 40;
    }
    if state.is_terminal() {
        job.finished_at = Some(Timestamp::from_millis(AT.as_millis() + 41_700));
    }
    if matches!(state, JobState::Completed | JobState::Partial { .. }) {
        job.progress = 100;
        job.outputs[0].receipt = json!({"style": {"version": "1.0"}});
        job.outputs[0].file = serde_json::from_value(json!({
            "name": "output.mp4", "key": "k", "size_bytes": 9, "sha256": "", "mime_type": "video/mp4",
            "media": {"format": "mp4", "duration_seconds": 2.0, "video": null, "audio": null},
        }))
        .unwrap();
    }
    job.state = state;
    job
}

fn states() -> [JobState; 8] {
    let error = JobFailure::input(Stage::Encoding, "input_truncated", "the input ends before it should");
    [
        JobState::Queued,
        JobState::Probing,
        JobState::Processing,
        JobState::Completed,
        JobState::Partial { error: error.clone() },
        JobState::Failed { error: error.clone() },
        JobState::Rejected { error },
        JobState::Canceled,
    ]
}

#[test]
fn webhooks_are_flat_and_have_the_documented_keys_alone() {
    let mut said = String::new();
    for state in states() {
        let Some(kind) = EventType::of_job(&state) else { continue };
        let job = job(state);
        let event = Event {
            id: EventId::from_bits(1),
            sequence: 1,
            account: job.account,
            kind: kind.clone(),
            at: AT,
            job: Some(job.id),
            data: reelhook_domain::event::Data::of(&job),
        };
        let body = event::payload(&event, &link).unwrap();
        said += &format!("{kind}: {}\n", body.as_deref().unwrap_or("not told"));
    }
    insta::assert_snapshot!(said);
}

#[test]
fn jobs_and_results_are_shown_as_documented() {
    let mut said = String::new();
    for state in states() {
        let job = job(state);
        said += &format!("{}\n{}\n\n", json!(JobReply::of(&job)), success("m", ResultReply::of(&job, &link)));
    }
    said += &page(&[], 0, 1, 10).to_string();
    insta::assert_snapshot!(said);
}

#[test]
fn progress_never_goes_back_and_names_the_documented_stage() {
    let mut running = job(JobState::Processing);
    let mut seen = Vec::<(u64, Value)>::new();
    for progress in 0..=100 {
        running.progress = progress;
        let shown = json!(JobReply::of(&running));
        let percent = shown["progress_percent"].as_u64().unwrap();
        assert!(seen.last().is_none_or(|(before, _)| *before <= percent) && percent < 100);
        if seen.last().is_none_or(|(_, stage)| *stage != shown["current_stage"]) {
            seen.push((percent, shown["current_stage"].clone()));
        }
    }
    let documented = [
        (1, "video_analysis"),
        (21, "audio_analysis"),
        (36, "motion_analysis"),
        (56, "style_extraction"),
        (66, "style_application"),
        (86, "rendering"),
    ];
    assert_eq!(seen, documented.map(|(percent, stage)| (percent, json!(stage))));
    let mut again = running;
    (again.state, again.progress) = (JobState::Queued, 70);
    let shown = json!(JobReply::of(&again));
    assert_eq!((&shown["status"], &shown["progress_percent"]), (&json!("processing"), &json!(70)));
}

#[test]
fn an_upload_is_answered_with_what_it_holds() {
    let media = serde_json::from_value(json!({
        "format": "mp4", "duration_seconds": 2.5, "bit_rate": 812_345, "audio": null,
        "video": {"codec": "h264", "width": 320, "height": 180, "frame_rate": 25.0},
    }));
    let upload = UploadId::from_bits(5);
    let known = UploadReply::of(upload, "clip.mp4", 1234, AT, Some(&media.unwrap()), &link);
    let unknown = UploadReply::of(upload, "clip.mp4", 1234, AT, None, &link);
    insta::assert_json_snapshot!(json!([known, unknown]));
}

#[test]
fn a_job_is_read_and_its_own_fields_win_over_the_uploads() {
    let (video, own, other) = (UploadId::from_bits(5), UploadId::from_bits(6), UploadId::from_bits(7));
    let uploaded = Defaults { template: Some(other), webhook: Some("https://a.example/upload".parse().unwrap()) };
    assert_eq!(Defaults::kept(&uploaded.said(None)), uploaded);
    assert_eq!(Defaults::kept(&Value::Null), Defaults::default());
    let full = json!({"video_id": video_id(video), "template_video_id": video_id(own), "unknown": 1,
        "config": {"quality": "high", "output_format": "mp4", "other": true}, "webhook_url": "https://a.example/job"});
    let bare = json!({"video_id": video_id(video), "template_video_id": "", "webhook_url": null});
    let said = |value: &Value, uploaded: &Defaults| {
        format!("{:#?}", request::job(value.clone()).unwrap().over(uploaded.clone()))
    };
    insta::assert_snapshot!(format!("{}\n{}", said(&full, &uploaded), said(&bare, &Defaults::default())));
    let request = request::job(bare).unwrap().over(uploaded);
    assert_eq!(request.webhook.unwrap().url.as_str(), "https://a.example/upload");
    assert_eq!(request.inputs[1].source, crate::InputRequest::Upload(other));
}

#[test]
fn what_is_wrong_with_a_job_is_named() {
    let video = video_id(UploadId::from_bits(5));
    let mut said = String::new();
    for value in [
        json!({}),
        json!({"video_id": ""}),
        json!({"video_id": 7}),
        json!({"video_id": video, "config": {"quality": "best", "output_format": "webm"}, "webhook_url": "not a url"}),
        json!([]),
    ] {
        for wrong in request::job(value.clone()).unwrap_err() {
            said += &format!("{value} -> {}: {}\n", wrong.path, wrong.message);
        }
    }
    insta::assert_snapshot!(said);
}

#[test]
fn ids_are_read_in_their_own_spelling_only() {
    let id = UploadId::from_bits(5);
    assert_eq!(video_of(&video_id(id)), Some(id));
    for other in [id.to_string(), id.bare(), id.hyphenated(), video_id(id).to_uppercase(), "vid_abc123".to_owned()] {
        assert_eq!(video_of(&other), None, "{other}");
    }
}

#[test]
fn refusals_have_the_documented_shape_and_codes() {
    let lacks = request::job(json!({})).unwrap_err();
    let wrong = request::job(json!({"video_id": "vid_1", "config": 1})).unwrap_err();
    let mut said = String::new();
    for (status, code, detail, violations) in [
        (400, "malformed_request", "the body is not JSON", &[][..]),
        (401, "unauthorized", "an API key is required", &[]),
        (403, "link_not_valid", "the link has expired", &[]),
        (404, "not_found", "there is no such job", &[]),
        (405, "method_not_allowed", "this path does not support that method", &[]),
        (408, "request_timeout", "the body did not arrive within 30 seconds", &[]),
        (409, "state_conflict", "a job that is completed cannot cancel", &[]),
        (413, "too_large", "a file may have at most 1000000000 bytes", &[]),
        (413, "too_large", "the body may have at most 1048576 bytes", &[]),
        (415, "unsupported_media_type", "the Content-Type must be application/json", &[]),
        (422, error::UNSUPPORTED_FORMAT, "the file is a text", &[]),
        (422, "invalid_request", "", &lacks),
        (422, "invalid_request", "", &wrong),
        (429, "rate_limited", "slow down", &[]),
        (500, "internal", "something went wrong on our side", &[]),
        (503, "out_of_disk", "the server's disk is full", &[]),
    ] {
        let request = RequestId::from_bits(7);
        let (answered, body) = error::of(&Refusal { status, code, detail, violations, request });
        said += &format!("{status} {code} -> {answered} {body}\n");
    }
    insta::assert_snapshot!(said);
}

#[test]
fn a_delivery_has_one_header_and_the_stated_waits() {
    let stamp = crate::Stamp {
        event: EventId::from_bits(1),
        event_type: "job.completed",
        delivery: reelhook_domain::id::DeliveryId::from_bits(2),
        sequence: 3,
        attempt: 1,
        at: AT,
        body: "{}",
        secrets: &[],
        signing_keys: &[],
        service_secrets: &["secret".into()],
    };
    let sent = headers::of(&stamp);
    let names: Vec<_> = sent.keys().map(http::HeaderName::as_str).collect();
    assert_eq!(names, ["content-type"]);
    let stated = [0, 30_000, 120_000, 600_000, 1_800_000, 3_600_000, 7_200_000, 14_400_000];
    assert_eq!(headers::schedule(), RetrySchedule::exact_millis(&stated));
}
