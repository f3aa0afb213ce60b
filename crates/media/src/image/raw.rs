//! Camera RAW: what a sensor saw, which needs developing. It is refused by its name; the picture that lies ready in most of
//! these files is a preview, often a small one, and must not be taken for the photograph.
//!
//! Many of them are TIFFs by their first bytes. A TIFF is RAW when it says so (DNG), holds the samples of a colour filter,
//! is packed as only cameras pack, or calls its first picture a reduced one of others that are stored below it. The maker
//! alone says nothing: scanners and cameras also write TIFFs that are ready.
//!
//! # Source
//! DNG 1.7.1 (tags and photometric interpretations); TIFF/EP (ISO 12234-2); compressions and signatures of the makers as
//! ExifTool and the shared-mime-info database list them.

use super::ifd::{COMPRESSION, DNG_VERSION, Directory, MAKE, NEW_SUBFILE_TYPE, PHOTOMETRIC, SUB_IFDS, Tiff};

/// The words for a kind of RAW, to follow "the input is".
macro_rules! camera_raw {
    ($name:literal) => {
        concat!("a camera RAW image (", $name, "), which is not supported; convert it to TIFF or JPEG first")
    };
}

/// The words for it, where the first bytes are those of a camera RAW picture.
pub(crate) fn raw(head: &[u8]) -> Option<&'static str> {
    let signatures: [(usize, &[u8], &str); 13] = [
        (0, b"IIRO", camera_raw!("ORF")),
        (0, b"IIRS", camera_raw!("ORF")),
        (0, b"MMOR", camera_raw!("ORF")),
        (0, b"IIU\0", camera_raw!("RW2")),
        (0, b"FUJIFILMCCD-RAW", camera_raw!("RAF")),
        (4, b"ftypcrx ", camera_raw!("CR3")),
        (0, b"FOVb", camera_raw!("X3F")),
        (0, b"\0MRM", camera_raw!("MRW")),
        (6, b"HEAPCCDR", camera_raw!("CRW")),
        (8, b"CR\x02", camera_raw!("CR2")),
        (8, b"IIII", camera_raw!("IIQ")),
        (8, b"MMMM", camera_raw!("IIQ")),
        (0, b"ARRI", camera_raw!("ARI")),
    ];
    let is_tiff = Tiff::open(head).is_some();
    let found = signatures.iter().find(|(at, signature, _)| {
        head.get(*at..).is_some_and(|head| head.starts_with(signature)) && (*at != 8 || is_tiff)
    });
    found.map(|(.., words)| *words).or_else(|| in_tiff(head))
}

/// Directories below the first that are looked at.
const MOST_BELOW: usize = 16;

fn in_tiff(head: &[u8]) -> Option<&'static str> {
    let tiff = Tiff::open(head)?;
    let first = tiff.directories().next()?;
    if !first.numbers(DNG_VERSION).is_empty() {
        return Some(camera_raw!("DNG"));
    }
    let below: Vec<Directory<'_>> =
        first.numbers(SUB_IFDS).into_iter().take(MOST_BELOW).filter_map(|offset| tiff.directory(offset)).collect();
    let is_reduced = first.number(NEW_SUBFILE_TYPE).is_some_and(|kind| kind & 1 == 1);
    let is_preview = is_reduced && !first.numbers(SUB_IFDS).is_empty();
    let chain = tiff.directories().take(MOST_BELOW);
    (is_preview || chain.chain(below).any(|directory| is_sensor(&directory))).then(|| of_maker(&first))
}

/// Whether a directory holds what a sensor saw.
fn is_sensor(directory: &Directory<'_>) -> bool {
    let has = |tag, values: &[u64]| directory.number(tag).is_some_and(|value| values.contains(&value));
    // The samples of a colour filter, or of DNG before they are developed.
    let photometric = [32803, 34892];
    // Sony, packed 12 bits, Samsung, Nikon, Kodak, Pentax.
    let compression = [32767, 32769, 32770, 32772, 34713, 65000, 65535];
    has(PHOTOMETRIC, &photometric) || has(COMPRESSION, &compression)
}

fn of_maker(first: &Directory<'_>) -> &'static str {
    let make = first.text(MAKE).unwrap_or_default().to_ascii_uppercase();
    let makers: [(&[u8], &str); 9] = [
        (b"NIKON", camera_raw!("NEF")),
        (b"SONY", camera_raw!("ARW")),
        (b"PENTAX", camera_raw!("PEF")),
        (b"RICOH", camera_raw!("PEF")),
        (b"SAMSUNG", camera_raw!("SRW")),
        (b"HASSELBLAD", camera_raw!("3FR")),
        (b"CANON", camera_raw!("CR2")),
        (b"KODAK", camera_raw!("DCR")),
        (b"SEIKO EPSON", camera_raw!("ERF")),
    ];
    let found = makers.iter().find(|(maker, _)| make.trim_ascii().starts_with(maker)).map(|(_, words)| *words);
    found.unwrap_or("a camera RAW image, which is not supported; convert it to TIFF or JPEG first")
}
