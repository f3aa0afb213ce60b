//! Two accounts: what is one's is not there for the other.

use http::Method;
use reelhook_testkit::clips::{self, Clip};
use reelhook_testkit::{Manners, Origin, Receiver};
use serde_json::{Value, json};

use super::{create, ended};
use crate::world::{Serve, World};

const JOBS: &str = "/xora/v1/jobs";
const SETTINGS: &str = "/xora/v1/settings";

#[tokio::test]
async fn what_is_another_accounts_is_not_there() {
    let (world, origin, receiver) = tokio::join!(World::start(Serve::dev()), Origin::start(), Receiver::start());
    let input = origin.put("/clip.mp4", clips::bytes(Clip::Video), Manners::Good).to_string();
    let id = create(&world, &json!({"input": {"url": input}, "recipe": {"name": "proxy"}})).await;
    assert_eq!(ended(&world, &id).await["state"], "completed");
    let provider = json!({
        "name": "Results", "provider": "r2", "endpoint": receiver.url("/"), "bucket": "media",
        "accessKeyId": "AKID", "secretAccessKey": "in-the-clear", "makeDefault": true
    });
    let provider = world.post(&format!("{SETTINGS}/storage-providers"), &provider).await.expect(201);
    let provider = provider["id"].as_str().expect("a provider has an id");

    let theirs = world.another_account().await;
    let as_them = async |method: Method, path: &str, body: Value| {
        let headers = [("authorization", theirs.as_str())];
        world.exchange(method, world.url(path), &headers, body.to_string().into()).await.expect("the server answers")
    };
    let job = format!("{JOBS}/{id}");
    for (method, path) in [
        (Method::GET, job.clone()),
        (Method::DELETE, job.clone()),
        (Method::POST, format!("{job}/cancel")),
        (Method::POST, format!("{job}/retry")),
        (Method::POST, format!("{SETTINGS}/storage-providers/{provider}/test")),
    ] {
        let answer = as_them(method.clone(), &path, json!({})).await;
        assert_eq!(answer.expect(404)["error"]["code"], "NOT_FOUND", "{method} {path}");
    }
    let listed = as_them(Method::GET, JOBS, Value::Null).await.expect(200);
    assert!(!listed.to_string().contains(&id), "{listed}");
    let settings = as_them(Method::GET, SETTINGS, Value::Null).await.expect(200);
    assert_eq!(settings["defaultStorageProviderId"], Value::Null, "settings are each account's own");
    as_them(Method::PUT, SETTINGS, json!({"defaultStorageProviderId": provider})).await.expect(400);
    assert_eq!(world.get(SETTINGS).await.expect(200)["defaultStorageProviderId"], provider);
    assert_eq!(world.get(&job).await.expect(200)["state"], "completed");
}
