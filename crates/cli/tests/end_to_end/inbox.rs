//! What a receiver of webhooks makes of them: genuine ones, each event once.

use std::collections::BTreeMap;

use bytes::Bytes;
use reelhook_signature::{Headers, Secret, Trust, verify};
use reelhook_testkit::{Received, Receiver, system_ambient};
use serde_json::Value;

use crate::world::{PATIENCE, World};

/// The account's webhook secret.
pub(crate) async fn secret(world: &World) -> Secret {
    let answer = world.get("/v1/settings/webhook/secret").await.expect(200);
    Secret::parse(answer["secret"].as_str().expect("the secret is text")).expect("the secret can be read")
}

/// The type of an event.
pub(crate) fn kind(received: &Received) -> String {
    let body: Value = serde_json::from_slice(&received.body).expect("a webhook is JSON");
    body["type"].as_str().expect("an event has a type").to_owned()
}

/// Waits until an event of each of these types came, and gives all that came.
pub(crate) async fn wait_for(receiver: &Receiver, kinds: &[&str]) -> Vec<Received> {
    let mut count = kinds.len();
    loop {
        let all = receiver.wait_for(count, PATIENCE).await;
        let came: Vec<_> = all.iter().map(kind).collect();
        if kinds.iter().all(|wanted| came.iter().any(|kind| kind == wanted)) {
            return all;
        }
        count = all.len() + 1;
    }
}

/// Checks the signature of everything that came, and that copies of one event are identical; gives the type of each
/// event, by id.
pub(crate) fn check(all: &[Received], secret: &Secret) -> BTreeMap<String, String> {
    let mut bodies: BTreeMap<String, Bytes> = BTreeMap::new();
    for received in all {
        let headers = Headers::read(|name| received.headers.get(name).and_then(|value| value.to_str().ok()));
        let now = system_ambient().now().as_seconds();
        verify(headers, &received.body, now, Trust::secrets(std::slice::from_ref(secret))).expect("it is genuine");
        let first = bodies.entry(received.header("webhook-id").to_owned()).or_insert_with(|| received.body.clone());
        assert_eq!(first, &received.body, "a repeated webhook has the same bytes");
    }
    all.iter().map(|received| (received.header("webhook-id").to_owned(), kind(received))).collect()
}
