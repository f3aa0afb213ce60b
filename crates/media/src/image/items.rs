//! The items of a picture file that is made of boxes (AVIF, HEIF): which there are, where their bytes lie, how they refer to
//! one another and which properties they have. Nothing is decoded; what does not make sense is `None`.
//!
//! # Source
//! ISO/IEC 14496-12, 8.11 (`meta`, `pitm`, `iinf`, `iloc`, `iref`, `idat`, `iprp`); ISO/IEC 23008-12, 6.5 (`irot`,
//! `imir`, `ispe`, `auxC`) and 9.3 (`iprp`).

/// Most items that are looked at: a grid has a tile an item.
const MOST: usize = 4096;

/// Where the bytes of an item are.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    item: u32,
    /// Whether they are in the `idat` box rather than in the file.
    in_box: bool,
    /// From and length; a length of 0 is "to the end".
    extents: Vec<(u64, u64)>,
}

/// A reference of one item to others.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reference<'a> {
    kind: &'a [u8],
    from: u32,
    to: Vec<u32>,
}

/// All items of a file.
#[derive(Debug, Clone)]
pub(crate) struct Items<'a> {
    file: &'a [u8],
    idat: &'a [u8],
    /// The picture that is shown.
    pub(crate) primary: u32,
    kinds: Vec<(u32, &'a [u8])>,
    places: Vec<Place>,
    references: Vec<Reference<'a>>,
    properties: Vec<(&'a [u8], &'a [u8])>,
    associations: Vec<(u32, Vec<usize>)>,
}

impl<'a> Items<'a> {
    /// Reads the `meta` box of a file.
    pub(crate) fn read(file: &'a [u8]) -> Option<Self> {
        // Full boxes begin with a version and flags.
        let meta = child(file, b"meta")?.get(4..)?;
        let primary = child(meta, b"pitm")?;
        let primary = Numbers(primary.get(4..)?).next(if primary[0] == 0 { 2 } else { 4 })?;
        let iprp = child(meta, b"iprp").unwrap_or_default();
        Some(Self {
            file,
            idat: child(meta, b"idat").unwrap_or_default(),
            primary: u32::try_from(primary).ok()?,
            kinds: kinds(child(meta, b"iinf")?)?,
            places: places(child(meta, b"iloc")?)?,
            references: child(meta, b"iref").and_then(references).unwrap_or_default(),
            properties: boxes(child(iprp, b"ipco").unwrap_or_default()).collect(),
            associations: boxes(iprp)
                .filter(|(name, _)| *name == b"ipma")
                .filter_map(|(_, ipma)| associations(ipma))
                .flatten()
                .collect(),
        })
    }

    /// Its four letters: `av01`, `grid`, `Exif` and so on.
    pub(crate) fn kind(&self, item: u32) -> Option<&'a [u8]> {
        self.kinds.iter().find(|(id, _)| *id == item).map(|(_, kind)| *kind)
    }

    /// The bytes of an item, which may lie in pieces.
    pub(crate) fn bytes(&self, item: u32) -> Option<Vec<u8>> {
        let place = self.places.iter().find(|place| place.item == item)?;
        let source = if place.in_box { self.idat } else { self.file };
        let mut bytes = Vec::new();
        for &(from, length) in &place.extents {
            let from = usize::try_from(from).ok()?;
            let rest = source.get(from..)?;
            let piece = if length == 0 { rest } else { rest.get(..usize::try_from(length).ok()?)? };
            // Pieces may overlap, but not become more than the file.
            if bytes.len() + piece.len() > self.file.len() {
                return None;
            }
            bytes.extend_from_slice(piece);
        }
        Some(bytes)
    }

    /// What an item is made of, in order: `dimg` gives the tiles of a grid.
    pub(crate) fn made_of(&self, item: u32, kind: &[u8]) -> Vec<u32> {
        let found = self.references.iter().filter(|reference| reference.kind == kind && reference.from == item);
        found.flat_map(|reference| reference.to.iter().copied()).collect()
    }

    /// The transparency of an item.
    pub(crate) fn alpha(&self, item: u32) -> Option<u32> {
        let of_it =
            self.references.iter().filter(|reference| reference.kind == b"auxl" && reference.to.contains(&item));
        let named = |id: u32| {
            let mut properties = self.properties(id);
            properties.any(|(name, content)| {
                let urn = content.get(4..).unwrap_or_default().split(|&byte| byte == 0).next().unwrap_or_default();
                name == b"auxC" && ALPHA.contains(&urn)
            })
        };
        of_it.map(|reference| reference.from).find(|&from| named(from))
    }

    /// The properties of an item in the order in which they apply: name and content.
    pub(crate) fn properties(&self, item: u32) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a, '_> {
        let indices = self.associations.iter().filter(move |(id, _)| *id == item).flat_map(|(_, indices)| indices);
        indices.filter_map(|index| self.properties.get(index.checked_sub(1)?).copied())
    }

    /// The size that the file says an item has.
    pub(crate) fn size(&self, item: u32) -> Option<(u32, u32)> {
        let (_, content) = self.properties(item).find(|(name, _)| *name == b"ispe")?;
        let mut numbers = Numbers(content.get(4..)?);
        Some((u32::try_from(numbers.next(4)?).ok()?, u32::try_from(numbers.next(4)?).ok()?))
    }
}

/// Source: 23008-12, 6.5.8; 23000-22, 7.3.5.2.
const ALPHA: [&[u8]; 2] = [b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1"];

/// Big-endian numbers of 0 to 8 bytes, one after another.
struct Numbers<'a>(&'a [u8]);

impl Numbers<'_> {
    fn next(&mut self, bytes: usize) -> Option<u64> {
        let (number, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(number.iter().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    fn id(&mut self, is_long: bool) -> Option<u32> {
        u32::try_from(self.next(if is_long { 4 } else { 2 })?).ok()
    }
}

fn kinds(iinf: &[u8]) -> Option<Vec<(u32, &[u8])>> {
    let entries = iinf.get(if *iinf.first()? == 0 { 6 } else { 8 }..)?;
    let kind = |(name, content): (&[u8], &'_ [u8])| {
        let version = *content.first()?;
        (name == b"infe" && version >= 2).then_some(())?;
        let at = if version == 2 { 6 } else { 8 };
        Some((Numbers(content.get(4..)?).id(version > 2)?, at + 2))
    };
    let entries = boxes(entries).take(MOST).filter_map(|(name, content)| {
        let (id, at) = kind((name, content))?;
        Some((id, content.get(at..at + 4)?))
    });
    Some(entries.collect())
}

fn places(iloc: &[u8]) -> Option<Vec<Place>> {
    let version = *iloc.first()?;
    let mut numbers = Numbers(iloc.get(4..)?);
    let sizes = numbers.next(2)? as usize;
    let (offset, length, base) = (sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15);
    let index = if version == 0 { 0 } else { sizes & 15 };
    if [offset, length, base, index].iter().any(|size| ![0, 4, 8].contains(size)) {
        return None;
    }
    let count = numbers.next(if version < 2 { 2 } else { 4 })? as usize;
    let mut places = Vec::new();
    for _ in 0..count.min(MOST) {
        let item = numbers.id(version > 1)?;
        let method = if version > 0 { numbers.next(2)? & 15 } else { 0 };
        let reference = numbers.next(2)?;
        let base = numbers.next(base)?;
        let pieces = numbers.next(2)? as usize;
        let mut extents = Vec::new();
        for _ in 0..pieces.min(MOST) {
            numbers.next(index)?;
            extents.push((base.checked_add(numbers.next(offset)?)?, numbers.next(length)?));
        }
        // Bytes of another file, or of another item, are not followed.
        if method < 2 && reference == 0 {
            places.push(Place { item, in_box: method == 1, extents });
        }
    }
    Some(places)
}

fn references(iref: &[u8]) -> Option<Vec<Reference<'_>>> {
    let is_long = *iref.first()? > 0;
    let read = |(kind, content)| {
        let mut numbers = Numbers(content);
        let from = numbers.id(is_long)?;
        let count = numbers.next(2)? as usize;
        let to: Option<Vec<u32>> = (0..count.min(MOST)).map(|_| numbers.id(is_long)).collect();
        Some(Reference { kind, from, to: to? })
    };
    Some(boxes(iref.get(4..)?).take(MOST).filter_map(read).collect())
}

/// The numbers of the properties of each item, counted from 1.
fn associations(ipma: &[u8]) -> Option<Vec<(u32, Vec<usize>)>> {
    let (long_ids, long_indices) = (*ipma.first()? > 0, ipma.get(3)? & 1 == 1);
    let mut numbers = Numbers(ipma.get(4..)?);
    let count = numbers.next(4)? as usize;
    let mut found = Vec::new();
    for _ in 0..count.min(MOST) {
        let id = numbers.id(long_ids)?;
        let mut indices = Vec::new();
        for _ in 0..numbers.next(1)? {
            let index = if long_indices { numbers.next(2)? & 0x7FFF } else { numbers.next(1)? & 0x7F };
            indices.push(index as usize);
        }
        found.push((id, indices));
    }
    Some(found)
}

/// The boxes inside `bytes`: name and content.
pub(crate) fn boxes(mut bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || {
        let size = u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
        let name = bytes.get(4..8)?;
        let (head, size) = match size {
            0 => (8, bytes.len()),
            1 => (16, usize::try_from(u64::from_be_bytes(bytes.get(8..16)?.try_into().ok()?)).ok()?),
            size => (8, size),
        };
        let content = bytes.get(head..size)?;
        bytes = &bytes[size..];
        Some((name, content))
    })
}

/// The content of the first box of that name.
pub(crate) fn child<'a>(bytes: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    boxes(bytes).find(|(found, _)| *found == name).map(|(_, content)| content)
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(at in 0_usize..3000, bytes in proptest::collection::vec(proptest::num::u8::ANY, 1..24)) {
            let mut file = std::fs::read(reelhook_testkit::field("av_grid.avif")).unwrap();
            let at = at % file.len();
            let end = (at + bytes.len()).min(file.len());
            file[at..end].copy_from_slice(&bytes[..end - at]);
            if let Some(items) = Items::read(&file) {
                for item in 0..8 {
                    let _ = (items.bytes(item), items.size(item), items.alpha(item), items.made_of(item, b"dimg"));
                }
            }
        }
    }
}
