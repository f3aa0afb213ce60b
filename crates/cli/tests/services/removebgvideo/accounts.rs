//! Two accounts: what is one's is not there for the other.

use reelhook_testkit::clips::Clip;
use serde_json::json;

use super::{JOBS, code, create, post, show, upload};
use crate::world::{Serve, World};

#[tokio::test]
async fn what_is_another_accounts_is_not_there() {
    let world = World::start(Serve::dev()).await;
    let video = upload(&world, Clip::Screen).await;
    let draft = post(&world, JOBS, &json!({"video_url": video, "auto_start": false})).await.expect(200);
    let draft = draft["id"].as_str().expect("a job has an id");
    let id = create(&world, &json!({"video_url": video})).await;
    world.job_ended(&id, "completed").await;
    assert_eq!(world.command(&["credits", "grant", "5"]).await, "5\n");

    let theirs = world.another_account().await;
    let as_them = [("authorization", theirs.as_str())];
    for path in [format!("{JOBS}/{id}"), format!("/removebgvideo/api/download/{id}")] {
        let answer = world.get_with(&path, &as_them).await;
        assert_eq!(code(&answer, 404), "not_found", "{path}");
        assert_eq!(answer.json()["error"]["message"], "Job not found");
    }
    let started = world.post_with(&format!("{JOBS}/{draft}/start"), &as_them, "{}").await;
    assert_eq!(code(&started, 404), "not_found");
    assert_eq!(show(&world, draft).await["status"], "created");
    let listed = world.get_with(JOBS, &as_them).await.expect(200);
    assert_eq!((&listed["jobs"], &listed["total"]), (&json!([]), &json!(0)));
    let used = world.get_with("/removebgvideo/v1/usage/summary", &as_them).await.expect(200);
    assert_eq!((&used["total_jobs"], &used["credits_used"]), (&json!(0), &json!(0)), "{used}");
    assert!(used["credits_remaining"].is_null(), "credits are each account's own: {used}");
    let events = world.get_with("/removebgvideo/v1/usage/events", &as_them).await.expect(200);
    assert_eq!(events["events"], json!([]));

    // The link to an upload is known again for its own account only.
    let answer = world.post_with(JOBS, &as_them, json!({"video_url": video}).to_string()).await;
    assert_eq!(code(&answer, 400), "invalid_request");
    let message = answer.json()["error"]["message"].as_str().expect("a message is text").to_owned();
    assert!(message.starts_with("video_url "), "{message}");
    assert_eq!(world.command(&["credits", "grant", "7", "--account", "theirs"]).await, "7\n");
    assert_eq!(world.command(&["credits", "show"]).await, "5\n");
}
