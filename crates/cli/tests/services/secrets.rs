//! The secrets of services: made, shown once, rotated, revoked, over HTTP and by the program.

use serde_json::json;

use crate::world::{Serve, World};

#[tokio::test]
async fn a_secret_is_shown_once_rotated_with_an_overlap_and_revoked() {
    let world = World::start(Serve::dev()).await;
    let made = world.post("/v1/secrets", &json!({"service": "transcodely"})).await.expect(201);
    let text = made["secret"].as_str().expect("it is shown").to_owned();
    assert!(text.starts_with("whsec_"));
    let twice = world.post("/v1/secrets", &json!({"service": "transcodely"})).await.expect(409);
    assert_eq!(twice["code"], "secret_exists");

    let own = json!({"secret": "a-text-that-receivers-know", "overlap_seconds": 60});
    let rotated = world.post("/v1/secrets/transcodely/rotate", &own).await.expect(200);
    assert_eq!(rotated["secret"], "a-text-that-receivers-know");
    let listed = world.get("/v1/secrets").await.expect(200);
    let secrets = listed["secrets"].as_array().unwrap();
    assert_eq!(secrets.len(), 2);
    assert!(secrets.iter().all(|secret| secret.get("secret").is_none()), "shown once: {listed}");
    assert_eq!((&secrets[0]["hint"], &secrets[0]["until"]), (&json!("know"), &json!(null)));
    assert!(secrets[1]["until"].is_string());

    for id in [&rotated["id"], &made["id"]] {
        let path = format!("/v1/secrets/{}", id.as_str().unwrap());
        assert_eq!(world.delete(&path).await.status, 204);
        assert_eq!(world.delete(&path).await.status, 404);
    }
    assert_eq!(world.get("/v1/secrets").await.expect(200), json!({"secrets": []}));
    // What signs natively cannot be taken away here.
    world.get("/v1/settings/webhook/secret").await.expect(200);
    assert_eq!(world.get("/v1/secrets").await.expect(200), json!({"secrets": []}));
}

#[tokio::test]
async fn a_secret_that_cannot_be_is_refused_by_name_and_never_repeated() {
    let world = World::start(Serve::dev()).await;
    for (body, path) in [
        (json!({}), "service"),
        (json!({"service": "xora"}), "service"),
        (json!({"service": "native"}), "service"),
        (json!({"service": "removebgvideo", "secret": "too-short-secret"[..15]}), "secret"),
        (json!({"service": "removebgvideo", "secret": "with a space in its middle"}), "secret"),
        (json!({"service": "removebgvideo", "secret": 7}), "secret"),
    ] {
        let refused = world.post("/v1/secrets", &body).await;
        let violations = refused.violations();
        assert!(violations[0].starts_with(path), "{body}: {violations:?}");
        assert!(!refused.json().to_string().contains("space in its"), "{body}");
    }
    assert_eq!(world.post("/v1/secrets/xora/rotate", &json!({})).await.status, 404);
}

#[tokio::test]
async fn the_program_makes_and_rotates_secrets() {
    let world = World::start(Serve::dev()).await;
    let first =
        world.client_command(&["secrets", "create", "removebgvideo", "--secret", "a-text-that-receivers-know"]).await;
    assert_eq!(first.trim(), "a-text-that-receivers-know");
    let second = world.client_command(&["secrets", "rotate", "removebgvideo", "--overlap-hours", "0"]).await;
    assert!(second.trim().starts_with("whsec_"));
    let listed = world.client_command(&["secrets", "list", "--json"]).await;
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["secrets"].as_array().unwrap().len(), 1, "without an overlap the old one is gone at once");
    let id = listed["secrets"][0]["id"].as_str().unwrap();
    assert!(world.client_command(&["secrets", "revoke", id]).await.contains("is revoked"));
}

#[tokio::test]
async fn the_secret_of_a_service_does_not_stand_in_for_the_accounts() {
    let world = World::start(Serve::dev()).await;
    let made = world.post("/v1/secrets", &json!({"service": "transcodely"})).await.expect(201);
    let native = world.get("/v1/settings/webhook/secret").await.expect(200);
    assert!(native["secret"].as_str().is_some_and(|text| text.starts_with("whsec_")));
    assert_ne!(native["secret"], made["secret"]);
    assert_eq!(world.get("/v1/settings/webhook/secret").await.expect(200), native);
    assert_eq!(world.get("/v1/webhook-keys").await.expect(200)["keys"].as_array().map(Vec::len), Some(1));
}
