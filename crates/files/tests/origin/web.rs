//! Web servers.

use bytes::Bytes;
use reelhook_domain::origin::{Credentials, Place};
use reelhook_domain::time::Timestamp;
use reelhook_egress::Policy;
use reelhook_files::{OpenOrigin, OriginError};
use reelhook_testkit::{Manners, Origin};

use crate::{all, bytes, egress, file, headers, path};

fn open(server: &Origin, credentials: Credentials) -> OpenOrigin {
    let place = Place::Http { base_url: server.url("/in") };
    OpenOrigin::open(&crate::origin(place), credentials, &egress(Policy::development())).unwrap()
}

#[tokio::test]
async fn a_file_can_be_read_whole_and_from_any_byte_of_the_same_version() {
    let server = Origin::start().await;
    let sent = bytes(10_000);
    let url = server.put("/in/base/a.mp4", Bytes::from(sent.clone()), Manners::Good);
    let there = open(&server, headers(&[("authorization", "Bearer t")]));
    let whole = there.read(&path("a.mp4"), 0, None).await.unwrap();
    assert_eq!((whole.size_bytes, whole.start), (Some(10_000), 0));
    let version = whole.version.clone();
    assert!(all(whole).await == sent);
    let rest = there.read(&path("a.mp4"), 9_000, version.as_deref()).await.unwrap();
    assert_eq!((rest.size_bytes, rest.start), (Some(10_000), 9_000));
    assert!(all(rest).await == sent[9_000..]);
    assert!(server.requests().iter().all(|request| request.headers["authorization"] == "Bearer t"));
    assert_eq!(there.url(&path("a.mp4")).unwrap(), url.as_str());

    server.put("/in/base/a.mp4", Bytes::from(sent.clone()), Manners::Good);
    let anew = there.read(&path("a.mp4"), 9_000, version.as_deref()).await.unwrap();
    assert_eq!(anew.start, 0, "another version begins anew");
    assert!(all(anew).await == sent);
}

#[tokio::test]
async fn nothing_is_written_to_a_web_server() {
    let server = Origin::start().await;
    let there = open(&server, headers(&[]));
    let refused = there.write(&path("a"), file(b"1").path(), "text/plain").await;
    assert!(matches!(refused, Err(OriginError::NotPermitted("write"))));
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn credentials_do_not_follow_a_redirect_to_another_server() {
    let (server, other) = (Origin::start().await, Origin::start().await);
    let target = other.put("/else", Bytes::from_static(b"elsewhere"), Manners::Good);
    server.put("/in/base/a", Bytes::new(), Manners::RedirectTo(target));
    let there = open(&server, headers(&[("authorization", "Bearer t"), ("x-key", "k")]));
    assert_eq!(all(there.read(&path("a"), 0, None).await.unwrap()).await, b"elsewhere");
    let asked = other.requests();
    assert!(!asked[0].headers.contains_key("authorization") && !asked[0].headers.contains_key("x-key"));
}

#[tokio::test]
async fn a_server_that_turns_us_away_fails_the_check_and_one_that_has_no_such_file_does_not() {
    let server = Origin::start().await;
    let there = open(&server, headers(&[("authorization", "in-the-clear")]));
    let validation = there.check_read().await;
    assert!(validation.is_ok(), "404 is an answer: {validation:?}");
    for status in [401, 403] {
        server.put("/in/base/reelhook-check", Bytes::new(), Manners::Status(status));
        let error = there.check_read().await.unwrap_err();
        let said =
            format!("access is denied: the server answered {status}; check the credentials and what they may do");
        assert_eq!(error.to_string(), said);
        assert!(!format!("{error:?} {there:?}").contains("clear"));
    }
    server.put("/in/base/reelhook-check", Bytes::new(), Manners::Status(502));
    let error = there.check_read().await.unwrap_err();
    assert!(error.is_passing(), "{error}");
}

#[tokio::test]
async fn an_address_that_is_not_public_is_refused_with_the_reason() {
    let server = Origin::start().await;
    let place = Place::Http { base_url: server.url("/in") };
    let origin = crate::origin(place);
    let there = OpenOrigin::open(&origin, headers(&[]), &egress(Policy::public().allow_http())).unwrap();
    let validation = there.validate(Timestamp::from_millis(0)).await;
    assert_eq!(validation.read_error.as_deref(), Some("the host does not resolve to an allowed address"));
    assert!(server.requests().is_empty());
}
