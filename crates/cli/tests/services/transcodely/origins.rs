//! Origins: what is read from a bucket and written to one.

use reelhook_testkit::Receiver;
use reelhook_testkit::clips::{self, Clip};
use serde_json::json;

use super::{ORIGINS, account_secret, call, h264, id, told};
use crate::s3_server::{KEY, S3Server, SECRET};
use crate::world::{Serve, World};

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

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_is_changed_in_what_is_said_and_its_keys_stay_with_its_place() {
    let (world, server, elsewhere) = tokio::join!(World::start(Serve::dev()), S3Server::start(), Receiver::start());
    let origin = json!({
        "name": "in", "provider": "s3", "base_path": "a", "permissions": ["read", "write"],
        "s3": {"bucket": "media", "region": "eu-central-1", "endpoint": server.endpoint,
            "credentials": {"access_key_id": KEY, "secret_access_key": SECRET}},
    });
    let made = world.post(&format!("{ORIGINS}/Create"), &origin).await.expect(200)["origin"].clone();
    let update = async |mut body: serde_json::Value| {
        body["id"] = made["id"].clone();
        world.post(&format!("{ORIGINS}/Update"), &body).await
    };
    let changed = update(json!({"name": "out", "base_path": "b", "permissions": ["write"]})).await.expect(200);
    assert_eq!(changed["validation"]["success"], true, "its keys are still there: {changed}");
    assert!(!changed.to_string().contains(SECRET));
    let mut wanted = made.clone();
    (wanted["name"], wanted["base_path"], wanted["permissions"]) = (json!("out"), json!("b"), json!(["write"]));
    wanted["updated_at"] = changed["origin"]["updated_at"].clone();
    assert_eq!(changed["origin"], wanted);
    let got = world.post(&format!("{ORIGINS}/Get"), &json!({"id": made["id"]})).await.expect(200);
    assert_eq!(got["origin"], wanted);

    let field = async |body: serde_json::Value| {
        let refused = update(body).await.expect(400);
        refused["details"][0]["value"]["field_violations"][0]["field"].clone()
    };
    assert_eq!(field(json!({"s3": {"endpoint": elsewhere.url("/")}})).await, "s3.credentials");
    assert_eq!(field(json!({"http": {"base_url": elsewhere.url("/")}})).await, "http");
    assert_eq!(field(json!({"permissions": ["delete"]})).await, "permissions[0]");
    assert!(elsewhere.requests().is_empty(), "nobody else is asked with these keys");
    let keys = json!({"access_key_id": KEY, "secret_access_key": "wrong"});
    let failed = update(json!({"s3": {"credentials": keys}})).await.expect(200);
    assert_eq!((&failed["origin"]["status"], &failed["validation"]["success"]), (&json!("failed"), &json!(false)));
    world.post(&format!("{ORIGINS}/Archive"), &json!({"id": made["id"]})).await.expect(200);
    assert_eq!(update(json!({"name": "x"})).await.expect(400)["code"], "failed_precondition");
    let nobodys = json!({"id": "ori_06c8pmt4vz3fk7qyq4q9w7m2hc", "name": "x"});
    let nobodys = world.post(&format!("{ORIGINS}/Update"), &nobodys).await.expect(404);
    assert_eq!(nobodys["code"], "not_found");
}
