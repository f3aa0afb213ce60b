//! Clipzy's deliveries: when they are tried again, one flat body, no name and no signature.

use reelhook_dialects::clipzy::event::told;
use reelhook_domain::job::Dialect;
use reelhook_testkit::{Receiver, Reply};

use crate::world::{World, exact};

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
/// What our page says: the wait before each attempt.
const WAITS: [u64; 8] = [0, 30 * SECOND, 2 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR];

#[tokio::test]
async fn clipzys_eight_attempts_are_kept_to_the_millisecond() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    receiver.otherwise(Reply::status(500));
    let endpoint = world.failed_job_of(Dialect::Clipzy, told(), &receiver).await;
    world.walk_retry_table(endpoint, exact(&WAITS)).await;
    let received = receiver.requests();
    assert_eq!(received.len(), WAITS.len());
    for request in &received {
        assert_eq!(request.body, received[0].body, "a repeated webhook has the same bytes");
        let mut names: Vec<_> = request.headers.keys().map(http::HeaderName::as_str).collect();
        names.retain(|name| !["host", "content-length", "accept-encoding"].contains(name));
        assert_eq!(names, ["content-type"], "{:?}", request.headers);
    }
    let body: serde_json::Value = serde_json::from_slice(&received[0].body).unwrap();
    assert_eq!((&body["status"], body.get("output_video_url")), (&"failed".into(), None), "{body}");
}
