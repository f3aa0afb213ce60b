//! How the program ends: one exit code for each kind of end, and one sentence for each error.

use reelhook_testkit::clips::{self, Clip};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::world::{PATIENCE, Serve, World, eventually};

const NO_JOB: &str = "job_00000000000000000000000000";

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_end_has_its_exit_code() {
    let world = World::start(Serve::dev()).await;
    std::fs::write(world.folder().join("text.txt"), clips::bytes(Clip::Garbage)).unwrap();
    std::fs::write(world.folder().join("clip.mp4"), clips::bytes(Clip::Video)).unwrap();
    let broken = &["submit", "clip.mp4", "--recipe", "compress", "--set", "crf=99"][..];
    for (arguments, code, said) in [
        (&["jobs", "list"][..], 0, ""),
        (&["submit", "text.txt", "--recipe", "compress", "--wait"], 1, "rejected"),
        (&["submit", "missing.mp4"], 2, "missing.mp4 cannot be read"),
        (&["submit"], 2, "Usage:"),
        (&["sumbit", "clip.mp4"], 2, "submit"),
        (&["trigger", "job.complete"], 2, "Did you mean \"job.completed\"?"),
        (&["listen", "--forward-to", "ftp://localhost/hook"], 2, "must begin with http:// or https://"),
        (&["listen", "--forward-to", "localhost:1", "--events", "jobs.*"], 2, "Did you mean \"job.*\"?"),
        (&["jobs", "get", NO_JOB], 3, "not_found"),
        (&["jobs", "watch", NO_JOB], 3, "not_found"),
        (&["jobs", "cancel", NO_JOB], 3, "not_found"),
        (&["jobs", "retry", NO_JOB], 3, "not_found"),
        (&["secrets", "create", "nobody"], 3, "invalid_request"),
        (broken, 3, "crf is 99"),
        (&["jobs", "list", "--key", "rh_wrong"], 4, "unauthorized"),
        (&["submit", "clip.mp4", "--key", "rh_wrong"], 4, "unauthorized"),
        (&["jobs", "list", "--key", ""], 4, "no API key"),
        (&["jobs", "list", "--url", "127.0.0.1:1"], 5, "the connection was refused"),
        (&["trigger", "job.failed", "--to", "127.0.0.1:1"], 5, "the connection was refused"),
        (&["listen", "--forward-to", "localhost:3000", "--url", "127.0.0.1:1"], 5, "the connection was refused"),
        (&["jobs", "list", "--url", "no-such-host.invalid"], 5, "could not be resolved"),
    ] {
        let (ended, out, err) = world.try_client(arguments).await;
        assert_eq!(ended, code, "{arguments:?}: {out}{err}");
        assert!(format!("{out}{err}").contains(said), "{arguments:?}: {out}{err}");
        // No half of a sentence says what the other half said.
        let clauses: Vec<_> = err.lines().last().unwrap_or_default().split([':', ';', '.']).map(str::trim).collect();
        let repeated = |clause: &&str| clause.len() > 8 && clauses.iter().filter(|other| *other == clause).count() > 1;
        assert!(!clauses.iter().any(repeated), "{arguments:?}: {err}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_ends_with_130_when_it_is_interrupted() {
    let world = World::start(Serve::dev()).await;
    let upload = world.upload("clip.mp4", clips::bytes(Clip::Video)).await;
    let job = json!({"input": {"upload": upload}, "outputs": [{"recipe": "compress"}], "draft": true});
    let job = world.submit(&job).await;
    let url = world.url("/");
    let looks = async || {
        let text = String::from_utf8(world.get("/metrics").await.body.to_vec()).unwrap();
        let of_route =
            text.lines().filter(|line| line.contains("requests_total{") && line.contains("\"/v1/jobs/{id}\""));
        of_route.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum::<u64>()
    };
    for signal in [Signal::INT, Signal::TERM] {
        let before = looks().await;
        let mut watching = world.spawn_client(&url, &["jobs", "watch", &job]);
        eventually("it looks at the job", async || looks().await > before).await;
        let pid = Pid::from_raw(watching.id().unwrap() as i32).unwrap();
        kill_process(pid, signal).unwrap();
        let ended = tokio::time::timeout(PATIENCE, watching.wait()).await.expect("it ends").unwrap();
        assert_eq!(ended.code(), Some(130));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_names_what_was_most_likely_meant() {
    let world = World::start(Serve::dev()).await;
    let upload = world.upload("clip.mp4", clips::bytes(Clip::Video)).await;
    let job = json!({"input": {"upload": upload}, "outputs": [
        {"recipe": "compres", "crf": 28}, {"recipe": "compress", "cfr": 28}, {"recipe": "convert", "format": "wbem"},
    ], "metdata": {}});
    let refused = world.post("/v1/jobs", &job).await.expect(422);
    let messages: Vec<_> = refused["violations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|violation| (violation["path"].as_str().unwrap(), violation["message"].as_str().unwrap()))
        .collect();
    for (path, meant) in [
        ("outputs[0].recipe", "compress"),
        ("outputs[1].cfr", "crf"),
        ("outputs[2].format", "webm"),
        ("metdata", "metadata"),
    ] {
        let message = messages.iter().find(|(known, _)| *known == path).map(|(_, message)| *message);
        let hint = format!("did you mean {meant}?");
        assert!(message.is_some_and(|message| message.contains(&hint)), "{path}: {messages:?}");
    }
    assert!(!messages.iter().any(|(path, _)| *path == "outputs[0].crf"), "whose it is cannot be known: {messages:?}");
    let listed = world.get("/v1/jobs?state=faild").await.expect(422);
    assert!(listed["detail"].as_str().unwrap().contains("did you mean failed?"), "{listed}");
    let listed = world.get("/v1/jobs?stat=failed").await.expect(422);
    assert!(listed["detail"].as_str().unwrap().contains("did you mean state?"), "{listed}");
}
