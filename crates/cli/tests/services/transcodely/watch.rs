//! `Watch`: a job as a stream of Connect.

use bytes::Bytes;
use http::Method;
use reelhook_testkit::clips::{self, Clip};
use reelhook_testkit::{Manners, Origin};
use serde_json::{Value, json};

use super::{JOBS, call, h264, id};
use crate::world::{Serve, World};

/// Takes a stream of Connect apart: flags and message of each frame.
pub(super) fn frames(mut bytes: &[u8]) -> Vec<(u8, Value)> {
    let mut frames = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk::<5>() {
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        frames.push((head[0], serde_json::from_slice(&rest[..length]).expect("a frame holds JSON")));
        bytes = &rest[length..];
    }
    assert!(bytes.is_empty(), "nothing follows the last frame");
    frames
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watched_job_is_streamed_from_its_snapshot_to_its_end() {
    let (world, origin) = tokio::join!(World::start(Serve::dev()), Origin::start());
    let input = origin.put("/in.mp4", clips::bytes(Clip::Long), Manners::Good);
    let outputs = json!([{"type": "mp4", "video": [h264("480p", "economy")]}]);
    let job = call(&world, "Create", &json!({"input_url": input, "outputs": outputs})).await;
    let asked = json!({"id": id(&job)}).to_string();
    let enveloped = [&[0][..], &(asked.len() as u32).to_be_bytes(), asked.as_bytes()].concat();
    let stream = [("content-type", "application/connect+json")];
    let watch = async |body: Bytes| {
        world.exchange(Method::POST, world.url(&format!("{JOBS}/Watch")), &stream, body).await.expect("it is answered")
    };
    let (watched, ended) = tokio::join!(watch(enveloped.into()), world.job_ended(id(&job), "completed"));
    assert_eq!((watched.status, watched.headers["content-type"].as_bytes()), (200, &b"application/connect+json"[..]));
    assert_eq!(ended["state"], "completed");
    let frames_of = frames(&watched.body);
    let (last, messages) = frames_of.split_last().unwrap();
    assert_eq!(last, &(2, json!({})));
    assert_eq!(messages[0].1["event"], "snapshot");
    assert!(messages.iter().all(|(flags, message)| *flags == 0 && message["job"]["id"] == job["id"]));
    let end = &messages.last().unwrap().1;
    assert_eq!((&end["event"], &end["job"]["status"]), (&json!("completed"), &json!("completed")));
    assert!(end["server_time"].as_str().unwrap().ends_with('Z'));

    let refused = frames(&watch(Bytes::from_static(b"{\"id\":\"job_m3n4o5p6q7r8\"}")).await.body);
    assert_eq!((refused[0].0, &refused[0].1["error"]["code"]), (2, &json!("not_found")));
    let after = frames(&watch(asked.into()).await.body);
    assert_eq!((after.len(), &after[0].1["event"]), (2, &json!("snapshot")));
}
