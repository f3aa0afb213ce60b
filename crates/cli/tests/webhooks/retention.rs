//! Forgetting on request: a shorter time for an account, and jobs that are erased.

use reelhook_testkit::Receiver;
use reelhook_testkit::clips::{self, Clip};
use serde_json::{Value, json};
use url::Url;

use crate::inbox;
use crate::world::{Serve, World, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn an_account_may_want_a_shorter_time_than_the_server() {
    let world = World::start(Serve::dev().set("retention.keep_days", 14)).await;
    let path = "/v1/settings/retention";
    assert_eq!(world.get(path).await.expect(200), json!({"keep_days": null, "server_keep_days": 14}));
    let put = async |value: Value| {
        let body = json!({"keep_days": value}).to_string().into();
        world.exchange(http::Method::PUT, world.url(path), &[], body).await.unwrap()
    };
    assert_eq!(put(json!(7)).await.expect(200)["keep_days"], 7);
    assert_eq!(world.get(path).await.expect(200)["keep_days"], 7);
    for wrong in [json!(0), json!(15), json!("7")] {
        assert_eq!(put(wrong).await.violations(), ["keep_days"]);
    }
    assert_eq!(put(Value::Null).await.expect(200)["keep_days"], Value::Null);
}

/// A job that has ended and was told of: its id, its upload and the link to its file.
async fn ended(world: &World, receiver: &Receiver) -> (String, String, String) {
    let upload = world.upload("clip.mp4", clips::bytes(Clip::Video)).await;
    let outputs = json!([{"recipe": "thumbnail", "width": 64}]);
    let job = json!({"input": {"upload": upload}, "outputs": outputs, "webhook": {"url": receiver.url("/hook")}});
    let id = world.submit(&job).await;
    let job = world.job_ended(&id, "completed").await;
    inbox::wait_for(receiver, &["job.created", "job.started", "job.completed"]).await;
    let link: Url = job["outputs"][0]["file"]["url"].as_str().unwrap().parse().unwrap();
    (id, upload, format!("{}?{}", link.path(), link.query().unwrap()))
}

async fn nothing_is_left(world: &World, id: &str, upload: &str, link: &str) {
    world.get(&format!("/v1/jobs/{id}")).await.expect(404);
    world.get(&format!("/v1/jobs/{id}/events")).await.expect(404);
    world.get(&format!("/v1/uploads/{upload}")).await.expect(404);
    let deliveries = world.get(&format!("/v1/deliveries?job={id}")).await.expect(200);
    assert_eq!(deliveries["deliveries"], json!([]));
    assert_eq!(world.get_as_stranger(world.url(link), &[]).await.status, 404);
    let files = world.data().join("files");
    assert!(!files.join("jobs").join(id).exists());
    assert!(!files.join("uploads").join(upload).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_job_leaves_neither_rows_nor_files() {
    let receiver = Receiver::start().await;
    let world = World::start(Serve::dev()).await;
    let (id, upload, link) = ended(&world, &receiver).await;
    let path = format!("/v1/jobs/{id}");
    assert_eq!(world.delete(&path).await.status, 204);
    nothing_is_left(&world, &id, &upload, &link).await;
    world.delete(&path).await.expect(404);

    let draft = json!({"input": {"url": "http://127.0.0.1:9/x"}, "outputs": [{"recipe": "web_ready"}], "draft": true});
    let draft = world.submit(&draft).await;
    assert_eq!(world.delete(&format!("/v1/jobs/{draft}")).await.status, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_under_way_is_canceled_before_it_is_erased() {
    let origin = reelhook_testkit::Receiver::start().await;
    origin.otherwise(reelhook_testkit::Reply::hang());
    let world = World::start(Serve::dev()).await;
    let job = json!({"input": {"url": origin.url("/clip.mp4")}, "outputs": [{"recipe": "web_ready"}]});
    let path = format!("/v1/jobs/{}", world.submit(&job).await);
    let refused = world.delete(&path).await.expect(409);
    assert_eq!(refused["code"], "state_conflict");
    assert!(refused["detail"].as_str().unwrap().contains("cancel it first"), "{refused:#}");
    world.post(&format!("{path}/cancel"), &json!({})).await.expect(200);
    eventually("it is erased", async || matches!(world.delete(&path).await.status, 204 | 404)).await;
    world.get(&path).await.expect(404);
}

#[cfg(feature = "failpoints")]
#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_dies_is_asked_for_again() {
    for point in ["api.erasing:2", "api.erased_files"] {
        let receiver = Receiver::start().await;
        let mut world = World::start(Serve::dev()).await;
        let (id, upload, link) = ended(&world, &receiver).await;
        world.terminate().await;
        assert!(world.serve(Serve::dev().crash_at(point)).await);
        let url = world.url(&format!("/v1/jobs/{id}"));
        world.exchange(http::Method::DELETE, url, &[], bytes::Bytes::new()).await.expect_err("the server dies");
        world.death().await;
        assert!(world.serve(Serve::dev()).await);
        assert_eq!(world.get(&format!("/v1/jobs/{id}")).await.expect(200)["state"], "completed");
        assert_eq!(world.delete(&format!("/v1/jobs/{id}")).await.status, 204, "{point}");
        nothing_is_left(&world, &id, &upload, &link).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_account_leaves_nothing_and_the_others_stay() {
    let receiver = Receiver::start().await;
    let mut world = World::start(Serve::dev()).await;
    let (ours, _, our_link) = ended(&world, &receiver).await;
    let theirs = world.another_account().await;
    let authorization = [("authorization", theirs.as_str())];
    let job = json!({"input": {"url": "http://127.0.0.1:9/x"}, "outputs": [{"recipe": "web_ready"}]}).to_string();
    let job = world.post_with("/v1/jobs", &authorization, job).await.expect(202)["id"].as_str().unwrap().to_owned();
    let upload = world.post_with("/v1/uploads?name=a.bin", &authorization, vec![7; 9]).await;
    let upload = upload.expect(201)["id"].as_str().unwrap().to_owned();
    let endpoint = json!({"url": receiver.url("/theirs")}).to_string();
    world.post_with("/v1/endpoints", &authorization, endpoint).await.expect(201);

    let erase = ["accounts", "erase", "theirs", "--json"];
    let refused = world.try_command(&erase, None).await;
    assert!(String::from_utf8_lossy(&refused.stderr).contains("only while the server is stopped"), "{refused:?}");
    world.terminate().await;
    let erased: Value = serde_json::from_str(&world.command(&erase).await).unwrap();
    assert_eq!((&erased["erased"]["name"], &erased["jobs"]), (&json!("theirs"), &json!(1)));
    let files = world.data().join("files");
    assert!(!files.join("jobs").join(&job).exists() && !files.join("uploads").join(&upload).exists());
    let first = world.try_command(&["accounts", "erase", "default"], None).await;
    assert!(String::from_utf8_lossy(&first.stderr).contains("first account"), "{first:?}");

    assert!(world.serve(Serve::dev()).await);
    world.get_with("/v1/jobs", &authorization).await.expect(401);
    assert_eq!(world.get(&format!("/v1/jobs/{ours}")).await.expect(200)["state"], "completed");
    assert_eq!(world.get_as_stranger(world.url(&our_link), &[]).await.status, 200);
}
