//! The directories of a TIFF: which pages there are and what their tags say. Nothing is decoded.
//!
//! # Source
//! TIFF 6.0, section 2 (header, directory, types) and 8 (`NewSubfileType`); BigTIFF as libtiff documents it.

use std::collections::HashSet;

/// Bytes that begin as a TIFF does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tiff<'a> {
    bytes: &'a [u8],
    is_little: bool,
    /// Whether offsets have 64 bits.
    is_big: bool,
    first: u64,
}

/// One directory: a page, or a picture that belongs to one.
#[derive(Debug, Clone)]
pub(crate) struct Directory<'a> {
    tiff: Tiff<'a>,
    /// Where its entries begin and how many they are.
    from: usize,
    entries: usize,
    next: u64,
}

pub(crate) const NEW_SUBFILE_TYPE: u16 = 254;
pub(crate) const COMPRESSION: u16 = 259;
pub(crate) const PHOTOMETRIC: u16 = 262;
pub(crate) const MAKE: u16 = 271;
pub(crate) const SUB_IFDS: u16 = 330;
pub(crate) const DNG_VERSION: u16 = 50706;

/// Most numbers of one tag that are read.
const MOST: u64 = 64;

impl<'a> Tiff<'a> {
    /// Reads the header.
    pub(crate) fn open(bytes: &'a [u8]) -> Option<Self> {
        let (is_little, is_big) = match bytes.get(..4)? {
            b"II*\0" => (true, false),
            b"MM\0*" => (false, false),
            b"II+\0" => (true, true),
            b"MM\0+" => (false, true),
            _ => return None,
        };
        let tiff = Self { bytes, is_little, is_big, first: 0 };
        let first = if is_big { tiff.number(8, 8)? } else { tiff.number(4, 4)? };
        Some(Self { first, ..tiff })
    }

    /// The directories of the main chain. One that was met before, or lies outside, ends it.
    pub(crate) fn directories(self) -> impl Iterator<Item = Directory<'a>> {
        let (mut next, mut met) = (self.first, HashSet::new());
        std::iter::from_fn(move || {
            if next == 0 || !met.insert(next) {
                return None;
            }
            let directory = self.directory(next)?;
            next = directory.next;
            Some(directory)
        })
    }

    /// How many pages there are, at most `most`: what is a smaller copy of a page, or a mask, is none.
    pub(crate) fn pages(self, most: u32) -> u32 {
        let is_page = |directory: &Directory<'_>| directory.number(NEW_SUBFILE_TYPE).unwrap_or(0) & 5 == 0;
        let pages = self.directories().filter(is_page).take(most as usize).count();
        u32::try_from(pages).unwrap_or(most).max(1)
    }

    /// The directory at an offset.
    pub(crate) fn directory(self, offset: u64) -> Option<Directory<'a>> {
        let (head, entry, next) = if self.is_big { (8, 20, 8) } else { (2, 12, 4) };
        let at = usize::try_from(offset).ok()?;
        let count = usize::try_from(self.number(at, head)?).ok()?;
        let from = at.checked_add(head)?;
        let end = from.checked_add(count.checked_mul(entry)?)?;
        self.bytes.get(from..end)?;
        // A chain that is cut off ends here.
        Some(Directory { tiff: self, from, entries: count, next: self.number(end, next).unwrap_or(0) })
    }

    fn number(self, at: usize, bytes: usize) -> Option<u64> {
        let bytes = self.bytes.get(at..at.checked_add(bytes)?)?;
        let fold = |number: u64, &byte: &u8| number << 8 | u64::from(byte);
        Some(if self.is_little { bytes.iter().rev().fold(0, fold) } else { bytes.iter().fold(0, fold) })
    }
}

impl<'a> Directory<'a> {
    /// The first number of a tag.
    pub(crate) fn number(&self, tag: u16) -> Option<u64> {
        self.numbers(tag).first().copied()
    }

    /// The numbers of a tag, as far as they are there and are whole numbers.
    pub(crate) fn numbers(&self, tag: u16) -> Vec<u64> {
        self.all_numbers(tag, MOST)
    }

    /// The same, at most `most`.
    pub(crate) fn all_numbers(&self, tag: u16, most: u64) -> Vec<u64> {
        let read = || {
            let (kind, count, at) = self.value(tag)?;
            let size = size(kind)?;
            let number = |index: u64| self.tiff.number(at + index as usize * size, size);
            Some((0..count.min(most)).map_while(number).collect())
        };
        read().unwrap_or_default()
    }

    /// How many numbers a tag has.
    pub(crate) fn count(&self, tag: u16) -> u64 {
        self.value(tag).map_or(0, |(_, count, _)| count)
    }

    /// The bytes of a tag.
    pub(crate) fn bytes(&self, tag: u16) -> Option<&'a [u8]> {
        let (kind, count, at) = self.value(tag)?;
        let length = usize::try_from(count).ok()?.checked_mul(size(kind)?)?;
        self.tiff.bytes.get(at..at.checked_add(length)?)
    }

    /// The ratios of a tag, as far as they are there.
    pub(crate) fn ratios(&self, tag: u16) -> Vec<f32> {
        let Some((RATIO, count, at)) = self.value(tag) else { return Vec::new() };
        let ratio = |index: u64| {
            let at = at + index as usize * 8;
            Some(self.tiff.number(at, 4)? as f32 / self.tiff.number(at + 4, 4)? as f32)
        };
        (0..count.min(MOST)).map_while(ratio).collect()
    }

    /// Sets a tag that is there to one number, in a copy of the file.
    pub(crate) fn overwrite(&self, copy: &mut [u8], tag: u16, number: u64) {
        let Some(at) = self.entry(tag) else { return };
        let (width, inline) = self.widths();
        let Some(entry) = copy.get_mut(at + 2..at + width) else { return };
        let mut put = |from: usize, bytes: usize, number: u64| {
            let big = number.to_be_bytes();
            let big = &big[8 - bytes..];
            entry[from..from + bytes].copy_from_slice(big);
            if self.tiff.is_little {
                entry[from..from + bytes].reverse();
            }
        };
        put(0, 2, 4);
        put(2, inline, 1);
        put(2 + inline, 4, number);
    }

    /// The text of a tag.
    pub(crate) fn text(&self, tag: u16) -> Option<&'a [u8]> {
        let (_, count, at) = self.value(tag)?;
        self.tiff.bytes.get(at..at.checked_add(count.min(MOST) as usize)?)
    }

    /// Bytes of an entry, and of a value that lies in it.
    const fn widths(&self) -> (usize, usize) {
        if self.tiff.is_big { (20, 8) } else { (12, 4) }
    }

    /// Where the entry of a tag is.
    fn entry(&self, tag: u16) -> Option<usize> {
        let mut starts = (0..self.entries).map(|index| self.from + index * self.widths().0);
        starts.find(|&at| self.tiff.number(at, 2) == Some(u64::from(tag)))
    }

    /// Type, count and place of the value of a tag.
    fn value(&self, tag: u16) -> Option<(u64, u64, usize)> {
        let (tiff, (_, inline)) = (self.tiff, self.widths());
        let at = self.entry(tag)?;
        let (kind, count) = (tiff.number(at + 2, 2)?, tiff.number(at + 4, inline)?);
        let place = at + 4 + inline;
        let length = count.checked_mul(size(kind)? as u64)?;
        if length <= inline as u64 {
            return Some((kind, count, place));
        }
        Some((kind, count, usize::try_from(tiff.number(place, inline)?).ok()?))
    }
}

const RATIO: u64 = 5;

/// Bytes of one number of a type; `None` for those that are not known.
const fn size(kind: u64) -> Option<usize> {
    Some(match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        RATIO | 10 | 12 | 16..=18 => 8,
        _ => return None,
    })
}
