//! The headers of pictures.
#![no_main]

use std::io::Write;

use libfuzzer_sys::fuzz_target;
use reelhook_media::image::{self, ImageLimits};

fuzz_target!(|bytes: &[u8]| {
    let mut file = tempfile::NamedTempFile::new_in("/dev/shm").expect("there is memory");
    file.write_all(bytes).expect("there is memory");
    let limits = ImageLimits { pixels: 1 << 16, frames: 50, animation_pixels: 1 << 18, ..ImageLimits::default() };
    let _inspected = image::inspect(file.path(), &limits);
});
