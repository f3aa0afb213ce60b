//! Origins and what opens them.

use std::time::Duration;

use reelhook_domain::id::AccountId;
use reelhook_domain::origin::{Credentials, Origin, OriginStatus, Permissions, Place, Validation};
use reelhook_store::{OriginChange, Page, StoreError};

use crate::conformance;
use crate::world::{ALL, World, is_not_found};

fn places() -> [Place; 4] {
    let bucket = || "media".to_owned();
    [
        Place::Http { base_url: "https://example.com/in".parse().unwrap() },
        Place::S3 { bucket: bucket(), region: "eu-central-1".to_owned(), endpoint: None },
        Place::R2 { bucket: bucket(), endpoint: "https://0123.r2.cloudflarestorage.com".parse().unwrap() },
        Place::Gcs { bucket: bucket() },
    ]
}

fn origin(world: &World, place: Place) -> Origin {
    Origin {
        id: world.id(),
        account: world.account,
        name: "my bucket".to_owned(),
        place,
        permissions: Permissions { read: true, write: false },
        base_path: "videos/".parse().unwrap(),
        path_template: "{date}/{job_id}/{resolution}".parse().unwrap(),
        status: OriginStatus::Active,
        validation: None,
        created_at: world.now(),
        updated_at: world.now(),
    }
}

fn keys() -> Credentials {
    Credentials::Keys {
        access_key_id: "AKIDEXAMPLE".to_owned(),
        secret_access_key: "origin-key-in-the-clear".to_owned(),
        session_token: None,
    }
}

/// An origin of that account, and what opens it.
pub(crate) fn new_origin(world: &World, account: AccountId) -> (Origin, Credentials) {
    let [place, ..] = places();
    (Origin { account, ..origin(world, place) }, keys())
}

/// An origin of S3 with its keys.
pub(crate) async fn kept(world: &World) -> Origin {
    let [_, s3, ..] = places();
    let origin = origin(world, s3);
    world.store.create_origin(origin.clone(), keys()).await.unwrap();
    origin
}

fn found(world: &World, error: Option<&str>) -> Validation {
    let read_error = error.map(ToOwned::to_owned);
    Validation { can_read: error.is_none(), can_write: false, read_error, write_error: None, validated_at: world.now() }
}

conformance! {
    async fn an_origin_is_kept_as_it_came_wherever_it_is(world: &World) {
        for place in places() {
            let mut origin = origin(world, place);
            origin.validation = Some(found(world, None));
            world.store.create_origin(origin.clone(), keys()).await.unwrap();
            assert_eq!(world.store.origin(world.account, origin.id).await.unwrap(), origin);
        }
    }

    async fn every_kind_of_credentials_comes_back_from_the_vault(world: &World) {
        let headers = Credentials::Headers([("authorization".to_owned(), "Bearer t".to_owned())].into());
        for credentials in [headers, keys(), Credentials::ServiceAccount("{\"private_key\":\"x\"}".to_owned())] {
            let [http, ..] = places();
            let origin = origin(world, http);
            world.store.create_origin(origin.clone(), credentials.clone()).await.unwrap();
            assert_eq!(world.store.origin_credentials(world.account, origin.id).await.unwrap(), credentials);
        }
    }

    async fn another_account_does_not_find_an_origin(world: &World) {
        let origin = kept(world).await;
        let stranger = world.id();
        assert!(is_not_found(&world.store.origin(stranger, origin.id).await));
        assert!(is_not_found(&world.store.origin_credentials(stranger, origin.id).await));
        assert!(is_not_found(&world.store.change_origin(stranger, origin.id, OriginChange::Archived).await));
        assert!(world.store.list_origins(stranger, ALL).await.unwrap().is_empty());
        assert_eq!(world.store.origin(world.account, origin.id).await.unwrap(), origin, "and did not change it");
    }

    async fn a_check_decides_the_status_of_an_origin(world: &World) {
        let origin = kept(world).await;
        world.pass(Duration::from_secs(5));
        let failed = found(world, Some("there is no such bucket"));
        let change = OriginChange::Validated(failed.clone());
        let changed = world.store.change_origin(world.account, origin.id, change).await.unwrap();
        assert_eq!((changed.status, changed.validation), (OriginStatus::Failed, Some(failed)));
        assert_eq!((changed.created_at, changed.updated_at), (origin.created_at, world.now()));
        let change = OriginChange::Validated(found(world, None));
        let changed = world.store.change_origin(world.account, origin.id, change).await.unwrap();
        assert_eq!(changed.status, OriginStatus::Active);
        assert_eq!(world.store.origin(world.account, origin.id).await.unwrap(), changed);
    }

    async fn an_origin_that_is_said_anew_keeps_its_age_and_loses_its_old_keys(world: &World) {
        let origin = kept(world).await;
        world.pass(Duration::from_secs(5));
        let said = Origin { name: "anew".to_owned(), created_at: world.now(), updated_at: world.now(), ..origin.clone() };
        let keys = Credentials::Headers([("authorization".to_owned(), "anew".to_owned())].into());
        let change = || OriginChange::Said(Box::new(said.clone()), keys.clone());
        assert!(is_not_found(&world.store.change_origin(world.id(), origin.id, change()).await), "a stranger's");
        let changed = world.store.change_origin(world.account, origin.id, change()).await.unwrap();
        assert_eq!(changed, Origin { created_at: origin.created_at, ..said.clone() });
        assert_eq!(world.store.origin(world.account, origin.id).await.unwrap(), changed);
        assert_eq!(world.store.origin_credentials(world.account, origin.id).await.unwrap(), keys);
        world.store.change_origin(world.account, origin.id, OriginChange::Archived).await.unwrap();
        assert!(is_not_found(&world.store.change_origin(world.account, origin.id, change()).await));
    }

    async fn an_archived_origin_is_still_known_but_opens_nothing(world: &World) {
        let origin = kept(world).await;
        let archived = world.store.change_origin(world.account, origin.id, OriginChange::Archived).await.unwrap();
        assert_eq!(archived.status, OriginStatus::Archived);
        assert_eq!(world.store.origin(world.account, origin.id).await.unwrap(), archived);
        assert!(is_not_found(&world.store.origin_credentials(world.account, origin.id).await));
        assert!(world.store.list_origins(world.account, ALL).await.unwrap().is_empty());
        for change in [OriginChange::Archived, OriginChange::Validated(found(world, None))] {
            assert!(is_not_found(&world.store.change_origin(world.account, origin.id, change).await));
        }
    }

    async fn origins_are_listed_page_by_page_newest_first(world: &World) {
        let mut ids = Vec::new();
        for _ in 0..3 {
            world.pass(Duration::from_millis(1));
            ids.push(kept(world).await.id);
        }
        ids.reverse();
        let listed = |page| async move {
            let origins = world.store.list_origins(world.account, page).await.unwrap();
            origins.into_iter().map(|origin| origin.id).collect::<Vec<_>>()
        };
        assert_eq!(listed(ALL).await, ids);
        assert_eq!(listed(Page { before: None, limit: 2 }).await, ids[..2]);
        assert_eq!(listed(Page { before: Some(ids[1].bits()), limit: 2 }).await, ids[2..]);
    }

    async fn an_origin_id_is_used_once(world: &World) {
        let origin = kept(world).await;
        let again = world.store.create_origin(origin, keys()).await;
        assert!(matches!(again, Err(StoreError::AlreadyExists)));
    }
}
