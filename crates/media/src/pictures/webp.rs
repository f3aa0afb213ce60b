//! Animated WebP, as far as its chunks tell.
//!
//! # Source
//! RFC 9649, sections 2.3 to 2.7: RIFF chunks of an id, a little-endian size and an even number of bytes; `VP8X` with
//! flags (0x10 alpha, 0x02 animation) and the canvas less one; an `ANMF` for each frame, its milliseconds at byte 12.

use std::io::{self, Read, Seek, SeekFrom};

use reelhook_domain::media::MediaInfo;

use super::{invalid, media};

const ALPHA: u8 = 0x10;
const ANIMATION: u8 = 0x02;

/// What an animated WebP holds; `None` for a still one and for other files.
pub(crate) fn measure<R: Read + Seek>(file: &mut R) -> io::Result<Option<MediaInfo>> {
    let mut head = [0; 30];
    if file.read_exact(&mut head).is_err() || !head.starts_with(b"RIFF") || &head[8..16] != b"WEBPVP8X" {
        return Ok(None);
    }
    let flags = head[20];
    if flags & ANIMATION == 0 {
        return Ok(None);
    }
    let claimed = u64::from(u32::from_le_bytes([head[4], head[5], head[6], head[7]])) + 8;
    let end = file.seek(SeekFrom::End(0))?;
    if claimed > end {
        return Err(invalid(format!("the WebP ends after {end} bytes; it says {claimed}")));
    }
    let side = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], 0]) + 1;
    let mut at = 12;
    let (mut frames, mut milliseconds) = (0_u64, 0_u64);
    while at + 8 <= claimed {
        file.seek(SeekFrom::Start(at))?;
        let mut chunk = [0; 8];
        file.read_exact(&mut chunk)?;
        let size = u64::from(u32::from_le_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]));
        if &chunk[..4] == b"ANMF" {
            let mut frame = [0; 16];
            file.read_exact(&mut frame)?;
            frames += 1;
            milliseconds += u64::from(u32::from_le_bytes([frame[12], frame[13], frame[14], 0]));
        }
        at += 8 + size + size % 2;
    }
    let samples = if flags & ALPHA == 0 { "yuv420p" } else { "yuva420p" };
    Ok(Some(media("webp", "webp", (side(24), side(27)), frames, Some(milliseconds as f64 / 1000.0), samples)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn animated(frames: &[u8]) -> Vec<u8> {
        let mut body = b"WEBPVP8X\x0a\0\0\0\x12\0\0\0\x3f\0\0\x2f\0\0".to_vec();
        body.extend(b"ANIM\x06\0\0\0\0\0\0\0\0\0");
        for &milliseconds in frames {
            body.extend(b"ANMF\x11\0\0\0");
            body.extend([0; 12]);
            body.extend([milliseconds, 0, 0, 0, 9, 0]);
        }
        let mut file = b"RIFF".to_vec();
        file.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
        file.extend(body);
        file
    }

    #[test]
    fn frames_are_counted_and_their_times_added() {
        let info = measure(&mut Cursor::new(animated(&[40, 40, 20]))).unwrap().unwrap();
        let video = info.video.unwrap();
        assert_eq!((video.width, video.height, video.frames), (64, 48, Some(3)));
        assert_eq!((info.duration_seconds, video.pixel_format.as_deref()), (Some(0.1), Some("yuva420p")));
    }

    #[test]
    fn one_that_was_cut_short_is_told() {
        let mut file = animated(&[40, 40]);
        file.truncate(file.len() - 3);
        assert_eq!(measure(&mut Cursor::new(file)).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(measure(&mut Cursor::new(b"RIFF")).unwrap().is_none());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(tail in proptest::collection::vec(proptest::num::u8::ANY, 0..64)) {
            let mut file = animated(&[1]);
            file.extend(&tail);
            let length = u32::try_from(file.len() - 8).unwrap();
            file[4..8].copy_from_slice(&length.to_le_bytes());
            let _ = measure(&mut Cursor::new(file));
        }
    }
}
