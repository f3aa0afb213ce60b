//! Pictures without what they tell beside the picture, their pixels untouched: for inputs that are kept.
//!
//! What stays is named, everything else goes: what the pixels need, the colour profile, and how the picture is turned
//! where it is. What lies behind the end goes too; cameras append whole pictures there, with metadata of their own.
//!
//! # Source
//! JPEG: ITU-T T.81, annex B.1; the ICC segment: ICC.1:2022, annex B.4. PNG: PNG (Third Edition), 11. WebP: RFC 9649, 2.
//! GIF: GIF89a, 20 to 27. EXIF: CIPA DC-008, 4.5 and 4.6.4.

use super::avif;
use super::header::Inspected;
use super::kind::Kind;

/// The same picture without metadata; `None` where that cannot be done without encoding it again.
pub(crate) fn strip(bytes: &[u8], found: &Inspected) -> Option<Vec<u8>> {
    let orientation = found.orientation;
    match found.kind {
        Kind::Jpeg => jpeg(bytes, orientation),
        Kind::Png => png(bytes, orientation),
        Kind::Webp => webp(bytes, orientation),
        Kind::Gif => gif(bytes),
        Kind::Avif => (!avif::tells_more(bytes)).then(|| bytes.to_vec()),
        Kind::Bmp | Kind::Tiff | Kind::Ico => None,
    }
}

/// An EXIF block that holds an orientation and nothing else; `None` for a picture that is upright.
fn turned(orientation: u8) -> Option<Vec<u8>> {
    let block = |orientation| {
        let mut block = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
        block.extend([orientation, 0, 0, 0, 0, 0, 0]);
        block
    };
    (2..=8).contains(&orientation).then(|| block(orientation))
}

fn jpeg(bytes: &[u8], orientation: u8) -> Option<Vec<u8>> {
    let mut kept = bytes.get(..2)?.to_vec();
    let mut exif = turned(orientation);
    let mut at = 2;
    loop {
        let &[0xFF, marker] = bytes.get(at..at + 2)? else { return None };
        match marker {
            // A byte of filling, and what stands alone.
            0xFF => at += 1,
            0x01 | 0xD0..=0xD8 => at += 2,
            0xD9 => {
                kept.extend([0xFF, 0xD9]);
                return Some(kept);
            }
            _ => {
                let length = usize::from(u16::from_be_bytes(bytes.get(at + 2..at + 4)?.try_into().ok()?));
                let end = at + 2 + length.max(2);
                let body = bytes.get(at + 4..end)?;
                // EXIF stands behind what JFIF says, before all else.
                if marker != 0xE0
                    && let Some(exif) = exif.take()
                {
                    let length = u16::try_from(exif.len() + 8).ok()?.to_be_bytes();
                    kept.extend([&[0xFF, 0xE1], &length[..], b"Exif\0\0", &exif].concat());
                }
                if is_needed(marker, body) {
                    kept.extend_from_slice(&bytes[at..end]);
                }
                at = end;
                if marker == 0xDA {
                    let scan = scan(&bytes[at..]);
                    kept.extend_from_slice(&bytes[at..at + scan]);
                    at += scan;
                }
            }
        }
    }
}

/// Whether a segment is one without which the pixels would be others.
fn is_needed(marker: u8, body: &[u8]) -> bool {
    match marker {
        0xE0 => body.starts_with(b"JFIF\0"),
        0xE2 => body.starts_with(b"ICC_PROFILE\0"),
        0xEE => body.starts_with(b"Adobe"),
        _ => !(0xE0..=0xFE).contains(&marker),
    }
}

/// How long the samples of a scan are: up to a marker that is neither a restart nor a stuffed byte.
fn scan(bytes: &[u8]) -> usize {
    let is_end = |pair: &[u8]| pair[0] == 0xFF && !matches!(pair[1], 0 | 0xD0..=0xD7 | 0xFF);
    bytes.windows(2).position(is_end).unwrap_or(bytes.len())
}

const PNG_KEPT: [&[u8]; 15] = [
    b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"cICP", b"mDCV", b"cLLI", b"sBIT", b"bKGD", b"tRNS", b"pHYs", b"hIST",
    b"acTL", b"fcTL", b"fdAT",
];

fn png(bytes: &[u8], orientation: u8) -> Option<Vec<u8>> {
    let mut kept = bytes.get(..8)?.to_vec();
    let mut exif = turned(orientation);
    let mut at = 8;
    loop {
        let length = u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize;
        let name = bytes.get(at + 4..at + 8)?;
        let chunk = bytes.get(at..at.checked_add(length)?.checked_add(12)?)?;
        let is_critical = name[0].is_ascii_uppercase();
        if name != b"IHDR"
            && let Some(exif) = exif.take()
        {
            kept.extend(png_chunk(b"eXIf", &exif));
        }
        if is_critical || PNG_KEPT.contains(&name) {
            kept.extend_from_slice(chunk);
        }
        if name == b"IEND" {
            return Some(kept);
        }
        at += chunk.len();
    }
}

/// A chunk with its length and its sum.
pub(crate) fn png_chunk(name: &[u8], content: &[u8]) -> Vec<u8> {
    let named = [name, content].concat();
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&length[..], &named, &crc(&named).to_be_bytes()].concat()
}

/// The sum of a chunk. Source: PNG (Third Edition), annex D.
fn crc(bytes: &[u8]) -> u32 {
    let shifted = |sum: u32, _| if sum & 1 == 1 { sum >> 1 ^ 0xEDB8_8320 } else { sum >> 1 };
    !bytes.iter().fold(!0, |sum, &byte| (0..8).fold(sum ^ u32::from(byte), shifted))
}

const WEBP_KEPT: [&[u8]; 7] = [b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"ICCP"];

fn webp(bytes: &[u8], orientation: u8) -> Option<Vec<u8>> {
    let mut kept = bytes.get(..12)?.to_vec();
    let size = u32::from_le_bytes(bytes[4..8].try_into().ok()?) as usize;
    let mut rest = bytes.get(12..size.checked_add(8)?)?;
    let exif = turned(orientation);
    while !rest.is_empty() {
        let name = rest.get(..4)?;
        let length = u32::from_le_bytes(rest.get(4..8)?.try_into().ok()?) as usize;
        // Chunks are even; some writers leave out the last byte of filling.
        let end = length.checked_add(8 + length % 2)?;
        let chunk = rest.get(..end.min(rest.len()))?;
        if WEBP_KEPT.contains(&name) {
            let from = kept.len();
            kept.extend_from_slice(chunk);
            if name == b"VP8X" {
                let flags = kept.get_mut(from + 8)?;
                *flags = *flags & !0x0C | if exif.is_some() { 0x08 } else { 0 };
            }
        }
        rest = &rest[chunk.len()..];
    }
    if let Some(exif) = exif {
        kept.extend(b"EXIF");
        kept.extend(u32::try_from(exif.len()).ok()?.to_le_bytes());
        kept.extend_from_slice(&exif);
    }
    let size = u32::try_from(kept.len() - 8).ok()?.to_le_bytes();
    kept[4..8].copy_from_slice(&size);
    Some(kept)
}

fn gif(bytes: &[u8]) -> Option<Vec<u8>> {
    let table = |flags: u8| if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) };
    let mut at = 13 + table(*bytes.get(10)?);
    let mut kept = bytes.get(..at)?.to_vec();
    loop {
        let (head, is_kept) = match *bytes.get(at)? {
            0x3B => {
                kept.push(0x3B);
                return Some(kept);
            }
            0x2C => (11 + table(*bytes.get(at + 9)?), true),
            0x21 => match *bytes.get(at + 1)? {
                0xF9 => (2, true),
                0xFF => {
                    let name = bytes.get(at + 3..at + 14)?;
                    (2, [&b"NETSCAPE2.0"[..], b"ANIMEXTS1.0", b"ICCRGBG1012"].contains(&name))
                }
                // Text that is shown.
                0x01 => (2, true),
                _ => (2, false),
            },
            _ => return None,
        };
        let mut end = at + head;
        loop {
            let length = usize::from(*bytes.get(end)?);
            end += 1 + length;
            if length == 0 {
                break;
            }
        }
        let block = bytes.get(at..end)?;
        if is_kept {
            kept.extend_from_slice(block);
        }
        at = end;
    }
}

#[cfg(test)]
mod tests {
    use image::DynamicImage;

    use super::super::decode::{Channels, decode};
    use super::super::header::header;
    use super::super::samples::{
        animated_gif, animated_webp, camera, jpeg, own, photo, png, segment, walk, wide_profile,
    };
    use super::super::{ImageFormat, ImageLimits};
    use super::{crc, strip, turned};

    const SECRET: &[u8] = b"taken at 47.3769 N, 8.5417 E";

    fn has_secret(bytes: &[u8]) -> bool {
        bytes.windows(7).any(|part| part == b"47.3769")
    }

    fn pixels(bytes: &[u8]) -> DynamicImage {
        let limits = ImageLimits::default();
        decode(bytes, &header(bytes, &limits).unwrap(), Channels::Plain, &limits).unwrap().pixels
    }

    fn stripped(bytes: &[u8]) -> Vec<u8> {
        let found = header(bytes, &ImageLimits::default()).unwrap();
        strip(bytes, &found).unwrap_or_else(|| panic!("{:?} was not stripped", found.kind))
    }

    fn chunk(name: &[u8], content: &[u8]) -> Vec<u8> {
        let named = [name, content].concat();
        [&(content.len() as u32).to_be_bytes(), &named[..], &crc(&named).to_be_bytes()].concat()
    }

    /// Behind its header, or before its end.
    fn png_with_chunks(png: &[u8], chunks: &[Vec<u8>]) -> Vec<u8> {
        let end = png.len() - 12;
        [&png[..33], &chunks.concat(), &png[33..end], &chunk(b"tEXt", SECRET), &png[end..], SECRET].concat()
    }

    /// In the extended form, with metadata behind.
    fn webp_with_exif(webp: &[u8], exif: &[u8]) -> Vec<u8> {
        let found = header(webp, &ImageLimits::default()).unwrap();
        let side = |side: u32| (side - 1).to_le_bytes()[..3].to_vec();
        let little = |name: &[u8], content: &[u8]| {
            let fill = vec![0; content.len() % 2];
            [name, &(content.len() as u32).to_le_bytes(), content, &fill].concat()
        };
        let head = little(b"VP8X", &[vec![0x0C, 0, 0, 0], side(found.width), side(found.height)].concat());
        let all = [b"WEBP", &head[..], &webp[12..], &little(b"EXIF", exif), &little(b"XMP ", SECRET)].concat();
        [b"RIFF", &(all.len() as u32).to_le_bytes(), &all[..], SECRET].concat()
    }

    #[test]
    fn metadata_goes_and_the_pixels_stay_to_the_bit() {
        let plain = DynamicImage::ImageRgb8(photo(90, 60));
        let exif = [b"Exif\0\0".as_slice(), SECRET].concat();
        let scans = jpeg(photo(90, 60).as_raw(), (90, 60), mozjpeg::ColorSpace::JCS_RGB, 90.0, true);
        let jpeg = camera(&photo(90, 60));
        let with_all = |jpeg: &[u8]| {
            let marked = [(0xE1, &exif[..]), (0xED, SECRET), (0xFE, SECRET), (0xE2, b"MPF\0 47.3769")];
            let marked = marked.iter().fold(jpeg.to_vec(), |jpeg, (marker, body)| segment(&jpeg, *marker, body));
            [&marked, SECRET].concat()
        };
        let png = png(&plain);
        let chunks = [chunk(b"tEXt", SECRET), chunk(b"prVt", SECRET)];
        let webp = own(plain.clone(), ImageFormat::Webp, None);
        let gif = own(plain, ImageFormat::Gif, None);
        let comment = [&[0x21, 0xFE, SECRET.len() as u8][..], SECRET, &[0]].concat();
        let end = gif.len() - 1;
        let gif_with = [&gif[..end], &comment, &gif[end..], SECRET].concat();
        for (source, told) in [
            (&jpeg, with_all(&jpeg)),
            (&scans, with_all(&scans)),
            (&png, png_with_chunks(&png, &chunks)),
            (&webp, webp_with_exif(&webp, SECRET)),
            (&gif, gif_with),
        ] {
            assert!(has_secret(&told));
            let bare = stripped(&told);
            assert!(!has_secret(&bare));
            assert_eq!(pixels(&bare), pixels(source));
            assert!(bare.len() <= source.len() + 18, "{} of {}", bare.len(), source.len());
            assert_eq!(stripped(&bare), bare);
        }
    }

    #[test]
    fn how_a_picture_is_turned_stays_and_nothing_else_of_its_exif() {
        let exif = [&turned(6).unwrap()[..], SECRET].concat();
        let jpeg = segment(&camera(&photo(90, 60)), 0xE1, &[b"Exif\0\0", &exif[..]].concat());
        let plain = DynamicImage::ImageRgb8(photo(90, 60));
        let png = png_with_chunks(&png(&plain), &[chunk(b"eXIf", &exif)]);
        let webp = webp_with_exif(&own(plain, ImageFormat::Webp, None), &exif);
        for told in [jpeg, png, webp] {
            let bare = stripped(&told);
            let found = header(&bare, &ImageLimits::default()).unwrap();
            assert_eq!((found.orientation, found.width, found.height), (6, 60, 90), "{:?}", found.kind);
            assert!(!has_secret(&bare), "{:?}", found.kind);
            assert_eq!(pixels(&bare), pixels(&told));
        }
    }

    #[test]
    fn a_colour_profile_and_an_animation_survive() {
        let plain = DynamicImage::ImageRgb8(photo(48, 36));
        let limits = ImageLimits::default();
        for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Webp] {
            let bytes = own(plain.clone(), format, Some(wide_profile()));
            assert!(header(&stripped(&bytes), &limits).unwrap().profile, "{}", format.extension());
        }
        for reel in [animated_gif(&walk(64, 5, true), 3), animated_webp(&walk(64, 5, true), 3, Some(&wide_profile()))] {
            assert_eq!(stripped(&reel), reel);
        }
    }

    #[test]
    fn what_breaks_off_is_not_stripped() {
        let found = |bytes: &[u8]| header(bytes, &ImageLimits::default()).unwrap();
        let plain = DynamicImage::ImageRgb8(photo(48, 36));
        let webp = own(plain.clone(), ImageFormat::Webp, None);
        let gif = own(plain.clone(), ImageFormat::Gif, None);
        for bytes in [camera(&photo(48, 36)), png(&plain), webp, gif] {
            let found = found(&bytes);
            for length in 0..bytes.len() {
                assert_eq!(strip(&bytes[..length], &found), None, "{:?} cut to {length}", found.kind);
            }
        }
    }
}
