//! RemoveBGVideo, as its client sees it.

use crate::world::{Serve, World};

#[tokio::test]
async fn a_path_that_is_not_there_is_refused_in_the_services_words() {
    let world = World::start(Serve::dev()).await;
    let answer = world.get("/removebgvideo/no-such-path").await;
    assert_eq!(answer.status, 404);
    assert!(answer.json().get("type").is_none(), "not the native shape: {}", answer.json());
}
