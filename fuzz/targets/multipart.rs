//! Bodies of forms: what is found in one does not depend on how it is cut into pieces on its way.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use reelhook_api::fuzzing::multipart;
use tokio::runtime::{Builder, Runtime};

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_time().build().expect("there is memory"));

fuzz_target!(|input: (u8, &[u8])| {
    let (size, body) = input;
    let pieces = body.chunks(usize::from(size).max(1)).map(<[u8]>::to_vec).collect();
    let (whole, cut) = RUNTIME.block_on(async { (multipart(vec![body.to_vec()]).await, multipart(pieces).await) });
    assert_eq!(whole, cut);
});
