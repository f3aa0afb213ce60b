//! Transcodely, as its client sees it.

mod accounts;
mod deliveries;
mod origins;
mod refusals;
mod streams;
mod watch;

use reelhook_signature::hmac_sha256_hex;
use reelhook_testkit::clips::{self, Clip};
use reelhook_testkit::{Manners, Origin, Received, Receiver, verdict};
use serde_json::{Value, json};

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

/// Whether the guide's receiver, which has that secret, accepts it.
fn is_signed(received: &Received, secret: &str) -> bool {
    let timestamp = received.header("x-transcodely-timestamp");
    let parts: [&[u8]; 3] = [timestamp.as_bytes(), b".", &received.body];
    received.header("x-transcodely-signature") == format!("sha256={}", hmac_sha256_hex(secret.as_bytes(), &parts))
}

/// Waits for the webhook of that event, checks it as the guide's receiver does, and gives its body.
async fn told(receiver: &Receiver, secret: &str, event: &str) -> (Received, Value) {
    for count in 1.. {
        let received = receiver.wait_for(count, PATIENCE).await.remove(count - 1);
        assert!(is_signed(&received, secret));
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
    // Both are as small as the source: 2/60 x 0.06 x 0.5 x 25/30, and twice that for premium.
    let confirmed = call(&world, "Confirm", &json!({"id": id(&job)})).await;
    assert_eq!(confirmed["status"], "processing");
    assert_eq!((&confirmed["delayed_start"], &confirmed["total_estimated_cost"]), (&json!(true), &json!(0.0025)));
    world.job_ended(id(&job), "completed").await;
    let again = world.post(&format!("{JOBS}/Confirm"), &json!({"id": id(&job)})).await.expect(400);
    assert_eq!(
        (&again["code"], &again["details"][0]["value"]["code"]),
        (&json!("failed_precondition"), &json!("state_conflict"))
    );
    let canceled = world.post(&format!("{JOBS}/Cancel"), &json!({"id": id(&job)})).await.expect(400);
    assert_eq!(canceled["code"], "failed_precondition");
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

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_job_that_is_canceled_costs_nothing_and_is_told_of_twice() {
    let (world, receiver, origin) = tokio::join!(World::start(Serve::dev()), Receiver::start(), Origin::start());
    let input = origin.put("/in.mp4", clips::bytes(Clip::Video), Manners::Good);
    let create = json!({
        "input_url": input, "webhook_url": receiver.url("/hook"), "delayed_start": true,
        "outputs": [{"preset": "h264_480p_economy"}],
    });
    let job = call(&world, "Create", &create).await;
    let secret = account_secret(&world).await;
    let (asked, body) = told(&receiver, &secret, "job.awaiting_confirmation").await;
    assert_eq!((&body["job"]["id"], &body["job"]["completed_at"]), (&job["id"], &Value::Null));
    assert!(body["job"]["total_estimated_cost"].as_f64().is_some_and(|cost| cost > 0.0));
    let canceled = call(&world, "Cancel", &json!({"id": id(&job)})).await;
    assert_eq!((&canceled["status"], &canceled["total_actual_cost"]), (&json!("canceled"), &json!(0.0)));
    let (ended, body) = told(&receiver, &secret, "job.canceled").await;
    assert_eq!((&body["job"]["id"], &body["job"]["total_actual_cost"]), (&job["id"], &json!(0.0)));
    assert_eq!(receiver.requests().len(), 2);
    assert_ne!(asked.header("x-transcodely-delivery-id"), ended.header("x-transcodely-delivery-id"));
    for method in ["Confirm", "Cancel"] {
        let refused = world.post(&format!("{JOBS}/{method}"), &json!({"id": id(&job)})).await.expect(400);
        assert_eq!(refused["code"], "failed_precondition");
    }
}

/// A second of a moving picture of that size, with sound.
fn moving(size: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let path = folder.path().join("clip.mp4");
    let arguments = format!(
        "-f lavfi -i testsrc2=s={size}:r=25:d=1 -f lavfi -i sine=d=1 -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac"
    );
    clips::ffmpeg(arguments.split(' '), &path);
    std::fs::read(&path).expect("ffmpeg made it")
}

#[tokio::test(flavor = "multi_thread")]
async fn ladders_of_every_shape_are_packaged() {
    let (world, origin) = tokio::join!(World::start(Serve::dev()), Origin::start());
    for (shape, size) in [("16:9", "1280x720"), ("4:3", "640x480"), ("9:16", "720x1280"), ("odd", "1278x718")] {
        let input = origin.put(&format!("/{size}.mp4"), moving(size), Manners::Good);
        // The service has no word for rungs under 480p; they are said as a box.
        let small = [240, 360].map(|lines| {
            let longer = lines * 16 / 9;
            json!({"codec": "h264", "width": longer, "height": longer, "quality": "economy"})
        });
        let named = ["480p", "720p", "1080p"].map(|rung| h264(rung, "economy"));
        let ladder: Vec<Value> = small.into_iter().chain(named).collect();
        let outputs = ["hls", "dash"].map(|kind| json!({"type": kind, "video": ladder}));
        let job = call(&world, "Create", &json!({"input_url": input, "outputs": outputs})).await;
        world.job_at_end(id(&job)).await;
        let ended = call(&world, "Get", &json!({"id": id(&job)})).await;
        let states: Vec<_> =
            ended["outputs"].as_array().expect("outputs").iter().map(|o| o["status"].clone()).collect();
        verdict(
            "M4 a ladder of renditions",
            format!("{shape} of {size} through Transcodely: hls and dash, 240p to 1080p"),
            "both completed",
            format!("{states:?}"),
            states.len() == 2 && states.iter().all(|state| state == "completed"),
        );
    }
}
