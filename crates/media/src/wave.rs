//! The chunks of a WAV file: whether its samples are all there, and whether it says how many there are.
//!
//! A program that writes a WAV to a pipe, or that is ended before it is done, leaves a placeholder or an old number
//! where the size of the samples should be. Players read on to the end of the file then, and so do we. Only a size that
//! is believable and beyond the end of the file means that the end is missing.
//!
//! # Source
//! Multimedia Programming Interface and Data Specifications 1.0, chapters 2 and 3; EBU Tech 3306 (RF64) for the sizes of
//! 64 bits in `ds64`.

use std::io::{self, Read, Seek, SeekFrom};

use crate::extent::is_placeholder;

/// What the chunks say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Where the samples would end, where that is beyond the end of the file and believable.
    pub(crate) claimed: Option<u64>,
    /// Where the samples begin, where they were found.
    pub(crate) start: u64,
    /// Whether the samples go on to the end of the file, whatever the header says.
    pub(crate) open: bool,
}

/// Programs that write RIFF disagree on whether padding counts.
const SLACK: u64 = 16;
/// More chunks than this before the samples are not looked at.
const MOST_CHUNKS: u32 = 10_000;

/// Reads the headers of the chunks up to the samples.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn layout(file: &mut (impl Read + Seek), length: u64) -> io::Result<Layout> {
    let mut riff = [0; 12];
    if !read_at(file, 0, &mut riff, length)? {
        return Ok(Layout::default());
    }
    let [wide @ .., a, b, c, d, _, _, _, _] = riff;
    let size = u32::from_le_bytes([a, b, c, d]);
    let wide = wide != *b"RIFF";
    let mut whole = (!wide && !is_placeholder(size)).then_some(u64::from(size) + 8);
    let mut samples = None;
    let mut position = 12;
    for _ in 0..MOST_CHUNKS {
        let mut header = [0; 8];
        if !read_at(file, position, &mut header, length)? {
            break;
        }
        let [kind @ .., a, b, c, d] = header;
        let size = u32::from_le_bytes([a, b, c, d]);
        let start = position + 8;
        match &kind {
            b"ds64" => {
                let mut sizes = [0; 16];
                if read_at(file, start, &mut sizes, length)? {
                    let [riff @ .., _, _, _, _, _, _, _, _] = sizes;
                    let [_, _, _, _, _, _, _, _, data @ ..] = sizes;
                    whole = known(u64::from_le_bytes(riff)).map(|size| size.saturating_add(8));
                    samples = known(u64::from_le_bytes(data));
                }
            }
            b"data" => {
                let claimed = if size == u32::MAX && wide { samples } else { known(u64::from(size)) };
                return judge(file, start, claimed, whole, length);
            }
            _ => {}
        }
        // Chunks begin at even places.
        position = start + u64::from(size) + u64::from(size % 2);
    }
    Ok(Layout::default())
}

/// A size, where it is not a placeholder.
fn known(size: u64) -> Option<u64> {
    let placeholder = match u32::try_from(size) {
        Ok(size) => is_placeholder(size),
        Err(_) => size > u64::MAX >> 1,
    };
    (!placeholder).then_some(size)
}

/// What the size of the samples means in a file of that length; `whole` is where the file would end.
fn judge(
    file: &mut (impl Read + Seek),
    start: u64,
    claimed: Option<u64>,
    whole: Option<u64>,
    length: u64,
) -> io::Result<Layout> {
    let open = Layout { claimed: None, start, open: true };
    let Some(end) = claimed.map(|size| start.saturating_add(size)) else {
        // Nothing, and other chunks behind it: there are no samples.
        return Ok(if chunk_at(file, start, length)? { Layout::default() } else { open });
    };
    if end > length {
        let right = whole.is_none_or(|whole| whole <= length + SLACK);
        return Ok(if right || end <= length + SLACK {
            open
        } else {
            Layout { claimed: Some(end), start, open: false }
        });
    }
    // Written some time before the last samples were.
    let stale = whole.is_none_or(|whole| whole + SLACK < length) && end + SLACK < length;
    let behind = end + end % 2;
    Ok(if stale && !chunk_at(file, behind, length)? { open } else { Layout::default() })
}

/// Whether a chunk begins there: a name of four printable letters, and a size that fits.
fn chunk_at(file: &mut (impl Read + Seek), position: u64, length: u64) -> io::Result<bool> {
    let mut header = [0; 8];
    if !read_at(file, position, &mut header, length)? {
        return Ok(length <= position);
    }
    let [kind @ .., a, b, c, d] = header;
    let size = u64::from(u32::from_le_bytes([a, b, c, d]));
    Ok(kind.iter().all(|&byte| byte == b' ' || byte.is_ascii_alphanumeric()) && position + 8 + size <= length + SLACK)
}

/// Fills `bytes` from that place; false where the file ends before.
fn read_at(file: &mut (impl Read + Seek), position: u64, bytes: &mut [u8], length: u64) -> io::Result<bool> {
    if position.saturating_add(bytes.len() as u64) > length {
        return Ok(false);
    }
    file.seek(SeekFrom::Start(position))?;
    file.read_exact(bytes)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    /// A file with that many bytes of samples and those sizes in its header.
    fn wave(riff: u32, data: u32, samples: usize, behind: &[u8]) -> Vec<u8> {
        let mut bytes = b"RIFF".to_vec();
        bytes.extend(riff.to_le_bytes());
        bytes.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3E\0\0\0\x7D\0\0\x02\0\x10\0data");
        bytes.extend(data.to_le_bytes());
        bytes.extend(vec![0x81; samples]);
        bytes.extend(behind);
        bytes
    }

    fn of(bytes: Vec<u8>) -> Layout {
        let length = bytes.len() as u64;
        layout(&mut Cursor::new(bytes), length).unwrap()
    }

    #[test]
    fn placeholders_mean_that_the_samples_go_on_to_the_end() {
        for (riff, data) in [
            (0, 0),
            (36, 0),
            (u32::MAX, u32::MAX),
            (0x7FFF_F024, 0x7FFF_F000),
            (0x8000_0024, 0x8000_0000),
            (0x7FFF_FFFF, 0x7FFF_FFFF),
            (0x8000_0023, 0x7FFF_FFFF),
            (u32::MAX, u32::MAX - 44),
            // The file's size is right, that of the samples is not.
            (1036, 1070),
            (1036, 0x1234_5678),
            // Written when there were fewer samples.
            (136, 100),
        ] {
            assert_eq!(
                of(wave(riff, data, 1000, b"")),
                Layout { claimed: None, start: 44, open: true },
                "{riff:x} {data:x}"
            );
        }
    }

    #[test]
    fn sizes_that_are_right_are_believed() {
        assert_eq!(of(wave(1036, 1000, 1000, b"")), Layout::default());
        assert_eq!(of(wave(1048, 1000, 1000, b"LIST\x04\0\0\0INFO")), Layout::default());
        // Behind whole samples anything may stand, or be cut.
        assert_eq!(of(wave(1036, 1000, 1000, b"LIST\x04\0\0\0INFO")), Layout::default());
        assert_eq!(of(wave(5000, 1000, 1000, b"LIST\xFF\x04\0\0INFO")), Layout::default());
        // No samples at all, and a chunk that says so.
        assert_eq!(of(wave(48, 0, 0, b"LIST\x04\0\0\0INFO")), Layout::default());
    }

    #[test]
    fn a_cut_file_is_noticed() {
        assert_eq!(of(wave(100_036, 100_000, 1000, b"")), Layout { claimed: Some(100_044), start: 44, open: false });
        // Less than a block is no loss.
        assert_eq!(of(wave(1038, 1002, 1000, b"")).claimed, None);
    }

    #[test]
    fn wide_files_tell_their_sizes_elsewhere() {
        let wide = |data: u64| {
            let mut bytes = b"RF64\xFF\xFF\xFF\xFFWAVEds64\x1C\0\0\0".to_vec();
            bytes.extend((data.saturating_add(72)).to_le_bytes());
            bytes.extend(data.to_le_bytes());
            bytes.extend([0; 12]);
            bytes.extend(b"fmt \x10\0\0\0\x01\0\x01\0\x80\x3E\0\0\0\x7D\0\0\x02\0\x10\0data\xFF\xFF\xFF\xFF");
            bytes.extend(vec![0x81; 1000]);
            bytes
        };
        assert_eq!(of(wide(1000)), Layout::default());
        assert!(of(wide(u64::MAX)).open && of(wide(0)).open);
        assert_eq!(of(wide(1 << 33)).claimed, Some((1 << 33) + 80));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..256)) {
            proptest::prop_assert!(layout(&mut Cursor::new(bytes.clone()), bytes.len() as u64).is_ok());
            let bytes = [&b"RF64\xFF\xFF\xFF\xFFWAVEds64\x1C\0\0\0"[..], &bytes].concat();
            let length = bytes.len() as u64;
            proptest::prop_assert!(layout(&mut Cursor::new(bytes), length).is_ok());
        }
    }
}
