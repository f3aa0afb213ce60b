//! Which colour the screen behind the subject has, from a few small frames of the source.
//!
//! Screens are green or blue and reach the edges of the picture, at the sides and above at least. The median of what is
//! clearly green, or blue, there stands for all of it: single pixels (a lamp, a logo, a sleeve) do not move it.

/// Width and height of the frames that are looked at.
pub(crate) const SCREEN_SIZE: (u32, u32) = (64, 36);

/// A pixel is of a screen's colour when a channel is this far above the others.
const CLEAR: u8 = 24;
/// The least share of pixels that make a screen.
const SHARE: usize = 20;

/// The colour of the screen in frames of [`SCREEN_SIZE`], three bytes a pixel; `None` where none is seen.
pub(crate) fn screen_color(pixels: &[u8]) -> Option<[u8; 3]> {
    let (width, height) = (SCREEN_SIZE.0 as usize, SCREEN_SIZE.1 as usize);
    let edge = |place: usize| {
        let (x, y) = (place % width, place / width % height);
        x < width / 10 || x >= width - width / 10 || y < height / 8
    };
    let all: Vec<(usize, [u8; 3])> =
        pixels.chunks_exact(3).enumerate().map(|(place, pixel)| (place, [pixel[0], pixel[1], pixel[2]])).collect();
    let at_edge: Vec<[u8; 3]> = all.iter().filter(|(place, _)| edge(*place)).map(|(_, pixel)| *pixel).collect();
    let everywhere: Vec<[u8; 3]> = all.into_iter().map(|(_, pixel)| pixel).collect();
    common(&at_edge).or_else(|| common(&everywhere))
}

/// The median of the green or of the blue pixels, whichever are more, where they are enough.
fn common(pixels: &[[u8; 3]]) -> Option<[u8; 3]> {
    let of = |channel: usize| -> Vec<[u8; 3]> {
        let others = [(channel + 1) % 3, (channel + 2) % 3];
        let clear = |pixel: &&[u8; 3]| pixel[channel].saturating_sub(pixel[others[0]].max(pixel[others[1]])) >= CLEAR;
        pixels.iter().filter(clear).copied().collect()
    };
    let (green, blue) = (of(1), of(2));
    let screen = if blue.len() > green.len() { blue } else { green };
    if screen.is_empty() || screen.len() < pixels.len() / SHARE {
        return None;
    }
    let median = |channel: usize| {
        let mut values: Vec<u8> = screen.iter().map(|pixel| pixel[channel]).collect();
        values.sort_unstable();
        values[values.len() / 2]
    };
    Some([median(0), median(1), median(2)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(color: impl Fn(usize, usize) -> [u8; 3]) -> Vec<u8> {
        (0..36).flat_map(|y| (0..64).map(move |x| (x, y))).flat_map(|(x, y)| color(x, y)).collect()
    }

    #[test]
    fn the_screen_is_what_the_edges_show() {
        let subject = |x: usize, y: usize| (16..48).contains(&x) && y > 6;
        let pixels = frame(|x, y| if subject(x, y) { [40, 60, 240] } else { [20, 150 + (x % 3) as u8, 60] });
        assert_eq!(screen_color(&pixels), Some([20, 151, 60]));
        let pixels = frame(|x, y| if subject(x, y) { [40, 220, 20] } else { [10, 40, 200] });
        assert_eq!(screen_color(&pixels), Some([10, 40, 200]));
    }

    #[test]
    fn a_screen_that_reaches_no_edge_is_found_too() {
        let pixels = frame(|x, y| if (20..44).contains(&x) && (9..30).contains(&y) { [0, 200, 0] } else { [90; 3] });
        assert_eq!(screen_color(&pixels), Some([0, 200, 0]));
    }

    #[test]
    fn where_nothing_is_green_or_blue_there_is_no_screen() {
        assert_eq!(screen_color(&frame(|x, _| [x as u8 * 4; 3])), None);
        assert_eq!(screen_color(&[]), None);
    }
}
