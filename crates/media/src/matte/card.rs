//! What a model needs to know besides its file: `NAME.toml`. All of it may be left out.
//!
//! ```toml
//! sha256 = "8d13b7..."            # of NAME.onnx; another file is refused
//! whole_sha256 = "4aafe6..."      # of NAME.whole.onnx, a second model for looks at the whole frame; without it there is none
//! licence = "Apache-2.0"          # under which it came
//! source = "selfie_segmentation"  # from where
//! width = 320                     # size of the pictures that it takes; its own where the model says one
//! height = 320
//! layout = "nchw"                 # whether channels are planes (nchw) or each pixel has its own (nhwc)
//! order = "rgb"                   # order of the channels: rgb or bgr
//! mean = [0.485, 0.456, 0.406]    # taken from each channel, whose values are 0 to 1
//! std = [0.229, 0.224, 0.225]     # by which it is divided then
//! input = "src"                   # which of its inputs is the picture; the only one, or the one of no other use
//! output = "d0"                   # which of its outputs is the matte; the first one
//! channel = 0                     # which of that output's channels
//! foreground = "fgr"              # an output with the subject's own colours, where it has one
//! recurrent = [["r1o", "r1i"]]    # outputs that go into inputs of the next frame
//! numbers = { downsample_ratio = 0.4 }  # inputs that are one number
//! sigmoid = false                 # whether its numbers have to be brought to 0 to 1 first
//! stretch = false                 # whether the smallest number of a frame becomes 0 and the largest 1
//! kind = "mask"                   # mask: which pixels; matte: how much of each, with soft edges that are kept as they are
//! looks = "tracked"               # whole: at the whole frame; tracked: at the part where the subject is
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Longest side of the pictures that a model takes, in pixels.
const LARGEST: u32 = 4096;

/// How pictures are brought into a model and mattes out of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Card {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) whole_sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) licence: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) height: Option<u32>,
    pub(super) layout: Layout,
    pub(super) order: Order,
    pub(super) mean: [f32; 3],
    pub(super) std: [f32; 3],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) input: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) output: Option<String>,
    pub(super) channel: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) foreground: Option<String>,
    pub(super) recurrent: Vec<[String; 2]>,
    pub(super) sigmoid: bool,
    pub(super) stretch: bool,
    pub(super) kind: Kind,
    pub(super) looks: Looks,
    // A table, which TOML wants at the end.
    pub(super) numbers: BTreeMap<String, f32>,
}

/// Where the channels of a pixel are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Layout {
    #[default]
    Nchw,
    Nhwc,
}

/// In which order they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Order {
    #[default]
    Rgb,
    Bgr,
}

/// What a model answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// Which pixels are subject; what is in between is doubt, and edges are coarse.
    #[default]
    Mask,
    /// How much of each pixel is subject.
    Matte,
}

/// What a model looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Looks {
    /// The whole frame.
    #[default]
    Whole,
    /// The part where the subject is, and the whole frame now and then.
    Tracked,
}

impl Default for Card {
    fn default() -> Self {
        Self {
            sha256: None,
            whole_sha256: None,
            licence: None,
            source: None,
            width: None,
            height: None,
            layout: Layout::default(),
            order: Order::default(),
            mean: [0.0; 3],
            std: [1.0; 3],
            input: None,
            output: None,
            channel: 0,
            foreground: None,
            recurrent: Vec::new(),
            sigmoid: false,
            stretch: false,
            kind: Kind::default(),
            looks: Looks::default(),
            numbers: BTreeMap::new(),
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
        for (name, hash) in [("sha256", &card.sha256), ("whole_sha256", &card.whole_sha256)] {
            if hash.as_ref().is_some_and(|hash| hash.len() != 64 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()))
            {
                return Err(format!("{name} must be 64 hexadecimal digits"));
            }
        }
        if card.looks == Looks::Tracked && !card.recurrent.is_empty() {
            return Err(
                "looks is tracked, but a model with recurrent inputs must look at the whole of each frame".to_owned()
            );
        }
        Ok(card)
    }

    /// Whether pictures go in and mattes come out as they are.
    pub(super) fn is_plain(&self) -> bool {
        let Self { mean, std, order, sigmoid, stretch, channel, .. } = self;
        (*mean, *std, *order, *sigmoid, *stretch, *channel) == ([0.0; 3], [1.0; 3], Order::Rgb, false, false, 0)
    }

    /// As text, as it is read.
    pub(super) fn write(&self) -> Result<String, String> {
        toml::to_string(self).map_err(|error| error.to_string())
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
    fn what_is_written_is_read() {
        let card = Card {
            sha256: Some("a".repeat(64)),
            licence: Some("MIT".to_owned()),
            layout: Layout::Nhwc,
            order: Order::Bgr,
            recurrent: vec![["r1o".to_owned(), "r1i".to_owned()]],
            kind: Kind::Matte,
            numbers: BTreeMap::from([("downsample_ratio".to_owned(), 0.5)]),
            ..Card::default()
        };
        assert_eq!(Card::read(&card.write().unwrap()).unwrap(), card);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (text, word) in [
            ("wdith = 1", "wdith"),
            ("width = 0", "width"),
            ("std = [1, 0, 1]", "std"),
            ("sha256 = 'x'", "sha256"),
            ("whole_sha256 = 'ab'", "whole_sha256"),
            ("kind = 'soft'", "soft"),
            ("order = 'rbg'", "rbg"),
            ("layout = 'hwc'", "hwc"),
            ("looks = 'tracked'\nrecurrent = [['a', 'b']]", "recurrent"),
        ] {
            assert!(Card::read(text).unwrap_err().contains(word), "{text}");
        }
    }
}
