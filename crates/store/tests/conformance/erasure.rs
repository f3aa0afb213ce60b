//! An account erased whole.

use std::time::Duration;

use reelhook_domain::retry::Verdict;
use reelhook_store::{
    Accounts as _, Idempotency, NewApiKey, NewEvent, Retention as _, SealedFor, StoreError, Submission,
};
use rusqlite::Connection;

use crate::world::{LEASE, World, sqlite_at};

/// Puts something of every kind into the world's account.
async fn fill(world: &World) {
    let endpoint = world.registered().await.id;
    let owner = SealedFor::Account(world.account);
    world.store.add_secret(world.secret(owner, "whsec_account"), world.now()).await.unwrap();
    world.store.create_key(NewApiKey::generate(world.account, "key", &world.ambient).1).await.unwrap();
    let once = |key: &str| Idempotency { key: key.to_owned(), fingerprint: [1; 32] };
    let event = NewEvent { account: world.account, ..world.event() };
    world.store.publish_once(world.account, vec![event], once("event")).await.unwrap();
    let submission = Submission { idempotency: Some(once("job")), ..world.job(2).into() };
    world.store.submit(submission).await.unwrap();
    let outbox = world.store.outbox(10).await.unwrap();
    let own = outbox.events.iter().filter(|outgoing| outgoing.event.account == world.account);
    let deliveries = own.map(|outgoing| world.new_delivery(&outgoing.event, endpoint)).collect();
    let up_to = world.store.last_sequence().await.unwrap();
    let batch = reelhook_store::FanOut { after: outbox.after, up_to, deliveries };
    let sent = world.store.fan_out(batch, LEASE).await.unwrap();
    world.settle(&sent[0], Verdict::Delivered).await;
    world.store.set_retention(world.account, Some(Duration::from_secs(86_400))).await.unwrap();
    // One more that nobody fanned out.
    world.store.publish(vec![NewEvent { account: world.account, ..world.event() }]).await.unwrap();
}

#[tokio::test]
async fn an_erased_account_leaves_nothing_and_takes_nothing_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reelhook.db");
    let (mut world, store) = sqlite_at(&path).await;
    let first = world.account;
    fill(&world).await;
    let theirs = world.store.create_account("theirs").await.unwrap().id;
    world.account = theirs;
    fill(&world).await;
    let counts = || {
        let connection = Connection::open(&path).unwrap();
        let mut tables = connection
            .prepare(
                "select tables.name from pragma_table_list as tables
                where tables.schema = 'main' and tables.name not like 'sqlite%' order by 1",
            )
            .unwrap();
        let names: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let count = |table: &str| -> i64 {
            connection.query_row(&format!("select count(*) from {table}"), [], |row| row.get(0)).unwrap()
        };
        names.into_iter().map(|table| (table.clone(), count(&table))).collect::<Vec<_>>()
    };
    let both = counts();
    assert!(both.iter().filter(|(_, count)| *count >= 2).count() >= 10, "{both:?}");

    assert_eq!(store.erase_account(theirs).await.unwrap(), []);
    // Both accounts had the same: half is left of everything, but of what there is once.
    for ((table, before), (_, after)) in both.iter().zip(counts()) {
        let kept = if table == "keeper" { *before } else { before / 2 };
        assert_eq!(after, kept, "{table}");
    }
    assert!(matches!(store.erase_account(theirs).await, Err(StoreError::NotFound)));
    assert_eq!(store.list_accounts().await.unwrap().len(), 1);
    assert_eq!(store.list_keys(first).await.unwrap().len(), 1);
}
