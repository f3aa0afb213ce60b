//! Waveforms: the peaks of a sound, gathered while it is decoded, and drawn.
//!
//! Samples come through a pipe and are not kept: what stays of them is the lowest and the highest of each of at most
//! [`Gatherer::MOST`] stretches for a channel. Where there would be more, two neighbours become one, so that a long
//! sound takes no more memory than a short one and no peak is lost on the way. A stretch is as many samples as it is: a
//! column of the picture is made of whole ones.
//!
//! # Source
//! The peaks as JSON are those of BBC audiowaveform, version 2: <https://github.com/bbc/audiowaveform/blob/master/doc/DataFormat.md>.

mod draw;
mod measure;

use std::io::{self, BufWriter};
use std::path::Path;

use reelhook_domain::recipe::{Format, Rgb, WaveformChannels};
use serde::{Deserialize, Serialize};

pub(crate) use self::measure::measure;
use crate::plain;
use crate::run::Progress;
use crate::run::process::Listener;

/// The peaks beside the picture, or alone.
pub(crate) const PEAKS: &str = "peaks.json";

/// What a waveform has to be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct WaveformExpectation {
    /// Width of the picture, and the most peaks, in pixels.
    pub width: u32,
    /// Height of the picture in pixels.
    pub height: u32,
    /// Channels that are drawn.
    pub channels: u32,
    /// Colour of the wave, which nothing else has.
    pub color: Rgb,
    /// Length of the sound that it shows in seconds, and how far off it may be; absent where it is a guess.
    pub seconds: Option<(f64, f64)>,
}

/// How a waveform is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Drawing {
    pub(crate) format: Format,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) color: Rgb,
    pub(crate) background: Option<Rgb>,
    pub(crate) channels: WaveformChannels,
    pub(crate) sound: Sound,
}

/// The samples that are read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sound {
    pub(crate) channels: u32,
    pub(crate) sample_rate: u32,
    /// Where it has to end at the earliest, in seconds: what is missing is silence.
    pub(crate) at_least: f64,
}

impl Drawing {
    /// The name of the picture, or of the peaks alone.
    pub(crate) const fn main_file(format: Format) -> &'static str {
        match format {
            Format::Png => "waveform.png",
            Format::Svg => "waveform.svg",
            _ => PEAKS,
        }
    }

    /// Writes the picture and the peaks into a folder.
    pub(crate) fn write(&self, gathered: &Gathered, folder: &Path) -> io::Result<()> {
        let document = self.peaks(gathered);
        serde_json::to_writer(BufWriter::new(plain::create(&folder.join(PEAKS))?), &document)?;
        let file = folder.join(Self::main_file(self.format));
        match self.format {
            Format::Png => draw::png(self, gathered, &file),
            Format::Svg => plain::write(&file, draw::svg(self, gathered)),
            _ => Ok(()),
        }
    }

    fn peaks(&self, gathered: &Gathered) -> Peaks {
        let lanes = gathered.lanes(self.channels);
        let stretches = lanes.first().map_or(0, Vec::len);
        let joined = stretches.div_ceil(self.width as usize).max(1);
        let length = stretches.div_ceil(joined);
        let mut data = Vec::with_capacity(length * lanes.len() * 2);
        for peak in 0..length {
            for lane in &lanes {
                let Stretch { low, high } = Stretch::all(&lane[peak * joined..stretches.min((peak + 1) * joined)]);
                data.extend([(low >> 8) as i8, (high >> 8) as i8]);
            }
        }
        Peaks {
            version: 2,
            channels: u32::try_from(lanes.len()).unwrap_or(u32::MAX),
            sample_rate: self.sound.sample_rate,
            samples_per_pixel: gathered.samples_each * joined as u64,
            bits: 8,
            length: length as u64,
            data,
        }
    }
}

/// Peaks as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Peaks {
    version: u32,
    channels: u32,
    sample_rate: u32,
    samples_per_pixel: u64,
    bits: u32,
    length: u64,
    /// The lowest and the highest sample of each channel, peak after peak.
    data: Vec<i8>,
}

/// The lowest and the highest of some samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    low: i16,
    high: i16,
}

impl Stretch {
    const NOTHING: Self = Self { low: i16::MAX, high: i16::MIN };

    fn with(self, other: Self) -> Self {
        Self { low: self.low.min(other.low), high: self.high.max(other.high) }
    }

    /// Of all of these; silence where there are none.
    fn all(stretches: &[Self]) -> Self {
        let all = stretches.iter().fold(Self::NOTHING, |all, &one| all.with(one));
        if all.low > all.high { Self { low: 0, high: 0 } } else { all }
    }
}

/// The stretches of a whole sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gathered {
    /// Channel beside channel, stretch after stretch.
    stretches: Vec<Stretch>,
    channels: usize,
    /// Samples of a channel in each stretch but the last.
    samples_each: u64,
}

impl Gathered {
    /// The stretches of each channel that is drawn.
    fn lanes(&self, channels: WaveformChannels) -> Vec<Vec<Stretch>> {
        let rows = self.stretches.chunks_exact(self.channels);
        match channels {
            // Not mixed: channels in opposite phase would cancel each other, and the picture show silence.
            WaveformChannels::Mono => vec![rows.map(Stretch::all).collect()],
            WaveformChannels::Split => {
                (0..self.channels).map(|channel| rows.clone().map(|row| row[channel]).collect()).collect()
            }
        }
    }
}

/// Gathers stretches from samples of 16 bits, channel beside channel, as they come.
pub(crate) struct Gatherer<'a> {
    gathered: Gathered,
    /// Most stretches of a channel.
    most: usize,
    /// The stretch that is being filled, and the samples of each channel in it.
    open: Vec<Stretch>,
    filled: u64,
    /// Bytes of a sample of all channels that came in two pieces.
    rest: Vec<u8>,
    samples: u64,
    /// Samples of a channel that are expected.
    expected: f64,
    told: u64,
    tell: &'a (dyn Fn(Progress) + Send + Sync),
    sound: Sound,
}

impl<'a> Gatherer<'a> {
    /// Most stretches of a channel for each column: a column is off by a sixteenth of itself at most.
    const FOR_EACH_COLUMN: usize = 16;
    /// Bytes between two words of progress.
    const TOLD_EVERY: u64 = 1 << 20;

    pub(crate) fn new(sound: Sound, width: u32, seconds: f64, tell: &'a (dyn Fn(Progress) + Send + Sync)) -> Self {
        let channels = sound.channels.max(1) as usize;
        Self {
            gathered: Gathered { stretches: Vec::new(), channels, samples_each: 1 },
            most: width as usize * Self::FOR_EACH_COLUMN * 2,
            open: vec![Stretch::NOTHING; channels],
            filled: 0,
            rest: Vec::new(),
            samples: 0,
            expected: seconds * f64::from(sound.sample_rate),
            told: 0,
            tell,
            sound,
        }
    }

    fn take(&mut self, row: &[u8]) {
        for (open, sample) in self.open.iter_mut().zip(row.chunks_exact(2)) {
            let sample = i16::from_le_bytes([sample[0], sample[1]]);
            *open = open.with(Stretch { low: sample, high: sample });
        }
        self.samples += 1;
        self.filled += 1;
        if self.filled == self.gathered.samples_each {
            self.close();
        }
    }

    fn close(&mut self) {
        self.gathered.stretches.append(&mut self.open.clone());
        self.open.fill(Stretch::NOTHING);
        self.filled = 0;
        let channels = self.gathered.channels;
        if self.gathered.stretches.len() >= self.most * channels {
            let pairs = self.gathered.stretches.chunks_exact(2 * channels);
            let joined =
                pairs.flat_map(|pair| (0..channels).map(|channel| pair[channel].with(pair[channels + channel])));
            self.gathered.stretches = joined.collect();
            self.gathered.samples_each *= 2;
        }
    }

    /// All of it, once there is nothing more to hear; silence behind it where it has to be longer. None where there was
    /// no sample.
    pub(crate) fn finish(mut self) -> Option<Gathered> {
        if self.samples == 0 {
            return None;
        }
        let least = (self.sound.at_least * f64::from(self.sound.sample_rate)).round() as u64;
        let silence = vec![0; self.gathered.channels * 2];
        while self.samples < least {
            self.take(&silence);
        }
        if self.filled > 0 {
            self.close();
        }
        Some(self.gathered)
    }
}

impl Listener for Gatherer<'_> {
    fn hear(&mut self, said: &[u8]) {
        let size = self.gathered.channels * 2;
        let mut said = said;
        if !self.rest.is_empty() {
            let (missing, more) = said.split_at((size - self.rest.len()).min(said.len()));
            self.rest.extend_from_slice(missing);
            said = more;
            if self.rest.len() < size {
                return;
            }
            let row = std::mem::take(&mut self.rest);
            self.take(&row);
        }
        let rows = said.chunks_exact(size);
        self.rest.extend_from_slice(rows.remainder());
        rows.for_each(|row| self.take(row));
        let bytes = self.samples * size as u64;
        if bytes >= self.told + Self::TOLD_EVERY && self.expected > 0.0 {
            self.told = bytes;
            let fraction = (self.samples as f64 / self.expected).min(1.0);
            (self.tell)(Progress { fraction, rate: None, frames: 0 });
        }
    }

    fn mark(&self) -> [u64; 3] {
        [self.samples, 0, 0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawing(width: u32, channels: u32, at_least: f64) -> Drawing {
        Drawing {
            format: Format::Png,
            width,
            height: 64,
            color: Rgb([0, 0, 0]),
            background: None,
            channels: if channels == 1 { WaveformChannels::Mono } else { WaveformChannels::Split },
            sound: Sound { channels, sample_rate: 100, at_least },
        }
    }

    /// What is gathered of samples that come in pieces of some bytes.
    fn gathered(drawing: &Drawing, samples: &[i16], piece: usize) -> Gathered {
        let mut gatherer = Gatherer::new(drawing.sound, drawing.width, 1.0, &|_| {});
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        bytes.chunks(piece).for_each(|piece| gatherer.hear(piece));
        gatherer.finish().expect("samples")
    }

    #[test]
    fn no_peak_is_lost_however_long_the_sound_is() {
        let drawing = drawing(16, 1, 0.0);
        let mut samples = vec![0_i16; 100_000];
        (samples[777], samples[60_001]) = (i16::MAX, i16::MIN);
        let peaks = drawing.peaks(&gathered(&drawing, &samples, 4096));
        assert!(peaks.length <= 16 && peaks.length * 17 >= 16 * 16, "{}", peaks.length);
        let of = |sample: u64| {
            let at = (sample / peaks.samples_per_pixel) as usize * 2;
            (peaks.data[at], peaks.data[at + 1])
        };
        assert_eq!((of(777), of(60_001)), ((0, 127), (-128, 0)));
        assert_eq!(peaks.data.iter().filter(|&&peak| peak != 0).count(), 2);
        assert!((peaks.length - 1) * peaks.samples_per_pixel < 100_000);
        assert!(peaks.length * peaks.samples_per_pixel >= 100_000);
    }

    #[test]
    fn pieces_of_any_size_give_the_same_and_channels_stay_apart() {
        let drawing = drawing(16, 2, 0.0);
        let samples: Vec<i16> = (0..5000_i16).flat_map(|n| [n, -2 * n]).collect();
        let whole = gathered(&drawing, &samples, 100_000);
        for piece in [1, 3, 4, 7] {
            assert_eq!(gathered(&drawing, &samples, piece), whole, "{piece}");
        }
        let peaks = drawing.peaks(&whole);
        assert_eq!((peaks.channels, peaks.data.len() as u64), (2, peaks.length * 4));
        assert_eq!(peaks.data[peaks.data.len() - 4..][1..3], [19, -40]);
    }

    #[test]
    fn a_short_sound_has_a_peak_a_sample_and_ends_with_the_silence_that_is_asked() {
        let short = drawing(16, 1, 0.0);
        assert_eq!(short.peaks(&gathered(&short, &[256, -256, 512], 2)).data, [1, 1, -1, -1, 2, 2]);
        let longer = drawing(16, 1, 0.05);
        assert_eq!(longer.peaks(&gathered(&longer, &[256], 2)).data, [1, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(Gatherer::new(longer.sound, 16, 1.0, &|_| {}).finish(), None);
    }

    #[test]
    fn channels_in_opposite_phase_are_not_silence() {
        let both = Drawing { channels: WaveformChannels::Mono, ..drawing(16, 2, 0.0) };
        assert_eq!(both.peaks(&gathered(&both, &[12_800, -12_800], 4)).data, [-50, 50]);
    }
}
