//! Brings the edges of a coarse mask to those of the picture: within a window, the matte is taken to be a linear function
//! of the colours. The functions are found on the grid and used on the pixels.
//!
//! # Source
//! K. He, J. Sun, X. Tang, "Guided Image Filtering" (2010), with a guide of three colours; K. He, J. Sun, "Fast Guided
//! Filter" (2015) for the smaller grid.

use super::grid::{Grid, Small};
use super::plane::Plane;

/// Cells on each side of a window's middle.
const REACH: usize = 4;
/// How much the colours must differ before they count, squared.
const EVEN: f32 = 1e-4;
/// What becomes 0 and what becomes 1: the filter alone leaves a veil.
const CLEAR: f32 = 0.15;
const OPAQUE: f32 = 0.85;

/// What makes a matte of colours, for each cell: a share of each channel, and a constant.
#[derive(Debug)]
pub(super) struct Edges {
    grid: Grid,
    cells: Vec<[f32; 4]>,
    /// The matte on the grid as it comes out.
    pub(super) small: Plane,
    states: Vec<State>,
}

/// What the pixels of a cell are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Clear,
    /// Somewhere in between, or near to where that is.
    Band,
    Opaque,
}

impl Edges {
    pub(super) fn of(grid: Grid, picture: &Small, matte: &Plane) -> Self {
        let (width, height) = (grid.width, grid.height);
        // Red, green, blue, matte; their products.
        let products: Vec<[f32; 16]> = picture
            .cells
            .iter()
            .zip(&matte.values)
            .map(|(&[r, g, b], &p)| {
                [r, g, b, p, r * r, r * g, r * b, g * g, g * b, b * b, r * p, g * p, b * p, 0.0, 0.0, 0.0]
            })
            .collect();
        let lines: Vec<[f32; 4]> = grid.means(&products, REACH).iter().map(line).collect();
        let cells = grid.means(&lines, REACH);
        let value = |(&[r, g, b], &[x, y, z, c]): (&[f32; 3], &[f32; 4])| steep(r * x + g * y + b * z + c);
        let small: Vec<f32> = picture.cells.iter().zip(&cells).map(value).collect();
        let states = states(grid, matte, &small);
        Self { grid, cells, small: Plane { width, height, values: small }, states }
    }

    /// The states of the cells.
    pub(super) fn states(&self) -> &[State] {
        &self.states
    }

    /// Writes a frame: colours as they are, and alpha.
    pub(super) fn apply(&self, rgb: &[u8], rgba: &mut [u8]) {
        let Grid { size: (width, _), cell, width: across, height: down } = self.grid;
        let scale = 1.0 / cell as f32;
        let mut row = vec![[0.0; 4]; across];
        for (y, (rgb, rgba)) in rgb.chunks_exact(width * 3).zip(rgba.chunks_exact_mut(width * 4)).enumerate() {
            let line = y / cell;
            let states = &self.states[line * across..(line + 1) * across];
            let place = ((y as f32 + 0.5) * scale - 0.5).clamp(0.0, (down - 1) as f32);
            let (upper, share) = (place as usize, place.fract());
            let lower = (upper + 1).min(down - 1);
            let (upper, lower) = (&self.cells[upper * across..][..across], &self.cells[lower * across..][..across]);
            for ((row, upper), lower) in row.iter_mut().zip(upper).zip(lower) {
                for part in 0..4 {
                    row[part] = upper[part] + (lower[part] - upper[part]) * share;
                }
            }
            for (at, state) in states.iter().enumerate() {
                let (from, to) = (at * cell, ((at + 1) * cell).min(width));
                let pixels = rgba[from * 4..to * 4].as_chunks_mut::<4>().0;
                let pixels = pixels.iter_mut().zip(rgb[from * 3..to * 3].as_chunks::<3>().0);
                match state {
                    State::Clear => pixels.for_each(|(out, &[r, g, b])| *out = [r, g, b, 0]),
                    State::Opaque => pixels.for_each(|(out, &[r, g, b])| *out = [r, g, b, 255]),
                    State::Band => {
                        let near = [row[at.saturating_sub(1)], row[at], row[(at + 1).min(across - 1)]];
                        for (place, (out, &[r, g, b])) in pixels.enumerate() {
                            // From the middle of the cell.
                            let off = (place as f32 + 0.5) * scale - 0.5;
                            let (left, right, share) =
                                if off < 0.0 { (&near[0], &near[1], off + 1.0) } else { (&near[1], &near[2], off) };
                            let mut line = [0.0; 4];
                            for part in 0..4 {
                                line[part] = left[part] + (right[part] - left[part]) * share;
                            }
                            let sum = f32::from(r) * line[0] + f32::from(g) * line[1] + f32::from(b) * line[2];
                            let alpha = steep(sum / 255.0 + line[3]);
                            *out = [r, g, b, (alpha * 255.0 + 0.5) as u8];
                        }
                    }
                }
            }
        }
    }
}

fn steep(alpha: f32) -> f32 {
    ((alpha - CLEAR) / (OPAQUE - CLEAR)).clamp(0.0, 1.0)
}

/// The linear function of a window, by its means: `matte = a . colour + b`.
fn line(means: &[f32; 16]) -> [f32; 4] {
    let &[r, g, b, p, rr, rg, rb, gg, gb, bb, rp, gp, bp, ..] = means;
    let (xx, xy, xz) = (rr - r * r + EVEN, rg - r * g, rb - r * b);
    let (yy, yz, zz) = (gg - g * g + EVEN, gb - g * b, bb - b * b + EVEN);
    let (x, y, z) = (rp - r * p, gp - g * p, bp - b * p);
    // The inverse of a symmetric matrix, by its minors.
    let (a, d, e) = (yy * zz - yz * yz, xz * yz - xy * zz, xy * yz - xz * yy);
    let (f, h, i) = (xx * zz - xz * xz, xy * xz - xx * yz, xx * yy - xy * xy);
    let determinant = xx * a + xy * d + xz * e;
    if determinant.abs() < 1e-16 {
        return [0.0, 0.0, 0.0, p];
    }
    let shares = [
        (a * x + d * y + e * z) / determinant,
        (d * x + f * y + h * z) / determinant,
        (e * x + h * y + i * z) / determinant,
    ];
    [shares[0], shares[1], shares[2], p - shares[0] * r - shares[1] * g - shares[2] * b]
}

/// What the pixels of each cell are: what all cells around it are before and after, else in between.
fn states(grid: Grid, matte: &Plane, small: &[f32]) -> Vec<State> {
    let own: Vec<u8> = matte
        .values
        .iter()
        .zip(small)
        .map(|(&before, &after)| {
            let clear = before < 0.05 && after <= 0.0;
            let opaque = before > 0.95 && after >= 1.0;
            u8::from(!clear) | u8::from(!opaque) << 1
        })
        .collect();
    // Bit 0: one is not clear; bit 1: one is not opaque.
    let mut rows = own.clone();
    for (row, own) in rows.chunks_exact_mut(grid.width).zip(own.chunks_exact(grid.width)) {
        for x in 0..grid.width {
            row[x] = own[x.saturating_sub(1)] | own[x] | own[(x + 1).min(grid.width - 1)];
        }
    }
    let mut states = Vec::with_capacity(rows.len());
    for y in 0..grid.height {
        let row = |y: usize| &rows[y * grid.width..(y + 1) * grid.width];
        let (upper, middle, lower) = (row(y.saturating_sub(1)), row(y), row((y + 1).min(grid.height - 1)));
        for x in 0..grid.width {
            states.push(match upper[x] | middle[x] | lower[x] {
                0 | 2 => State::Clear,
                1 => State::Opaque,
                _ => State::Band,
            });
        }
    }
    states
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coarse_mask_takes_the_edge_of_the_picture() {
        // Dark left of 70, light right of it; the mask goes from 0 to 1 over 12 pixels and is 2 off.
        let grid = Grid::of((160, 120));
        let rgb: Vec<u8> =
            (0..160 * 120).flat_map(|place| if place % 160 < 70 { [40, 50, 60] } else { [200, 180, 90] }).collect();
        let picture = grid.shrink(&rgb);
        let value = |place: usize| ((place % grid.width) as f32 * grid.cell as f32 - 62.0).clamp(0.0, 12.0) / 12.0;
        let matte = Plane {
            width: grid.width,
            height: grid.height,
            values: (0..grid.width * grid.height).map(value).collect(),
        };
        let edges = Edges::of(grid, &picture, &matte);
        let mut rgba = vec![0; 160 * 120 * 4];
        edges.apply(&rgb, &mut rgba);
        let alpha = |x: usize| rgba[(60 * 160 + x) * 4 + 3];
        let seen = [66, 67, 72, 73].map(alpha);
        assert!(seen[0] < 64 && seen[1] < 80 && seen[2] > 175 && seen[3] > 190, "{seen:?}");
        assert_eq!((alpha(3), alpha(150), rgba[(60 * 160 + 150) * 4]), (0, 255, 200));
    }

    #[test]
    fn every_size_works_and_what_is_even_stays_so() {
        for size in [(1, 1), (2, 2), (3, 50), (641, 7), (1279, 721)] {
            let grid = Grid::of(size);
            let rgb = vec![90; size.0 as usize * size.1 as usize * 3];
            let picture = grid.shrink(&rgb);
            for (value, alpha) in [(0.0, 0), (1.0, 255)] {
                let matte =
                    Plane { width: grid.width, height: grid.height, values: vec![value; grid.width * grid.height] };
                let mut rgba = vec![7; rgb.len() / 3 * 4];
                Edges::of(grid, &picture, &matte).apply(&rgb, &mut rgba);
                assert!(rgba.as_chunks::<4>().0.iter().all(|pixel| *pixel == [90, 90, 90, alpha]), "{size:?}");
            }
        }
    }
}
