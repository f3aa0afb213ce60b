//! Who is interested, without a store.

use std::sync::Arc;

use reelhook_domain::circuit::Circuit;
use reelhook_domain::endpoint::{Endpoint, EndpointRole, EndpointState};
use reelhook_domain::event::{Event, EventFilter, EventType};
use reelhook_domain::id::{AccountId, EndpointId, EventId, JobId};
use reelhook_domain::job::{Dialect, JobWebhook};
use reelhook_domain::time::Timestamp;
use reelhook_domain::tls::EndpointTls;
use reelhook_store::{DefaultWebhook, OutboxEvent};
use serde_json::{Value, json};

use super::directory::Directory;
use super::planner::Ids;

const ACCOUNT: AccountId = AccountId::from_bits(1);

fn id(number: u128) -> EndpointId {
    EndpointId::from_bits(number)
}

fn endpoint(number: u128, role: EndpointRole, patterns: &[&str]) -> Arc<Endpoint> {
    Arc::new(Endpoint {
        id: id(number),
        account: ACCOUNT,
        role,
        url: "https://example.com/hook".parse().unwrap(),
        events: filter(patterns),
        dialect: Dialect::Native,
        description: String::new(),
        headers: Default::default(),
        retry: None,
        rate: None,
        timeout_ms: 15_000,
        state: EndpointState::Enabled,
        disabled_reason: None,
        circuit: Circuit::default(),
        tls: EndpointTls::default(),
        failing: None,
        created_at: Timestamp::default(),
    })
}

fn filter(patterns: &[&str]) -> EventFilter {
    EventFilter::new(patterns.iter().map(|&pattern| pattern.to_owned()).collect())
}

/// Registered 1 (everything) and 2 (invoices); 8 is the default webhook, 9 that of a job.
fn directory() -> Directory {
    let registered =
        vec![endpoint(1, EndpointRole::Registered, &[]), endpoint(2, EndpointRole::Registered, &["invoice.*"])];
    let others = [endpoint(8, EndpointRole::Default, &[]), endpoint(9, EndpointRole::Job, &[])];
    let by_id = registered.iter().chain(&others).map(|endpoint| (endpoint.id, Arc::clone(endpoint))).collect();
    let default = DefaultWebhook { endpoint: id(8), events: EventFilter::default() };
    Directory {
        version: 0,
        registered: [(ACCOUNT, registered)].into(),
        defaults: [((ACCOUNT, Dialect::Native), Some(default))].into(),
        by_id,
    }
}

fn outgoing(kind: &str, job: Option<u128>) -> OutboxEvent {
    let event = Event {
        id: EventId::from_bits(1),
        sequence: 1,
        account: ACCOUNT,
        kind: kind.parse().unwrap(),
        at: Timestamp::default(),
        job: job.map(JobId::from_bits),
        data: Value::Null.into(),
    };
    OutboxEvent { event, webhook: None, dialect: Dialect::Native, only: None }
}

fn interested(outgoing: &OutboxEvent) -> Vec<u128> {
    directory().interested(outgoing).iter().map(|endpoint| endpoint.id.bits()).collect()
}

#[test]
fn everybody_gets_what_he_wants_and_nobody_twice() {
    assert_eq!(interested(&outgoing("invoice.paid", None)), [1, 2]);
    assert_eq!(interested(&outgoing("order.made", None)), [1]);
    assert_eq!(interested(&outgoing("job.completed", Some(1))), [1, 8]);
    assert_eq!(interested(&outgoing("job.progress", Some(1))), [0; 0]);

    let webhook = |number, patterns| Some(JobWebhook { endpoint: id(number), events: filter(patterns) });
    let own = OutboxEvent { webhook: webhook(9, &[]), ..outgoing("job.completed", Some(1)) };
    assert_eq!(interested(&own), [1, 9], "instead of the default one");
    let unwanted = OutboxEvent { webhook: webhook(9, &["job.failed"]), ..outgoing("job.completed", Some(1)) };
    assert_eq!(interested(&unwanted), [1], "the default one does not step in");
    let twice = OutboxEvent { webhook: webhook(1, &[]), ..outgoing("job.completed", Some(1)) };
    assert_eq!(interested(&twice), [1]);
}

#[test]
fn an_event_for_one_endpoint_passes_its_filter_but_not_the_account() {
    let only = OutboxEvent { only: Some(id(2)), ..outgoing("webhook.test", None) };
    assert_eq!(interested(&only), [2]);
    let deleted = OutboxEvent { only: Some(id(77)), ..outgoing("webhook.test", None) };
    assert_eq!(interested(&deleted), [0; 0]);
    let mut foreign = only;
    foreign.event.account = AccountId::from_bits(2);
    assert_eq!(interested(&foreign), [0; 0]);
}

#[test]
fn the_disabled_endpoint_is_not_told_of_itself() {
    let mut told = outgoing(EventType::ENDPOINT_DISABLED, None);
    assert_eq!(interested(&told), [1]);
    told.event.data = json!({"endpoint": id(1)}).into();
    assert_eq!(interested(&told), [0; 0]);
}

#[test]
fn ids_of_a_batch_are_in_order() {
    let (ambient, _) = reelhook_testkit::ambient();
    let mut ids = Ids::new(&ambient);
    let made: Vec<_> = (0..1000).map(|_| ids.next()).collect();
    assert!(made.is_sorted_by(|one, next| one < next));
    assert_eq!(made[999].bits() >> 64, made[0].bits() >> 64, "counting stays below the bits of time and version");
}
