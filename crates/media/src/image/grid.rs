//! A picture in tiles: AVIF files of what is too large for one picture of the codec, or was made on a phone.
//!
//! The tiles are decoded one by one and laid side by side; what reaches over the edge of the picture is cut off.
//!
//! # Source
//! ISO/IEC 23008-12, 6.6.2.3 (`grid`); AV1 Image File Format 1.1, section 4.

use super::ImageLimits;
use super::guard::{damaged, rejected};
use super::items::Items;
use super::kind::Kind;
use crate::error::MediaError;

/// Most tiles of one picture.
const MOST_TILES: usize = 1024;

/// How the tiles lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grid {
    columns: usize,
    /// Size of the whole picture.
    pub(crate) size: (u32, u32),
    /// Size of each tile.
    tile: (u32, u32),
    /// Items, from left to right and top to bottom.
    pub(crate) tiles: Vec<u32>,
}

impl Grid {
    /// The grid that an item describes.
    pub(crate) fn read(items: &Items<'_>, item: u32, kind: Kind) -> Result<Self, MediaError> {
        let wrong = || damaged(kind, "its tiles are invalid");
        let content = items.bytes(item).ok_or_else(wrong)?;
        let &[_, flags, rows, columns, ref rest @ ..] = &content[..] else { return Err(wrong()) };
        let number = |at: usize| match flags & 1 {
            0 => rest.get(at * 2..at * 2 + 2).map(|bytes| u32::from(u16::from_be_bytes([bytes[0], bytes[1]]))),
            _ => rest.get(at * 4..at * 4 + 4).map(|bytes| u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])),
        };
        let size = (number(0).ok_or_else(wrong)?, number(1).ok_or_else(wrong)?);
        let (rows, columns) = (usize::from(rows) + 1, usize::from(columns) + 1);
        let tiles = items.made_of(item, b"dimg");
        if rows * columns > MOST_TILES {
            let message = format!("the input has {} tiles; the limit is {MOST_TILES}", rows * columns);
            return Err(rejected("over_limit", message));
        }
        let tile = tiles.first().and_then(|&first| items.size(first)).ok_or_else(wrong)?;
        let covers = |tile: u32, count: usize, whole: u32| {
            tile > 0 && whole > 0 && u64::from(tile) * count as u64 >= u64::from(whole)
        };
        if tiles.len() != rows * columns || !covers(tile.0, columns, size.0) || !covers(tile.1, rows, size.1) {
            return Err(wrong());
        }
        Ok(Self { columns, size, tile, tiles })
    }

    /// Refuses what would take too much to decode: the tiles may be far larger than the picture that they make.
    pub(crate) fn within(&self, limits: &ImageLimits) -> Result<(), MediaError> {
        let all = u64::from(self.tile.0) * u64::from(self.tile.1) * self.tiles.len() as u64;
        let whole = u64::from(self.size.0) * u64::from(self.size.1);
        if whole > limits.pixels || all > limits.pixels.saturating_mul(2) {
            let most = limits.pixels;
            let message =
                format!("the input has {whole} pixels in tiles of {all} pixels together; the limit is {most}");
            return Err(rejected("too_many_pixels", message));
        }
        Ok(())
    }

    /// The same places with other items, one a tile.
    pub(crate) fn with_tiles(&self, tiles: Vec<u32>) -> Option<Self> {
        (tiles.len() == self.tiles.len()).then(|| Self { tiles, ..self.clone() })
    }

    /// Joins the tiles, each of which `decode` gives as rows of `channels` bytes a pixel with its size.
    pub(crate) fn join(
        &self,
        kind: Kind,
        channels: usize,
        mut decode: impl FnMut(u32) -> Result<((u32, u32), Vec<u8>), MediaError>,
    ) -> Result<Vec<u8>, MediaError> {
        let (width, height) = (self.size.0 as usize, self.size.1 as usize);
        let (tile_width, tile_height) = (self.tile.0 as usize, self.tile.1 as usize);
        let mut whole = vec![0; width * height * channels];
        for (number, &item) in self.tiles.iter().enumerate() {
            let (left, top) = (number % self.columns * tile_width, number / self.columns * tile_height);
            if left >= width || top >= height {
                continue;
            }
            let (size, bytes) = decode(item)?;
            if size != self.tile || bytes.len() != tile_width * tile_height * channels {
                return Err(damaged(kind, "a tile is of another size than the others"));
            }
            let wide = tile_width.min(width - left) * channels;
            let rows = bytes.chunks_exact(tile_width * channels).take(height - top);
            for (row, line) in rows.enumerate() {
                let at = ((top + row) * width + left) * channels;
                whole[at..at + wide].copy_from_slice(&line[..wide]);
            }
        }
        Ok(whole)
    }
}
