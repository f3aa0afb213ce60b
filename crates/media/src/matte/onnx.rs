//! Writes a net as an ONNX file: the few messages of Protocol Buffers that it takes.
//!
//! Our pictures are rows of pixels, those of ONNX planes of channels, so weights are put into the other order.
//!
//! # Source
//! ONNX's `onnx.proto` for the numbers of the fields, and its operators of set 17; the wire format of Protocol Buffers, of
//! which two kinds are used: numbers of variable length and what has a length.

use super::graph::{Activation, Corners, Graph, Kernel, Kind, Shape, Step};

/// The names of what goes in and comes out.
const INPUT: &str = "picture";
const OUTPUT: &str = "matte";

/// The file of a net.
pub(super) fn write(graph: &Graph) -> Vec<u8> {
    let mut writer = Writer { graph, nodes: Vec::new(), weights: Vec::new() };
    for (place, step) in graph.steps.iter().enumerate() {
        writer.step(place, step);
    }
    let mut body = writer.nodes;
    body.extend(message(2, b"matte"));
    body.extend(writer.weights);
    body.extend(message(11, &value(INPUT, graph.values[0])));
    body.extend(message(12, &value(OUTPUT, graph.values[graph.output])));
    let operators = [message(1, b""), number(2, 17)].concat();
    [number(1, 8), message(2, b"reelhook"), message(7, &body), message(8, &operators)].concat()
}

struct Writer<'a> {
    graph: &'a Graph,
    nodes: Vec<u8>,
    weights: Vec<u8>,
}

impl Writer<'_> {
    fn name(&self, value: usize) -> String {
        match value {
            0 => INPUT.to_owned(),
            value if value == self.graph.output => OUTPUT.to_owned(),
            value => format!("v{value}"),
        }
    }

    fn step(&mut self, place: usize, step: &Step) {
        let output = self.name(step.output);
        // A step and what is done to its numbers are two nodes.
        let whole = matches!(step.kind, Kind::Pass) || step.then == Activation::None;
        let made = if whole { output.clone() } else { format!("s{place}") };
        let inputs: Vec<String> = step.inputs.iter().map(|&input| self.name(input)).collect();
        match &step.kind {
            Kind::Convolution(kernel) => {
                let channels = self.graph.values[step.inputs[0]].channels;
                let sides = [kernel.bias.len(), channels, kernel.height, kernel.width];
                let weights = planes(&kernel.weights, kernel.bias.len(), kernel.height * kernel.width, channels);
                self.convolution("Conv", place, kernel, (sides, weights), (&inputs[0], &made), 1);
            }
            Kind::Depthwise(kernel) => {
                let channels = kernel.bias.len();
                let sides = [channels, 1, kernel.height, kernel.width];
                let weights = planes(&kernel.weights, 1, kernel.height * kernel.width, channels);
                self.convolution("Conv", place, kernel, (sides, weights), (&inputs[0], &made), channels);
            }
            Kind::Transposed(kernel) => {
                let (outputs, area) = (kernel.bias.len(), kernel.height * kernel.width);
                let channels = self.graph.values[step.inputs[0]].channels;
                let sides = [channels, outputs, kernel.height, kernel.width];
                let weights = planes(&kernel.weights, 1, outputs * area, channels);
                self.convolution("ConvTranspose", place, kernel, (sides, weights), (&inputs[0], &made), 1);
            }
            Kind::Add => self.node("Add", &inputs, &made, &[]),
            Kind::Multiply => self.node("Mul", &inputs, &made, &[]),
            Kind::Mean => self.node("GlobalAveragePool", &inputs, &made, &[]),
            Kind::Resize(corners) => {
                let Shape { height, width, channels } = self.graph.values[step.output];
                let sides = format!("size{place}");
                let numbers: Vec<u8> =
                    [1, channels, height, width].iter().flat_map(|&side| (side as u64).to_le_bytes()).collect();
                self.weights.extend(message(5, &tensor(&sides, &[4], 7, &numbers)));
                let corners = match corners {
                    Corners::HalfPixel => "half_pixel",
                    Corners::Aligned => "align_corners",
                    Corners::Asymmetric => "asymmetric",
                };
                let attributes = [word("mode", "linear"), word("coordinate_transformation_mode", corners)];
                let empty = String::new();
                self.node("Resize", &[inputs[0].clone(), empty.clone(), empty, sides], &made, &attributes);
            }
            Kind::Pass => {}
        }
        let before = if matches!(step.kind, Kind::Pass) { inputs[0].clone() } else { made };
        match step.then {
            Activation::None if matches!(step.kind, Kind::Pass) => self.node("Identity", &[before], &output, &[]),
            Activation::None => {}
            Activation::Relu => self.node("Relu", &[before], &output, &[]),
            Activation::HardSwish => self.node("HardSwish", &[before], &output, &[]),
            Activation::Logistic => self.node("Sigmoid", &[before], &output, &[]),
            Activation::Relu6 => {
                let bounds = [format!("low{place}"), format!("high{place}")];
                for (name, bound) in bounds.iter().zip([0.0_f32, 6.0]) {
                    self.weights.extend(message(5, &tensor(name, &[], 1, &bound.to_le_bytes())));
                }
                let [low, high] = bounds;
                self.node("Clip", &[before, low, high], &output, &[]);
            }
        }
    }

    fn convolution(
        &mut self,
        operator: &str,
        place: usize,
        kernel: &Kernel,
        (sides, weights): ([usize; 4], Vec<f32>),
        (from, to): (&str, &str),
        groups: usize,
    ) {
        let names = [format!("w{place}"), format!("b{place}")];
        self.floats(&names[0], &sides, &weights);
        self.floats(&names[1], &[kernel.bias.len()], &kernel.bias);
        let attributes = [
            numbers("kernel_shape", &[kernel.height, kernel.width]),
            numbers("strides", &[kernel.stride.0, kernel.stride.1]),
            numbers("pads", &kernel.pads),
            numbers("dilations", &[1, 1]),
            whole("group", groups),
        ];
        let [weights, bias] = names;
        self.node(operator, &[from.to_owned(), weights, bias], to, &attributes);
    }

    fn floats(&mut self, name: &str, sides: &[usize], numbers: &[f32]) {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.weights.extend(message(5, &tensor(name, sides, 1, &bytes)));
    }

    fn node(&mut self, operator: &str, inputs: &[String], output: &str, attributes: &[Vec<u8>]) {
        let mut node: Vec<u8> = inputs.iter().flat_map(|input| message(1, input.as_bytes())).collect();
        node.extend(message(2, output.as_bytes()));
        node.extend(message(4, operator.as_bytes()));
        node.extend(attributes.iter().flat_map(|attribute| message(5, attribute)));
        self.nodes.extend(message(1, &node));
    }
}

/// For each of `outer` parts: `area` pixels of `channels` numbers become `channels` planes of `area` numbers.
fn planes(weights: &[f32], outer: usize, area: usize, channels: usize) -> Vec<f32> {
    let mut planes = Vec::with_capacity(weights.len());
    for part in weights.chunks_exact(area * channels).take(outer) {
        for channel in 0..channels {
            planes.extend(part.iter().skip(channel).step_by(channels));
        }
    }
    planes
}

/// An attribute: whole numbers.
fn numbers(name: &str, values: &[usize]) -> Vec<u8> {
    let mut bytes = message(1, name.as_bytes());
    bytes.extend(values.iter().flat_map(|&value| number(8, value as u64)));
    bytes.extend(number(20, 7));
    bytes
}

/// An attribute: one whole number.
fn whole(name: &str, value: usize) -> Vec<u8> {
    [message(1, name.as_bytes()), number(3, value as u64), number(20, 2)].concat()
}

/// An attribute: a word.
fn word(name: &str, value: &str) -> Vec<u8> {
    [message(1, name.as_bytes()), message(4, value.as_bytes()), number(20, 3)].concat()
}

/// A constant; the kind is 1 for floating-point numbers of 32 bits and 7 for whole numbers of 64.
fn tensor(name: &str, sides: &[usize], kind: u64, bytes: &[u8]) -> Vec<u8> {
    let mut tensor: Vec<u8> = sides.iter().flat_map(|&side| number(1, side as u64)).collect();
    tensor.extend(number(2, kind));
    tensor.extend(message(8, name.as_bytes()));
    tensor.extend(message(9, bytes));
    tensor
}

/// What goes in or comes out: one picture.
fn value(name: &str, shape: Shape) -> Vec<u8> {
    let sides = [1, shape.channels, shape.height, shape.width];
    let sides: Vec<u8> = sides.iter().flat_map(|&side| message(1, &number(1, side as u64))).collect();
    let kind = message(1, &[number(1, 1), message(2, &sides)].concat());
    [message(1, name.as_bytes()), message(2, &kind)].concat()
}

fn number(field: u64, value: u64) -> Vec<u8> {
    [variable(field << 3), variable(value)].concat()
}

fn message(field: u64, bytes: &[u8]) -> Vec<u8> {
    [variable(field << 3 | 2), variable(bytes.len() as u64), bytes.to_vec()].concat()
}

fn variable(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 127 {
        bytes.push(value as u8 & 127 | 128);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}
