//! S3.

use std::time::Duration;

use bytes::Bytes;
use reelhook_domain::origin::{Credentials, Permissions, Place};
use reelhook_domain::time::Timestamp;
use reelhook_egress::Policy;
use reelhook_files::{OpenOrigin, OriginError};
use reelhook_testkit::{Receiver, Reply};

use crate::s3_server::{KEY, S3Server, SECRET, keys};
use crate::{all, bytes, egress, file, headers, origin, path};

fn open(place: Place, credentials: Credentials) -> OpenOrigin {
    OpenOrigin::open(&origin(place), credentials, &egress(Policy::development())).unwrap()
}

#[tokio::test]
async fn what_is_written_can_be_read_whole_and_from_any_byte() {
    let server = S3Server::start().await;
    let there = open(server.place(), keys(SECRET));
    let sent = bytes(100_000);
    let object = path("2026-03-01/a b+c#d?e%f/é.mp4");
    let written = there.write(&object, file(&sent).path(), "video/mp4").await.unwrap();
    assert_eq!(written.size_bytes, 100_000);
    assert_eq!(written.url, "s3://media/base/2026-03-01/a b+c#d?e%f/é.mp4");
    assert_eq!(std::fs::read(server.object("base/2026-03-01/a b+c#d?e%f/é.mp4")).unwrap(), sent);

    let whole = there.read(&object, 0, None).await.unwrap();
    assert_eq!((whole.size_bytes, whole.start), (Some(100_000), 0));
    let version = whole.version.clone();
    assert!(version.is_some());
    assert!(all(whole).await == sent);
    let rest = there.read(&object, 99_000, version.as_deref()).await.unwrap();
    assert_eq!((rest.size_bytes, rest.start), (Some(100_000), 99_000));
    assert!(all(rest).await == sent[99_000..]);
}

#[tokio::test]
async fn a_large_file_is_written_in_parts_that_make_it_whole() {
    let server = S3Server::start().await;
    let there = open(server.place(), keys(SECRET));
    let sent = bytes(3 * (8 << 20) + 12_345);
    there.write(&path("large.mkv"), file(&sent).path(), "video/x-matroska").await.unwrap();
    assert!(std::fs::read(server.object("base/large.mkv")).unwrap() == sent);
    let parts = server.requests().iter().filter(|request| request.contains("partNumber=")).count();
    assert_eq!(parts, 4);
    assert!(all(there.read(&path("large.mkv"), 8 << 20, None).await.unwrap()).await == sent[8 << 20..]);
}

#[tokio::test]
async fn an_empty_file_can_be_written_and_read() {
    let server = S3Server::start().await;
    let there = open(server.place(), keys(SECRET));
    there.write(&path("empty"), file(b"").path(), "text/plain").await.unwrap();
    assert!(all(there.read(&path("empty"), 0, None).await.unwrap()).await.is_empty());
}

#[tokio::test]
async fn a_check_says_that_it_can_be_read_and_written_and_leaves_nothing() {
    let server = S3Server::start().await;
    let there = open(server.place(), keys(SECRET));
    server.put("base/one.mp4", b"1");
    let validation = there.validate(Timestamp::from_millis(7)).await;
    assert_eq!((validation.read_error.as_deref(), validation.write_error.as_deref()), (None, None));
    assert!(validation.can_read && validation.can_write && validation.is_success());
    assert_eq!(validation.validated_at, Timestamp::from_millis(7));
    assert!(server.requests().iter().any(|request| request == "PUT /media/base/reelhook-check"));
    assert!(!server.object("base/reelhook-check").exists());
}

#[tokio::test]
async fn what_is_not_permitted_is_neither_done_nor_checked() {
    let server = S3Server::start().await;
    let permissions = Permissions { read: true, write: false };
    let read_only = reelhook_domain::origin::Origin { permissions, ..origin(server.place()) };
    let there = OpenOrigin::open(&read_only, keys(SECRET), &egress(Policy::development())).unwrap();
    let refused = there.write(&path("a"), file(b"1").path(), "text/plain").await;
    assert!(matches!(refused, Err(OriginError::NotPermitted("write"))));
    let validation = there.validate(Timestamp::from_millis(7)).await;
    assert!(validation.is_success() && validation.can_read && !validation.can_write);
    assert!(server.requests().iter().all(|request| request.starts_with("GET ")));
}

#[tokio::test]
async fn a_missing_object_and_a_missing_bucket_are_told_apart() {
    let server = S3Server::start().await;
    let there = open(server.place(), keys(SECRET));
    assert!(matches!(there.read(&path("missing"), 0, None).await, Err(OriginError::NotFound)));

    let nowhere = Place::S3 {
        bucket: "nowhere".to_owned(),
        region: "eu-central-1".to_owned(),
        endpoint: Some(server.endpoint.clone()),
    };
    let checked = open(nowhere, keys(SECRET)).check_read().await;
    assert!(matches!(checked, Err(OriginError::NoBucket)), "{checked:?}");

    // The server above makes a bucket where one is written to; those that people use do not.
    let refusal = Reply::status(404).body("<Error><Code>NoSuchBucket</Code></Error>");
    let receiver = Receiver::start().await;
    receiver.otherwise(refusal);
    let validation = open(at(&receiver), keys(SECRET)).validate(Timestamp::from_millis(7)).await;
    assert_eq!(validation.read_error.as_deref(), Some("there is no such bucket"));
    assert_eq!(validation.write_error.as_deref(), Some("there is no such bucket"));
    assert!(!validation.can_read && !validation.can_write && !validation.is_success());
}

#[tokio::test]
async fn wrong_credentials_are_named_as_the_reason_and_not_repeated() {
    let server = S3Server::start().await;
    server.put("base/one.mp4", b"1");
    let there = open(server.place(), keys("wrong-in-the-clear"));
    let error = there.read(&path("one.mp4"), 0, None).await.unwrap_err();
    assert!(matches!(&error, OriginError::Denied(answer) if answer.status == 403), "{error:?}");
    let validation = there.validate(Timestamp::from_millis(7)).await;
    let said =
        "access is denied: the server answered 403 SignatureDoesNotMatch; check the credentials and what they may do";
    assert_eq!(validation.read_error.as_deref(), Some(said));
    assert_eq!(validation.write_error.as_deref(), Some(said));
    let shown = format!("{error} {error:?} {there:?}");
    assert!(!shown.contains("clear") && !shown.contains(KEY), "{shown}");
}

#[tokio::test]
async fn a_read_does_not_go_on_with_another_version() {
    let server = S3Server::start().await;
    let there = open(server.place(), keys(SECRET));
    there.write(&path("a"), file(b"first version").path(), "text/plain").await.unwrap();
    let version = there.read(&path("a"), 0, None).await.unwrap().version;
    there.write(&path("a"), file(b"other version").path(), "text/plain").await.unwrap();
    let rest = there.read(&path("a"), 6, version.as_deref()).await;
    assert!(matches!(rest, Err(OriginError::Changed)), "{rest:?}");
    assert!(matches!(there.read(&path("a"), 1000, None).await, Err(OriginError::Changed)), "past its end");
}

#[tokio::test]
async fn a_private_endpoint_is_refused_by_the_policy_before_anything_is_sent() {
    let server = S3Server::start().await;
    let there =
        OpenOrigin::open(&origin(server.place()), keys(SECRET), &egress(Policy::public().allow_http())).unwrap();
    let validation = there.validate(Timestamp::from_millis(7)).await;
    let said = "the host does not resolve to an allowed address";
    assert_eq!(validation.read_error.as_deref(), Some(said));
    assert_eq!(validation.write_error.as_deref(), Some(said));
    assert!(server.requests().is_empty());
    let plain = OpenOrigin::open(&origin(server.place()), keys(SECRET), &egress(Policy::public())).unwrap();
    assert_eq!(plain.check_read().await.unwrap_err().to_string(), "the URL is not allowed");
}

#[tokio::test]
async fn credentials_of_another_kind_open_nothing() {
    let server = S3Server::start().await;
    let wrong = OpenOrigin::open(&origin(server.place()), headers(&[]), &egress(Policy::development()));
    assert!(matches!(wrong, Err(OriginError::Settings(_))));
}

fn at(receiver: &Receiver) -> Place {
    let mut endpoint = receiver.url("/");
    endpoint.set_path("");
    Place::S3 { bucket: "media".to_owned(), region: "eu-central-1".to_owned(), endpoint: Some(endpoint) }
}

#[tokio::test]
async fn a_server_that_is_busy_is_asked_again() {
    let receiver = Receiver::scripted(vec![Reply::status(503).body("<Code>SlowDown</Code>"), found(b"whole")]).await;
    let there = open(at(&receiver), keys(SECRET));
    assert_eq!(all(there.read(&path("a"), 0, None).await.unwrap()).await, b"whole");
    assert_eq!(receiver.requests().len(), 2);
}

#[tokio::test]
async fn a_refusal_without_end_is_not_read_to_its_end() {
    let receiver = Receiver::scripted(vec![Reply::status(403).body("<Code>AccessDenied</Code>").endless()]).await;
    let there = open(at(&receiver), keys(SECRET));
    let error = there.read(&path("a"), 0, None).await.unwrap_err();
    assert!(error.to_string().contains("403 AccessDenied"), "{error}");
}

#[tokio::test]
async fn a_read_that_breaks_off_goes_on_by_range() {
    let sent = bytes(50_000);
    let broken = found(&sent[..20_000]).announce(50_000).then_close();
    let rest = Reply::status(206)
        .header("etag", "\"v\"")
        .header("last-modified", "Sun, 01 Mar 2026 09:00:00 GMT")
        .header("content-range", "bytes 20000-49999/50000")
        .body(sent[20_000..].to_vec());
    let receiver = Receiver::scripted(vec![broken, rest]).await;
    let there = open(at(&receiver), keys(SECRET));
    assert!(all(there.read(&path("a"), 0, None).await.unwrap()).await == sent);
    let asked = receiver.requests();
    assert_eq!(asked[1].headers["range"], "bytes=20000-49999");
}

#[tokio::test]
async fn what_a_stranger_writes_into_an_answer_is_not_repeated() {
    let receiver = Receiver::scripted(vec![Reply::status(400).body("<Code>Odd</Code> injected words")]).await;
    let error = open(at(&receiver), keys(SECRET)).read(&path("a"), 0, None).await.unwrap_err();
    assert_eq!(error.to_string(), "the server answered 400 Odd");
    assert!(!format!("{error:?}").contains("injected"));
}

#[tokio::test]
async fn an_upload_that_is_dropped_is_left() {
    let begun = Reply::status(200).body(
        "<InitiateMultipartUploadResult><Bucket>media</Bucket><Key>base/a</Key><UploadId>u1</UploadId></InitiateMultipartUploadResult>",
    );
    let receiver = Receiver::scripted(vec![begun, Reply::hang(), Reply::hang(), Reply::status(204)]).await;
    let there = open(at(&receiver), keys(SECRET));
    let large = file(&bytes(16 << 20));
    let object = path("a");
    {
        let mut writing = Box::pin(there.write(&object, large.path(), "video/mp4"));
        tokio::select! {
            _ = &mut writing => panic!("the parts are never answered"),
            _ = receiver.wait_for(3, Duration::from_secs(20)) => {}
        }
    }
    let asked = receiver.wait_for(4, Duration::from_secs(20)).await;
    assert_eq!((asked[3].method.as_str(), asked[3].path.as_str()), ("DELETE", "/media/base/a?uploadId=u1"));
}

fn found(bytes: &[u8]) -> Reply {
    Reply::status(200)
        .header("etag", "\"v\"")
        .header("last-modified", "Sun, 01 Mar 2026 09:00:00 GMT")
        .body(Bytes::copy_from_slice(bytes))
}

#[tokio::test]
async fn an_answer_without_end_to_a_check_fails_it_and_an_object_may_be_large() {
    let receiver = Receiver::start().await;
    receiver
        .otherwise(Reply::status(200).header("content-type", "application/xml").body(vec![b' '; 64 * 1024]).endless());
    let validation = open(at(&receiver), keys(SECRET)).validate(Timestamp::from_millis(7)).await;
    assert!(!validation.can_read, "{validation:?}");
    let error = validation.read_error.expect("it says why");
    assert_eq!(error, "the response is too large");

    let receiver = Receiver::start().await;
    let object = bytes(5 << 20);
    let length = object.len().to_string();
    let reply = Reply::status(200).header("etag", "\"1\"").header("content-length", &length);
    receiver.otherwise(reply.header("last-modified", "Wed, 01 Jan 2025 00:00:00 GMT").body(object.clone()));
    let reading = open(at(&receiver), keys(SECRET)).read(&path("large"), 0, None).await.unwrap();
    assert!(all(reading).await == object);
}
