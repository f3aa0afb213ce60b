//! The outermost boxes of an ISO base media file: whether its index comes first, and whether all of it is there.
//!
//! Cameras and downloaders append marks of their own behind the last box, which are read as boxes of any size and mean
//! nothing to players. So only boxes that hold media or their index can be missing: what else claims more than there is
//! ends the walk.
//!
//! # Source
//! ISO/IEC 14496-12, section 4.2: a box is a 32-bit big-endian size, a four-letter type and, when the size is 1, a
//! 64-bit size; a size of 0 reaches to the end of the file.

use std::io::{self, Read, Seek, SeekFrom};

/// What the outermost boxes say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Whether there is an index at all.
    pub(crate) has_index: bool,
    /// Whether the index comes before the media.
    pub(crate) index_first: bool,
    /// Whether the media come in fragments.
    pub(crate) fragmented: bool,
    /// How many bytes the boxes claim, where that is more than there are.
    pub(crate) claimed: Option<u64>,
}

/// A file with more boxes than this at the top is fragmented media of days, or hostile; the rest is not looked at.
const MOST_BOXES: u32 = 1_000_000;

/// Reads the headers of the outermost boxes; the media between them is skipped.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn layout(file: &mut (impl Read + Seek), length: u64) -> io::Result<Layout> {
    let mut layout = Layout::default();
    let mut media_seen = false;
    // A fragment's index that was not yet followed by its media.
    let mut fragment_open = false;
    let mut position = 0;
    for _ in 0..MOST_BOXES {
        if position + 8 > length {
            break;
        }
        let mut header = [0; 16];
        let there = usize::try_from(length - position).map_or(16, |rest| rest.min(16));
        file.seek(SeekFrom::Start(position))?;
        file.read_exact(&mut header[..there])?;
        let [a, b, c, d, kind @ .., _, _, _, _, _, _, _, _] = header;
        let size = match u32::from_be_bytes([a, b, c, d]) {
            0 => length - position,
            1 if there == 16 => {
                let [_, _, _, _, _, _, _, _, long @ ..] = header;
                u64::from_be_bytes(long)
            }
            size => u64::from(size),
        };
        match &kind {
            b"moov" => {
                layout.has_index = true;
                layout.index_first = !media_seen;
            }
            b"moof" => (media_seen, fragment_open, layout.fragmented) = (true, true, true),
            b"mdat" => (media_seen, fragment_open) = (true, false),
            // Padding of zeros after the last box is common and harmless.
            [0, 0, 0, 0] => break,
            _ => {}
        }
        let Some(end) = position.checked_add(size).filter(|_| size >= 8) else { break };
        if end > length {
            let tail = layout.has_index && media_seen && !fragment_open && !is_media(kind);
            layout.claimed = (!tail).then_some(end);
            // An index that is cut off is none.
            layout.has_index &= kind != *b"moov";
            break;
        }
        position = end;
    }
    if fragment_open && layout.claimed.is_none() {
        layout.claimed = Some(length + 8);
    }
    Ok(layout)
}

/// Whether a box holds media or their index, or comes right before a fragment that does.
fn is_media(kind: [u8; 4]) -> bool {
    matches!(&kind, b"moov" | b"mdat" | b"moof" | b"styp" | b"sidx" | b"prft" | b"emsg")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn boxed(kind: &[u8; 4], body: usize) -> Vec<u8> {
        let size = u32::try_from(body + 8).unwrap();
        [&size.to_be_bytes()[..], kind, &vec![1; body]].concat()
    }

    fn of(boxes: &[Vec<u8>], length: Option<usize>) -> Layout {
        let mut bytes = boxes.concat();
        bytes.truncate(length.unwrap_or(bytes.len()));
        let length = bytes.len() as u64;
        layout(&mut Cursor::new(bytes), length).unwrap()
    }

    #[test]
    fn the_order_of_index_and_media_is_told() {
        let (kind, index, data) = (boxed(b"ftyp", 16), boxed(b"moov", 40), boxed(b"mdat", 100));
        let first = of(&[kind.clone(), index.clone(), data.clone()], None);
        assert_eq!(first, Layout { has_index: true, index_first: true, fragmented: false, claimed: None });
        let last = of(&[kind.clone(), data.clone(), index], None);
        assert_eq!(last, Layout { has_index: true, index_first: false, fragmented: false, claimed: None });
        assert_eq!(of(&[kind, data], None), Layout::default());
    }

    #[test]
    fn a_cut_file_claims_more_than_it_has() {
        let whole = [boxed(b"ftyp", 16), boxed(b"moov", 40), boxed(b"mdat", 100)];
        assert_eq!(of(&whole, Some(120)).claimed, Some(180));
        let cut_in_the_index = of(&whole, Some(60));
        assert_eq!(
            cut_in_the_index,
            Layout { has_index: false, index_first: true, fragmented: false, claimed: Some(72) }
        );
    }

    #[test]
    fn what_stands_behind_whole_media_is_a_tail() {
        let whole = [boxed(b"ftyp", 16), boxed(b"moov", 40), boxed(b"mdat", 100)];
        for tail in
            [&b"\x31\x02\x03\x04\x05\x06\x07\x08"[..], b"made by a camera", b"\xFF\xFF\xFF\xFFsefd....", &[0; 20]]
        {
            let layout = of(&[&whole[..], &[tail.to_vec()]].concat(), None);
            assert_eq!(
                layout,
                Layout { has_index: true, index_first: true, fragmented: false, claimed: None },
                "{tail:?}"
            );
        }
        // The index may come last, the tail behind it.
        let [kind, index, data] = whole;
        let last = [kind.clone(), data, index, b"made by a camera".to_vec()];
        assert_eq!(of(&last, None).claimed, None);
        // Without all of the media it is none.
        assert!(of(&[kind, boxed(b"moov", 8), b"made by a camera".to_vec()], None).claimed.is_some());
    }

    #[test]
    fn a_file_of_fragments_is_cut_in_its_last_one() {
        let of_fragments =
            [boxed(b"moov", 8), boxed(b"moof", 8), boxed(b"mdat", 8), boxed(b"moof", 8), boxed(b"mdat", 8)];
        assert_eq!(of(&of_fragments, None).claimed, None);
        for length in [79, 74, 64, 60, 57] {
            assert!(of(&of_fragments, Some(length)).claimed.is_some(), "{length}");
        }
        assert!(of(&[&of_fragments[..], &[boxed(b"styp", 20)]].concat(), Some(100)).claimed.is_some());
        assert_eq!(of(&[&of_fragments[..], &[boxed(b"mfra", 20)]].concat(), Some(100)).claimed, None);
    }

    #[test]
    fn a_size_of_zero_reaches_to_the_end_and_nonsense_ends_the_walk() {
        let mut open = boxed(b"mdat", 10);
        open[..4].fill(0);
        assert_eq!(of(&[boxed(b"moov", 8), open], None).claimed, None);
        assert_eq!(of(&[vec![0, 0, 0, 3, b'm', b'd', b'a', b't', 0, 0]], None), Layout::default());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..256)) {
            let length = bytes.len() as u64;
            proptest::prop_assert!(layout(&mut Cursor::new(bytes), length).is_ok());
        }
    }
}
