//! One account with the ids of another: no path of the API shows, changes or ends what is not its own.
//!
//! The paths come from the API's own document, so a new one is tried too; one that names a thing of which this account has
//! none fails the test until it has.

use std::collections::BTreeMap;

use http::Method;
use reelhook_testkit::clips::{self, Clip};
use reelhook_testkit::{Origin, Receiver};
use serde_json::{Value, json};

use crate::world::{Serve, World};

/// What the first account has: how a path to it begins, its id, and what reads it.
struct Things {
    ids: BTreeMap<&'static str, String>,
    readable: Vec<String>,
}

async fn fill(world: &World, receiver: &Receiver, web: &Origin) -> Things {
    let id = |made: &Value| made["id"].as_str().expect("it has an id").to_owned();
    let endpoint = json!({"url": receiver.url("/hook"), "events": ["*"], "headers": {"x-own": "in-the-clear"}});
    let endpoint = id(&world.post("/v1/endpoints", &endpoint).await.expect(201));
    let upload = world.upload("clip.mp4", clips::bytes(Clip::Video)).await;
    let outputs = json!([{"name": "o", "recipe": "thumbnail", "width": 64}]);
    let job = world.submit(&json!({"input": {"upload": upload}, "outputs": outputs})).await;
    world.job_ended(&job, "completed").await;
    let upload = world.upload("more.mp4", clips::bytes(Clip::Video)).await;
    receiver.wait_for(1, crate::world::PATIENCE).await;
    let deliveries = world.get("/v1/deliveries").await.expect(200);
    let delivery = id(&deliveries["deliveries"][0]);
    let secret = id(&world.post("/v1/secrets", &json!({"service": "transcodely"})).await.expect(201));
    let origin = json!({"name": "own", "http": {"base_url": web.url("/in"), "credentials": {}}, "base_path": "a/"});
    let origin = id(&world.post("/v1/origins", &origin).await.expect(201));
    let key = id(&world.post("/v1/keys", &json!({"name": "own"})).await.expect(201));
    let ids = BTreeMap::from([
        ("/v1/deliveries/", delivery),
        ("/v1/endpoints/", endpoint),
        ("/v1/jobs/", job),
        ("/v1/keys/", key),
        ("/v1/origins/", origin),
        ("/v1/secrets/", secret),
        ("/v1/uploads/", upload),
    ]);
    let readable = ["/v1/deliveries/", "/v1/endpoints/", "/v1/jobs/", "/v1/origins/", "/v1/uploads/"];
    let readable = readable.iter().map(|place| format!("{place}{}", ids[place])).collect();
    Things { ids, readable }
}

/// What can be read of all of it, but for what changes by itself.
async fn picture(world: &World, things: &Things) -> Vec<Value> {
    let mut shown = Vec::new();
    let lists = ["/v1/keys", "/v1/secrets", "/v1/endpoints", "/v1/origins", "/v1/settings"].map(str::to_owned);
    for path in things.readable.iter().chain(&lists) {
        let mut value = world.get(path).await.expect(200);
        for link in ["/outputs/0/file/url", "/last_used_at"] {
            if let Some(link) = value.pointer_mut(link) {
                *link = Value::Null;
            }
        }
        for key in value["keys"].as_array_mut().into_iter().flatten() {
            key["last_used_at"] = Value::Null;
        }
        shown.push(value);
    }
    shown
}

/// The operations of the API whose path names a thing, with the ids of the first account in it.
fn operations(document: &Value, things: &Things) -> Vec<(Method, String)> {
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("the document has paths") {
        let Some((place, rest)) = path.split_once("{id}") else { continue };
        let id = things.ids.get(place).unwrap_or_else(|| panic!("the first account has nothing at {path}"));
        let path = format!("{place}{id}{}", rest.replace("{name}", "o"));
        assert!(!path.contains('{'), "{path} names more than this test knows");
        for method in methods.as_object().expect("methods").keys() {
            if let Ok(method) = method.to_uppercase().parse() {
                all.push((method, path.clone()));
            }
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn no_path_of_the_api_reaches_what_is_anothers() {
    let (receiver, web) = (Receiver::start().await, Origin::start().await);
    let world = World::start(Serve::dev()).await;
    let things = fill(&world, &receiver, &web).await;
    let theirs = world.another_account().await;
    let before = picture(&world, &things).await;
    let document = world.get("/openapi.json").await.expect(200);
    let operations = operations(&document, &things);
    assert!(operations.len() > 20, "{operations:?}");
    let bodies = [
        json!({}),
        json!({"event": "evt_00000000000000000000000000", "since": "2020-01-01T00:00:00Z", "events": ["*"]}),
    ];
    for (method, path) in operations {
        for body in &bodies {
            let body = if method == Method::GET { String::new() } else { body.to_string() };
            let headers = [("authorization", theirs.as_str()), ("content-type", "application/json")];
            let answer = world.exchange(method.clone(), world.url(&path), &headers, body.into()).await;
            let answer = answer.unwrap_or_else(|error| panic!("{method} {path}: {error:?}"));
            let said = String::from_utf8_lossy(&answer.body);
            // A body that the path refuses is refused before anything is looked up.
            assert!(matches!(answer.status, 404 | 422 | 400), "{method} {path}: {} {said}", answer.status);
            assert!(!said.contains("in-the-clear") && !said.contains(&receiver.url("/hook").to_string()), "{said}");
        }
    }
    assert_eq!(picture(&world, &things).await, before, "nothing of it was changed");

    // Lists show nothing of another's, whatever they are asked for.
    for list in ["/v1/jobs", "/v1/deliveries", "/v1/endpoints", "/v1/origins", "/v1/secrets"] {
        let queries = ["".to_owned()].into_iter().chain(
            things
                .ids
                .values()
                .flat_map(|id| [format!("?endpoint={id}"), format!("?job={id}"), format!("?event={id}")]),
        );
        for query in queries {
            let answer = world.get_with(&format!("{list}{query}"), &[("authorization", &theirs)]).await;
            let said = String::from_utf8_lossy(&answer.body);
            let shown = things.ids.values().find(|id| said.contains(*id) && !query.contains(*id));
            assert_eq!(shown, None, "{list}{query}: {said}");
        }
    }
}
