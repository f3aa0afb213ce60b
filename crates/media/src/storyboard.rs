//! Storyboards: a WebVTT file whose cues name parts of sheets, written and measured.
//!
//! Each cue stands for the frame that is shown at its middle. They follow each other without a gap from the beginning to
//! the end of the input; the last one takes what is left, which is half an interval to one and a half.
//!
//! # Source
//! WebVTT: <https://www.w3.org/TR/webvtt1/>. Parts of a picture by `#xywh=`: Media Fragments URI 1.0, section 4.2.2.

use std::fmt::Write as _;
use std::path::Path;

use reelhook_domain::media::MediaInfo;
use reelhook_domain::recipe::Format;
use serde::{Deserialize, Serialize};

use crate::error::MediaError;
use crate::image::{self, ImageLimits};
use crate::package::MadePart;
use crate::pictures::media;
use crate::plain;
use crate::verify::{self, Check, Receipt};

/// The file that names the sheets.
pub(crate) const CUES: &str = "storyboard.vtt";

/// What a storyboard has to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Storyboard {
    /// How many thumbnails there are.
    pub count: u32,
    /// Seconds from one to the next.
    pub interval: f64,
    /// When the last cue ends, in seconds.
    pub end: f64,
    /// Thumbnails beside each other on a sheet.
    pub columns: u32,
    /// Thumbnails below each other on a sheet.
    pub rows: u32,
    /// Width and height of a thumbnail in pixels.
    pub tile: (u32, u32),
    /// Format of the sheets.
    pub format: Format,
}

/// A cue, in milliseconds and pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cue {
    from: u64,
    to: u64,
    sheet: String,
    place: (u32, u32),
    size: (u32, u32),
}

impl Storyboard {
    /// The second at which the first frame is taken; the others follow at the interval.
    pub(crate) fn first(&self, picture_ends: f64) -> f64 {
        self.interval.min(picture_ends) / 2.0
    }

    pub(crate) const fn sheets(&self) -> u32 {
        self.count.div_ceil(self.columns * self.rows)
    }

    pub(crate) const fn sheet_size(&self) -> (u32, u32) {
        (self.tile.0 * self.columns, self.tile.1 * self.rows)
    }

    /// The names of the sheets, for ffmpeg.
    pub(crate) fn pattern(&self) -> String {
        format!("sheet-%03d.{}", self.format.extension())
    }

    fn sheet(&self, number: u32) -> String {
        format!("sheet-{number:03}.{}", self.format.extension())
    }

    fn cues(&self) -> Vec<Cue> {
        let milliseconds = |seconds: f64| (seconds * 1000.0).round() as u64;
        let cue = |number: u32| {
            let (sheet, place) = (number / (self.columns * self.rows), number % (self.columns * self.rows));
            let last = number + 1 == self.count;
            let to = if last { self.end } else { self.interval * f64::from(number + 1) };
            Cue {
                from: milliseconds(self.interval * f64::from(number)),
                to: milliseconds(to),
                sheet: self.sheet(sheet + 1),
                place: (place % self.columns * self.tile.0, place / self.columns * self.tile.1),
                size: self.tile,
            }
        };
        (0..self.count).map(cue).collect()
    }

    /// Writes the file that names the sheets.
    pub(crate) fn write(&self, folder: &Path) -> std::io::Result<()> {
        let mut text = "WEBVTT\n".to_owned();
        for Cue { from, to, sheet, place: (x, y), size: (width, height) } in self.cues() {
            let _ = write!(text, "\n{} --> {}\n{sheet}#xywh={x},{y},{width},{height}\n", stamp(from), stamp(to));
        }
        plain::write(&folder.join(CUES), text)
    }

    /// Measures the storyboard whose main file is `main`. Blocks.
    pub(crate) fn measure(&self, main: &Path) -> Result<Receipt, MediaError> {
        let unusable = |error: std::io::Error| verify::broken(&error.to_string());
        let text = plain::read_text(main, plain::LIST).map_err(unusable)?;
        let (mut parts, mut sizes) = (Vec::new(), Vec::new());
        for number in 1.. {
            let name = self.sheet(number);
            let file = main.with_file_name(&name);
            let size_bytes = match plain::size(&file) {
                Ok(size_bytes) => size_bytes,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => break,
                Err(error) => return Err(unusable(error)),
            };
            let seen = image::inspect(&file, &ImageLimits::default()).map_err(|error| match error {
                MediaError::Rejected(failure) | MediaError::Failed(failure) => verify::broken(&failure.message),
                other => other,
            })?;
            sizes.extend(seen.info().video.map(|video| (video.width, video.height)));
            let mime_type = self.format.mime_type().to_owned();
            parts.push(MadePart { path: name, file, size_bytes, mime_type });
        }
        let checks = vec![self.sheets_check(&sizes), self.cues_check(read(&text).as_deref())];
        if let Some(failure) = verify::failure(&checks) {
            return Err(MediaError::Failed(failure));
        }
        let codec = if self.format == Format::Jpg { "mjpeg" } else { self.format.as_str() };
        let info = media("vtt", codec, self.sheet_size(), u64::from(self.count), Some(self.end), "yuv420p");
        let size_bytes = text.len() as u64 + parts.iter().map(|part| part.size_bytes).sum::<u64>();
        Ok(Receipt {
            info: MediaInfo { streams: 0, ..info },
            size_bytes,
            checks,
            lost_seconds: None,
            parts,
            loudness: None,
        })
    }

    fn sheets_check(&self, sizes: &[(u32, u32)]) -> Check {
        let (width, height) = self.sheet_size();
        let other = sizes.iter().find(|&&size| size != (width, height)).copied();
        let (measured_width, measured_height) = other.unwrap_or((width, height));
        let passed = other.is_none() && sizes.len() == self.sheets() as usize;
        let expected = format!("{} of {width}x{height}", self.sheets());
        Check::new("sheets", passed, expected, format!("{} of {measured_width}x{measured_height}", sizes.len()))
    }

    /// Cues follow each other without a gap to the end, and each names a part of its own of a sheet that is there.
    fn cues_check(&self, cues: Option<&[Cue]>) -> Check {
        let end = (self.end * 1000.0).round() as u64;
        let expected = format!("{} without a gap up to {end} ms, each a part of a sheet", self.count);
        let Some(cues) = cues else { return Check::new("cues", false, expected, "unreadable") };
        let sheet = self.sheet_size();
        let mut at = 0;
        let mut taken = std::collections::BTreeSet::new();
        let mut wrong = 0;
        for Cue { from, to, sheet: name, place, size } in cues {
            let inside = place.0 + size.0 <= sheet.0 && place.1 + size.1 <= sheet.1 && *size == self.tile;
            let there = (1..=self.sheets()).any(|number| self.sheet(number) == *name);
            wrong += u32::from(*from != at || to <= from || !inside || !there || !taken.insert((name, place)));
            at = *to;
        }
        let passed = wrong == 0 && at == end && cues.len() == self.count as usize;
        Check::new("cues", passed, expected, format!("{} up to {at} ms, {wrong} of them wrong", cues.len()))
    }
}

/// A time as WebVTT has it.
fn stamp(milliseconds: u64) -> String {
    let (seconds, rest) = (milliseconds / 1000, milliseconds % 1000);
    format!("{:02}:{:02}:{:02}.{rest:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// The cues of a file.
fn read(text: &str) -> Option<Vec<Cue>> {
    let time = |text: &str| -> Option<u64> {
        let (clock, rest) = text.split_once('.')?;
        let parts: Option<Vec<u64>> = clock.split(':').map(|part| part.parse().ok()).collect();
        let [hours, minutes, seconds] = parts?[..] else { return None };
        Some(((hours * 60 + minutes) * 60 + seconds) * 1000 + rest.parse::<u64>().ok()?)
    };
    let cue = |block: &str| -> Option<Cue> {
        let (times, target) = block.trim_end().split_once('\n')?;
        let (from, to) = times.split_once(" --> ")?;
        let (sheet, part) = target.split_once("#xywh=")?;
        let numbers: Option<Vec<u32>> = part.split(',').map(|number| number.parse().ok()).collect();
        let [x, y, width, height] = numbers?[..] else { return None };
        Some(Cue { from: time(from)?, to: time(to)?, sheet: sheet.to_owned(), place: (x, y), size: (width, height) })
    };
    text.strip_prefix("WEBVTT\n\n")?.split("\n\n").map(cue).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board() -> Storyboard {
        let (columns, rows, tile) = (2, 2, (160, 90));
        Storyboard { count: 5, interval: 2.5, end: 3661.25, columns, rows, tile, format: Format::Jpg }
    }

    #[test]
    fn cues_name_parts_of_sheets() {
        let folder = tempfile::tempdir().unwrap();
        board().write(folder.path()).unwrap();
        let text = std::fs::read_to_string(folder.path().join(CUES)).unwrap();
        insta::assert_snapshot!(text);
        assert_eq!(read(&text), Some(board().cues()));
    }

    #[test]
    fn every_cue_that_is_off_is_noticed() {
        let passes = |change: fn(&mut Vec<Cue>)| {
            let mut cues = board().cues();
            change(&mut cues);
            board().cues_check(Some(&cues)).passed
        };
        assert!(passes(|_| {}));
        assert!(!passes(|cues| cues.truncate(4)));
        assert!(!passes(|cues| cues[2].from += 1));
        assert!(!passes(|cues| cues[4].to += 1));
        assert!(!passes(|cues| cues[1].place = (0, 0)));
        assert!(!passes(|cues| cues[1].place.0 += 1));
        assert!(!passes(|cues| cues[0].sheet = "sheet-003.jpg".to_owned()));
        assert!(!board().cues_check(None).passed);
    }

    #[test]
    fn every_sheet_that_is_off_is_noticed() {
        let passes = |sizes: &[(u32, u32)]| board().sheets_check(sizes).passed;
        assert!(passes(&[(320, 180); 2]));
        assert!(!passes(&[(320, 180)]) && !passes(&[(320, 180); 3]) && !passes(&[(320, 180), (320, 178)]));
    }
}
