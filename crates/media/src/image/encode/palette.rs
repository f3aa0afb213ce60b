//! Few colours for many.

use std::collections::HashMap;

use color_quant::NeuQuant;
use image::RgbaImage;

/// A picture as a palette and one index a pixel.
#[derive(Debug, Clone)]
pub(crate) struct Indexed {
    pub(crate) colors: Vec<[u8; 4]>,
    pub(crate) indices: Vec<u8>,
}

/// Fewest colours that the network learns well.
pub(crate) const FEWEST: usize = 64;

/// The picture with exactly its own colours, where they are at most `most`. What is transparent is one colour.
pub(crate) fn exact(pixels: &[[u8; 4]], most: usize) -> Option<Indexed> {
    let mut places: HashMap<[u8; 4], u8> = HashMap::new();
    let mut colors = Vec::new();
    let mut indices = Vec::with_capacity(pixels.len());
    let mut last = None;
    for &pixel in pixels {
        let color = if pixel[3] == 0 { [0; 4] } else { pixel };
        let index = match last {
            Some((same, index)) if same == color => index,
            _ => match places.get(&color) {
                Some(&index) => index,
                None if colors.len() >= most.min(256) => return None,
                None => {
                    let index = colors.len() as u8;
                    places.insert(color, index);
                    colors.push(color);
                    index
                }
            },
        };
        last = Some((color, index));
        indices.push(index);
    }
    Some(Indexed { colors, indices })
}

/// The picture with at most `most` colours, dithered; `None` where there are so few that it is exact already.
pub(crate) fn reduce(pixels: &RgbaImage, most: usize) -> Option<Indexed> {
    let flat: Vec<[u8; 4]> = pixels.pixels().map(|pixel| pixel.0).collect();
    if exact(&flat, most).is_some() {
        return None;
    }
    Some(learn(&flat, pixels.width() as usize, most))
}

/// At most `most` colours that stand for all, and the picture dithered to them.
pub(crate) fn learn(pixels: &[[u8; 4]], width: usize, most: usize) -> Indexed {
    learn_from(pixels, pixels, width, most)
}

/// The same, with the colours learned from `seen` alone.
pub(crate) fn learn_from(seen: &[[u8; 4]], pixels: &[[u8; 4]], width: usize, most: usize) -> Indexed {
    let most = most.clamp(FEWEST, 256);
    // The network looks at one pixel of every few: of large pictures at some ten thousands.
    let stride = (seen.len() / 60_000).clamp(1, 20) as i32;
    let network = NeuQuant::new(stride, most, seen.as_flattened());
    let colors: Vec<[u8; 4]> = network.color_map_rgba().as_chunks::<4>().0.to_vec();
    let indices = dither(pixels, width, &network, &colors);
    Indexed { colors, indices }
}

/// Floyd and Steinberg's, with three quarters of the error passed on: all of it looks noisier than it has to.
fn dither(pixels: &[[u8; 4]], width: usize, network: &NeuQuant, colors: &[[u8; 4]]) -> Vec<u8> {
    let mut indices = Vec::with_capacity(pixels.len());
    let mut here = vec![[0_i32; 4]; width + 2];
    let mut below = vec![[0_i32; 4]; width + 2];
    for row in pixels.chunks(width) {
        for (x, pixel) in row.iter().enumerate() {
            let wanted: [i32; 4] = std::array::from_fn(|c| (i32::from(pixel[c]) + here[x + 1][c] / 16).clamp(0, 255));
            let mut asked = wanted.map(|channel| channel as u8);
            // What is fully there or fully gone stays so.
            if pixel[3] == 0 || pixel[3] == 255 {
                asked[3] = pixel[3];
            }
            let index = network.index_of(&asked);
            indices.push(index as u8);
            if pixel[3] == 0 {
                continue;
            }
            for c in 0..4 {
                let error = (wanted[c] - i32::from(colors[index][c])) * 3 / 4;
                here[x + 2][c] += error * 7;
                below[x][c] += error * 3;
                below[x + 1][c] += error * 5;
                below[x + 2][c] += error;
            }
        }
        std::mem::swap(&mut here, &mut below);
        below.fill([0; 4]);
    }
    indices
}

/// How close an indexed picture is to its source, in dB over all channels; colours count as far as they show.
pub(crate) fn psnr(pixels: &RgbaImage, colors: &[[u8; 4]], indices: &[u8]) -> f64 {
    let mut sum = 0_u64;
    for (pixel, &index) in pixels.pixels().zip(indices) {
        let (a, b) = (pixel.0, colors[usize::from(index)]);
        for c in 0..3 {
            let shown = |pixel: [u8; 4]| i64::from(pixel[c]) * i64::from(pixel[3]) / 255;
            sum += (shown(a) - shown(b)).unsigned_abs().pow(2);
        }
        sum += (i64::from(a[3]) - i64::from(b[3])).unsigned_abs().pow(2);
    }
    let mean = sum as f64 / (indices.len().max(1) * 4) as f64;
    if mean == 0.0 { 99.0 } else { 10.0 * (255.0 * 255.0 / mean).log10() }
}
