//! A tiny model, written byte by byte: a weighted sum of the channels of each pixel, brought to 0 to 1.
//!
//! # Source
//! ONNX's `onnx.proto` for the numbers of the fields; the wire format of Protocol Buffers, of which two kinds are used:
//! numbers of variable length and what has a length.

use std::path::Path;

/// `matte = clip(weights . pixel + bias)`, over pictures of that size, or of any where there is none.
pub(crate) fn write(path: &Path, weights: [f32; 3], bias: f32, size: Option<(u64, u64)>) {
    let sides = size.map_or([Side::Any("h"), Side::Any("w")], |(width, height)| [Side::Is(height), Side::Is(width)]);
    let shape = |channels| [Side::Is(1), Side::Is(channels), sides[0], sides[1]];
    let parts = [
        sum("picture", "sum"),
        clip("sum", "matte"),
        tensor("weights", &[1, 3, 1, 1], &weights),
        tensor("bias", &[1], &[bias]),
        tensor("low", &[], &[0.0]),
        tensor("high", &[], &[1.0]),
    ];
    write_graph(path, &parts, &[("picture", &shape(3))], &[("matte", &shape(1))]);
}

/// A part of a graph: a node or a constant, as the message that it is in the file.
pub(crate) type Part = Vec<u8>;

/// A graph of those parts.
pub(crate) fn write_graph(path: &Path, parts: &[Part], inputs: &[(&str, &[Side])], outputs: &[(&str, &[Side])]) {
    let mut graph = parts.concat();
    graph.extend(message(2, b"tiny"));
    inputs.iter().for_each(|(name, shape)| graph.extend(message(11, &value(name, shape))));
    outputs.iter().for_each(|(name, shape)| graph.extend(message(12, &value(name, shape))));
    let operators = [message(1, b""), number(2, 13)].concat();
    let model = [number(1, 8), message(7, &graph), message(8, &operators)];
    std::fs::write(path, model.concat()).expect("it works");
}

/// The sum of the channels by the constants `weights` and `bias`.
pub(crate) fn sum(from: &str, to: &str) -> Part {
    let mut convolution = raw_node("Conv", &[from, "weights", "bias"], to);
    convolution.extend(message(5, &numbers("strides", &[1, 1])));
    convolution.extend(message(5, &numbers("dilations", &[1, 1])));
    convolution.extend(message(5, &numbers("pads", &[0, 0, 0, 0])));
    convolution.extend(message(5, &numbers("kernel_shape", &[1, 1])));
    message(1, &convolution)
}

/// To between the constants `low` and `high`.
pub(crate) fn clip(from: &str, to: &str) -> Part {
    node("Clip", &[from, "low", "high"], to)
}

pub(crate) fn node(operator: &str, inputs: &[&str], output: &str) -> Part {
    message(1, &raw_node(operator, inputs, output))
}

/// Channels of pixels become planes of channels.
pub(crate) fn transposed(from: &str, to: &str, order: &[u64]) -> Part {
    let mut node = raw_node("Transpose", &[from], to);
    node.extend(message(5, &numbers("perm", order)));
    message(1, &node)
}

#[derive(Clone, Copy)]
pub(crate) enum Side {
    Is(u64),
    Any(&'static str),
}

fn raw_node(operator: &str, inputs: &[&str], output: &str) -> Vec<u8> {
    let mut bytes: Vec<u8> = inputs.iter().flat_map(|input| message(1, input.as_bytes())).collect();
    bytes.extend(message(2, output.as_bytes()));
    bytes.extend(message(4, operator.as_bytes()));
    bytes
}

/// An attribute of a node.
fn numbers(name: &str, values: &[u64]) -> Vec<u8> {
    let mut bytes = message(1, name.as_bytes());
    bytes.extend(values.iter().flat_map(|&value| number(8, value)));
    bytes.extend(number(20, 7));
    bytes
}

pub(crate) fn tensor(name: &str, sides: &[u64], numbers: &[f32]) -> Part {
    let mut bytes: Vec<u8> = sides.iter().flat_map(|&side| number(1, side)).collect();
    bytes.extend(number(2, 1));
    bytes.extend(message(8, name.as_bytes()));
    let raw: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    bytes.extend(message(9, &raw));
    message(5, &bytes)
}

fn value(name: &str, shape: &[Side]) -> Vec<u8> {
    let side = |side: &Side| match side {
        Side::Is(side) => message(1, &number(1, *side)),
        Side::Any(name) => message(1, &message(2, name.as_bytes())),
    };
    let shape: Vec<u8> = shape.iter().flat_map(side).collect();
    let kind = message(1, &[number(1, 1), message(2, &shape)].concat());
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
