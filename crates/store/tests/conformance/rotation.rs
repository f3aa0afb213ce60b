//! Rotating the master key.

use std::path::Path;
use std::sync::Arc;

use reelhook_store::sqlite::SqliteStore;
use reelhook_store::{
    Accounts as _, Endpoints as _, Jobs as _, MasterKey, MasterKeys, Place, Rotation as _, SealedFor, StoreError,
    Submission,
};

use crate::world::{LEASE, World, sqlite_at};

fn key(id: u32) -> MasterKey {
    MasterKey::new(id, [u8::try_from(id).unwrap(); 32])
}

/// The key that [`sqlite_at`] uses, and a new one.
fn both() -> MasterKeys {
    MasterKeys::new(key(2), vec![crate::world::master_key()])
}

async fn open(path: &Path, keys: impl Into<MasterKeys>, world: &World) -> Result<Arc<SqliteStore>, StoreError> {
    SqliteStore::open(path, keys, world.ambient.clone()).await
}

/// Steps until the walk ends, or so many were made; gives how many secrets were sealed anew.
async fn reseal(store: &SqliteStore, steps: usize) -> u32 {
    let (mut place, mut count) = (Place::default(), 0);
    for _ in 0..steps {
        let step = store.reseal(place, 2).await.unwrap();
        count += step.count;
        let Some(next) = step.next else { return count };
        place = next;
    }
    count
}

/// A store with something sealed of each kind but origins, which are in the tests of their own.
async fn filled(path: &Path) -> (World, SealedFor) {
    let (world, store) = sqlite_at(path).await;
    let owner = SealedFor::Account(world.account);
    for number in 0..5 {
        let secret = world.secret(owner, &format!("whsec_{number}"));
        world.store.add_secret(secret, world.now() + LEASE).await.unwrap();
        world.registered().await;
    }
    let fetch_headers = [("input".to_owned(), [("authorization".to_owned(), "Bearer x".to_owned())].into())].into();
    world.store.submit(Submission { fetch_headers, ..world.job(1).into() }).await.unwrap();
    assert_eq!(world.store.derived_key("links", [9; 32]).await.unwrap(), [9; 32]);
    store.close().await;
    (world, owner)
}

/// Whether everything that was sealed can be read.
async fn check(store: &SqliteStore, owner: SealedFor) {
    let account = store.first_account().await.unwrap().id;
    let secrets = store.secrets(owner).await.unwrap();
    assert_eq!(secrets.len(), 5);
    assert!(secrets.iter().all(|secret| secret.text.starts_with("whsec_")));
    for endpoint in store.list_endpoints(account).await.unwrap() {
        assert_eq!(endpoint.headers["x-token"], "header-in-the-clear");
        assert_eq!(endpoint.tls.client.unwrap().key, "key-in-the-clear of first");
        assert_eq!(store.secrets(SealedFor::Endpoint(endpoint.id)).await.unwrap()[0].text, "whsec_first");
    }
    assert_eq!(store.derived_key("links", [0; 32]).await.unwrap(), [9; 32], "a derived key outlives its master key");
}

#[tokio::test]
async fn a_rotated_master_key_opens_everything_and_the_old_one_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reelhook.db");
    let (world, owner) = filled(&path).await;
    assert!(matches!(open(&path, key(2), &world).await, Err(StoreError::Corrupt { .. })));

    let store = open(&path, both(), &world).await.unwrap();
    check(&store, owner).await;
    assert_eq!(reseal(&store, usize::MAX).await, 5 + 5 + 5 + 5 + 1 + 1);
    store.finish_resealing().await.unwrap();
    check(&store, owner).await;
    store.close().await;

    assert!(matches!(open(&path, crate::world::master_key(), &world).await, Err(StoreError::Corrupt { .. })));
    let store = open(&path, key(2), &world).await.unwrap();
    check(&store, owner).await;
    let claimed = store.claim_jobs(1, LEASE).await.unwrap();
    assert_eq!(claimed[0].fetch_headers["input"]["authorization"], "Bearer x");
}

#[tokio::test]
async fn a_rotation_that_broke_off_anywhere_goes_on() {
    for steps in 0..14 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reelhook.db");
        let (world, owner) = filled(&path).await;
        let store = open(&path, both(), &world).await.unwrap();
        let first = reseal(&store, steps).await;
        assert!(first >= 22 || store.finish_resealing().await.is_err(), "it is not done after {steps} steps");
        // New secrets of a server that runs meanwhile are under the new key.
        store.close().await;
        let store = open(&path, both(), &world).await.unwrap();
        check(&store, owner).await;
        assert_eq!(first + reseal(&store, usize::MAX).await, 22);
        assert_eq!(reseal(&store, usize::MAX).await, 0);
        store.finish_resealing().await.unwrap();
        store.close().await;
        check(&open(&path, key(2), &world).await.unwrap(), owner).await;
    }
}

#[tokio::test]
async fn nothing_that_the_old_key_sealed_stays_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reelhook.db");
    let (world, _) = filled(&path).await;
    // How everything begins that the first key sealed.
    let before = std::fs::read(&path).unwrap();
    let store = open(&path, both(), &world).await.unwrap();
    reseal(&store, usize::MAX).await;
    store.finish_resealing().await.unwrap();
    store.close().await;
    let after = std::fs::read(&path).unwrap();
    let sealed = |bytes: &[u8]| -> Vec<Vec<u8>> {
        // The number of the key and the nonce: 28 bytes that are nowhere else. Ids are 16 bytes and begin with a time.
        bytes
            .windows(4)
            .enumerate()
            .filter(|(_, four)| *four == [0, 0, 0, 1])
            .map(|(at, _)| bytes[at..(at + 28).min(bytes.len())].to_vec())
            .collect()
    };
    let old = sealed(&before);
    let left = sealed(&after)
        .into_iter()
        .filter(|start| start[4..].iter().filter(|byte| **byte == 0).count() < 4 && old.contains(start));
    assert_eq!(left.count(), 0);
}
