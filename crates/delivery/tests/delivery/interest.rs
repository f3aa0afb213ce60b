//! Who gets which event.

use reelhook_domain::endpoint::EndpointRole;
use reelhook_domain::event::EventFilter;
use reelhook_domain::job::{Dialect, JobWebhook};
use reelhook_store::{DefaultWebhook, Endpoints, JobEndpoint, Settings as _};
use reelhook_testkit::{Received, Receiver};

use crate::world::{PATIENCE, World, kind, number};

fn filter(pattern: &str) -> EventFilter {
    EventFilter::new(vec![pattern.to_owned()])
}

fn kinds(received: &[Received]) -> Vec<String> {
    received.iter().map(kind).collect()
}

async fn webhook(world: &World, role: EndpointRole, receiver: &Receiver) -> JobWebhook {
    let wanted = JobEndpoint {
        account: world.account,
        role,
        url: receiver.url("/"),
        dialect: Dialect::Native,
        timeout_ms: 15_000,
        headers: None,
        tls: None,
    };
    let endpoint = world.store.endpoint_for(wanted).await.unwrap().id;
    JobWebhook { endpoint, events: EventFilter::default() }
}

#[tokio::test]
async fn a_filter_decides_what_an_endpoint_gets() {
    let world = World::start().await;
    let (all, paid) = (Receiver::start().await, Receiver::start().await);
    world.endpoint(all.url("/")).await;
    world.endpoint_with(paid.url("/"), |endpoint| endpoint.events = filter("invoice.*")).await;
    for kind in ["order.made", "invoice.paid", "order.sent", "invoice.void"] {
        world.publish(kind, 1).await;
    }
    all.wait_for(4, PATIENCE).await;
    // Events that are not of one job may be on their way together.
    let mut got = paid.wait_for(2, PATIENCE).await;
    got.sort_by_key(|request| request.header("reelhook-sequence").to_owned());
    assert_eq!(kinds(&got), ["invoice.paid", "invoice.void"]);
    assert_eq!(got[1].header("reelhook-sequence"), "2", "numbered without gaps");
}

#[tokio::test]
async fn an_event_for_one_endpoint_reaches_no_other() {
    let world = World::start().await;
    let (one, other) = (Receiver::start().await, Receiver::start().await);
    let only = world.endpoint_with(one.url("/"), |endpoint| endpoint.events = filter("nothing")).await;
    world.endpoint(other.url("/")).await;
    world.publish_only("webhook.test", 1, Some(only)).await;
    world.publish("order.made", 2).await;
    assert_eq!(kinds(&one.wait_for(1, PATIENCE).await), ["webhook.test"]);
    assert_eq!(other.wait_for(1, PATIENCE).await.iter().map(number).collect::<Vec<_>>(), [2]);
}

#[tokio::test]
async fn the_webhook_of_a_job_takes_the_place_of_the_default_one() {
    let world = World::start().await;
    let (own, default, registered) = (Receiver::start().await, Receiver::start().await, Receiver::start().await);
    world.endpoint_with(registered.url("/"), |endpoint| endpoint.events = filter("job.created")).await;
    let of_job = webhook(&world, EndpointRole::Job, &own).await;
    let JobWebhook { endpoint, events } = webhook(&world, EndpointRole::Default, &default).await;
    let default_webhook = DefaultWebhook { endpoint, events };
    world.store.set_default_webhook(world.account, Dialect::Native, Some(default_webhook)).await.unwrap();

    world.submit(Some(of_job)).await;
    world.verify(&own.wait_for(1, PATIENCE).await[0]);
    world.fail_job().await;
    own.wait_for(2, PATIENCE).await;
    world.submit(None).await;
    world.verify(&default.wait_for(1, PATIENCE).await[0]);
    world.fail_job().await;
    world.publish("order.made", 1).await;

    assert_eq!(kinds(&own.wait_for(2, PATIENCE).await), ["job.created", "job.failed"]);
    assert_eq!(kinds(&default.wait_for(2, PATIENCE).await), ["job.created", "job.failed"]);
    assert_eq!(kinds(&registered.wait_for(2, PATIENCE).await), ["job.created", "job.created"]);
}

#[tokio::test]
async fn a_filter_given_with_a_job_holds_for_that_job() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    let mut webhook = webhook(&world, EndpointRole::Job, &receiver).await;
    webhook.events = filter("job.failed");
    world.submit(Some(webhook)).await;
    world.fail_job().await;
    assert_eq!(kinds(&receiver.wait_for(1, PATIENCE).await), ["job.failed"]);
}

#[tokio::test]
async fn two_engines_on_one_store_send_each_event_once() {
    let mut world = World::start().await;
    let receiver = Receiver::start().await;
    let endpoint = world.endpoint(receiver.url("/")).await;
    let stop = tokio_util::sync::CancellationToken::new();
    let second = tokio::spawn(world.engine().run(stop.clone()));
    for _ in 0..10 {
        world.publish_many(10).await;
    }
    world
        .wait_until(endpoint, |found| found.len() == 100 && found.iter().all(|one| one.state.name() == "delivered"))
        .await;
    assert_eq!(receiver.requests().len(), 100);
    stop.cancel();
    second.await.unwrap();
    world.stop_engine().await;
}
