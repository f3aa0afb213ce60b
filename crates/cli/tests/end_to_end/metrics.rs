//! `/metrics`: what operators' machines read.

use std::collections::{BTreeMap, BTreeSet};

use reelhook_testkit::clips::{self, Clip};
use reelhook_testkit::{Receiver, Reply};
use serde_json::json;

use crate::world::{Serve, World, eventually};

const PAGE: &str = include_str!("../../../../docs/metrics.md");

/// Series with their values; a series is a name with its labels, but for the bounds of histograms.
async fn series(world: &World) -> BTreeMap<String, f64> {
    let text = String::from_utf8(world.get("/metrics").await.body.to_vec()).expect("metrics are text");
    let samples = text.lines().filter(|line| !line.starts_with('#') && !line.contains("_bucket{"));
    samples
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').expect("it is there");
            (series.to_owned(), value.parse().expect("a value is a number"))
        })
        .collect()
}

/// Families with their types and the names of their labels.
async fn families(world: &World) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let text = String::from_utf8(world.get("/metrics").await.body.to_vec()).expect("metrics are text");
    assert!(text.ends_with("# EOF\n"));
    let mut families = BTreeMap::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').expect("it is there");
        let mut labels = BTreeSet::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, rest)) = line.split_once('{') else { continue };
            if !["", "_total", "_bucket"].iter().any(|suffix| series == format!("{name}{suffix}")) {
                continue;
            }
            let inside = rest.rsplit_once('}').expect("it is there").0;
            let names = inside.split("\",").map(|label| label.split_once('=').expect("it is there").0.to_owned());
            labels.extend(names.filter(|name| name != "le"));
        }
        assert!(families.insert(name.to_owned(), (kind.to_owned(), labels)).is_none(), "{name} appears twice");
    }
    families
}

async fn publish(world: &World, kind: &str) {
    world.post("/v1/events", &json!({"type": kind, "payload": {}})).await.expect(202);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_endpoints_make_no_series_more_than_one() {
    let (world, receiver) = tokio::join!(World::start(Serve::dev()), Receiver::start());
    let add = async |number: usize| {
        let url = receiver.url(&format!("/hook-{number}?token=hidden"));
        world.post("/v1/endpoints", &json!({"url": url, "events": ["a.*"]})).await.expect(201);
    };
    let delivered = async |count: f64| {
        eventually("all is delivered", async || {
            let series = series(&world).await;
            series["reelhook_delivery_attempts_total{outcome=\"delivered\"}"] >= count
                && series["reelhook_delivery_in_flight"] == 0.0
        })
        .await;
    };
    add(0).await;
    publish(&world, "a.first").await;
    delivered(1.0).await;
    // The worker shows its own once it knows its tools.
    eventually("the worker is ready", async || series(&world).await.contains_key("reelhook_worker_slots")).await;
    let before = series(&world).await;
    for number in 1..1000 {
        add(number).await;
    }
    publish(&world, "a.second").await;
    delivered(1001.0).await;
    let after = series(&world).await;
    assert!(before.keys().eq(after.keys()), "{before:#?}\n{after:#?}");
    assert_eq!(after["reelhook_endpoints{state=\"enabled\"}"], 1000.0);
    assert_eq!(after["reelhook_delivery_first_attempt_delay_seconds_count"], 1001.0);
    assert_eq!(after["reelhook_delivery_delay_seconds_count"], 1001.0);
    assert_eq!(after["reelhook_delivery_fanned_out_total"], 1001.0);

    let text = String::from_utf8(world.get("/metrics").await.body.to_vec()).unwrap();
    for stranger in ["127.0.0.1", "http:", "hook-", "hidden", "ep_", "acc_", "evt_", "dlv_"] {
        assert!(!text.contains(stranger), "{stranger} is in the metrics");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_and_disabled_endpoints_are_counted_by_kind() {
    let (world, receiver) = tokio::join!(World::start(Serve::dev()), Receiver::start());
    for status in [302, 404, 429, 500, 410] {
        receiver.then(Reply::status(status));
    }
    let add = async |url: &str, number: usize| {
        let endpoint = json!({"url": url, "events": [format!("a.{number}")], "retry_seconds": [0]});
        world.post("/v1/endpoints", &endpoint).await.expect(201);
    };
    for number in 0..5 {
        add(receiver.url(&format!("/{number}")).as_str(), number).await;
        publish(&world, &format!("a.{number}")).await;
        receiver.wait_for(number + 1, crate::world::PATIENCE).await;
    }
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    add(&format!("http://{closed}/"), 5).await;
    publish(&world, "a.5").await;
    eventually("each outcome is counted", async || {
        let series = series(&world).await;
        let counted = |outcome: &str| series[&format!("reelhook_delivery_attempts_total{{outcome=\"{outcome}\"}}")];
        let kinds = ["http_3xx", "http_4xx", "http_429", "http_5xx", "gone", "refused"];
        kinds.iter().all(|kind| counted(kind) == 1.0) && series["reelhook_endpoints{state=\"disabled\"}"] == 1.0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_metrics_names_each_with_its_type_and_labels_and_no_other() {
    let (world, receiver) = tokio::join!(World::start(Serve::dev()), Receiver::start());
    let upload = world.upload("a.mp4", clips::bytes(Clip::Video)).await;
    let job = json!({
        "input": {"upload": upload},
        "outputs": [{"recipe": "thumbnail", "width": 64}],
        "webhook": {"url": receiver.url("/")},
    });
    world.job_ended(&world.submit(&job).await, "completed").await;
    let series = series(&world).await;
    assert_eq!(series["reelhook_jobs_ended_total{state=\"completed\"}"], 1.0);
    assert!(series["reelhook_store_commit_seconds_count"] > 0.0);
    for stage in ["fetch", "probe", "plan", "run", "verify", "store"] {
        let noted = series[&format!("reelhook_job_stage_seconds_count{{stage=\"{stage}\"}}")];
        assert!(noted > 0.0, "the stage {stage} was not noted");
    }

    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `reelhook_"));
    let mut written = BTreeMap::new();
    for row in rows {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let labels = cells[2].split(',').map(|label| label.trim().trim_matches('`').to_owned());
        let labels: BTreeSet<_> = labels.filter(|label| !label.is_empty()).collect();
        let name = cells[0].trim_end_matches('`').trim_end_matches("_total");
        written.insert(format!("reelhook_{name}"), (cells[1].to_owned(), labels));
    }
    assert_eq!(written, families(&world).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_openmetrics_but_for_those_who_take_plain_text_alone() {
    let world = World::start(Serve::dev()).await;
    let prometheus = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    for (accept, kind) in [
        (None, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        (Some("*/*"), "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        (Some(prometheus), "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        (
            Some("text/plain, application/openmetrics-text"),
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
        (Some("application/json, Text/Plain;q=0.5"), "text/plain; charset=utf-8"),
    ] {
        let headers: Vec<_> = accept.map(|accept| ("accept", accept)).into_iter().collect();
        let answer = world.get_with("/metrics", &headers).await;
        assert_eq!(answer.headers["content-type"], kind, "{accept:?}");
        assert!(answer.body.ends_with(b"# EOF\n"), "{accept:?}");
    }
    let document = world.get("/openapi.json").await.expect(200);
    let documented =
        document["paths"]["/metrics"]["get"]["responses"]["200"]["content"].as_object().expect("it has types");
    let documented: BTreeSet<_> = documented.keys().map(String::as_str).collect();
    assert_eq!(documented, BTreeSet::from(["application/openmetrics-text", "text/plain"]));
}

/// The names of metrics in a text, each with the names of the labels that it is asked for by.
fn asked(text: &str) -> BTreeSet<(String, String)> {
    let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let mut asked = BTreeSet::new();
    for (at, _) in text.match_indices("reelhook_") {
        let rest = &text[at..];
        let end = rest.find(|character| !is_word(character)).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let inside = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map_or("", |(inside, _)| inside);
        let labels = inside.split(',').filter_map(|label| label.split_once('=')).map(|(label, _)| label);
        asked.extend(labels.chain([""]).map(|label| (name.to_owned(), label.trim().to_owned())));
    }
    asked
}

#[test]
fn every_metric_of_the_alerts_and_of_the_board_is_on_the_page() {
    let board = include_str!("../../../../deploy/grafana/reelhook.json");
    let board: serde_json::Value = serde_json::from_str(board).expect("the board is JSON");
    let panels = board["panels"].as_array().expect("it has panels");
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().expect("a panel shows something"));
    let shown: Vec<_> = targets.map(|target| target["expr"].as_str().expect("it is text")).collect();
    let alerts = include_str!("../../../../deploy/prometheus/alerts.yml");
    let alerts: Vec<_> = alerts.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).collect();
    assert!(alerts.len() > 5 && shown.len() > 15, "{alerts:?} {shown:?}");
    let rows: BTreeMap<_, _> = PAGE
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `reelhook_")?.split('|');
            let name = format!("reelhook_{}", cells.next()?.trim().trim_end_matches('`'));
            Some((name, (cells.next()?.trim(), cells.next()?)))
        })
        .collect();
    for (name, label) in asked(&alerts.join("\n")).into_iter().chain(asked(&shown.join("\n"))) {
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(&name);
        let Some((kind, labels)) = rows.get(family) else { panic!("{name} is not on docs/metrics.md") };
        assert_eq!(*kind == "histogram", family != name, "{name} is a {kind}");
        assert!(label.is_empty() || labels.contains(&format!("`{label}`")), "{name} has no label {label}");
    }
}
