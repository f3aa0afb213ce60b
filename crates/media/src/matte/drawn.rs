//! A drawn person and a drawn room, for `reelhook demo --background` and for the scores of mattes. A clip of a real person
//! would need a licence, and has no exact alpha.
//!
//! The figure has a head with hair and a face, a neck, and shoulders in a coat, lit by a window on the left.

/// A drawn picture.
#[derive(Debug, Clone)]
pub struct Drawing {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Red, green, blue and alpha of each pixel, row by row; colours are not multiplied by alpha.
    pub rgba: Vec<u8>,
}

impl Drawing {
    fn of(width: u32, height: u32, mut pixel: impl FnMut(f32, f32) -> ([f32; 3], f32)) -> Self {
        let mut rgba = Vec::with_capacity(width as usize * height as usize * 4);
        for y in 0..height {
            for x in 0..width {
                let (color, alpha) = pixel(x as f32 + 0.5, y as f32 + 0.5);
                rgba.extend(color.map(|value| (value + 0.5) as u8));
                rgba.push((alpha * 255.0 + 0.5) as u8);
            }
        }
        Self { width, height, rgba }
    }
}

/// A person from the hair to the chest on nothing, whose head is twice `half_head` pixels high.
pub fn person(half_head: f32) -> Drawing {
    let side = |halves: f32| (halves * half_head).round() as u32 & !1;
    Drawing::of(side(4.2), side(4.4), |x, y| {
        let (outside, color) = figure(x / half_head - 2.1, y / half_head - 1.4, 0.3);
        (color, (0.5 - outside * half_head / 2.0).clamp(0.0, 1.0))
    })
}

/// A room with shelves and a window.
pub fn background(width: u32, height: u32) -> Drawing {
    let (across, down) = (1280.0 / width as f32, 720.0 / height as f32);
    Drawing::of(width, height, |x, y| (room(x * across, y * down), 1.0))
}

/// Numbers of 0 to 1 that look like chance, the same for the same place.
pub(super) fn chance(x: i64, y: i64, seed: i64) -> f32 {
    let mut bits = (x.wrapping_mul(0x9e37_79b9) ^ y.wrapping_mul(0x85eb_ca6b) ^ seed.wrapping_mul(0xc2b2_ae35)) as u32;
    bits ^= bits >> 15;
    bits = bits.wrapping_mul(0x2c1b_3c6d);
    bits ^= bits >> 12;
    bits = bits.wrapping_mul(0x297a_2d39);
    bits ^= bits >> 15;
    bits as f32 / u32::MAX as f32
}

/// Chance that changes slowly: linear between the corners of a lattice.
pub(super) fn cloud(x: f32, y: f32, seed: i64) -> f32 {
    let (left, top) = (x.floor(), y.floor());
    let (fx, fy) = (x - left, y - top);
    let (fx, fy) = (fx * fx * (3.0 - 2.0 * fx), fy * fy * (3.0 - 2.0 * fy));
    let at = |dx: i64, dy: i64| chance(left as i64 + dx, top as i64 + dy, seed);
    let (upper, lower) = (at(0, 0) + (at(1, 0) - at(0, 0)) * fx, at(0, 1) + (at(1, 1) - at(0, 1)) * fx);
    upper + (lower - upper) * fy
}

pub(super) fn mix(from: [f32; 3], to: [f32; 3], share: f32) -> [f32; 3] {
    let share = share.clamp(0.0, 1.0);
    [0, 1, 2].map(|channel| from[channel] + (to[channel] - from[channel]) * share)
}

/// How far a place is outside of an ellipse, about in its units.
fn ellipse(x: f32, y: f32, middle: (f32, f32), radii: (f32, f32)) -> f32 {
    let (dx, dy) = ((x - middle.0) / radii.0, (y - middle.1) / radii.1);
    (dx.hypot(dy) - 1.0) * radii.0.min(radii.1)
}

fn smooth_min(a: f32, b: f32, soft: f32) -> f32 {
    let share = (0.5 + 0.5 * (b - a) / soft).clamp(0.0, 1.0);
    b + (a - b) * share - soft * share * (1.0 - share)
}

/// The figure at a place, in units of half a head's height from the middle of the face: how far outside, and its colour.
pub(super) fn figure(x: f32, y: f32, turn: f32) -> (f32, [f32; 3]) {
    let face = ellipse(x, y, (0.0, 0.0), (0.72, 0.98)).min(ellipse(x, y, (0.0, 0.3), (0.6, 0.72)));
    let ears = ellipse(x.abs(), y, (0.72, 0.02), (0.11, 0.2));
    // Strands make the outline of the hair uneven.
    let strands = 0.035 * (x * 23.0 + y * 5.0).sin() + 0.02 * (x * 51.0 - y * 17.0).sin();
    let hair_outer = ellipse(x, y, (0.0, -0.22), (0.86, 0.98)) + strands;
    let hair_inner = ellipse(x - 0.06 * turn, y, (0.0, 0.2), (0.64, 0.86));
    let hair = hair_outer.max(-hair_inner).max(y - 0.25 - 0.1 * (x * 9.0).sin());
    let neck = (x.abs() - 0.42 - 0.12 * (y - 0.9).max(0.0)).max(0.6 - y).max(y - 1.7);
    let torso = smooth_min(ellipse(x.abs(), y, (0.95, 2.35), (0.95, 0.85)), (x.abs() - 1.75).max(2.2 - y), 0.3);
    let torso = smooth_min(torso, ellipse(x, y, (0.0, 2.0), (1.1, 0.7)), 0.35);
    let skin_shape = face.min(ears).min(neck);
    let all = skin_shape.min(hair_outer.max(y - 0.25 - 0.1 * (x * 9.0).sin())).min(torso);
    // Light from the left, and the curve of the head.
    let light = 0.78 - 0.2 * (x - 0.1) - 0.12 * (x * x + 0.4 * y * y).min(1.2);
    let skin = |shade: f32| [228.0, 176.0, 146.0].map(|value: f32| value * shade);
    let coat = {
        let fold = 0.5 + 0.5 * (x * 6.0 + (y * 2.3).sin()).sin();
        let cloth = mix([44.0, 58.0, 92.0], [62.0, 78.0, 118.0], fold * 0.6 + 0.4 * light);
        let opening = x.abs() - 0.34 * (2.9 - y).max(0.0) * 0.6;
        let shirt = mix([214.0, 214.0, 208.0], [238.0, 238.0, 236.0], light);
        mix(shirt, cloth, (opening * 30.0 + 0.5).clamp(0.0, 1.0))
    };
    let mut color = coat;
    if neck < 0.02 && torso > -0.25 - 0.5 * (1.0 - (x / 0.42).powi(2)).max(0.0) {
        let under = 0.62 + 0.3 * ((y - 1.0) / 0.7).clamp(0.0, 1.0);
        color = mix(skin(light * under + 0.08), color, (torso.min(0.0) * -4.0 - 0.6).clamp(0.0, 1.0));
    }
    if ears < 0.02 {
        color = skin(light * 0.86);
    }
    if face < 0.03 {
        color = skin(light + 0.16);
        let (fx, fy) = (x - 0.08 * turn, y);
        let dab = |middle: (f32, f32), radii: (f32, f32)| {
            (1.0 - ((fx.abs() - middle.0) / radii.0).hypot((fy - middle.1) / radii.1)).clamp(0.0, 1.0)
        };
        // Cheeks, sockets, brows, eyes, nose, mouth, chin.
        color = mix(color, [214.0, 132.0, 112.0], 0.35 * dab((0.4, 0.32), (0.25, 0.2)));
        color = mix(color, [150.0, 104.0, 86.0], 0.55 * dab((0.28, -0.06), (0.24, 0.15)));
        color = mix(color, [64.0, 44.0, 34.0], 3.0 * dab((0.28, -0.2), (0.21, 0.05)));
        color = mix(color, [240.0, 236.0, 230.0], 3.0 * dab((0.28, -0.03), (0.14, 0.065)));
        color = mix(color, [58.0, 40.0, 28.0], 4.0 * dab((0.28, -0.03), (0.066, 0.066)));
        color = mix(color, [150.0, 98.0, 80.0], 0.7 * dab((0.1, 0.26), (0.09, 0.06)));
        color = mix(color, [236.0, 194.0, 168.0], 0.8 * dab((0.0, 0.1), (0.07, 0.24)));
        color = mix(color, [166.0, 74.0, 70.0], 2.5 * dab((0.0, 0.5), (0.24, 0.065)));
        color = mix(color, [96.0, 40.0, 40.0], 2.0 * dab((0.0, 0.495), (0.23, 0.014)));
        color = mix(color, [168.0, 118.0, 98.0], 0.5 * dab((0.0, 0.64), (0.17, 0.06)));
    }
    if hair < 0.0 {
        let strand = 0.5 + 0.5 * (x * 40.0 + (y * 7.0).sin() * 2.0).sin();
        color = mix([42.0, 29.0, 22.0], [92.0, 66.0, 48.0], strand * 0.7 * light + 0.2 * (-y - x).max(0.0));
    }
    (all, color)
}

/// A room at a place, in pixels of a frame of 1280 x 720: a wall, shelves with books, a window.
pub(super) fn room(x: f32, y: f32) -> [f32; 3] {
    let wall = mix([176.0, 168.0, 150.0], [120.0, 112.0, 104.0], x / 1280.0 + 0.2 * cloud(x / 90.0, y / 90.0, 3));
    if x < 420.0 && y > 60.0 && y < 640.0 {
        let book = (x / 23.0).floor();
        if y % 145.0 < 14.0 {
            return [92.0, 66.0, 44.0];
        }
        let hue = [
            chance(book as i64, (y / 145.0) as i64, 1),
            chance(book as i64, (y / 145.0) as i64, 2),
            chance(book as i64, (y / 145.0) as i64, 3),
        ];
        return hue.map(|part| 50.0 + 130.0 * part * (0.8 + 0.2 * ((x % 23.0) / 23.0)));
    }
    if x > 860.0 && x < 1180.0 && y > 80.0 && y < 420.0 {
        let bar = (x - 860.0) % 160.0 < 10.0 || (y - 80.0) % 170.0 < 10.0;
        return if bar {
            [214.0, 210.0, 204.0]
        } else {
            mix([226.0, 234.0, 244.0], [150.0, 176.0, 150.0], (y - 180.0) / 200.0 + cloud(x / 30.0, y / 30.0, 9) * 0.6)
        };
    }
    wall
}
