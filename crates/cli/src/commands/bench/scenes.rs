//! Pictures for benchmarks, the same on every machine: a file that everybody has would have to be fetched first.

/// Red, green and blue, row after row, of something that compresses like a photograph: shapes at all sizes, soft light,
/// grain.
pub(super) fn photo(seed: u32, (width, height): (u32, u32)) -> Vec<u8> {
    let mut rgb = Vec::with_capacity(width as usize * height as usize * 3);
    for y in 0..height {
        for x in 0..width {
            let clouds = |scale: f32, salt: u32| smooth(x as f32 / scale, y as f32 / scale, seed ^ salt);
            let shape = 90.0 * clouds(420.0, 1) + 60.0 * clouds(130.0, 2) + 36.0 * clouds(41.0, 3);
            let detail = 20.0 * clouds(13.0, 4) + 10.0 * clouds(4.3, 5);
            let grain = 5.0 * at(x, y, seed ^ 6);
            // An edge here and there, as objects have.
            let object = if clouds(230.0, 7) > 0.55 { -55.0 } else { 0.0 };
            let light = shape + detail + grain + object;
            let tint = 50.0 * clouds(310.0, 8);
            rgb.extend([light + tint, light + 10.0, light + 30.0 - tint].map(|channel| channel as u8));
        }
    }
    rgb
}

/// The same of something like a screen: flat areas, sharp edges, lines of small marks.
pub(super) fn drawing(seed: u32, (width, height): (u32, u32)) -> Vec<u8> {
    let mut rgb = Vec::with_capacity(width as usize * height as usize * 3);
    for y in 0..height {
        for x in 0..width {
            let (column, row) = (x / 160, y / 100);
            let flat = at(column, row, seed);
            let tile = [flat, at(column, row, seed ^ 1), at(column, row, seed ^ 2)].map(|part| 205.0 + 50.0 * part);
            let (line, mark) = (y / 14, x / 7);
            let is_text = y % 14 < 9 && flat > 0.3 && at(mark, line, seed ^ 3) > 0.25;
            let is_ink = is_text && at(x % 7 + 7 * (mark % 26), y % 14, seed ^ 4) > 0.55 && x % 7 < 6;
            // A strip with a gradient, as headers have.
            let strip = if row == 0 { -60.0 * y as f32 / 100.0 } else { 0.0 };
            let shown = if is_ink { [40.0, 44.0, 52.0] } else { tile };
            rgb.extend(shown.map(|channel| (channel + strip) as u8));
        }
    }
    rgb
}

/// Noise that is soft between whole numbers, 0 to 1.
fn smooth(x: f32, y: f32, seed: u32) -> f32 {
    let (column, row) = (x as u32, y as u32);
    let ease = |part: f32| part * part * (3.0 - 2.0 * part);
    let (u, v) = (ease(x.fract()), ease(y.fract()));
    let mix = |a: f32, b: f32, share: f32| a + (b - a) * share;
    let above = mix(at(column, row, seed), at(column + 1, row, seed), u);
    let below = mix(at(column, row + 1, seed), at(column + 1, row + 1, seed), u);
    mix(above, below, v)
}

/// Noise of one point, 0 to 1.
fn at(x: u32, y: u32, seed: u32) -> f32 {
    let mut state = x.wrapping_mul(0x9E37_79B1) ^ y.wrapping_mul(0x85EB_CA77) ^ seed.wrapping_mul(0xC2B2_AE3D);
    state ^= state >> 15;
    state = state.wrapping_mul(0x2C1B_3C6D);
    state ^= state >> 12;
    state = state.wrapping_mul(0x297A_2D39);
    state ^= state >> 15;
    (state >> 8) as f32 / (1 << 24) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenes_are_whole_and_the_same_each_time() {
        for draw in [photo, drawing] {
            let once = draw(3, (64, 48));
            assert_eq!(once.len(), 64 * 48 * 3);
            assert_eq!(once, draw(3, (64, 48)));
            assert_ne!(once, draw(4, (64, 48)));
        }
    }
}
