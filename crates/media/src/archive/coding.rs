//! The compressions that a tar lies in or a member of a ZIP file is packed by, each within a bound of memory.
//!
//! LZMA, XZ and Zstandard let the sender choose how far back a stream may refer, and a decoder sets that much memory
//! aside: up to 4 GiB for twenty bytes of input. What needs more than [`MEMORY`] is refused with
//! [`ErrorKind::OutOfMemory`] before any is taken; the highest ordinary levels (`xz -9`, `zstd --ultra -22`) need less.
//!
//! # Source
//! The `.xz` file format 1.2.1; RFC 8878 (Zstandard); APPNOTE 5.8 (LZMA in ZIP files).

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::path::Path;

use bzip2::Compression;
use bzip2::write::BzEncoder;
use flate2::write::GzEncoder;
use lzma_rust2::{LzmaReader, XzOptions, XzReader, XzWriter, lzma_get_memory_usage_by_props};
use reelhook_domain::recipe::Format;

/// Most memory that a decoder may set aside, as a power of two.
const MEMORY_LOG: u32 = 27;
/// The same in bytes: 128 MiB.
pub(super) const MEMORY: u64 = 1 << MEMORY_LOG;
/// The same as LZMA's decoders count.
const MEMORY_KIB: u32 = 1 << (MEMORY_LOG - 10);

/// How hard is packed. Time matters less than size here, and most of it goes to the members themselves.
pub(super) const GZIP_LEVEL: u32 = 9;
const ZSTD_LEVEL: i32 = 15;
const BZIP2_LEVEL: u32 = 9;
const XZ_PRESET: u32 = 6;

/// The bytes of the tar in a file of this format.
pub(super) fn tar_in(format: Format, path: &Path) -> io::Result<Box<dyn Read>> {
    let file = BufReader::new(File::open(path)?);
    Ok(match format {
        Format::TarGz => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
        Format::TarBz2 => Box::new(bzip2::bufread::MultiBzDecoder::new(file)),
        Format::TarXz => Box::new(XzReader::new_mem_limit(file, true, MEMORY_KIB)),
        Format::TarZst => Box::new(zstd_of(file)?),
        _ => Box::new(file),
    })
}

/// A member of a ZIP file unpacked, by the number of its method; none where we have no decoder for that. `size` is how
/// many bytes its header says it has.
pub(super) fn member<'a>(
    method: u16,
    mut packed: impl BufRead + 'a,
    size: u64,
) -> io::Result<Option<Box<dyn Read + 'a>>> {
    Ok(Some(match method {
        0 => Box::new(packed),
        8 => Box::new(flate2::bufread::DeflateDecoder::new(packed)),
        9 => Box::new(deflate64::Deflate64Decoder::with_buffer(packed)),
        12 => Box::new(bzip2::bufread::BzDecoder::new(packed)),
        14 => {
            // Two bytes of version, two of the length of what follows, then LZMA's own five.
            let mut head = [0; 9];
            packed.read_exact(&mut head)?;
            let [_, _, 5, 0, properties, dictionary @ ..] = head else {
                return Err(io::Error::new(ErrorKind::InvalidData, "its LZMA header is not five bytes long"));
            };
            let dictionary = u32::from_le_bytes(dictionary);
            if lzma_get_memory_usage_by_props(dictionary, properties)? > MEMORY_KIB {
                return Err(ErrorKind::OutOfMemory.into());
            }
            let mut decoder = LzmaReader::new_with_props(packed, size, properties, dictionary, None)?;
            // An end mark may follow though the size is told.
            decoder.set_relaxed_end_condition(true);
            Box::new(decoder)
        }
        93 => Box::new(zstd_of(packed)?),
        95 => Box::new(XzReader::new_mem_limit(packed, true, MEMORY_KIB)),
        _ => return Ok(None),
    }))
}

/// The names of the methods that [`member`] decodes, and of others that are seen in the field.
pub(super) fn method_name(method: u16) -> String {
    let known = match method {
        1 => "shrink",
        2..=5 => "reduce",
        6 => "implode",
        96 => "JPEG",
        97 => "WavPack",
        98 => "PPMd",
        99 => "AES",
        _ => return format!("method {method}"),
    };
    known.to_owned()
}

fn zstd_of<'a>(mut packed: impl BufRead + 'a) -> io::Result<zstd::stream::read::Decoder<'a, impl BufRead + 'a>> {
    // The library refuses a large window by its text alone, so the first frame's is looked at here.
    if zstd_window(packed.fill_buf()?).is_some_and(|window| window > MEMORY) {
        return Err(ErrorKind::OutOfMemory.into());
    }
    let mut decoder = zstd::stream::read::Decoder::with_buffer(packed)?;
    decoder.window_log_max(MEMORY_LOG)?;
    Ok(decoder)
}

/// How far back a Zstandard frame refers, from its first bytes; none where they are too few or of another kind.
///
/// # Source
/// RFC 8878, section 3.1.1.1.
fn zstd_window(head: &[u8]) -> Option<u64> {
    let (&descriptor, rest) = head.strip_prefix(b"\x28\xB5\x2F\xFD")?.split_first()?;
    let is_single_segment = descriptor & 0x20 != 0;
    if !is_single_segment {
        let window = rest.first()?;
        let base = 1_u64 << (10 + (window >> 3));
        return Some(base + base / 8 * u64::from(window & 7));
    }
    // Then the window is the whole content, whose size follows the dictionary's number.
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let (length, offset) = match descriptor >> 6 {
        0 => (1, 0),
        1 => (2, 256),
        2 => (4, 0),
        _ => (8, 0),
    };
    let mut size = [0; 8];
    size[..length].copy_from_slice(rest.get(dictionary..dictionary + length)?);
    Some(u64::from_le_bytes(size).saturating_add(offset))
}

/// A file that a tar is written to, in the compression of its format.
pub(super) enum TarOut<W: Write> {
    Plain(W),
    Gz(GzEncoder<W>),
    Bz2(BzEncoder<W>),
    Xz(Box<XzWriter<W>>),
    Zst(zstd::stream::write::Encoder<'static, W>),
}

impl<W: Write> TarOut<W> {
    pub(super) fn new(format: Format, file: W) -> io::Result<Self> {
        Ok(match format {
            Format::TarGz => Self::Gz(GzEncoder::new(file, flate2::Compression::new(GZIP_LEVEL))),
            Format::TarBz2 => Self::Bz2(BzEncoder::new(file, Compression::new(BZIP2_LEVEL))),
            Format::TarXz => Self::Xz(Box::new(XzWriter::new(file, XzOptions::with_preset(XZ_PRESET))?)),
            Format::TarZst => Self::Zst(zstd::stream::write::Encoder::new(file, ZSTD_LEVEL)?),
            _ => Self::Plain(file),
        })
    }

    /// Writes what is still held back.
    pub(super) fn finish(self) -> io::Result<()> {
        match self {
            Self::Plain(file) => file,
            Self::Gz(encoder) => encoder.finish()?,
            Self::Bz2(encoder) => encoder.finish()?,
            Self::Xz(encoder) => encoder.finish()?,
            Self::Zst(encoder) => encoder.finish()?,
        }
        .flush()
    }

    fn inner(&mut self) -> &mut dyn Write {
        match self {
            Self::Plain(file) => file,
            Self::Gz(encoder) => encoder,
            Self::Bz2(encoder) => encoder,
            Self::Xz(encoder) => encoder,
            Self::Zst(encoder) => encoder,
        }
    }
}

impl<W: Write> Write for TarOut<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_of_a_zstd_frame_is_read_from_its_head() {
        let cases: &[(&[u8], Option<u64>)] = &[
            (b"\x28\xB5\x2F\xFD\x00\x58", Some(2 << 20)),
            (b"\x28\xB5\x2F\xFD\x00\x59", Some((2 << 20) + (2 << 20) / 8)),
            (b"\x28\xB5\x2F\xFD\x00\xF8", Some(1 << 41)),
            (b"\x28\xB5\x2F\xFD\x20\x07", Some(7)),
            (b"\x28\xB5\x2F\xFD\x60\x01\x00", Some(257)),
            (b"\x28\xB5\x2F\xFD\xA1\xAA\x00\x00\x00\x40", Some(1 << 30)),
            (b"\x28\xB5\x2F\xFD\xE0\x00", None),
            (b"\x1F\x8B", None),
        ];
        for (head, expected) in cases {
            assert_eq!(zstd_window(head), *expected, "{head:?}");
        }
    }
}
