//! The boxes of a HEIF file that are looked at before a tool sees it: how large its pictures are, which is the primary
//! one, and what colours its numbers mean.
//!
//! # Source
//! ISO/IEC 14496-12: `meta`, `pitm`, `iinf` and `infe` (8.11); ISO/IEC 23008-12: `ispe` (6.5.3), `iprp` (9.3.1).

use std::ops::Range;

/// A colour in the code points of H.273: primaries and transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Nclx {
    pub(super) primaries: u16,
    pub(super) transfer: u16,
}

/// What the boxes say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Boxes {
    /// Most pixels of an item: a whole grid has its size too.
    pub(super) pixels: u64,
    /// Which item is the primary one.
    primary: Option<u32>,
    /// The items, and where the flags of each are.
    items: Vec<(u32, usize)>,
    /// The colours of the items, where they are told by code points.
    pub(super) colors: Option<Nclx>,
    /// Whether an item brings an ICC profile.
    pub(super) profile: bool,
}

/// Reads the boxes of a file. What makes no sense is passed over: the tool has the last word.
pub(super) fn read(bytes: &[u8]) -> Boxes {
    let mut found = Boxes::default();
    let Some(meta) = children(bytes, 0..bytes.len()).find(|(name, _)| name == b"meta").map(|(_, at)| at) else {
        return found;
    };
    // A full box: version and flags come first.
    for (name, at) in children(bytes, meta.start + 4..meta.end) {
        match &name {
            b"pitm" => found.primary = item(bytes, at.start + 4, bytes.get(at.start).copied().unwrap_or(0) > 0),
            b"iinf" => {
                let wide = bytes.get(at.start).is_some_and(|&version| version > 0);
                let first = at.start + if wide { 8 } else { 6 };
                let entries = children(bytes, first..at.end).filter(|(name, _)| name == b"infe");
                found.items = entries.filter_map(|(_, at)| entry(bytes, at.start)).collect();
            }
            b"iprp" => properties(bytes, at, &mut found),
            _ => {}
        }
    }
    found
}

impl Boxes {
    /// Marks all items but the primary one as hidden. Nothing is done where it is not known which that is.
    pub(super) fn leave_primary(&self, bytes: &mut [u8]) {
        let known = |primary: &u32| self.items.iter().any(|(item, _)| item == primary);
        let Some(primary) = self.primary.filter(known) else { return };
        for &(item, flags) in &self.items {
            if let Some(flags) = bytes.get_mut(flags) {
                *flags = if item == primary { *flags & !1 } else { *flags | 1 };
            }
        }
    }
}

/// An entry of the list of items: its number, and where the last byte of its flags is. Versions before 2 have no types
/// and hence no pictures.
fn entry(bytes: &[u8], at: usize) -> Option<(u32, usize)> {
    let version = *bytes.get(at)?;
    let item = item(bytes, at + 4, version >= 3)?;
    (version >= 2).then_some((item, at + 3))
}

fn item(bytes: &[u8], at: usize, wide: bool) -> Option<u32> {
    if wide { number(bytes, at) } else { half(bytes, at).map(u32::from) }
}

fn properties(bytes: &[u8], at: Range<usize>, found: &mut Boxes) {
    let Some((_, container)) = children(bytes, at).find(|(name, _)| name == b"ipco") else { return };
    for (name, at) in children(bytes, container) {
        match &name {
            b"ispe" => {
                let side = |place| number(bytes, at.start + place).map_or(0, u64::from);
                found.pixels = found.pixels.max(side(4) * side(8));
            }
            b"colr" => match bytes.get(at.start..at.start + 4) {
                Some(b"nclx") => {
                    let code = |place| half(bytes, at.start + place);
                    let colors = code(4).zip(code(6));
                    found.colors = found.colors.or(colors.map(|(primaries, transfer)| Nclx { primaries, transfer }));
                }
                Some(b"prof" | b"rICC") => found.profile = true,
                _ => {}
            },
            _ => {}
        }
    }
}

/// The boxes in a part of the file, by their name and the place of their content.
fn children(bytes: &[u8], part: Range<usize>) -> impl Iterator<Item = ([u8; 4], Range<usize>)> + '_ {
    let mut at = part.start;
    let end = part.end.min(bytes.len());
    std::iter::from_fn(move || {
        let size = number(bytes, at)? as usize;
        let name: [u8; 4] = bytes.get(at + 4..at + 8)?.try_into().ok()?;
        let (head, size) = match size {
            0 => (8, end - at),
            1 => (16, usize::try_from(u64::from_be_bytes(bytes.get(at + 8..at + 16)?.try_into().ok()?)).ok()?),
            size => (8, size),
        };
        let stop = at.checked_add(size)?;
        if size < head || stop > end {
            return None;
        }
        let content = at + head..stop;
        at = stop;
        Some((name, content))
    })
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
        [&(content.len() as u32 + 8).to_be_bytes()[..], name, content].concat()
    }

    fn infe(version: u8, item: u32, hidden: u8) -> Vec<u8> {
        let number = if version >= 3 { item.to_be_bytes().to_vec() } else { (item as u16).to_be_bytes().to_vec() };
        pack(b"infe", &[&[version, 0, 0, hidden][..], &number, &[0, 0], b"hvc1\0"].concat())
    }

    fn sample(version: u8) -> Vec<u8> {
        let entries = [infe(version, 1, 0), infe(version, 2, 1), infe(version, 3, 0)].concat();
        let ispe = |width: u32, height: u32| {
            pack(b"ispe", &[&[0; 4][..], &width.to_be_bytes(), &height.to_be_bytes()].concat())
        };
        let nclx = pack(b"colr", b"nclx\0\x0c\0\x0d\0\x06\x80");
        let ipco = pack(b"ipco", &[ispe(512, 512), ispe(4032, 3024), nclx].concat());
        let meta = [
            vec![0; 4],
            pack(b"pitm", &[0, 0, 0, 0, 0, 2]),
            pack(b"iinf", &[&[0, 0, 0, 0, 0, 3][..], &entries].concat()),
            pack(b"iprp", &ipco),
        ];
        [pack(b"ftyp", b"heic\0\0\0\0mif1"), pack(b"meta", &meta.concat())].concat()
    }

    #[test]
    fn all_but_the_primary_item_are_hidden_and_no_byte_moves() {
        for version in [2, 3] {
            let mut bytes = sample(version);
            let found = read(&bytes);
            assert_eq!((found.pixels, found.primary), (4032 * 3024, Some(2)));
            assert_eq!(found.colors, Some(Nclx { primaries: 12, transfer: 13 }));
            let before = bytes.len();
            found.leave_primary(&mut bytes);
            let hidden: Vec<_> = read(&bytes).items.iter().map(|&(item, flags)| (item, bytes[flags])).collect();
            assert_eq!(hidden, [(1, 1), (2, 0), (3, 1)]);
            assert_eq!(bytes.len(), before);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(at in 0_usize..400, byte in 0_u8.., bytes in proptest::collection::vec(0_u8.., 0..200)) {
            let mut changed = sample(2);
            let place = at % changed.len();
            changed[place] = byte;
            read(&changed).leave_primary(&mut changed);
            let _ = read(&bytes);
            let _ = read(&[&pack(b"meta", &bytes)[..], &bytes].concat());
        }
    }
}
