//! The chunks of a PNG, as far as its decoder does not tell what they say: how it is animated, and whether its end is there.
//!
//! # Source
//! PNG (Third Edition), 5.3 (chunks), 11.3.6 (`acTL`, `fcTL`).

/// The name and the content of each chunk, up to one that is cut short.
pub(crate) fn chunks(bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = bytes.get(8..).unwrap_or_default();
    std::iter::from_fn(move || {
        let length = u32::from_be_bytes(rest.get(..4)?.try_into().ok()?) as usize;
        let (name, end) = (rest.get(4..8)?, length.checked_add(12)?);
        let content = rest.get(..end)?.get(8..8 + length)?;
        rest = &rest[end..];
        Some((name, content))
    })
}

/// How an animated PNG is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Control {
    /// As the header says.
    pub(crate) frames: u32,
    /// How often it is played; 0 is for ever.
    pub(crate) plays: u32,
}

/// The control chunk, which stands before the first picture.
pub(crate) fn control(bytes: &[u8]) -> Option<Control> {
    let mut before = chunks(bytes).take_while(|(name, _)| *name != b"IDAT");
    let (_, content) = before.find(|(name, _)| *name == b"acTL")?;
    let number = |at: usize| Some(u32::from_be_bytes(content.get(at..at + 4)?.try_into().ok()?));
    Some(Control { frames: number(0)?, plays: number(4)? })
}

/// How long each frame is shown, in milliseconds.
pub(crate) fn delays(bytes: &[u8]) -> impl Iterator<Item = u32> {
    chunks(bytes).filter(|(name, _)| *name == b"fcTL").map(|(_, content)| {
        let number =
            |at: usize| content.get(at..at + 2).map_or(0, |pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
        let (numerator, denominator) = (number(20), number(22));
        numerator * 1000 / if denominator == 0 { 100 } else { denominator }
    })
}

/// Whether its last chunk is there.
pub(crate) fn has_end(bytes: &[u8]) -> bool {
    chunks(bytes).any(|(name, _)| name == b"IEND")
}
