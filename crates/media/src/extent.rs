//! How long a Matroska or AVI file says that it is, to notice that its end is missing.
//!
//! # Source
//! RFC 8794 (EBML), sections 4 and 5: element ids and sizes of one to eight bytes, a size of all ones is unknown;
//! RFC 9559 (Matroska): the Segment follows the EBML header and holds everything else. For RIFF: Multimedia
//! Programming Interface and Data Specifications 1.0, chapter 2.

/// Where the outermost element ends by its own word, in bytes from the start; `None` where it does not say.
pub(crate) fn claimed(head: &[u8], demuxer: &str) -> Option<u64> {
    match demuxer {
        "matroska" => segment_end(head),
        "avi" => riff_end(head),
        _ => None,
    }
}

const SEGMENT: u64 = 0x1853_8067;

fn segment_end(head: &[u8]) -> Option<u64> {
    let (_, id) = number(head, Kind::Id)?;
    let (size, length) = number(head.get(id..)?, Kind::Size)?;
    let segment = usize::try_from(size?).ok()?.checked_add(id + length)?;
    let rest = head.get(segment..)?;
    let (kind, id) = number(rest, Kind::Id)?;
    let (size, length) = number(rest.get(id..)?, Kind::Size)?;
    let start = u64::try_from(segment + id + length).ok()?;
    (kind == Some(SEGMENT)).then(|| start.checked_add(size?)).flatten()
}

/// What a number of variable length stands for.
#[derive(Clone, Copy)]
enum Kind {
    Id,
    Size,
}

/// A number of variable length and how many bytes it has: the first byte's leading zeros tell. `None` inside means
/// unknown. An id keeps its marker bit, a size does not.
fn number(bytes: &[u8], kind: Kind) -> Option<(Option<u64>, usize)> {
    let first = *bytes.first()?;
    let length = usize::try_from(first.leading_zeros()).ok()? + 1;
    if length > 8 {
        return None;
    }
    let value = bytes.get(..length)?.iter().fold(0_u64, |value, &byte| value << 8 | u64::from(byte));
    let ones = (1_u64 << (7 * length)) - 1;
    match kind {
        Kind::Id => Some((Some(value), length)),
        Kind::Size => Some(((value & ones != ones).then_some(value & ones), length)),
    }
}

fn riff_end(head: &[u8]) -> Option<u64> {
    let size = u32::from_le_bytes(head.get(4..8)?.try_into().ok()?);
    // Written by a program that could not come back to the beginning: not known.
    let known = head.starts_with(b"RIFF") && !is_placeholder(size);
    known.then_some(u64::from(size) + 8)
}

/// Whether a size of 32 bits stands for "not known": programs that write to a pipe cannot come back to correct it. They
/// write nothing, all ones, or the most that fits into a signed number, with or without the length of the header.
///
/// # Source
/// ffmpeg writes `FFFFFFFF`, sox 7FFFF000 (`MS_UNSPEC` in its `wav.c`) and that plus the header, arecord 80000000 and
/// that plus the header, others 7FFFFFFF.
pub(crate) fn is_placeholder(size: u32) -> bool {
    size == 0 || size >= 0xFFFF_0000 || (0x7FFF_0000..=0x8000_FFFF).contains(&size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_segment_tells_where_it_ends() {
        let head = b"\x1A\x45\xDF\xA3\x84\x42\x82\x81w\x18\x53\x80\x67\x40\x10rest";
        assert_eq!(claimed(head, "matroska"), Some(15 + 0x10));
        let live = b"\x1A\x45\xDF\xA3\x84\x42\x82\x81w\x18\x53\x80\x67\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFFrest";
        assert_eq!(claimed(live, "matroska"), None);
    }

    #[test]
    fn riff_tells_its_size_unless_it_was_streamed() {
        assert_eq!(claimed(b"RIFF\x10\0\0\0AVI LIST", "avi"), Some(24));
        assert_eq!(claimed(b"RIFF\xFF\xFF\xFF\xFFAVI LIST", "avi"), None);
        assert_eq!(claimed(b"RIFF\x24\xF0\xFF\x7FAVI LIST", "avi"), None);
        assert_eq!(claimed(b"RIFF\0\0\0\0AVI ", "avi"), None);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(head in proptest::collection::vec(proptest::num::u8::ANY, 0..128)) {
            let _ = claimed(&head, "matroska");
            let _ = claimed(&head, "avi");
        }
    }
}
