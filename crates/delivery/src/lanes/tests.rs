//! The rules of lanes, without a runtime.

use proptest::prelude::*;
use reelhook_domain::circuit::Circuit;
use reelhook_domain::delivery::{AttemptTimings, Delivery, DeliveryState, Outcome, Wait};
use reelhook_domain::endpoint::{EndpointRole, EndpointState, Failing, Rate};
use reelhook_domain::event::EventFilter;
use reelhook_domain::id::{AttemptId, DeliveryId, EventId, JobId};
use reelhook_domain::job::Dialect;
use reelhook_domain::retry::RetrySchedule;

use reelhook_domain::event::EventType;
use reelhook_domain::tls::EndpointTls;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_000_000_000);
/// Past every serial number, as when all endings were written.
const ALL_WRITTEN: u64 = u64::MAX;

fn endpoint(number: u128, account: u128) -> Arc<Endpoint> {
    Arc::new(Endpoint {
        id: EndpointId::from_bits(number),
        account: AccountId::from_bits(account),
        role: EndpointRole::Registered,
        url: "https://example.com/hook".parse().unwrap(),
        events: EventFilter::default(),
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
        created_at: NOW,
    })
}

/// A delivery to an endpoint: its number is its id, its sequence and its token.
fn work(to: &Endpoint, number: i64, attempts: u32, job: Option<u128>, event_type: &str) -> ClaimedDelivery {
    let delivery = Delivery {
        id: DeliveryId::from_bits(u128::try_from(number).unwrap()),
        account: to.account,
        event: EventId::from_bits(1),
        event_type: event_type.to_owned(),
        job: job.map(JobId::from_bits),
        endpoint: to.id,
        sequence: number,
        state: DeliveryState::Sending { until: NOW },
        attempts,
        schedule_offset: 0,
        waiting_reason: None,
        created_at: NOW,
        finished_at: None,
    };
    ClaimedDelivery { delivery, token: number, body: "{}".into() }
}

fn attempt(work: &ClaimedDelivery, outcome: Outcome) -> Attempt {
    Attempt {
        id: AttemptId::from_bits(1),
        number: work.delivery.attempts + 1,
        at: NOW,
        outcome,
        address: None,
        timings_ms: AttemptTimings::default(),
        response_headers: Vec::new(),
        response_body: String::new(),
    }
}

fn status(status: u16) -> Outcome {
    Outcome::Status { status, retry_after_ms: None }
}

/// Lanes with the settings of a test, past the first claim.
fn lanes(settings: Settings) -> Lanes {
    let mut lanes = Lanes::new(settings);
    let room = lanes.room(NOW, 0);
    lanes.claimed(&room, Vec::new(), NOW);
    lanes
}

fn roomy() -> Lanes {
    lanes(Settings::default())
}

impl Lanes {
    fn give(&mut self, work: ClaimedDelivery, endpoint: &Arc<Endpoint>) {
        self.offer(Arrival { work, endpoint: Arc::clone(endpoint) }, Origin::FanOut, ALL_WRITTEN, NOW);
    }

    fn all_next(&mut self, now: Timestamp) -> Vec<ClaimedDelivery> {
        std::iter::from_fn(|| self.next(now)).collect()
    }

    fn end(&mut self, work: &ClaimedDelivery, endpoint: &Arc<Endpoint>, answer: u16) {
        self.ended(work, endpoint, attempt(work, status(answer)), NOW, 0.5);
    }

    /// Number and reason of what was given back.
    fn given_back(&mut self) -> Vec<(u128, &'static str)> {
        let given_back = |ending: Ending| match ending.settlement {
            settlement if settlement.attempt.is_some() => None,
            settlement => match settlement.verdict {
                Verdict::Retry { reason, .. } => Some((settlement.delivery.bits(), reason)),
                Verdict::Delivered | Verdict::Exhausted | Verdict::Gone => panic!("given back with an end"),
            },
        };
        self.take_endings().into_iter().filter_map(given_back).collect()
    }
}

fn numbers(works: &[ClaimedDelivery]) -> Vec<i64> {
    works.iter().map(|work| work.delivery.sequence).collect()
}

#[test]
fn first_tries_go_before_retries() {
    let (mut lanes, to) = (roomy(), endpoint(1, 1));
    for (number, attempts) in [(1, 3), (2, 1), (3, 0), (4, 0)] {
        lanes.give(work(&to, number, attempts, None, "a.b"), &to);
    }
    assert_eq!(numbers(&lanes.all_next(NOW)), [3, 4, 1, 2]);
}

#[test]
fn a_later_event_of_a_job_waits_for_the_first_try_of_an_earlier_one() {
    let (mut lanes, to) = (roomy(), endpoint(1, 1));
    for (number, job) in [(1, 7), (2, 7), (3, 8), (4, 7)] {
        lanes.give(work(&to, number, 0, Some(job), "job.completed"), &to);
    }
    let out = lanes.all_next(NOW);
    assert_eq!(numbers(&out), [1, 3]);
    lanes.end(&out[0], &to, 500);
    assert_eq!(numbers(&lanes.all_next(NOW)), [2], "the first try ended, though not well");
}

#[test]
fn only_the_latest_progress_waits_and_none_once_a_job_ended() {
    let (mut lanes, to) = (roomy(), endpoint(1, 1));
    for number in 1..=4 {
        lanes.give(work(&to, number, 0, None, "filler"), &to);
    }
    assert_eq!(lanes.all_next(NOW).len(), 4, "the lane is as wide as it starts");
    for number in 5..=7 {
        lanes.give(work(&to, number, 0, Some(7), EventType::JOB_PROGRESS), &to);
    }
    assert_eq!(lanes.given_back(), [(5, "superseded"), (6, "superseded")]);
    lanes.give(work(&to, 8, 0, Some(7), EventType::JOB_COMPLETED), &to);
    assert_eq!(lanes.given_back(), [(7, "superseded")]);
}

#[test]
fn progress_that_is_out_does_not_delay_the_end_of_its_job() {
    let (mut lanes, to) = (roomy(), endpoint(1, 1));
    lanes.give(work(&to, 1, 0, Some(7), EventType::JOB_PROGRESS), &to);
    assert_eq!(numbers(&lanes.all_next(NOW)), [1]);
    lanes.give(work(&to, 2, 0, Some(7), EventType::JOB_COMPLETED), &to);
    assert_eq!(numbers(&lanes.all_next(NOW)), [2]);
}

#[test]
fn lanes_take_turns() {
    let (mut lanes, one, two) = (roomy(), endpoint(1, 1), endpoint(2, 1));
    for number in 1..=3 {
        lanes.give(work(&one, number, 0, None, "a.b"), &one);
    }
    for number in 11..=13 {
        lanes.give(work(&two, number, 0, None, "a.b"), &two);
    }
    assert_eq!(numbers(&lanes.all_next(NOW)), [1, 11, 2, 12, 3, 13]);
}

#[test]
fn a_pool_full_of_black_holes_has_room_for_a_healthy_endpoint() {
    let mut lanes = lanes(Settings { in_flight: 16, ..Settings::default() });
    for hole in 1..=5 {
        let hole_endpoint = endpoint(hole, hole);
        for number in 1..=10 {
            let number = i64::try_from(hole).unwrap() * 100 + number;
            lanes.give(work(&hole_endpoint, number, 0, None, "a.b"), &hole_endpoint);
        }
    }
    assert_eq!(lanes.all_next(NOW).len(), 14, "an eighth of the pool is kept");
    let healthy = endpoint(9, 9);
    lanes.give(work(&healthy, 1, 0, None, "a.b"), &healthy);
    assert_eq!(numbers(&lanes.all_next(NOW)), [1]);
}

#[test]
fn an_account_with_many_endpoints_gets_no_more_than_an_account_with_one() {
    let mut lanes = lanes(Settings { in_flight: 8, ..Settings::default() });
    let many: Vec<_> = (1..=20).map(|number| endpoint(number, 1)).collect();
    for (number, to) in (1..).zip(&many) {
        lanes.give(work(to, number, 0, None, "a.b"), to);
    }
    let mut out = lanes.all_next(NOW);
    assert_eq!(out.len(), 8, "the whole pool, while nobody else wants any");
    let single = endpoint(100, 2);
    for number in 101..=110 {
        lanes.give(work(&single, number, 0, None, "a.b"), &single);
    }
    let mut got = Vec::new();
    for _ in 0..5 {
        got.extend(numbers(&lanes.all_next(NOW)));
        let work = out.pop().unwrap();
        let to = Arc::clone(&many[usize::try_from(work.delivery.sequence).unwrap() - 1]);
        lanes.end(&work, &to, 200);
    }
    assert_eq!(got, [101, 102, 103], "what ends goes to the one with less, until both hold four");
}

#[test]
fn eight_failures_open_the_circuit_and_give_back_what_waits() {
    let (mut lanes, to) = (roomy(), endpoint(1, 1));
    for number in 1..=20 {
        lanes.give(work(&to, number, 0, None, "a.b"), &to);
    }
    let mut failed = 0;
    while let Some(out) = lanes.next(NOW) {
        lanes.end(&out, &to, 500);
        failed += 1;
    }
    assert_eq!(failed, 8);
    let back: Vec<_> = (9..=20).map(|number| (number, "circuit_open")).collect();
    assert_eq!(lanes.given_back(), back);
    let room = lanes.room(NOW, ALL_WRITTEN);
    assert_eq!((room.except, room.opens), (vec![to.id], Some(NOW + Duration::from_secs(30))));
}

#[test]
fn one_probe_goes_when_the_circuit_half_opens() {
    let open = Circuit::Open { until: NOW, times: 1 };
    let (mut lanes, to) = (roomy(), endpoint(1, 1));
    let to = Arc::new(Endpoint { circuit: open, ..(*to).clone() });
    for number in 1..=5 {
        lanes.give(work(&to, number, 0, None, "a.b"), &to);
    }
    let probe = lanes.all_next(NOW);
    assert_eq!(numbers(&probe), [1]);
    lanes.end(&probe[0], &to, 200);
    assert_eq!(lanes.all_next(NOW).len(), 4);
}

#[test]
fn a_probe_that_was_not_made_does_not_lock_the_lane() {
    let open = Circuit::HalfOpen { times: 1 };
    let (mut lanes, to) = (roomy(), endpoint(1, 1));
    let to = Arc::new(Endpoint { circuit: open, ..(*to).clone() });
    lanes.give(work(&to, 1, 0, None, "a.b"), &to);
    lanes.give(work(&to, 2, 0, None, "a.b"), &to);
    let probe = lanes.next(NOW).expect("a probe of another process is not waited for");
    lanes.untried(&probe, Verdict::Retry { at: NOW, reason: "store_unavailable" }, NOW);
    assert_eq!(numbers(&lanes.all_next(NOW)), [2]);
}

#[test]
fn what_a_lane_cannot_hold_is_given_back_and_what_follows_goes_behind_it() {
    let mut lanes = lanes(Settings { lane_queue: 2, ..Settings::default() });
    let to = endpoint(1, 1);
    for number in 1..=3 {
        lanes.give(work(&to, number, 0, None, "a.b"), &to);
    }
    assert_eq!(lanes.given_back(), [(3, "lane_full")]);
    assert_eq!(lanes.all_next(NOW).len(), 2);
    lanes.give(work(&to, 4, 0, None, "a.b"), &to);
    assert_eq!(lanes.given_back(), [(4, "lane_full")], "3 waits in the store");

    // A claim from before they were written proves nothing.
    let room = lanes.room(NOW, 1);
    lanes.claimed(&room, Vec::new(), NOW);
    lanes.give(work(&to, 5, 0, None, "a.b"), &to);
    assert_eq!(lanes.given_back(), [(5, "lane_full")]);

    let room = lanes.room(NOW, 3);
    lanes.claimed(&room, Vec::new(), NOW);
    lanes.give(work(&to, 6, 0, None, "a.b"), &to);
    assert_eq!(lanes.given_back(), []);
}

#[test]
fn room_that_comes_back_is_told() {
    let mut lanes = lanes(Settings { lane_queue: 4, ..Settings::default() });
    let to = endpoint(1, 1);
    for number in 1..=4 {
        lanes.give(work(&to, number, 0, None, "a.b"), &to);
    }
    assert_eq!(lanes.room(NOW, 0).except, [to.id]);
    assert!(!lanes.take_new_room());
    assert!(lanes.next(NOW).is_some());
    assert!(lanes.take_new_room());
    assert_eq!(lanes.room(NOW, 0).except, []);
}

#[test]
fn a_lane_that_is_limited_waits_for_its_token() {
    let (mut lanes, to) = (roomy(), endpoint(1, 1));
    let to = Arc::new(Endpoint { rate: Some(Rate { per_second: 2.0, burst: 1 }), ..(*to).clone() });
    for number in 1..=3 {
        lanes.give(work(&to, number, 0, None, "a.b"), &to);
    }
    assert_eq!(numbers(&lanes.all_next(NOW)), [1]);
    let next = NOW + Duration::from_millis(500);
    assert_eq!(lanes.next_at(), Some(next));
    assert_eq!(numbers(&lanes.all_next(next)), [2]);
}

#[test]
fn a_delivery_says_what_it_waits_for() {
    let mut known = roomy();
    let rate = Some(Rate { per_second: 1.0, burst: 1 });
    let (slow, busy, ordered) =
        (Arc::new(Endpoint { rate, ..(*endpoint(1, 1)).clone() }), endpoint(2, 1), endpoint(3, 1));
    (1..=3).for_each(|number| known.give(work(&slow, number, 0, None, "a.b"), &slow));
    (11..=15).for_each(|number| known.give(work(&busy, number, 0, None, "a.b"), &busy));
    (21..=22).for_each(|number| known.give(work(&ordered, number, 0, Some(7), "a.b"), &ordered));
    known.all_next(NOW);
    let asked = |to: &Endpoint, number| (to.id, DeliveryId::from_bits(number));
    let mut waits =
        |to, number| known.waits(vec![asked(to, number), asked(to, 99)], NOW).into_values().collect::<Vec<_>>();
    let rated = |seconds| Wait { reason: "rate", until: Some(NOW + Duration::from_secs(seconds)) };
    let table = [
        (&slow, 1, Wait::of("sending")),
        (&slow, 2, rated(1)),
        (&slow, 3, rated(2)),
        (&busy, 14, Wait::of("sending")),
        (&busy, 15, Wait::of("concurrency")),
        (&ordered, 22, Wait::of("job_order")),
    ];
    for (to, number, wait) in table {
        assert_eq!(waits(to, number), [wait], "{number}");
    }
    assert!(waits(&endpoint(4, 1), 1).is_empty(), "another process has it");

    let mut narrow = lanes(Settings { in_flight: 1, ..Settings::default() });
    narrow.give(work(&busy, 1, 0, None, "a.b"), &busy);
    narrow.give(work(&ordered, 2, 0, None, "a.b"), &ordered);
    assert_eq!(numbers(&narrow.all_next(NOW)), [1]);
    let waits = narrow.waits(vec![asked(&busy, 1), asked(&ordered, 2)], NOW);
    assert_eq!(waits[&DeliveryId::from_bits(1)], Wait::of("sending"));
    assert_eq!(waits[&DeliveryId::from_bits(2)], Wait::of("turn"));
}

#[test]
fn gone_disables_once_and_gives_back_what_waits() {
    let (mut lanes, to) = (roomy(), endpoint(1, 1));
    for number in 1..=6 {
        lanes.give(work(&to, number, 0, None, "a.b"), &to);
    }
    let out = lanes.all_next(NOW);
    lanes.end(&out[0], &to, 410);
    lanes.end(&out[1], &to, 410);
    let endings = lanes.take_endings();
    let disables: Vec<_> = endings.iter().map(|ending| ending.settlement.disable).collect();
    assert_eq!(disables, [Some("gone"), None, None, None], "first, two that waited, second");
    // A claim from before the disabling was written proves nothing; one from after it does.
    for (written, expected) in [(0, vec![(7, "endpoint_disabled")]), (1, vec![])] {
        let arrival = Arrival { work: work(&to, 7, 0, None, "a.b"), endpoint: Arc::clone(&to) };
        lanes.offer(arrival, Origin::Store, written, NOW);
        assert_eq!(lanes.given_back(), expected);
    }
}

#[test]
fn five_days_and_twenty_failures_disable() {
    let (mut lanes, to) = (roomy(), endpoint(1, 1));
    let since = NOW - Duration::from_secs(5 * 24 * 3600);
    let to = Arc::new(Endpoint { failing: Some(Failing { since, attempts: 19 }), ..(*to).clone() });
    lanes.give(work(&to, 1, 0, None, "a.b"), &to);
    let out = lanes.next(NOW).unwrap();
    lanes.end(&out, &to, 500);
    assert_eq!(lanes.take_endings()[0].settlement.disable, Some("failing"));
}

#[test]
fn a_claim_made_anew_by_this_process_is_adopted() {
    let (mut lanes, to) = (roomy(), endpoint(1, 1));
    lanes.give(work(&to, 1, 0, None, "a.b"), &to);
    let out = lanes.next(NOW).unwrap();
    let again = ClaimedDelivery { token: 99, ..work(&to, 1, 0, None, "a.b") };
    let arrival = Arrival { work: again, endpoint: Arc::clone(&to) };
    lanes.offer(arrival, Origin::Store, ALL_WRITTEN, NOW);
    assert_eq!((lanes.load().waiting, lanes.load().in_flight), (0, 1));
    lanes.end(&out, &to, 200);
    assert_eq!(lanes.take_endings()[0].settlement.token, 99);
}

#[test]
fn word_of_an_older_claim_that_comes_late_changes_nothing() {
    let (mut lanes, to) = (roomy(), endpoint(1, 1));
    let claimed = |token| ClaimedDelivery { token, ..work(&to, 1, 0, None, "a.b") };
    let offer = |lanes: &mut Lanes, token, from| {
        let arrival = Arrival { work: claimed(token), endpoint: Arc::clone(&to) };
        lanes.offer(arrival, from, ALL_WRITTEN, NOW);
    };
    offer(&mut lanes, 2, Origin::Store);
    offer(&mut lanes, 1, Origin::FanOut);
    assert_eq!(lanes.load().waiting, 1);
    let out = lanes.next(NOW).unwrap();
    offer(&mut lanes, 1, Origin::FanOut);
    assert_eq!((lanes.load().waiting, lanes.load().in_flight), (0, 1));
    lanes.end(&out, &to, 200);
    assert_eq!(lanes.take_endings()[0].settlement.token, 2);
}

#[test]
fn a_schedule_that_begins_with_a_wait_is_kept() {
    let (mut lanes, to) = (roomy(), endpoint(1, 1));
    let to = Arc::new(Endpoint { retry: Some(RetrySchedule::exact_millis(&[5000])), ..(*to).clone() });
    lanes.give(work(&to, 1, 0, None, "a.b"), &to);
    assert_eq!(lanes.given_back(), [(1, "first_wait")]);
    let later = NOW + Duration::from_secs(5);
    let arrival = Arrival { work: work(&to, 1, 0, None, "a.b"), endpoint: Arc::clone(&to) };
    lanes.offer(arrival, Origin::Store, ALL_WRITTEN, later);
    assert_eq!(numbers(&lanes.all_next(later)), [1]);
}

#[test]
fn a_test_does_not_wait_before_its_first_attempt() {
    let (mut lanes, to) = (roomy(), endpoint(1, 1));
    let to = Arc::new(Endpoint { retry: Some(RetrySchedule::exact_millis(&[5000, 5000])), ..(*to).clone() });
    lanes.give(work(&to, 1, 0, None, "webhook.test"), &to);
    assert_eq!(numbers(&lanes.all_next(NOW)), [1]);
}

#[test]
fn a_lost_claim_is_dropped_unless_it_was_made_anew() {
    let (mut lanes, to) = (roomy(), endpoint(1, 1));
    lanes.give(work(&to, 1, 0, Some(7), "job.created"), &to);
    lanes.give(work(&to, 2, 0, Some(7), "job.completed"), &to);
    let held = |number: i64, token| Held {
        endpoint: to.id,
        delivery: DeliveryId::from_bits(u128::try_from(number).unwrap()),
        token,
    };
    lanes.forget(&[held(1, 1), held(2, 77)]);
    assert_eq!(numbers(&lanes.all_next(NOW)), [2]);
}

#[test]
fn idle_lanes_are_forgotten() {
    let (mut lanes, to) = (roomy(), endpoint(1, 1));
    lanes.give(work(&to, 1, 0, None, "a.b"), &to);
    let out = lanes.next(NOW).unwrap();
    lanes.end(&out, &to, 200);
    assert!(lanes.next(NOW).is_none());
    let later = NOW + Duration::from_secs(60);
    lanes.sweep(later, Duration::from_secs(61));
    assert_eq!(lanes.lanes.len(), 1);
    lanes.sweep(later, Duration::from_secs(60));
    assert!(lanes.lanes.is_empty());
}

/// What may happen to lanes.
#[derive(Debug, Clone)]
enum Step {
    Offer { lane: u128, job: Option<u128>, attempts: u32, from_store: bool },
    Next,
    End { which: prop::sample::Index, status: u16 },
    Untried { which: prop::sample::Index },
    Claim,
    Pass(u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (1u128..6, prop::option::of(1u128..3), 0u32..2, any::<bool>())
            .prop_map(|(lane, job, attempts, from_store)| Step::Offer { lane, job, attempts, from_store }),
        6 => Just(Step::Next),
        4 => (any::<prop::sample::Index>(), prop::sample::select(vec![200u16, 200, 200, 429, 500, 410]))
            .prop_map(|(which, status)| Step::End { which, status }),
        1 => any::<prop::sample::Index>().prop_map(|which| Step::Untried { which }),
        1 => Just(Step::Claim),
        1 => (1u16..60_000).prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 0..300)
}

proptest! {
    #[test]
    fn nothing_is_lost_sent_twice_or_out_of_order_and_every_bound_holds(steps in steps()) {
        let settings = Settings { in_flight: 12, lane_queue: 6, queued: 20, ..Settings::default() };
        let mut lanes = lanes(settings.clone());
        let endpoints: Vec<_> = (0..6).map(|number| endpoint(number, number % 2)).collect();
        let (mut now, mut number, mut written) = (NOW, 0, 0);
        let mut out: Vec<ClaimedDelivery> = Vec::new();
        let mut started: HashMap<(EndpointId, JobId), i64> = HashMap::new();
        let mut inside = HashSet::new();
        for step in steps {
            match step {
                Step::Offer { lane, job, attempts, from_store } => {
                    number += 1;
                    let to = &endpoints[usize::try_from(lane).unwrap()];
                    let work = work(to, number, attempts, job, "job.completed");
                    inside.insert(work.delivery.id);
                    let from = if from_store { Origin::Store } else { Origin::FanOut };
                    lanes.offer(Arrival { work, endpoint: Arc::clone(to) }, from, written, now);
                }
                Step::Next => {
                    if let Some(work) = lanes.next(now) {
                        if let (Some(job), 0) = (work.delivery.job, work.delivery.attempts) {
                            let before = started.insert((work.delivery.endpoint, job), work.delivery.sequence);
                            prop_assert!(before.is_none_or(|before| before < work.delivery.sequence));
                        }
                        prop_assert!(!out.iter().any(|known| known.delivery.id == work.delivery.id));
                        out.push(work);
                    }
                }
                Step::End { which, status: answer } if !out.is_empty() => {
                    let work = out.swap_remove(which.index(out.len()));
                    let to = Arc::clone(&endpoints[usize::try_from(work.delivery.endpoint.bits()).unwrap()]);
                    lanes.ended(&work, &to, attempt(&work, status(answer)), now, 0.5);
                }
                Step::Untried { which } if !out.is_empty() => {
                    let work = out.swap_remove(which.index(out.len()));
                    lanes.untried(&work, Verdict::Retry { at: now, reason: "store_unavailable" }, now);
                }
                Step::End { .. } | Step::Untried { .. } => {}
                Step::Claim => {
                    let room = lanes.room(now, written);
                    lanes.claimed(&room, Vec::new(), now);
                }
                Step::Pass(millis) => now = now + Duration::from_millis(u64::from(millis)),
            }
            for ending in lanes.take_endings() {
                written += 1;
                prop_assert!(inside.remove(&ending.settlement.delivery), "ended twice");
            }
            let held = lanes.held();
            prop_assert_eq!(held.len(), inside.len(), "held and not ended");
            let load = lanes.load();
            prop_assert_eq!(load.waiting + load.in_flight, held.len());
            prop_assert_eq!(load.in_flight, out.len());
            prop_assert!(load.in_flight <= settings.in_flight);
            prop_assert!(lanes.lanes.values().all(|lane| lane.load().waiting <= settings.lane_queue));
            for (account, share) in &lanes.accounts {
                let lanes_of: Vec<_> = lanes.lanes.values().filter(|lane| lane.account() == *account).collect();
                prop_assert_eq!(share.busy_lanes, lanes_of.iter().filter(|lane| lane.load().is_busy()).count());
                prop_assert_eq!(share.in_flight, lanes_of.iter().map(|lane| lane.load().in_flight).sum::<usize>());
            }
        }

        // However it went, all that is left gets its turn once receivers are well and time passes.
        for _ in 0..2000 {
            now = now + Duration::from_secs(1);
            while let Some(work) = lanes.next(now) {
                out.push(work);
            }
            for work in std::mem::take(&mut out) {
                let to = Arc::clone(&endpoints[usize::try_from(work.delivery.endpoint.bits()).unwrap()]);
                lanes.ended(&work, &to, attempt(&work, status(200)), now, 0.5);
            }
        }
        prop_assert_eq!(lanes.load(), Load::default(), "something never got its turn");
    }
}
