//! Traces: what a collector gets of a job, from its submission to the attempt of its webhook.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use reelhook_domain::id::JobId;
use reelhook_testkit::clips::{self, Clip};
use reelhook_testkit::{Manners, Origin, Received, Receiver, Reply};
use serde_json::json;

use crate::world::{PATIENCE, Serve, World};

fn spans(requests: &[Received]) -> Vec<Span> {
    let mut spans = Vec::new();
    for request in requests {
        assert_eq!((request.path.as_str(), request.header("content-type")), ("/v1/traces", "application/x-protobuf"));
        assert_eq!(request.header("x-collector-key"), "secret-of-the-collector");
        let body = ExportTraceServiceRequest::decode(request.body.clone()).expect("it is there");
        for resource in body.resource_spans {
            let of = resource.resource.expect("it is there").attributes;
            assert!(of.iter().any(|attribute| attribute.key == "service.name"));
            spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    }
    spans
}

fn tag<'a>(span: &'a Span, name: &str) -> Option<&'a str> {
    let value = span.attributes.iter().find(|attribute| attribute.key == name)?.value.as_ref()?.value.as_ref()?;
    if let Any::StringValue(text) = value { Some(text) } else { None }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_gets_one_trace_of_a_job_from_its_submission_to_its_webhook() {
    let (collector, receiver, origin) = tokio::join!(Receiver::start(), Receiver::start(), Origin::start());
    receiver.then(Reply::status(500));
    let serve = Serve::dev()
        .set("telemetry.otlp_endpoint", collector.url("/"))
        .set("telemetry.otlp_headers", "x-collector-key=secret-of-the-collector");
    let mut world = World::start(serve).await;
    let mut input = origin.put("/clip.mp4", clips::bytes(Clip::Video), Manners::Good);
    input.set_query(Some("token=secret-of-the-input"));
    let job = json!({
        "input": {"url": input},
        "outputs": [{"recipe": "thumbnail", "width": 64}],
        "webhook": {"url": receiver.url("/hook?token=secret-of-the-hook"), "events": ["job.completed"]},
    });
    let id = world.submit(&job).await;
    world.job_ended(&id, "completed").await;
    receiver.wait_for(1, PATIENCE).await;
    // Nothing waits for a second: what was not sent yet is sent when the server ends.
    world.terminate().await;

    let all = spans(&collector.requests());
    let job: JobId = id.parse().unwrap();
    let trace: Vec<_> = all.iter().filter(|span| span.trace_id == job.to_bytes()).collect();
    let mut by_name: BTreeMap<&str, Vec<&Span>> = BTreeMap::new();
    for span in &trace {
        by_name.entry(&span.name).or_default().push(span);
        assert!(span.end_time_unix_nano >= span.start_time_unix_nano && span.start_time_unix_nano > 0);
        assert_eq!(tag(span, "job.id"), Some(id.as_str()), "{}", span.name);
    }
    let [root] = by_name["job"][..] else { panic!("{by_name:?}") };
    assert!(root.parent_span_id.is_empty() && root.span_id == job.to_bytes()[8..]);
    for name in ["submit", "wait", "fetch", "probe", "plan", "run", "verify", "store", "event"] {
        let spans = by_name.get(name).unwrap_or_else(|| panic!("nothing tells of {name}: {:?}", by_name.keys()));
        assert!(spans.iter().all(|span| span.parent_span_id == root.span_id), "{name}");
    }
    let begins = |name: &str| by_name[name][0].start_time_unix_nano;
    let walk = ["submit", "fetch", "probe", "plan", "run", "verify", "store", "attempt"];
    assert!(walk.iter().map(|name| begins(name)).is_sorted(), "{trace:#?}");

    let is_of = |span: &&&Span| tag(span, "event.type") == Some("job.completed");
    let event = by_name["event"].iter().find(is_of).unwrap();
    let attempt = by_name["attempt"][0];
    assert_eq!(attempt.parent_span_id, event.span_id);
    assert!(tag(attempt, "delivery.id").unwrap().starts_with("dlv_"));
    assert!(tag(attempt, "endpoint.id").unwrap().starts_with("ep_"));
    assert_eq!(attempt.status.as_ref().unwrap().message, "http_5xx");

    let everything = format!("{all:?}");
    for secret in ["secret-of", "127.0.0.1", "whsec", "token"] {
        assert!(!everything.contains(secret), "{secret} is in a trace");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_hangs_or_refuses_delays_nothing() {
    for reply in [Reply::hang(), Reply::status(400), Reply::reset()] {
        let (collector, receiver) = tokio::join!(Receiver::start(), Receiver::start());
        collector.otherwise(reply);
        let world = World::start(Serve::dev().set("telemetry.otlp_endpoint", collector.url("/"))).await;
        world.post("/v1/endpoints", &json!({"url": receiver.url("/"), "events": ["a.*"]})).await.expect(201);
        for _ in 0..20 {
            world.post("/v1/events", &json!({"type": "a.b", "payload": {}})).await.expect(202);
        }
        receiver.wait_for(20, PATIENCE).await;
        collector.wait_for(1, PATIENCE).await;
    }
}
