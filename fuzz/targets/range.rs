//! The header `Range`.
#![no_main]

#[path = "../../crates/api/src/range.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is a part of another crate")]
mod range;

use libfuzzer_sys::fuzz_target;
use range::{Asked, asked};

fuzz_target!(|input: (&str, u64)| {
    let (header, size) = input;
    match asked(Some(header), size) {
        Asked::Part(part) => assert!(part.start < part.end && part.end <= size, "{header:?} of {size}: {part:?}"),
        Asked::Whole | Asked::Outside => {}
    }
});
