//! Paths of objects, and templates of them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reelhook_domain::object_path::{BasePath, LONGEST_PATH, ObjectPath, PathFacts, PathTemplate};
use reelhook_domain::time::Timestamp;

fn check(path: &ObjectPath) {
    assert!(path.as_str().len() <= LONGEST_PATH);
    for segment in path.segments() {
        assert!(!matches!(segment, "" | "." | ".."), "{path}");
    }
}

fuzz_target!(|input: (&str, &str, &str, Option<&str>)| {
    let (text, base, extension, word) = input;
    if let Ok(template) = text.parse::<PathTemplate>() {
        let facts = PathFacts {
            at: Timestamp::from_millis(1_780_000_000_000),
            job_id: "job_1",
            output_id: base,
            codec: word,
            resolution: word,
        };
        if let Ok(path) = template.path(&facts, extension) {
            check(&path);
            if let Ok(joined) = base.parse::<BasePath>().and_then(|base| base.join(&path)) {
                check(&joined);
            }
        }
    }
    if let Ok(path) = text.parse::<ObjectPath>() {
        check(&path);
    }
});
