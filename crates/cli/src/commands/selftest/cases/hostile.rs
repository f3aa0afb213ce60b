//! What is meant to harm: each is refused with its code, and nothing is made of it.

use std::io::{Cursor, Write as _};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::commands::selftest::case::{Case, Input, Right};
use crate::commands::selftest::workshop::Workshop;

const fn hostile(
    name: &'static str,
    file: &'static str,
    built: fn(&Workshop) -> anyhow::Result<Vec<u8>>,
    recipe: &'static str,
    code: &'static str,
    says: &'static str,
) -> Case {
    Case { group: "hostile", name, file, input: Input::Built(built), recipe, right: Right::Refused { code, says } }
}

const COMPRESS: &str = r#"{"recipe": "compress"}"#;
const THUMBNAIL: &str = r#"{"recipe": "thumbnail"}"#;
const IMAGE: &str = r#"{"recipe": "image"}"#;
const ARCHIVE: &str = r#"{"recipe": "archive"}"#;

pub(super) const CASES: &[Case] = &[
    hostile("A playlist that names /etc/passwd", "clip.mp4", playlist, COMPRESS, "unsupported_media", "playlist"),
    hostile("A concat script that names /etc/passwd", "clip.mp4", script, COMPRESS, "unsupported_media", "script"),
    hostile("An SVG with an image from elsewhere", "logo.png", svg, IMAGE, "unsupported_media", "svg"),
    hostile("The same as a thumbnail", "logo.png", svg, THUMBNAIL, "unsupported_media", "svg"),
    hostile("A text that is called clip.mp4", "clip.mp4", words, COMPRESS, "unsupported_media", "text"),
    hostile(
        "A zip that leads out of its folder",
        "all.zip",
        leading_out,
        ARCHIVE,
        "archive_not_safe",
        "../../etc/cron.d/x",
    ),
    hostile("A zip with a symbolic link", "all.zip", link, ARCHIVE, "archive_not_safe", "is a link"),
    hostile("A zip bomb", "all.zip", bomb, ARCHIVE, "over_limit", "times its size"),
    hostile("A PNG of 60000 x 60000 pixels in 100 bytes", "logo.png", enormous, IMAGE, "too_many_pixels", ""),
    hostile("The same as a thumbnail of it", "logo.png", enormous, THUMBNAIL, "too_many_pixels", ""),
    hostile("A fast-start mp4 that ends after 60 %", "clip.mp4", cut, COMPRESS, "input_truncated", "ends after"),
];

type Bytes = anyhow::Result<Vec<u8>>;

#[expect(clippy::unnecessary_wraps, reason = "all inputs are built alike")]
fn playlist(_: &Workshop) -> Bytes {
    Ok(b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n".to_vec())
}

#[expect(clippy::unnecessary_wraps, reason = "all inputs are built alike")]
fn script(_: &Workshop) -> Bytes {
    Ok(b"ffconcat version 1.0\nfile /etc/passwd\nduration 1\n".to_vec())
}

#[expect(clippy::unnecessary_wraps, reason = "all inputs are built alike")]
fn svg(_: &Workshop) -> Bytes {
    Ok(br#"<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"
        width="64" height="64"><image xlink:href="file:///etc/passwd" width="64" height="64"/></svg>"#
        .to_vec())
}

#[expect(clippy::unnecessary_wraps, reason = "all inputs are built alike")]
fn words(_: &Workshop) -> Bytes {
    Ok(b"This was never a film.\n".repeat(200))
}

fn leading_out(_: &Workshop) -> Bytes {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file("../../etc/cron.d/x", SimpleFileOptions::default())?;
    writer.write_all(b"* * * * * root true\n")?;
    Ok(writer.finish()?.into_inner())
}

fn link(_: &Workshop) -> Bytes {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.add_symlink("photo.jpg", "/etc/passwd", SimpleFileOptions::default())?;
    Ok(writer.finish()?.into_inner())
}

/// 96 MiB of zeros in some 100 kB.
fn bomb(_: &Workshop) -> Bytes {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file("photo.jpg", SimpleFileOptions::default())?;
    let zeros = vec![0; 1 << 20];
    for _ in 0..96 {
        writer.write_all(&zeros)?;
    }
    Ok(writer.finish()?.into_inner())
}

/// A PNG whose header is right, and after which hardly anything comes.
#[expect(clippy::unnecessary_wraps, reason = "all inputs are built alike")]
fn enormous(_: &Workshop) -> Bytes {
    const SIDE: u32 = 60_000;
    let chunk = |kind: &[u8], bytes: &[u8]| {
        let body = [kind, bytes].concat();
        [&(bytes.len() as u32).to_be_bytes()[..], &body, &crc(&body).to_be_bytes()].concat()
    };
    let header = [&SIDE.to_be_bytes()[..], &SIDE.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    // One empty stored block of deflate, in zlib's wrapping.
    let nothing = [0x78, 0x01, 0x01, 0, 0, 0xFF, 0xFF, 0, 0, 0, 1];
    Ok([&b"\x89PNG\r\n\x1A\n"[..], &chunk(b"IHDR", &header), &chunk(b"IDAT", &nothing), &chunk(b"IEND", b"")].concat())
}

/// The checksum of PNG's chunks (its specification, annex D).
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 })
    })
}

fn cut(workshop: &Workshop) -> Bytes {
    let mut clip = workshop.film(
        "-f lavfi -i testsrc2=size=320x180:rate=25:duration=2 -c:v libx264 -preset ultrafast -pix_fmt yuv420p \
         -movflags +faststart",
        "clip.mp4",
    )?;
    clip.truncate(clip.len() * 3 / 5);
    Ok(clip)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_checksum_is_that_of_the_specification() {
        // What ends every PNG.
        assert_eq!(super::crc(b"IEND"), 0xAE42_6082);
    }
}
