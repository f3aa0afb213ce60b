//! A quota that refuses, in the words of each service.

use http::Method;
use reelhook_testkit::clips::{self, Clip};
use serde_json::{Value, json};

use crate::world::{Answer, Serve, World};

/// A server without workers, whose account may have one job that waits, and has it.
async fn full() -> World {
    let world = World::start(Serve::dev().set("roles", "api").set("quota.queued_jobs", 1)).await;
    let job = json!({"input": {"url": "https://example.com/a.mp4"}, "outputs": [{"recipe": "compress"}]});
    world.submit(&job).await;
    world
}

async fn post(world: &World, path: &str, body: &Value) -> Answer {
    let key = world.key();
    let headers = [("x-api-key", key.as_str()), ("x-organization-id", "org_a1b2c3d4e5f6")];
    world.exchange(Method::POST, world.url(path), &headers, body.to_string().into()).await.expect("the server answers")
}

fn says(text: &Value) {
    let text = text.as_str().expect("what is wrong is told as text");
    assert!(text.contains("1 waiting jobs") && text.contains("quota.queued_jobs"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_service_refuses_a_job_too_many_in_its_own_words() {
    let world = full().await;
    let url = "https://example.com/a.mp4";
    let answer = post(&world, "/compressor/1.0/fetch", &json!({"url": url})).await.expect(429);
    assert_eq!((&answer["success"], &answer["error"]["code"]), (&json!(false), &json!("quota_exceeded")));
    says(&answer["error"]["message"]);

    let job = json!({"input_url": url, "outputs": [{"type": "mp4", "video": [{"codec": "h264", "resolution": "480p", "quality": "economy"}]}]});
    let answer = post(&world, "/transcodely/transcodely.v1.JobService/Create", &job).await.expect(429);
    assert_eq!(answer["code"], "resource_exhausted", "{answer:#}");
    assert_eq!(answer["details"][0]["value"]["code"], "quota_exceeded");
    says(&answer["message"]);

    let job = json!({"mode": "recipe", "input": {"url": url}, "output": {"format": "mp4"},
        "recipe": {"name": "compress", "crf": 40}});
    let answer = post(&world, "/xora/v1/jobs", &job).await.expect(429);
    assert_eq!((&answer["error"]["code"], &answer["error"]["retryable"]), (&json!("VALIDATION_ERROR"), &json!(true)));
    says(&answer["error"]["message"]);

    let job = json!({"video_url": url, "model": "original"});
    let answer = post(&world, "/removebgvideo/v1/jobs", &job).await.expect(429);
    assert_eq!(answer["error"]["code"], "rate_limited", "{answer:#}");
    says(&answer["error"]["message"]);

    let video = clips::bytes(Clip::Video);
    let head = b"--edge\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.mp4\"\r\n\r\n";
    let body = [head.as_slice(), &video, b"\r\n--edge--\r\n"].concat();
    let headers = [("content-type", "multipart/form-data; boundary=edge")];
    let sent = world.post_with("/clipzy/api/v1/videos/upload", &headers, body).await.expect(200);
    let job = json!({"video_id": sent["data"]["video_id"], "config": {"quality": "high"}});
    let answer = post(&world, "/clipzy/api/v1/jobs", &job).await.expect(429);
    assert_eq!((&answer["success"], &answer["error"]["code"]), (&json!(false), &json!("RATE_LIMITED")), "{answer:#}");
    says(&answer["error"]["detail"]);
}
