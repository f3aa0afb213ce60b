//! Accounts, keys and what an account has set.

use reelhook_domain::endpoint::EndpointRole;
use reelhook_domain::event::EventFilter;
use reelhook_domain::job::Dialect;
use reelhook_store::{DefaultWebhook, JobEndpoint, NewApiKey, StoreError};
use std::time::Duration;

use crate::conformance;
use crate::world::{World, is_not_found};

fn new_key(world: &World, byte: u8) -> NewApiKey {
    let hint = format!("rh_{byte}");
    NewApiKey { id: world.id(), account: world.account, name: "ci".to_owned(), hint, hash: [byte; 32] }
}

conformance! {
    async fn there_is_one_first_account_however_many_ask(world: &World) {
        let asked = futures::future::join_all((0..20).map(|_| world.store.first_account())).await;
        assert!(asked.into_iter().all(|account| account.unwrap().id == world.account));
    }

    async fn an_account_has_a_name_of_its_own_and_never_becomes_the_first(world: &World) {
        let made = world.store.create_account("theirs").await.unwrap();
        assert_eq!((made.name.as_str(), made.created_at), ("theirs", world.now()));
        for taken in ["theirs", "default"] {
            assert!(matches!(world.store.create_account(taken).await, Err(StoreError::AlreadyExists)), "{taken}");
        }
        let listed: Vec<_> = world.store.list_accounts().await.unwrap().into_iter().map(|account| account.id).collect();
        assert_eq!(listed, [world.account, made.id]);
        assert_eq!(world.store.first_account().await.unwrap().id, world.account);
    }

    async fn a_key_is_found_by_its_hash_until_it_is_revoked(world: &World) {
        assert!(!world.store.has_keys().await.unwrap());
        let key = world.store.create_key(new_key(world, 1)).await.unwrap();
        assert!(world.store.has_keys().await.unwrap());
        assert_eq!(world.store.find_key(&[1; 32]).await.unwrap(), Some(key.clone()));
        assert_eq!(world.store.find_key(&[2; 32]).await.unwrap(), None);

        let revoked = world.store.revoke_key(world.account, key.id).await.unwrap();
        assert_eq!(revoked.revoked_at, Some(world.now()));
        assert_eq!(world.store.find_key(&[1; 32]).await.unwrap(), None);
        world.pass(Duration::from_secs(1));
        assert_eq!(world.store.revoke_key(world.account, key.id).await.unwrap(), revoked, "a second revocation changes nothing");
    }

    async fn keys_are_listed_newest_first_with_those_revoked(world: &World) {
        let first = world.store.create_key(new_key(world, 1)).await.unwrap();
        world.pass(Duration::from_secs(1));
        let second = world.store.create_key(new_key(world, 2)).await.unwrap();
        world.store.revoke_key(world.account, first.id).await.unwrap();
        let listed: Vec<_> = world.store.list_keys(world.account).await.unwrap().into_iter().map(|key| key.id).collect();
        assert_eq!(listed, [second.id, first.id]);
        assert!(world.store.list_keys(world.id()).await.unwrap().is_empty());
        assert!(is_not_found(&world.store.revoke_key(world.id(), second.id).await), "another account's key");
    }

    async fn a_change_of_the_settings_is_remembered_with_its_time(world: &World) {
        let changed = async |dialect| world.store.settings_changed_at(world.account, dialect).await.unwrap();
        let made = changed(Dialect::Xora).await;
        world.pass(Duration::from_secs(5));
        world.store.set_default_webhook(world.account, Dialect::Xora, None).await.unwrap();
        assert_eq!(changed(Dialect::Xora).await, world.now());
        assert_eq!(changed(Dialect::Native).await, made, "another dialect's settings did not change");
    }

    async fn the_default_origin_is_what_was_set_last(world: &World) {
        let origin = crate::origins::kept(world).await.id;
        let set = async |origin| world.store.set_default_origin(world.account, Dialect::Xora, origin).await.unwrap();
        let kept = async |dialect| world.store.default_origin(world.account, dialect).await.unwrap();
        assert_eq!(kept(Dialect::Xora).await, None);
        world.pass(Duration::from_secs(5));
        set(Some(origin)).await;
        assert_eq!((kept(Dialect::Xora).await, kept(Dialect::Native).await), (Some(origin), None));
        assert_eq!(world.store.settings_changed_at(world.account, Dialect::Xora).await.unwrap(), world.now());
        set(None).await;
        assert_eq!(kept(Dialect::Xora).await, None);
    }

    async fn the_default_webhook_is_what_was_set_last(world: &World) {
        assert_eq!(world.store.default_webhook(world.account, Dialect::Native).await.unwrap(), None);
        let url = "https://example.com/default".parse().unwrap();
        let wanted = JobEndpoint { account: world.account, role: EndpointRole::Default, url, dialect: Dialect::Native, timeout_ms: 15_000, headers: None, tls: None };
        let endpoint = world.store.endpoint_for(wanted).await.unwrap().id;
        for events in [EventFilter::default(), EventFilter::new(vec!["job.failed".to_owned()])] {
            let webhook = DefaultWebhook { endpoint, events };
            world.store.set_default_webhook(world.account, Dialect::Native, Some(webhook.clone())).await.unwrap();
            assert_eq!(world.store.default_webhook(world.account, Dialect::Native).await.unwrap(), Some(webhook));
        }
        world.store.set_default_webhook(world.account, Dialect::Native, None).await.unwrap();
        assert_eq!(world.store.default_webhook(world.account, Dialect::Native).await.unwrap(), None);
    }
}
