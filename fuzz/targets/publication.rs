//! The reader of published events that has no tree in between: what it takes, the one with a tree takes alike.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reelhook_dialects::native;

fuzz_target!(|bytes: &[u8]| {
    let Some(read) = native::publication::read(bytes) else { return };
    let value = serde_json::from_slice(bytes).expect("what one takes is JSON to the other");
    let again = native::request::publish(value).expect("what one takes the other takes");
    assert_eq!(read.len(), again.len());
    for (one, other) in read.iter().zip(&again) {
        assert_eq!(one.kind, other.kind);
    }
});
