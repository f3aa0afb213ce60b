//! Recipes that make something new of a source: watermarks, storyboards, previews, waveforms, loudness.

mod loudness;
mod sprite;
mod waveform;
