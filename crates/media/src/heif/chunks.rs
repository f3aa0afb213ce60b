//! The chunks of the PNG that the decoder wrote: those that would turn its pixels once more are left out, and those that
//! say what its colours are are put in.
//!
//! # Source
//! PNG (third edition), 5.3 (chunks), 11.3.2.6 (`cICP`), 5.6 (their order).

use super::boxes::Nclx;

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1A\n";
/// What tells of colours and transparency, and the pixels.
const KEPT: &[&[u8; 4]] =
    &[b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"cICP", b"sBIT"];

/// The PNG with the chunks that matter, its colours told by `colors` where it brings no word of its own; `None` where
/// `png` is not one that is whole.
pub(super) fn plain(png: &[u8], colors: Option<Nclx>) -> Option<Vec<u8>> {
    let mut rest = png.strip_prefix(SIGNATURE)?;
    let mut plain = Vec::with_capacity(png.len() + 16);
    plain.extend_from_slice(SIGNATURE);
    // A profile says it better.
    let has = |name: &[u8]| chunks(rest).any(|(found, _)| found == name);
    let told = has(b"iCCP") || has(b"cICP");
    let colors = colors.filter(|colors| !told && !is_srgb(*colors));
    let whole = has(b"IEND");
    while let Some((name, chunk)) = chunks(rest).next() {
        rest = &rest[chunk.len()..];
        if KEPT.iter().any(|kept| kept[..] == *name) {
            plain.extend_from_slice(chunk);
        }
        if let (b"IHDR", Some(Nclx { primaries, transfer })) = (name, colors) {
            let content = [primaries as u8, transfer as u8, 0, 1];
            plain.extend_from_slice(&4_u32.to_be_bytes());
            let start = plain.len();
            plain.extend_from_slice(b"cICP");
            plain.extend_from_slice(&content);
            let sum = crc(&plain[start..]);
            plain.extend_from_slice(&sum.to_be_bytes());
        }
    }
    whole.then_some(plain)
}

/// Whether a picture without a word about its colours is taken for what this says: BT.709 or sRGB, or nothing at all.
const fn is_srgb(colors: Nclx) -> bool {
    matches!(colors.primaries, 0..=2) && matches!(colors.transfer, 0..=2 | 6 | 13 | 14 | 15)
        || colors.primaries > 22
        || colors.transfer > 18
}

/// The chunks by their name, each with its length and sum.
fn chunks(mut rest: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || {
        let length = u32::from_be_bytes(rest.get(..4)?.try_into().ok()?) as usize;
        let chunk = rest.get(..length.checked_add(12)?)?;
        rest = &rest[chunk.len()..];
        Some((&chunk[4..8], chunk))
    })
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let body = [&name[..], content].concat();
        [&(content.len() as u32).to_be_bytes()[..], &body, &crc(&body).to_be_bytes()].concat()
    }

    fn names(png: &[u8]) -> Vec<String> {
        chunks(&png[8..]).map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect()
    }

    #[test]
    fn what_would_turn_it_again_is_left_out_and_its_colours_are_told() {
        let file = |more: &[Vec<u8>]| {
            let mut png = [SIGNATURE, &chunk(b"IHDR", &[0; 13])].concat();
            more.iter().for_each(|chunk| png.extend_from_slice(chunk));
            [png, chunk(b"IDAT", b"x"), chunk(b"IEND", b"")].concat()
        };
        let wide = Some(Nclx { primaries: 12, transfer: 13 });
        let exif = chunk(b"eXIf", b"MM\0*");
        let made = plain(&file(std::slice::from_ref(&exif)), wide).unwrap();
        assert_eq!(names(&made), ["IHDR", "cICP", "IDAT", "IEND"]);
        let made = plain(&file(&[exif, chunk(b"iCCP", b"p3")]), wide).unwrap();
        assert_eq!(names(&made), ["IHDR", "iCCP", "IDAT", "IEND"]);
        let made = plain(&file(&[]), Some(Nclx { primaries: 1, transfer: 13 })).unwrap();
        assert_eq!(names(&made), ["IHDR", "IDAT", "IEND"]);
        let cut = file(&[]);
        assert_eq!(plain(&cut[..cut.len() - 5], None), None);
    }
}
