//! Every special-purpose range, in every way to write its addresses, asked of the API as the URL of an endpoint.

use std::net::{IpAddr, Ipv4Addr};

use futures::StreamExt as _;
use reelhook_testkit::addresses::{SPECIAL_PURPOSE, ends, spellings};
use serde_json::json;

use crate::world::{Answer, Serve, World};

/// Asked for at once: there are some thousand.
const AT_ONCE: usize = 8;

/// What the API says to an endpoint at each of these hosts.
async fn asked(world: &World, hosts: Vec<String>) -> Vec<(String, Answer)> {
    let ask = |host: String| async move {
        let answer = world.post("/v1/endpoints", &json!({"url": format!("https://{host}/hook")})).await;
        (host, answer)
    };
    futures::stream::iter(hosts).map(ask).buffered(AT_ONCE).collect().await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_a_special_purpose_address_becomes_an_endpoint() {
    let world = World::start(Serve::public()).await;
    let metadata = ["169.254.169.254", "169.254.170.2", "168.63.129.16", "100.100.100.200", "fd00:ec2::254"];
    let metadata = metadata.iter().map(|text| text.parse::<IpAddr>().expect("tests write valid addresses"));
    let mut addresses: Vec<_> = SPECIAL_PURPOSE.iter().flat_map(|range| ends(range)).chain(metadata).collect();
    addresses.sort();
    addresses.dedup();
    let hosts: Vec<_> = addresses.into_iter().flat_map(spellings).collect();
    assert!(hosts.len() > 1000);
    for (host, answer) in asked(&world, hosts).await {
        assert_eq!(answer.status, 422, "{host}");
        assert_eq!(answer.violations(), ["url"], "{host}");
    }
    // The same ways to write an address that anybody may reach: it is not the spelling that is refused.
    for (host, answer) in asked(&world, spellings(Ipv4Addr::new(8, 8, 8, 8).into())).await {
        assert_eq!(answer.status, 201, "{host}");
        assert!(!answer.json()["url"].is_null());
    }
    let zones = ["[fe80::1%25eth0]", "[fe80::1%1]", "[::1%25lo]", "[2606:4700:4700::1111%25eth0]"];
    for (host, answer) in asked(&world, zones.map(str::to_owned).to_vec()).await {
        assert_eq!(answer.violations(), ["url"], "{host}: a zone is a matter of one machine");
    }
}
