//! One model, ready to run.

use std::io;
use std::path::Path;

use rten::{Dimension, NodeId, Value};
use rten_tensor::prelude::*;
use rten_tensor::{NdTensor, Tensor};

use super::card::Card;
use super::is_name;

/// Side of the pictures for a model that takes any and whose card says nothing.
const USUAL_SIDE: u32 = 512;

/// Why a model cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ModelError {
    /// There is none of that name.
    #[error("no model {0} is installed")]
    Missing(String),
    /// Its file or its card cannot be used. For the operator.
    #[error("the model {name} cannot be used: {why}")]
    Broken { name: String, why: String },
    /// The machine failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A matte: a byte for each pixel, 0 background to 255 subject, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grey {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) pixels: Vec<u8>,
}

/// A model with its card.
pub(crate) struct Model {
    name: String,
    model: rten::Model,
    card: Card,
    input: NodeId,
    output: NodeId,
    size: (u32, u32),
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model").field("name", &self.name).field("size", &self.size).finish_non_exhaustive()
    }
}

impl Model {
    /// Reads `NAME.onnx` and its card. Takes as long as the file is large.
    pub(crate) fn load(folder: &Path, name: &str) -> Result<Self, ModelError> {
        if !is_name(name) {
            return Err(ModelError::Missing(name.to_owned()));
        }
        let broken = |why: String| ModelError::Broken { name: name.to_owned(), why };
        let bytes = match std::fs::read(folder.join(format!("{name}.onnx"))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(ModelError::Missing(name.to_owned())),
            other => other?,
        };
        let card = match std::fs::read_to_string(folder.join(format!("{name}.toml"))) {
            Ok(text) => Card::read(&text).map_err(|why| broken(format!("{name}.toml: {why}")))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Card::default(),
            Err(error) => return Err(error.into()),
        };
        let model = rten::Model::load(bytes).map_err(|error| broken(error.to_string()))?;
        let input = *model.input_ids().first().ok_or_else(|| broken("it has no input".to_owned()))?;
        let output = match &card.output {
            Some(output) => model.node_id(output).map_err(|_| broken(format!("it has no output {output}")))?,
            None => *model.output_ids().first().ok_or_else(|| broken("it has no output".to_owned()))?,
        };
        let size = size(&model, &card).map_err(broken)?;
        Ok(Self { name: name.to_owned(), model, card, input, output, size })
    }

    /// Width and height of the pictures that it takes.
    pub(crate) const fn size(&self) -> (u32, u32) {
        self.size
    }

    /// The matte of one picture of [`Model::size`], three bytes a pixel: red, green, blue.
    pub(crate) fn matte(&self, picture: &[u8]) -> Result<Grey, ModelError> {
        let broken = |why: String| ModelError::Broken { name: self.name.clone(), why };
        let (width, height) = (self.size.0 as usize, self.size.1 as usize);
        let mut values = vec![0.0_f32; width * height * 3];
        for (channel, plane) in values.chunks_exact_mut(width * height).enumerate() {
            let (mean, std) = (self.card.mean[channel], self.card.std[channel]);
            for (value, pixel) in plane.iter_mut().zip(picture.chunks_exact(3)) {
                *value = (f32::from(pixel[channel]) / 255.0 - mean) / std;
            }
        }
        let tensor = NdTensor::from_data([1, 3, height, width], values);
        let run = self.model.run(vec![(self.input, tensor.view().into())], &[self.output], None);
        let value = run.map_err(|error| broken(error.to_string()))?.pop();
        let Some(Value::FloatTensor(matte)) = value else {
            return Err(broken("its output is not a tensor of floating-point numbers".to_owned()));
        };
        self.grey(&matte).map_err(broken)
    }

    fn grey(&self, matte: &Tensor<f32>) -> Result<Grey, String> {
        let shape = matte.shape().to_vec();
        let said = || format!("its output has the shape {shape:?}; it must end in channels, height and width");
        let &[.., height, width] = &shape[..] else { return Err(said()) };
        let area = height * width;
        let (Ok(width), Ok(height)) = (u32::try_from(width), u32::try_from(height)) else { return Err(said()) };
        let numbers = matte.to_vec();
        let plane = numbers.chunks_exact(area.max(1)).nth(self.card.channel).filter(|_| area > 0).ok_or_else(said)?;
        let mut numbers = plane.to_vec();
        if self.card.sigmoid {
            numbers.iter_mut().for_each(|number| *number = 1.0 / (1.0 + (-*number).exp()));
        }
        if self.card.stretch {
            let low = numbers.iter().copied().fold(f32::INFINITY, f32::min);
            let high = numbers.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            if high > low {
                numbers.iter_mut().for_each(|number| *number = (*number - low) / (high - low));
            }
        }
        // What is not a number becomes 0.
        let pixels = numbers.iter().map(|number| (number.clamp(0.0, 1.0) * 255.0).round() as u8).collect();
        Ok(Grey { width, height, pixels })
    }
}

/// What the card says, else what the model says, else the usual.
fn size(model: &rten::Model, card: &Card) -> Result<(u32, u32), String> {
    let shape = model.input_shape(0).unwrap_or_default();
    if !shape.is_empty() && shape.len() != 4 {
        return Err(format!("its input has {} dimensions; it must have 4: one, channels, height, width", shape.len()));
    }
    if let Some(Dimension::Fixed(channels)) = shape.get(1).filter(|channels| **channels != Dimension::Fixed(3)) {
        return Err(format!("its input has {channels} channels; it must have 3: red, green, blue"));
    }
    let fixed = |at: usize| match shape.get(at) {
        Some(Dimension::Fixed(side)) => u32::try_from(*side).ok(),
        _ => None,
    };
    let (width, height) = (fixed(3), fixed(2));
    for (name, asked, own) in [("width", card.width, width), ("height", card.height, height)] {
        if let (Some(asked), Some(own)) = (asked, own)
            && asked != own
        {
            return Err(format!("its card says {name} {asked}; the model takes {own} alone"));
        }
    }
    Ok((card.width.or(width).unwrap_or(USUAL_SIDE), card.height.or(height).unwrap_or(USUAL_SIDE)))
}
