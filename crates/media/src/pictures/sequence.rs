//! A sequence of PNG pictures: from one file with all of them to a ZIP archive with one each, and its measures.
//!
//! ffmpeg writes the pictures one after the other into one file, which the limit on file sizes caps; here they are told
//! apart by their chunks and stored as they are, `frame_000001.png` and so on. PNG is compressed already.
//!
//! # Source
//! PNG, third edition, sections 5.2 and 5.3: a signature, then chunks of a big-endian length, a type, the data and a
//! checksum, `IHDR` first (width, height, depth, colour type) and `IEND` last.

use std::io::{self, BufReader, BufWriter, Read, Seek, Write as _};
use std::path::Path;

use crate::plain;
use reelhook_domain::media::MediaInfo;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::{invalid, media};

const SIGNATURE: &[u8; 8] = b"\x89PNG\r\n\x1a\n";

/// Packs the pictures of the file at `pictures` into a new archive at `archive`, at most `cap` bytes of them, and removes
/// the former. Gives how many there were.
///
/// # Errors
/// `FileTooLarge` over the cap, `InvalidData` for what is no sequence of pictures.
pub(crate) fn pack(pictures: &Path, archive: &Path, cap: u64) -> io::Result<u64> {
    let mut from = BufReader::with_capacity(1 << 16, plain::open_made(pictures)?);
    if from.get_ref().metadata()?.len() > cap {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut zip = ZipWriter::new(BufWriter::with_capacity(1 << 16, plain::create(archive)?));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut frames = 0;
    let mut signature = [0; 8];
    while read_or_end(&mut from, &mut signature)? {
        if &signature != SIGNATURE {
            return Err(invalid("a picture does not begin as a PNG"));
        }
        frames += 1;
        zip.start_file(format!("frame_{frames:06}.png"), options)?;
        zip.write_all(&signature)?;
        loop {
            let mut head = [0; 8];
            from.read_exact(&mut head)?;
            zip.write_all(&head)?;
            let rest = u64::from(u32::from_be_bytes([head[0], head[1], head[2], head[3]])) + 4;
            if io::copy(&mut from.by_ref().take(rest), &mut zip)? != rest {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if &head[4..] == b"IEND" {
                break;
            }
        }
    }
    zip.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    std::fs::remove_file(pictures)?;
    Ok(frames)
}

/// Fills the buffer, or says that there is nothing more.
fn read_or_end(from: &mut impl Read, buffer: &mut [u8; 8]) -> io::Result<bool> {
    if from.read(&mut buffer[..1])? == 0 {
        return Ok(false);
    }
    from.read_exact(&mut buffer[1..]).map(|()| true)
}

/// What such an archive holds.
///
/// # Errors
/// `InvalidData` where it is something else, or a picture is not named after its place.
pub(crate) fn measure<R: Read + Seek>(file: &mut R) -> io::Result<Option<MediaInfo>> {
    let mut zip = ZipArchive::new(file).map_err(|_| invalid("it is not a ZIP archive"))?;
    let frames = zip.len();
    let mut looks = None;
    for place in [0, frames.saturating_sub(1)] {
        let mut entry = zip.by_index(place).map_err(|_| invalid("it holds no pictures"))?;
        let name = format!("frame_{:06}.png", place + 1);
        if !entry.name().is_ok_and(|found| found == name) {
            return Err(invalid(format!("its entry {} is not called {name}", place + 1)));
        }
        let mut head = [0; 26];
        entry.read_exact(&mut head)?;
        if &head[..8] != SIGNATURE || &head[12..16] != b"IHDR" {
            return Err(invalid(format!("{name} is not a PNG")));
        }
        let side = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let look = (side(16), side(20), head[25]);
        if *looks.get_or_insert(look) != look {
            return Err(invalid("its pictures are not all alike"));
        }
    }
    let Some((width, height, color)) = looks else { return Err(invalid("it holds no pictures")) };
    let samples = if matches!(color, 4 | 6) { "rgba" } else { "rgb24" };
    Ok(Some(media("zip", "png", (width, height), frames as u64, None, samples)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(color: u8) -> Vec<u8> {
        let mut png = SIGNATURE.to_vec();
        png.extend(b"\0\0\0\x0dIHDR\0\0\0\x20\0\0\0\x10\x08");
        png.extend([color, 0, 0, 0, 1, 2, 3, 4]);
        png.extend(b"\0\0\0\0IEND\xae\x42\x60\x82");
        png
    }

    fn packed(bytes: &[u8], cap: u64) -> io::Result<MediaInfo> {
        let folder = tempfile::tempdir()?;
        let (pictures, archive) = (folder.path().join("p"), folder.path().join("a.zip"));
        std::fs::write(&pictures, bytes)?;
        pack(&pictures, &archive, cap)?;
        assert!(!pictures.exists());
        measure(&mut std::fs::File::open(archive)?).map(|info| info.expect("an archive"))
    }

    #[test]
    fn pictures_are_told_apart_and_counted() {
        let info = packed(&[picture(6), picture(6), picture(6)].concat(), 1000).unwrap();
        let video = info.video.unwrap();
        assert_eq!((video.width, video.height, video.frames), (32, 16, Some(3)));
        assert_eq!(video.pixel_format.as_deref(), Some("rgba"));
    }

    #[test]
    fn what_is_too_large_or_cut_short_is_refused() {
        let kind = |bytes: &[u8], cap| packed(bytes, cap).unwrap_err().kind();
        assert_eq!(kind(&picture(6), 10), io::ErrorKind::FileTooLarge);
        assert_eq!(kind(&picture(6)[..30], 1000), io::ErrorKind::UnexpectedEof);
        assert_eq!(kind(b"not a picture", 1000), io::ErrorKind::InvalidData);
        assert_eq!(kind(b"", 1000), io::ErrorKind::InvalidData);
        assert_eq!(kind(&[picture(6), picture(2)].concat(), 1000), io::ErrorKind::InvalidData);
    }
}
