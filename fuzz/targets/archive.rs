//! Archives: their kinds, headers, names and members, taken apart into a folder.
#![no_main]

use std::io::Write;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use reelhook_media::archive::{self, ArchiveLimits};

const LIMITS: ArchiveLimits =
    ArchiveLimits { entries: 50, bytes: 1 << 20, ratio: 100, ratio_floor: 1 << 16, depth: 8, name: 256 };

fn bytes_below(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).expect("it is there").map(|entry| entry.expect("it is there"));
    entries
        .map(|entry| {
            let kind = entry.file_type().expect("it is there");
            assert!(kind.is_file() || kind.is_dir(), "a member became something else");
            if kind.is_dir() { bytes_below(&entry.path()) } else { entry.metadata().expect("it is there").len() }
        })
        .sum()
}

fuzz_target!(|bytes: &[u8]| {
    let place = tempfile::tempdir_in("/dev/shm").expect("there is memory");
    let (path, folder) = (place.path().join("archive"), place.path().join("folder"));
    std::fs::File::create(&path).and_then(|mut file| file.write_all(bytes)).expect("there is memory");
    std::fs::create_dir(&folder).expect("there is memory");
    let _opened = archive::open(&path, &folder, &LIMITS);
    // Nothing beside the folder, and no more in it than may be.
    assert_eq!(std::fs::read_dir(place.path()).expect("it is there").count(), 2);
    assert!(bytes_below(&folder) <= LIMITS.bytes, "more came out than may");
});
