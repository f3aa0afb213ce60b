//! Golden requests, replies, errors and payloads.

use reelhook_domain::event::{Event, EventType};
use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::form::Violation;
use reelhook_domain::id::RequestId;
use reelhook_domain::job::{Job, JobState};
use serde_json::{Value, json};

use super::{error, event, reply, request};
use crate::{InputRequest, Link, Refusal};

const LINK: crate::LinkTo<'static> = &|link| match link {
    Link::Dated { service, job, name, .. } => {
        format!("https://h.example/{service}/1765712100/{}/{name}?signature=ab", job.hyphenated())
    }
    other => panic!("the service dates its links: {other:?}"),
};

fn stored(state: &Value) -> Job {
    let mut job = json!({
        "id": "job_0fdgx5533qs85bqpmjahngcgag",
        "account": "acc_00000000000000000000000001",
        "spec": {
            "inputs": [{"name": "input", "source": {"url": "https://a.example/photo.jpg"}}],
            "outputs": [], "webhook": null, "metadata": {}, "priority": "standard", "on_damage": "strict",
            "dialect": "compressor"
        },
        "stage": null,
        "progress": 100,
        "inputs": [{
            "name": "photo.jpg", "size_bytes": 588_603, "sha256": "aa", "sha1": "8843d7f92416211de9ebb963ff4ce28125932878",
            "media": {"format": "jpg", "duration_seconds": null, "video": {"codec": "mjpeg", "width": 8, "height": 8, "frame_rate": null}, "audio": null}
        }],
        "outputs": [{
            "id": "out_00000000000000000000000002", "name": "result", "recipe": "auto",
            "image": {"level": "high"}, "video": {},
            "state": "completed", "progress": 100, "plan": [], "receipt": {}, "error": null,
            "file": {
                "name": "result.jpg", "key": "k", "size_bytes": 257_042, "sha256": "bb",
                "sha1": "f1d2d2f924e986ac86fdf7b36c94bcdf32beec15", "mime_type": "image/jpeg",
                "media": {"format": "jpg", "duration_seconds": null, "video": {"codec": "mjpeg", "width": 8, "height": 8, "frame_rate": null}, "audio": null}
            }
        }],
        "created_at": "2026-11-21T08:00:00.000Z", "started_at": null, "finished_at": null
    });
    job.as_object_mut().unwrap().extend(state.as_object().unwrap().clone());
    serde_json::from_value(job).unwrap()
}

fn failed() -> Job {
    let error = JobFailure::input(Stage::Probing, "unsupported_media", "the input is a text, not media");
    let mut job = stored(&json!({"state": "completed"}));
    job.state = JobState::Rejected { error };
    job.outputs[0].file = None;
    job
}

fn told(job: &Job, kind: &'static str) -> Option<Value> {
    let event = Event {
        id: reelhook_domain::id::EventId::from_bits(9),
        sequence: 4,
        account: job.account,
        kind: EventType::ours(kind),
        at: job.created_at,
        job: Some(job.id),
        data: reelhook_domain::event::Data::of(job),
    };
    event::payload(&event, LINK).unwrap().map(|body| serde_json::from_str(&body).unwrap())
}

fn synchronous(job: &Job) -> (u16, Value) {
    let (status, reply) = reply::synchronous(job, LINK);
    (status, json!(reply))
}

fn polled(job: &Job) -> Value {
    json!(reply::polled(job, LINK))
}

#[test]
fn a_result_is_told_as_the_service_documents_it() {
    let job = stored(&json!({"state": "completed"}));
    let (status, body) = synchronous(&job);
    assert_eq!(status, 200);
    insta::assert_json_snapshot!(reply::synchronous(&job, LINK).1);
    let mut polled = polled(&job);
    assert_eq!(polled.as_object_mut().unwrap().remove("status"), Some(json!("completed")));
    assert_eq!(polled, body);
}

#[test]
fn a_webhook_has_the_body_of_a_synchronous_answer() {
    let job = stored(&json!({"state": "completed"}));
    assert_eq!(told(&job, EventType::JOB_COMPLETED).unwrap(), synchronous(&job).1);
    assert_eq!(told(&failed(), EventType::JOB_REJECTED).unwrap(), synchronous(&failed()).1);
    for state in ["queued", "probing", "processing"] {
        assert_eq!(told(&stored(&json!({"state": state})), EventType::JOB_STARTED), None, "{state}");
    }
}

#[test]
fn a_job_on_its_way_is_told_by_id_and_status_alone() {
    let job = stored(&json!({"state": "queued"}));
    assert_eq!(json!(reply::enqueued(&job)), json!({"id": job.id.hyphenated(), "status": "enqueued"}));
    assert_eq!(polled(&job), json!({"id": job.id.hyphenated(), "status": "enqueued"}));
    for state in ["probing", "processing"] {
        let polled = polled(&stored(&json!({"state": state})));
        assert_eq!(polled, json!({"id": job.id.hyphenated(), "status": "processing"}));
    }
}

#[test]
fn failures_and_refusals_have_one_shape() {
    let canceled = polled(&stored(&json!({"state": "canceled"})));
    let violations =
        vec![Violation { path: "image.resize.mode".into(), value: "fill".into(), message: "must be fit".into() }];
    let (status, refused) = error::of(&Refusal {
        status: 422,
        code: "invalid_request",
        detail: "image.resize.mode must be fit",
        violations: &violations,
        request: RequestId::from_bits(3),
    });
    assert_eq!((status, synchronous(&failed()).0), (422, 422));
    insta::assert_json_snapshot!(json!({"failed": polled(&failed()), "canceled": canceled, "refused": refused}));
}

#[test]
fn names_get_the_canonical_extension_of_what_they_are() {
    let mut job = stored(&json!({"state": "completed"}));
    for (named, format, expected) in [
        ("photo.jpg", "jpg", "photo.jpeg"),
        ("photo", "jpg", "photo.jpeg"),
        ("v1.2", "png", "v1.2.png"),
        ("a.b.JPG", "png", "a.b.png"),
        (".hidden", "gif", ".hidden.gif"),
        ("all.tar.gz", "tar.gz", "all.tar.gz"),
        ("all.tgz", "tar.gz", "all.tar.gz"),
        ("x.tar.png", "png", "x.tar.png"),
    ] {
        job.inputs[0].name = named.to_owned();
        let file = job.outputs[0].file.as_mut().unwrap();
        file.media.format = format.to_owned();
        assert_eq!(reply::output_name(&job.inputs[0], file), expected);
    }
}

#[test]
fn every_documented_option_is_read() {
    let asked = request::fetch(json!({
        "url": "https://us%40er:p%3Ass@media.example.net/in/clip.mp4",
        "headers": {"X-Token": "t"},
        "image": {"compression": "ultra", "resize": {"width": 100, "height": 50, "mode": "fit"}},
        "video": {"resize": {"width": 1280, "height": 720, "mode": "fit"}},
        "webhook": {"url": "https://hooks.example.net/c"}
    }))
    .unwrap();
    let input = &asked.inputs[0];
    assert_eq!(input.source, InputRequest::Url("https://media.example.net/in/clip.mp4".parse().unwrap()));
    assert_eq!(asked.webhook.as_ref().unwrap().url.as_str(), "https://hooks.example.net/c");
    insta::assert_json_snapshot!(json!({"headers": input.headers, "recipe": asked.outputs[0].recipe}));
    let defaults = request::upload(json!({})).unwrap();
    insta::assert_json_snapshot!(defaults.outputs[0].recipe, @r#"
    {
      "recipe": "auto",
      "image": {
        "level": "high"
      },
      "video": {}
    }
    "#);
}

#[test]
fn a_connector_is_an_origin_and_a_folder() {
    let origin = "ori_0fdgx5533qs85bqpmjahngcgag";
    let asked = |store: Value| {
        let destination = request::upload(json!({"store": store})).unwrap().destination.unwrap();
        assert_eq!(destination.origin.to_string(), origin);
        let crate::DestinationPaths::Folder(folder) = destination.paths else { panic!("it is a folder") };
        (folder.as_str().to_owned(), destination.believed.bucket, destination.believed.region)
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(asked(json!({"id": origin})), (String::new(), None, None));
    let all = json!({"id": origin, "bucket": "media", "region": "eu-central-1", "path": "a/b", "acl": "private",
        "class": "standard", "metadata": {}, "headers": {}, "tags": {}});
    assert_eq!(asked(all), ("a/b".to_owned(), text("media"), text("eu-central-1")));
    assert_eq!(asked(json!({"id": origin, "container": "media", "path": "a/"})).1, text("media"));
    assert_eq!(request::spelled("destination.origin"), "store.id");
    assert_eq!(request::spelled("destination.region"), "store.region");
}

#[test]
fn what_is_not_documented_is_refused_by_name() {
    let refused = |value: Value| {
        let violations = request::fetch(value).unwrap_err();
        violations.iter().map(|v| format!("{}: {} ({})", v.path, v.message, v.value)).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(
        [
            refused(json!({})),
            refused(json!({"url": "not a url with secret"})),
            refused(json!({"url": "https://a.example/x", "image": {"compression": "extreme", "resize": {"mode": "fill"}}})),
            refused(json!({"url": "https://a.example/x", "quality": 3, "webhook": {}, "video": {"resize": {"width": 0}}})),
            refused(json!({"url": "https://u:secret@a.example/x", "headers": {"authorization": "Bearer secret", "Host": "x", "a b": "c"}})),
            refused(json!({"url": "https://a.example/x", "store": {"id": "s3", "path": "/photos", "acl": "public-read"}})),
            refused(json!({"url": "https://a.example/x", "store": {
                "class": "glacier", "metadata": {"a": "b"}, "headers": {}, "tags": {"a": "secret"}, "prefix": "x"
            }})),
        ]
        .join("\n--\n")
    );
    assert_eq!(request::upload(json!({"url": "https://a.example/x"})).unwrap_err()[0].path, "url");
}

#[test]
fn options_are_not_called_unknown_where_the_url_is_wrong() {
    for url in [Value::Null, json!(["https://a.example/x"]), json!("x")] {
        let asked = json!({
            "url": url, "image": {"compression": "ultra"}, "webhook": {"url": "https://hooks.example.net/c"}
        });
        let paths: Vec<_> = request::fetch(asked).unwrap_err().into_iter().map(|violation| violation.path).collect();
        assert_eq!(paths, ["url"]);
    }
}
