//! What a receiver may rely on, through the public door only.

use std::time::Duration;

use proptest::prelude::*;
use reelhook_signature::{Headers, Keys, MAX_SIGNATURES, Secret, Trust, VerifyError, sign, verify};

const NOW: i64 = 1_614_265_330;
const BODY: &[u8] = br#"{"test": 2432232314}"#;

fn secret(byte: u8) -> Secret {
    Secret::generate([byte; 32])
}

fn signed(secrets: &[Secret]) -> String {
    sign("evt_1", NOW, BODY, Keys::secrets(secrets))
}

fn check(signature: &str, trusted: &[Secret]) -> Result<(), VerifyError> {
    let headers = Headers { id: Some("evt_1"), timestamp: Some("1614265330"), signature: Some(signature) };
    verify(headers, BODY, NOW, Trust::secrets(trusted))
}

#[test]
fn any_signature_and_any_secret_is_enough() {
    let [a, b, c] = [1, 2, 3].map(secret);
    assert_eq!(check(&signed(&[a.clone(), b.clone()]), std::slice::from_ref(&b)), Ok(()));
    assert_eq!(check(&signed(std::slice::from_ref(&b)), &[a.clone(), b.clone()]), Ok(()));
    assert_eq!(check(&signed(&[a, b]), &[c]), Err(VerifyError::NoMatchingSignature));
}

#[test]
fn unknown_versions_and_rubbish_are_passed_over() {
    let key = secret(1);
    let good = signed(std::slice::from_ref(&key));
    let keys = [key];
    assert_eq!(check(&format!("v9,AAAA nonsense , v1,*** {good}"), &keys), Ok(()));
    assert_eq!(check("v9,AAAA nonsense", &keys), Err(VerifyError::NoKnownVersion));
    assert_eq!(check("", &keys), Err(VerifyError::NoKnownVersion));
    assert_eq!(check("v1,", &keys), Err(VerifyError::NoMatchingSignature));
    assert_eq!(check(&good, &[]), Err(VerifyError::NoKnownVersion));
}

#[test]
fn a_header_that_is_missing_is_named() {
    let whole = Headers { id: Some("evt_1"), timestamp: Some("1614265330"), signature: Some("v1,AAAA") };
    for (headers, name) in [
        (Headers { id: None, ..whole }, "webhook-id"),
        (Headers { timestamp: None, ..whole }, "webhook-timestamp"),
        (Headers { signature: None, ..whole }, "webhook-signature"),
    ] {
        let seen = verify(headers, BODY, NOW, Trust::secrets(&[secret(1)]));
        assert_eq!(seen, Err(VerifyError::MissingHeader(name)));
    }
}

#[test]
fn a_full_stop_cannot_move_bytes_from_the_id_to_the_body() {
    let keys = [secret(1)];
    // Signed as id `evt`, time NOW, body `7.x`; shown as id `evt.NOW`, time 7, body `x`: the same signed text.
    let signature = sign("evt", NOW, b"7.x", Keys::secrets(&keys));
    let id = format!("evt.{NOW}");
    let headers = Headers { id: Some(&id), timestamp: Some("7"), signature: Some(&signature) };
    assert_eq!(verify(headers, b"x", 7, Trust::secrets(&keys)), Err(VerifyError::BadId));
}

#[test]
fn the_time_may_be_five_minutes_off_either_way() {
    let keys = [secret(1)];
    let signature = signed(&keys);
    let headers = Headers { id: Some("evt_1"), timestamp: Some("1614265330"), signature: Some(&signature) };
    let at = |now, trust| verify(headers, BODY, now, trust);
    let trust = Trust::secrets(&keys);
    assert_eq!(at(NOW + 300, trust), Ok(()));
    assert_eq!(at(NOW - 300, trust), Ok(()));
    assert_eq!(at(NOW + 301, trust), Err(VerifyError::TimestampTooOld { age_seconds: 301, tolerance_seconds: 300 }));
    assert_eq!(at(NOW - 301, trust), Err(VerifyError::TimestampTooNew { ahead_seconds: 301, tolerance_seconds: 300 }));
    assert_eq!(at(NOW + 3600, trust.with_tolerance(Duration::from_secs(3600))), Ok(()));
    // The far ends of the clock are compared without overflow.
    assert!(at(i64::MIN, trust).is_err());
    assert!(at(i64::MAX, trust).is_err());
}

#[test]
fn a_time_is_digits_only() {
    for timestamp in ["", "+1614265330", "-1", "1614265330.0", "0x10", " 1614265330", "99999999999999999999"] {
        let headers = Headers { id: Some("evt_1"), timestamp: Some(timestamp), signature: Some("v1,AAAA") };
        let seen = verify(headers, BODY, NOW, Trust::secrets(&[secret(1)]));
        assert_eq!(seen, Err(VerifyError::BadTimestamp), "{timestamp:?}");
    }
}

#[test]
fn a_header_with_too_many_signatures_is_refused() {
    let keys = [secret(1)];
    let mut entries = vec!["v1,AAAA".to_owned(); MAX_SIGNATURES - 1];
    entries.push(signed(&keys));
    assert_eq!(check(&entries.join(" "), &keys), Ok(()));
    entries.push("v1,AAAA".to_owned());
    assert_eq!(check(&entries.join(" "), &keys), Err(VerifyError::TooManySignatures { limit: MAX_SIGNATURES }));
}

#[cfg(feature = "ed25519")]
#[test]
fn a_public_key_checks_what_its_private_half_signed() {
    use reelhook_signature::SigningKey;
    let key = SigningKey::from_seed([5; 32]);
    let value = sign("evt_1", NOW, BODY, Keys::secrets(&[secret(1)]).with_signing_keys(std::slice::from_ref(&key)));
    assert!(value.starts_with("v1,") && value.contains(" v1a,"));
    let headers = Headers { id: Some("evt_1"), timestamp: Some("1614265330"), signature: Some(&value) };
    let public = [key.public_key()];
    let other = [SigningKey::from_seed([6; 32]).public_key()];
    let none = Trust::secrets(&[]);
    assert_eq!(verify(headers, BODY, NOW, none.with_public_keys(&public)), Ok(()));
    assert_eq!(verify(headers, BODY, NOW, none.with_public_keys(&other)), Err(VerifyError::NoMatchingSignature));
    assert_eq!(verify(headers, b"other", NOW, none.with_public_keys(&public)), Err(VerifyError::NoMatchingSignature));
}

proptest! {
    #[test]
    fn what_was_signed_verifies(
        id in "[a-z0-9_]{1,40}",
        time in 0_i64..=i64::MAX,
        body in proptest::collection::vec(any::<u8>(), 0..200),
        key in any::<[u8; 32]>(),
    ) {
        let keys = [Secret::generate(key)];
        let signature = sign(&id, time, &body, Keys::secrets(&keys));
        let timestamp = time.to_string();
        let headers = Headers { id: Some(&id), timestamp: Some(&timestamp), signature: Some(&signature) };
        prop_assert_eq!(verify(headers, &body, time, Trust::secrets(&keys)), Ok(()));
    }

    #[test]
    fn changing_any_byte_of_the_body_fails(
        body in proptest::collection::vec(any::<u8>(), 1..200),
        at in any::<prop::sample::Index>(),
        flip in 1_u8..,
    ) {
        let keys = [secret(1)];
        let signature = sign("evt_1", NOW, &body, Keys::secrets(&keys));
        let mut changed = body.clone();
        changed[at.index(body.len())] ^= flip;
        let headers = Headers { id: Some("evt_1"), timestamp: Some("1614265330"), signature: Some(&signature) };
        prop_assert_eq!(
            verify(headers, &changed, NOW, Trust::secrets(&keys)),
            Err(VerifyError::NoMatchingSignature)
        );
    }

    #[test]
    fn changing_any_byte_of_the_signature_the_id_or_the_time_fails(
        at in any::<prop::sample::Index>(),
        replacement in "[A-Za-z0-9+/]",
    ) {
        let keys = [secret(1)];
        let texts = ["evt_1".to_owned(), "1614265330".to_owned(), signed(&keys)];
        let position = at.index(texts.iter().map(String::len).sum());
        let mut changed = texts.clone();
        let mut left = position;
        for text in &mut changed {
            if left < text.len() {
                text.replace_range(left..=left, &replacement);
                break;
            }
            left -= text.len();
        }
        let headers = Headers { id: Some(&changed[0]), timestamp: Some(&changed[1]), signature: Some(&changed[2]) };
        let far = Trust::secrets(&keys).with_tolerance(Duration::from_secs(u64::MAX));
        prop_assert_eq!(verify(headers, BODY, NOW, far).is_ok(), changed == texts);
    }

    #[test]
    fn no_input_makes_it_panic(id in ".*", timestamp in ".*", signature in ".*", body in any::<Vec<u8>>(), now in any::<i64>()) {
        let headers = Headers { id: Some(&id), timestamp: Some(&timestamp), signature: Some(&signature) };
        let _ = verify(headers, &body, now, Trust::secrets(&[secret(1)]));
        let _ = Secret::parse(&signature);
    }
}

#[test]
fn a_receiver_that_depends_on_this_depends_on_little() {
    let manifest = include_str!("../Cargo.toml");
    let (_, after) = manifest.split_once("[dependencies]\n").unwrap();
    let names: Vec<_> =
        after.lines().take_while(|line| !line.is_empty()).map(|line| line.split(['.', ' ']).next().unwrap()).collect();
    assert_eq!(names, ["base64", "hmac", "sha2", "subtle", "aws-lc-rs", "ed25519-dalek"]);
    for name in ["aws-lc-rs", "ed25519-dalek"] {
        assert!(after.contains(&format!("{name} = {{ workspace = true, optional = true }}")), "{name}");
    }
}
