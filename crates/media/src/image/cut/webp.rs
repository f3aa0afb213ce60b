//! A WebP that is shorter than it says.
//!
//! # Source
//! RFC 9649, 2.3 to 2.7.

use std::borrow::Cow;

use super::super::ImageLimits;
use super::super::decode;
use super::super::kind::Kind;
use super::{Loss, Seen, blank, nothing, of_pixels, partly, reached, same};
use crate::error::MediaError;

/// Length that the file says it has, where it is shorter.
fn said(bytes: &[u8]) -> Option<usize> {
    let size = bytes.get(4..8)?;
    let said = u32::from_le_bytes([size[0], size[1], size[2], size[3]]) as usize + 8;
    // The last byte of filling is left out by some writers.
    (said > bytes.len() + 1).then_some(said)
}

fn is_animated(bytes: &[u8]) -> bool {
    bytes.get(12..16) == Some(b"VP8X") && bytes.get(20).is_some_and(|flags| flags & 2 != 0)
}

/// The whole frames of an animation that is cut.
pub(super) fn ended(bytes: &[u8]) -> Option<(Vec<u8>, Loss)> {
    let said = said(bytes).filter(|_| is_animated(bytes))?;
    let (mut at, mut end, mut frames) = (12, 0, 0);
    while let Some(size) = bytes.get(at + 4..at + 8) {
        let size = u32::from_le_bytes([size[0], size[1], size[2], size[3]]) as usize;
        let next = at.checked_add(8 + size + size % 2)?;
        if next > bytes.len() {
            break;
        }
        if &bytes[at..at + 4] == b"ANMF" {
            (frames, end) = (frames + 1, next);
        }
        at = next;
    }
    (frames > 0).then_some(())?;
    let mut made = bytes[..end].to_vec();
    made[4..8].copy_from_slice(&u32::try_from(end - 8).ok()?.to_le_bytes());
    let words = format!("all behind the first {frames} {}", if frames == 1 { "frame" } else { "frames" });
    Some((made, Loss { share: 1.0 - end as f64 / said as f64, words }))
}

pub(super) fn look<'a>(bytes: &'a [u8], limits: &ImageLimits) -> Result<Seen<'a>, MediaError> {
    let Some(said) = said(bytes) else { return Ok(Seen { bytes: Cow::Borrowed(bytes), pixels: None, loss: None }) };
    if is_animated(bytes) {
        let (ended, loss) = ended(bytes).ok_or_else(|| nothing(Kind::Webp))?;
        return Ok(Seen { bytes: ended.into(), pixels: None, loss: Some(loss) });
    }
    // Nobody's file is filled up beyond what an input may have.
    // What is filled in is held too, so that a few bytes that claim to be many take no more than so many times their own.
    if said as u64 > limits.input_bytes || said > bytes.len().saturating_mul(8).saturating_add(1 << 20) {
        return Err(nothing(Kind::Webp));
    }
    let filled = |filling: u8| {
        let mut filled = bytes.to_vec();
        filled.resize(said, filling);
        filled
    };
    let whole = filled(0);
    let limits = &limits.of(&super::super::header::header(&whole, limits)?);
    let mut first = decode::webp(&whole, limits)?;
    let second = decode::webp(&filled(0xAA), limits)?;
    let same = same(&first.pixels, &second.pixels);
    let width = first.pixels.width() as usize;
    // Macroblocks are of 16 rows; the filter at their edges reaches up by a few.
    let rows = reached(&same, width);
    let rows = if rows * width == same.len() { rows } else { rows.saturating_sub(8) / 16 * 16 };
    if rows == 0 {
        return Err(nothing(Kind::Webp));
    }
    blank(&mut first.pixels, |index| index / width < rows);
    let missing = same.len() - rows * width;
    let loss = (missing > 0).then(|| of_pixels(missing, same.len()));
    partly(whole.into(), first, loss, limits)
}
