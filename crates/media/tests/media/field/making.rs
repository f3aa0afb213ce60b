//! Recipes that make something new of a source: watermarks, storyboards, previews, waveforms, loudness.

mod loudness;
mod preview;
mod sprite;
mod watermark;
mod waveform;
