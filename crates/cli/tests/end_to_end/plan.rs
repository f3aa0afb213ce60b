//! What a caller learns of a job without making it.

use std::fs;

use reelhook_testkit::clips::{self, Clip};
use reelhook_testkit::{Manners, Origin};
use serde_json::{Value, json};

use crate::world::{PATIENCE, Serve, World, eventually};

const PLAN: &str = "/v1/plan";

/// Nothing was made or kept of plans: no job, no endpoint, nothing that was fetched.
async fn check_nothing_was_kept(world: &World) {
    assert_eq!(world.get("/v1/jobs").await.expect(200)["jobs"], json!([]));
    assert_eq!(world.get("/v1/endpoints").await.expect(200)["endpoints"], json!([]));
    eventually("what was fetched is removed", async || left_in_scratch(world).is_empty()).await;
}

/// The folders of plans among what is being worked on.
fn left_in_scratch(world: &World) -> Vec<String> {
    let mut open = vec![world.data().to_owned()];
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("plan-") {
                found.push(name);
            } else if entry.path().is_dir() {
                open.push(entry.path());
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_says_what_the_job_then_does_and_makes_none() {
    let (world, origin) = tokio::join!(World::start(Serve::dev()), Origin::start());
    let input = origin.put("/in/clip.mp4", clips::bytes(Clip::Video), Manners::Good);
    let job = json!({
        "input": {"url": input},
        "outputs": [
            {"name": "web", "recipe": "web_ready"},
            {"name": "small", "recipe": "compress", "codec": "h265"},
            {"name": "late", "recipe": "thumbnail", "at_seconds": 500},
            {"name": "stream", "recipe": "package", "type": "hls", "video": [{"width": 160}]},
        ],
        "webhook": {"url": origin.url("/hook")}, "confirm": true,
    });
    let plan = world.post(PLAN, &job).await.expect(200);
    check_nothing_was_kept(&world).await;
    assert_eq!((&plan["error"], &plan["outputs"][0]["plan"][0]["action"]), (&Value::Null, &json!("keep")));
    assert_eq!(plan["outputs"][2]["error"]["code"], "beyond_end");
    assert_eq!((&plan["outputs"][1]["recipe"], &plan["outputs"][1]["codec"]), (&json!("compress"), &json!("h265")));

    let id = world.submit(&job).await;
    let asked = world.job_when(&id, |job| job["state"] == "awaiting_confirmation").await;
    assert_eq!(plan["estimate"], asked["estimate"]);
    assert_eq!(asked["waiting"]["reason"], "confirmation");
    let until: jiff::Timestamp = asked["waiting"]["until"].as_str().expect("a time ends it").parse().expect("a time");
    let left = until.duration_since(jiff::Timestamp::now()).as_secs_f64();
    assert!((80_000.0..=86_400.0).contains(&left), "{left} s");
    assert!(plan["estimate"]["cost"]["amount"].as_f64().is_some_and(|amount| amount > 0.0));
    world.post(&format!("/v1/jobs/{id}/confirm"), &json!({})).await.expect(202);
    let ended = world.job_ended(&id, "partial").await;
    assert_eq!(plan["input"], ended["input"]);
    for (planned, made) in plan["outputs"].as_array().expect("outputs").iter().zip(ended["outputs"].as_array().unwrap())
    {
        for field in ["name", "recipe", "plan", "error"] {
            assert_eq!(planned[field], made[field], "{field} of {}", planned["name"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_are_planned_without_tools() {
    let world = World::start(Serve::dev().set("media.ffprobe", "/nothing/ffprobe")).await;
    let picture = world.upload("a.png", clips::bytes(Clip::Picture)).await;
    let plan =
        json!({"input": {"upload": picture}, "outputs": [{"recipe": "image", "format": "webp"}, {"recipe": "auto"}]});
    let plan = world.post(PLAN, &plan).await.expect(200);
    assert_eq!(
        (&plan["input"]["media"]["format"], &plan["outputs"][0]["plan"][0]["reason"]),
        (&json!("png"), &json!("webp, level high"))
    );
    assert_eq!(plan["estimate"]["cost"]["amount"], 0.0);
    let video = world.upload("a.mp4", clips::bytes(Clip::Video)).await;
    let plan = json!({"input": {"upload": video}, "outputs": [{"recipe": "compress"}]});
    let plan = world.post(PLAN, &plan).await.expect(200);
    assert_eq!((&plan["error"]["code"], &plan["error"]["fault"]), (&json!("ffmpeg_missing"), &json!("server")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_job_would_fail_with_is_in_its_plan() {
    let (world, origin) = tokio::join!(World::start(Serve::dev()), Origin::start());
    let garbage = origin.put("/a.bin", clips::bytes(Clip::Garbage), Manners::Good);
    for (url, code, stage) in
        [(garbage, "unsupported_media", "probing"), (origin.url("/nothing.mp4"), "origin_status", "fetching")]
    {
        let plan = json!({"input": {"url": url}, "outputs": [{"name": "a", "recipe": "compress"}]});
        let plan = world.post(PLAN, &plan).await.expect(200);
        assert_eq!((&plan["error"]["code"], &plan["error"]["stage"]), (&json!(code), &json!(stage)));
        assert_eq!((&plan["outputs"][0]["plan"], &plan["estimate"]), (&json!([]), &Value::Null));
    }
    check_nothing_was_kept(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_refused_where_its_job_would_be() {
    let world = World::start(Serve::public()).await;
    let bad = json!({
        "input": {"url": "http://127.0.0.1/a.mp4"}, "outputs": [{"recipe": "compress"}],
        "webhook": {"url": "http://10.0.0.1/hook"},
    });
    let paths = world.post(PLAN, &bad).await.violations();
    assert_eq!(paths, ["input.url", "webhook.url"]);
    assert_eq!(paths, world.post("/v1/jobs", &bad).await.violations());
    let bad = json!({"input": {"upload": "upl_06c8pmt4vz3fk7qyq4q9w7m2hc"}, "outputs": [{"recipe": "compress", "crf": 99}], "zzz": 1});
    let paths = world.post(PLAN, &bad).await.violations();
    assert_eq!(paths, world.post("/v1/jobs", &bad).await.violations());
    let only_hook = json!({"input": {"upload": world.upload("a.mp4", clips::bytes(Clip::Video)).await},
        "outputs": [{"recipe": "compress"}], "webhook": {"url": "http://10.0.0.1/hook"}});
    assert_eq!(world.post(PLAN, &only_hook).await.violations(), ["webhook.url"]);
    let none = json!({"outputs": [{"recipe": "compress"}]});
    assert_eq!(world.post(PLAN, &none).await.violations(), ["input"]);
    let form = [("content-type", "multipart/form-data; boundary=a")];
    assert_eq!(world.post_with(PLAN, &form, "--a--").await.expect(415)["code"], "unsupported_media_type");
    assert_eq!(
        world.post_with(PLAN, &[("authorization", "Bearer rh_no")], "{}").await.expect(401)["code"],
        "unauthorized"
    );
    check_nothing_was_kept(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_plans_than_may_be_made_at_once_are_told_to_come_again() {
    let (world, origin) = tokio::join!(World::start(Serve::dev()), Origin::start());
    let silent = origin.put("/silent.mp4", clips::bytes(Clip::Video), Manners::StallAfter(100));
    let job = json!({"input": {"url": silent}, "outputs": [{"recipe": "compress"}]});
    let busy = tokio::select! {
        answer = async { tokio::join!(world.post(PLAN, &job), world.post(PLAN, &job)) } => panic!("{answer:?}"),
        third = async {
            origin.wait_for(2, PATIENCE).await;
            world.post(PLAN, &job).await
        } => third,
    };
    assert_eq!(busy.expect(503)["code"], "planning_busy");
    assert!(busy.headers.contains_key("retry-after"));
    // Their callers are gone now, and with them the plans.
    let good = origin.put("/good.mp4", clips::bytes(Clip::Video), Manners::Good);
    let job = json!({"input": {"url": good}, "outputs": [{"recipe": "compress"}]});
    eventually("there is room again", async || world.post(PLAN, &job).await.status == 200).await;
    check_nothing_was_kept(&world).await;
}
