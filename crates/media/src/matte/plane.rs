//! A plane of numbers, one for each pixel, row by row.

/// The plane.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plane {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) values: Vec<f32>,
}

impl Plane {
    pub(super) fn new(width: usize, height: usize) -> Self {
        Self { width, height, values: vec![0.0; width * height] }
    }

    pub(super) fn row(&self, y: usize) -> &[f32] {
        &self.values[y * self.width..(y + 1) * self.width]
    }

    /// The value at a place between the middles of pixels, linear; outside, that of the edge.
    pub(super) fn at(&self, x: f32, y: f32) -> f32 {
        let (x0, x1, fx) = between(x, self.width);
        let (y0, y1, fy) = between(y, self.height);
        let (upper, lower) = (self.row(y0), self.row(y1));
        let mix = |row: &[f32]| row[x0] + (row[x1] - row[x0]) * fx;
        let (upper, lower) = (mix(upper), mix(lower));
        upper + (lower - upper) * fy
    }

    /// In another size. Where it becomes smaller, the pixels that fall together are averaged.
    pub(super) fn resized(&self, width: usize, height: usize) -> Self {
        let across = Weights::new(self.width, width);
        let down = Weights::new(self.height, height);
        let mut narrow = Self::new(width, self.height);
        for (row, out) in self.values.chunks_exact(self.width).zip(narrow.values.chunks_exact_mut(width)) {
            for (out, (first, weights)) in out.iter_mut().zip(&across.0) {
                *out = row[*first..].iter().zip(weights).map(|(value, weight)| value * weight).sum();
            }
        }
        let mut made = Self::new(width, height);
        for (out, (first, weights)) in made.values.chunks_exact_mut(width).zip(&down.0) {
            for (place, weight) in weights.iter().enumerate() {
                for (out, value) in out.iter_mut().zip(narrow.row(first + place)) {
                    *out += value * weight;
                }
            }
        }
        made
    }
}

/// The pixels on both sides of a place, and how far it is from the first.
fn between(place: f32, side: usize) -> (usize, usize, f32) {
    let place = place.clamp(0.0, (side - 1) as f32);
    let first = place as usize;
    (first, (first + 1).min(side - 1), place - first as f32)
}

/// For each pixel of the new side: from which on it takes pixels of the old, and how much of each.
struct Weights(Vec<(usize, Vec<f32>)>);

impl Weights {
    fn new(from: usize, to: usize) -> Self {
        let step = from as f32 / to as f32;
        let reach = step.max(1.0);
        let pixel = |place: usize| {
            let middle = (place as f32 + 0.5) * step - 0.5;
            let first = (middle - reach).ceil().max(0.0) as usize;
            let last = ((middle + reach).floor() as usize).min(from - 1).max(first.min(from - 1));
            let first = first.min(last);
            let mut weights: Vec<f32> =
                (first..=last).map(|at| (1.0 - (at as f32 - middle).abs() / reach).max(0.0)).collect();
            let sum: f32 = weights.iter().sum();
            if sum > 0.0 {
                weights.iter_mut().for_each(|weight| *weight /= sum);
            } else {
                let even = 1.0 / weights.len() as f32;
                weights.fill(even);
            }
            (first, weights)
        };
        Self((0..to).map(pixel).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_plane_stays_even_in_every_size() {
        for (width, height) in [(1, 1), (2, 7), (64, 3), (13, 200)] {
            let plane = Plane { width: 16, height: 9, values: vec![0.25; 144] };
            let made = plane.resized(width, height);
            assert_eq!((made.width, made.height), (width, height));
            assert!(made.values.iter().all(|value| (value - 0.25).abs() < 1e-5));
        }
    }

    #[test]
    fn a_slope_stays_a_slope() {
        let plane = Plane { width: 8, height: 1, values: (0..8).map(|x| x as f32).collect() };
        let wide = plane.resized(16, 1);
        assert!((wide.values[7] - 3.25).abs() < 1e-5 && (wide.values[8] - 3.75).abs() < 1e-5, "{wide:?}");
        let narrow = plane.resized(4, 1);
        assert!((narrow.values[1] - 2.5).abs() < 1e-5, "{narrow:?}");
        assert_eq!((plane.at(2.5, 0.0), plane.at(-3.0, 9.0), plane.at(99.0, 0.0)), (2.5, 0.0, 7.0));
    }
}
