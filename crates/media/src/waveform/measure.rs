//! Measuring a waveform: the peaks cover all of the sound, and the picture shows them.

use std::io;
use std::path::{Path, PathBuf};

use reelhook_domain::media::MediaInfo;
use reelhook_domain::recipe::{Format, Rgb};

use super::{PEAKS, Peaks, WaveformExpectation};
use crate::error::MediaError;
use crate::image::{self, ImageLimits};
use crate::package::MadePart;
use crate::pictures::media;
use crate::plain;
use crate::verify::{self, Check, Expectation, Receipt};

/// How far the highest column of the picture may be from the highest peak: rounding at both ends, and eight bits.
const ROUNDING: f64 = 3.0;

/// Measures the waveform whose main file is `main`. Blocks.
pub(crate) fn measure(expect: &Expectation, wave: &WaveformExpectation, main: &Path) -> Result<Receipt, MediaError> {
    let unusable = |error: io::Error| verify::broken(&error.to_string());
    let size_bytes = plain::size(main).map_err(unusable)?;
    let peaks_file = main.with_file_name(PEAKS);
    let bytes = plain::read(&peaks_file, plain::LIST).map_err(unusable)?;
    let peaks: Peaks = serde_json::from_slice(&bytes).map_err(|error| verify::broken(&error.to_string()))?;
    let mut checks = vec![Check::new("size", size_bytes > 0, "more than 0 bytes", format!("{size_bytes} bytes"))];
    checks.extend(peaks.compare(expect, wave));

    let mut info = MediaInfo {
        format: expect.format.as_str().to_owned(),
        duration_seconds: Some(peaks.seconds()),
        bit_rate: None,
        video: None,
        audio: None,
        streams: 0,
        fast_start: None,
    };
    let mut parts = Vec::new();
    if expect.format != Format::Json {
        let (size, columns) = if expect.format == Format::Svg { svg(main)? } else { png(main, wave)? };
        let picture = format!("{} {}x{}", expect.format, size.0, size.1);
        checks.push(verify::alike(
            "video",
            Some(format!("{} {}x{}", expect.format, wave.width, wave.height)),
            Some(picture),
        ));
        checks.push(peaks.seen(wave, &columns));
        let samples = if expect.format == Format::Svg { "svg" } else { "rgba" };
        info.video = media(expect.format.as_str(), expect.format.as_str(), size, 1, None, samples).video;
        info.streams = 1;
        parts.push(part(peaks_file, bytes.len() as u64));
    }
    if let Some(failure) = verify::failure(&checks) {
        return Err(MediaError::Failed(failure));
    }
    let size_bytes = size_bytes + parts.iter().map(|part| part.size_bytes).sum::<u64>();
    Ok(Receipt { info, size_bytes, checks, lost_seconds: None, parts, loudness: None })
}

fn part(file: PathBuf, size_bytes: u64) -> MadePart {
    MadePart { path: PEAKS.to_owned(), file, size_bytes, mime_type: Format::Json.mime_type().to_owned() }
}

impl Peaks {
    fn seconds(&self) -> f64 {
        (self.length * self.samples_per_pixel) as f64 / f64::from(self.sample_rate.max(1))
    }

    fn compare(&self, expect: &Expectation, wave: &WaveformExpectation) -> Vec<Check> {
        let expected = self.length * u64::from(wave.channels) * 2;
        let ordered = self.data.chunks_exact(2).all(|pair| pair[0] <= pair[1]);
        let whole = self.channels == wave.channels && self.data.len() as u64 == expected && ordered;
        let fits = (1..=u64::from(wave.width)).contains(&self.length);
        let mut checks = vec![Check::new(
            "peaks",
            whole && fits,
            format!("1 to {} of {} channels, a lowest and a highest each", wave.width, wave.channels),
            format!("{} of {} channels in {} numbers", self.length, self.channels, self.data.len()),
        )];
        if let Some((seconds, tolerance)) = wave.seconds {
            // The last peak may reach beyond the end.
            let last = self.samples_per_pixel as f64 / f64::from(self.sample_rate.max(1));
            let span = verify::Span { seconds: seconds + last / 2.0, tolerance: tolerance + last / 2.0 };
            checks.push(verify::duration(expect, span, Some(self.seconds())));
        }
        checks
    }

    /// The highest column of the picture is as high as the highest peak, and every column shows something.
    fn seen(&self, wave: &WaveformExpectation, columns: &[u32]) -> Check {
        let channels = self.channels.max(1) as usize;
        let reach = |pair: &[i8]| f64::from(pair[1]) - f64::from(pair[0]);
        // Bands lie below each other: what all channels cover of a column adds up.
        let cover = |row: &[i8]| row.chunks_exact(2).map(reach).sum::<f64>();
        let highest = self.data.chunks_exact(channels * 2).map(cover).fold(0.0, f64::max);
        let expected = highest / 256.0 * f64::from(wave.height) / channels as f64;
        let measured = columns.iter().max().copied().unwrap_or(0);
        let empty = columns.iter().filter(|&&rows| rows == 0).count();
        let slack = (ROUNDING + f64::from(wave.height) / 256.0) * channels as f64;
        let passed = columns.len() == wave.width as usize
            && empty == 0
            // Peaks and columns do not begin at the same samples, so two that are apart may meet in one.
            && f64::from(measured) >= expected - slack
            && f64::from(measured) <= f64::from(wave.height).min(expected * 2.0 + slack);
        Check::new(
            "wave",
            passed,
            format!("{} columns, the highest of about {expected:.0} rows", wave.width),
            format!("{} columns, {empty} of them empty, the highest of {measured} rows", columns.len()),
        )
    }
}

/// Size of a PNG, and how many rows of each column have the colour of the wave.
fn png(main: &Path, wave: &WaveformExpectation) -> Result<((u32, u32), Vec<u32>), MediaError> {
    let limits = ImageLimits::default();
    let size = image::inspect(main, &limits)?.info().video.map(|video| (video.width, video.height));
    if size != Some((wave.width, wave.height)) {
        return Ok((size.unwrap_or((0, 0)), Vec::new()));
    }
    let decoded = ::image::open(main).map_err(|error| verify::broken(&error.to_string()))?.to_rgba8();
    let Rgb([red, green, blue]) = wave.color;
    let mut columns = vec![0; wave.width as usize];
    for (x, _, pixel) in decoded.enumerate_pixels() {
        columns[x as usize] += u32::from(pixel.0 == [red, green, blue, 255]);
    }
    Ok(((wave.width, wave.height), columns))
}

/// Size of an SVG of ours, and how many rows each column of its paths covers.
fn svg(main: &Path) -> Result<((u32, u32), Vec<u32>), MediaError> {
    let text = plain::read_text(main, plain::LIST)?;
    let broken = || verify::broken("the SVG cannot be read");
    let attribute = |name: &str| text.split_once(name)?.1.split_once('"')?.0.parse::<u32>().ok();
    let (width, height) = attribute("width=\"").zip(attribute("height=\"")).ok_or_else(broken)?;
    let mut columns = vec![0_u32; width as usize];
    for path in text.split(" d=\"").skip(1) {
        let path = path.split_once("Z\"").ok_or_else(broken)?.0;
        for step in path.split(['M', 'L']).skip(1) {
            let numbers: Option<Vec<u32>> = step.split([' ', 'H']).map(|number| number.parse().ok()).collect();
            let Some([from, row, to]) = numbers.as_deref() else { return Err(broken()) };
            let column = columns.get_mut(*from.min(to) as usize).ok_or_else(broken)?;
            // Upper ends come first, left to right.
            *column = if to > from { column.wrapping_sub(*row) } else { column.wrapping_add(*row) };
        }
    }
    Ok(((width, height), columns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_of_something_else_does_not_pass() {
        let peaks = Peaks {
            version: 2,
            channels: 1,
            sample_rate: 100,
            samples_per_pixel: 50,
            bits: 8,
            length: 4,
            data: vec![0, 0, -64, 64, -32, 32, 0, 0],
        };
        let wave = WaveformExpectation { width: 4, height: 100, channels: 1, color: Rgb([1, 2, 3]), seconds: None };
        let passes = |columns: &[u32]| peaks.seen(&wave, columns).passed;
        assert!(passes(&[1, 50, 25, 1]));
        assert!(!passes(&[1, 20, 20, 1]), "too low");
        assert!(!passes(&[100; 4].map(|rows| rows + 20)), "higher than the picture");
        assert!(!passes(&[0, 50, 25, 1]), "a column is missing");
        assert!(!passes(&[1, 50, 25]), "too narrow");
    }
}
