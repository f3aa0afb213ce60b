//! The test servers do to a plain client what they are told to.

#![expect(clippy::unwrap_used, reason = "the helpers of tests are tests")]

use std::time::Duration;

use reelhook_testkit::clips::{self, Clip};
use reelhook_testkit::{Manners, Origin, Received, Receiver, Reply};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use url::Url;

const SOON: Duration = Duration::from_secs(10);

/// All bytes of the answer until the other side closes, or the error that came instead.
async fn ask(url: &Url, head: &str, body: &str) -> std::io::Result<String> {
    let mut text = Vec::new();
    talk(url, head, body, &mut text).await.map(|()| String::from_utf8(text).unwrap())
}

#[expect(clippy::disallowed_methods, reason = "a plain client, to test the servers with")]
async fn talk(url: &Url, head: &str, body: &str, answer: &mut Vec<u8>) -> std::io::Result<()> {
    let address = (url.host_str().unwrap(), url.port().unwrap());
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    let length = body.len();
    let request = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n{head}\r\n{body}",
        url.path()
    );
    stream.write_all(request.as_bytes()).await?;
    stream.read_to_end(answer).await.map(|_| ())
}

#[tokio::test]
async fn a_receiver_records_what_came_and_answers_from_its_script() {
    let receiver =
        Receiver::scripted([Reply::status(503).header("retry-after", "7").body("busy"), Reply::reset()]).await;
    let url = receiver.url("/hook");
    let first = ask(&url, "webhook-id: evt_1\r\n", "{\"a\":1}").await.unwrap();
    assert!(
        first.starts_with("HTTP/1.1 503") && first.contains("retry-after: 7") && first.ends_with("busy"),
        "{first}"
    );
    assert!(ask(&url, "", "").await.is_err());
    assert!(ask(&url, "", "").await.unwrap().starts_with("HTTP/1.1 200"));

    let came: Vec<Received> = receiver.wait_for(3, SOON).await;
    assert_eq!(came.iter().map(|request| request.order).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(
        (came[0].path.as_str(), came[0].header("webhook-id"), &came[0].body[..]),
        ("/hook", "evt_1", &b"{\"a\":1}"[..])
    );
}

#[tokio::test]
async fn waiting_ends_when_the_request_comes() {
    let receiver = Receiver::start().await;
    let url = receiver.url("/late");
    let (came, _) = tokio::join!(receiver.wait_for(1, SOON), ask(&url, "", "x"));
    assert_eq!(came.len(), 1);
}

#[tokio::test]
async fn a_hanging_receiver_says_nothing_and_a_stopped_one_refuses() {
    let receiver = Receiver::scripted([Reply::hang()]).await;
    let url = receiver.url("/");
    tokio::select! {
        answer = ask(&url, "", "") => panic!("it answered {answer:?}"),
        _ = receiver.wait_for(1, SOON) => {}
    }
    drop(receiver);
    // The listener closes with its task, which ends when it is next polled.
    let refused = tokio::time::timeout(SOON, async { while ask(&url, "", "").await.is_ok() {} }).await;
    assert!(refused.is_ok());
}

#[tokio::test]
async fn an_origin_serves_ranges() {
    let origin = Origin::start().await;
    let url = origin.put("/file", "0123456789", Manners::Good);
    let whole = ask(&url, "", "").await.unwrap();
    assert!(whole.starts_with("HTTP/1.1 200") && whole.ends_with("0123456789"), "{whole}");
    let part = ask(&url, "range: bytes=7-\r\nif-range: \"0\"\r\n", "").await.unwrap();
    assert!(
        part.starts_with("HTTP/1.1 206") && part.contains("content-range: bytes 7-9/10") && part.ends_with("\r\n789"),
        "{part}"
    );
    assert!(ask(&url, "range: bytes=10-\r\n", "").await.unwrap().starts_with("HTTP/1.1 416"));
    origin.put("/file", "9876543210", Manners::Good);
    let changed = ask(&url, "range: bytes=7-\r\nif-range: \"0\"\r\n", "").await.unwrap();
    assert!(changed.starts_with("HTTP/1.1 200"), "{changed}");
    assert!(ask(&origin.url("/none"), "", "").await.unwrap().starts_with("HTTP/1.1 404"));
}

#[tokio::test]
async fn an_origin_has_bad_manners_when_told() {
    let origin = Origin::start().await;
    let lying = ask(&origin.put("/lies", "0123", Manners::LieAboutLength(6)), "", "").await.unwrap();
    assert!(lying.contains("content-length: 10") && lying.ends_with("0123"), "{lying}");
    let cut = ask(&origin.put("/cut", "0123456789", Manners::CutAfter(4)), "", "").await.unwrap();
    assert!(cut.contains("content-length: 10") && cut.ends_with("0123"), "{cut}");
    let elsewhere = ask(&origin.put("/from", "", Manners::RedirectTo(origin.url("/to"))), "", "").await.unwrap();
    assert!(elsewhere.starts_with("HTTP/1.1 302") && elsewhere.contains("/to"), "{elsewhere}");

    let url = origin.put("/once", "0123456789", Manners::ResetOnce(4));
    let mut before = Vec::new();
    assert!(talk(&url, "", "", &mut before).await.is_err());
    assert!(before.ends_with(b"0123"));
    assert!(ask(&url, "", "").await.unwrap().ends_with("0123456789"));
    let drip =
        ask(&origin.put("/drip", "0123456789", Manners::Drip(3, Duration::from_millis(1))), "", "").await.unwrap();
    assert!(drip.ends_with("0123456789"), "{drip}");
}

#[test]
fn clips_are_made_once_and_are_what_they_say() {
    for kind in [Clip::Video, Clip::Audio, Clip::Picture, Clip::Playlist, Clip::Garbage] {
        assert!(clips::bytes(kind).len() > 50, "{kind:?}");
        assert_eq!(clips::clip(kind), clips::clip(kind));
    }
    assert_eq!(&clips::bytes(Clip::Video)[4..8], b"ftyp");
    assert!(clips::truncated(Clip::Video, 60).len() < clips::bytes(Clip::Video).len());
}
