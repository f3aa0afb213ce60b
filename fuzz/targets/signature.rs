//! The headers of a webhook, as a receiver reads them: nothing made up is believed, and no text makes it fall over.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reelhook_signature::{Headers, PublicKey, Secret, Trust, verify};

fuzz_target!(|input: (Option<&str>, Option<&str>, Option<&str>, &[u8], i64)| {
    let (id, timestamp, signature, body, now) = input;
    let secrets = [Secret::from_bytes(&[7; 32]).expect("32 bytes are a secret")];
    let verified = verify(Headers { id, timestamp, signature }, body, now, Trust::secrets(&secrets));
    assert!(verified.is_err(), "a signature was made up");
    if let Some(text) = signature {
        let _secret = Secret::parse(text);
        let _key = PublicKey::parse(text);
    }
});
