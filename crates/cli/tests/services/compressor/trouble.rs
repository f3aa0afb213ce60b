//! Jobs that do not end well: canceled, or with an input that cannot be had.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use reelhook_domain::id::JobId;
use reelhook_testkit::clips::{self, Clip};
use reelhook_testkit::{Manners, Origin, Receiver};
use serde_json::{Value, json};

use super::{ended, fetch};
use crate::world::{PATIENCE, Serve, World};

/// A job whose input never arrives, at whatever URL.
fn stalled(origin: &Origin) -> url::Url {
    origin.put("/in/clip.mp4", clips::bytes(Clip::Video), Manners::StallAfter(100))
}

#[tokio::test]
async fn a_canceled_job_is_told_by_the_standard_error() {
    let world = World::start(Serve::dev()).await;
    let (origin, receiver) = (Origin::start().await, Receiver::start().await);
    let body = json!({"url": stalled(&origin), "webhook": {"url": receiver.url("/c")}});
    let id = fetch(&world, &body).await.expect(202)["id"].as_str().unwrap().to_owned();
    origin.wait_for(1, PATIENCE).await;
    let native = JobId::from_hyphenated(&id).unwrap();
    world.post(&format!("/v1/jobs/{native}/cancel"), &json!({})).await.expect(200);

    let polled = ended(&world, &id).await;
    let error = json!({"code": "canceled", "message": "the job was canceled"});
    assert_eq!(polled, json!({"success": false, "id": id, "status": "failed", "error": error}));
    let received = receiver.wait_for(1, PATIENCE).await.remove(0);
    assert_eq!(serde_json::from_slice::<Value>(&received.body).unwrap(), polled);
    // An end is an end.
    let again = world.post(&format!("/v1/jobs/{native}/cancel"), &json!({})).await;
    assert_eq!(again.expect(409)["code"], "state_conflict");
    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test]
async fn who_waits_for_a_job_that_is_canceled_is_told_so() {
    let world = World::start(Serve::dev()).await;
    let origin = Origin::start().await;
    let body = json!({"url": stalled(&origin)});
    let cancel = async {
        origin.wait_for(1, PATIENCE).await;
        let jobs = world.get("/v1/jobs").await.expect(200);
        let id = jobs["jobs"][0]["id"].as_str().unwrap().to_owned();
        world.post(&format!("/v1/jobs/{id}/cancel"), &json!({})).await.expect(200);
    };
    let (answer, ()) = tokio::join!(fetch(&world, &body), cancel);
    let error = answer.expect(409);
    assert_eq!((&error["success"], &error["error"]["code"]), (&json!(false), &json!("canceled")));
}

#[tokio::test]
async fn an_input_that_cannot_be_had_is_the_fault_of_its_server_and_is_not_named_inside() {
    let world = World::start(Serve::dev()).await;
    let origin = Origin::start().await;
    let clip = || clips::bytes(Clip::Video);
    let metadata = "http://169.254.169.254/latest/meta-data".parse().unwrap();
    for (path, manners, status, codes) in [
        ("/missing.mp4", Manners::Status(404), 424, &["origin_status"][..]),
        ("/inside.mp4", Manners::RedirectTo(metadata), 422, &["redirect_not_allowed", "address_not_allowed"]),
    ] {
        let url = origin.put(path, clip(), manners);
        let answer = fetch(&world, &json!({"url": url})).await;
        let error = answer.expect(status);
        assert!(codes.contains(&error["error"]["code"].as_str().unwrap()), "{error}");
        assert_eq!((&error["success"], &error["status"]), (&json!(false), &json!("failed")));
        assert!(!error.to_string().contains("meta-data"), "{error}");
    }
}

#[tokio::test]
async fn credentials_do_not_follow_a_redirect_to_another_server() {
    let world = World::start(Serve::dev()).await;
    let (first, second) = (Origin::start().await, Origin::start().await);
    let there = second.put("/clip.mp4", clips::bytes(Clip::Video), Manners::Good);
    let mut url = first.put("/clip.mp4", Vec::new(), Manners::RedirectTo(there));
    url.set_username("user").unwrap();
    url.set_password(Some("pass")).unwrap();
    fetch(&world, &json!({"url": url})).await.expect(200);
    let told = first.requests()[0].header("authorization").to_owned();
    assert_eq!(told, format!("Basic {}", BASE64_STANDARD.encode("user:pass")));
    assert!(second.requests().iter().all(|request| !request.headers.contains_key("authorization")));
}

#[tokio::test]
async fn a_job_is_one_job_in_whatever_words_it_was_made() {
    let world = World::start(Serve::dev()).await;
    let upload = world.upload("clip.mp4", clips::bytes(Clip::Video)).await;
    let job = json!({"input": {"upload": upload}, "outputs": [{"recipe": "thumbnail", "width": 64}]});
    let native = world.submit(&job).await;
    world.job_ended(&native, "completed").await;
    let id = native.parse::<JobId>().unwrap().hyphenated();
    let polled = world.get(&format!("/compressor/1.0/jobs/{id}")).await.expect(200);
    assert_eq!((&polled["status"], &polled["output"]["format"]), (&json!("completed"), &json!("jpeg")));
    assert_eq!(world.get("/v1/jobs").await.expect(200)["jobs"].as_array().map(Vec::len), Some(1));
}
