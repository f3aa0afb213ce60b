//! Nets in TFLite files, as they are when a model is added.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| reelhook_media::fuzzing::net(bytes));
