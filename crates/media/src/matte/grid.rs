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

impl Grid {
    /// The means over the window around each cell, which is smaller at the edges; `reach` cells on each side.
    pub(super) fn means<const N: usize>(&self, cells: &[[f32; N]], reach: usize) -> Vec<[f32; N]> {
        let (width, height) = (self.width, self.height);
        let add = |sum: &mut [f32; N], cell: &[f32; N]| sum.iter_mut().zip(cell).for_each(|(sum, cell)| *sum += cell);
        let take = |sum: &mut [f32; N], cell: &[f32; N]| sum.iter_mut().zip(cell).for_each(|(sum, cell)| *sum -= cell);
        let taken =
            |place: usize, side: usize| 1.0 / ((place + reach).min(side - 1) - place.saturating_sub(reach) + 1) as f32;
        let mut rows = vec![[0.0; N]; cells.len()];
        for (row, out) in cells.chunks_exact(width).zip(rows.chunks_exact_mut(width)) {
            let mut sum = [0.0; N];
            row[..reach.min(width)].iter().for_each(|cell| add(&mut sum, cell));
            for (place, out) in out.iter_mut().enumerate() {
                row.get(place + reach).into_iter().for_each(|cell| add(&mut sum, cell));
                place.checked_sub(reach + 1).into_iter().for_each(|gone| take(&mut sum, &row[gone]));
                let scale = taken(place, width);
                *out = sum.map(|sum| sum * scale);
            }
        }
        let mut made = vec![[0.0; N]; cells.len()];
        let mut sums = vec![[0.0; N]; width];
        let row = |y: usize| &rows[y * width..(y + 1) * width];
        for y in 0..reach.min(height) {
            sums.iter_mut().zip(row(y)).for_each(|(sum, cell)| add(sum, cell));
        }
        for (y, out) in made.chunks_exact_mut(width).enumerate() {
            if y + reach < height {
                sums.iter_mut().zip(row(y + reach)).for_each(|(sum, cell)| add(sum, cell));
            }
            if let Some(gone) = y.checked_sub(reach + 1) {
                sums.iter_mut().zip(row(gone)).for_each(|(sum, cell)| take(sum, cell));
            }
            let scale = taken(y, height);
            for (out, sum) in out.iter_mut().zip(&sums) {
                *out = sum.map(|sum| sum * scale);
            }
        }
        made
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
    fn windows_are_smaller_at_the_edges() {
        for (width, height) in [(1, 1), (3, 2), (40, 9)] {
            let grid = Grid { size: (width, height), cell: 1, width, height };
            let cells: Vec<[f32; 2]> = (0..width * height).map(|place| [place as f32, 0.5]).collect();
            for (place, mean) in grid.means(&cells, 2).iter().enumerate() {
                let (x, y) = (place % width, place / width);
                let near = |at: usize, side: usize| at.saturating_sub(2)..(at + 3).min(side);
                let all: Vec<f32> =
                    near(y, height).flat_map(|y| near(x, width).map(move |x| (y * width + x) as f32)).collect();
                assert!(
                    (mean[0] - all.iter().sum::<f32>() / all.len() as f32).abs() < 1e-3,
                    "{width} {height} {place}"
                );
                assert!((mean[1] - 0.5).abs() < 1e-5);
            }
        }
    }

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
