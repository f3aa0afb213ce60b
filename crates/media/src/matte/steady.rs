//! Steadiness over time: cuts, how the picture moves, and the last matte brought along.
//!
//! A net judges each frame by itself, so what it is unsure of flickers. The matte of the frame before, moved as the picture
//! moved, is mixed in where both pictures agree after the move; elsewhere it would leave ghosts.

use super::plane::Plane;

/// Side of a block, in cells.
const BLOCK: usize = 8;
/// How far a block is looked for, in cells: the sum of the steps.
const STEPS: [isize; 4] = [8, 4, 2, 1];
/// Mean difference of two blocks from which on they do not agree, of 1.
const DISAGREE: f32 = 12.0 / 255.0;
/// What a block must gain by a move, of 1.
const LAZY: f32 = 0.6 / 255.0;
/// How much of the last matte is kept where blocks agree.
const KEPT: f32 = 0.6;
/// The size on which frames are compared, and the mean difference that is another scene.
const CUT_SIZE: (usize, usize) = (64, 36);
const CUT: f32 = 25.0 / 255.0;

/// What is remembered of the frames before.
#[derive(Debug, Default)]
pub(super) struct Steady {
    tiny: Option<Plane>,
    last: Option<(Plane, Plane)>,
}

impl Steady {
    /// Whether another scene begins with this frame. False for the first frame.
    pub(super) fn is_cut(&mut self, luma: &Plane) -> bool {
        let tiny = luma.resized(CUT_SIZE.0, CUT_SIZE.1);
        let before = self.tiny.replace(tiny);
        let (Some(before), Some(now)) = (before, &self.tiny) else { return false };
        let sum: f32 = before.values.iter().zip(&now.values).map(|(before, now)| (before - now).abs()).sum();
        let is_cut = sum / now.values.len() as f32 > CUT;
        if is_cut {
            self.last = None;
        }
        is_cut
    }

    /// Mixes the last matte in, and remembers what comes out.
    pub(super) fn smooth(&mut self, luma: &Plane, matte: &mut Plane) {
        if let Some((old_luma, old_matte)) = &self.last {
            mix(old_luma, old_matte, luma, matte);
        }
        self.last = Some((luma.clone(), matte.clone()));
    }
}

fn mix(old_luma: &Plane, old_matte: &Plane, luma: &Plane, matte: &mut Plane) {
    let (width, height) = (luma.width, luma.height);
    for top in (0..height).step_by(BLOCK) {
        let mut guess = (0, 0);
        for left in (0..width).step_by(BLOCK) {
            let block = Block { left, top, width: BLOCK.min(width - left), height: BLOCK.min(height - top) };
            let (by, error) = block.moved(old_luma, luma, guess);
            guess = by;
            let trust = KEPT * (1.0 - error / DISAGREE).clamp(0.0, 0.5) * 2.0;
            if trust <= 0.0 {
                continue;
            }
            for y in top..top + block.height {
                let old_y = y.saturating_add_signed(by.1).min(height - 1);
                for x in left..left + block.width {
                    let old = old_matte.values[old_y * width + x.saturating_add_signed(by.0).min(width - 1)];
                    let value = &mut matte.values[y * width + x];
                    *value += (old - *value) * trust;
                }
            }
        }
    }
}

/// A block of the new picture.
struct Block {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
}

impl Block {
    /// From where in the old picture it came, and the mean difference that is left.
    fn moved(&self, old: &Plane, new: &Plane, guess: (isize, isize)) -> ((isize, isize), f32) {
        let still = self.difference(old, new, (0, 0), f32::INFINITY) - LAZY;
        let (mut best, mut least) = ((0, 0), still);
        // What does not change needs no search.
        if still > 1.0 / 255.0 {
            let guessed = self.difference(old, new, guess, least);
            if guessed < least {
                (best, least) = (guess, guessed);
            }
            for step in STEPS {
                let middle = best;
                for (dx, dy) in [(-1, -1), (0, -1), (1, -1), (-1, 0), (1, 0), (-1, 1), (0, 1), (1, 1)] {
                    let by = (middle.0 + dx * step, middle.1 + dy * step);
                    let difference = self.difference(old, new, by, least);
                    if difference < least {
                        (best, least) = (by, difference);
                    }
                }
            }
        }
        (best, if best == (0, 0) { still + LAZY } else { least })
    }

    /// The mean difference to the old picture, moved by that; where it would reach over the edge, or is more than `most`,
    /// more than any.
    fn difference(&self, old: &Plane, new: &Plane, by: (isize, isize), most: f32) -> f32 {
        let (Some(left), Some(top)) = (self.left.checked_add_signed(by.0), self.top.checked_add_signed(by.1)) else {
            return f32::INFINITY;
        };
        if left + self.width > old.width || top + self.height > old.height {
            return f32::INFINITY;
        }
        let area = (self.width * self.height) as f32;
        let mut sum = 0.0;
        for y in 0..self.height {
            let old = &old.row(top + y)[left..left + self.width];
            let new = &new.row(self.top + y)[self.left..self.left + self.width];
            sum += old.iter().zip(new).map(|(old, new)| (old - new).abs()).sum::<f32>();
            if sum > most * area {
                return f32::INFINITY;
            }
        }
        sum / area
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(width: usize, height: usize, shift: usize) -> Plane {
        let value = |place: usize| {
            let (x, y) = (place % width + shift, place / width);
            // Smooth enough for a search in steps.
            0.5 + 0.2 * (x as f32 * 0.12 + y as f32 * 0.07).sin() + 0.2 * (y as f32 * 0.17 - x as f32 * 0.08).cos()
        };
        Plane { width, height, values: (0..width * height).map(value).collect() }
    }

    #[test]
    fn a_matte_moves_with_the_picture() {
        let (width, height) = (96, 64);
        let mut steady = Steady::default();
        let edge = |at: usize| Plane {
            width,
            height,
            values: (0..width * height).map(|place| f32::from(u8::from(place % width >= at))).collect(),
        };
        assert!(!steady.is_cut(&noise(width, height, 0)));
        steady.smooth(&noise(width, height, 0), &mut edge(48));
        // The picture goes left by 5, and the net is unsure of all.
        let mut matte = Plane { width, height, values: vec![0.5; width * height] };
        assert!(!steady.is_cut(&noise(width, height, 5)));
        steady.smooth(&noise(width, height, 5), &mut matte);
        let at = |x: usize| matte.values[32 * width + x];
        assert!(at(38) < 0.25 && at(47) > 0.75, "{} {}", at(38), at(47));
    }

    #[test]
    fn a_cut_forgets_and_is_told() {
        let mut steady = Steady::default();
        let (dark, light) =
            (Plane { values: vec![0.1; 64], ..Plane::new(8, 8) }, Plane { values: vec![0.9; 64], ..Plane::new(8, 8) });
        assert!(!steady.is_cut(&dark));
        steady.smooth(&dark, &mut Plane { values: vec![1.0; 64], ..Plane::new(8, 8) });
        assert!(steady.is_cut(&light));
        let mut matte = Plane::new(8, 8);
        steady.smooth(&light, &mut matte);
        assert!(matte.values.iter().all(|value| *value == 0.0));
        assert!(!steady.is_cut(&light));
    }

    #[test]
    fn where_pictures_disagree_nothing_is_kept() {
        let mut steady = Steady::default();
        let flat = |value: f32| Plane { values: vec![value; 32 * 32], ..Plane::new(32, 32) };
        steady.smooth(&flat(0.3), &mut flat(1.0));
        let mut matte = flat(0.0);
        steady.smooth(&flat(0.36), &mut matte);
        assert!(matte.values.iter().all(|value| *value == 0.0));
    }
}
