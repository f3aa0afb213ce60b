//! What was seen while a clip's mattes were made.

use serde::{Deserialize, Serialize};

/// Share of the frame below which a subject is none, of all its pixels.
const NOTHING: f64 = 0.002;

/// What the mattes of a clip were like. All are shares of 0 to 1, but for the counts; 0 where there was no frame.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MatteReport {
    /// Frames that were looked at.
    pub frames: u64,
    /// The smallest share of a frame that the subject took.
    pub min_subject: f64,
    /// The mean share of a frame that the subject took.
    pub mean_subject: f64,
    /// The share of frames without a subject.
    pub without_subject: f64,
    /// How sure the model was, on average: 1 where each pixel was all subject or all background, 0 where each was half.
    pub mean_confidence: f64,
    /// The mean share of a frame that is neither all subject nor all background.
    pub mean_band: f64,
    /// Frames on which another scene began.
    pub cuts: u64,
}

/// Sums of what makes a report.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    frames: u64,
    least: Option<f64>,
    subject: f64,
    without: u64,
    confidence: f64,
    band: f64,
    cuts: u64,
}

/// One frame of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// The subject's share of the frame.
    pub(super) subject: f64,
    pub(super) confidence: f64,
    /// The share of the frame that is neither clear nor opaque.
    pub(super) band: f64,
    pub(super) cut: bool,
}

impl Tally {
    pub(super) fn add(&mut self, seen: Seen) {
        self.frames += 1;
        self.least = Some(self.least.map_or(seen.subject, |least| least.min(seen.subject)));
        self.subject += seen.subject;
        self.without += u64::from(seen.subject < NOTHING);
        self.confidence += seen.confidence;
        self.band += seen.band;
        self.cuts += u64::from(seen.cut);
    }

    pub(super) fn report(&self) -> MatteReport {
        let frames = self.frames.max(1) as f64;
        MatteReport {
            frames: self.frames,
            min_subject: self.least.unwrap_or_default(),
            mean_subject: self.subject / frames,
            without_subject: self.without as f64 / frames,
            mean_confidence: self.confidence / frames,
            mean_band: self.band / frames,
            cuts: self.cuts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_frame_is_all_zeros_and_frames_are_averaged() {
        assert_eq!(Tally::default().report(), MatteReport::default());
        let mut tally = Tally::default();
        tally.add(Seen { subject: 0.5, confidence: 1.0, band: 0.1, cut: false });
        tally.add(Seen { subject: 0.001, confidence: 0.5, band: 0.3, cut: true });
        let report = tally.report();
        assert_eq!((report.frames, report.cuts), (2, 1));
        assert_eq!((report.min_subject, report.without_subject, report.mean_confidence), (0.001, 0.5, 0.75));
        assert!((report.mean_band - 0.2).abs() < 1e-9 && (report.mean_subject - 0.2505).abs() < 1e-9);
    }
}
