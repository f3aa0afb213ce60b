//! What a page in the operator's own browser can do to a server on loopback that asks for no key.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::world::{Serve, World};

/// The status and the body of a request that is spelled here, as a browser sends it.
async fn status(world: &World, request: &str, headers: &str, body: &str) -> (u16, String) {
    let url = world.url("/");
    let address = (url.host_str().expect("an address").to_owned(), url.port().expect("a port"));
    let text =
        format!("{request} HTTP/1.1\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).expect("the server listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
        stream.write_all(text.as_bytes()).expect("the server reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the server answers");
        answer
    });
    let answer = answer.await.expect("the exchange does not panic");
    let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status");
    (status, answer)
}

const FORM: &str = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp4\"\r\n\r\nbytes\r\n--b--\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_reaches_nothing_where_no_key_is_asked_for() {
    for serve in [Serve::public().set("open", "clipzy"), Serve::dev().set("open", "clipzy")] {
        let world = World::start(serve).await;
        let local = "Host: 127.0.0.1\r\n";
        let list = "GET /clipzy/api/v1/jobs";
        assert_eq!(status(&world, list, local, "").await.0, 200);
        assert_eq!(status(&world, list, "Host: localhost:1234\r\n", "").await.0, 200);
        // A name that was made to lead here.
        for request in [list, "GET /v1/jobs", "GET /healthz", "GET /", "GET /openapi.json", "POST /v1/events"] {
            let (status, body) = status(&world, request, "Host: evil.example\r\n", "").await;
            assert_eq!(status, 403, "{request}: {body}");
            assert!(body.contains("host_not_allowed") && body.contains("api.allowed_hosts"), "{body}");
        }
        // Requests that a browser sends without asking first.
        let form = format!("{local}Content-Type: multipart/form-data; boundary=b\r\n");
        for more in ["Origin: http://evil.example\r\n", "Origin: null\r\n", "Sec-Fetch-Site: cross-site\r\n"] {
            let request = "POST /clipzy/api/v1/videos/upload";
            let (status, body) = status(&world, request, &format!("{form}{more}"), FORM).await;
            assert_eq!(status, 403, "{more}: {body}");
            assert!(body.contains("cross_site_request"), "{body}");
        }
        // What the operator does.
        let own = format!("{local}Origin: http://localhost:5173\r\nSec-Fetch-Site: same-site\r\n");
        assert_eq!(status(&world, list, &own, "").await.0, 200);
        let followed = format!("{local}Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n");
        assert_eq!(status(&world, "GET /docs", &followed, "").await.0, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_are_listed_are_served_and_with_keys_every_host_is() {
    let world =
        World::start(Serve::public().set("open", "clipzy").set("api.allowed_hosts", "media.internal, b.example")).await;
    for host in ["media.internal", "B.EXAMPLE:8080", "127.0.0.1"] {
        let headers = format!("Host: {host}\r\nOrigin: https://media.internal\r\n");
        assert_eq!(status(&world, "GET /clipzy/api/v1/jobs", &headers, "").await.0, 200, "{host}");
    }
    let world = World::start(Serve::public()).await;
    assert_eq!(status(&world, "GET /healthz", "Host: any.example\r\nOrigin: https://any.example\r\n", "").await.0, 200);
}
