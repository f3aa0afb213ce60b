//! One model, ready to run.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rten::{Dimension, NodeId, RunOptions, ThreadPool, Value, ValueOrView};
use rten_tensor::prelude::*;
use rten_tensor::{Layout as _, NdTensor, Tensor};
use sha2::{Digest as _, Sha256};

use super::card::{Card, Layout, Order};
use super::is_name;
use super::plane::Plane;

/// Side of the pictures for a model that takes any and whose card says nothing.
const USUAL_SIDE: u32 = 512;

/// Why a model cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// There is none of that name.
    #[error("no model {0} is installed")]
    Missing(String),
    /// Its file or its card cannot be used. For the operator.
    #[error("the model {name} cannot be used: {why}")]
    Broken {
        /// The model.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// The machine failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What tells a subject from its background in a picture of its own size.
pub(super) trait Net: Send + std::fmt::Debug {
    /// Width and height of the pictures that it takes.
    fn size(&self) -> (u32, u32);
    /// Looks at one picture: three bytes a pixel, red, green, blue.
    fn run(&mut self, picture: &[u8]) -> Result<Answer, ModelError>;
    /// Forgets the frames before, where it remembers any.
    fn forget(&mut self);
}

/// What a net says of a picture.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// 0 background to 1 subject.
    pub(super) matte: Plane,
    /// The subject's own colours: planes of red, green and blue, 0 to 1.
    pub(super) foreground: Option<[Plane; 3]>,
}

/// A model with its card.
pub(super) struct Model {
    name: String,
    model: rten::Model,
    card: Card,
    input: NodeId,
    /// The matte, the foreground where there is one, the recurrent ones.
    outputs: Vec<NodeId>,
    /// What goes in beside the picture: numbers, and what came out for the frame before.
    beside: Vec<(NodeId, Tensor<f32>)>,
    recurrent: Vec<(NodeId, Tensor<f32>)>,
    size: (u32, u32),
    options: RunOptions,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model").field("name", &self.name).field("size", &self.size).finish_non_exhaustive()
    }
}

/// Reads the card of a model; one that says nothing where there is none.
pub(super) fn card(folder: &Path, name: &str) -> Result<Card, ModelError> {
    if !is_name(name) {
        return Err(ModelError::Missing(name.to_owned()));
    }
    match std::fs::read_to_string(folder.join(format!("{name}.toml"))) {
        Ok(text) => Card::read(&text)
            .map_err(|why| ModelError::Broken { name: name.to_owned(), why: format!("{name}.toml: {why}") }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Card::default()),
        Err(error) => Err(error.into()),
    }
}

/// Reads a file of a model, which must have that SHA-256 where one is said.
pub(super) fn file(folder: &Path, name: &str, ending: &str, sha256: Option<&str>) -> Result<Vec<u8>, ModelError> {
    let bytes = match std::fs::read(folder.join(format!("{name}.{ending}"))) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(ModelError::Missing(name.to_owned())),
        other => other?,
    };
    match sha256 {
        Some(sha256) if !is_of(&bytes, sha256) => {
            let why = format!("{name}.{ending} is not the file that was installed: its SHA-256 is another");
            Err(ModelError::Broken { name: name.to_owned(), why })
        }
        _ => Ok(bytes),
    }
}

/// Whether those bytes have that SHA-256.
pub(super) fn is_of(bytes: &[u8], sha256: &str) -> bool {
    hex::encode(Sha256::digest(bytes)).eq_ignore_ascii_case(sha256)
}

impl Model {
    /// Reads `NAME.onnx` and its card. Takes as long as the file is large.
    pub(super) fn load(folder: &Path, name: &str) -> Result<Self, ModelError> {
        let card = card(folder, name)?;
        let bytes = file(folder, name, "onnx", card.sha256.as_deref())?;
        Self::of(name, bytes, card)
    }

    /// A model out of the bytes of an ONNX file.
    pub(super) fn of(name: &str, bytes: Vec<u8>, card: Card) -> Result<Self, ModelError> {
        let broken = |why: String| ModelError::Broken { name: name.to_owned(), why };
        let model = rten::Model::load(bytes).map_err(|error| broken(error.to_string()))?;
        Self::wired(name, model, card).map_err(broken)
    }

    fn wired(name: &str, model: rten::Model, card: Card) -> Result<Self, String> {
        let output = |output: &String| model.node_id(output).map_err(|_| format!("it has no output {output}"));
        let input = |input: &String| {
            let node = model.node_id(input).ok().filter(|node| model.input_ids().contains(node));
            node.ok_or_else(|| format!("it has no input {input}"))
        };
        let mut outputs = vec![match &card.output {
            Some(name) => output(name)?,
            None => *model.output_ids().first().ok_or("it has no output")?,
        }];
        outputs.extend(card.foreground.iter().map(output).collect::<Result<Vec<_>, _>>()?);
        let mut beside = Vec::new();
        for (name, number) in &card.numbers {
            beside.push((input(name)?, Tensor::from_data(&[1], vec![*number])));
        }
        let mut recurrent = Vec::new();
        for [from, to] in &card.recurrent {
            outputs.push(output(from)?);
            let node = input(to)?;
            recurrent.push((node, nothing(&model, node)));
        }
        let taken = |node: &NodeId| beside.iter().chain(&recurrent).any(|(other, _)| other == node);
        let picture = match &card.input {
            Some(name) => input(name)?,
            None => {
                let mut free = model.input_ids().iter().filter(|node| !taken(node));
                *free.next().ok_or("it has no input for a picture")?
            }
        };
        let left = model.input_ids().iter().find(|node| !taken(node) && **node != picture);
        if let Some(left) = left {
            let name = model.node_info(*left).and_then(|node| node.name().map(ToOwned::to_owned)).unwrap_or_default();
            let count = model.input_ids().len();
            return Err(format!("it has {count} inputs, and its card does not say what goes into {name}"));
        }
        let size = size(&model, picture, &card)?;
        let options = RunOptions::default().with_thread_pool(Some(Arc::new(ThreadPool::with_num_threads(1))));
        let name = name.to_owned();
        Ok(Self { name, model, card, input: picture, outputs, beside, recurrent, size, options })
    }

    fn broken(&self, why: String) -> ModelError {
        ModelError::Broken { name: self.name.clone(), why }
    }

    fn picture(&self, picture: &[u8]) -> Tensor<f32> {
        let (width, height) = (self.size.0 as usize, self.size.1 as usize);
        let value = |pixel: &[u8], channel: usize| {
            let from = if self.card.order == Order::Rgb { channel } else { 2 - channel };
            (f32::from(pixel[from]) / 255.0 - self.card.mean[channel]) / self.card.std[channel]
        };
        let mut values = Vec::with_capacity(width * height * 3);
        match self.card.layout {
            Layout::Nchw => {
                for channel in 0..3 {
                    values.extend(picture.as_chunks::<3>().0.iter().map(|pixel| value(pixel, channel)));
                }
                NdTensor::from_data([1, 3, height, width], values).into_dyn()
            }
            Layout::Nhwc => {
                for pixel in picture.as_chunks::<3>().0 {
                    values.extend((0..3).map(|channel| value(pixel, channel)));
                }
                NdTensor::from_data([1, height, width, 3], values).into_dyn()
            }
        }
    }

    fn plane(&self, made: &Tensor<f32>, channel: usize) -> Result<Plane, String> {
        let shape = made.shape().to_vec();
        let planes = self.card.layout == Layout::Nchw || shape.len() < 4;
        let order = if planes { "channels, height and width" } else { "height, width and channels" };
        let said = || format!("its output has the shape {shape:?}; it must end in {order}");
        let numbers = made.to_vec();
        let (height, width, values): (usize, usize, Vec<f32>) = match (&shape[..], planes) {
            (&[.., height, width], true) => {
                let plane = numbers.chunks_exact((height * width).max(1)).nth(channel).ok_or_else(said)?;
                (height, width, plane.to_vec())
            }
            (&[.., height, width, channels], false) if channel < channels => {
                (height, width, numbers.iter().skip(channel).step_by(channels).take(height * width).copied().collect())
            }
            _ => return Err(said()),
        };
        if height * width == 0 || height.max(width) > usize::from(u16::MAX) || values.len() != height * width {
            return Err(said());
        }
        Ok(Plane { width, height, values })
    }

    fn answer(&self, made: &[Tensor<f32>]) -> Result<Answer, String> {
        let mut matte = self.plane(&made[0], self.card.channel)?;
        let numbers = &mut matte.values;
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
        numbers.iter_mut().for_each(|number| *number = share(*number));
        let foreground = self.card.foreground.as_ref().map(|_| {
            let mut planes = [0, 1, 2].map(|channel| self.plane(&made[1], channel));
            if self.card.order == Order::Bgr {
                planes.reverse();
            }
            let [red, green, blue] = planes;
            Ok::<_, String>([red?, green?, blue?])
        });
        Ok(Answer { matte, foreground: foreground.transpose()? })
    }
}

/// A share of 0 to 1; what is not a number becomes 0.
pub(super) fn share(number: f32) -> f32 {
    if number.is_nan() { 0.0 } else { number.clamp(0.0, 1.0) }
}

impl Net for Model {
    fn size(&self) -> (u32, u32) {
        self.size
    }

    fn run(&mut self, picture: &[u8]) -> Result<Answer, ModelError> {
        let tensor = self.picture(picture);
        let beside = self.beside.iter().chain(&self.recurrent).map(|(node, tensor)| (*node, tensor.view().into()));
        let mut inputs: Vec<(NodeId, ValueOrView<'_>)> = vec![(self.input, tensor.view().into())];
        inputs.extend(beside);
        let made = self.model.run(inputs, &self.outputs, Some(self.options.clone()));
        let made = made.map_err(|error| self.broken(error.to_string()))?;
        let mut tensors = Vec::with_capacity(made.len());
        for value in made {
            let Value::FloatTensor(tensor) = value else {
                return Err(self.broken("its output is not a tensor of floating-point numbers".to_owned()));
            };
            tensors.push(tensor);
        }
        let answer = self.answer(&tensors).map_err(|why| self.broken(why))?;
        let remembered = tensors.len() - self.recurrent.len();
        for ((_, state), tensor) in self.recurrent.iter_mut().zip(tensors.drain(remembered..)) {
            *state = tensor;
        }
        Ok(answer)
    }

    fn forget(&mut self) {
        for (node, state) in &mut self.recurrent {
            *state = nothing(&self.model, *node);
        }
    }
}

/// What goes into a recurrent input before the first frame: zeros, of one pixel where any size will do.
fn nothing(model: &rten::Model, node: NodeId) -> Tensor<f32> {
    let sides = model.node_info(node).and_then(|node| node.shape()).unwrap_or_default();
    let sides = sides.iter().map(|side| if let Dimension::Fixed(side) = side { *side } else { 1 });
    let sides: Vec<usize> = sides.collect();
    Tensor::zeros(if sides.is_empty() { &[1; 4] } else { &sides })
}

/// What the card says, else what the model says, else the usual.
fn size(model: &rten::Model, input: NodeId, card: &Card) -> Result<(u32, u32), String> {
    let shape = model.node_info(input).and_then(|node| node.shape()).unwrap_or_default();
    let (order, places) = match card.layout {
        Layout::Nchw => ("one, channels, height, width", [1, 2, 3]),
        Layout::Nhwc => ("one, height, width, channels", [3, 1, 2]),
    };
    if !shape.is_empty() && shape.len() != 4 {
        return Err(format!("its input has {} dimensions; it must have 4: {order}", shape.len()));
    }
    if let Some(Dimension::Fixed(channels)) = shape.get(places[0]).filter(|channels| **channels != Dimension::Fixed(3))
    {
        return Err(format!("its input has {channels} channels; it must have 3: red, green, blue"));
    }
    let fixed = |at: usize| match shape.get(at) {
        Some(Dimension::Fixed(side)) => u32::try_from(*side).ok(),
        _ => None,
    };
    let (width, height) = (fixed(places[2]), fixed(places[1]));
    for (name, asked, own) in [("width", card.width, width), ("height", card.height, height)] {
        if let (Some(asked), Some(own)) = (asked, own)
            && asked != own
        {
            return Err(format!("its card says {name} {asked}; the model takes {own} alone"));
        }
    }
    Ok((card.width.or(width).unwrap_or(USUAL_SIDE), card.height.or(height).unwrap_or(USUAL_SIDE)))
}
