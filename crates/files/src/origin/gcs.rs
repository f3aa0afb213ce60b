//! What only Google Cloud Storage has: service accounts.

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::gcp::GoogleCloudStorageBuilder;
use serde_json::{Value, json};

use super::bucket::retry;
use super::error::OriginError;
use super::wire::Wire;

/// A bucket of Google Cloud Storage, at another address than Google's for tests.
pub(super) fn bucket(
    name: &str,
    key: &str,
    address: Option<&str>,
    wire: Wire,
) -> Result<Arc<dyn ObjectStore>, OriginError> {
    const WRONG: OriginError = OriginError::Settings("the service account key lacks private_key or client_email");
    let key: Value =
        serde_json::from_str(key).map_err(|_| OriginError::Settings("the service account key is not JSON"))?;
    let text = |name: &str| key.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    // Only these: the library would also take an address and "no signature, please" from the key.
    let key = json!({
        "private_key": text("private_key").ok_or(WRONG)?,
        "private_key_id": text("private_key_id").unwrap_or_default(),
        "client_email": text("client_email").ok_or(WRONG)?,
    });
    let mut builder = GoogleCloudStorageBuilder::new().with_bucket_name(name).with_service_account_key(key.to_string());
    if let Some(address) = address {
        builder = builder.with_base_url(address);
    }
    let made = builder.with_http_connector(wire).with_retry(retry()).build();
    Ok(Arc::new(made.map_err(|_| OriginError::Settings("the private key of the service account cannot be read"))?))
}

#[cfg(test)]
mod tests {
    use object_store::path::Path;
    use object_store::{ObjectStoreExt as _, PutPayload};
    use reelhook_egress::{Client, Policy, Settings, SystemResolver};
    use reelhook_testkit::{Receiver, Reply};

    use super::*;

    /// Made for this test; opens nothing.
    const KEY: &str = include_str!("test_key.pem");

    fn wire() -> Wire {
        let settings = Settings { policy: Policy::development(), ..Settings::default() };
        Wire::new(Client::new(settings, Arc::new(SystemResolver)).unwrap())
    }

    fn key() -> Value {
        json!({
            "type": "service_account",
            "private_key": KEY,
            "private_key_id": "one",
            "client_email": "media@project.iam.gserviceaccount.com",
            // What a caller could try: another server, and no signature for it.
            "gcs_base_url": "http://127.0.0.1:1",
            "disable_oauth": true,
        })
    }

    #[tokio::test]
    async fn requests_carry_a_token_that_the_service_account_signed() {
        let found = Reply::status(200)
            .header("etag", "\"v\"")
            .header("last-modified", "Sun, 01 Mar 2026 09:00:00 GMT")
            .body("whole");
        let receiver = Receiver::scripted([found, Reply::status(200).header("etag", "\"w\"")]).await;
        let address = receiver.url("/");
        let there = bucket("media", &key().to_string(), Some(address.as_str().trim_end_matches('/')), wire()).unwrap();
        let read = there.get(&Path::from("base/a.mp4")).await.unwrap().bytes().await.unwrap();
        assert_eq!(&read[..], b"whole");
        there.put(&Path::from("base/b.mp4"), PutPayload::from_static(b"made")).await.unwrap();
        let asked = receiver.requests();
        // An object's name is one segment there, however many slashes it has.
        assert_eq!((asked[0].method.as_str(), asked[0].path.as_str()), ("GET", "/media/base%2Fa%2Emp4"));
        assert_eq!((asked[1].method.as_str(), asked[1].path.as_str()), ("PUT", "/media/base%2Fb%2Emp4"));
        for request in asked {
            let token = request.header("authorization").strip_prefix("Bearer ").unwrap().to_owned();
            assert_eq!(token.split('.').filter(|part| part.len() > 20).count(), 3, "{token}");
        }
    }

    #[test]
    fn a_key_opens_only_the_server_that_we_name() {
        let there = bucket("media", &key().to_string(), None, wire()).unwrap();
        let shown = format!("{there:?}");
        assert!(shown.contains("storage.googleapis.com") && !shown.contains("127.0.0.1:1"), "{shown}");
    }

    #[test]
    fn a_key_that_is_none_is_refused_with_the_reason() {
        for (key, expected) in [
            ("{", "the service account key is not JSON"),
            ("{}", "the service account key lacks private_key or client_email"),
            (r#"{"private_key": "x", "client_email": "a@b"}"#, "the private key of the service account cannot be read"),
        ] {
            let error = bucket("media", key, None, wire()).unwrap_err();
            assert_eq!(error.to_string(), format!("the origin cannot be opened: {expected}"));
        }
    }
}
