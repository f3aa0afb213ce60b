//! HEIF pictures, as phones take them: known by their brands, decoded by a tool, read as a PNG from then on.
//!
//! ```text
//! HEIC --boxes: size, primary--> copy of the primary alone --heif-convert (sandboxed)--> PNG --chunks--> PNG
//! ```
//!
//! There is no decoder of HEVC pictures in memory-safe Rust, so libheif's own program decodes them, in the sandbox, as
//! ffmpeg decodes videos. It writes every picture of a file, in an order that differs from version to version. So it is
//! given a copy in which all but the primary one are marked as hidden: it writes one picture, and decodes no more. The
//! tiles of a grid and the alpha of a picture are found all the same, they never were pictures of their own.
//!
//! # Source
//! ISO/IEC 23008-12 (HEIF): brands in 10.2 and annex B.4, the hidden items of 6.4.2, the orientation that is told by `irot`
//! and `imir` alone in 6.5.10 and 6.5.12 (what Exif says of it was true of the sensor, and is to be ignored).

mod boxes;
mod chunks;
mod decode;
mod sequence;

use std::io::{self, Read as _};
use std::path::Path;

use crate::plain;

pub(crate) use decode::{HeifTool, decode};
pub use sequence::without_items;

/// The word for the format in [`MediaInfo::format`](reelhook_domain::media::MediaInfo::format).
pub const HEIC: &str = "heic";
/// The Debian package that the decoder comes in.
pub const PACKAGE: &str = "libheif-examples";

/// Brands of HEIF files whose pictures are coded as HEVC, or may be.
const BRANDS: &[&[u8; 4]] =
    &[b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"mif2", b"msf1", b"miaf"];

/// Whether the file at `path` begins like a HEIF picture that is not AVIF.
///
/// # Errors
/// Those of the operating system.
pub fn is_heif(path: &Path) -> io::Result<bool> {
    let mut head = Vec::new();
    plain::open(path)?.take(4096).read_to_end(&mut head)?;
    Ok(names_heif(&head))
}

/// The same of a file's first bytes. The first brand decides: a video may name them too, further behind.
pub(crate) fn names_heif(head: &[u8]) -> bool {
    if head.get(4..8) != Some(b"ftyp") {
        return false;
    }
    let size = head.get(..4).map_or(0, |size| u32::from_be_bytes([size[0], size[1], size[2], size[3]])) as usize;
    let brands = head.get(8..size.min(head.len())).unwrap_or_default();
    let is_one = |brand: &[u8]| BRANDS.iter().any(|known| brand == &known[..]);
    // AVIF is HEIF with another codec, and has a decoder of our own.
    let avif = brands.chunks_exact(4).any(|brand| brand == b"avif" || brand == b"avis");
    head.get(8..12).is_some_and(is_one) && !avif
}

/// Whether the file at `path` begins like an AVIF image sequence: a video for all but its name.
///
/// # Errors
/// Those of the operating system.
pub fn is_avif_sequence(path: &Path) -> io::Result<bool> {
    let mut head = Vec::new();
    plain::open(path)?.take(12).read_to_end(&mut head)?;
    Ok(head.get(4..) == Some(b"ftypavis"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(brands: &[&[u8; 4]]) -> Vec<u8> {
        let size = 12 + 4 * brands.len() as u32;
        let (first, others) = brands.split_first().expect("a brand");
        let others: Vec<u8> = others.iter().flat_map(|brand| brand.to_vec()).collect();
        [&size.to_be_bytes()[..], b"ftyp", &first[..], &[0; 4], &others].concat()
    }

    #[test]
    fn the_first_brand_decides_and_avif_stays_avif() {
        let cases: &[(&[&[u8; 4]], bool)] = &[
            (&[b"heic", b"mif1", b"heic"], true),
            (&[b"heix"], true),
            (&[b"mif1", b"heic"], true),
            (&[b"mif1"], true),
            (&[b"msf1", b"hevc"], true),
            (&[b"avif", b"mif1", b"miaf"], false),
            (&[b"mif1", b"avif"], false),
            (&[b"avis", b"msf1", b"hevc"], false),
            (&[b"isom", b"heic"], false),
            (&[b"qt  "], false),
        ];
        for (brands, expected) in cases {
            assert_eq!(names_heif(&file(brands)), *expected, "{brands:?}");
        }
        assert!(!names_heif(b"\0\0\0\x20ft"));
    }
}
