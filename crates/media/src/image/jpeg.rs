//! What the markers of a JPEG say that its decoder does not: how it was compressed and how its colours are meant.
//!
//! # Source
//! Markers and tables: ITU-T T.81, annex B. The Adobe marker and RGB by component ids: ITU-T T.872, 6.5.3 and 6.1. The
//! quality scale and its base table: T.81 annex K.1 with the formula that the IJG library made customary.

/// Markers of one JPEG, up to its first scan.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Markers {
    /// Where the Adobe marker's transform byte is.
    pub(crate) adobe_transform: Option<usize>,
    /// What it says.
    pub(crate) transform: Option<u8>,
    /// 1 grey, 3 colour, 4 inks.
    pub(crate) components: u8,
    /// Whether three components are red, green and blue rather than luma and chroma.
    pub(crate) is_rgb: bool,
    /// Whether colour is stored at full resolution.
    pub(crate) full_chroma: bool,
    /// The quality that the luma table corresponds to, 1 to 100; absent where it cannot be told.
    pub(crate) quality: Option<f32>,
    /// Whether the end marker is there, after the first scan: decoders fill what is missing with grey and say nothing.
    pub(crate) has_end: bool,
}

/// Sum of the luma table of T.81 annex K.1: the table of quality 50.
const LUMA_SUM: f32 = 3687.0;

/// Reads the markers before the first scan. Whatever does not look right ends it; the decoder will say why.
pub(crate) fn markers(bytes: &[u8]) -> Markers {
    let mut found = Markers::default();
    let mut at = 2;
    while let Some(&[0xFF, marker]) = bytes.get(at..at + 2) {
        if marker == 0xFF || marker == 0x01 || (0xD0..=0xD8).contains(&marker) {
            at += if marker == 0xFF { 1 } else { 2 };
            continue;
        }
        let Some(&[high, low]) = bytes.get(at + 2..at + 4) else { break };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let Some(body) = bytes.get(at + 4..at + 2 + length.max(2)) else { break };
        match marker {
            0xDA => {
                found.has_end = bytes[at..].windows(2).rev().any(|marker| marker == [0xFF, 0xD9]);
                break;
            }
            0xDB => found.quality = luma_quality(body).or(found.quality),
            0xEE if body.starts_with(b"Adobe") && body.len() >= 12 => {
                found.adobe_transform = Some(at + 4 + 11);
                found.transform = Some(body[11]);
            }
            0xC0..=0xCF if !matches!(marker, 0xC4 | 0xC8 | 0xCC) => frame(body, &mut found),
            _ => {}
        }
        at += 2 + length.max(2);
    }
    if found.transform == Some(0) && found.components == 3 {
        found.is_rgb = true;
    }
    found
}

fn frame(body: &[u8], found: &mut Markers) {
    let Some(&count) = body.get(5) else { return };
    found.components = count;
    let components: Vec<&[u8]> = body.get(6..).unwrap_or_default().chunks_exact(3).take(usize::from(count)).collect();
    if components.len() != 3 {
        return;
    }
    found.full_chroma = components.iter().all(|component| component[1] == components[0][1]);
    found.is_rgb = components.iter().map(|component| component[0]).eq(*b"RGB");
}

/// The quality of table 0, where it is in this segment.
fn luma_quality(mut body: &[u8]) -> Option<f32> {
    while let Some((&head, rest)) = body.split_first() {
        let wide = head >> 4 != 0;
        let size = if wide { 128 } else { 64 };
        let table = rest.get(..size)?;
        if head & 15 == 0 {
            let sum: f32 = if wide {
                table.chunks_exact(2).map(|pair| f32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum()
            } else {
                table.iter().copied().map(f32::from).sum()
            };
            let scale = sum / LUMA_SUM * 100.0;
            let quality = if scale <= 100.0 { 100.0 - scale / 2.0 } else { 5000.0 / scale };
            return Some(quality.clamp(1.0, 100.0));
        }
        body = &rest[size..];
    }
    None
}
