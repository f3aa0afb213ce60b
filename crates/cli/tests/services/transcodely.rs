//! Transcodely, as its client sees it.

use bytes::Bytes;
use http::Method;
use reelhook_signature::hmac_sha256_hex;
use reelhook_testkit::clips::{self, Clip};
use reelhook_testkit::{Manners, Origin, Received, Receiver};
use serde_json::{Value, json};

use crate::s3_server::{KEY, S3Server, SECRET};
use crate::world::{PATIENCE, Serve, World};

const JOBS: &str = "/transcodely/transcodely.v1.JobService";
const ORIGINS: &str = "/transcodely/transcodely.v1.OriginService";

/// Calls a method of `JobService` that is done, and gives its job.
async fn call(world: &World, method: &str, body: &Value) -> Value {
    let headers = [("x-organization-id", "org_a1b2c3d4e5f6"), ("connect-protocol-version", "1")];
    let answer = world.post_with(&format!("{JOBS}/{method}"), &headers, body.to_string()).await;
    answer.expect(200)["job"].clone()
}

fn id(job: &Value) -> &str {
    job["id"].as_str().expect("a job has an id")
}

fn h264(resolution: &str, quality: &str) -> Value {
    json!({"codec": "h264", "resolution": resolution, "quality": quality})
}

/// Waits for the webhook of that event, checks it as the guide's receiver does, and gives its body.
async fn told(receiver: &Receiver, secret: &str, event: &str) -> (Received, Value) {
    for count in 1.. {
        let received = receiver.wait_for(count, PATIENCE).await.remove(count - 1);
        let timestamp = received.header("x-transcodely-timestamp");
        let parts: [&[u8]; 3] = [timestamp.as_bytes(), b".", &received.body];
        let expected = format!("sha256={}", hmac_sha256_hex(secret.as_bytes(), &parts));
        assert_eq!(received.header("x-transcodely-signature"), expected);
        assert!(received.header("x-transcodely-delivery-id").starts_with("dlv_"));
        let body: Value = serde_json::from_slice(&received.body).expect("a webhook is JSON");
        if body["event"] == event {
            return (received, body);
        }
    }
    unreachable!("the wait has an end")
}

async fn account_secret(world: &World) -> String {
    let answer = world.get("/v1/settings/webhook/secret").await.expect(200);
    answer["secret"].as_str().expect("the secret is text").to_owned()
}

#[tokio::test]
async fn calls_that_are_not_done_and_paths_that_are_not_there_are_refused_in_the_services_words() {
    let world = World::start(Serve::dev()).await;
    let answer = world.get("/transcodely/no-such-path").await;
    assert_eq!(answer.status, 404);
    assert!(answer.json().get("type").is_none(), "not the native shape: {}", answer.json());
    assert_eq!(answer.json()["code"], "not_found");
    let presets = world.post("/transcodely/transcodely.v1.PresetService/List", &json!({})).await.expect(501);
    assert_eq!(presets["code"], "unimplemented");
    for key in ["value", "debug"] {
        assert_eq!(presets["details"][0][key]["code"], "unimplemented");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guides_job_is_made_and_told_of() {
    let (world, receiver, origin) = tokio::join!(World::start(Serve::dev()), Receiver::start(), Origin::start());
    let input = origin.put("/in.mp4", clips::bytes(Clip::Video), Manners::Good);
    let job = call(
        &world,
        "Create",
        &json!({
            "input_url": input, "webhook_url": receiver.url("/hook"), "metadata": {"order": "7"},
            "outputs": [
                {"type": "mp4", "video": [h264("480p", "economy")]},
                {"type": "webm", "video": [{"codec": "vp9", "width": 160, "height": 128, "quality": "economy"}]},
            ],
            "thumbnails": [{"mode": "timestamps", "timestamps": [0, 1], "width": 64}],
        }),
    )
    .await;
    assert_eq!(
        (&job["status"], &job["input_url"], &job["currency"]),
        (&json!("pending"), &json!(input), &json!("EUR"))
    );
    let (_, body) = told(&receiver, &account_secret(&world).await, "job.completed").await;
    let ended = call(&world, "Get", &json!({"id": id(&job)})).await;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    assert_eq!((&body["job"]["id"], &body["job"]["metadata"]["order"]), (&job["id"], &json!("7")));
    assert_eq!(ended["input_metadata"]["video"]["width"], 320);
    assert_eq!(ended["thumbnail_results"].as_array().unwrap().len(), 2);
    let outputs = ended["outputs"].as_array().unwrap();
    assert_eq!(outputs.len(), 2);
    // 2 s at 25 frames a second priced as 480p: 2/60 x 0.06 x 0.5 x 25/30 x 0.75, and vp9's 1.3 of it.
    assert_eq!((&outputs[0]["actual_cost"], &outputs[1]["actual_cost"]), (&json!(0.0006), &json!(0.0008)));
    assert_eq!((&ended["total_actual_cost"], &ended["total_estimated_cost"]), (&json!(0.0014), &json!(0.0014)));
    for output in outputs {
        assert_eq!((&output["status"], &output["progress"]), (&json!("completed"), &json!(100)));
        assert_eq!(output["duration_seconds"], 2);
        let file = world.get_as_stranger(output["output_url"].as_str().unwrap().parse().unwrap(), &[]).await;
        assert_eq!((file.status, file.body.len() as u64), (200, output["output_size_bytes"].as_u64().unwrap()));
    }
    let listed = world.post(&format!("{JOBS}/List"), &json!({"status": "completed"})).await.expect(200);
    assert_eq!((&listed["jobs"][0]["id"], &listed["pagination"]["total_count"]), (&job["id"], &json!(1)));
    assert_eq!(world.job(id(&job)).await["state"], "completed", "one job is one job in every API");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_job_asks_with_its_price_and_is_confirmed() {
    let (world, receiver, origin) = tokio::join!(World::start(Serve::dev()), Receiver::start(), Origin::start());
    let made = world.post("/v1/secrets", &json!({"service": "transcodely"})).await;
    assert_eq!(made.status, 201);
    let secret = made.json()["secret"].as_str().expect("it is shown once").to_owned();
    assert!(secret.starts_with("whsec_") && secret != account_secret(&world).await);
    let input = origin.put("/in.mp4", clips::bytes(Clip::Video), Manners::Good);
    let create = json!({
        "input_url": input, "webhook_url": receiver.url("/hook"), "delayed_start": true, "priority": "premium",
        "outputs": [{"type": "mp4", "video": [h264("720p", "standard"), h264("480p", "premium")]}],
    });
    let job = call(&world, "Create", &create).await;
    assert_eq!(job["outputs"].as_array().unwrap().len(), 2, "each entry of video[] is a file");
    let early = world.post(&format!("{JOBS}/Confirm"), &json!({"id": id(&job)})).await;
    let asked = world.job_when(id(&job), |job| job["state"] == "awaiting_confirmation").await;
    if early.status != 200 {
        assert_eq!((early.status, &early.json()["code"]), (400, &json!("failed_precondition")));
    }
    assert!(asked["estimate"]["cost"]["amount"].as_f64().unwrap() > 0.0);
    let (_, body) = told(&receiver, &secret, "job.awaiting_confirmation").await;
    assert_eq!(
        (&body["job"]["status"], &body["job"]["input_metadata"]["format"]),
        (&json!("awaiting_confirmation"), &json!("mp4"))
    );
    let confirmed = call(&world, "Confirm", &json!({"id": id(&job)})).await;
    assert_eq!(confirmed["status"], "processing");
    assert_eq!((&confirmed["delayed_start"], &confirmed["total_estimated_cost"]), (&json!(true), &json!(0.0024)));
    world.job_ended(id(&job), "completed").await;
    let again = world.post(&format!("{JOBS}/Confirm"), &json!({"id": id(&job)})).await.expect(400);
    assert_eq!(again["code"], "failed_precondition");
    let canceled = world.post(&format!("{JOBS}/Cancel"), &json!({"id": id(&job)})).await.expect(400);
    assert_eq!(canceled["code"], "failed_precondition");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_wrong_is_named_and_strangers_find_nothing() {
    let world = World::start(Serve::public()).await;
    let wrong = json!({
        "input_url": "http://127.0.0.1:9/a", "webhook_url": "https://user:pass@example.com/",
        "outputs": [{"type": "mp4", "video": [{"codec": "vp9"}]}],
    });
    let refused = world.post(&format!("{JOBS}/Create"), &wrong).await.expect(400);
    assert_eq!(
        (&refused["code"], &refused["message"]),
        (&json!("invalid_argument"), &json!("Request validation failed"))
    );
    let fields = |details: &Value| -> Vec<String> {
        let violations = details["field_violations"].as_array().unwrap();
        violations.iter().map(|violation| violation["field"].as_str().unwrap().to_owned()).collect()
    };
    let named = fields(&refused["details"][0]["value"]);
    assert_eq!(named, ["outputs[0].video[0].codec", "input_url", "webhook_url"]);
    assert_eq!(named, fields(&refused["details"][0]["debug"]));
    assert_eq!(refused["details"][0]["value"]["code"], "validation_error");

    let bucket = json!({"input_url": "gs://somebody/a.mp4", "outputs": [{"preset": "h264_1080p_standard"}]});
    let refused = world.post(&format!("{JOBS}/Create"), &bucket).await.expect(400);
    assert_eq!(fields(&refused["details"][0]["value"]), ["input_url"]);

    for unknown in ["job_06c8pmt4vz3fk7qyq4q9w7m2hc", "job_m3n4o5p6q7r8", "9f1c8c1e-8d5b-4f5f-9a57-0e0c6f3a1b2c", "x"] {
        let refused = world.post(&format!("{JOBS}/Get"), &json!({"id": unknown})).await.expect(404);
        assert_eq!(refused["code"], "not_found");
    }
    let stranger = world.post_with(&format!("{JOBS}/List"), &[("authorization", "Bearer ak_live_x")], "{}").await;
    assert_eq!((stranger.status, &stranger.json()["code"]), (401, &json!("unauthenticated")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_gives_the_first_job_and_a_canceled_one_is_told_of() {
    let (world, receiver, origin) = tokio::join!(World::start(Serve::dev()), Receiver::start(), Origin::start());
    let input = origin.put("/in.mp4", clips::bytes(Clip::Long), Manners::Good);
    let mut create = json!({
        "input_url": input, "webhook_url": receiver.url("/hook"), "idempotency_key": "order-7",
        "outputs": [{"type": "mp4", "video": [{"codec": "av1", "quality": "premium"}]}],
    });
    let job = call(&world, "Create", &create).await;
    create["metadata"] = json!({"another": "body"});
    create.as_object_mut().unwrap().remove("idempotency_key");
    let again = world.post_with(&format!("{JOBS}/Create"), &[("idempotency-key", "order-7")], create.to_string()).await;
    assert_eq!(again.expect(200)["job"]["id"], job["id"]);
    let canceled = call(&world, "Cancel", &json!({"id": id(&job)})).await;
    assert_eq!(canceled["status"], "canceled");
    let (_, body) = told(&receiver, &account_secret(&world).await, "job.canceled").await;
    assert_eq!(body["job"]["outputs"][0]["status"], "canceled");
}

#[tokio::test(flavor = "multi_thread")]
async fn some_outputs_made_is_partial_and_none_is_failed() {
    let (world, receiver, origin) = tokio::join!(World::start(Serve::dev()), Receiver::start(), Origin::start());
    let input = origin.put("/in.mp4", clips::bytes(Clip::Video), Manners::Good);
    let thumbnails = json!([{"mode": "single", "timestamp": 500}]);
    let outputs = json!([{"type": "mkv", "video": [h264("480p", "economy")]}]);
    let create =
        json!({"input_url": input, "webhook_url": receiver.url("/hook"), "outputs": outputs, "thumbnails": thumbnails});
    let job = call(&world, "Create", &create).await;
    let (_, body) = told(&receiver, &account_secret(&world).await, "job.partial").await;
    assert_eq!((&body["job"]["id"], &body["job"]["status"]), (&job["id"], &json!("partial")));
    assert_eq!(body["job"]["outputs"][0]["status"], "completed");
    assert_eq!(body["job"]["thumbnail_results"][0]["status"], "failed");

    let garbage = origin.put("/in.bin", clips::bytes(Clip::Garbage), Manners::Good);
    let create = json!({"input_url": garbage, "webhook_url": receiver.url("/hook"), "outputs": outputs});
    let job = call(&world, "Create", &create).await;
    let (_, body) = told(&receiver, &account_secret(&world).await, "job.failed").await;
    assert_eq!((&body["job"]["id"], &body["job"]["error_code"]), (&job["id"], &json!("unsupported_media")));
}

/// Takes a stream of Connect apart: flags and message of each frame.
fn frames(mut bytes: &[u8]) -> Vec<(u8, Value)> {
    let mut frames = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk::<5>() {
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        frames.push((head[0], serde_json::from_slice(&rest[..length]).expect("a frame holds JSON")));
        bytes = &rest[length..];
    }
    assert!(bytes.is_empty(), "nothing follows the last frame");
    frames
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watched_job_is_streamed_from_its_snapshot_to_its_end() {
    let (world, origin) = tokio::join!(World::start(Serve::dev()), Origin::start());
    let input = origin.put("/in.mp4", clips::bytes(Clip::Long), Manners::Good);
    let outputs = json!([{"type": "mp4", "video": [h264("480p", "economy")]}]);
    let job = call(&world, "Create", &json!({"input_url": input, "outputs": outputs})).await;
    let asked = json!({"id": id(&job)}).to_string();
    let enveloped = [&[0][..], &(asked.len() as u32).to_be_bytes(), asked.as_bytes()].concat();
    let stream = [("content-type", "application/connect+json")];
    let watch = async |body: Bytes| {
        world.exchange(Method::POST, world.url(&format!("{JOBS}/Watch")), &stream, body).await.expect("it is answered")
    };
    let (watched, ended) = tokio::join!(watch(enveloped.into()), world.job_ended(id(&job), "completed"));
    assert_eq!((watched.status, watched.headers["content-type"].as_bytes()), (200, &b"application/connect+json"[..]));
    assert_eq!(ended["state"], "completed");
    let frames_of = frames(&watched.body);
    let (last, messages) = frames_of.split_last().unwrap();
    assert_eq!(last, &(2, json!({})));
    assert_eq!(messages[0].1["event"], "snapshot");
    assert!(messages.iter().all(|(flags, message)| *flags == 0 && message["job"]["id"] == job["id"]));
    let end = &messages.last().unwrap().1;
    assert_eq!((&end["event"], &end["job"]["status"]), (&json!("completed"), &json!("completed")));
    assert!(end["server_time"].as_str().unwrap().ends_with('Z'));

    let refused = frames(&watch(Bytes::from_static(b"{\"id\":\"job_m3n4o5p6q7r8\"}")).await.body);
    assert_eq!((refused[0].0, &refused[0].1["error"]["code"]), (2, &json!("not_found")));
    let after = frames(&watch(asked.into()).await.body);
    assert_eq!((after.len(), &after[0].1["event"]), (2, &json!("snapshot")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_input_in_a_bucket_becomes_outputs_in_a_bucket() {
    let (world, receiver, server) = tokio::join!(World::start(Serve::dev()), Receiver::start(), S3Server::start());
    server.put("in/uploads/video.mp4", &clips::bytes(Clip::Video));
    let origin = |base: &str, secret: &str| {
        json!({
            "name": base, "provider": "s3", "permissions": ["read", "write"], "base_path": base,
            "path_template": "{date}/{job_id}/{codec}_{resolution}",
            "s3": {"bucket": "media", "region": "eu-central-1", "endpoint": server.endpoint,
                "credentials": {"access_key_id": KEY, "secret_access_key": secret}},
        })
    };
    let make = async |base: &str| {
        let made = world.post(&format!("{ORIGINS}/Create"), &origin(base, SECRET)).await.expect(200);
        assert_eq!(
            (&made["validation"]["success"], &made["origin"]["status"]),
            (&json!(true), &json!("active")),
            "{made}"
        );
        assert!(!made.to_string().contains(SECRET));
        made["origin"]["id"].as_str().unwrap().to_owned()
    };
    let (from, to) = (make("in").await, make("out").await);
    let wrong = world.post(&format!("{ORIGINS}/Create"), &origin("in", "wrong")).await.expect(200);
    assert_eq!((&wrong["validation"]["success"], &wrong["origin"]["status"]), (&json!(false), &json!("failed")));
    assert!(!wrong["validation"]["read_error"].as_str().unwrap().is_empty());
    let checked = world.post(&format!("{ORIGINS}/Validate"), &json!({"id": to})).await.expect(200);
    assert_eq!((&checked["validation"]["can_read"], &checked["validation"]["can_write"]), (&json!(true), &json!(true)));
    assert_eq!(
        world.post(&format!("{ORIGINS}/List"), &json!({})).await.expect(200)["origins"].as_array().unwrap().len(),
        3
    );

    let create = json!({
        "input_origin_id": from, "input_path": "uploads/video.mp4", "output_origin_id": to,
        "webhook_url": receiver.url("/hook"), "output_path_template": "v",
        "outputs": [{"type": "mp4", "video": [h264("480p", "economy"), h264("480p", "economy")]}],
        "thumbnails": [{"mode": "single"}],
    });
    let job = call(&world, "Create", &create).await;
    assert_eq!(
        (&job["input_origin"]["bucket"], &job["input_origin"]["path"]),
        (&json!("media"), &json!("uploads/video.mp4"))
    );
    let (_, body) = told(&receiver, &account_secret(&world).await, "job.completed").await;
    let day = &job["created_at"].as_str().unwrap()[..10];
    let folder = format!("s3://media/out/v/{day}/{}", id(&job));
    let urls: Vec<_> =
        body["job"]["outputs"].as_array().unwrap().iter().map(|output| output["output_url"].clone()).collect();
    assert_eq!(urls, [format!("{folder}/h264_480p.mp4"), format!("{folder}/h264_480p-2.mp4")]);
    assert_eq!(body["job"]["thumbnail_results"][0]["url"], format!("{folder}/none_none.jpg"));
    let object =
        std::fs::read(server.object(&format!("out/v/{day}/{}/h264_480p.mp4", id(&job)))).expect("it was written");
    assert_eq!(object.len() as u64, body["job"]["outputs"][0]["output_size_bytes"]);

    let by_url = json!({"input_url": "s3://media/in/uploads/video.mp4", "outputs": [{"type": "mp4", "video": [h264("480p", "economy")]}]});
    let covered = call(&world, "Create", &by_url).await;
    assert_eq!(covered["input_origin"]["path"], "uploads/video.mp4");
    let gone = json!({"input_origin_id": from, "input_path": "nowhere.mp4", "outputs": by_url["outputs"]});
    let gone = call(&world, "Create", &gone).await;
    let ended = world.job_ended(id(&gone), "failed").await;
    assert_eq!(ended["error"]["code"], "origin_object_not_found");
}
