//! Logs: one JSON object a line, the same names everywhere, and nothing that must not be there.

use std::collections::BTreeSet;

use reelhook_testkit::clips::{self, Clip};
use reelhook_testkit::{Manners, Origin, Receiver, Reply};
use serde_json::{Value, json};

use crate::inbox;
use crate::world::{PATIENCE, Serve, World, eventually};

/// The lines of the log so far.
fn lines(world: &World) -> Vec<Value> {
    let log = world.log();
    let whole = log.rfind('\n').map_or("", |end| &log[..end]);
    // What the program says to a person at its terminal stands before.
    let logged = whole.lines().skip_while(|line| line.starts_with('*'));
    logged.map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
}

/// All names of fields, those of spans too.
fn names(lines: &[Value]) -> BTreeSet<String> {
    let spans = |line: &Value| line["spans"].as_array().cloned().unwrap_or_default();
    let objects = lines.iter().cloned().chain(lines.iter().flat_map(spans));
    objects.filter_map(|object| Some(object.as_object()?.keys().cloned().collect::<Vec<_>>())).flatten().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_json_names_what_it_tells_of_and_holds_no_secret() {
    let (receiver, origin) = tokio::join!(Receiver::start(), Origin::start());
    receiver.then(Reply::status(500).body("secret-of-the-answer"));
    let serve = Serve::dev().set("log_format", "json").set("log", "debug,reelhook=trace,hyper=info");
    let world = World::start(serve).await;
    let secret = inbox::secret(&world).await;

    let mut hook = receiver.url("/hook?token=secret-of-the-query");
    hook.set_username("secret-of-the-user").unwrap();
    hook.set_password(Some("secret-of-the-password")).unwrap();
    let endpoint = json!({"url": hook, "events": ["job.*"], "headers": {"x-token": "secret-of-the-header"}});
    let answer = world.post("/v1/endpoints", &endpoint).await;
    if answer.status != 201 {
        // Where userinfo is refused, it must not be in the log either.
        hook.set_username("").unwrap();
        hook.set_password(None).unwrap();
        let endpoint = json!({"url": hook, "events": ["job.*"], "headers": {"x-token": "secret-of-the-header"}});
        world.post("/v1/endpoints", &endpoint).await.expect(201);
    }
    let mut input = origin.put("/clip.mp4", clips::bytes(Clip::Video), Manners::Good);
    input.set_query(Some("signature=secret-of-the-input"));
    let output = json!([{"recipe": "thumbnail", "width": 64}]);
    let id = world
        .submit(&json!({"input": {"url": input}, "outputs": output, "metadata": {"a": "secret-of-the-metadata"}}))
        .await;
    world.job_ended(&id, "completed").await;
    receiver.wait_for(3, PATIENCE).await;
    let missing = origin.put("/missing.mp4?signature=secret-of-the-missing", Vec::new(), Manners::Status(404));
    let failed = world.submit(&json!({"input": {"url": missing}, "outputs": output})).await;
    world.job_ended(&failed, "failed").await;
    world.get("/v1/jobs?secret-of-the-request=1").await;

    eventually("the log tells of the job's end and of the attempt that failed", async || {
        let lines = lines(&world);
        let told = |text: &str| lines.iter().any(|line| line["message"] == text);
        told("the job ended") && told("an attempt failed")
    })
    .await;
    let lines = lines(&world);
    let attempt = lines.iter().find(|line| line["message"] == "an attempt failed").unwrap();
    for (name, prefix) in [
        ("delivery.id", "dlv_"),
        ("event.id", "evt_"),
        ("endpoint.id", "ep_"),
        ("account.id", "acc_"),
        ("job.id", "job_"),
    ] {
        assert!(attempt[name].as_str().is_some_and(|id| id.starts_with(prefix)), "{name}: {attempt:#}");
    }
    assert_eq!((&attempt["status"], &attempt["level"]), (&json!(500), &json!("INFO")));
    let ended = lines.iter().find(|line| line["message"] == "the job ended").unwrap();
    assert_eq!(ended["span"]["job.id"], *id, "{ended:#}");

    let names = names(&lines);
    for other in [
        "job",
        "job_id",
        "jobId",
        "event",
        "event_id",
        "delivery",
        "delivery_id",
        "endpoint",
        "endpoint_id",
        "account",
        "account_id",
        "url",
    ] {
        assert!(!names.contains(other), "a field is named {other}");
    }

    let log = world.log();
    let key = world.key();
    let signed = receiver.requests()[0].header("webhook-signature").to_owned();
    let kept = secret.reveal();
    for hidden in
        ["secret-of-the", "signature=", "?token", key.as_str(), signed.as_str(), kept.trim_start_matches("whsec_")]
    {
        assert!(!log.contains(hidden), "{hidden} is in the log");
    }
}
