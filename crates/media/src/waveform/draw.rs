//! Drawing stretches: as pixels or as a path, with the same corners.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use crate::plain;
use image::{ExtendedColorType, ImageEncoder as _, codecs::png::PngEncoder};
use reelhook_domain::recipe::Rgb;

use super::{Drawing, Gathered, Stretch};

/// Rows that a column of the wave covers: from the first to the one before the last.
type Column = (u32, u32);

impl Drawing {
    /// The columns of each band. There is at least one row in each: silence is a line.
    fn bands(&self, gathered: &Gathered) -> Vec<Vec<Column>> {
        let lanes = gathered.lanes(self.channels);
        let count = u32::try_from(lanes.len()).unwrap_or(u32::MAX).max(1);
        let edge = |band: u32| u32::try_from(u64::from(self.height) * u64::from(band) / u64::from(count)).unwrap_or(0);
        let band = |(band, lane): (u32, &Vec<Stretch>)| self.columns(lane, edge(band), edge(band + 1));
        (0..).zip(&lanes).map(band).collect()
    }

    fn columns(&self, lane: &[Stretch], top: u32, bottom: u32) -> Vec<Column> {
        let height = f64::from(bottom - top);
        let row = |sample: i16| (0.5 - f64::from(sample) / 65536.0) * height;
        let width = self.width as usize;
        let column = |x: usize| {
            let from = (x * lane.len() / width).min(lane.len().saturating_sub(1));
            let to = ((x + 1) * lane.len()).div_ceil(width).clamp(from + 1, lane.len().max(from + 1));
            let Stretch { low, high } = Stretch::all(lane.get(from..to).unwrap_or_default());
            let first = (row(high).floor() as u32).min(bottom.saturating_sub(top + 1));
            let end = (row(low).ceil() as u32).clamp(first + 1, (bottom - top).max(first + 1));
            (top + first, top + end)
        };
        (0..width).map(column).collect()
    }
}

/// Writes the picture as PNG: with alpha where nothing is behind the wave.
pub(super) fn png(drawing: &Drawing, gathered: &Gathered, file: &Path) -> io::Result<()> {
    let Drawing { width, height, color: Rgb(color), background, .. } = *drawing;
    let bands = drawing.bands(gathered);
    let is_wave = |x: u32, y: u32| {
        let covers = |band: &Vec<Column>| band.get(x as usize).is_some_and(|&(from, to)| (from..to).contains(&y));
        bands.iter().any(covers)
    };
    let mut pixels = Vec::with_capacity(width as usize * height as usize * 4);
    for y in 0..height {
        for x in 0..width {
            match (is_wave(x, y), background) {
                (true, None) => pixels.extend([color[0], color[1], color[2], 255]),
                (false, None) => pixels.extend([0; 4]),
                (true, Some(_)) => pixels.extend(color),
                (false, Some(Rgb(behind))) => pixels.extend(behind),
            }
        }
    }
    let samples = if background.is_none() { ExtendedColorType::Rgba8 } else { ExtendedColorType::Rgb8 };
    let file = io::BufWriter::new(plain::create(file)?);
    PngEncoder::new(file).write_image(&pixels, width, height, samples).map_err(io::Error::other)
}

/// The picture as SVG: one closed path a band, along the upper ends of all columns and back along the lower ones.
pub(super) fn svg(drawing: &Drawing, gathered: &Gathered) -> String {
    let Drawing { width, height, color, background, .. } = drawing;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         preserveAspectRatio=\"none\">\n"
    );
    if let Some(background) = background {
        text += &format!("<rect width=\"{width}\" height=\"{height}\" fill=\"{background}\"/>\n");
    }
    for band in drawing.bands(gathered) {
        text += &format!("<path fill=\"{color}\" d=\"");
        for (x, (top, _)) in band.iter().enumerate() {
            let _ = write!(text, "{}{x} {top}H{}", if x == 0 { "M" } else { "L" }, x + 1);
        }
        for (x, (_, bottom)) in band.iter().enumerate().rev() {
            let _ = write!(text, "L{} {bottom}H{x}", x + 1);
        }
        text += "Z\"/>\n";
    }
    text + "</svg>\n"
}
