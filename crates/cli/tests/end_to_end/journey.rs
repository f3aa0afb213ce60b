//! What a caller does on a good day.

use bytes::Bytes;
use http::Method;
use reelhook_signature::Secret;
use reelhook_testkit::clips::{self, Clip};
use reelhook_testkit::{Manners, Origin, Receiver, Reply};
use serde_json::{Value, json};
use url::Url;

use crate::inbox;
use crate::world::{Answer, PATIENCE, Serve, World, eventually};

fn small_job(upload: &str) -> Value {
    json!({"input": {"upload": upload}, "outputs": [{"recipe": "thumbnail", "at_seconds": 1.0, "width": 64}]})
}

/// A job that takes a while.
fn long_job(upload: &str) -> Value {
    let output = json!({"recipe": "convert", "format": "webm", "codec": "vp9", "quality": "premium"});
    json!({"input": {"upload": upload}, "outputs": [output]})
}

#[tokio::test(flavor = "multi_thread")]
async fn three_outputs_are_made_and_told_of_by_signed_webhooks() {
    let (world, receiver) = tokio::join!(World::start(Serve::dev()), Receiver::start());
    let upload = world.upload("holiday.mp4", clips::bytes(Clip::Video)).await;
    let job = json!({
        "input": {"upload": upload},
        "outputs": [
            {"name": "web", "recipe": "compress", "crf": 30, "format": "mp4"},
            {"name": "hd", "recipe": "convert", "format": "webm", "codec": "vp9", "resolution": "720p", "quality": "economy"},
            {"name": "still", "recipe": "thumbnail", "at_seconds": 1.0, "format": "jpg", "width": 160},
        ],
        "webhook": {"url": receiver.url("/hook")},
        "metadata": {"order": "1234"},
    });
    let answer = world.post("/v1/jobs", &job).await;
    let id = answer.expect(202)["id"].as_str().unwrap().to_owned();
    assert_eq!(answer.headers["location"], format!("/v1/jobs/{id}"));
    let job = world.job_ended(&id, "completed").await;
    assert_eq!((&job["progress"], &job["metadata"]["order"]), (&json!(100), &json!("1234")));
    assert_eq!(job["input"]["name"], "holiday.mp4");
    assert_eq!(job["outputs"][1]["file"]["media"]["video"]["codec"], "vp9");
    assert_eq!(job["outputs"][2]["file"]["media"]["video"]["width"], 160);
    world.check_outputs(&job).await;

    let all = inbox::wait_for(&receiver, &["job.created", "job.started", "job.completed"]).await;
    let events = inbox::check(&all, &inbox::secret(&world).await);
    let mut kinds: Vec<_> = events.into_values().collect();
    kinds.sort();
    assert_eq!(kinds, ["job.completed", "job.created", "job.started"]);
    let last = all.iter().find(|received| inbox::kind(received) == "job.completed").unwrap();
    let told: Value = serde_json::from_slice(&last.body).unwrap();
    assert_eq!(told["data"]["outputs"][0]["file"]["sha256"], job["outputs"][0]["file"]["sha256"]);

    let path = format!("/v1/jobs/{id}");
    eventually("its deliveries are delivered", async || {
        let deliveries = world.get(&path).await.expect(200)["deliveries"].clone();
        let deliveries = deliveries.as_array().unwrap();
        deliveries.len() == 3 && deliveries.iter().all(|delivery| delivery["state"] == "delivered")
    })
    .await;
    let delivery = world.job(&id).await["deliveries"][0].clone();
    assert_eq!(delivery["attempts"], 1);
    let delivery = world.get(&format!("/v1/deliveries/{}", delivery["id"].as_str().unwrap())).await.expect(200);
    let attempt = &delivery["attempts"][0];
    assert_eq!(
        (&attempt["number"], &attempt["outcome"], &attempt["status"]),
        (&json!(1), &json!("status"), &json!(200))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_link_needs_no_key_and_serves_ranges() {
    let world = World::start(Serve::dev()).await;
    let upload = world.upload("a.mp4", clips::bytes(Clip::Video)).await;
    let job = world.job_ended(&world.submit(&small_job(&upload)).await, "completed").await;
    let link: Url = job["outputs"][0]["file"]["url"].as_str().unwrap().parse().unwrap();
    let whole = world.get_as_stranger(link.clone(), &[]).await;
    assert_eq!(whole.status, 200);
    let part = world.get_as_stranger(link.clone(), &[("range", "bytes=10-19")]).await;
    assert_eq!((part.status, &part.body[..]), (206, &whole.body[10..20]));
    assert_eq!(part.headers["content-range"], format!("bytes 10-19/{}", whole.body.len()));
    let beyond = world.get_as_stranger(link.clone(), &[("range", "bytes=999999999-")]).await;
    assert_eq!(beyond.status, 416);

    let mut forged = link.clone();
    forged.set_query(Some(&link.query().unwrap().replacen("expires=", "expires=9", 1)));
    world.get_as_stranger(forged, &[]).await.expect(403);
    let mut bare = link;
    bare.set_query(None);
    world.get_as_stranger(bare.clone(), &[]).await.expect(401);
    assert_eq!(world.get(bare.path()).await.body, whole.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_idempotency_key_gives_the_first_job_and_refuses_another_body() {
    let world = World::start(Serve::dev()).await;
    let upload = world.upload("a.mp4", clips::bytes(Clip::Video)).await;
    let key = [("idempotency-key", "order-1234")];
    let submit = async |job: &Value| world.post_with("/v1/jobs", &key, job.to_string()).await;
    let first = submit(&small_job(&upload)).await.expect(202);
    let again = submit(&small_job(&upload)).await.expect(200);
    assert_eq!(first["id"], again["id"]);
    let mut other = small_job(&upload);
    other["metadata"] = json!({"order": "other"});
    assert_eq!(submit(&other).await.expect(409)["code"], "idempotency_conflict");
    assert_eq!(world.get("/v1/jobs").await.expect(200)["jobs"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_and_its_file_may_come_in_one_request() {
    let world = World::start(Serve::dev()).await;
    let job = json!({"outputs": [{"recipe": "thumbnail", "width": 64}]});
    let head = format!(
        "--cut\r\nContent-Disposition: form-data; name=\"job\"\r\n\r\n{job}\r\n--cut\r\n\
         Content-Disposition: form-data; name=\"file\"; filename=\"one.mp4\"\r\n\r\n"
    );
    let body = [head.as_bytes(), &clips::bytes(Clip::Video), b"\r\n--cut--\r\n"].concat();
    let kind = [("content-type", "multipart/form-data; boundary=cut")];
    let answer = world.post_with("/v1/jobs", &kind, body).await.expect(202);
    let job = world.job_ended(answer["id"].as_str().unwrap(), "completed").await;
    assert_eq!(job["input"]["name"], "one.mp4");
    world.check_outputs(&job).await;
}

/// The frames of a stream, as (id, event).
fn frames(answer: &Answer) -> Vec<(Option<String>, String)> {
    assert_eq!(answer.status, 200);
    let text = std::str::from_utf8(&answer.body).expect("a stream of events is text");
    let field = |frame: &str, name: &str| {
        frame.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim_start().to_owned()))
    };
    text.split("\n\n").filter_map(|frame| Some((field(frame, "id"), field(frame, "event")?))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_events_resumes_after_the_last_one_seen() {
    let world = World::start(Serve::dev()).await;
    let upload = world.upload("a.mp4", clips::bytes(Clip::Video)).await;
    let id = world.submit(&small_job(&upload)).await;
    let path = format!("/v1/jobs/{id}/events");
    let stream = [("accept", "text/event-stream")];
    let live = frames(&world.get_with(&path, &stream).await);
    let events: Vec<_> = live.iter().filter_map(|(id, event)| Some((id.clone()?, event.as_str()))).collect();
    assert_eq!(
        events.iter().map(|(_, event)| *event).collect::<Vec<_>>(),
        ["job.created", "job.started", "job.completed"]
    );

    let resumed = world.get_with(&path, &[stream[0], ("last-event-id", &events[0].0)]).await;
    let resumed: Vec<_> = frames(&resumed).into_iter().map(|(_, event)| event).collect();
    assert_eq!(resumed, ["job.started", "job.completed"]);

    let listed = world.get(&path).await.expect(200);
    assert_eq!(listed["events"][2]["data"]["state"], "completed");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_jobs_hold_each_once_the_newest_first() {
    let world = World::start(Serve::dev()).await;
    let upload = world.upload("a.mp4", clips::bytes(Clip::Picture)).await;
    let mut submitted = Vec::new();
    for _ in 0..5 {
        submitted.push(world.submit(&small_job(&upload)).await);
    }
    submitted.reverse();
    let mut listed = Vec::new();
    let mut path = "/v1/jobs?limit=2".to_owned();
    loop {
        let page = world.get(&path).await.expect(200);
        listed.extend(page["jobs"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/jobs?limit=2&cursor={cursor}");
    }
    assert_eq!(listed, submitted);
    for id in &submitted {
        world.job_at_end(id).await;
    }
    let failed = world.get("/v1/jobs?state=queued,processing").await.expect(200);
    assert_eq!(failed["jobs"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_listed_by_what_is_asked() {
    let world = World::start(Serve::dev()).await;
    let upload = world.upload("clip.mp4", clips::bytes(Clip::Video)).await;
    let mut job = small_job(&upload);
    job["metadata"] = json!({"order": "12 & 34", "team": "a"});
    let good = world.submit(&job).await;
    let text = world.upload("notes.txt", b"no media at all".to_vec()).await;
    let bad = world.submit(&small_job(&text)).await;
    world.job_at_end(&good).await;
    let code = world.job_at_end(&bad).await["error"]["code"].as_str().unwrap().to_owned();
    let recipe = small_job(&upload)["outputs"][0]["recipe"].as_str().unwrap().to_owned();
    let list = async |asked: &str| {
        let listed = world.get(&format!("/v1/jobs?{asked}")).await.expect(200);
        listed["jobs"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(list("metadata.order=12+%26+34").await, [good.as_str()]);
    assert_eq!(list("metadata.order=12+%26+34&metadata.team=a").await, [good.as_str()]);
    assert_eq!(list("metadata.order=12+%26+34&metadata.team=b").await, Vec::<String>::new());
    assert_eq!(list(&format!("error={code}")).await, [bad.as_str()]);
    assert_eq!(list(&format!("error={code}&state=completed")).await, Vec::<String>::new());
    assert_eq!(list("name=cl").await, [good.as_str()]);
    assert_eq!(list(&format!("recipe={recipe}")).await, [bad.as_str(), good.as_str()]);
    assert_eq!(list(&format!("id={}", &good[..good.len() - 1])).await, [good.as_str()]);
    for (asked, path) in [("recipe=compres", "?recipe"), ("id=evt_0", "?id"), ("metadta.order=1", "?metadta.order")] {
        let refused = world.get(&format!("/v1/jobs?{asked}")).await.expect(422);
        assert_eq!(refused["violations"][0]["path"], path, "{refused:#}");
    }
    let refused = world.get("/v1/deliveries?state=held,exhausted").await.expect(422);
    assert_eq!(refused["violations"][0]["path"], "?state", "{refused:#}");

    let shown = world.client_command(&["jobs", "list", "--metadata", "team=a", "--name", "clip", "--json"]).await;
    assert!(shown.contains(&good) && !shown.contains(&bad), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn canceling_a_running_job_ends_its_encoder() {
    let (world, receiver) = tokio::join!(World::start(Serve::dev()), Receiver::start());
    let upload = world.upload("long.mp4", clips::bytes(Clip::Long)).await;
    let mut job = long_job(&upload);
    job["webhook"] = json!({"url": receiver.url("/hook"), "events": ["job.canceled"]});
    let id = world.submit(&job).await;
    world.job_when(&id, |job| job["stage"] == "encoding").await;
    eventually("an encoder runs", async || !world.encoders().is_empty()).await;
    let output = format!("/v1/jobs/{id}/outputs/convert");
    assert_eq!(world.get(&output).await.expect(409)["code"], "output_not_ready");

    let canceled = world.post(&format!("/v1/jobs/{id}/cancel"), &json!({})).await.expect(200);
    assert_eq!(canceled["state"], "canceled");
    eventually("no encoder runs", async || world.encoders().is_empty()).await;
    world.get(&output).await.expect(409);
    world.post(&format!("/v1/jobs/{id}/cancel"), &json!({})).await.expect(409);
    inbox::check(&inbox::wait_for(&receiver, &["job.canceled"]).await, &inbox::secret(&world).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_job_can_be_tried_again() {
    let (world, origin) = tokio::join!(World::start(Serve::dev()), Origin::start());
    let url = origin.put("/clip.mp4", Bytes::new(), Manners::Status(404));
    let id = world.submit(&json!({"input": {"url": url}, "outputs": [{"recipe": "thumbnail"}]})).await;
    let job = world.job_ended(&id, "failed").await;
    assert_eq!((&job["error"]["code"], &job["error"]["stage"]), (&json!("origin_status"), &json!("fetching")));
    origin.put("/clip.mp4", clips::bytes(Clip::Video), Manners::Good);
    world.post(&format!("/v1/jobs/{id}/retry"), &json!({})).await.expect(202);
    let job = world.job_ended(&id, "completed").await;
    assert_eq!(job["error"], Value::Null);
    world.check_outputs(&job).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_output_that_cannot_be_made_leaves_the_others() {
    let (world, receiver) = tokio::join!(World::start(Serve::dev()), Receiver::start());
    let upload = world.upload("a.mp4", clips::bytes(Clip::Video)).await;
    let outputs = json!([{"recipe": "thumbnail"}, {"name": "late", "recipe": "trim", "start_seconds": 100.0}]);
    let webhook = json!({"url": receiver.url("/hook")});
    let id = world.submit(&json!({"input": {"upload": upload}, "outputs": outputs, "webhook": webhook})).await;
    let job = world.job_ended(&id, "partial").await;
    assert_eq!((&job["outputs"][0]["state"], &job["outputs"][1]["state"]), (&json!("completed"), &json!("failed")));
    assert_eq!(job["outputs"][1]["error"]["code"], "beyond_end");
    assert_eq!(world.get(&format!("/v1/jobs/{id}/outputs/thumbnail")).await.status, 200);
    world.get(&format!("/v1/jobs/{id}/outputs/late")).await.expect(409);
    inbox::check(&inbox::wait_for(&receiver, &["job.partial"]).await, &inbox::secret(&world).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_webhook_can_be_set_tested_and_cleared() {
    let (world, receiver) = tokio::join!(World::start(Serve::dev()), Receiver::start());
    let put = async |settings: Value| {
        let body = Bytes::from(settings.to_string());
        world.exchange(Method::PUT, world.url("/v1/settings"), &[], body).await.unwrap().expect(200)
    };
    let test = async || world.post("/v1/settings/webhook/test", &json!({})).await;
    assert_eq!(test().await.expect(409)["code"], "no_default_webhook");
    let set = put(json!({"default_webhook": {"url": receiver.url("/all"), "events": ["job.completed"]}})).await;
    assert_eq!(set["default_webhook"]["url"], receiver.url("/all").as_str());
    let tested = test().await.expect(200);
    assert_eq!((&tested["ok"], &tested["status"]), (&json!(true), &json!(200)));

    let upload = world.upload("a.png", clips::bytes(Clip::Picture)).await;
    world.job_ended(&world.submit(&small_job_of_a_still(&upload)).await, "completed").await;
    let all = inbox::wait_for(&receiver, &["webhook.test", "job.completed"]).await;
    let events = inbox::check(&all, &inbox::secret(&world).await);
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!(put(json!({"default_webhook": null})).await["default_webhook"], Value::Null);
}

fn small_job_of_a_still(upload: &str) -> Value {
    json!({"input": {"upload": upload}, "outputs": [{"recipe": "thumbnail", "width": 64}]})
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_made_beside_a_running_server_work_until_they_are_revoked() {
    let world = World::start(Serve::dev()).await;
    let key = world.command(&["keys", "create", "--name", "laptop"]).await;
    let bearer = format!("Bearer {}", key.trim_end());
    let listed = world.get_with("/v1/jobs", &[("authorization", &bearer)]).await;
    listed.expect(200);
    let keys: Value = serde_json::from_str(&world.command(&["keys", "list", "--json"]).await).unwrap();
    let keys = keys["keys"].as_array().unwrap();
    let kept = keys.iter().find(|kept| kept["name"] == "laptop").unwrap();
    world.command(&["keys", "revoke", kept["id"].as_str().unwrap()]).await;
    eventually("the key is refused", async || {
        world.get_with("/v1/jobs", &[("authorization", &bearer)]).await.status == 401
    })
    .await;
    world.get("/v1/jobs").await.expect(200);
    world.get_with("/v1/jobs", &[("authorization", "Bearer rh_x")]).await.expect(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_was_down_gets_the_same_webhook_again() {
    let replies = [Reply::reset(), Reply::status(503).body("not now")];
    let (world, receiver) = tokio::join!(World::start(Serve::dev()), Receiver::scripted(replies));
    let endpoint = json!({"url": receiver.url("/hook"), "events": ["invoice.*"], "retry_seconds": [0, 0, 0]});
    let endpoint = world.post("/v1/endpoints", &endpoint).await.expect(201);
    let secret = Secret::parse(endpoint["secret"].as_str().unwrap()).unwrap();
    world.post("/v1/events", &json!({"type": "invoice.paid", "payload": {"total": 3}})).await.expect(202);

    let all = receiver.wait_for(3, PATIENCE).await;
    let events = inbox::check(&all, &secret);
    assert_eq!(events.into_values().collect::<Vec<_>>(), ["invoice.paid"]);
    let path = format!("/v1/deliveries/{}", all[0].header("reelhook-delivery"));
    eventually("the delivery is delivered", async || world.get(&path).await.expect(200)["state"] == "delivered").await;
    let delivery = world.get(&path).await.expect(200);
    let attempts = delivery["attempts"].as_array().unwrap();
    let outcomes: Vec<_> = attempts.iter().map(|attempt| (&attempt["outcome"], &attempt["status"])).collect();
    let status = json!("status");
    assert_eq!(outcomes, [(&json!("reset"), &Value::Null), (&status, &json!(503)), (&status, &json!(200))]);
    assert_eq!(attempts[1]["response"]["body"], "not now");
}
