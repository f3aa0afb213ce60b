//! Storage providers: a bucket of the caller's own that results are written to.

use http::Method;
use reelhook_testkit::clips::{self, Clip};
use reelhook_testkit::{Manners, Origin, Receiver, Reply};
use serde_json::{Value, json};

use super::{create, ended, only_webhook};
use crate::s3_server::{KEY, S3Server, SECRET};
use crate::world::{Serve, World, eventually};

const PROVIDERS: &str = "/xora/v1/settings/storage-providers";

#[tokio::test(flavor = "multi_thread")]
async fn a_result_lands_in_the_default_bucket_and_its_webhook_is_true_of_it() {
    let (world, receiver, origin) = tokio::join!(World::start(Serve::dev()), Receiver::start(), Origin::start());
    let server = S3Server::start().await;
    let provider = json!({
        "name": "Results", "provider": "r2", "endpoint": server.endpoint, "bucket": "media", "prefix": "xora",
        "accessKeyId": KEY, "secretAccessKey": SECRET, "makeDefault": true
    });
    let id = world.post(PROVIDERS, &provider).await.expect(201)["id"].as_str().expect("an id").to_owned();
    let tested = world.post(&format!("{PROVIDERS}/{id}/test"), &json!({})).await.expect(200);
    assert_eq!(tested, json!({"ok": true}));

    let input = origin.put("/clip.mp4", clips::bytes(Clip::Video), Manners::Good).to_string();
    let request = json!({
        "input": {"url": input}, "output": {"format": "webm"}, "recipe": {"name": "resize", "width": 160},
        "webhookUrl": receiver.url("/hook")
    });
    let job = create(&world, &request).await;
    let told = only_webhook(&receiver).await;
    assert_eq!((&told["data"]["jobId"], &told["data"]["state"]), (&json!(job), &json!("completed")), "{told:#}");
    let object = std::fs::read(server.object(&format!("xora/outputs/{job}/result.webm"))).expect("it was written");
    let file = &told["data"]["output_files"]["output"];
    assert_eq!(file["size_mbytes"], json!(object.len() as f64 / 1e6));
    let kept = world.get_as_stranger(file["storage_url"].as_str().unwrap().parse().unwrap(), &[]).await;
    assert_eq!((kept.status, &kept.body[..]), (200, &object[..]), "the link leads to the same bytes");
    assert_eq!(kept.headers["content-type"].as_bytes(), file["mime_type"].as_str().unwrap().as_bytes());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(file["filename"].as_str().unwrap());
    std::fs::write(&path, &object).unwrap();
    let (pictures, seconds) = crate::player::probe(&path).await;
    assert_eq!(pictures, [format!("{} {}x{}", file["codec"].as_str().unwrap(), file["width"], file["height"])]);
    assert!((seconds - file["duration"].as_f64().unwrap()).abs() < 0.05, "{seconds}");
    assert_eq!(
        (&file["file_type"], &file["file_format"], &file["filename"], &file["file_id"]),
        (&json!("video"), &json!("webm"), &json!("output.webm"), &json!(format!("{job}-output")))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_gets_the_extension_in_its_bucket_that_it_turned_out_to_have() {
    let (world, origin, server) = tokio::join!(World::start(Serve::dev()), Origin::start(), S3Server::start());
    let provider = json!({
        "name": "Results", "provider": "r2", "endpoint": server.endpoint, "bucket": "media",
        "accessKeyId": KEY, "secretAccessKey": SECRET, "makeDefault": true
    });
    world.post(PROVIDERS, &provider).await.expect(201);
    let input = origin.put("/clip.mp4", clips::bytes(Clip::Video), Manners::Good).to_string();
    // The sound of the clip is AAC, which is copied whatever format is asked for.
    let request = json!({"input": {"url": input}, "output": {"format": "wav"}, "recipe": {"name": "extractAudio"}});
    let job = create(&world, &request).await;
    let shown = ended(&world, &job).await;
    assert_eq!(shown["output_files"]["output"]["file_format"], "aac", "{shown:#}");
    let object = std::fs::metadata(server.object(&format!("outputs/{job}/result.aac"))).expect("it was written");
    assert_eq!(shown["output_files"]["output"]["size_mbytes"], json!(object.len() as f64 / 1e6));
}

#[tokio::test]
async fn a_storage_provider_is_kept_tested_and_made_the_default() {
    let world = World::start(Serve::dev()).await;
    let receiver = Receiver::start().await;
    receiver.otherwise(Reply::status(403));
    let path = PROVIDERS;
    let mut request = json!({
        "name": "Results", "provider": "r2", "endpoint": receiver.url("/"), "bucket": "media", "prefix": "xora",
        "accessKeyId": "AKID", "secretAccessKey": "in-the-clear", "makeDefault": true
    });
    let made = world.post(path, &request).await.expect(201);
    let id = made["id"].as_str().unwrap();
    assert_eq!((id.len(), &made["provider"], &made["isDefault"]), (26, &json!("r2"), &json!(true)));
    assert!(!made.to_string().contains("in-the-clear"), "{made}");
    let tested = world.post(&format!("{path}/{id}/test"), &json!({})).await.expect(200);
    assert_eq!(tested, json!({"ok": false}), "a bucket that answers 403 cannot be written to");
    assert_eq!(world.get("/xora/v1/settings").await.expect(200)["defaultStorageProviderId"], id);

    let origin = Origin::start().await;
    let input = origin.put("/clip.mp4", clips::bytes(Clip::Video), Manners::Good).to_string();
    let job = create(&world, &json!({"input": {"url": input}, "recipe": {"name": "proxy"}})).await;
    let key = format!("/media/xora/outputs/{job}/result.mp4");
    eventually("the output is sent to the bucket", async || {
        receiver.requests().iter().any(|request| request.path.starts_with(&key))
    })
    .await;
    assert_eq!(ended(&world, &job).await["state"], "failed", "an output that cannot be kept where it shall be");

    let put = async |value: Value| {
        let body = json!({"defaultStorageProviderId": value}).to_string();
        let url = world.url("/xora/v1/settings");
        world.exchange(Method::PUT, url, &[], body.into()).await.expect("the server answers")
    };
    assert_eq!(put(Value::Null).await.expect(200)["defaultStorageProviderId"], Value::Null);
    for unknown in ["06C8PMT4VZ3FK7QYQ4Q9W7M2HC", "provider_1"] {
        let refused = put(json!(unknown)).await.expect(400);
        assert!(refused["error"]["message"].as_str().unwrap().starts_with("defaultStorageProviderId "), "{refused}");
        let missing = world.post(&format!("{path}/{unknown}/test"), &json!({})).await.expect(404);
        assert_eq!(missing["error"]["code"], "NOT_FOUND");
    }
    assert_eq!(put(json!(id)).await.expect(200)["defaultStorageProviderId"], id);
    request["provider"] = json!("s3");
    assert_eq!(world.post(path, &request).await.expect(400)["error"]["code"], "VALIDATION_ERROR");
}
