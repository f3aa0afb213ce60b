//! Loudness over time, and how far two of them are apart.

/// Samples a second of what is compared.
pub(super) const RATE: u32 = 8_000;
/// Samples of a window: twenty milliseconds.
const WINDOW: usize = 160;
/// How far a product may be shifted against its source: a hundred milliseconds, in windows.
const SHIFT: usize = 5;
/// How far a shift is looked for: half a second.
const FARTHEST: usize = 25;
/// What is this much fainter than the loudest window is as good as silence, in decibels.
const DEPTH: f64 = 40.0;
/// The faintest that is told from silence, in decibels below full scale.
const FAINTEST: f64 = -65.0;
/// The mean difference that is still the same sound, in decibels: lossy codecs at their lowest usual rates come to 1.5.
const APART: f64 = 3.0;
/// A stretch that is told from a short fault of a codec: half a second, in windows.
const STRETCH: usize = 25;
/// The mean difference of the worst stretch that is still the same sound, in decibels.
const STRETCH_APART: f64 = 14.0;
/// A difference that a better shift may explain.
const UNSURE: f64 = 0.75;

/// What comparing came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Difference {
    /// The mean difference at the best shift that is allowed, in decibels.
    pub(super) decibels: f64,
    /// The same over the worst half second.
    pub(super) worst: f64,
    /// The shift that fits much better, in seconds, where there is one that is not allowed.
    pub(super) shift: Option<f64>,
}

impl Difference {
    pub(super) fn is_the_same(self) -> bool {
        self.decibels <= APART && self.worst <= STRETCH_APART && self.shift.is_none()
    }
}

/// The loudness of each window in decibels, from samples between -1 and 1.
pub(super) fn loudness(samples: &[f32], beyond_full_scale: bool) -> Vec<f64> {
    let level = |window: &[f32]| {
        let bounded = |&sample: &f32| f64::from(if beyond_full_scale { sample } else { sample.clamp(-1.0, 1.0) });
        let power = window.iter().map(bounded).map(|sample| sample * sample).sum::<f64>() / window.len() as f64;
        10.0 * power.max(1e-12).log10()
    };
    samples.chunks_exact(WINDOW).map(level).collect()
}

/// How far the loudness of a product is from that of its source. `None` where there is too little to compare.
pub(super) fn difference(source: &[f64], product: &[f64]) -> Option<Difference> {
    if source.len().min(product.len()) < 2 * SHIFT {
        return None;
    }
    let loudest = source.iter().chain(product).copied().fold(f64::MIN, f64::max);
    let floor = (loudest - DEPTH).max(FAINTEST);
    let differences = |shift: isize| -> Vec<f64> {
        let (from_source, from_product) = (usize::try_from(-shift).unwrap_or(0), usize::try_from(shift).unwrap_or(0));
        let pairs = source.iter().skip(from_source).zip(product.iter().skip(from_product));
        pairs.map(|(a, b)| (a.max(floor) - b.max(floor)).abs()).collect()
    };
    let mean = |differences: &[f64]| {
        if differences.is_empty() { f64::MAX } else { differences.iter().sum::<f64>() / differences.len() as f64 }
    };
    let apart = |shift: isize| mean(&differences(shift));
    let (allowed, farthest) = (SHIFT as isize, FARTHEST.min(source.len().min(product.len()) / 2) as isize);
    let fitting = (-allowed..=allowed).map(|shift| (apart(shift), shift)).min_by(|a, b| a.0.total_cmp(&b.0));
    let (decibels, fitting) = fitting?;
    let worst = differences(fitting).windows(STRETCH).map(mean).fold(0.0, f64::max);
    let others = (-farthest..=farthest).filter(|shift| shift.abs() > allowed + 1);
    let best = others.map(|shift| (apart(shift), shift)).min_by(|a, b| a.0.total_cmp(&b.0));
    let better = best.filter(|(apart, _)| decibels > UNSURE && *apart < decibels * 0.4);
    let shift = better.map(|(_, shift)| shift as f64 * WINDOW as f64 / f64::from(RATE));
    Some(Difference { decibels, worst, shift })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bursts of different loudness and length, as in speech.
    fn speech() -> Vec<f32> {
        let mut state = 1_u32;
        let mut random = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(state >> 8) / f64::from(1 << 24)
        };
        let mut samples = Vec::new();
        while samples.len() < 5 * RATE as usize {
            let (length, level) = (300 + (random() * 2500.0) as usize, random() * random());
            samples.extend((0..length).map(|_| ((random() * 2.0 - 1.0) * level) as f32));
        }
        samples
    }

    fn compare(change: impl FnOnce(&[f32]) -> Vec<f32>) -> Difference {
        let source = speech();
        let product = change(&source);
        difference(&loudness(&source, false), &loudness(&product, false)).expect("enough to compare")
    }

    #[test]
    fn what_is_heard_as_the_same_passes() {
        assert!(compare(<[f32]>::to_vec).is_the_same());
        assert!(compare(|samples| samples.iter().map(|sample| sample * 0.9 + 0.0005).collect()).is_the_same());
        let late = |seconds: f64| {
            move |samples: &[f32]| [&vec![0.0; (seconds * f64::from(RATE)) as usize][..], samples].concat()
        };
        assert!(compare(late(0.03)).is_the_same());
        assert!(compare(late(0.08)).is_the_same());
    }

    #[test]
    fn silence_noise_clipping_speed_and_shifts_are_noticed() {
        let fails = |name: &str, change: fn(&[f32]) -> Vec<f32>| {
            let found = compare(change);
            assert!(!found.is_the_same(), "{name}: {found:?}");
        };
        fails("silence", |samples| vec![0.0; samples.len()]);
        fails("clipped", |samples| samples.iter().map(|sample| (sample * 6.0).clamp(-1.0, 1.0)).collect());
        fails("half as loud", |samples| samples.iter().map(|sample| sample * 0.5).collect());
        fails("half speed", |samples| samples.iter().flat_map(|&sample| [sample, sample]).collect());
        fails("backwards", |samples| samples.iter().rev().copied().collect());
        fails("200 ms late", |samples| [&[0.0; 1600][..], samples].concat());
        fails("400 ms early", |samples| samples[3200..].to_vec());
        fails("a hole", |samples| {
            let mut holed = samples.to_vec();
            holed[8000..24_000].fill(0.0);
            holed
        });
    }

    #[test]
    fn silence_is_like_silence_and_not_like_sound() {
        let silence = loudness(&[0.0; 16_000], false);
        assert!(difference(&silence, &silence).expect("enough").is_the_same());
        let faint: Vec<f32> = speech().iter().map(|sample| sample * 0.01).collect();
        assert!(!difference(&silence, &loudness(&faint, false)).expect("enough").is_the_same());
        assert_eq!(difference(&silence[..3], &silence), None);
    }
}
