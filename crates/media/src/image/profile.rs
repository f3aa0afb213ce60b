//! How large what a picture carries beside its pixels may be: profiles, EXIF, XMP.
//!
//! Decoders hold such blocks whole, and copy them, so they are looked at before a decoder sees them. The profile of a PNG is
//! compressed, which makes gigabytes of a few hundred KiB; it is unpacked here piece by piece, up to the limit.
//!
//! # Source
//! PNG (Third Edition), 11.3.2.3 (`iCCP`) and 11.3.4.5 (`eXIf`); ICC.1:2022, annex B (JPEG, GIF and TIFF); WebP Container
//! Specification (`ICCP`, `EXIF`, `XMP `).

use std::io::{self, Read as _};

use flate2::read::ZlibDecoder;

use super::chunks::chunks;
use super::guard::rejected;
use super::kind::Kind;
use crate::error::MediaError;

/// Most bytes of one such block. Profiles of presses have 1 or 2 MiB.
pub(crate) const MOST: u64 = 4 << 20;

/// Refuses a picture with a block that is larger than any sane one.
///
/// # Errors
/// `over_limit`, with the name of the block.
pub(crate) fn within(kind: Kind, bytes: &[u8]) -> Result<(), MediaError> {
    let blocks: &mut dyn Iterator<Item = (&str, u64)> = match kind {
        Kind::Png => &mut of_png(bytes),
        Kind::Webp => &mut of_webp(bytes),
        Kind::Jpeg => &mut of_jpeg(bytes),
        Kind::Gif | Kind::Bmp | Kind::Tiff | Kind::Ico | Kind::Avif => return Ok(()),
    };
    for (what, size) in blocks {
        sane(what, size)?;
    }
    Ok(())
}

/// Refuses a block of so many bytes.
pub(crate) fn sane(what: &str, size: u64) -> Result<(), MediaError> {
    if size > MOST {
        return Err(rejected(
            "over_limit",
            format!("the input has {what} of more than {MOST} bytes, which is the limit"),
        ));
    }
    Ok(())
}

fn of_png(bytes: &[u8]) -> impl Iterator<Item = (&'static str, u64)> {
    chunks(bytes).filter_map(|(name, content)| match name {
        b"iCCP" => {
            // The name, a zero, and the method of compression.
            let from = content.iter().position(|&byte| byte == 0)? + 2;
            Some(("a colour profile", unpacked(content.get(from..)?)))
        }
        b"eXIf" => Some(("EXIF", content.len() as u64)),
        b"tEXt" | b"zTXt" | b"iTXt" => Some(("a text", content.len() as u64)),
        _ => None,
    })
}

/// How large a compressed block is, as far as it can be unpacked and one byte beyond the limit at most.
fn unpacked(content: &[u8]) -> u64 {
    let (mut space, mut size) = ([0; 16 * 1024], 0);
    let mut decoder = ZlibDecoder::new(content).take(MOST + 1);
    loop {
        match decoder.read(&mut space) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // What is broken is the decoder's to judge.
            Ok(0) | Err(_) => return size,
            Ok(read) => size += read as u64,
        }
    }
}

fn of_webp(bytes: &[u8]) -> impl Iterator<Item = (&'static str, u64)> {
    let mut rest = bytes.get(12..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (name, size) = (rest.get(..4)?, u32::from_le_bytes(rest.get(4..8)?.try_into().ok()?));
        let end = usize::try_from(size).ok()?.checked_add(8 + (size as usize & 1))?;
        rest = rest.get(end..).unwrap_or_default();
        Some((name, u64::from(size)))
    })
    .filter_map(|(name, size)| match name {
        b"ICCP" => Some(("a colour profile", size)),
        b"EXIF" => Some(("EXIF", size)),
        b"XMP " => Some(("XMP", size)),
        _ => None,
    })
}

/// All segments of the profile together: each has 64 KiB at most, and there may be 255.
fn of_jpeg(bytes: &[u8]) -> impl Iterator<Item = (&'static str, u64)> {
    let mut at = 2;
    let segments = std::iter::from_fn(move || {
        while bytes.get(at..at + 2) == Some(&[0xFF, 0xFF]) {
            at += 1;
        }
        let &[0xFF, marker, high, low] = bytes.get(at..at + 4)? else { return None };
        // The first scan ends the headers.
        if marker == 0xDA {
            return None;
        }
        let length = usize::from(u16::from_be_bytes([high, low])).max(2);
        let body = bytes.get(at + 4..at + 2 + length)?;
        at += 2 + length;
        Some((marker, body))
    });
    let profile = segments.filter(|(marker, body)| *marker == 0xE2 && body.starts_with(b"ICC_PROFILE\0"));
    std::iter::once(("a colour profile", profile.map(|(_, body)| body.len() as u64).sum()))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn png_with(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1A\n".to_vec();
        bytes.extend((content.len() as u32).to_be_bytes());
        bytes.extend([&name[..], content, &[0; 4]].concat());
        bytes
    }

    fn packed(size: usize) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(b"name\0\0".to_vec(), flate2::Compression::best());
        encoder.write_all(&vec![0; size]).expect("memory takes it");
        encoder.finish().expect("memory takes it")
    }

    #[test]
    fn what_is_beside_the_pixels_has_a_limit() {
        let most = MOST as usize;
        let webp = |name: &[u8], size: usize| {
            [b"RIFF\0\0\0\0WEBPVP8X\x01\0\0\0x\0", name, &(size as u32).to_le_bytes()[..], &vec![0; size]].concat()
        };
        let segment = [b"\xFF\xE2\xFF\xFFICC_PROFILE\0\x01\xFF", &vec![0; 65_519][..]].concat();
        let jpeg = |count: usize| [b"\xFF\xD8".to_vec(), segment.repeat(count), b"\xFF\xDA".to_vec()].concat();
        for (kind, bytes, allowed) in [
            (Kind::Png, png_with(b"iCCP", &packed(most)), true),
            (Kind::Png, png_with(b"iCCP", &packed(most + 1)), false),
            (Kind::Png, png_with(b"iCCP", &packed(400 << 20)), false),
            (Kind::Png, png_with(b"iCCP", b"name\0\0broken"), true),
            (Kind::Png, png_with(b"eXIf", &vec![0; most + 1]), false),
            (Kind::Png, png_with(b"iTXt", &vec![0; most + 1]), false),
            (Kind::Webp, webp(b"ICCP", most), true),
            (Kind::Webp, webp(b"ICCP", most + 1), false),
            (Kind::Webp, webp(b"EXIF", most + 1), false),
            (Kind::Webp, webp(b"XMP ", most + 1), false),
            (Kind::Jpeg, jpeg(60), true),
            (Kind::Jpeg, jpeg(70), false),
        ] {
            let judged = within(kind, &bytes);
            assert_eq!(judged.is_ok(), allowed, "{kind:?} {:?}: {judged:?}", &bytes[..16]);
        }
    }
}
