//! Golden files of requests, replies and payloads.

use reelhook_domain::event::{Event, EventType};
use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::id::{AccountId, EventId, JobId, OutputId};
use reelhook_domain::job::{
    InputFacts, InputSource, InputSpec, Job, JobSpec, JobState, OutputFile, OutputSpec, OutputState,
};
use reelhook_domain::media::{AudioInfo, MediaInfo, VideoInfo};
use reelhook_domain::price::{Cost, Estimate};
use reelhook_domain::time::Timestamp;
use serde_json::{Value, json};

use super::{event, reply, request};
use crate::{InputRequest, Link};

const NOW: Timestamp = Timestamp::from_millis(1_772_355_600_000);

fn link(link: Link<'_>) -> String {
    match link {
        Link::File { output, path, .. } => format!("https://files.example/{output}/{path}"),
        Link::Output { .. } | Link::Upload { .. } | Link::Dated { .. } => panic!("only files are linked to"),
    }
}

/// The request of the guide.
fn guide() -> Value {
    json!({
        "input_origin_id": "ori_06c8pmt4vz3fk7qyq4q9w7m2hc",
        "input_path": "uploads/video.mp4",
        "output_origin_id": "ori_06c8pmt4vz3fk7qyq4q9w7m2hd",
        "webhook_url": "https://app.example.com/webhooks/transcodely",
        "outputs": [{"type": "mp4", "video": [{"codec": "h264", "resolution": "1080p", "quality": "standard"}]}],
    })
}

fn recipes(value: Value) -> String {
    let created = request::create(value).unwrap();
    let lines = created.job.outputs.iter().map(|output| format!("{}: {}", output.name, json!(output.recipe)));
    lines.collect::<Vec<_>>().join("\n")
}

fn refusals(value: Value) -> String {
    let violations = request::create(value).unwrap_err();
    violations.iter().map(|v| format!("{}: {}", v.path, v.message)).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_guides_request_is_read() {
    let created = request::create(guide()).unwrap();
    insta::assert_snapshot!(format!("{created:#?}"));
}

#[test]
fn every_kind_of_output_becomes_its_recipe() {
    let video = |codec: &str| json!([{"codec": codec, "resolution": "720p", "quality": "economy"}]);
    insta::assert_snapshot!(recipes(json!({
        "input_url": "https://example.com/in.mov",
        "outputs": [
            {"type": "webm", "video": [{"codec": "vp9", "width": 640, "height": 360, "framerate": 0, "bitrate": 900}]},
            {"type": "mkv", "video": [{"codec": "av1", "framerate": 23.976, "quality": "premium"}]},
            {"type": "mov", "video": [{"codec": "h265", "resolution": "2160p"}]},
            {"type": "mp4", "video": [{"codec": "h264", "resolution": "1080p"}, {"codec": "h264", "resolution": "1080p"}]},
            {"type": "hls", "video": video("h264"), "hls": {"segment_format": "ts", "manifest": "master.m3u8"}},
            {"type": "dash", "video": video("av1"), "segments": {"duration": 4}},
            {"type": "adaptive", "video": [video("h264")[0], video("h265")[0]]},
            {"preset": "av1_4k_premium"},
            {"preset": "gaming_1080p_60_standard"},
        ],
        "thumbnails": [
            {"mode": "single", "timestamp": 2.5, "width": 320},
            {"mode": "timestamps", "timestamps": [0, 1.5], "format": "webp", "quality": 80},
        ],
    })));
}

#[test]
fn everything_wrong_with_a_job_is_named_at_once_with_its_index() {
    let pairs: serde_json::Map<_, _> = (0..21).map(|n| (n.to_string(), json!("x"))).collect();
    insta::assert_snapshot!(refusals(json!({
        "input_url": "https://example.com/in.mov", "input_origin_id": "ori_1", "input_path": "../etc/passwd",
        "output_origin_id": "job_06c8pmt4vz3fk7qyq4q9w7m2hc", "webhook_url": "example.com/hook",
        "priority": "urgent", "idempotency_key": "k".repeat(129), "output_path_template": "/{nothing}",
        "clip": {"start_seconds": 1}, "delayed_start": "yes", "metadata": pairs,
        "thumbnails": [
            {"mode": "sprite", "sprite_columns": 5}, {"mode": "interval"}, {"mode": "timestamps"},
            {"mode": "single", "format": "gif", "width": 5000, "quality": 30},
        ],
        "outputs": [
            {"type": "mp4", "video": [{"codec": "vp9"}, {"codec": "h264", "resolution": "1081p", "quality": "best"}]},
            {"type": "webm", "video": [{"codec": "h264"}], "drm": {"a": 1}},
            {"type": "ts", "video": [{}]},
            {"type": "mov", "video": [{"codec": "av1", "width": 100, "bitrate": 50, "framerate": 300, "h264": {"crf": 1}}]},
            {"type": "hls", "video": [{"codec": "h265"}], "hls": {"segment_format": "ts"}},
            {"type": "mp4"},
            {"preset": "no_such_preset", "type": "mp4"},
        ],
    })));
    insta::assert_snapshot!(refusals(json!({})), @r"
    input_url: is required, or input_origin_id with input_path
    outputs: is required
    ");
}

#[test]
fn defaults_of_protocol_buffers_and_unknown_fields_say_nothing() {
    let mut value = guide();
    for (name, nothing) in
        [("input_url", json!("")), ("clip", json!({})), ("thumbnails", json!([])), ("delayed_start", json!(false))]
    {
        value[name] = nothing;
    }
    value["labels_of_next_year"] = json!({"a": 1});
    value["outputs"][0]["drm"] = Value::Null;
    value["outputs"][0]["colour"] = json!("red");
    value["metadata"] = json!({"empty": ""});
    let created = request::create(value).unwrap();
    assert_eq!(created.job.metadata["empty"], "");
    assert_eq!(created.job.outputs, request::create(guide()).unwrap().job.outputs);
}

#[test]
fn a_choice_that_clients_write_as_unspecified_was_not_made() {
    let mut value = guide();
    value["outputs"][0]["video"][0].as_object_mut().unwrap().remove("quality");
    value.as_object_mut().unwrap().remove("priority");
    let plain = request::create(value.clone()).unwrap();
    value["priority"] = json!("unspecified");
    value["outputs"][0]["video"][0]["quality"] = json!("unspecified");
    value["outputs"][0]["video"][0]["hdr"] = json!({"format": "unspecified", "mode": "unspecified"});
    value["metadata"] = json!({"priority": "unspecified"});
    let created = request::create(value).unwrap();
    assert_eq!((&created.job.outputs, created.job.priority), (&plain.job.outputs, plain.job.priority));
    assert_eq!(created.job.metadata["priority"], "unspecified", "what callers keep there is theirs");
}

#[test]
fn more_files_than_a_job_may_make_are_refused() {
    let video = vec![json!({"codec": "h264"}); 11];
    let output = json!({"type": "mp4", "video": video});
    let refused = refusals(json!({"input_url": "https://example.com/a", "outputs": [output, output]}));
    assert_eq!(refused, "outputs: makes 22 files, each entry of video[] being one; the limit is 20");
}

#[test]
fn a_list_is_asked_for_in_the_services_words() {
    let read = |value| request::list(value).map(|list| (list.states, list.limit, list.offset, list.after));
    assert_eq!(read(json!({})), Ok((vec![], 20, 0, None)));
    assert_eq!(read(json!({"status": "pending"})).unwrap().0, ["draft", "queued"]);
    let page = json!({"limit": 5, "offset": 7, "cursor": JobId::from_bits(9).bare()});
    let read_page = read(json!({"statuses": ["failed", "partial"], "pagination": page})).unwrap();
    assert_eq!(read_page, (vec!["failed", "rejected", "partial"], 5, 7, Some(9)));
    let wrong = json!({"status": "queued", "pagination": {"limit": 101, "cursor": "x"}});
    let fields: Vec<_> = request::list(wrong).unwrap_err().into_iter().map(|violation| violation.path).collect();
    assert_eq!(fields, ["status", "pagination.limit", "pagination.cursor"]);
}

fn media(seconds: f64) -> MediaInfo {
    let video = VideoInfo {
        codec: "h264".to_owned(),
        profile: None,
        level: None,
        width: 1920,
        height: 1080,
        frame_rate: Some(30.0),
        frames: None,
        rotation: 0,
        variable_frame_rate: false,
        pixel_format: Some("yuv420p".to_owned()),
        square_pixels: true,
        color: Default::default(),
        light: None,
        interlaced: false,
        bit_rate: Some(4_000_000),
        duration_seconds: Some(seconds),
    };
    let audio = AudioInfo {
        codec: "aac".to_owned(),
        channels: 2,
        sample_rate: 48_000,
        bit_rate: Some(128_000),
        duration_seconds: None,
        depth: None,
    };
    MediaInfo {
        format: "mp4".to_owned(),
        duration_seconds: Some(seconds),
        bit_rate: Some(4_200_000),
        video: Some(video),
        audio: Some(audio),
        streams: 2,
        fast_start: Some(true),
    }
}

/// A job of the guide's request and one thumbnail, as it was submitted.
fn fresh() -> Job {
    let mut value = guide();
    value["thumbnails"] = json!([{"mode": "single", "timestamp": 1}]);
    let mut asked = request::create(value).unwrap().job;
    asked.said["currency"] = "EUR".into();
    asked.said["input_origin"] =
        json!({"id": "ori_1", "name": "In", "provider": "gcs", "path": "uploads/video.mp4", "bucket": "in-bucket"});
    let InputRequest::Origin(origin, path) = asked.inputs[0].source.clone() else { panic!("an origin") };
    let output = |(n, output): (u128, crate::OutputRequest)| OutputSpec {
        id: OutputId::from_bits(n),
        name: output.name,
        recipe: output.recipe,
    };
    let spec = JobSpec {
        inputs: vec![InputSpec { name: "input".to_owned(), source: InputSource::Origin { origin, path } }],
        outputs: (1..).zip(asked.outputs).map(output).collect(),
        webhook: None,
        metadata: [("order".to_owned(), "7".to_owned())].into(),
        priority: asked.priority,
        on_damage: asked.on_damage,
        dialect: asked.dialect,
        confirm: asked.confirm,
        credit_rate: None,
        destination: None,
        said: asked.said,
    };
    Job::new(JobId::from_bits(7), AccountId::from_bits(8), spec, NOW)
}

fn file(name: &str, destination_url: Option<&str>) -> OutputFile {
    OutputFile {
        name: name.to_owned(),
        key: String::new(),
        size_bytes: 1_048_576,
        sha256: "00".repeat(32),
        sha1: String::new(),
        mime_type: "video/mp4".to_owned(),
        media: media(119.6),
        parts: Vec::new(),
        destination_url: destination_url.map(str::to_owned),
    }
}

/// The same, once it was probed.
fn probed() -> Job {
    let mut job = fresh();
    job.started_at = Some(Timestamp::from_millis(1_772_355_601_500));
    job.inputs = vec![InputFacts {
        name: "video.mp4".to_owned(),
        size_bytes: 2_000_000,
        sha256: "11".repeat(32),
        sha1: String::new(),
        media: Some(media(120.0)),
    }];
    job.estimate = Some(Estimate { cost: Cost::of(vec![0.12, 0.0], "EUR"), ..Estimate::default() });
    job
}

fn ended(state: JobState) -> Job {
    let mut job = probed();
    let failed = matches!(state, JobState::Partial { .. });
    (job.state, job.progress) = (state, 100);
    job.finished_at = Some(Timestamp::from_millis(1_772_355_690_999));
    job.cost = Some(Cost::of(vec![0.1196, 0.0], "EUR"));
    for (output, name) in job.outputs.iter_mut().zip(["h264_1080p.mp4", "thumbnail.jpg"]) {
        (output.state, output.progress) = (OutputState::Completed, 100);
        output.file = Some(file(name, (name == "h264_1080p.mp4").then_some("gs://out-bucket/videos/2026-03-01/a.mp4")));
    }
    if failed {
        (job.outputs[1].state, job.outputs[1].file) = (OutputState::Failed, None);
        job.outputs[1].error = job.state.error().cloned();
    }
    job
}

fn told(kind: &'static str, job: &Job) -> Option<String> {
    let event = Event {
        id: EventId::from_bits(1),
        sequence: 1,
        account: job.account,
        kind: EventType::ours(kind),
        at: Timestamp::from_millis(1_772_355_691_250),
        job: Some(job.id),
        data: json!(job).into(),
    };
    event::payload(&event, &link).unwrap()
}

fn pretty(body: Option<String>) -> String {
    let value: Value = serde_json::from_str(&body.expect("it is told")).unwrap();
    format!("{value:#}")
}

#[test]
fn a_completed_job_is_told_as_the_guide_shows_it() {
    let body = told(EventType::JOB_COMPLETED, &ended(JobState::Completed)).unwrap();
    assert!(body.starts_with(r#"{"event":"job.completed","job":{"id":"job_"#), "{body}");
    assert!(body.ends_with(r#","timestamp":"2026-03-01T09:01:31Z"}"#), "{body}");
    insta::assert_snapshot!(pretty(Some(body)));
}

#[test]
fn every_key_and_type_of_the_guides_payload_is_there() {
    let guide = json!({
        "event": "job.completed",
        "job": { "id": "job_m3n4o5p6q7r8", "status": "completed", "progress": 100, "priority": "standard",
            "total_estimated_cost": 0.06, "total_actual_cost": 0.059, "currency": "EUR", "input_url": "",
            "input_origin": {"id": "ori_in1", "name": "In", "provider": "gcs", "path": "a/b.mp4", "bucket": "in-bucket"},
            "outputs": [{ "id": "out_k1l2", "status": "completed", "progress": 100, "output_url": "gs://out-bucket/x.mp4",
                "output_size_bytes": 1_048_576, "duration_seconds": 60, "actual_cost": 0.059 }],
            "metadata": {}, "created_at": "2026-03-01T09:00:00Z", "completed_at": "2026-03-01T09:01:30Z" },
        "timestamp": "2026-03-01T09:01:30Z",
    });
    fn same_shape(guide: &Value, ours: &Value, path: &str) {
        match (guide, ours) {
            (Value::Object(fields), Value::Object(_)) => {
                fields.iter().for_each(|(name, value)| same_shape(value, &ours[name], &format!("{path}.{name}")));
            }
            (Value::Array(items), Value::Array(made)) => same_shape(&items[0], &made[0], &format!("{path}[0]")),
            (Value::Number(one), Value::Number(other)) => assert!(one.is_f64() || other.is_u64(), "{path}: {ours}"),
            (Value::String(one), Value::String(other)) => {
                assert!(!one.ends_with('Z') || (one.len() == other.len() && other.ends_with('Z')), "{path}: {ours}");
            }
            _ => panic!("{path} is {ours}; the guide has {guide}"),
        }
    }
    let body = told(EventType::JOB_COMPLETED, &ended(JobState::Completed)).unwrap();
    same_shape(&guide, &serde_json::from_str(&body).unwrap(), "");
}

#[test]
fn the_other_ends_are_told_in_the_services_words() {
    let error = JobFailure::request(Stage::Planning, "too_small", "the picture is too small");
    let partial = ended(JobState::Partial { error: error.clone() });
    insta::assert_snapshot!(pretty(told(EventType::JOB_PARTIAL, &partial)));
    let rejected = Job { state: JobState::Rejected { error }, finished_at: Some(NOW), ..fresh() };
    insta::assert_snapshot!(pretty(told(EventType::JOB_REJECTED, &rejected)));
    let asked = Job { state: JobState::AwaitingConfirmation { until: NOW }, ..probed() };
    insta::assert_snapshot!(pretty(told(EventType::JOB_AWAITING_CONFIRMATION, &asked)));
    let canceled = Job { state: JobState::Canceled, finished_at: Some(NOW), ..fresh() };
    let canceled: Value = serde_json::from_str(&told(EventType::JOB_CANCELED, &canceled).unwrap()).unwrap();
    assert_eq!((&canceled["event"], &canceled["job"]["status"]), (&json!("job.canceled"), &json!("canceled")));
    for quiet in [EventType::JOB_CREATED, EventType::JOB_STARTED, EventType::JOB_PROGRESS] {
        assert_eq!(told(quiet, &fresh()), None);
    }
}

#[test]
fn a_confirmed_job_is_processing_while_it_waits_for_its_turn() {
    let status = |state, confirmed_at| reply::status(&Job { state, confirmed_at, ..fresh() });
    assert_eq!([status(JobState::Draft, None), status(JobState::Queued, None)], ["pending", "pending"]);
    assert_eq!([status(JobState::Probing, None), status(JobState::Processing, None)], ["probing", "processing"]);
    assert_eq!([status(JobState::Queued, Some(NOW)), status(JobState::Probing, Some(NOW))], ["processing"; 2]);
}
