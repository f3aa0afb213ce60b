//! Endpoints and secrets.

use std::time::Duration;

use futures::future::join_all;
use reelhook_domain::circuit::Circuit;
use reelhook_domain::delivery::DeliveryState;
use reelhook_domain::endpoint::{EndpointRole, EndpointState, Failing, Rate};
use reelhook_domain::event::EventFilter;
use reelhook_domain::job::Dialect;
use reelhook_domain::retry::{RetrySchedule, Verdict};
use reelhook_domain::tls::{EndpointTls, TlsChange};
use reelhook_store::{EndpointChange, JobEndpoint, SealedFor, SigningSecret, StoreError};
use serde_json::json;

use crate::conformance;
use crate::world::{LEASE, World, is_not_found};

fn wanted(world: &World, role: EndpointRole, url: &str) -> JobEndpoint {
    JobEndpoint {
        account: world.account,
        role,
        url: url.parse().unwrap(),
        dialect: Dialect::Native,
        timeout_ms: 15_000,
        headers: None,
        tls: None,
    }
}

fn off(reason: &str) -> EndpointChange {
    EndpointChange { state: Some((EndpointState::Disabled, Some(reason.to_owned()))), ..EndpointChange::default() }
}

fn on() -> EndpointChange {
    EndpointChange { state: Some((EndpointState::Enabled, None)), ..EndpointChange::default() }
}

conformance! {
    async fn a_revoked_secret_signs_no_more_and_only_its_account_can_revoke_it(world: &World) {
        let owner = SealedFor::Account(world.account);
        let secret = SigningSecret {
            id: world.id(),
            owner,
            scheme: "transcodely".to_owned(),
            text: "whsec_text".to_owned(),
            created_at: world.now(),
            until: None,
        };
        world.store.add_secret(secret.clone(), world.now()).await.unwrap();
        assert!(is_not_found(&world.store.revoke_secret(world.id(), secret.id).await));
        assert_eq!(world.store.secrets(owner).await.unwrap(), std::slice::from_ref(&secret));
        world.store.revoke_secret(world.account, secret.id).await.unwrap();
        assert!(world.store.secrets(owner).await.unwrap().is_empty());
        assert!(is_not_found(&world.store.revoke_secret(world.account, secret.id).await));
    }

    async fn a_registered_endpoint_is_kept_as_it_came(world: &World) {
        let endpoint = world.registered().await;
        assert_eq!(world.store.endpoint(world.account, endpoint.id).await.unwrap(), endpoint);
        assert_eq!(world.store.list_endpoints(world.account).await.unwrap(), std::slice::from_ref(&endpoint));
        let found = world.store.endpoints_by_id(&[world.id(), endpoint.id]).await.unwrap();
        assert_eq!(found, [endpoint], "those that are missing are left out");
    }

    async fn a_temporary_endpoint_goes_once_it_was_not_read_for_long_and_no_other_does(world: &World) {
        let (read, unread, kept) = (world.endpoint(), world.endpoint(), world.registered().await);
        for endpoint in [&read, &unread] {
            let secret = world.secret(SealedFor::Endpoint(endpoint.id), "whsec_first");
            world.store.create_temporary_endpoint(endpoint.clone(), secret).await.unwrap();
        }
        let long = Duration::from_secs(600);
        world.pass(long);
        assert_eq!(world.store.delete_unread_endpoints(world.now() - long, 10).await.unwrap(), 0);
        world.store.note_read(read.id).await.unwrap();
        world.store.note_read(kept.id).await.unwrap();
        let sent = world.sent(1, unread.id).await;
        world.pass(Duration::from_secs(1));
        assert_eq!(world.store.delete_unread_endpoints(world.now() - long, 10).await.unwrap(), 1);
        assert!(is_not_found(&world.store.endpoint(world.account, unread.id).await));
        assert_eq!(world.state_of(&sent[0]).await, "canceled", "as when it is deleted by hand");
        world.store.endpoint(world.account, read.id).await.unwrap();
        world.pass(100 * long);
        assert_eq!(world.store.delete_unread_endpoints(world.now() - long, 10).await.unwrap(), 1);
        assert_eq!(world.store.list_endpoints(world.account).await.unwrap(), [kept]);
    }

    async fn another_account_does_not_find_an_endpoint(world: &World) {
        let endpoint = world.registered().await;
        let stranger = world.id();
        assert!(is_not_found(&world.store.endpoint(stranger, endpoint.id).await));
        assert!(is_not_found(&world.store.change_endpoint(stranger, endpoint.id, off("by_hand")).await));
        assert!(is_not_found(&world.store.delete_endpoint(stranger, endpoint.id).await));
        assert!(is_not_found(&world.store.pull(stranger, endpoint.id, 0, 10).await));
        assert!(world.store.list_endpoints(stranger).await.unwrap().is_empty());
    }

    async fn one_url_is_one_endpoint_however_many_ask(world: &World) {
        let url = "https://example.com/once";
        let asked = join_all((0..20).map(|_| world.store.endpoint_for(wanted(world, EndpointRole::Job, url)))).await;
        let first = asked[0].as_ref().unwrap();
        assert!(asked.iter().all(|endpoint| endpoint.as_ref().unwrap() == first));
        let default = world.store.endpoint_for(wanted(world, EndpointRole::Default, url)).await.unwrap();
        let other = world.store.endpoint_for(wanted(world, EndpointRole::Job, "https://example.com/twice")).await.unwrap();
        assert!(default.id != first.id && other.id != first.id);
        assert!(world.store.list_endpoints(world.account).await.unwrap().is_empty(), "only registered ones are listed");
    }

    async fn two_registered_endpoints_may_share_a_url(world: &World) {
        world.registered().await;
        world.registered().await;
        assert_eq!(world.store.list_endpoints(world.account).await.unwrap().len(), 2);
    }

    async fn a_change_touches_only_what_it_names(world: &World) {
        let endpoint = world.registered().await;
        let change = EndpointChange {
            url: Some("https://example.org/new".parse().unwrap()),
            events: Some(EventFilter::new(vec!["job.failed".to_owned()])),
            retry: Some(Some(RetrySchedule::seconds(&[0, 60]))),
            rate: Some(Some(Rate { per_second: 0.5, burst: 2 })),
            timeout_ms: Some(30_000),
            ..EndpointChange::default()
        };
        let changed = world.store.change_endpoint(world.account, endpoint.id, change).await.unwrap();
        assert_eq!(changed.url.as_str(), "https://example.org/new");
        assert_eq!((&changed.headers, &changed.description), (&endpoint.headers, &endpoint.description));
        assert_eq!(world.store.endpoint(world.account, endpoint.id).await.unwrap(), changed);
        let change = EndpointChange { retry: Some(None), rate: Some(None), ..EndpointChange::default() };
        let changed = world.store.change_endpoint(world.account, endpoint.id, change).await.unwrap();
        assert_eq!((changed.retry, changed.rate, changed.timeout_ms), (None, None, 30_000));
        assert_eq!(world.store.last_sequence().await.unwrap(), 0, "no event without a change of state");
    }

    async fn tls_changes_field_by_field(world: &World) {
        let endpoint = world.registered().await;
        let (first, second) = (world.tls("first"), world.tls("second"));
        let change = async |tls| {
            let change = EndpointChange { tls: Some(tls), ..EndpointChange::default() };
            let changed = world.store.change_endpoint(world.account, endpoint.id, change).await.unwrap();
            assert_eq!(world.store.endpoint(world.account, endpoint.id).await.unwrap(), changed);
            assert_eq!(changed.headers, endpoint.headers);
            changed.tls
        };
        let renewed = change(Some(TlsChange { client: Some(second.client.clone()), roots: None })).await;
        assert_eq!(renewed, EndpointTls { client: second.client.clone(), ..first.clone() });
        let without_roots = change(Some(TlsChange { client: None, roots: Some(None) })).await;
        assert_eq!(without_roots, EndpointTls { client: second.client, roots: None });
        assert!(change(None).await.is_usual());
        let again = change(Some(TlsChange { client: None, roots: Some(first.roots.clone()) })).await;
        assert_eq!(again, EndpointTls { client: None, roots: first.roots });
    }

    async fn a_job_says_tls_anew_or_keeps_what_its_url_has(world: &World) {
        let asked = async |tls: Option<EndpointTls>| {
            let wanted = JobEndpoint { tls, ..wanted(world, EndpointRole::Job, "https://example.com/mutual") };
            world.store.endpoint_for(wanted).await.unwrap()
        };
        let first = asked(Some(world.tls("first"))).await;
        assert_eq!(first.tls, world.tls("first"));
        assert_eq!(asked(None).await, first);
        let second = asked(Some(world.tls("second"))).await;
        assert_eq!((second.id, &second.tls), (first.id, &world.tls("second")));
        assert!(asked(Some(EndpointTls::default())).await.tls.is_usual());
        assert!(asked(None).await.tls.is_usual());
    }

    async fn a_disabled_endpoint_holds_its_deliveries_until_it_is_enabled(world: &World) {
        let endpoint = world.registered().await;
        let sent = world.sent(2, endpoint.id).await;
        world.settle(&sent[0], world.retry_in(5)).await;
        let disabled = world.store.change_endpoint(world.account, endpoint.id, off("by_hand")).await.unwrap();
        assert_eq!(disabled.disabled_reason.as_deref(), Some("by_hand"));
        let counted = world.store.count_endpoints().await.unwrap();
        assert!(counted.contains(&(EndpointState::Disabled, 1)), "{counted:?}");
        assert_eq!(world.state_of(&sent[0]).await, "held");
        assert_eq!(world.state_of(&sent[1]).await, "sending", "what is on its way ends by itself");
        world.settle(&sent[1], world.retry_in(5)).await;
        assert_eq!(world.state_of(&sent[1]).await, "held", "and waits with the others");
        assert!(world.sent(1, endpoint.id).await.is_empty(), "new ones are held at once");
        assert_eq!(world.store.next_due(&[]).await.unwrap(), None);

        world.store.change_endpoint(world.account, endpoint.id, on()).await.unwrap();
        assert_eq!(world.store.next_due(&[]).await.unwrap(), Some(world.now()));
        assert_eq!(world.store.claim_due(10, 10, &[], LEASE).await.unwrap().len(), 3);
    }

    async fn only_a_change_of_state_is_told(world: &World) {
        let endpoint = world.registered().await;
        for change in [on(), off("by_hand"), off("again"), on(), on()] {
            world.store.change_endpoint(world.account, endpoint.id, change).await.unwrap();
        }
        let outbox = world.store.outbox(10).await.unwrap().events;
        let told: Vec<_> = outbox.iter().map(|event| (event.event.kind.as_str(), event.event.data.read::<serde_json::Value>().unwrap())).collect();
        let data = |reason: Option<&str>| json!({"endpoint": endpoint.id, "url": endpoint.url, "reason": reason});
        assert_eq!(told, [("endpoint.disabled", data(Some("by_hand"))), ("endpoint.enabled", data(None))]);
    }

    async fn an_enabled_endpoint_begins_with_a_clean_sheet(world: &World) {
        let endpoint = world.registered().await;
        let sent = world.sent(1, endpoint.id).await;
        let failing = Failing { since: world.now(), attempts: 20 };
        let circuit = Circuit::Open { until: world.now() + LEASE, times: 3 };
        let mut settlement = world.settlement(&sent[0], Verdict::Exhausted);
        (settlement.circuit, settlement.failing, settlement.disable) = (circuit, Some(failing), Some("failing"));
        world.store.settle(vec![settlement]).await.unwrap();
        let disabled = world.store.endpoint(world.account, endpoint.id).await.unwrap();
        assert_eq!((disabled.state, disabled.circuit, disabled.failing), (EndpointState::Disabled, circuit, Some(failing)));
        assert_eq!(disabled.disabled_reason.as_deref(), Some("failing"));
        let enabled = world.store.change_endpoint(world.account, endpoint.id, on()).await.unwrap();
        assert_eq!((enabled.circuit, enabled.failing, enabled.disabled_reason), (Circuit::default(), None, None));
    }

    async fn deleting_an_endpoint_cancels_what_has_not_ended(world: &World) {
        let endpoint = world.registered().await;
        let sent = world.sent(3, endpoint.id).await;
        world.settle(&sent[0], Verdict::Delivered).await;
        world.settle(&sent[1], world.retry_in(5)).await;
        world.store.delete_endpoint(world.account, endpoint.id).await.unwrap();
        assert!(is_not_found(&world.store.endpoint(world.account, endpoint.id).await));
        assert!(is_not_found(&world.store.delete_endpoint(world.account, endpoint.id).await));
        assert_eq!([world.state_of(&sent[0]).await, world.state_of(&sent[1]).await, world.state_of(&sent[2]).await],
            ["delivered", "canceled", "canceled"]);
        let late = world.store.settle(vec![world.settlement(&sent[2], Verdict::Delivered)]).await.unwrap();
        assert_eq!(late, [sent[2].delivery.id]);
        assert!(world.store.secrets(SealedFor::Endpoint(endpoint.id)).await.unwrap().is_empty());
        assert!(world.sent(1, endpoint.id).await.is_empty(), "nothing new is made for it");
        let resent = world.store.resend(world.account, sent[0].delivery.id).await;
        assert!(matches!(resent, Err(StoreError::EndpointGone(id)) if id == endpoint.id), "{resent:?}");
    }

    async fn a_deleted_default_webhook_is_no_default(world: &World) {
        let endpoint = world.store.endpoint_for(wanted(world, EndpointRole::Default, "https://example.com/d")).await.unwrap();
        let webhook = reelhook_store::DefaultWebhook { endpoint: endpoint.id, events: EventFilter::default() };
        world.store.set_default_webhook(world.account, Dialect::Native, Some(webhook)).await.unwrap();
        world.store.delete_endpoint(world.account, endpoint.id).await.unwrap();
        assert_eq!(world.store.default_webhook(world.account, Dialect::Native).await.unwrap(), None);
    }

    async fn secrets_overlap_when_they_are_rotated(world: &World) {
        let endpoint = world.registered().await;
        let owner = SealedFor::Endpoint(endpoint.id);
        let texts = async || {
            let secrets = world.store.secrets(owner).await.unwrap();
            secrets.into_iter().map(|secret| secret.text).collect::<Vec<_>>()
        };
        assert_eq!(texts().await, ["whsec_first"]);
        world.pass(Duration::from_secs(1));
        let overlap_until = world.now() + Duration::from_secs(3600);
        world.store.add_secret(world.secret(owner, "whsec_second"), overlap_until).await.unwrap();
        world.pass(Duration::from_secs(1));
        let mut other = world.secret(owner, "whsk_other");
        other.scheme = "ed25519".to_owned();
        world.store.add_secret(other, world.now()).await.unwrap();
        assert_eq!(texts().await, ["whsk_other", "whsec_second", "whsec_first"], "newest first; schemes stand alone");
        world.pass(Duration::from_secs(3600));
        assert_eq!(texts().await, ["whsk_other", "whsec_second"]);
    }

    async fn a_secret_can_belong_to_an_account(world: &World) {
        let owner = SealedFor::Account(world.account);
        assert!(world.store.secrets(owner).await.unwrap().is_empty());
        let secret = world.secret(owner, "whsec_account");
        world.store.add_secret(secret.clone(), world.now()).await.unwrap();
        assert_eq!(world.store.secrets(owner).await.unwrap(), [secret]);
        let nobody = world.secret(SealedFor::Endpoint(world.id()), "whsec_x");
        assert!(is_not_found(&world.store.add_secret(nobody, world.now()).await));
    }

    async fn an_endpoint_id_is_used_once(world: &World) {
        let endpoint = world.registered().await;
        let secret = world.secret(SealedFor::Endpoint(endpoint.id), "whsec_again");
        let again = world.store.create_endpoint(endpoint.clone(), secret).await;
        assert!(matches!(again, Err(StoreError::AlreadyExists)));
        assert_eq!(world.store.secrets(SealedFor::Endpoint(endpoint.id)).await.unwrap().len(), 1);
    }

    async fn a_gone_receiver_disables_its_endpoint(world: &World) {
        let endpoint = world.registered().await;
        let sent = world.sent(2, endpoint.id).await;
        world.settle(&sent[0], world.retry_in(0)).await;
        world.settle(&sent[1], Verdict::Gone).await;
        assert_eq!([world.state_of(&sent[0]).await, world.state_of(&sent[1]).await], ["held", "held"]);
        let record = world.store.delivery(world.account, sent[1].delivery.id).await.unwrap();
        assert_eq!((record.delivery.state, record.attempts.len()), (DeliveryState::Held, 1));
        let endpoint = world.store.endpoint(world.account, endpoint.id).await.unwrap();
        assert_eq!((endpoint.state, endpoint.disabled_reason.as_deref()), (EndpointState::Disabled, Some("gone")));
        let told = world.store.outbox(10).await.unwrap().events;
        assert_eq!(told.last().unwrap().event.kind.as_str(), "endpoint.disabled");
    }
}
