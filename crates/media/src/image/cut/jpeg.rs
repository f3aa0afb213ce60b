//! A JPEG without its end marker.
//!
//! # Source
//! Scans and how they refine one another: ITU-T T.81, annex G.

use super::super::ImageLimits;
use super::super::decode::{self, Channels, Picture};
use super::super::kind::Kind;
use super::{Loss, Seen, blank, nothing, of_pixels, partly, percent, same};
use crate::error::MediaError;

const END: [u8; 2] = [0xFF, 0xD9];

/// Bytes in place of what is missing; no marker is among them.
const FILLING: usize = 4096;

pub(super) fn look<'a>(bytes: &'a [u8], limits: &ImageLimits) -> Result<Seen<'a>, MediaError> {
    // Half a marker would swallow what is put behind it.
    let there = &bytes[..bytes.iter().rposition(|&byte| byte != 0xFF).map_or(0, |last| last + 1)];
    let filled = |filling: u8| {
        let bytes = [there, &[filling; FILLING], &END].concat();
        decode::jpeg(&bytes, Channels::Plain)
    };
    let scans = scans(there).ok_or_else(|| nothing(Kind::Jpeg))?;
    let (mut first, second) = (filled(0)?, filled(0xAA)?);
    let same = same(&first.pixels, &second.pixels);
    let is_same = same.iter().all(|&same| same);
    let ended = [there, &END].concat();
    if is_same && scans.missing(scans.starts.len()) == 0.0 {
        return Ok(Seen { bytes: ended.into(), pixels: None, loss: None });
    }
    if scans.starts.len() > 1 && scans.shows_all(scans.starts.len() - 1) {
        // What the last scan refines is left as it was before.
        let whole_scans = scans.starts.len() - usize::from(!is_same);
        let end = scans.starts.get(whole_scans).copied().unwrap_or(there.len());
        let picture = decode::jpeg(&[&there[..end], &END].concat(), Channels::Plain)?;
        let share = scans.missing(whole_scans);
        let loss = Loss { share, words: format!("{} of its detail", percent(share)) };
        return partly(ended.into(), picture, Some(loss), limits);
    }
    let missing = keep_what_is_there(&mut first, &same, &scans);
    if missing == same.len() {
        return Err(nothing(Kind::Jpeg));
    }
    partly(ended.into(), first, Some(of_pixels(missing, same.len())), limits)
}

/// Blocks lie in rows from left to right: all behind the first that is not there is blank. Tells how many pixels are.
fn keep_what_is_there(picture: &mut Picture, same: &[bool], scans: &Scans) -> usize {
    let (width, height) = (picture.pixels.width() as usize, picture.pixels.height() as usize);
    let (wide, high) = scans.block;
    let top = super::reached(same, width) / high * high;
    let band = same.get(top * width..same.len().min((top + high) * width)).unwrap_or_default();
    let first = band.chunks(width).filter_map(|row| row.iter().position(|same| !same)).min().unwrap_or(0);
    let left = first / wide * wide;
    let is_there = |index: usize| index / width < top || index / width < top + high && index % width < left;
    blank(&mut picture.pixels, is_there);
    (0..width * height).filter(|&index| !is_there(index)).count()
}

/// The scans of a JPEG.
struct Scans {
    /// Where the header of each begins.
    starts: Vec<usize>,
    /// For each scan its components (by their place), its first and last coefficient, and bits that it leaves out.
    told: Vec<(Vec<usize>, usize, usize, u8)>,
    components: usize,
    /// Pixels that belong to one block of all components.
    block: (usize, usize),
}

impl Scans {
    /// The share of all coefficients that the first `count` scans leave out; one of which bits are missing counts half.
    fn missing(&self, count: usize) -> f64 {
        let mut seen = vec![[0.0_f64; 64]; self.components];
        for (components, from, to, left) in self.told.iter().take(count) {
            for &component in components {
                for there in seen[component].iter_mut().take(to + 1).skip(*from) {
                    *there = there.max(if *left == 0 { 1.0 } else { 0.5 });
                }
            }
        }
        let all = (self.components * 64).max(1) as f64;
        1.0 - seen.iter().flatten().sum::<f64>() / all
    }

    /// Whether the first `count` scans show something everywhere: the mean of each block of all components.
    fn shows_all(&self, count: usize) -> bool {
        let scans = self.told.iter().take(count).filter(|(_, from, ..)| *from == 0);
        let mut shown: Vec<usize> = scans.flat_map(|(components, ..)| components.iter().copied()).collect();
        shown.sort_unstable();
        shown.dedup();
        shown.len() == self.components
    }
}

/// Reads the headers of all scans.
fn scans(bytes: &[u8]) -> Option<Scans> {
    let mut found = Scans { starts: Vec::new(), told: Vec::new(), components: 0, block: (8, 8) };
    let mut ids = Vec::new();
    let mut at = 2;
    while let Some(&[first, marker]) = bytes.get(at..at + 2) {
        if first != 0xFF || matches!(marker, 0 | 0x01 | 0xD0..=0xD8 | 0xFF) {
            at += 1;
            continue;
        }
        let Some(length) = bytes.get(at + 2..at + 4) else { break };
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        let Some(body) = bytes.get(at + 4..at + 2 + length.max(2)) else { break };
        match marker {
            0xC0..=0xCF if !matches!(marker, 0xC4 | 0xC8 | 0xCC) => {
                let parts: Vec<&[u8]> = body.get(6..)?.chunks_exact(3).collect();
                ids = parts.iter().map(|part| part[0]).collect();
                found.components = ids.len();
                let most = |shift: u8| {
                    parts.iter().map(|part| usize::from(part[1] >> shift & 15)).max().unwrap_or(1).clamp(1, 4)
                };
                // One component alone is not interleaved, whatever it says.
                found.block = if ids.len() == 1 { (8, 8) } else { (most(4) * 8, most(0) * 8) };
            }
            0xDA => {
                let count = usize::from(*body.first()?);
                let named = body.get(1..1 + count * 2)?.chunks_exact(2);
                let components = named.filter_map(|part| ids.iter().position(|&id| id == part[0])).collect();
                let &[from, to, bits] = body.get(1 + count * 2..4 + count * 2)? else { return None };
                found.told.push((components, usize::from(from.min(63)), usize::from(to.min(63)), bits & 15));
                found.starts.push(at);
            }
            _ => {}
        }
        at += 2 + length.max(2);
    }
    (found.components > 0 && !found.starts.is_empty()).then_some(found)
}
