//! GIF: each frame is the box around what changed, what did not change in it is transparent, and each has the palette
//! of its own colours.
//!
//! A frame is held back until the next is known: GIF can only add to what is shown, so where something becomes transparent
//! the frame before must clear the canvas when its time is over.

use gif::{DisposalMethod, Encoder, Repeat};
use image::RgbaImage;

use super::super::animation::Frame;
use super::super::decode::Picture;
use super::super::guard::not_encoded;
use super::super::level::Settings;
use super::palette::{self, Indexed};
use super::{Encoded, webp::bounds};
use crate::error::MediaError;

/// One picture.
pub(crate) fn still(picture: &Picture, settings: &Settings) -> Result<Encoded, MediaError> {
    let size = (picture.pixels.width(), picture.pixels.height());
    let mut reel = Reel::open(size, None, settings)?;
    reel.add(Frame { pixels: picture.pixels.clone(), delay: 0 })?;
    Ok(Encoded::new(reel.finish()?, how(settings)))
}

/// How animations and pictures are made, in words.
pub(crate) fn how(settings: &Settings) -> String {
    let Settings { gif_colors, gif_tolerance, .. } = settings;
    match gif_tolerance {
        0 => format!("palettes of at most {gif_colors} colours"),
        _ => format!("palettes of at most {gif_colors} colours; changes of at most {gif_tolerance} are left out"),
    }
}

/// An animation in the making.
pub(crate) struct Reel {
    settings: Settings,
    encoder: Encoder<Vec<u8>>,
    width: u32,
    /// What each pixel was when it was painted last.
    painted: Vec<[u8; 4]>,
    pending: Option<Pending>,
    /// Time that rounding to hundredths of a second left over, in milliseconds.
    owed: i64,
}

/// A frame that was not written yet.
struct Pending {
    /// The whole canvas.
    whole: Vec<[u8; 4]>,
    /// The same, with what did not change transparent.
    part: Vec<[u8; 4]>,
    /// The box around what is not transparent in `part`; `None` where nothing changed.
    area: Option<(u32, u32, u32, u32)>,
    delay: u32,
}

impl Reel {
    /// `plays`: 0 for ever. Pixels that are half there become wholly there.
    pub(crate) fn new(size: (u32, u32), plays: u16, settings: &Settings) -> Result<Self, MediaError> {
        let repeat = if plays == 0 {
            Some(Repeat::Infinite)
        } else {
            plays.checked_sub(1).filter(|&n| n > 0).map(Repeat::Finite)
        };
        Self::open(size, repeat, settings)
    }

    fn open(size: (u32, u32), repeat: Option<Repeat>, settings: &Settings) -> Result<Self, MediaError> {
        let side = |side: u32| u16::try_from(side).map_err(not_encoded);
        let mut encoder = Encoder::new(Vec::new(), side(size.0)?, side(size.1)?, &[]).map_err(not_encoded)?;
        if let Some(repeat) = repeat {
            encoder.set_repeat(repeat).map_err(not_encoded)?;
        }
        let painted = vec![[0; 4]; size.0 as usize * size.1 as usize];
        Ok(Self { settings: *settings, encoder, width: size.0, painted, pending: None, owed: 0 })
    }

    pub(crate) fn add(&mut self, frame: Frame) -> Result<(), MediaError> {
        let whole = solid(&frame.pixels.into_rgba8());
        let clears = self.painted.iter().zip(&whole).any(|(before, after)| before[3] > after[3]);
        self.flush(clears)?;
        if clears {
            self.painted.fill([0; 4]);
        }
        let tolerance = self.settings.gif_tolerance;
        let mut part = whole.clone();
        for (pixel, painted) in part.iter_mut().zip(&mut self.painted) {
            if is_close(*pixel, *painted, tolerance) {
                *pixel = [0; 4];
            } else {
                *painted = *pixel;
            }
        }
        let area = bounds(self.width, |index| part[index][3] != 0, part.len());
        self.pending = Some(Pending { whole, part, area, delay: frame.delay });
        Ok(())
    }

    /// Writes the frame that waits; `clears`: so that nothing of it, or of what was before, stays.
    fn flush(&mut self, clears: bool) -> Result<(), MediaError> {
        let Some(Pending { whole, part, area, delay }) = self.pending.take() else { return Ok(()) };
        let height = (whole.len() / self.width as usize) as u32;
        let (pixels, area) = match area {
            _ if clears => (whole, (0, 0, self.width - 1, height - 1)),
            Some(area) => (part, area),
            // Time passes and nothing changes: one transparent pixel.
            None => (part, (0, 0, 0, 0)),
        };
        let (left, top, right, bottom) = area;
        let (wide, high) = (right + 1 - left, bottom + 1 - top);
        let cropped: Vec<[u8; 4]> = (top..=bottom)
            .flat_map(|y| {
                let start = (y * self.width + left) as usize;
                pixels[start..start + wide as usize].iter().copied()
            })
            .collect();
        let Indexed { colors, indices } = self.index(&cropped, wide as usize);
        let transparent = colors.iter().position(|color| color[3] == 0).map(|index| index as u8);
        let hundredths = self.hundredths(delay);
        let palette = colors.iter().flat_map(|&[r, g, b, _]| [r, g, b]).collect();
        let frame = gif::Frame {
            delay: hundredths,
            dispose: if clears { DisposalMethod::Background } else { DisposalMethod::Keep },
            transparent,
            top: top as u16,
            left: left as u16,
            width: wide as u16,
            height: high as u16,
            palette: Some(palette),
            buffer: indices.into(),
            ..gif::Frame::default()
        };
        self.encoder.write_frame(&frame).map_err(not_encoded)
    }

    fn index(&self, pixels: &[[u8; 4]], width: usize) -> Indexed {
        let most = self.settings.gif_colors;
        if let Some(indexed) = palette::exact(pixels, most) {
            return indexed;
        }
        // One place is for what is transparent; the network sees only what is not.
        let seen: Vec<[u8; 4]> = pixels.iter().copied().filter(|pixel| pixel[3] != 0).collect();
        let mut learned = if seen.len() == pixels.len() {
            return opaque(palette::learn(pixels, width, most));
        } else {
            opaque(palette::learn_from(&seen, pixels, width, most.min(255) - 1))
        };
        let gone = learned.colors.len() as u8;
        learned.colors.push([0; 4]);
        for (index, pixel) in learned.indices.iter_mut().zip(pixels) {
            if pixel[3] == 0 {
                *index = gone;
            }
        }
        learned
    }

    fn hundredths(&mut self, delay: u32) -> u16 {
        let wanted = i64::from(delay) + self.owed;
        let hundredths = ((wanted + 5) / 10).clamp(0, i64::from(u16::MAX));
        self.owed = wanted - hundredths * 10;
        hundredths as u16
    }

    pub(crate) fn finish(mut self) -> Result<Vec<u8>, MediaError> {
        self.flush(false)?;
        self.encoder.into_inner().map_err(not_encoded)
    }
}

/// Pixels that are wholly there or wholly gone.
fn solid(pixels: &RgbaImage) -> Vec<[u8; 4]> {
    let solid = |[red, green, blue, alpha]: [u8; 4]| if alpha < 128 { [0; 4] } else { [red, green, blue, 255] };
    pixels.pixels().map(|pixel| solid(pixel.0)).collect()
}

fn is_close(a: [u8; 4], b: [u8; 4], tolerance: u8) -> bool {
    a[3] == b[3] && a.iter().zip(b).all(|(a, b)| a.abs_diff(b) <= tolerance)
}

fn opaque(mut indexed: Indexed) -> Indexed {
    indexed.colors.iter_mut().for_each(|color| color[3] = 255);
    indexed
}
