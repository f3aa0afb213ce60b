//! A crash between any two steps: whatever was accepted comes to its end, and is told of.
//!
//! The server kills itself where the code passes a named point; the next one finds what it left. A submission that was
//! not answered is repeated with the same `Idempotency-Key`, as a caller would, and makes one job.

use std::os::unix::process::ExitStatusExt as _;

use reelhook_testkit::Receiver;
use reelhook_testkit::clips::{self, Clip};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::inbox;
use crate::world::{Serve, World};

/// SIGKILL.
const KILLED: i32 = 9;

async fn an_accepted_job_survives_a_crash_at(point: &str) {
    let receiver = Receiver::start().await;
    let mut world = World::start(Serve::dev()).await;
    let upload = world.upload("clip.mp4", clips::bytes(Clip::Video)).await;
    world.terminate().await;

    let outputs = json!([
        {"name": "small", "recipe": "resize", "width": 160},
        {"name": "still", "recipe": "thumbnail", "width": 64},
    ]);
    let job = json!({"input": {"upload": upload}, "outputs": outputs, "webhook": {"url": receiver.url("/hook")}});
    let submit = async |world: &World| {
        let url = world.url("/v1/jobs");
        let body = job.to_string().into();
        let answer = world.exchange(http::Method::POST, url, &[("idempotency-key", "once")], body).await.ok()?;
        assert!(matches!(answer.status, 200 | 202), "{answer:?}");
        Some(answer.json()["id"].as_str().expect("a job has an id").to_owned())
    };
    let mut accepted = None;
    if world.serve(Serve::dev().crash_at(point)).await {
        accepted = submit(&world).await;
        let status = world.death().await;
        assert_eq!(status.signal(), Some(KILLED), "the server crashes at {point}");
    }

    assert!(world.serve(Serve::dev()).await, "the server starts after a crash");
    let id = submit(&world).await.expect("the second server answers");
    assert!(accepted.is_none_or(|accepted| accepted == id), "a repeated submission is the same job");
    for (index, name) in ["small", "still"].into_iter().enumerate() {
        let answer = world.get(&format!("/v1/jobs/{id}/outputs/{name}")).await;
        if answer.status != 409 {
            let file = world.job(&id).await["outputs"][index]["file"].clone();
            assert_eq!(answer.status, 200, "an output is whole or not there");
            assert_eq!(
                hex::encode(Sha256::digest(&answer.body)),
                file["sha256"].as_str().expect("what is served is shown")
            );
        }
    }
    let done = world.job_ended(&id, "completed").await;
    world.check_outputs(&done).await;
    let jobs = world.get("/v1/jobs").await.expect(200);
    assert_eq!(jobs["jobs"].as_array().map(Vec::len), Some(1), "{jobs:#}");

    let all = inbox::wait_for(&receiver, &["job.created", "job.started", "job.completed"]).await;
    let events = inbox::check(&all, &inbox::secret(&world).await);
    for (kind, once) in [("job.created", true), ("job.started", false), ("job.completed", true)] {
        // A job that is begun again says so.
        let count = events.values().filter(|came| *came == kind).count();
        assert!(count == 1 || (count == 2 && !once), "{count} events {kind}");
    }
    assert!(events.len() <= 4, "{events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_before_an_upload_is_noted_hinders_no_later_one() {
    let mut world = World::start(Serve::dev()).await;
    world.terminate().await;
    assert!(world.serve(Serve::dev().crash_at("api.upload_stored")).await);
    let url = world.url("/v1/uploads?name=clip.mp4");
    let clip = bytes::Bytes::from(clips::bytes(Clip::Video));
    world.exchange(http::Method::POST, url, &[], clip.clone()).await.expect_err("the server dies before it answers");
    assert_eq!(world.death().await.signal(), Some(KILLED));

    assert!(world.serve(Serve::dev()).await);
    let upload = world.upload("clip.mp4", clip).await;
    let job = json!({"input": {"upload": upload}, "outputs": [{"recipe": "thumbnail", "width": 64}]});
    let job = world.job_ended(&world.submit(&job).await, "completed").await;
    world.check_outputs(&job).await;
}

macro_rules! crashes {
    ($($name:ident: $point:literal,)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            an_accepted_job_survives_a_crash_at($point).await;
        }
    )*};
}

crashes! {
    a_crash_before_a_job_is_kept_loses_nothing_accepted: "api.before_submit",
    a_crash_before_a_job_is_answered_loses_nothing_accepted: "api.after_submit",
    a_crash_when_a_job_is_claimed_loses_nothing_accepted: "worker.claimed",
    a_crash_when_the_input_is_fetched_loses_nothing_accepted: "worker.fetched",
    a_crash_when_the_input_is_probed_loses_nothing_accepted: "worker.probed",
    a_crash_when_a_job_has_started_loses_nothing_accepted: "worker.started",
    a_crash_when_outputs_are_encoded_loses_nothing_accepted: "worker.encoded",
    a_crash_when_an_output_is_verified_loses_nothing_accepted: "worker.verified",
    a_crash_when_one_output_is_stored_loses_nothing_accepted: "worker.stored_one",
    a_crash_when_both_outputs_are_stored_loses_nothing_accepted: "worker.stored_one:2",
    a_crash_before_a_job_is_finished_loses_nothing_accepted: "worker.before_finish",
    a_crash_when_a_job_is_finished_loses_nothing_accepted: "worker.finished",
    a_crash_before_fan_out_loses_nothing_accepted: "delivery.before_fan_out",
    a_crash_after_fan_out_loses_nothing_accepted: "delivery.after_fan_out",
    a_crash_before_a_webhook_is_sent_loses_nothing_accepted: "delivery.before_send",
    a_crash_after_a_webhook_is_sent_loses_nothing_accepted: "delivery.after_send",
    a_crash_before_a_delivery_is_settled_loses_nothing_accepted: "delivery.before_settle",
    a_crash_after_a_delivery_is_settled_loses_nothing_accepted: "delivery.after_settle",
    a_crash_before_the_last_delivery_is_settled_loses_nothing_accepted: "delivery.before_settle:3",
    a_crash_before_the_first_commit_loses_nothing_accepted: "store.before_commit:1",
    a_crash_before_the_second_commit_loses_nothing_accepted: "store.before_commit:2",
    a_crash_before_the_third_commit_loses_nothing_accepted: "store.before_commit:3",
    a_crash_before_the_fifth_commit_loses_nothing_accepted: "store.before_commit:5",
    a_crash_before_the_eighth_commit_loses_nothing_accepted: "store.before_commit:8",
    a_crash_after_the_first_commit_loses_nothing_accepted: "store.after_commit:1",
    a_crash_after_the_second_commit_loses_nothing_accepted: "store.after_commit:2",
    a_crash_after_the_fourth_commit_loses_nothing_accepted: "store.after_commit:4",
    a_crash_after_the_sixth_commit_loses_nothing_accepted: "store.after_commit:6",
}
