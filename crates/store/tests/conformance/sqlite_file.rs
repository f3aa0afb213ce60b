//! What is true of the SQLite file itself.

use std::path::Path;

use futures::future::join_all;
use reelhook_store::sqlite::SqliteStore;
use reelhook_store::{JobFilter, Jobs, MasterKey, Rotation as _, SealedFor, StoreError};
use rusqlite::Connection;

use crate::world::{ALL, LEASE, World, master_key, sqlite_at};

fn meddle(path: &Path, sql: &str) {
    let connection = Connection::open(path).unwrap();
    // Without the keys between tables, which would refuse some damages.
    connection.execute_batch(&format!("pragma foreign_keys = off; {sql}")).unwrap();
    connection.close().unwrap();
}

fn database() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reelhook.db");
    (folder, path)
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_reopen() {
    let (_folder, path) = database();
    let (world, store) = sqlite_at(&path).await;
    let submitted = join_all((0..200).map(|_| world.submit(world.job(2)))).await;
    store.close().await;
    assert!(world.store.submit(world.job(1).into()).await.is_err(), "a closed store writes nothing");

    let (world, _) = sqlite_at(&path).await;
    for job in submitted {
        assert_eq!(world.store.job(world.account, job.id).await.unwrap(), job);
    }
    assert_eq!(world.store.last_sequence().await.unwrap(), 200);
}

#[tokio::test]
async fn what_was_answered_is_there_though_nobody_closed() {
    let (_folder, path) = database();
    let (world, _store) = sqlite_at(&path).await;
    let job = world.submit(world.job(1)).await;
    // Copied as a crash would leave it: the file and its log, without a checkpoint.
    let copy = path.with_extension("copy");
    for end in ["", "-wal"] {
        std::fs::copy(format!("{}{end}", path.display()), format!("{}{end}", copy.display())).unwrap();
    }
    let (world, _) = sqlite_at(&copy).await;
    assert_eq!(world.store.job(world.account, job.id).await.unwrap(), job);
}

#[tokio::test]
async fn two_stores_may_have_one_file_open() {
    let (_folder, path) = database();
    let ((one, _), (two, _)) = tokio::join!(sqlite_at(&path), sqlite_at(&path));
    assert_eq!(one.account, two.account);
    let jobs = |world: &World| (0..20).map(|_| world.job(1)).collect::<Vec<_>>();
    let (first, second) = tokio::join!(
        join_all(jobs(&one).into_iter().map(|job| one.submit(job))),
        join_all(jobs(&two).into_iter().map(|job| two.submit(job))),
    );
    assert_eq!(
        first.len() + second.len(),
        one.store.list_jobs(one.account, &JobFilter::default(), ALL).await.unwrap().len()
    );
    let (mine, theirs) =
        tokio::join!(one.store.claim_jobs(40, crate::world::LEASE), two.store.claim_jobs(40, crate::world::LEASE));
    assert_eq!(mine.unwrap().len() + theirs.unwrap().len(), 40);
}

#[tokio::test]
async fn secrets_are_not_in_the_file_in_the_clear() {
    let (folder, path) = database();
    let (world, store) = sqlite_at(&path).await;
    let endpoint = world.registered().await;
    let secret = world.secret(SealedFor::Account(world.account), "whsec_account");
    world.store.add_secret(secret, world.now()).await.unwrap();
    crate::origins::kept(&world).await;
    let holds = |text: &str| {
        let files =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
        files.into_iter().any(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
    };
    for _ in 0..2 {
        assert!(holds(endpoint.url.as_str()), "the test can see into the file");
        assert!(!holds("whsec_") && !holds("header-in-the-clear") && !holds("key-in-the-clear"));
        assert!(holds("my bucket") && !holds("origin-key-in-the-clear") && !holds("AKIDEXAMPLE"));
        store.close().await;
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, path) = database();
    let (world, _store) = sqlite_at(&path).await;
    world.submit(world.job(1)).await;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.file_name());
    }
}

#[tokio::test]
async fn the_wrong_master_key_is_refused_in_words() {
    let (_folder, path) = database();
    let (world, store) = sqlite_at(&path).await;
    store.close().await;
    for wrong in [MasterKey::new(1, [8; 32]), MasterKey::new(2, [7; 32])] {
        let error = SqliteStore::open(&path, wrong, world.ambient.clone()).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "stored secrets cannot be read: the master key given is not the one that this database was made with"
        );
    }
    SqliteStore::open(&path, master_key(), world.ambient.clone()).await.unwrap();
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused() {
    let (_folder, path) = database();
    let (world, store) = sqlite_at(&path).await;
    store.close().await;
    meddle(&path, "pragma user_version = 9999");
    let opened = SqliteStore::open(&path, master_key(), world.ambient.clone()).await;
    assert!(matches!(opened, Err(StoreError::Corrupt { what: "schema", .. })));
}

#[tokio::test]
async fn a_database_whose_steps_were_listed_in_a_table_goes_on_from_the_last() {
    let (_folder, path) = database();
    let (world, store) = sqlite_at(&path).await;
    let job = world.submit(world.job(1)).await;
    store.close().await;
    meddle(
        &path,
        "drop trigger jobs_added; drop trigger jobs_moved; drop trigger jobs_removed; drop trigger uploads_added;
        drop trigger uploads_removed; drop table tallies; alter table keeper drop column claims;
        drop index api_keys_that_work; alter table deliveries drop column waits_since;
        drop trigger jobs_marked; drop trigger jobs_marked_anew; drop trigger jobs_failed; drop trigger jobs_unmarked;
        drop trigger outputs_failed_at_once; drop trigger outputs_failed; drop table job_marks; drop index jobs_of_state;
        drop index jobs_of_name; drop index deliveries_delivered; drop index deliveries_of_type;
        drop index deliveries_scheduled; drop index deliveries_held_of; drop index deliveries_not_delivered;
        drop table derived_keys; drop table temporary_endpoints; drop trigger endpoints_changed;
        create trigger endpoints_changed after update of url on endpoints begin
            update keeper set endpoints_version = endpoints_version + 1; end;
        alter table endpoints drop column tls; pragma user_version = 0; create table _sqlx_migrations (version integer);
        insert into _sqlx_migrations values (1), (13)",
    );
    let store = SqliteStore::open(&path, master_key(), world.ambient.clone()).await.unwrap();
    assert_eq!(store.job_by_id(job.id).await.unwrap().id, job.id);
    let filter = JobFilter {
        metadata: vec![("order".to_owned(), "7".to_owned())],
        recipe: Some("web_ready".to_owned()),
        ..JobFilter::default()
    };
    assert_eq!(store.list_jobs(world.account, &filter, ALL).await.unwrap().len(), 1, "what was there before is found");
    store.derived_key("links", [7; 32]).await.unwrap();
    assert_eq!(store.claim_jobs(5, LEASE).await.unwrap().len(), 1, "what was queued before is claimed");
    store.close().await;
    let connection = Connection::open(&path).unwrap();
    let lists: i64 = connection
        .query_row("select count(*) from sqlite_schema where name like '_sqlx%'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(lists, 0);
}

#[tokio::test]
async fn a_damaged_row_is_an_error_and_no_panic() {
    let damages = [
        "update jobs set spec = '{'",
        "update jobs set state = 'dancing'",
        "update jobs set state = 'failed'",
        "update jobs set account = x'00'",
        "update jobs set progress = 300",
        "update jobs set stage = 'dreaming'",
        "update outputs set state = 'dancing'",
        "update outputs set plan = 'x'",
        "delete from outputs",
    ];
    for damage in damages {
        let (_folder, path) = database();
        let (world, store) = sqlite_at(&path).await;
        let job = world.submit(world.job(1)).await;
        meddle(&path, damage);
        let read = store.job_by_id(job.id).await;
        assert!(matches!(read, Err(StoreError::Corrupt { .. })), "{damage}: {read:?}");
        let canceled = store.cancel_job(world.account, job.id).await;
        assert!(matches!(canceled, Err(StoreError::Corrupt { .. })), "{damage}: {canceled:?}");
        world.submit(world.job(1)).await;
    }
}
