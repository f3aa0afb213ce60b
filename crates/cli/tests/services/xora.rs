//! Xora, as its client sees it.

mod accounts;
mod commands;
mod storage;

use std::time::Duration;

use http::Method;
use reelhook_domain::time::Timestamp;
use reelhook_testkit::clips::{self, Clip};
use reelhook_testkit::{Manners, Origin, Receiver, Reply, field, verdict};
use serde_json::{Value, json};
use url::Url;

use crate::world::{PATIENCE, Serve, World};

/// Creates a job and gives its id.
async fn create(world: &World, request: &Value) -> String {
    let answer = world.post("/xora/v1/jobs", request).await.expect(202);
    assert_eq!(answer["state"], "queued", "{answer}");
    let id = answer["jobId"].as_str().expect("a job has an id").to_owned();
    assert!(id.len() == 26 && id == id.to_uppercase(), "{id}");
    id
}

/// The job's id as the native API spells it.
fn native(id: &str) -> String {
    format!("job_{}", id.to_lowercase())
}

async fn ended(world: &World, id: &str) -> Value {
    world.job_at_end(&native(id)).await;
    world.get(&format!("/xora/api/v1/jobs/{id}")).await.expect(200)
}

async fn only_webhook(receiver: &Receiver) -> Value {
    let received = receiver.wait_for(1, PATIENCE).await.remove(0);
    assert_eq!(received.header("content-type"), "application/json");
    for name in received.headers.keys() {
        let ours = name.as_str().starts_with("webhook-") || name.as_str().starts_with("reelhook-");
        assert!(!ours, "{name} is none of the service's");
    }
    serde_json::from_slice(&received.body).expect("a webhook is JSON")
}

#[tokio::test]
async fn a_path_that_is_not_there_is_refused_in_the_services_words() {
    let world = World::start(Serve::dev()).await;
    let answer = world.get("/xora/no-such-path").await.expect(404);
    assert_eq!(answer["error"]["code"], "NOT_FOUND");
}

#[tokio::test]
async fn a_job_ends_with_the_documented_webhook() {
    let world = World::start(Serve::dev()).await;
    let receiver = Receiver::start().await;
    let origin = Origin::start().await;
    let input = origin.put("/clip.mp4", clips::bytes(Clip::Video), Manners::Good).to_string();
    let id = create(
        &world,
        &json!({
            "mode": "recipe", "input": {"url": input}, "output": {"format": "mp4"},
            "recipe": {"name": "compress", "crf": 40}, "webhookUrl": receiver.url("/hook"), "unknown": true
        }),
    )
    .await;
    let shown = ended(&world, &id).await;
    assert_eq!((&shown["jobId"], &shown["state"], &shown["progress"]), (&json!(id), &json!("completed"), &json!(100)));
    let body = only_webhook(&receiver).await;
    assert!(body["timestamp"].as_i64().is_some_and(|millis| millis > 1_700_000_000_000), "{body}");
    assert_eq!(body["data"]["output_files"]["output"]["size_mbytes"], shown["output_files"]["output"]["size_mbytes"]);
    let file = &body["data"]["output_files"]["output"];
    assert_eq!(file["file_id"], format!("{id}-output"));
    assert_eq!(file["filename"], "output.mp4");
    assert_eq!(
        (&file["file_type"], &file["file_format"], &file["codec"]),
        (&json!("video"), &json!("mp4"), &json!("h264"))
    );
    assert_eq!((&file["width"], &file["height"]), (&json!(320), &json!(180)));
    assert_eq!(file["storage_url"], body["data"]["output"]["signedUrl"]);
    let url: Url = file["storage_url"].as_str().unwrap().parse().expect("a link is a URL");
    let answer = world.get_as_stranger(url, &[]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body.len() as f64 / 1e6, file["size_mbytes"].as_f64().unwrap());
    assert!(body["data"].get("error").is_none());
}

#[tokio::test]
async fn a_command_makes_all_of_its_outputs() {
    let world = World::start(Serve::dev()).await;
    let origin = Origin::start().await;
    let input = origin.put("/clip.mp4", clips::bytes(Clip::Video), Manners::Good).to_string();
    let id = create(
        &world,
        &json!({
            "mode": "ffmpeg",
            "input_files": {"in_1": input},
            "output_files": {"out_small": "small.mp4", "out_sound": "sound.aac"},
            "ffmpeg": {"args": ["-i", "{{in_1}}", "-vf", "scale=160:-2", "-an", "{{out_small}}", "-vn", "{{out_sound}}"]}
        }),
    )
    .await;
    let shown = ended(&world, &id).await;
    assert_eq!(shown["state"], "completed", "{shown:#}");
    let files = &shown["output_files"];
    assert_eq!((&files["out_small"]["filename"], &files["out_small"]["width"]), (&json!("small.mp4"), &json!(160)));
    let sound = &files["out_sound"];
    assert_eq!((&sound["mime_type"], &sound["codec"]), (&json!("audio/aac"), &json!("aac")));
    assert!((sound["duration"].as_f64().unwrap() - 2.0).abs() < 0.1, "{sound}");
    assert_eq!(shown["outputs"]["out_sound"], sound["storage_url"]);
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_in_the_services_codes() {
    let world = World::start(Serve::dev()).await;
    let url = "https://example.com/a.mp4";
    let code = async |body: Value| {
        let answer = world.post("/xora/v1/jobs", &body).await.expect(400);
        assert!(answer["error"]["message"].is_string() && answer["error"]["retryable"] == false, "{answer}");
        answer["error"]["code"].as_str().unwrap().to_owned()
    };
    for body in [
        json!({"recipe": {"name": "compress"}}),
        json!({"input": {"url": url}, "output": {"format": "mkv"}, "recipe": {"name": "compress"}}),
        json!({"input": {"url": url}, "recipe": {"name": "explode"}}),
        json!({"input": {"url": url}, "mode": "ffmpeg", "ffmpeg": {"args": []}}),
        json!({"input_files": {"in_1": url}, "recipe": {"name": "concat"}}),
        json!({"input": {"url": url}, "input_files": {"in_1": url}, "recipe": {"name": "concat"}}),
        json!({"input": {"url": "file:///etc/passwd"}, "recipe": {"name": "compress"}}),
        json!({"input": {"url": url}, "recipe": {"name": "compress"}, "webhookUrl": "ftp://example.com/"}),
        json!({"input": {"url": url}, "presetId": "preset_nosuch"}),
    ] {
        assert_eq!(code(body.clone()).await, "VALIDATION_ERROR", "{body}");
    }
    let args = ["-i", "{{input}}", "-vf", "movie=/etc/passwd", "{{output}}"];
    let hostile = json!({"input": {"url": url}, "mode": "ffmpeg", "ffmpeg": {"args": args}});
    assert_eq!(code(hostile).await, "UNSUPPORTED_COMMAND");
    let stranger = world.get_as_stranger(world.url("/xora/v1/settings"), &[]).await.expect(401);
    assert_eq!(stranger["error"]["code"], "UNAUTHORIZED");
    for id in ["job_06c8pmt4vz3fk7qyq4q9w7m2hc", "06C8PMT4VZ3FK7QYQ4Q9W7M2HC", "06c8pmt4vz3fk7qyq4q9w7m2hc"] {
        let answer = world.get(&format!("/xora/v1/jobs/{id}")).await.expect(404);
        assert_eq!(answer["error"]["code"], "NOT_FOUND");
    }
}

#[tokio::test]
async fn the_default_webhook_is_set_tested_used_and_cleared() {
    let world = World::start(Serve::dev()).await;
    let receiver = Receiver::scripted([Reply::status(500)]).await;
    let before = world.get("/xora/v1/settings").await.expect(200);
    assert_eq!(before["defaultWebhookUrl"], Value::Null);
    let none = world.post("/xora/v1/settings/webhook/test", &json!({})).await.expect(400);
    assert_eq!(none["error"]["code"], "VALIDATION_ERROR");
    let set = world.post("/xora/v1/settings", &json!({"defaultWebhookUrl": receiver.url("/hook")})).await.expect(200);
    assert_eq!(set["defaultWebhookUrl"], receiver.url("/hook").as_str());
    assert!(set["updatedAt"].as_str() > before["updatedAt"].as_str(), "{set} after {before}");
    let test = async || world.post("/xora/v1/settings/webhook/test", &json!({})).await.expect(200);
    assert_eq!(test().await, json!({"ok": false, "status": 500}));
    assert_eq!(test().await, json!({"ok": true, "status": 200}));

    let origin = Origin::start().await;
    let input = origin.put("/clip.mp4", clips::bytes(Clip::Garbage), Manners::Good).to_string();
    let id = create(&world, &json!({"input": {"url": input}, "recipe": {"name": "transcode"}})).await;
    let shown = ended(&world, &id).await;
    assert_eq!(shown["state"], "rejected", "{shown}");
    let told = receiver.wait_for(3, PATIENCE).await.remove(2);
    let told: Value = serde_json::from_slice(&told.body).expect("a webhook is JSON");
    assert_eq!(told["data"], shown);
    assert_eq!(
        (&told["data"]["error"]["stage"], &told["data"]["error"]["retryable"]),
        (&json!("probing"), &json!(false))
    );

    let body = json!({"defaultWebhookUrl": null}).to_string();
    let url = world.url("/xora/api/v1/settings");
    let cleared = world.exchange(Method::PUT, url, &[], body.into()).await.expect("the server answers").expect(200);
    assert_eq!(cleared["defaultWebhookUrl"], Value::Null);
}

#[tokio::test]
async fn three_attempts_are_made_and_the_result_stays_readable() {
    let world = World::start(Serve::dev()).await;
    let receiver = Receiver::start().await;
    receiver.otherwise(Reply::status(500));
    let origin = Origin::start().await;
    let input = origin.put("/clip.mp4", clips::bytes(Clip::Video), Manners::Good).to_string();
    let id = create(
        &world,
        &json!({
            "input": {"url": input}, "output": {"format": "jpg"}, "recipe": {"name": "thumbnail", "seekSeconds": 1},
            "webhookUrl": receiver.url("/hook")
        }),
    )
    .await;
    let all = receiver.wait_for(3, PATIENCE).await;
    assert!(all.iter().all(|one| one.body == all[0].body));
    crate::world::eventually("the delivery is abandoned", async || {
        let job = world.job(&native(&id)).await;
        job["deliveries"][0]["state"] == "exhausted"
    })
    .await;
    assert_eq!(receiver.requests().len(), 3);
    let delivery = world.job(&native(&id)).await["deliveries"][0]["id"].as_str().unwrap().to_owned();
    let delivery = world.get(&format!("/v1/deliveries/{delivery}")).await.expect(200);
    let at = |index: usize| delivery["attempts"][index]["at"].as_str().unwrap().parse::<Timestamp>().unwrap();
    assert!(at(1).since(at(0)) >= Duration::from_millis(500), "{delivery:#}");
    assert!(at(2).since(at(1)) >= Duration::from_millis(1000), "{delivery:#}");
    let shown = world.get(&format!("/xora/v1/jobs/{id}")).await.expect(200);
    assert_eq!(shown["output_files"]["output"]["mime_type"], "image/jpeg");
}

#[tokio::test]
async fn a_job_can_be_cancelled_and_retried() {
    let world = World::start(Serve::dev()).await;
    let receiver = Receiver::start().await;
    let origin = Origin::start().await;
    let input = origin.put("/clip.mp4", clips::bytes(Clip::Long), Manners::Good).to_string();
    let request = json!({
        "input": {"url": input}, "output": {"format": "webm"}, "recipe": {"name": "compress", "crf": 20},
        "webhookUrl": receiver.url("/hook")
    });
    let id = create(&world, &request).await;
    let cancelled = world.post(&format!("/xora/v1/jobs/{id}/cancel"), &json!({})).await.expect(200);
    assert_eq!(cancelled, json!({"jobId": id, "state": "cancelled"}));
    assert_eq!(only_webhook(&receiver).await["data"]["state"], "cancelled");
    let again = world.post(&format!("/xora/v1/jobs/{id}/cancel"), &json!({})).await.expect(400);
    assert_eq!(again["error"]["code"], "VALIDATION_ERROR");
    let retried = world.post(&format!("/xora/v1/jobs/{id}/retry"), &json!({})).await.expect(202);
    assert_eq!(retried["jobId"], id);
    let url = world.url(&format!("/xora/v1/jobs/{id}"));
    let deleted = world.exchange(Method::DELETE, url, &[], bytes::Bytes::new()).await.expect("the server answers");
    assert_eq!(deleted.expect(200)["state"], "cancelled");
    let list = world.get("/xora/v1/jobs").await.expect(200);
    assert_eq!(list["jobs"][0]["jobId"], id);
}

#[tokio::test]
async fn a_web_ready_input_comes_back_by_its_own_url() {
    let world = World::start(Serve::dev()).await;
    let origin = Origin::start().await;
    let input = origin.put("/clip.mp4", clips::bytes(Clip::Video), Manners::Good).to_string();
    let id = create(&world, &json!({"input": {"url": input}, "recipe": {"name": "webReady"}})).await;
    let shown = ended(&world, &id).await;
    assert_eq!(shown["output"]["signedUrl"], input, "{shown:#}");
}

/// Host names and addresses that no server for the world may be made to ask.
const HOSTILE: [&str; 8] = [
    "https://127.0.0.1/a",
    "https://[::1]/a",
    "https://10.0.0.8/a",
    "https://169.254.169.254/latest/meta-data",
    "https://2130706433/a",
    "https://name:secret@example.com/a",
    "http://example.com/a",
    "file:///etc/passwd",
];

#[tokio::test]
async fn hostile_urls_are_refused_in_every_field_by_its_name() {
    let world = World::start(Serve::public()).await;
    let good = "https://example.com/a.mp4";
    let refused = async |path: &str, body: Value, field: &str| {
        let answer = world.post(path, &body).await.expect(400);
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.starts_with(&format!("{field} ")), "{field} of {body}: {answer}");
        assert_eq!(answer["error"]["code"], "VALIDATION_ERROR");
        assert!(!message.contains("secret"), "a password is not repeated: {answer}");
    };
    for url in HOSTILE {
        let recipe = json!({"name": "transcode"});
        refused("/xora/v1/jobs", json!({"input": {"url": url}, "recipe": recipe}), "input.url").await;
        let body = json!({"input": {"url": good}, "recipe": recipe, "webhookUrl": url});
        refused("/xora/v1/jobs", body, "webhookUrl").await;
        let body = json!({"input_files": {"in_1": good, "in_2": url}, "recipe": {"name": "concat"}});
        refused("/xora/v1/jobs", body, "input_files.in_2").await;
        let ffmpeg = json!({"args": ["-i", "{{in_a}}", "{{output}}"]});
        let body = json!({"mode": "ffmpeg", "input_files": {"in_a": url}, "ffmpeg": ffmpeg});
        refused("/xora/v1/jobs", body, "input_files.in_a").await;
        refused("/xora/v1/settings", json!({"defaultWebhookUrl": url}), "defaultWebhookUrl").await;
    }
    let jobs = world.get("/xora/v1/jobs").await.expect(200);
    assert_eq!(jobs["jobs"], json!([]));
    assert_eq!(world.get("/xora/v1/settings").await.expect(200)["defaultWebhookUrl"], Value::Null);
}

#[tokio::test]
async fn ids_of_other_services_and_of_nobody_are_not_found_by_any_verb() {
    let world = World::start(Serve::dev()).await;
    let none = "06C8PMT4VZ3FK7QYQ4Q9W7M2HC";
    let job = format!("job_{}", none.to_lowercase());
    for id in
        [none, &none.to_lowercase(), &job, "01939f4c-7a2e-7cc0-8000-5b7c5d2f1a10", "01JXYZ1234ABCDEF56789000", "%20"]
    {
        let path = format!("/xora/v1/jobs/{id}");
        let answers = [
            world.get(&path).await,
            world.delete(&path).await,
            world.post(&format!("{path}/cancel"), &json!({})).await,
            world.post(&format!("{path}/retry"), &json!({})).await,
            world.get(&format!("/xora/api/v1/jobs/{id}")).await,
        ];
        for answer in answers {
            assert_eq!(answer.expect(404)["error"]["code"], "NOT_FOUND", "{id}");
        }
    }
}

#[tokio::test]
async fn inputs_are_joined_in_the_order_of_their_numbers() {
    let world = World::start(Serve::dev()).await;
    let origin = Origin::start().await;
    let first = origin.put("/a.mp4", clips::bytes(Clip::Video), Manners::Good).to_string();
    let second = origin.put("/b.mp4", clips::bytes(Clip::Video), Manners::Good).to_string();
    let request = json!({
        "mode": "recipe", "recipe": {"name": "concat"}, "output": {"format": "mp4"},
        "input_files": {"in_2": second, "in_1": first}
    });
    let shown = ended(&world, &create(&world, &request).await).await;
    assert_eq!(shown["state"], "completed", "{shown:#}");
    let file = &shown["output_files"]["output"];
    assert!((file["duration"].as_f64().unwrap() - 4.0).abs() < 0.2, "{file}");
    assert_eq!((&file["width"], &file["codec"]), (&json!(320), &json!("h264")));
}

#[tokio::test]
async fn a_proxy_is_made_smaller_and_of_the_part_that_was_asked_for() {
    let world = World::start(Serve::dev()).await;
    let origin = Origin::start().await;
    let input = origin.put("/clip.mp4", clips::bytes(Clip::Video), Manners::Good).to_string();
    let recipe = json!({"name": "proxy", "scaleDown": true, "height": 90, "gop": "all_intra", "startSeconds": 0.5, "durationSeconds": 1});
    let shown = ended(&world, &create(&world, &json!({"input": {"url": input}, "recipe": recipe})).await).await;
    assert_eq!(shown["state"], "completed", "{shown:#}");
    let file = &shown["output_files"]["output"];
    assert_eq!((&file["width"], &file["height"], &file["codec"]), (&json!(160), &json!(90), &json!("h264")));
    assert!((file["duration"].as_f64().unwrap() - 1.0).abs() < 0.2, "{file}");
}

#[tokio::test]
async fn a_jobs_own_webhook_goes_before_the_default_one() {
    let world = World::start(Serve::dev()).await;
    let (standing, own) = (Receiver::start().await, Receiver::start().await);
    world.post("/xora/v1/settings", &json!({"defaultWebhookUrl": standing.url("/default")})).await.expect(200);
    let origin = Origin::start().await;
    let input = origin.put("/clip.mp4", clips::bytes(Clip::Garbage), Manners::Good).to_string();
    let mut request = json!({"input": {"url": input}, "recipe": {"name": "transcode"}, "webhookUrl": own.url("/own")});
    let first = create(&world, &request).await;
    assert_eq!(only_webhook(&own).await["data"]["jobId"], first);
    request.as_object_mut().unwrap().remove("webhookUrl");
    let second = create(&world, &request).await;
    assert_eq!(only_webhook(&standing).await["data"]["jobId"], second, "the first job was told its own URL alone");
    assert_eq!((own.requests().len(), standing.requests().len()), (1, 1));
}

#[cfg(feature = "failpoints")]
#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_was_sent_before_a_crash_is_sent_again_with_the_same_body() {
    let receiver = Receiver::start().await;
    let origin = Origin::start().await;
    let input = origin.put("/clip.mp4", clips::bytes(Clip::Garbage), Manners::Good).to_string();
    let mut world = World::start(Serve::dev()).await;
    world.terminate().await;
    assert!(world.serve(Serve::dev().crash_at("delivery.after_send")).await, "the server starts");
    let id = create(
        &world,
        &json!({"input": {"url": input}, "recipe": {"name": "transcode"}, "webhookUrl": receiver.url("/hook")}),
    )
    .await;
    world.death().await;
    assert!(world.serve(Serve::dev()).await, "the server starts after a crash");
    let all = receiver.wait_for(2, PATIENCE).await;
    assert_eq!(all[0].body, all[1].body);
    let body: Value = serde_json::from_slice(&all[0].body).expect("a webhook is JSON");
    assert_eq!((&body["data"]["jobId"], &body["data"]["state"]), (&json!(id), &json!("rejected")));
}

#[tokio::test]
async fn a_portrait_photo_has_an_upright_thumbnail() {
    let world = World::start(Serve::dev()).await;
    let origin = Origin::start().await;
    for name in ["or6.jpg", "or6.png", "or6.webp"] {
        let bytes = std::fs::read(field(name)).expect("the field has it");
        let input = origin.put(&format!("/{name}"), bytes, Manners::Good).to_string();
        let recipe = json!({"name": "thumbnail", "seekSeconds": 1});
        let job = json!({"input": {"url": input}, "output": {"format": "jpg"}, "recipe": recipe});
        let shown = ended(&world, &create(&world, &job).await).await;
        let file = &shown["output_files"]["output"];
        let measured = format!("{}: {} x {}", shown["state"], file["width"], file["height"]);
        let expected = "\"completed\": 320 x 240";
        verdict(
            "M1 thumbnail of a portrait photo",
            format!("{name} through Xora"),
            expected,
            &measured,
            measured == expected,
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn transparent_and_late_videos_have_thumbnails_and_are_ready_for_the_web() {
    let world = World::start(Serve::dev()).await;
    let origin = Origin::start().await;
    for (kind, name) in [
        ("M5 transparency", "al_vp9.webm"),
        ("M7 a stream that begins late", "alate.mp4"),
        ("M7 a stream that begins late", "vlate.mp4"),
    ] {
        let bytes = std::fs::read(field(name)).expect("the field has it");
        let input = origin.put(&format!("/{name}"), bytes, Manners::Good).to_string();
        for (recipe, format) in [("thumbnail", "jpg"), ("webReady", "mp4")] {
            let job = json!({"input": {"url": input}, "output": {"format": format}, "recipe": {"name": recipe}});
            let shown = ended(&world, &create(&world, &job).await).await;
            let state = shown["state"].as_str().unwrap_or_default().to_owned();
            verdict(kind, format!("{name} through Xora: {recipe}"), "completed", &state, state == "completed");
        }
    }
    let bytes = std::fs::read(field("or6.jpg")).expect("the field has it");
    let input = origin.put("/photo.jpg", bytes, Manners::Good).to_string();
    let job = json!({"input": {"url": input}, "output": {"format": "mp4"}, "recipe": {"name": "webReady"}});
    let shown = ended(&world, &create(&world, &job).await).await;
    verdict(
        "M1 thumbnail of a portrait photo",
        "or6.jpg through Xora: webReady",
        "failed, as a photo is not a video",
        shown["state"].as_str().unwrap_or_default(),
        shown["state"] == "failed",
    );
}
