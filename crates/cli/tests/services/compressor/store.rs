//! Connectors: results that are written to an origin of the account.

use reelhook_testkit::Receiver;
use serde_json::{Value, json};

use super::{ended, photo, upload};
use crate::s3_server::{KEY, S3Server, SECRET};
use crate::world::{Answer, PATIENCE, Serve, World};

/// Makes an origin of that server's bucket and gives its id.
async fn connect(world: &World, server: &S3Server, permissions: Value) -> String {
    let keys = json!({"access_key_id": KEY, "secret_access_key": SECRET});
    let s3 = json!({
        "bucket": "media", "region": "eu-central-1", "endpoint": server.endpoint, "credentials": keys
    });
    let origin = json!({"name": "media", "s3": s3, "permissions": permissions, "base_path": "base"});
    let origin = world.post("/v1/origins", &origin).await.expect(201);
    assert_eq!(origin["status"], "active", "{origin:#}");
    origin["id"].as_str().expect("an origin has an id").to_owned()
}

/// The one field that was wrong.
fn field(answer: &Answer) -> String {
    let error = answer.expect(422);
    assert_eq!(error["error"]["fields"].as_array().map(Vec::len), Some(1), "{error}");
    error["error"]["fields"][0]["field"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_is_written_where_the_connector_says_and_its_url_is_the_objects() {
    let (world, server, receiver) = tokio::join!(World::start(Serve::dev()), S3Server::start(), Receiver::start());
    let id = connect(&world, &server, json!(["read", "write"])).await;
    let store = json!({"id": id, "bucket": "media", "region": "eu-central-1", "path": "out/2026", "acl": "private"});
    let result = upload(&world, "my photo.jpg", &photo(), Some(&json!({"store": store}))).await.expect(200);
    let url = format!("{}media/base/out/2026/my%20photo.jpeg", server.endpoint);
    assert_eq!((&result["url"], &result["output"]["name"]), (&json!(url), &json!("my photo.jpeg")));
    let object = std::fs::read(server.object("base/out/2026/my photo.jpeg")).expect("it was written");
    assert_eq!(object.len() as u64, result["output"]["size"]);

    // At the root, told by webhook.
    let options = json!({"store": {"id": id}, "webhook": {"url": receiver.url("/c")}});
    upload(&world, "a.jpg", &photo(), Some(&options)).await.expect(202);
    let told: Value = serde_json::from_slice(&receiver.wait_for(1, PATIENCE).await[0].body).unwrap();
    assert_eq!(told["url"], format!("{}media/base/a.jpeg", server.endpoint));
    assert!(server.object("base/a.jpeg").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_that_cannot_be_used_is_refused_by_its_field() {
    let (world, server) = tokio::join!(World::start(Serve::dev()), S3Server::start());
    let read_only = connect(&world, &server, json!(["read"])).await;
    let good = connect(&world, &server, json!(["read", "write"])).await;
    let gone = connect(&world, &server, json!(["read", "write"])).await;
    assert_eq!(world.delete(&format!("/v1/origins/{gone}")).await.status, 204);
    for (store, expected) in [
        (json!({"id": "ori_00000000000000000000000000"}), "store.id"),
        (json!({"id": "my-s3"}), "store.id"),
        (json!({}), "store.id"),
        (json!({"id": gone}), "store.id"),
        (json!({"id": read_only}), "store.id"),
        (json!({"id": good, "bucket": "other"}), "store.bucket"),
        (json!({"id": good, "bucket": "media", "region": "us-east-1"}), "store.region"),
        (json!({"id": good, "path": "/out"}), "store.path"),
        (json!({"id": good, "path": "../out"}), "store.path"),
        (json!({"id": good, "acl": "public-read"}), "store.acl"),
        (json!({"id": good, "tags": {"a": "b"}}), "store.tags"),
    ] {
        let answer = upload(&world, "a.jpg", b"x", Some(&json!({"store": store}))).await;
        assert_eq!(field(&answer), expected, "{store}");
    }
    assert_eq!(world.get("/v1/jobs").await.expect(200)["jobs"], json!([]), "nothing was kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_cannot_be_written_fails_the_job_and_is_not_linked_elsewhere() {
    let (world, server) = tokio::join!(World::start(Serve::dev()), S3Server::start());
    let id = connect(&world, &server, json!(["read", "write"])).await;
    // The server of the bucket keeps objects as files, and cannot keep one below another.
    server.put("base/taken", b"x");
    let options = json!({"store": {"id": id, "path": "taken"}});
    let answer = upload(&world, "a.jpg", &photo(), Some(&options)).await;
    let error = answer.expect(424);
    assert_eq!((&error["success"], &error["status"]), (&json!(false), &json!("failed")));
    assert_eq!(error["error"]["code"], "output_not_written", "{error}");
    assert!(error.get("url").is_none() && !error.to_string().contains(SECRET), "{error}");
    assert_eq!(ended(&world, error["id"].as_str().unwrap()).await["error"], error["error"]);
}
