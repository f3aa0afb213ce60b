//! The hot queries use their indexes: what is done with never makes it slow to find what is to be done.

use reelhook_domain::ambient::{Ambient, Clock, Dice};
use reelhook_domain::time::Timestamp;
use std::sync::Arc;

use super::sql::query;
use super::{
    SqliteStore, accounts, deliveries, endpoints, events, fanout, jobs, publish, quotas, recover, retention, sending,
    work,
};
use crate::MasterKey;

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(0)
    }
}

impl Dice for Still {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(4);
    }
}

/// A fresh store, in its folder.
pub(super) async fn store() -> (tempfile::TempDir, Arc<SqliteStore>) {
    let folder = tempfile::tempdir().unwrap();
    let ambient = Ambient::new(Arc::new(Still), Arc::new(Still));
    let store = SqliteStore::open(&folder.path().join("plans.db"), MasterKey::new(1, [1; 32]), ambient).await.unwrap();
    (folder, store)
}

/// The plan of each query, one step a line.
async fn plans(queries: &[(&str, &'static str)]) -> String {
    let (_folder, store) = store().await;
    let mut text = String::new();
    for (name, sql) in queries {
        text += &format!("{name}\n");
        for row in query(format!("explain query plan {sql}")).read_all(&store.readers).await.unwrap() {
            text += &format!("  {}\n", row.column::<&str>("detail").unwrap());
        }
    }
    text
}

/// Steps that read a whole table: all rows that ever were. A parameter's own rows, the few that a step before it chose,
/// and a partial index of waiting rows are no such thing.
fn scans(plan: &str) -> Vec<&str> {
    let partial = ["tallies_next", "jobs_queued", "jobs_leased", "deliveries_due", "deliveries_leased"];
    let table = |line: &&str| {
        [
            "jobs",
            "deliveries",
            "events",
            "endpoints",
            "bodies",
            "attempts",
            "api_keys",
            "published",
            "idempotency",
            "uploads",
            "origins",
            "secrets",
            "tallies",
            "mine",
            "waiting",
            "enveloped",
        ]
        .iter()
        .any(|table| line.trim_start().starts_with(&format!("SCAN {table}")))
    };
    plan.lines().filter(table).filter(|line| !partial.iter().any(|index| line.contains(index))).collect()
}

#[tokio::test]
async fn no_hot_query_reads_a_whole_table() {
    let plan = plans(&[
        ("key lookup", accounts::FIND_KEY),
        ("claim_jobs", work::NEXT_QUEUED),
        ("claim_jobs, whose turn", work::NEXT_ACCOUNT),
        ("claim_jobs, expired", work::EXPIRED),
        ("renew_jobs", work::RENEW),
        ("queue", jobs::QUEUE),
        ("outbox", events::OUTBOX),
        ("endpoints", endpoints::BY_IDS),
        ("fan_out, number", fanout::NUMBER),
        ("settle, enabled", sending::ENABLED),
        ("claim_due", sending::CLAIM_DUE),
        ("claim_due, take", sending::TAKE),
        ("claim_due, expired", sending::RELEASE),
        ("claim_due, after the clock was put back", sending::SHORTEN_WAITS),
        ("next_due", sending::NEXT_DUE),
        ("settle, found", sending::FOUND),
        ("settle", sending::SETTLE),
        ("renew_deliveries", sending::RENEW),
        ("pull", deliveries::PULL),
        ("publish_once", publish::KNOWN),
        ("recover", recover::RECOVER),
        ("replay", recover::OF_EVENT),
        ("forget_deliveries, walk", retention::WALK),
        ("forget_deliveries, walk of an account", retention::WALK_OF_ACCOUNT),
        ("forget_deliveries", retention::FORGET),
        ("forget_deliveries, attempts", retention::ATTEMPTS),
        ("forget_deliveries, bodies", retention::BODIES),
        ("forget_events, walk", retention::WALK_EVENTS),
        ("forget_events", retention::EVENTS),
        ("forget_idempotency_keys", retention::OLD_KEYS),
        ("forget_idempotency_keys, published", retention::OLD_PUBLISHED),
        ("erase_job, waiting", retention::WAITING_OF_JOB),
        ("erase_job, deliveries", retention::DELIVERIES_OF_JOB),
        ("erase_job, events", retention::EVENTS_OF_JOB),
        ("erase_job, uploads", retention::OWN_UPLOADS),
        ("quota of endpoints", quotas::ENDPOINTS),
        ("quota of keys", quotas::KEYS),
        ("quota of origins", quotas::ORIGINS),
        ("quota of secrets", quotas::SECRETS),
        ("quota of uploads", quotas::UPLOAD_BYTES),
        ("quota of jobs", quotas::WAITING),
    ])
    .await;
    assert!(scans(&plan).is_empty(), "{:#?}\n{plan}", scans(&plan));
    for index in [
        "jobs_queued",
        "tallies_next",
        "api_keys_that_work",
        "jobs_leased",
        "deliveries_due",
        "deliveries_leased",
        "deliveries_of_endpoint",
        "deliveries_to_recover",
        "events_of_job",
        "idempotency_age",
        "published_age",
    ] {
        assert!(plan.contains(index), "{index} is not used\n{plan}");
    }
}

#[tokio::test]
async fn this_test_sees_a_scan() {
    let plan = plans(&[("all", "select * from deliveries where waiting_reason = 'x'")]).await;
    assert_eq!(scans(&plan).len(), 1, "{plan}");
}
