//! Archives: their names, and what is told of their members.

use std::io::{Cursor, Write as _};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::commands::selftest::case::{Case, Input, Right};
use crate::commands::selftest::seen::Seen;
use crate::commands::selftest::workshop::Workshop;

/// `表紙.bmp` in Shift-JIS. The second byte is a backslash to those who do not know.
const NAME: &[u8] = b"\x95\x5C\x8E\x86.bmp";

pub(super) const CASES: &[Case] = &[
    Case {
        group: "archives",
        name: "A zip from a Japanese Windows keeps its names",
        file: "photos.zip",
        input: Input::Built(japanese),
        recipe: r#"{"recipe": "archive"}"#,
        right: Right::Made {
            expected: "the same name twice, not called UTF-8",
            by: "the bytes of both headers",
            got: names,
        },
    },
    Case {
        group: "archives",
        name: "The same as tar has its bytes",
        file: "photos.zip",
        input: Input::Built(japanese),
        recipe: r#"{"recipe": "archive", "format": "tar"}"#,
        right: Right::Made { expected: "the same name", by: "the bytes of the header", got: name_in_tar },
    },
    Case {
        group: "archives",
        name: "A 7-zip archive is refused by the name of its format",
        file: "photos.7z",
        input: Input::Built(|_| Ok(b"7z\xBC\xAF\x27\x1C\0\x04 and so on".to_vec())),
        recipe: r#"{"recipe": "auto"}"#,
        right: Right::Refused { code: "unsupported_media", says: "a 7-zip archive, which is not supported" },
    },
];

/// The patches as a bitmap, under that name and without the flag that says UTF-8.
fn japanese(workshop: &Workshop) -> anyhow::Result<Vec<u8>> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file_with_options(SimpleFileOptions::default().name(NAME))?;
    writer.write_all(&workshop.film("-i {patches}", "patches.bmp")?)?;
    Ok(writer.finish()?.into_inner())
}

/// APPNOTE 4.3.7 and 4.3.12: the flags stand 6 bytes into the header of a member and 8 into that of the list, the name 30
/// and 46.
fn names(seen: &Seen) -> anyhow::Result<String> {
    let bytes = seen.bytes()?;
    let header = |signature: &[u8], flags: usize, name: usize| {
        let at = bytes.windows(4).position(|four| four == signature)?;
        Some((bytes.get(at + name..)?.starts_with(NAME), bytes.get(at + flags + 1)? & 8 != 0))
    };
    Ok(match (header(b"PK\x03\x04", 6, 30), header(b"PK\x01\x02", 8, 46)) {
        (Some((true, false)), Some((true, false))) => "the same name twice, not called UTF-8".to_owned(),
        other => format!("{other:?}"),
    })
}

fn name_in_tar(seen: &Seen) -> anyhow::Result<String> {
    let bytes = seen.bytes()?;
    let name = bytes.iter().take(100).take_while(|byte| **byte != 0).copied().collect::<Vec<_>>();
    Ok(if name == NAME { "the same name".to_owned() } else { format!("{name:02X?}") })
}
