//! The samples of `reelhook trigger` are like what is really sent: the same keys with the same types, for every event.

use std::collections::{BTreeMap, BTreeSet};

use reelhook_domain::event::EventType;
use reelhook_testkit::clips::{self, Clip};
use reelhook_testkit::{Manners, Origin, Receiver};
use serde_json::{Value, json};

use crate::inbox::{kind, wait_for};
use crate::world::{PATIENCE, Serve, World};

/// The types of what is found at each path. The elements of a list share a path, but for outputs: theirs differ.
type Shape = BTreeMap<String, BTreeSet<&'static str>>;

fn shape(value: &Value) -> Shape {
    fn look(path: String, value: &Value, shape: &mut Shape) {
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "list",
            Value::Object(_) => "object",
        };
        match value {
            Value::Array(all) => {
                for (number, value) in all.iter().enumerate() {
                    let number = if path.ends_with(".outputs") { number.to_string() } else { String::new() };
                    look(format!("{path}[{number}]"), value, shape);
                }
            }
            Value::Object(all) => all.iter().for_each(|(key, value)| look(format!("{path}.{key}"), value, shape)),
            _ => {}
        }
        shape.entry(path).or_default().insert(kind);
    }
    let mut found = Shape::new();
    look(String::new(), value, &mut found);
    found
}

/// The sample of that type, as a receiver sees it.
async fn sample(world: &World, kind: &str) -> Value {
    let receiver = Receiver::start().await;
    let (url, secret) = (receiver.url("/").to_string(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    world.own_command(&["trigger", kind, "--to", &url, "--secret", secret]).await;
    let received = receiver.wait_for(1, PATIENCE).await;
    serde_json::from_slice(&received[0].body).expect("it is there")
}

/// A job as the sample's is: a clip of a server's, made smaller, and a still of it.
fn job(url: &url::Url) -> Value {
    json!({
        "input": {"url": url},
        "outputs": [
            {"name": "web", "recipe": "compress", "crf": 28, "codec": "h264", "format": "mp4"},
            {"name": "still", "recipe": "thumbnail", "at_seconds": 1.0, "format": "jpg", "width": 64},
        ],
        "metadata": {"order": "1234"},
    })
}

/// A clip that takes a while, with sound as that of the sample has.
fn long_with_sound() -> Vec<u8> {
    let folder = tempfile::tempdir().expect("it is there");
    let (clip, output) = (clips::clip(Clip::Long), folder.path().join("long.mp4"));
    let (clip, sound) = (clip.to_str().expect("it is there"), "sine=frequency=440:sample_rate=48000");
    let arguments = ["-i", clip, "-f", "lavfi", "-i", sound, "-shortest", "-c:v", "copy", "-c:a", "aac"];
    clips::ffmpeg(arguments, &output);
    std::fs::read(output).expect("it is there")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sample_has_the_keys_and_types_of_what_is_really_sent() {
    let (world, receiver, origin) = tokio::join!(World::start(Serve::dev()), Receiver::start(), Origin::start());
    let register = async |path: &str, events: Value| {
        let endpoint = json!({"url": receiver.url(path), "events": events});
        world.post("/v1/endpoints", &endpoint).await.expect(201)["id"].as_str().unwrap().to_owned()
    };
    let all = register("/all", json!(["job.*", "job.progress", "endpoint.*", "webhook.*"])).await;
    let other = register("/other", json!(["never"])).await;
    world.post(&format!("/v1/endpoints/{all}/test"), &json!({})).await.expect(200);
    for verb in ["disable", "enable"] {
        world.post(&format!("/v1/endpoints/{other}/{verb}"), &json!({})).await.expect(200);
    }

    let clip = origin.put("/clip.mp4", clips::bytes(Clip::Video), Manners::Good);
    world.job_ended(&world.submit(&job(&clip)).await, "completed").await;

    let mut late = job(&clip);
    late["outputs"][1]["at_seconds"] = json!(100.0);
    let late = world.job_at_end(&world.submit(&late).await).await;
    assert_eq!(late["state"], "partial", "{late:#}");

    let mut asking = job(&clip);
    asking["confirm"] = json!(true);
    let asking = world.submit(&asking).await;
    world.job_when(&asking, |job| job["state"] == "awaiting_confirmation").await;

    let broken = origin.put("/broken.mp4", clips::truncated(Clip::Long, 60), Manners::Good);
    world.job_ended(&world.submit(&job(&broken)).await, "failed").await;

    let playlist = origin.put("/list.m3u8", clips::bytes(Clip::Playlist), Manners::Good);
    world.job_ended(&world.submit(&job(&playlist)).await, "rejected").await;

    let long = origin.put("/long.mp4", long_with_sound(), Manners::Good);
    let mut slow = job(&long);
    slow["outputs"][0] = json!({"name": "web", "recipe": "compress", "crf": 1, "codec": "h264", "format": "mp4"});
    let slow = world.submit(&slow).await;
    // Told before it was canceled, with an output under way.
    let told = |body: &Value| {
        body["type"] == "job.progress" && body["data"]["stage"] == "encoding" && body["data"]["id"] == slow.as_str()
    };
    let mut count = 1;
    loop {
        let received = receiver.wait_for(count, PATIENCE).await;
        if received.iter().any(|received| told(&serde_json::from_slice(&received.body).unwrap())) {
            break;
        }
        count = received.len() + 1;
    }
    world.post(&format!("/v1/jobs/{slow}/cancel"), &json!({})).await.expect(200);

    let received = wait_for(&receiver, EventType::OURS).await;
    let mut wrong = Vec::new();
    for &name in EventType::OURS {
        let bodies = received.iter().filter(|received| kind(received) == name);
        let mut bodies = bodies.map(|received| serde_json::from_slice::<Value>(&received.body).unwrap());
        let real = bodies.find(|body| name != EventType::JOB_PROGRESS || told(body)).unwrap();
        let (real, sample) = (shape(&real), shape(&sample(&world, name).await));
        for path in real.keys().chain(sample.keys()).collect::<BTreeSet<_>>() {
            let (real, sample) = (real.get(path), sample.get(path));
            if real != sample {
                wrong.push(format!("{name}: {path} is {real:?}, in the sample {sample:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
