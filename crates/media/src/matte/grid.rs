//! A frame made smaller: each cell is the mean of a few pixels. Most of the work on mattes is done on it.

use super::plane::Plane;

/// The grid's longer side is about that long, for frames that are not smaller or far larger.
const USUAL: u32 = 320;
/// Pixels of a cell's side at most.
const COARSEST: u32 = 4;

/// How the cells lie on the pixels of frames of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grid {
    /// Of the frames, in pixels.
    pub(super) size: (usize, usize),
    /// Side of a cell, in pixels.
    pub(super) cell: usize,
    /// Of the grid, in cells.
    pub(super) width: usize,
    pub(super) height: usize,
}

impl Grid {
    pub(super) fn of((width, height): (u32, u32)) -> Self {
        let cell = ((width.max(height) + USUAL / 2) / USUAL).clamp(1, COARSEST) as usize;
        let size = (width as usize, height as usize);
        Self { size, cell, width: size.0.div_ceil(cell), height: size.1.div_ceil(cell) }
    }

    /// The frame's red, green and blue in 0 to 1 on the grid.
    pub(super) fn shrink(&self, rgb: &[u8]) -> Small {
        let mut cells = vec![[0.0; 3]; self.width * self.height];
        let (width, cell) = (self.size.0, self.cell);
        let mut sums = vec![[0_u32; 3]; self.width];
        let rows: Vec<&[u8]> = rgb.chunks_exact(width * 3).collect();
        for (rows, cells) in rows.chunks(cell).zip(cells.chunks_exact_mut(self.width)) {
            sums.fill([0; 3]);
            for row in rows {
                for (pixels, sum) in row.chunks(cell * 3).zip(&mut sums) {
                    for pixel in pixels.as_chunks::<3>().0 {
                        for channel in 0..3 {
                            sum[channel] += u32::from(pixel[channel]);
                        }
                    }
                }
            }
            for (place, (sum, out)) in sums.iter().zip(cells).enumerate() {
                let count = rows.len() * cell.min(width - place * cell);
                let scale = 1.0 / (count as f32 * 255.0);
                *out = sum.map(|sum| sum as f32 * scale);
            }
        }
        let luma = cells.iter().map(|[red, green, blue]| 0.299 * red + 0.587 * green + 0.114 * blue).collect();
        Small { cells, luma: Plane { width: self.width, height: self.height, values: luma } }
    }
}

/// A frame on the grid.
#[derive(Debug, Clone)]
pub(super) struct Small {
    pub(super) cells: Vec<[f32; 3]>,
    pub(super) luma: Plane,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_means_also_at_the_edges() {
        let grid = Grid::of((1283, 721));
        assert_eq!((grid.cell, grid.width, grid.height), (4, 321, 181));
        let rgb: Vec<u8> = (0..1283 * 721).flat_map(|place| [(place % 1283 / 4 % 256) as u8, 51, 255]).collect();
        let small = grid.shrink(&rgb);
        for x in [0, 7, 320] {
            let [red, green, blue] = small.cells[180 * 321 + x];
            assert!((red - (x % 256) as f32 / 255.0).abs() < 1e-5 && (green - 0.2).abs() < 1e-5 && blue == 1.0);
        }
        assert_eq!(Grid::of((2, 2)).cell, 1);
        assert_eq!(Grid::of((3840, 2160)).width, 960);
    }
}
