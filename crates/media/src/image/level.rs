//! What a level means to each encoder.

use reelhook_domain::recipe::Level;

/// How a lossy encoder is set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Settings {
    pub(crate) jpeg_quality: f32,
    /// Whether a source without chroma subsampling stays so.
    pub(crate) keep_chroma: bool,
    pub(crate) webp_quality: f32,
    /// 0 is fast, 6 is small.
    pub(crate) webp_method: i32,
    /// Whether the lossless codec is used because the source does.
    pub(crate) webp_lossless: bool,
    /// 100 is exact.
    pub(crate) webp_near_lossless: i32,
    pub(crate) avif_quality: f32,
    /// 1 is slow, 10 is fast.
    pub(crate) avif_speed: u8,
    pub(crate) png_preset: u8,
    /// How far a palette may be from the source, in dB; `None` is never.
    pub(crate) png_palette_floor: Option<f64>,
    pub(crate) png_colors: usize,
    pub(crate) gif_colors: usize,
    /// Pixels that change by less than this stay as they are.
    pub(crate) gif_tolerance: u8,
}

/// The settings of a level.
pub(crate) const fn settings(level: Level) -> Settings {
    match level {
        Level::Medium => Settings {
            jpeg_quality: 85.0,
            keep_chroma: true,
            webp_quality: 85.0,
            webp_method: 4,
            webp_lossless: false,
            webp_near_lossless: 100,
            avif_quality: 78.0,
            avif_speed: 7,
            png_preset: 2,
            png_palette_floor: None,
            png_colors: 256,
            gif_colors: 256,
            gif_tolerance: 0,
        },
        Level::High => Settings {
            jpeg_quality: 75.0,
            keep_chroma: false,
            webp_quality: 75.0,
            webp_method: 4,
            webp_lossless: false,
            webp_near_lossless: 60,
            avif_quality: 62.0,
            avif_speed: 7,
            png_preset: 2,
            png_palette_floor: Some(40.0),
            png_colors: 256,
            gif_colors: 256,
            gif_tolerance: 4,
        },
        Level::Ultra => Settings {
            jpeg_quality: 60.0,
            keep_chroma: false,
            webp_quality: 58.0,
            webp_method: 5,
            webp_lossless: false,
            webp_near_lossless: 40,
            avif_quality: 45.0,
            avif_speed: 6,
            png_preset: 4,
            png_palette_floor: Some(34.0),
            png_colors: 256,
            gif_colors: 96,
            gif_tolerance: 10,
        },
    }
}

/// The last step of [`Settings::lowered`].
pub(crate) const LOWEST: u32 = 31;

impl Settings {
    /// The same, lowered by `step` of [`LOWEST`] steps: for results that have to become smaller than the level makes them.
    pub(crate) fn lowered(self, step: u32) -> Self {
        if step == 0 {
            return self;
        }
        let share = step.min(LOWEST) as f32 / LOWEST as f32;
        let toward = |quality: f32, least: f32| quality - (quality - least).max(0.0) * share;
        let colors = 256 - 6 * step.min(LOWEST) as usize;
        Self {
            jpeg_quality: toward(self.jpeg_quality, 3.0).round(),
            keep_chroma: false,
            webp_quality: toward(self.webp_quality, 1.0),
            webp_lossless: false,
            avif_quality: toward(self.avif_quality, 4.0),
            // The cap rules: the palette may show.
            png_palette_floor: Some(0.0),
            png_colors: colors,
            gif_colors: self.gif_colors.min(colors),
            gif_tolerance: self.gif_tolerance.saturating_add(step as u8),
            ..self
        }
    }
}
