//! Which of our decoders a picture is for, told from its first bytes.
//!
//! Most kinds are those of [`crate::sniff`], which also knows what to call the rest. Here are those that ffmpeg is not
//! given: AVIF, animated WebP and icons.
//!
//! # Source
//! AVIF: the brands of AV1 Image File Format 1.1, section 6. Icons: the ICONDIR of Microsoft's "Icons" (1995).

use std::io::{self, Read as _};
use std::path::Path;

use reelhook_domain::failure::{JobFailure, Stage};

use super::ImageFormat;
use super::raw::raw;
use crate::error::MediaError;
use crate::plain;
use crate::sniff::{self, Sniffed};

/// A kind of picture that we read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Jpeg,
    Png,
    Webp,
    Avif,
    Gif,
    Bmp,
    Tiff,
    Ico,
}

impl Kind {
    /// The word for it in `MediaInfo::format`.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Webp => "webp",
            Self::Avif => "avif",
            Self::Gif => "gif",
            Self::Bmp => "bmp",
            Self::Tiff => "tiff",
            Self::Ico => "ico",
        }
    }

    /// The word for its codec, ffmpeg's where it has one.
    pub(crate) const fn codec(self) -> &'static str {
        match self {
            Self::Jpeg => "mjpeg",
            Self::Avif => "av1",
            Self::Png | Self::Webp | Self::Gif | Self::Bmp | Self::Tiff | Self::Ico => self.word(),
        }
    }

    /// The same as a format that we write, where we do.
    pub(crate) const fn written(self) -> Option<ImageFormat> {
        match self {
            Self::Jpeg => Some(ImageFormat::Jpeg),
            Self::Png => Some(ImageFormat::Png),
            Self::Webp => Some(ImageFormat::Webp),
            Self::Avif => Some(ImageFormat::Avif),
            Self::Gif => Some(ImageFormat::Gif),
            Self::Bmp | Self::Tiff | Self::Ico => None,
        }
    }
}

/// Whether the file at `path` begins like a picture that is read here.
///
/// # Errors
/// Those of the operating system.
pub fn is_picture(path: &Path) -> io::Result<bool> {
    let mut head = Vec::new();
    plain::open(path)?.take(sniff::HEAD as u64).read_to_end(&mut head)?;
    Ok(kind(&head).is_ok())
}

/// Tells the kind of a picture from its beginning; what is none is refused by its name.
pub(crate) fn kind(bytes: &[u8]) -> Result<Kind, MediaError> {
    let head = &bytes[..bytes.len().min(sniff::HEAD)];
    if let Some(kind) = own(head) {
        return Ok(kind);
    }
    let refused = |code: &str, what: String| Err(MediaError::Rejected(JobFailure::input(Stage::Probing, code, what)));
    let found = match sniff::sniff(head) {
        Sniffed::Empty => return refused("empty_file", "the input has no bytes".to_owned()),
        Sniffed::Other(what) => return refused("unsupported_media", format!("the input is {what}")),
        Sniffed::Media(found) => found.format,
    };
    let kinds = [Kind::Jpeg, Kind::Png, Kind::Webp, Kind::Gif, Kind::Bmp, Kind::Tiff];
    // The directory of a TIFF may lie behind what was looked at.
    if found == Kind::Tiff.word()
        && let Some(what) = raw(bytes)
    {
        return refused("unsupported_media", format!("the input is {what}"));
    }
    match kinds.into_iter().find(|kind| kind.word() == found) {
        Some(kind) => Ok(kind),
        None => refused("unsupported_media", format!("the input is {found}, not a picture")),
    }
}

fn own(head: &[u8]) -> Option<Kind> {
    if head.get(4..8) == Some(b"ftyp") {
        let size = u32::from_be_bytes(head.get(..4)?.try_into().ok()?) as usize;
        let brands = head.get(8..size.min(head.len()))?.chunks_exact(4);
        // The second word is a version; no version spells a brand.
        return brands.clone().any(|brand| brand == b"avif" || brand == b"avis").then_some(Kind::Avif);
    }
    if head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP") {
        return Some(Kind::Webp);
    }
    // An icon's (or a cursor's) signature is a few small numbers; the first picture must also be where it can be.
    let is_icon = head.starts_with(&[0, 0, 1, 0]) || head.starts_with(&[0, 0, 2, 0]);
    let count = is_icon.then(|| head.get(4..6)).flatten()?;
    let count = usize::from(u16::from_le_bytes([count[0], count[1]]));
    let offset = u32::from_le_bytes(head.get(18..22)?.try_into().ok()?) as usize;
    // What is reserved is zero; .NET writes 255.
    ((1..=256).contains(&count) && matches!(head.get(9), Some(0 | 255)) && offset >= 6 + 16 * count)
        .then_some(Kind::Ico)
}
