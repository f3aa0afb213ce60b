//! Requests as callers write them, and the bodies that they get.

use reelhook_domain::event::{Event, EventType};
use reelhook_domain::id::{AccountId, EventId, JobId, OutputId};
use reelhook_domain::job::{
    InputSource, InputSpec, Job, JobSpec, JobState, OnDamage, OutputFile, OutputSpec, Priority,
};
use reelhook_domain::media::{AudioInfo, MediaInfo};
use reelhook_domain::recipe::Recipe;
use reelhook_domain::time::Timestamp;
use serde_json::{Value, json};

use super::request::{Wrong, job as read};
use super::{event, job_id, reply, spell};
use crate::Link;

fn recipe(name: &str, parameters: Value, format: &str) -> Value {
    let mut recipe = parameters;
    recipe["name"] = name.into();
    let mut request =
        json!({"input": {"url": "https://example.com/a.mp4"}, "output": {"format": format}, "recipe": recipe});
    if name == "concat" {
        request.as_object_mut().unwrap().remove("input");
        request["input_files"] =
            json!({"in_10": "https://example.com/c", "in_2": "https://example.com/b", "in_1": "https://example.com/a"});
    }
    let request = read(request).unwrap_or_else(|wrong| panic!("{name}: {wrong:?}"));
    if name == "concat" {
        let names: Vec<_> = request.inputs.iter().map(|input| input.name.as_str()).collect();
        assert_eq!(names, ["in_1", "in_2", "in_10"], "in the order of their numbers");
    }
    serde_json::to_value(&request.outputs[0].recipe).unwrap()
}

#[test]
fn each_recipe_is_one_of_ours_with_the_documented_parameters() {
    for (name, parameters, format, ours) in [
        (
            "compress",
            json!({"crf": 28}),
            "mp4",
            json!({"recipe": "compress", "crf": 28, "codec": "h264", "format": "mp4"}),
        ),
        ("transcode", json!({}), "aac", json!({"recipe": "convert", "format": "adts", "quality": "standard"})),
        (
            "resize",
            json!({"width": 640}),
            "webm",
            json!({"recipe": "resize", "width": 640, "enlarge": true, "fit": "inside", "format": "webm", "codec": "vp9",
                "quality": "standard"}),
        ),
        (
            "trim",
            json!({"durationSeconds": 5}),
            "mp3",
            json!({"recipe": "trim", "start_seconds": 0.0, "duration_seconds": 5.0, "format": "mp3", "quality": "standard"}),
        ),
        (
            "thumbnail",
            json!({"seekSeconds": 1}),
            "png",
            json!({"recipe": "thumbnail", "at_seconds": 1.0, "format": "png"}),
        ),
        ("extractAudio", json!({}), "mp4", json!({"recipe": "extract_audio", "fallback": "mp3", "bare": true})),
        (
            "extractAudio",
            json!({"startSeconds": 2}),
            "aac",
            json!({"recipe": "extract_audio", "fallback": "adts", "bare": true, "bitrate_kbps": 192, "start_seconds": 2.0}),
        ),
        ("webReady", json!({}), "mp4", json!({"recipe": "web_ready"})),
        ("webReady", json!({"height": 720}), "mp4", json!({"recipe": "web_ready", "crf": 23, "height": 720})),
    ] {
        assert_eq!(recipe(name, parameters, format), ours, "{name}");
    }
    assert_eq!(recipe("concat", json!({}), "mov")["format"], "mov");
    let proxy = recipe("proxy", json!({"gop": "all_intra", "scaleDown": true, "bitrateKbps": 900}), "mp4");
    assert_eq!((&proxy["crf"], &proxy["gop"], &proxy["resolution"]), (&json!(32), &json!("all_intra"), &json!("720p")));
}

#[test]
fn every_preset_is_a_request_that_can_be_read() {
    let known = match read(json!({"presetId": "nosuch"})) {
        Err(Wrong::Invalid(violations)) => violations[0].message.clone(),
        other => panic!("{other:?}"),
    };
    let names = known.rsplit_once("there are ").unwrap().1.split(", ");
    for name in names {
        let files = json!({"in_1": "https://example.com/a", "in_2": "https://example.com/b"});
        let request = if name.starts_with("merge") {
            json!({"presetId": name, "input_files": files})
        } else {
            json!({"presetId": format!("preset_{name}"), "input": {"url": "https://example.com/a"}})
        };
        read(request).unwrap_or_else(|wrong| panic!("{name}: {wrong:?}"));
    }
}

#[test]
fn commands_that_reach_elsewhere_are_refused_when_the_job_is_made() {
    for args in [json!(["-i", "/etc/passwd", "{{output}}"]), json!(["-i", "{{input}}", "-vf", "movie=x", "{{output}}"])]
    {
        let request = json!({"mode": "ffmpeg", "input": {"url": "https://example.com/a"}, "ffmpeg": {"args": args}});
        assert!(matches!(read(request), Err(Wrong::Unsupported(_))), "{args}");
    }
    let request = json!({"mode": "ffmpeg", "input_files": {"in_a": "https://example.com/a"}, "output_files": {"out_x": "x.mp3"},
        "ffmpeg": {"args": ["-i", "{{in_b}}", "{{out_x}}"]}});
    assert!(matches!(read(request), Err(Wrong::Invalid(_))), "an input that is not there");
}

#[test]
fn an_id_is_read_in_its_own_spelling_only() {
    let id = JobId::from_bits(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
    assert_eq!(job_id(&spell(id)), Some(id));
    for text in [id.to_string(), id.bare(), spell(id)[1..].to_owned(), format!("{}0", spell(id)), String::new()] {
        assert_eq!(job_id(&text), None, "{text}");
    }
}

pub(super) fn finished() -> Job {
    let recipe = json!({"recipe": "extract_audio", "fallback": "mp3", "bare": true});
    let recipe: Recipe = serde_json::from_value(recipe).unwrap();
    let spec = JobSpec {
        inputs: vec![InputSpec {
            name: "input".to_owned(),
            source: InputSource::Url("https://example.com/a.mp4".parse().unwrap()),
        }],
        outputs: vec![OutputSpec { id: OutputId::from_bits(2), name: "output".to_owned(), recipe }],
        webhook: None,
        metadata: Default::default(),
        priority: Priority::Standard,
        on_damage: OnDamage::Strict,
        dialect: reelhook_domain::job::Dialect::Xora,
        confirm: false,
        credit_rate: None,
        destination: None,
        said: Value::Null,
    };
    let mut job = Job::new(JobId::from_bits(1), AccountId::from_bits(1), spec, Timestamp::from_millis(0));
    job.state = JobState::Completed;
    job.progress = 100;
    let audio = AudioInfo {
        codec: "aac".to_owned(),
        channels: 2,
        sample_rate: 48_000,
        bit_rate: None,
        duration_seconds: Some(12.04),
        depth: None,
    };
    job.outputs[0].file = Some(OutputFile {
        name: "output.aac".to_owned(),
        key: "k".to_owned(),
        size_bytes: 3_200_000,
        sha256: String::new(),
        sha1: String::new(),
        mime_type: "audio/aac".to_owned(),
        media: MediaInfo {
            format: "aac".to_owned(),
            duration_seconds: Some(12.04),
            bit_rate: None,
            video: None,
            audio: Some(audio),
            streams: 1,
            fast_start: None,
        },
        parts: Vec::new(),
        destination_url: None,
    });
    job
}

pub(super) fn link(link: Link<'_>) -> String {
    format!("https://files.example/{link:?}").replace(' ', "")
}

#[test]
fn the_webhook_of_a_completed_job_is_the_documented_one() {
    let job = finished();
    let told = Event {
        id: EventId::from_bits(3),
        sequence: 1,
        account: job.account,
        kind: EventType::ours(EventType::JOB_COMPLETED),
        at: Timestamp::from_millis(1_780_567_200_000),
        job: Some(job.id),
        data: reelhook_domain::event::Data::of(&job),
    };
    let body: Value = serde_json::from_str(&event::payload(&told, &link).unwrap().unwrap()).unwrap();
    let url = body["data"]["output"]["signedUrl"].clone();
    assert!(url.as_str().unwrap().contains("output.aac"), "{url}");
    let id = "00000000000000000000000001";
    let file = json!({
        "file_id": format!("{id}-output"), "filename": "output.aac", "size_mbytes": 3.2, "duration": 12.04,
        "file_type": "audio", "file_format": "aac", "mime_type": "audio/aac", "codec": "aac", "storage_url": url,
    });
    let data = json!({"jobId": id, "state": "completed", "progress": 100, "output": {"signedUrl": url},
        "output_files": {"output": file}});
    assert_eq!(body, json!({"data": data, "timestamp": 1_780_567_200_000_i64}));
    let started = Event { kind: EventType::ours(EventType::JOB_STARTED), ..told };
    assert_eq!(event::payload(&started, &link).unwrap(), None, "only the end is told");
}

#[test]
fn settings_are_shown_with_milliseconds_and_z() {
    let at = Timestamp::from_millis(1_780_567_200_000);
    let shown = reply::settings(None, None, at);
    assert_eq!(
        shown,
        json!({"defaultWebhookUrl": null, "defaultStorageProviderId": null, "updatedAt": "2026-06-04T10:00:00.000Z"})
    );
}

#[test]
fn three_attempts_wait_exactly_as_long_as_documented() {
    let schedule = super::headers::schedule();
    assert_eq!(schedule.waits_ms(), [0, 500, 1000]);
    for fraction in [0.0, 0.5, 0.999] {
        let wait = |attempt| schedule.wait_after(attempt, fraction).map(|wait| wait.as_millis());
        assert_eq!((wait(1), wait(2), wait(3)), (Some(500), Some(1000), None));
    }
}
