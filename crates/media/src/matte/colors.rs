//! Colours of edges: what of the background shines through is taken out, and what is hidden is made black.
//!
//! # Source
//! M. Forte, "Approximate Fast Foreground Colour Estimation" (2021): the colours of subject and background near a pixel
//! are means weighted by how much of either there is, and what is left over is shared out.

use super::grid::{Grid, Small};
use super::guided::State;
use super::plane::Plane;

/// Side of the cells by which hidden colours are kept or not, in pixels. A kept pixel is at most twice that less one from
/// the subject: enough for encoders that store colours at half the size. At the end of a wider rim they would leave traces
/// that lie far from the subject.
const KEPT: usize = 2;
/// Pixels on each side over which colours are averaged, first the nearer ones.
const REACHES: [usize; 2] = [8, 24];
/// Weight from which on a mean is believed.
const ENOUGH: f32 = 0.02;

/// Colours of subject and background near each cell, 0 to 255.
struct Sides {
    subject: Vec<[f32; 3]>,
    background: Vec<[f32; 3]>,
}

/// Replaces the colours of the band by those of the subject alone.
pub(super) fn decontaminate(grid: Grid, picture: &Small, matte: &Plane, states: &[State], rgba: &mut [u8]) {
    let sides = Sides::of(grid, picture, matte);
    let Grid { size: (width, _), cell, width: across, height: down } = grid;
    let scale = 1.0 / cell as f32;
    for (y, rgba) in rgba.chunks_exact_mut(width * 4).enumerate() {
        let line = (y / cell).min(down - 1);
        let place = ((y as f32 + 0.5) * scale - 0.5).clamp(0.0, (down - 1) as f32);
        let (upper, share_y) = (place as usize, place.fract());
        let lower = (upper + 1).min(down - 1);
        for (at, state) in states[line * across..(line + 1) * across].iter().enumerate() {
            if *state != State::Band {
                continue;
            }
            let (from, to) = (at * cell, ((at + 1) * cell).min(width));
            for (place, pixel) in rgba[from * 4..to * 4].as_chunks_mut::<4>().0.iter_mut().enumerate() {
                if pixel[3] == 255 {
                    continue;
                }
                let x = ((from + place) as f32 + 0.5) * scale - 0.5;
                let x = x.clamp(0.0, (across - 1) as f32);
                let (left, share_x) = (x as usize, x.fract());
                let right = (left + 1).min(across - 1);
                let mix = |colors: &[[f32; 3]], channel: usize| {
                    let row = |row: usize| {
                        let (left, right) =
                            (colors[row * across + left][channel], colors[row * across + right][channel]);
                        left + (right - left) * share_x
                    };
                    let (upper, lower) = (row(upper), row(lower));
                    upper + (lower - upper) * share_y
                };
                let alpha = f32::from(pixel[3]) / 255.0;
                for (channel, value) in pixel[..3].iter_mut().enumerate() {
                    let subject = mix(&sides.subject, channel);
                    let background = mix(&sides.background, channel);
                    let left_over = f32::from(*value) - alpha * subject - (1.0 - alpha) * background;
                    *value = (subject + alpha * left_over + 0.5).clamp(0.0, 255.0) as u8;
                }
            }
        }
    }
}

impl Sides {
    fn of(grid: Grid, picture: &Small, matte: &Plane) -> Self {
        let weighted = |share: fn(f32) -> f32| -> Vec<[f32; 4]> {
            let cells = picture.cells.iter().zip(&matte.values);
            cells.map(|(&[r, g, b], &alpha)| [r, g, b, 1.0].map(|value| value * share(alpha))).collect()
        };
        let side = |share: fn(f32) -> f32| -> Vec<[f32; 3]> {
            let weights = weighted(share);
            let [near, far] = REACHES.map(|reach| grid.means(&weights, reach.div_ceil(grid.cell)));
            let cells = near.iter().zip(&far).zip(&picture.cells);
            cells
                .map(|((near, far), own)| {
                    let found = [near, far].into_iter().find(|mean| mean[3] > ENOUGH);
                    let color = found.map_or(*own, |&[r, g, b, weight]| [r / weight, g / weight, b / weight]);
                    color.map(|value| value * 255.0)
                })
                .collect()
        };
        // What is half either says little of both.
        Self { subject: side(|alpha| alpha.powi(4)), background: side(|alpha| (1.0 - alpha).powi(4)) }
    }
}

/// Makes black what is hidden, but for a rim of 2 to 3 pixels around the subject: encoders that keep colour at half the
/// size would let the black into the edge.
pub(super) fn flatten(rgba: &mut [u8], width: usize) {
    let across = width.div_ceil(KEPT);
    let down = (rgba.len() / 4 / width).div_ceil(KEPT);
    let mut seen = vec![false; across * down];
    for (y, row) in rgba.chunks_exact(width * 4).enumerate() {
        let seen = &mut seen[y / KEPT * across..][..across];
        for (cell, seen) in row.chunks(KEPT * 4).zip(seen) {
            *seen |= cell.as_chunks::<4>().0.iter().any(|pixel| pixel[3] > 0);
        }
    }
    let near = |x: usize, y: usize| {
        let columns = x.saturating_sub(1)..=(x + 1).min(across - 1);
        (y.saturating_sub(1)..=(y + 1).min(down - 1)).any(|y| columns.clone().any(|x| seen[y * across + x]))
    };
    let kept: Vec<bool> = (0..down).flat_map(|y| (0..across).map(move |x| (x, y))).map(|(x, y)| near(x, y)).collect();
    for (y, row) in rgba.chunks_exact_mut(width * 4).enumerate() {
        let kept = &kept[y / KEPT * across..][..across];
        for (cell, kept) in row.chunks_mut(KEPT * 4).zip(kept) {
            if !kept {
                cell.fill(0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matte::guided::Edges;

    #[test]
    fn hidden_colours_are_black_but_for_a_rim() {
        let (width, height) = (61, 45);
        let mut rgba: Vec<u8> = [200, 100, 50, 0].repeat(width * height);
        rgba[(20 * width + 30) * 4 + 3] = 9;
        flatten(&mut rgba, width);
        for (place, pixel) in rgba.as_chunks::<4>().0.iter().enumerate() {
            let distance = (place % width).abs_diff(30).max((place / width).abs_diff(20));
            let is_kept = pixel[..3] == [200, 100, 50];
            assert!(is_kept || pixel[..3] == [0; 3]);
            assert!(if distance <= 2 { is_kept } else { distance < 4 || !is_kept }, "{distance}");
        }
    }

    #[test]
    fn the_backgrounds_colour_leaves_the_edge() {
        // Skin before green, mixed over 12 pixels.
        let (width, height) = (320, 240);
        let share = |x: usize| ((x as f32 - 154.0) / 12.0).clamp(0.0, 1.0);
        let mixed = |x: usize| {
            let mix = |subject: f32, background: f32| (background + (subject - background) * share(x)) as u8;
            [mix(220.0, 0.0), mix(170.0, 200.0), mix(140.0, 40.0)]
        };
        let rgb: Vec<u8> = (0..width * height).flat_map(|place| mixed(place % width)).collect();
        let grid = Grid::of((width as u32, height as u32));
        let picture = grid.shrink(&rgb);
        let matte = Plane {
            width: grid.width,
            height: grid.height,
            values: (0..grid.width * grid.height).map(|place| share(place % grid.width * grid.cell)).collect(),
        };
        let edges = Edges::of(grid, &picture, &matte);
        let mut rgba = vec![0; width * height * 4];
        edges.apply(&rgb, &mut rgba);
        let off = |rgba: &[u8]| {
            let edge = rgba.as_chunks::<4>().0.iter().filter(|pixel| (30..225).contains(&pixel[3]));
            let (sum, count) = edge.fold((0.0, 0.0), |(sum, count), pixel| {
                (sum + (f32::from(pixel[0]) - 220.0).abs() + (f32::from(pixel[1]) - 170.0).abs(), count + 2.0)
            });
            assert!(count > 500.0);
            sum / count
        };
        let before = off(&rgba);
        decontaminate(grid, &picture, &edges.small, edges.states(), &mut rgba);
        let after = off(&rgba);
        assert!(after < before / 3.0 && after < 20.0, "{before} became {after}");
    }
}
