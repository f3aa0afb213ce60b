//! Every list is read from an index in its order, whatever it is filtered by; and how long that takes.

use std::time::{Duration, Instant};

use reelhook_domain::delivery::DeliveryState;
use reelhook_domain::id::{AccountId, Id};
use reelhook_domain::job::JobState;
use reelhook_domain::time::Timestamp;

use super::lists::{self, Deliveries};
use super::plans::store;
use super::sql::{Query, query};
use super::{SqliteStore, rows};
use crate::{Accounts as _, Deliveries as _, DeliveryFilter, JobFilter, Jobs as _, Page};

const PAGES: [Page; 2] = [Page { before: None, limit: 20 }, Page { before: Some(1 << 100), limit: 100 }];

fn account() -> AccountId {
    AccountId::from_bits(1)
}

/// Every combination of what the API lets a caller ask for.
fn job_filters() -> Vec<JobFilter> {
    let text = |bits: u32, bit: u32| (bits & bit > 0).then(|| "x".to_owned());
    let time = |bits: u32, bit: u32| (bits & bit > 0).then(|| Timestamp::from_millis(1_800_000_000_000));
    let mut all = Vec::new();
    for bits in 0..64 {
        for states in [0, 1, 3, JobState::NAMES.len()] {
            for pairs in 0..3 {
                all.push(JobFilter {
                    states: JobState::NAMES.iter().take(states).map(|&name| name.to_owned()).collect(),
                    since: time(bits, 1),
                    until: time(bits, 2),
                    dialect: None,
                    metadata: (0..pairs).map(|number| (format!("name{number}"), "value".to_owned())).collect(),
                    recipe: text(bits, 4),
                    error: text(bits, 8),
                    name: text(bits, 16),
                    ids: (bits & 32 > 0).then_some((1, 1 << 127)),
                });
            }
        }
    }
    all
}

fn delivery_filters() -> Vec<DeliveryFilter> {
    let mut all = Vec::new();
    for bits in 0..16 {
        for state in std::iter::once(None).chain(DeliveryState::NAMES.iter().map(|&name| Some(name.to_owned()))) {
            let asked = |bit: u32| bits & bit > 0;
            all.push(DeliveryFilter {
                endpoint: asked(1).then(|| Id::from_bits(1)),
                job: asked(2).then(|| Id::from_bits(2)),
                state,
                event_type: asked(4).then(|| "a.b".to_owned()),
                since: asked(8).then(|| Timestamp::from_millis(1_800_000_000_000)),
            });
        }
    }
    all
}

/// What is wrong with the plan of a statement: a table or an index that is read from end to end, or rows that are sorted.
async fn faults(store: &SqliteStore, listed: Query<'static>) -> Vec<String> {
    let plan = listed.explained().read_all(&store.readers).await.unwrap();
    let steps = plan.iter().map(|row| row.column::<&str>("detail").unwrap().to_owned());
    // The outputs of one job are put in order as they are gathered.
    let is_fault = |step: &String| {
        let scan = step.strip_prefix("SCAN ").is_some_and(|what| {
            // The page that was found, the ids that were given, and the few that are being sent.
            !["page", "row", "(subquery", "deliveries USING INDEX deliveries_leased", "CONSTANT ROW"]
                .iter()
                .any(|few| what.starts_with(few))
        });
        scan || (step.contains("TEMP B-TREE") && !step.contains("json_group_array")) || step.contains("AUTOMATIC")
    };
    steps.filter(is_fault).collect()
}

#[tokio::test]
async fn no_list_of_jobs_reads_all_or_sorts() {
    let (_folder, store) = store().await;
    for filter in job_filters() {
        for page in PAGES {
            for listed in [lists::jobs(account(), &filter, page), lists::jobs_of(account(), &filter, page, vec![7, 9])]
            {
                let faults = faults(&store, listed).await;
                assert!(faults.is_empty(), "{filter:?}: {faults:#?}");
            }
        }
        let faults = faults(&store, lists::count_jobs(account(), &filter)).await;
        assert!(faults.is_empty(), "count of {filter:?}: {faults:#?}");
    }
    assert!(faults(&store, lists::jobs_named(account(), "clip")).await.is_empty());
}

#[tokio::test]
async fn no_list_of_deliveries_reads_all_or_sorts() {
    let (_folder, store) = store().await;
    for filter in delivery_filters() {
        for page in PAGES {
            let faults = match lists::deliveries(account(), &filter, page).unwrap() {
                Deliveries::Page(listed) => faults(&store, listed).await,
                Deliveries::Ids(found) => {
                    // An index of all of an account or of an endpoint would be one, too, and a slow one.
                    let plan = found.clone().explained().read_all(&store.readers).await.unwrap();
                    let step = plan[0].column::<&str>("detail").unwrap();
                    let few = if filter.job.is_some() { "(event=?" } else { "deliveries_leased" };
                    assert!(step.contains(few), "{filter:?}: {step}");
                    let mut both = faults(&store, found).await;
                    both.extend(faults(&store, lists::deliveries_of(&filter, page, vec![7, 9])).await);
                    both
                }
            };
            assert!(faults.is_empty(), "{filter:?}: {faults:#?}");
        }
    }
}

#[tokio::test]
async fn these_tests_see_a_scan_and_a_sort() {
    let (_folder, store) = store().await;
    for sql in ["select * from jobs where progress = 7", "select * from jobs where account = x'' order by progress"] {
        assert_eq!(faults(&store, query(sql)).await.len(), 1, "{sql}");
    }
}

const JOBS: u32 = 100_000;
const DELIVERIES: u32 = 1_000_000;

/// Rows as an account has them: 5 % failed, 3 % with an error each, a tenth of the deliveries not delivered.
async fn fill(store: &SqliteStore, account: AccountId) {
    let owner = rows::key(account);
    let fill = move |tx: &mut super::writer::Tx| {
        query(
            "with recursive n (i) as (select 0 union all select i + 1 from n where i < ?2 - 1)
            insert into jobs (id, account, state, error, spec, inputs, priority, created_at, queued_at)
            select unhex(format('%012x70008000%012x', 1780000000000 + i * 1000, i)), ?1,
                case when i % 20 = 0 then 'failed' when i % 1000 = 1 then 'canceled' else 'completed' end,
                iif(i % 20 = 0, json_object('code', iif(i % 100 = 0, 'input_truncated', 'output_failed'), 'message', '', 'stage', 'verifying', 'fault', 'input', 'retryable', json('false')), null),
                json_object('inputs', json_array(json_object('name', 'input', 'source', json_object('url', 'https://example.com/a.mp4'))),
                    'outputs', json_array(json_object('id', 'out_00000000000000000000000001', 'name', 'web', 'recipe', iif(i % 50 = 0, 'web_ready', 'compress'), 'crf', 23, 'format', 'mp4', 'codec', 'h264')),
                    'webhook', null, 'metadata', json_object('order', cast(i as text), 'team', cast(i % 10 as text)),
                    'priority', 'standard', 'on_damage', 'strict', 'dialect', 'native'),
                json_array(json_object('name', iif(i % 5000 = 0, 'rare', 'clip') || i || '.mp4', 'size_bytes', 1, 'sha256', '', 'media', null)),
                1, 1780000000000 + i * 1000, 1780000000000 + i * 1000
            from n",
        )
        .bind(owner)
        .bind(JOBS)
        .run(tx)?;
        query(
            "insert into outputs (job, position, id, name, state, progress, plan, receipt)
            select id, 0, x'00000000000000000000000000000001', 'web', 'canceled', 0, '[]', '{}' from jobs",
        )
        .run(tx)?;
        query(
            "with recursive n (i) as (select 0 union all select i + 1 from n where i < ?2 - 1)
            insert into deliveries (id, account, event, event_type, job, endpoint, dialect, sequence, state, due_at, created_at)
            select unhex(format('%012x70008000%012x', 1780000000000 + i * 100, i)), ?1,
                unhex(format('%032x', i)), iif(i % 1000 = 0, 'job.failed', 'job.completed'), null,
                unhex(format('%032x', i % 100)), 'native', i / 100,
                case when i % 50 = 0 then 'exhausted' when i % 50 = 1 then 'held' when i % 50 = 2 then 'canceled'
                    when i % 50 = 3 then 'scheduled' else 'delivered' end,
                iif(i % 50 = 3, 1990000000000, null), 1780000000000 + i * 100
            from n",
        )
        .bind(owner)
        .bind(DELIVERIES)
        .run(tx)?;
        Ok(())
    };
    store.write(fill).await.unwrap();
}

/// The 99th percentile of so many.
async fn p99<F: Future<Output = usize>>(mut list: impl FnMut() -> F) -> (Duration, usize) {
    let mut times = Vec::new();
    let mut count = 0;
    for _ in 0..100 {
        let begun = Instant::now();
        count = list().await;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    (times[98], count)
}

/// Prints how long the first and the last page take by each filter: `cargo test --release -p reelhook-store --lib lists_are_fast
/// -- --ignored --nocapture`.
#[tokio::test]
#[ignore = "a measurement: it fills a database of a gigabyte first"]
async fn lists_are_fast() {
    let (_folder, store) = store().await;
    let account = store.first_account().await.unwrap().id;
    let begun = Instant::now();
    fill(&store, account).await;
    println!("filled in {:?}", begun.elapsed());
    let states = |names: &[&str]| JobFilter {
        states: names.iter().map(|&name| name.to_owned()).collect(),
        ..JobFilter::default()
    };
    let pair = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let at = |seconds: i64| Some(Timestamp::from_millis(1_780_000_000_000 + seconds * 1000));
    let none = JobFilter::default;
    for (name, filter) in [
        ("nothing", none()),
        ("state=failed", states(&["failed"])),
        ("state=processing", states(&["processing"])),
        ("state=canceled", states(&["canceled"])),
        ("state=completed,failed,canceled", states(&["completed", "failed", "canceled"])),
        ("since", JobFilter { since: at(50_000), ..none() }),
        ("until", JobFilter { until: at(50_000), ..none() }),
        ("since and until", JobFilter { since: at(50_000), until: at(50_100), ..none() }),
        ("metadata of one", JobFilter { metadata: pair("order", "77"), ..none() }),
        ("metadata of a tenth", JobFilter { metadata: pair("team", "7"), ..none() }),
        ("metadata of none", JobFilter { metadata: pair("team", "x"), ..none() }),
        ("recipe of 2 %", JobFilter { recipe: Some("web_ready".to_owned()), ..none() }),
        ("recipe of most", JobFilter { recipe: Some("compress".to_owned()), ..none() }),
        ("error of 1 %", JobFilter { error: Some("input_truncated".to_owned()), ..none() }),
        ("name of few", JobFilter { name: Some("rare".to_owned()), ..none() }),
        ("name of most", JobFilter { name: Some("clip".to_owned()), ..none() }),
        ("name of none", JobFilter { name: Some("x".to_owned()), ..none() }),
        ("state=failed and recipe", JobFilter { recipe: Some("compress".to_owned()), ..states(&["failed"]) }),
        ("state=failed and error", JobFilter { error: Some("output_failed".to_owned()), ..states(&["failed"]) }),
        ("state=failed and metadata", JobFilter { metadata: pair("team", "0"), ..states(&["failed"]) }),
        ("state=canceled and until", JobFilter { until: at(10_000), ..states(&["canceled"]) }),
    ] {
        let first = Page { before: None, limit: 100 };
        let (fast, count) = p99(|| async { store.list_jobs(account, &filter, first).await.unwrap().len() }).await;
        let mut before = None;
        loop {
            let page = store.list_jobs(account, &filter, Page { before, limit: 100 }).await.unwrap();
            let Some(last) = page.last().filter(|_| page.len() == 100) else { break };
            before = Some(last.id.bits());
        }
        let page = Page { before, limit: 100 };
        let (last, _) = p99(|| async { store.list_jobs(account, &filter, page).await.unwrap().len() }).await;
        println!("jobs by {name}: first page {fast:?} ({count}), last page {last:?}");
    }
    let none = DeliveryFilter::default;
    let endpoint = Some(Id::from_bits(3));
    let state = |state: &str| DeliveryFilter { state: Some(state.to_owned()), ..none() };
    for (name, filter) in [
        ("nothing", none()),
        ("state=delivered", state("delivered")),
        ("state=exhausted", state("exhausted")),
        ("state=held", state("held")),
        ("state=scheduled", state("scheduled")),
        ("state=sending", state("sending")),
        ("state=canceled", state("canceled")),
        ("endpoint", DeliveryFilter { endpoint, ..none() }),
        ("endpoint and state=scheduled", DeliveryFilter { endpoint, ..state("scheduled") }),
        ("endpoint and state=exhausted", DeliveryFilter { endpoint, ..state("exhausted") }),
        ("event of a thousandth", DeliveryFilter { event_type: Some("job.failed".to_owned()), ..none() }),
        ("event of none", DeliveryFilter { event_type: Some("a.b".to_owned()), ..none() }),
        ("since", DeliveryFilter { since: at(99_000), ..none() }),
        ("job", DeliveryFilter { job: Some(Id::from_bits(7)), ..none() }),
    ] {
        let first = Page { before: None, limit: 100 };
        let (fast, count) = p99(|| async { store.list_deliveries(account, &filter, first).await.unwrap().len() }).await;
        let before = if filter.endpoint.is_some() { None } else { Some((1_780_000_010_000_u128) << 80) };
        let page = Page { before, limit: 100 };
        let (last, _) = p99(|| async { store.list_deliveries(account, &filter, page).await.unwrap().len() }).await;
        println!("deliveries by {name}: first page {fast:?} ({count}), near the end {last:?}");
    }
}
