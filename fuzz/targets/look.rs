//! What a file is, and where it says that it ends: sniffing, Matroska, AVI, MP4.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| reelhook_media::fuzzing::look(bytes));
