//! Where to look: the box in which the subject is, from frame to frame.
//!
//! A net sees a frame as a small picture, so a subject that fills a part of the frame is seen better when that part alone
//! is shown to it. The part is where the subject was last, with a margin. Looks at the whole frame find it first, and may
//! only widen it later: they see less sharply.

use super::plane::Plane;

/// Added on each side, of the box's own side.
const MARGIN: f32 = 0.12;
/// Of the largest blob's cells: what is smaller does not count.
const COUNTS: f32 = 0.2;
/// The share of the subject that may lie outside of each side of the box.
const TRIMMED: f32 = 0.004;
/// How much of the way the box shrinks in a frame. It grows at once.
const SHRINKS: f32 = 0.15;
/// Of the frame's area: a subject that is smaller is none.
const NOTHING: f32 = 0.002;
/// How many times as long as the other a side of the box may be.
const OBLONG: f32 = 1.6;

/// A part of a frame: its sides as shares of those of the frame, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Part {
    pub(super) left: f32,
    pub(super) top: f32,
    pub(super) right: f32,
    pub(super) bottom: f32,
}

impl Part {
    pub(super) const WHOLE: Self = Self { left: 0.0, top: 0.0, right: 1.0, bottom: 1.0 };

    pub(super) fn union(self, other: Self) -> Self {
        Self {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
        }
    }

    /// In pixels: left, top, width and height, with the margin, within the frame.
    pub(super) fn pixels(self, (width, height): (usize, usize)) -> [usize; 4] {
        let (width, height) = (width as f32, height as f32);
        let (mut wide, mut high) = ((self.right - self.left) * width, (self.bottom - self.top) * height);
        let (middle_x, middle_y) = ((self.left + self.right) * width / 2.0, (self.top + self.bottom) * height / 2.0);
        wide *= 1.0 + 2.0 * MARGIN;
        high *= 1.0 + 2.0 * MARGIN;
        // A net's pictures are near a square; what is far from it would be pressed.
        wide = wide.max(high / OBLONG);
        high = high.max(wide / OBLONG);
        let side = |middle: f32, side: f32, all: f32| {
            let first = (middle - side / 2.0).clamp(0.0, all - 1.0).floor();
            let last = (middle + side / 2.0).ceil().clamp(first + 1.0, all);
            (first as usize, (last - first) as usize)
        };
        let ((left, width), (top, height)) = (side(middle_x, wide, width), side(middle_y, high, height));
        [left, top, width, height]
    }

    /// Where the subject of a matte of the whole frame is; `None` where there is none.
    pub(super) fn of(matte: &Plane) -> Option<Self> {
        let blobs = Blobs::of(matte, |value| value > 0.5);
        let largest = blobs.sizes.iter().copied().max()?;
        if (largest as f32) < NOTHING * matte.values.len() as f32 {
            return None;
        }
        let counts: Vec<bool> = blobs.sizes.iter().map(|&size| size as f32 >= COUNTS * largest as f32).collect();
        let (mut columns, mut rows) = (vec![0.0; matte.width], vec![0.0; matte.height]);
        for (place, (label, value)) in blobs.labels.iter().zip(&matte.values).enumerate() {
            if *label > 0 && counts[*label as usize - 1] {
                columns[place % matte.width] += value;
                rows[place / matte.width] += value;
            }
        }
        let ((left, right), (top, bottom)) = (span(&columns), span(&rows));
        Some(Self { left, top, right, bottom })
    }
}

/// From where to where the sum is, but for a little at both ends, as shares.
fn span(sums: &[f32]) -> (f32, f32) {
    let spare = sums.iter().sum::<f32>() * TRIMMED;
    let skipped = |sums: &mut dyn Iterator<Item = &f32>| {
        let mut sum = 0.0;
        let before = sums.take_while(|value| {
            sum += **value;
            sum <= spare
        });
        before.count()
    };
    let (before, after) = (skipped(&mut sums.iter()), skipped(&mut sums.iter().rev()));
    let all = sums.len() as f32;
    (before as f32 / all, (all - after as f32) / all)
}

/// The box from frame to frame.
#[derive(Debug, Default)]
pub(super) struct Tracker {
    part: Option<Part>,
}

impl Tracker {
    /// Where the subject is, as far as is known.
    pub(super) const fn part(&self) -> Option<Part> {
        self.part
    }

    /// What a look at the whole frame has found; it replaces the box after a cut.
    pub(super) fn found(&mut self, part: Option<Part>, cut: bool) {
        self.part = match (self.part, part) {
            (Some(old), Some(new)) if !cut => Some(old.union(new)),
            (old, new) => new.or(if cut { None } else { old }),
        };
    }

    /// Where the matte that was made has its subject.
    pub(super) fn seen(&mut self, part: Option<Part>) {
        let (Some(old), Some(new)) = (self.part, part) else {
            self.part = part;
            return;
        };
        let toward = |old: f32, new: f32| old + (new - old) * SHRINKS;
        self.part = Some(Part {
            left: if new.left < old.left { new.left } else { toward(old.left, new.left) },
            top: if new.top < old.top { new.top } else { toward(old.top, new.top) },
            right: if new.right > old.right { new.right } else { toward(old.right, new.right) },
            bottom: if new.bottom > old.bottom { new.bottom } else { toward(old.bottom, new.bottom) },
        });
    }
}

/// Pixels that hang together.
#[derive(Debug)]
pub(super) struct Blobs {
    /// The number of each pixel's blob, from 1; 0 where it is in none.
    pub(super) labels: Vec<u32>,
    /// Pixels of each.
    pub(super) sizes: Vec<usize>,
    /// Whether each touches the edge of the picture.
    pub(super) at_edge: Vec<bool>,
}

impl Blobs {
    /// The blobs of the pixels whose value is one of those.
    pub(super) fn of(plane: &Plane, is_in: impl Fn(f32) -> bool) -> Self {
        let (width, height) = (plane.width, plane.height);
        let mut labels: Vec<u32> = plane.values.iter().map(|&value| if is_in(value) { u32::MAX } else { 0 }).collect();
        let (mut sizes, mut at_edge) = (Vec::new(), Vec::new());
        let mut waiting = Vec::new();
        for start in 0..labels.len() {
            if labels[start] != u32::MAX {
                continue;
            }
            let label = sizes.len() as u32 + 1;
            let (mut size, mut edge) = (0, false);
            labels[start] = label;
            waiting.push(start);
            while let Some(place) = waiting.pop() {
                size += 1;
                let (x, y) = (place % width, place / width);
                edge |= x == 0 || y == 0 || x + 1 == width || y + 1 == height;
                let beside = [
                    (x > 0).then(|| place - 1),
                    (x + 1 < width).then(|| place + 1),
                    (y > 0).then(|| place - width),
                    (y + 1 < height).then(|| place + width),
                ];
                for next in beside.into_iter().flatten() {
                    if labels[next] == u32::MAX {
                        labels[next] = label;
                        waiting.push(next);
                    }
                }
            }
            sizes.push(size);
            at_edge.push(edge);
        }
        Self { labels, sizes, at_edge }
    }
}

/// Blobs of less than that share of the largest are not subject.
const ISLAND: f32 = 0.05;
/// Holes of less than that share of the frame are subject.
const HOLE: f32 = 0.004;

/// Takes islands away and fills holes that the subject encloses.
pub(super) fn tidy(matte: &mut Plane) {
    let blobs = Blobs::of(matte, |value| value > 0.1);
    let largest = blobs.sizes.iter().copied().max().unwrap_or(0) as f32;
    for (value, &label) in matte.values.iter_mut().zip(&blobs.labels) {
        if label > 0 && (blobs.sizes[label as usize - 1] as f32) < ISLAND * largest {
            *value = 0.0;
        }
    }
    let most = HOLE * matte.values.len() as f32;
    let blobs = Blobs::of(matte, |value| value < 0.9);
    let filled = |label: u32| {
        let place = label as usize - 1;
        !blobs.at_edge[place] && (blobs.sizes[place] as f32) < most
    };
    for (value, &label) in matte.values.iter_mut().zip(&blobs.labels) {
        if label > 0 && filled(label) {
            *value = 1.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of that size, 1 in the boxes (left, top, right, bottom).
    fn plane(width: usize, height: usize, boxes: &[[usize; 4]]) -> Plane {
        let mut plane = Plane::new(width, height);
        for &[left, top, right, bottom] in boxes {
            for y in top..bottom {
                plane.values[y * width + left..y * width + right].fill(1.0);
            }
        }
        plane
    }

    #[test]
    fn small_blobs_do_not_drag_the_box() {
        let alone = Part::of(&plane(100, 100, &[[40, 30, 60, 70]])).unwrap();
        assert_eq!(alone, Part { left: 0.4, top: 0.3, right: 0.6, bottom: 0.7 });
        assert_eq!(Part::of(&plane(100, 100, &[[40, 30, 60, 70], [0, 0, 10, 10]])).unwrap(), alone);
        let both = Part::of(&plane(100, 100, &[[40, 30, 60, 70], [0, 0, 15, 15]])).unwrap();
        assert_eq!((both.left, both.top), (0.0, 0.0), "a second person counts");
        assert_eq!(Part::of(&plane(100, 100, &[[3, 3, 4, 4]])), None);
        assert_eq!(Part::of(&Plane::new(3, 3)), None);
    }

    #[test]
    fn the_box_grows_at_once_and_shrinks_slowly() {
        let (small, large) = (
            Part { left: 0.4, top: 0.4, right: 0.6, bottom: 0.6 },
            Part { left: 0.2, top: 0.2, right: 0.8, bottom: 0.8 },
        );
        let mut tracker = Tracker::default();
        tracker.found(Some(small), false);
        tracker.seen(Some(large));
        assert_eq!(tracker.part(), Some(large));
        tracker.seen(Some(small));
        let after = tracker.part().unwrap();
        assert!(after.left > 0.2 && after.left < 0.25, "{after:?}");
        tracker.found(Some(small), false);
        assert_eq!(tracker.part(), Some(after), "a whole look only widens");
        tracker.found(Some(small), true);
        assert_eq!(tracker.part(), Some(small), "but for a cut");
        tracker.seen(None);
        assert_eq!(tracker.part(), None);
    }

    #[test]
    fn a_part_is_within_the_frame_and_not_too_oblong() {
        let narrow = Part { left: 0.45, top: 0.0, right: 0.5, bottom: 1.0 };
        let [left, top, width, height] = narrow.pixels((1280, 720));
        assert!(top == 0 && height == 720 && (500..620).contains(&width) && left < 600, "{left} {width}");
        for part in [Part::WHOLE, Part { left: 1.0, top: 1.0, right: 1.0, bottom: 1.0 }] {
            for size in [(1, 1), (2, 2), (1280, 720), (3, 500)] {
                let [left, top, width, height] = part.pixels(size);
                assert!(width > 0 && height > 0 && left + width <= size.0 && top + height <= size.1);
            }
        }
    }

    #[test]
    fn islands_go_and_holes_are_filled_but_not_bays() {
        let mut matte = plane(100, 100, &[[20, 20, 80, 100], [2, 2, 6, 6]]);
        for y in 50..54 {
            matte.values[y * 100 + 40..y * 100 + 44].fill(0.2);
        }
        matte.values[99 * 100 + 50] = 0.0;
        for y in 60..80 {
            matte.values[y * 100 + 40..y * 100 + 60].fill(0.0);
        }
        tidy(&mut matte);
        assert_eq!(matte.values[3 * 100 + 3], 0.0);
        assert_eq!(matte.values[51 * 100 + 41], 1.0);
        assert_eq!(matte.values[99 * 100 + 50], 0.0, "it is at the edge");
        assert_eq!(matte.values[70 * 100 + 50], 0.0, "it is too large to be a mistake");
    }
}
