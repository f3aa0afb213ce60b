//! A service at the root of a listener of its own.

use std::net::TcpListener;

use http::Method;
use url::Url;

use crate::world::{Serve, World};

/// A port that is free now, for a server that starts at once.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port is free").port()
}

#[tokio::test]
async fn a_service_is_served_at_the_root_of_its_own_listener_and_nothing_else_is() {
    let port = free_port();
    let world = World::start(Serve::dev().set("services.listen", format!("compressor=127.0.0.1:{port}"))).await;
    let at = |path: &str| Url::parse(&format!("http://127.0.0.1:{port}{path}")).unwrap();
    let get = async |url| world.exchange(Method::GET, url, &[], bytes::Bytes::new()).await.expect("it answers");
    assert_eq!(get(at("/1.0/account")).await.status, 200);
    assert_eq!(world.get("/compressor/1.0/account").await.status, 200, "its path below the main one stays");
    for path in ["/v1/jobs", "/metrics", "/xora/v1/settings/webhook"] {
        assert_eq!(get(at(path)).await.status, 404, "{path}");
    }
}
