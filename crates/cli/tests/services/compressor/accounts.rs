//! Two accounts: what is one's is not there for the other.

use reelhook_testkit::Origin;
use serde_json::json;

use super::{fetch, upload, wav};
use crate::world::{Serve, World};

#[tokio::test]
async fn what_is_another_accounts_is_not_there() {
    let (world, server) = tokio::join!(World::start(Serve::dev()), Origin::start());
    let result = upload(&world, "voice.wav", &wav(), None).await.expect(200);
    let path = format!("/compressor/1.0/jobs/{}", result["id"].as_str().expect("a result has an id"));
    let place = json!({"name": "out", "http": {"base_url": server.url("/")}, "permissions": ["read"]});
    let connector = world.post("/v1/origins", &place).await.expect(201)["id"].clone();

    let theirs = world.another_account().await;
    let as_them = [("authorization", theirs.as_str())];
    let answer = world.get_with(&path, &as_them).await.expect(404);
    let said = ["code", "message"].map(|key| answer["error"][key].clone());
    assert_eq!((&answer["success"], said), (&json!(false), [json!("not_found"), json!("there is no such job")]));
    let body = json!({"url": server.url("/a.jpg"), "store": {"id": connector}});
    let refused = world.post_with("/compressor/1.0/fetch", &as_them, body.to_string()).await.expect(422);
    assert_eq!(refused["error"]["fields"][0]["field"], "store.id", "{refused}");
    let own = fetch(&world, &json!({"url": server.url("/a.jpg"), "store": {"id": connector}})).await.json();
    assert_ne!(own["error"]["fields"][0]["message"], refused["error"]["fields"][0]["message"], "to us it is there");
    world.get(&path).await.expect(200);
}
