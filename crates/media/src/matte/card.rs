//! What a model needs to know besides its file: `NAME.toml`. All of it may be left out.
//!
//! ```toml
//! width = 320                     # size of the pictures that it takes; its own where the model says one
//! height = 320
//! mean = [0.485, 0.456, 0.406]    # taken from each channel, whose values are 0 to 1
//! std = [0.229, 0.224, 0.225]     # by which it is divided then
//! output = "d0"                   # which of its outputs is the matte; the first one
//! channel = 0                     # which of that output's channels
//! sigmoid = false                 # whether its numbers have to be brought to 0 to 1 first
//! stretch = false                 # whether the smallest number of a frame becomes 0 and the largest 1
//! ```

use serde::Deserialize;

/// Longest side of the pictures that a model takes, in pixels.
const LARGEST: u32 = 4096;

/// How pictures are brought into a model and mattes out of it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Card {
    pub(super) width: Option<u32>,
    pub(super) height: Option<u32>,
    pub(super) mean: [f32; 3],
    pub(super) std: [f32; 3],
    pub(super) output: Option<String>,
    pub(super) channel: usize,
    pub(super) sigmoid: bool,
    pub(super) stretch: bool,
}

impl Default for Card {
    fn default() -> Self {
        Self {
            width: None,
            height: None,
            mean: [0.0; 3],
            std: [1.0; 3],
            output: None,
            channel: 0,
            sigmoid: false,
            stretch: false,
        }
    }
}

impl Card {
    /// Reads a card; the error says what is wrong with it.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let card: Self = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        for (name, side) in [("width", card.width), ("height", card.height)] {
            if let Some(side) = side.filter(|side| !(1..=LARGEST).contains(side)) {
                return Err(format!("{name} is {side}; it must be 1 to {LARGEST}"));
            }
        }
        let usable = |numbers: [f32; 3]| numbers.iter().all(|number| number.is_finite());
        if !usable(card.mean) || !usable(card.std) || card.std.contains(&0.0) {
            return Err("mean and std must be finite numbers, std not 0".to_owned());
        }
        Ok(card)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_said_is_numbers_from_0_to_1() {
        assert_eq!(Card::read("").unwrap(), Card::default());
        assert_eq!(Card::read("width = 320\nstd = [0.5, 0.5, 0.5]").unwrap().width, Some(320));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (text, word) in [("wdith = 1", "wdith"), ("width = 0", "width"), ("std = [1, 0, 1]", "std")] {
            assert!(Card::read(text).unwrap_err().contains(word), "{text}");
        }
    }
}
