//! Commands for ffmpeg: options, expressions and graphs of filters. One argument a line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reelhook_domain::command::Command;

fuzz_target!(|text: &str| {
    let arguments: Vec<String> = text.lines().map(ToOwned::to_owned).collect();
    if let Ok(command) = Command::parse(&arguments) {
        let again = Command::parse(&arguments).expect("it was read before");
        assert_eq!(format!("{command:?}"), format!("{again:?}"), "what is read is the same each time");
    }
});
