//! `reelhook keys rotate-master`: nothing is lost, wherever it dies, and the old key opens nothing.

use std::fs;
#[cfg(feature = "failpoints")]
use std::os::unix::process::ExitStatusExt as _;

use reelhook_signature::Secret;
use reelhook_testkit::Receiver;
use reelhook_testkit::clips::{self, Clip};
use serde_json::{Value, json};
use url::Url;

use crate::inbox;
use crate::world::{PATIENCE, Serve, World};

const ROTATE: [&str; 5] = ["keys", "rotate-master", "--json", "--keep-links", "30"];
/// SIGKILL.
#[cfg(feature = "failpoints")]
const KILLED: i32 = 9;

/// What hangs from the master key: an endpoint's secret and header, the account's secret, the links to files.
struct Sealed {
    secret: Secret,
    account_secret: Value,
    link: String,
}

async fn fill(world: &World, receiver: &Receiver) -> Sealed {
    let endpoint = json!({"url": receiver.url("/hook"), "headers": {"x-token": "sealed"}, "events": ["a.*"]});
    let endpoint = world.post("/v1/endpoints", &endpoint).await.expect(201);
    let account_secret = world.get("/v1/settings/webhook/secret").await.expect(200)["secret"].clone();
    let upload = world.upload("clip.mp4", clips::bytes(Clip::Video)).await;
    let outputs = json!([{"recipe": "thumbnail", "width": 64}]);
    let job = world.submit(&json!({"input": {"upload": upload}, "outputs": outputs})).await;
    let job = world.job_ended(&job, "completed").await;
    let link: Url = job["outputs"][0]["file"]["url"].as_str().unwrap().parse().unwrap();
    Sealed {
        secret: Secret::parse(endpoint["secret"].as_str().unwrap()).unwrap(),
        account_secret,
        // The port is another one after a restart.
        link: format!("{}?{}", link.path(), link.query().unwrap()),
    }
}

/// Starts a server, sees that all that was sealed is of use, and ends it.
async fn check(world: &mut World, receiver: &Receiver, sealed: &Sealed) {
    assert!(world.serve(Serve::dev()).await, "the server starts");
    let before = receiver.requests().len();
    world.post("/v1/events", &json!({"type": "a.b", "payload": 1})).await.expect(202);
    let came = receiver.wait_for(before + 1, PATIENCE).await.split_off(before);
    inbox::check(&came, &sealed.secret);
    assert_eq!(came[0].header("x-token"), "sealed");
    assert_eq!(world.get("/v1/settings/webhook/secret").await.expect(200)["secret"], sealed.account_secret);
    assert_eq!(world.get_as_stranger(world.url(&sealed.link), &[]).await.status, 200, "links go on working");
    world.terminate().await;
}

async fn rotate(world: &World) -> Value {
    serde_json::from_str(&world.command(&ROTATE).await).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_master_key_opens_nothing_and_the_new_one_everything() {
    let receiver = Receiver::start().await;
    let mut world = World::start(Serve::dev()).await;
    let sealed = fill(&world, &receiver).await;
    let path = world.data().join("master.key");
    let old = fs::read_to_string(&path).unwrap();

    let refused = world.try_command(&ROTATE, None).await;
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("only while the server is stopped") && said.contains("stop it first"), "{said}");
    assert_eq!(fs::read_to_string(&path).unwrap(), old, "a refused rotation changes nothing");
    world.terminate().await;

    let rotated = rotate(&world).await;
    assert_eq!((&rotated["master_key"], &rotated["resumed"]), (&json!(2), &json!(false)));
    // The endpoint's secret and headers, and the account's two. The keys of links were sealed under the new one at once.
    assert_eq!(rotated["sealed"], 4);
    let new = fs::read_to_string(&path).unwrap();
    assert!(new.starts_with("2:") && new.lines().count() == 1, "only the new key is kept");
    check(&mut world, &receiver, &sealed).await;

    fs::write(&path, &old).unwrap();
    assert!(!world.serve(Serve::dev()).await, "the old key opens nothing");
    fs::write(&path, &new).unwrap();
    check(&mut world, &receiver, &sealed).await;
}

#[cfg(feature = "failpoints")]
#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_dies_anywhere_is_taken_up_again() {
    let receiver = Receiver::start().await;
    let mut world = World::start(Serve::dev()).await;
    let sealed = fill(&world, &receiver).await;
    world.terminate().await;
    let mut id = 1;
    for (point, has_both) in [
        ("keys.before_new_key", false),
        ("keys.both_keys", true),
        ("keys.links", true),
        ("keys.resealing", true),
        ("keys.resealing:3", true),
        ("keys.resealed", true),
        ("keys.rotated", false),
    ] {
        let died = world.try_command(&ROTATE, Some(point)).await;
        assert_eq!(died.status.signal(), Some(KILLED), "it dies at {point}: {died:?}");
        let file = fs::read_to_string(world.data().join("master.key")).unwrap();
        assert_eq!(file.lines().count() == 2, has_both, "{point}");
        check(&mut world, &receiver, &sealed).await;
        let rotated = rotate(&world).await;
        // What died after its end is followed by one more.
        id += if point == "keys.rotated" { 2 } else { 1 };
        assert_eq!((&rotated["master_key"], &rotated["resumed"]), (&json!(id), &json!(has_both)), "{point}");
    }
    check(&mut world, &receiver, &sealed).await;
}

/// The proof of a link to an output, as whoever has the key makes it.
fn forged(key: &[u8], job: &str, expires: i64) -> String {
    hex::encode(reelhook_signature::hmac_sha256(key, &[format!("{job}/o/{expires}").as_bytes()]))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_ends_all_links_that_the_old_key_could_have_made() {
    let mut world = World::start(Serve::dev()).await;
    let upload = world.upload("clip.mp4", clips::bytes(Clip::Video)).await;
    let outputs = json!([{"name": "o", "recipe": "thumbnail", "width": 64}]);
    let id = world.submit(&json!({"input": {"upload": upload}, "outputs": outputs})).await;
    let job = world.job_ended(&id, "completed").await;
    let link: Url = job["outputs"][0]["file"]["url"].as_str().unwrap().parse().unwrap();
    let link = format!("{}?{}", link.path(), link.query().unwrap());
    assert_eq!(world.get_as_stranger(world.url(&link), &[]).await.status, 200);
    let old = fs::read_to_string(world.data().join("master.key")).unwrap();
    let old = hex::decode(old.trim().split_once(':').unwrap().1).unwrap();
    world.terminate().await;

    let rotated = world.command(&["keys", "rotate-master", "--json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&rotated).unwrap()["master_key"], 2);
    assert!(world.serve(Serve::dev()).await, "the server starts");
    assert_eq!(world.get_as_stranger(world.url(&link), &[]).await.status, 403, "a link of before has ended");
    let later = 4_102_444_800;
    let derived = reelhook_signature::hmac_sha256(&old, &[b"links"]);
    for key in [&old[..], &derived[..]] {
        let forged = format!("/v1/jobs/{id}/outputs/o?expires={later}&signature={}", forged(key, &id, later));
        assert_eq!(
            world.get_as_stranger(world.url(&forged), &[]).await.status,
            403,
            "nobody makes links of the old key"
        );
    }
    let job = world.job(&id).await;
    let link: Url = job["outputs"][0]["file"]["url"].as_str().unwrap().parse().unwrap();
    assert_eq!(world.get_as_stranger(link, &[]).await.status, 200, "new links work");
}
